/** What gets a firewall mark: packets to an address, of a protocol, to ports, through an interface. Pure. */

import { at, oneOf, refuseUnknownKeys } from '../../base/check.ts';
import { IpvsError } from '../../base/errors.ts';
import type { Family, Protocol } from '../../net/address.ts';
import { overlap, parseNetwork } from '../../net/network.ts';
import { normalizePorts, portRange } from '../../net/ports.ts';
import { familyOfNetwork, ruleInterface } from './masquerade.ts';

export const portProtocols = ['tcp', 'udp', 'sctp'] as const;

/** All that is said must hold; address or interface is. */
export interface MarkMatch {
  /** A network, canonical: `192.0.2.10/32`, `2001:db8::/64`. */
  readonly address?: string;
  /** Only what comes in through this interface. */
  readonly in?: string;
  readonly protocol?: Protocol;
  /** `80` or `8000-8010`, of the protocol. */
  readonly ports?: string;
}

export interface MarkMatchInput {
  readonly address?: string | undefined;
  readonly in?: string | undefined;
  readonly protocol?: Protocol | undefined;
  readonly ports?: string | number | undefined;
}

/** Throws INVALID_MATCH, INVALID_ADDRESS, INVALID_PROTOCOL, INVALID_OPTION. */
export function normalizeMarkMatch(input: MarkMatchInput): MarkMatch {
  refuseUnknownKeys(input, 'match', ['address', 'in', 'protocol', 'ports']);
  const { address, in: device, protocol, ports } = input;
  if (address === undefined && device === undefined)
    throw new IpvsError('INVALID_MATCH', {
      detail: 'it names neither address nor interface',
      hint: 'say what the clients connect to, "address: 192.0.2.10", or where they come in, "in: eth0"',
    });
  if (ports !== undefined && protocol === undefined)
    throw new IpvsError('INVALID_MATCH', { detail: 'ports need a protocol', path: ['ports'], hint: 'protocol: tcp' });
  return {
    ...(address !== undefined && { address: at(['address'], normalizeAddress, address) }),
    ...(device !== undefined && { in: ruleInterface(device, 'INVALID_MATCH', ['in']) }),
    ...(protocol !== undefined && { protocol: oneOf(protocol, portProtocols, 'INVALID_PROTOCOL', ['protocol']) }),
    ...(ports !== undefined && { ports: normalizePorts(ports, 'INVALID_MATCH') }),
  };
}

function normalizeAddress(address: string): string {
  const { text, prefixLength } = parseNetwork(address);
  if (prefixLength > 0) return text;
  throw new IpvsError('INVALID_MATCH', {
    detail: `${text} is every address`,
    hint: 'leave it out, and say an interface',
  });
}

/** Whether it is about packets of a family; without an address it is about those of both. */
export function isOfFamily({ address }: MarkMatch, family: Family): boolean {
  return address === undefined || familyOfNetwork(address) === family;
}

/** Whether a packet could be of both. */
export function meets(a: MarkMatch, b: MarkMatch): boolean {
  const agree = (x: string | undefined, y: string | undefined) => x === undefined || y === undefined || x === y;
  if (!agree(a.protocol, b.protocol) || !agree(a.in, b.in)) return false;
  if (a.ports !== undefined && b.ports !== undefined) {
    const [[low, high], [otherLow, otherHigh]] = [portRange(a.ports), portRange(b.ports)];
    if (low > otherHigh || otherLow > high) return false;
  }
  return (
    a.address === undefined || b.address === undefined || overlap(parseNetwork(a.address), parseNetwork(b.address))
  );
}

/** "192.0.2.10/32 tcp 8000-8010 in eth0" */
export function describeMatch({ address, in: device, protocol, ports }: MarkMatch): string {
  const words = [address, protocol, ports, device === undefined ? undefined : `in ${device}`];
  return words.filter((word) => word !== undefined).join(' ');
}
