/**
 * Application helpers that look into connections, such as ip_vs_ftp, from /proc/net/ip_vs_app (ip_vs_app.c):
 *
 *   prot port    usecnt name
 *   TCP  21      0      ftp
 */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

export interface Application {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  /** Connections that it looks into. */
  readonly users: number;
}

const MOST_PORT = 0xffff;

/** Throws REPLY_MALFORMED. */
export function applicationsOf(lines: readonly string[]): Application[] {
  return lines
    .filter((line) => line !== '' && !line.startsWith('prot '))
    .map((line) => {
      const [, protocol = '', port, users, name = ''] = /^(\S+) +(\d+) +(-?\d{1,10}) +(\S+) *$/.exec(line) ?? [];
      if (port === undefined || Number(port) > MOST_PORT)
        throw new IpvsError('REPLY_MALFORMED', { subject: '/proc/net/ip_vs_app', detail: quote(line) });
      return { name, protocol: protocol.toLowerCase(), port: Number(port), users: Number(users) };
    });
}
