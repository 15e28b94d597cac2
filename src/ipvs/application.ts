/**
 * Application helpers that look into connections, such as ip_vs_ftp, from /proc/net/ip_vs_app (ip_vs_app.c):
 *
 *   prot port    usecnt name
 *   TCP  21      0      ftp
 */
export interface Application {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  /** Connections that it looks into. */
  readonly users: number;
}

export function applicationsOf(lines: readonly string[]): Application[] {
  return lines.flatMap((line) => {
    const parts = /^(\S+)\s+(\d+)\s+(-?\d+)\s+(\S+)\s*$/.exec(line);
    if (parts === null) return [];
    const [, protocol = '', port, users, name = ''] = parts;
    return [{ name, protocol: protocol.toLowerCase(), port: Number(port), users: Number(users) }];
  });
}
