/** A route of a host, as it can be added again; and the command of iproute2 that does that. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { IpvsError } from '../base/errors.ts';
import type { RouteSettings } from '../netlink/rtnetlink.ts';

export interface Route {
  readonly family: 'inet' | 'inet6';
  /** "10.0.0.0/8", or "default". */
  readonly destination: string;
  /** Absent for a route over several, or over none. */
  readonly interface?: string;
  readonly gateway?: string;
  /** The source address of what this host sends there. */
  readonly source?: string;
  /** The kernel made it with an address: a connected route. */
  readonly isKernels?: true;
  /** The rest of it. Absent where the kernel tells more than is understood here: such a route cannot be added again. */
  readonly settings?: RouteSettings;
}

/** One for each route, in order. */
export interface RouteResult {
  /** Absent if it was added. */
  readonly error?: IpvsError;
}

/** "default via 192.0.2.1 on eth0" */
export function formatRoute({ destination, gateway, interface: name }: Route): string {
  return `${destination}${gateway === undefined ? '' : ` via ${gateway}`}${name === undefined ? '' : ` on ${name}`}`;
}

/** Whether they differ in nothing but their source. */
export function differsInSource(a: Route, b: Route): boolean {
  const { source: _, ...rest } = a;
  const { source: __, ...others } = b;
  return a.source !== b.source && isDeepStrictEqual(rest, others);
}

const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_LINK = 253;
const RTNH_F_ONLINK = 4;
const preferences: Readonly<Record<number, string>> = { 1: 'high', 3: 'low' };

/** `ip route add default via 192.0.2.1 dev eth0 src 192.0.2.99`; what follows from the rest is left out. */
export function routeCommand({ family, destination, gateway, interface: name, source, settings }: Route): string {
  const isIpv6 = family === 'inet6';
  const {
    table = RT_TABLE_MAIN,
    protocol = RTPROT_BOOT,
    tos = 0,
    flags = 0,
    priority,
    preference = 0,
  } = settings ?? {};
  const usualScope = isIpv6 || gateway !== undefined ? 0 : RT_SCOPE_LINK;
  const { scope = usualScope, metrics = {} } = settings ?? {};
  const words: (string | number | undefined)[][] = [
    // The kernel keeps an IPv6 route whose source is deleted, so the same route may exist without a source.
    [isIpv6 ? 'ip -6 route replace' : 'ip route add', destination],
    ['via', gateway],
    ['dev', name],
    ['src', source],
    ['metric', priority],
    ['table', table === RT_TABLE_MAIN ? undefined : table],
    ['proto', protocol === RTPROT_BOOT ? undefined : protocol],
    ['scope', scope === usualScope ? undefined : scope],
    ['tos', tos === 0 ? undefined : `0x${tos.toString(16)}`],
    ...Object.entries(metrics),
    ['pref', preferences[preference]],
  ];
  const given = words.filter(([, value]) => value !== undefined).flat();
  return [...given, ...((flags & RTNH_F_ONLINK) === 0 ? [] : ['onlink'])].join(' ');
}

const NOT_UNDERSTOOD = 'it has more to it than is understood here, such as several next hops';

/** Why a route does not come back, and what to do. */
export function routeRefusal(
  route: Route,
  refusal: { readonly errno?: number; readonly detail?: string } = {},
): IpvsError {
  const detail = route.settings ? refusal : { detail: NOT_UNDERSTOOD };
  return new IpvsError('ROUTE_NOT_RESTORED', { ...detail, hint: routeRemedy(route) });
}

export function routeRemedy(route: Route): string {
  if (route.settings) return `add it again: ${routeCommand(route)}`;
  return 'add it again as it is in the configuration of this host';
}
