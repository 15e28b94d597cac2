/** The parts `defaults` and `services` of a file: their schema, and what they come to. */
import { z } from 'zod';
import { parseDuration } from '../config/duration.ts';
import { IpvsError } from '../errors.ts';
import { parseDestinationAddress, parseServiceAddress } from '../ipvs/address.ts';
import {
  type Destination,
  type DestinationInput,
  forwardMethods,
  normalizeDestination,
  tunnelChecksums,
  tunnelTypes,
} from '../ipvs/destination.ts';
import { normalizeService, type VirtualService, type VirtualServiceInput } from '../ipvs/service.ts';
import type { ReportProblem } from '../plan/resource.ts';

/** A service with its destinations, as a file wants it; several addresses of one entry are several of these. */
export interface DesiredService {
  readonly service: VirtualService;
  /** In the order of the file. */
  readonly destinations: readonly Destination[];
}

const duration = z
  .union([z.string(), z.number()], { error: 'a duration is written 300s, 15m, 2h or as seconds' })
  .transform((value, context) => {
    const seconds = parseDuration(value);
    if (seconds !== undefined) return seconds;
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(value)} is not a duration; write 300s, 15m, 2h or seconds`,
    });
    return z.NEVER;
  })
  .meta({ description: 'Seconds, or a number with s, m, h or d' });

const forward = z
  .union(
    [
      z.enum(forwardMethods),
      z.strictObject({
        tunnel: z.enum(tunnelTypes),
        port: z.number().optional(),
        checksum: z.enum(tunnelChecksums).optional(),
      }),
    ],
    { error: `one of ${forwardMethods.join(', ')}, or { tunnel: gue, port: 6080 }` },
  )
  .meta({ description: 'How packets reach the destination' });

const mask = z.union([z.number(), z.string()], { error: 'a prefix length, or an IPv4 mask' });

const persistence = z.strictObject(
  {
    timeout: duration.optional().meta({ description: 'How long a client stays with its destination. Default: 300s' }),
    netmask: z
      .union([mask, z.strictObject({ inet: mask.optional(), inet6: mask.optional() })], {
        error: 'a prefix length, an IPv4 mask, or one for each family: { inet: 24, inet6: 64 }',
      })
      .optional()
      .meta({ description: 'Clients of one network count as one' }),
    engine: z.string().optional().meta({ description: 'Persistence engine: sip' }),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'written { timeout: 300s }, or null for none' : undefined) },
);

const scheduling = {
  scheduler: z.string().optional().meta({ description: 'Default: wlc' }),
  schedulerFlags: z.array(z.string()).optional(),
  persistence: persistence.nullable().optional(),
  onePacket: z.boolean().optional().meta({ description: 'Schedule every UDP packet by itself' }),
  forward: forward.optional(),
};

const limits = {
  weight: z.number().optional().meta({ description: 'Default: 1; 0 takes no new connections' }),
  upperThreshold: z.number().optional().meta({ description: 'No new connections at this many' }),
  lowerThreshold: z.number().optional().meta({ description: 'New connections again below this many' }),
};

const destination = z.strictObject({
  address: z
    .string()
    .meta({ description: "10.0.0.11, 10.0.0.11:8080, [2001:db8::11]:8080; the port is the service's by default" }),
  forward: forward.optional(),
  ...limits,
});

const service = z.strictObject({
  name: z.string().optional().meta({ description: 'For people' }),
  address: z
    .union([z.string(), z.array(z.string()).min(1)], {
      error: ({ input }) => (input === undefined ? 'it is missing' : 'an address, or a list of addresses'),
    })
    .meta({ description: 'tcp://192.0.2.1:80, udp://[2001:db8::1]:53, fwmark:5; one or several' }),
  ...scheduling,
  destinations: z.array(destination).nullish(),
});

export const defaultsSection: { readonly schema: z.ZodType } = {
  schema: z.strictObject({ ...scheduling, ...limits }).nullish(),
};
export const servicesSection: { readonly schema: z.ZodType } = { schema: z.array(service).nullish() };

type Defaults = z.infer<z.ZodObject<typeof scheduling & typeof limits>>;
type ServiceEntry = z.infer<typeof service>;
type DestinationEntry = z.infer<typeof destination>;

/** Expands, fills in and checks; every problem goes to `report` with its path in the file. */
export function resolveServices(values: Readonly<Record<string, unknown>>, report: ReportProblem): DesiredService[] {
  const defaults = (values['defaults'] ?? {}) as Defaults;
  const entries = (values['services'] ?? []) as (ServiceEntry | undefined)[];
  const places = new Map<string, string>();
  return entries.flatMap((entry, index) => {
    if (entry === undefined) return [];
    const path = ['services', index];
    const several = Array.isArray(entry.address);
    const addresses = Array.isArray(entry.address) ? entry.address : [entry.address];
    refuseOneMaskForTwoFamilies(entry, defaults, addresses, path, report);
    const desired = addresses.flatMap((address, i) => {
      const addressPath = several ? [...path, 'address', i] : [...path, 'address'];
      const service = attempt(report, path, addressPath, () =>
        normalizeService(serviceInput(entry, address, defaults)),
      );
      if (service === undefined) return [];
      const before = places.get(service.address);
      if (before !== undefined) {
        report(addressPath, `${service.address} is described twice, first as ${before}`);
        return [];
      }
      places.set(service.address, `services[${index}]${entry.name ? ` (${entry.name})` : ''}`);
      return [{ service, addressPath, destinations: [] as Destination[], present: new Set<string>() }];
    });
    // An entry whose addresses are wrong says nothing useful about its destinations.
    if (desired.length === addresses.length) fillDestinations(entry, path, desired, defaults, report);
    return desired.map(({ service, destinations }) => ({ service, destinations }));
  });
}

/**
 * Addresses of both families may stand in one entry: every destination then serves those of its own
 * family, or all of them if it is reached by tunnel.
 */
function fillDestinations(
  entry: ServiceEntry,
  path: readonly (string | number)[],
  desired: readonly {
    service: VirtualService;
    addressPath: readonly (string | number)[];
    destinations: Destination[];
    /** Their addresses. */
    present: Set<string>;
  }[],
  defaults: Defaults,
  report: ReportProblem,
): void {
  const destinations = entry.destinations ?? [];
  const familyOf = (service: VirtualService) => parseServiceAddress(service.address).family;
  const mixed = new Set(desired.map(({ service }) => familyOf(service))).size > 1;
  for (const [index, described] of destinations.entries()) {
    const at = [...path, 'destinations', index];
    const input = destinationInput(described, entry, defaults);
    for (const { service, destinations, present } of desired) {
      if (mixed && !suits(input, familyOf(service))) continue;
      const destination = attempt(report, at, [...at, 'address'], () => normalizeDestination(input, service.address));
      if (destination === undefined) break;
      if (present.has(destination.address)) {
        report([...at, 'address'], `${destination.address} is described twice in this service`);
        break;
      }
      present.add(destination.address);
      destinations.push(destination);
    }
  }
  if (!mixed || destinations.length === 0) return;
  for (const { service, addressPath, destinations } of desired) {
    if (destinations.length === 0) report(addressPath, `${service.address} has no destination of its address family`);
  }
}

function suits(input: DestinationInput, family: string): boolean {
  const { forward } = input;
  if (forward === 'tunnel' || typeof forward === 'object') return true;
  try {
    return parseDestinationAddress(input.address, 0).family === family;
  } catch {
    return true; // let the address be refused where it is checked
  }
}

/** A prefix length says nothing without its family: /24 of IPv6 is a good part of the Internet. */
function refuseOneMaskForTwoFamilies(
  entry: ServiceEntry,
  defaults: Defaults,
  addresses: readonly string[],
  path: readonly (string | number)[],
  report: ReportProblem,
): void {
  const { netmask } = persistenceOf(entry, defaults) ?? {};
  if (netmask === undefined || typeof netmask === 'object') return;
  if (new Set(addresses.map(looksLikeIpv6)).size < 2) return;
  const place = entry.persistence === undefined ? ['defaults'] : path;
  report([...place, 'persistence', 'netmask'], 'two address families need a netmask each: { inet: 24, inet6: 64 }');
}

/** What is malformed is refused where addresses are read. */
function looksLikeIpv6(address: string): boolean {
  return address.includes('[') || address.endsWith('/inet6');
}

function persistenceOf(entry: ServiceEntry, defaults: Defaults): Defaults['persistence'] {
  return entry.persistence === undefined ? defaults.persistence : entry.persistence;
}

function serviceInput(entry: ServiceEntry, address: string, defaults: Defaults): VirtualServiceInput {
  const persistence = persistenceOf(entry, defaults);
  const ownScheduler = entry.scheduler !== undefined && entry.scheduler !== defaults.scheduler;
  return {
    address,
    scheduler: entry.scheduler ?? defaults.scheduler,
    // Flags belong to a scheduler: those of the defaults do not go to another one.
    schedulerFlags: entry.schedulerFlags ?? (ownScheduler ? undefined : defaults.schedulerFlags),
    persistence: persistence && {
      timeoutSeconds: persistence.timeout,
      netmask: netmaskFor(persistence.netmask, address),
      engine: persistence.engine,
    },
    onePacket: entry.onePacket ?? defaults.onePacket,
  };
}

function netmaskFor(
  netmask: NonNullable<Defaults['persistence']>['netmask'],
  address: string,
): number | string | undefined {
  if (typeof netmask !== 'object') return netmask;
  return looksLikeIpv6(address) ? netmask.inet6 : netmask.inet;
}

function destinationInput(described: DestinationEntry, entry: ServiceEntry, defaults: Defaults): DestinationInput {
  return {
    address: described.address,
    forward: described.forward ?? entry.forward ?? defaults.forward,
    weight: described.weight ?? defaults.weight,
    upperThreshold: described.upperThreshold ?? defaults.upperThreshold,
    lowerThreshold: described.lowerThreshold ?? defaults.lowerThreshold,
  };
}

/** Where the keys of a file have other names than those of the API. */
const keyInFile: Readonly<Record<string, string>> = { timeoutSeconds: 'timeout' };

/** Runs a check; its refusal is reported at the field that it names. */
function attempt<T>(
  report: ReportProblem,
  path: readonly (string | number)[],
  addressPath: readonly (string | number)[],
  check: () => T,
): T | undefined {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    const field = error.path.map((key) => keyInFile[key] ?? key);
    report(
      field[0] === 'address' ? addressPath : [...path, ...field],
      error.hint ? `${error.message}; ${error.hint}` : error.message,
    );
    return undefined;
  }
}
