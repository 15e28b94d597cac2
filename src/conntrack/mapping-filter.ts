/** Which mappings are meant. Pure. */

import { at, given, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { parseIp } from '../net/address.ts';
import { endpointTest, parseEndpoint } from '../net/endpoint.ts';
import { connectionStatus, type DumpFilter } from '../netlink/conntrack.ts';
import { type Mapping, protocolNumber } from './mapping.ts';

/** All that is given must hold. */
export interface MappingFilter {
  /** `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`, or `ip-47`. */
  readonly protocol?: string | undefined;
  /** An address or a network, with or without a port: `10.0.0.5`, `10.0.0.0/24`, `[fd00::5]:4711`. */
  readonly inner?: string | undefined;
  readonly outer?: string | undefined;
  readonly mapped?: string | undefined;
  /** Of `mapped`. */
  readonly mappedPort?: number | undefined;
}

const names = ['protocol', 'inner', 'outer', 'mapped', 'mappedPort'] as const;

/** The filter as a test. Throws INVALID_OPTION, INVALID_ADDRESS, INVALID_PORT. */
export function mappingTest(filter: MappingFilter): (mapping: Mapping) => boolean {
  refuseUnknownKeys(filter, 'filter of mappings', names);
  const { protocol, mappedPort } = filter;
  const tests: ((mapping: Mapping) => boolean)[] = [];
  if (protocol !== undefined) {
    checkProtocol(protocol);
    tests.push((mapping) => mapping.protocol === protocol);
  }
  for (const name of ['inner', 'outer', 'mapped'] as const) {
    const wanted = filter[name];
    if (wanted === undefined) continue;
    const test = at([name], endpointTest, wanted);
    tests.push((mapping) => test(mapping[name]));
  }
  if (mappedPort !== undefined) {
    const end = `:${wholeNumber(mappedPort, 1, 0xffff, 'INVALID_PORT', ['mappedPort'])}`;
    tests.push(({ mapped }) => hasPort(mapped) && mapped.endsWith(end));
  }
  return (mapping) => tests.every((test) => test(mapping));
}

/**
 * What of it the kernel can do, which is to compare: a million others then need not leave it. Of IPv4 only: of IPv6 it
 * keeps what differs (nf_conntrack_netlink.c, ctnetlink_filter_match_tuple, takes ipv6_addr_cmp() for ipv6_addr_equal()).
 * Of a filter that `mappingTest` took.
 */
export function dumpFilter({ protocol, inner, outer, mapped, mappedPort }: MappingFilter): DumpFilter {
  const status = connectionStatus.SRC_NAT;
  const number = protocol === undefined ? undefined : checkProtocol(protocol);
  const portsMeanSomething = protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp';
  const [source, destination, as] = [inner, outer, mapped].map((place) => {
    const { ip = '', port, isWhole = false } = place === undefined ? {} : parseEndpoint(place);
    if (!isWhole || ip.includes(':')) return undefined;
    return { address: parseIp(ip).bytes, port: port !== undefined && portsMeanSomething ? Number(port) : undefined };
  });
  const original = given({
    source: source?.address,
    destination: destination?.address,
    protocol: number,
    sourcePort: source?.port,
    destinationPort: destination?.port,
  });
  const reply = given({
    destination: as?.address,
    protocol: number,
    destinationPort: as?.port ?? (portsMeanSomething ? mappedPort : undefined),
  });
  return {
    status,
    ...((source || destination || as) && { family: 'inet' }),
    ...((source || destination) && { original }),
    ...(as && { reply }),
  };
}

export function checkProtocol(protocol: string): number {
  const number = typeof protocol === 'string' ? protocolNumber(protocol) : undefined;
  if (number !== undefined) return number;
  const hint = 'tcp, udp, sctp, icmp, icmpv6, or another one by its number: ip-47';
  throw new IpvsError('INVALID_PROTOCOL', { detail: quote(protocol), path: ['protocol'], hint });
}

/** Of IPv6 only what stands behind brackets is one. */
function hasPort(place: string): boolean {
  return place.startsWith('[') || place.indexOf(':') === place.lastIndexOf(':');
}
