/** A table as a file of JSON. What `Table` says in full may be left out here, so that people can write it too. */
import { z } from 'zod';
import { type ConfigProblem, IpvsError } from '../../base/errors.ts';
import { checkDocument, type Path, type ReportProblem, throwProblems } from '../../config/document.ts';
import { parseServiceAddress, serviceKey } from '../../net/address.ts';
import { destinationKey, type Forward } from '../destination.ts';
import { DEFAULT_SCHEDULER, normalizeFlags } from '../service.ts';
import { emptyTable, type Table, type TableDestination, type TableService } from './table.ts';

/** A table with only what is not by default: services by address, destinations by address. */
export interface TableInput {
  readonly services?: readonly TableServiceInput[];
  readonly trash?: Table['trash'];
  readonly sweepAtMs?: number | null;
  readonly timeouts?: Partial<Table['timeouts']>;
  readonly syncDaemons?: Partial<Table['syncDaemons']>;
  readonly used?: boolean;
  readonly nextNumber?: number;
}

/** The newest destination first. */
export type TableServiceInput = Pick<TableService, 'address'> &
  Partial<Omit<TableService, 'address' | 'destinations' | 'persistence'>> & {
    readonly persistence?: Partial<NonNullable<TableService['persistence']>> | null;
    readonly destinations?: readonly TableDestinationInput[];
  };

export type TableDestinationInput = Pick<TableDestination, 'address'> & Partial<TableDestination>;

const u32 = z.int().min(0).max(0xffff_ffff);
const moment = z.number().min(0);
const counter = z.union([z.int().min(0), z.string().regex(/^\d{1,20}$/)], {
  error: 'a whole number, as a decimal string beyond 2^53 - 1',
});
const counters = {
  connections: counter.optional(),
  packetsIn: counter.optional(),
  packetsOut: counter.optional(),
  bytesIn: counter.optional(),
  bytesOut: counter.optional(),
};
const statistics = z.strictObject({ ...counters, rates: z.strictObject(counters).optional() }).optional();

const unknown = /^unknown-\d{1,5}$/;
const named = (...names: readonly string[]) =>
  z.string().refine((name) => names.includes(name) || unknown.test(name), { error: `one of ${names.join(', ')}` });
const forward = z.union([
  named('masquerade', 'direct', 'tunnel', 'local', 'bypass'),
  z.strictObject({
    tunnel: named('ipip', 'gue', 'gre'),
    port: z.int().min(0).max(0xffff).default(0),
    checksum: named('nocsum', 'csum', 'remcsum').default('nocsum'),
  }),
]);

const destination = z.strictObject({
  address: z.string(),
  forward: forward.default('masquerade'),
  weight: z.int().min(0).max(0x7fff_ffff).default(1),
  upperThreshold: u32.default(0),
  lowerThreshold: u32.default(0),
  activeConnections: u32.default(0),
  inactiveConnections: u32.default(0),
  persistentConnections: u32.default(0),
  statistics,
});

const persistence = z.strictObject({
  timeoutSeconds: u32.default(300),
  netmask: z.union([z.int().min(1).max(128), z.ipv4()]).optional(),
  engine: z.string().nullable().default(null),
});

const service = z.strictObject({
  address: z.string(),
  scheduler: z.string().default(DEFAULT_SCHEDULER),
  schedulerFlags: z.array(z.string()).default([]),
  persistence: persistence.nullable().default(null),
  onePacket: z.boolean().default(false),
  number: z.int().min(1).optional(),
  statistics,
  destinations: z.array(destination).default([]),
});

const trashed = z.strictObject({
  of: z.string(),
  serviceNumber: z.int().min(1),
  idleSinceMs: moment.nullable(),
  destination,
});

const daemon = z.strictObject({
  interface: z.string(),
  id: u32.default(0),
  maxLengthBytes: z.int().min(1).max(0xffff).default(1472),
  group: z.union([z.ipv4(), z.ipv6()]).default('224.0.0.81'),
  port: z.int().min(1).max(0xffff).default(8848),
  ttl: z.int().min(1).max(0xff).default(1),
});

const seconds = z.int().min(1).max(0x7fff_ffff);
const { tcpSeconds, tcpFinSeconds, udpSeconds } = emptyTable.timeouts;

const sections = {
  services: { schema: z.array(service).default([]) },
  trash: { schema: z.array(trashed).default([]) },
  sweepAtMs: { schema: moment.nullable().default(null) },
  timeouts: {
    schema: z
      .strictObject({
        tcpSeconds: seconds.default(tcpSeconds),
        tcpFinSeconds: seconds.default(tcpFinSeconds),
        udpSeconds: seconds.default(udpSeconds),
      })
      .default(emptyTable.timeouts),
  },
  syncDaemons: {
    schema: z
      .strictObject({ master: daemon.nullable().default(null), backup: daemon.nullable().default(null) })
      .default({ master: null, backup: null }),
  },
  used: { schema: z.boolean().optional() },
  nextNumber: { schema: z.int().min(1).default(1) },
};

