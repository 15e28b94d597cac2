/** Ranges of ports in the address of a service. */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

/** A range of more is a service on port 0, or a mistake. */
const MOST_PORTS = 1024;

/** `tcp://192.0.2.10:8000-8010` as one address for each port; what has no range as it is. Throws INVALID_PORT. */
export function addressesIn(text: string): string[] {
  if (!text.includes('-')) return [text];
  const [, before, low, high] = /^(.*:\/\/.*:)(\d+)-(\d+)$/s.exec(text) ?? [];
  if (before === undefined || low === undefined || high === undefined) return [text];
  const [first, last] = [portOf(low), portOf(high)];
  const refuse = (hint: string) => new IpvsError('INVALID_PORT', { detail: quote(`${low}-${high}`), hint });
  if (first === undefined || last === undefined) throw refuse('both ends are numbers from 1 to 65535');
  if (first > last) throw refuse(`the smaller number stands first: ${last}-${first}`);
  if (last - first >= MOST_PORTS)
    throw refuse(`a range holds ${MOST_PORTS} ports at most; port 0 with persistence is every port`);
  return Array.from({ length: last - first + 1 }, (_, i) => `${before}${first + i}`);
}

function portOf(text: string): number | undefined {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 0xffff ? port : undefined;
}
