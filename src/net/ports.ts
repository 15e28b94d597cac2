/** Ports of rules as text, `80` or `8000-8010`, and as iptables writes them. Pure. */
import { type ErrorCode, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

export type PortRange = readonly [low: number, high: number];

/** Canonical text. Throws the code, at "ports". */
export function normalizePorts(ports: unknown, code: ErrorCode): string {
  const text = typeof ports === 'string' || typeof ports === 'number' ? String(ports) : '';
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [low, high] = [Number(first), Number(last)];
  const refuse = (detail: string, hint: string) => new IpvsError(code, { detail, path: ['ports'], hint });
  if (Math.min(low, high) < 1 || Math.max(low, high) > 0xffff)
    throw refuse(`ports ${quote(ports)}`, 'a port from 1 to 65535, or two: 61000-65095');
  if (low > high) throw refuse(`ports ${low}-${high} end before they begin`, `write ${high}-${low}`);
  return portsText([low, high]);
}

export function portsText([low, high]: PortRange): string {
  return low === high ? String(low) : `${low}-${high}`;
}

/** Of canonical text. */
export function portRange(ports: string): PortRange {
  const [low = 0, high = low] = ports.split('-').map(Number);
  return [low, high];
}

/** The fewest ranges that hold these ports and no others, in order. */
export function rangesOf(ports: Iterable<number>): string[] {
  const ranges: [low: number, high: number][] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && port <= last[1] + 1) last[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(portsText);
}

/** What a packet goes to: `-p tcp -m tcp --dport 8000:8010`. */
export function portMatch(protocol: string, ports: string | undefined): string {
  return `-p ${protocol}${ports === undefined ? '' : ` -m ${protocol} --dport ${ports.replace('-', ':')}`}`;
}