type Sections = { readonly [Name in keyof typeof sections]: z.output<(typeof sections)[Name]['schema']> };

/** Throws CONFIG_INVALID, whose `problems` lists everything that is wrong. `file` is only for messages. */
export function parseTable(text: string, file: string): Table {
  const document = checkDocument(text, file, sections);
  throwProblems(document.problems);
  const values = document.values as Sections;
  const problems: ConfigProblem[] = [];
  const report: ReportProblem = (path, message) => problems.push(document.problem(path, message));
  const services = values.services.map((service, i) => serviceOf(service, ['services', i], report));
  refuseDoubles(services, ['services'], 'address', report);
  refuseDoubles(services, ['services'], 'number', report);
  const trash = values.trash.map((entry, i) => ({
    ...entry,
    destination: destinationOf(entry.destination, undefined, ['trash', i, 'destination'], report),
  }));
  // Numbers that nobody gave follow those that somebody did.
  let nextNumber = Math.max(values.nextNumber, ...services.map(({ number = 0 }) => number + 1));
  if (!Number.isSafeInteger(nextNumber + services.length)) report(['nextNumber'], 'there is no number left');
  throwProblems(problems);
  return {
    services: services.map((service) => ({ ...service, number: service.number ?? nextNumber++ })),
    trash,
    sweepAtMs: values.sweepAtMs ?? (trash.length > 0 ? 0 : null),
    timeouts: values.timeouts,
    syncDaemons: values.syncDaemons,
    used: values.used ?? services.length > 0,
    nextNumber,
  };
}

/** A table that a program wrote down, with what it left out. Throws CONFIG_INVALID. */
export function tableOf(input: TableInput): Table {
  return parseTable(JSON.stringify(input), 'table');
}

/** As `parseTable` reads it again. */
export function formatTable(table: Table): string {
  return `${JSON.stringify(table, null, 2)}\n`;
}

type ServiceEntry = z.output<typeof service>;
type DestinationEntry = z.output<typeof destination>;

function serviceOf(
  entry: ServiceEntry,
  path: Path,
  report: ReportProblem,
): Omit<TableService, 'number'> & { number?: number } {
  const address = attempt(() => serviceKey(entry.address), [...path, 'address'], report);
  const { persistence, number, statistics, scheduler, ...rest } = entry;
  const flags = () => normalizeFlags(rest.schedulerFlags, scheduler);
  const bits = address === undefined || parseServiceAddress(address).family === 'inet' ? 32 : 128;
  const netmask = persistence?.netmask ?? bits;
  if (typeof netmask === 'number' ? netmask > bits : bits > 32)
    report([...path, 'persistence', 'netmask'], `${netmask} is none of the service's address family`);
  const destinations = entry.destinations.map((destination, i) =>
    destinationOf(destination, address, [...path, 'destinations', i], report),
  );
  refuseDoubles(destinations, [...path, 'destinations'], 'address', report);
  return {
    ...rest,
    address: address ?? entry.address,
    scheduler,
    schedulerFlags: attempt(flags, [...path, 'schedulerFlags'], report) ?? [],
    persistence: persistence && { ...persistence, netmask },
    ...(number !== undefined && { number }),
    ...(statistics && { statistics: statistics as NonNullable<TableService['statistics']> }),
    destinations,
  };
}

function destinationOf(
  { statistics, ...entry }: DestinationEntry,
  service: string | undefined,
  path: Path,
  report: ReportProblem,
): TableDestination {
  // Without its service nothing is said of it, but what is wrong with its own address.
  const address = attempt(() => destinationKey(entry.address, service ?? 'fwmark:1'), [...path, 'address'], report);
  return {
    ...entry,
    address: address ?? entry.address,
    forward: entry.forward as Forward,
    ...(statistics && { statistics: statistics as NonNullable<TableDestination['statistics']> }),
  };
}

function attempt<T>(action: () => T, path: Path, report: ReportProblem): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    report(path, error.message);
    return undefined;
  }
}

function refuseDoubles<Key extends string>(
  entries: readonly { readonly [Name in Key]?: unknown }[],
  path: Path,
  key: Key,
  report: ReportProblem,
): void {
  const seen = new Set<unknown>();
  for (const [i, { [key]: value }] of entries.entries()) {
    if (value !== undefined && seen.has(value)) report([...path, i, key], `${value} is there twice`);
    seen.add(value);
  }
}
