/** The table of `ipvs list`: its views, their columns, and the order of rows. */

import { type DestinationState, formatForward } from '../../ipvs/destination.ts';
import type { Snapshot } from '../../ipvs/ipvs.ts';
import { inDestinationOrder, inServiceOrder } from '../../ipvs/order.ts';
import { type Rates, ratesBetween } from '../../ipvs/rates.ts';
import { formatPersistence, type VirtualServiceWithDestinations } from '../../ipvs/service.ts';
import { type Counters, counterNames } from '../../ipvs/statistics.ts';
import { destinationKeyIn, keyOf } from '../../record/ledger.ts';
import type { HeldWeight } from '../../weights/held-weight.ts';
import { UsageError } from '../terminal/exit.ts';
import { columns, count, type Paint } from './output.ts';

type Row = Pick<VirtualServiceWithDestinations | DestinationState, 'address' | 'statistics'>;

/** Undefined where it is not known. */
type Value = number | bigint | undefined;

/** A column of numbers. */
interface Column {
  readonly heading: string;
  /** As --sort names it. */
  readonly name: string;
  /** Undefined where it says nothing about a service, whose destinations are then summed up for sorting. */
  readonly ofService?: (service: VirtualServiceWithDestinations) => Value;
  readonly ofDestination: (destination: DestinationState) => Value;
  /** It is configuration, which is never rounded. */
  readonly exact?: true;
}

interface View {
  /** Whether it needs counters. */
  readonly statistics: boolean;
  /** Whether it shows how packets are forwarded. */
  readonly forward: boolean;
  readonly columns: readonly Column[];
}

const counterWords: Readonly<Record<keyof Counters, readonly [heading: string, name: string]>> = {
  connections: ['CONNECTIONS', 'connections'],
  packetsIn: ['PACKETS IN', 'packets-in'],
  packetsOut: ['PACKETS OUT', 'packets-out'],
  bytesIn: ['BYTES IN', 'bytes-in'],
  bytesOut: ['BYTES OUT', 'bytes-out'],
};

function counterColumns(of: (row: Row) => Counters | undefined, unit: string): Column[] {
  return counterNames.map((counter) => {
    const [heading, name] = counterWords[counter];
    const value = (row: Row) => of(row)?.[counter];
    return { heading: `${heading}${unit}`, name, ofService: value, ofDestination: value };
  });
}

const weight: Column = { heading: 'WEIGHT', name: 'weight', exact: true, ofDestination: ({ weight }) => weight };
const active: Column = { heading: 'ACTIVE', name: 'active', ofDestination: (d) => d.activeConnections };
const inactive: Column = { heading: 'INACTIVE', name: 'inactive', ofDestination: (d) => d.inactiveConnections };
const pinned: Column = { heading: 'TEMPLATES', name: 'templates', ofDestination: (d) => d.persistentConnections };

export const views = {
  overview: { statistics: false, forward: true, columns: [weight, active, inactive] },
  stats: { statistics: true, forward: false, columns: counterColumns((row) => row.statistics, '') },
  rate: { statistics: true, forward: false, columns: counterColumns((row) => row.statistics?.rates, '/s') },
  thresholds: {
    statistics: false,
    forward: true,
    columns: [
      weight,
      { heading: 'UPPER', name: 'upper', exact: true, ofDestination: (d) => d.upperThreshold },
      { heading: 'LOWER', name: 'lower', exact: true, ofDestination: (d) => d.lowerThreshold },
      active,
      inactive,
    ],
  },
  persistent: { statistics: false, forward: true, columns: [weight, pinned, active, inactive] },
} as const satisfies Record<string, View>;

export type ViewName = keyof typeof views;
export const viewNames = Object.keys(views) as ViewName[];

/**
 * By address, largest first by a column, or as the kernel has them. Undefined: services by address, their destinations in
 * the kernel's order, which schedulers go through. Throws UsageError for a column that the view has not.
 */
export function sortServices(
  services: readonly VirtualServiceWithDestinations[],
  view: ViewName,
  by: string | undefined,
): VirtualServiceWithDestinations[] {
  if (by === 'kernel') return [...services];
  if (by === undefined) return inServiceOrder(services);
  if (by === 'address') {
    return inServiceOrder(services).map((service) => ({
      ...service,
      destinations: inDestinationOrder(service.destinations),
    }));
  }
  const column: Column | undefined = views[view].columns.find(({ name }) => name === by);
  if (column === undefined) {
    const names = views[view].columns.map(({ name }) => name).join(', ');
    throw new UsageError(`this view has no column "${by}" to sort by, but ${names}, address and kernel`);
  }
  const sizeOf = (service: VirtualServiceWithDestinations) =>
    column.ofService?.(service) ??
    service.destinations.reduce((sum, d) => sum + Number(column.ofDestination(d) ?? 0), 0);
  return services
    .map((service) => ({
      ...service,
      destinations: service.destinations.toSorted((a, b) =>
        descending(column.ofDestination(a), column.ofDestination(b)),
      ),
    }))
    .sort((a, b) => descending(sizeOf(a), sizeOf(b)));
}

function descending(first: Value, second: Value): number {
  const [a, b] = [first ?? -1, second ?? -1];
  return a === b ? 0 : a > b ? -1 : 1;
}

/** By the keys of the record. */
export type OwnerOf = (key: string) => string;

export interface TableOptions {
  readonly view: ViewName;
  readonly sort: string | undefined;
  readonly exact: boolean;
  readonly paint: Paint;
  /** Tells whose a key is; shown if it is given. */
  readonly ownerOf?: OwnerOf | undefined;
  /** Weights that drains and ramps hold: their reason is shown beside them. */
  readonly held?: readonly HeldWeight[];
}

/** As wide as "foreign". */
const OWNER = 'OWNER  ';

/** Services at the margin, their destinations indented below; where a service has no numbers its words run over them. */
export function tableOf(snapshot: Snapshot, { view, sort, exact, paint, ownerOf, held = [] }: TableOptions): string {
  const { services } = snapshot;
  if (services.length === 0) return 'no services';
  const { columns: shown, forward, statistics }: View = views[view];
  const number = (value: Value, column: Column) => {
    if (value === undefined) return '-';
    return exact || column.exact ? String(value) : count(value);
  };
  const sorted = sortServices(services, view, sort);
  const owner = (key: string) => (ownerOf ? [ownerOf(key).padEnd(OWNER.length)] : []);

  const reasons = new Map(held.map((each) => [keyOf(each), each.words]));
  // Beside the weight, which comes first where it is shown.
  const hasReasons = shown[0] === weight && reasons.size > 0;
  const valuesOf = (service: VirtualServiceWithDestinations, destination: DestinationState) => {
    const values = shown.map((column) => number(column.ofDestination(destination), column));
    const reason = reasons.get(destinationKeyIn(service.address, destination.address)) ?? '';
    return hasReasons ? values.toSpliced(1, 0, reason) : values;
  };
  const headings = shown.map(({ heading }) => heading);

  const totalsOf = (service: VirtualServiceWithDestinations) => [
    service.address,
    ...owner(service.address),
    ...shown.map((column) => number(column.ofService?.(service), column)),
  ];
  const cells = sorted.flatMap((service) => [
    ...(statistics ? [totalsOf(service)] : []),
    ...service.destinations.map((destination) => [
      `  ${destination.address}`,
      ...owner(destinationKeyIn(service.address, destination.address)),
      ...(forward ? [formatForward(destination.forward)] : []),
      ...valuesOf(service, destination),
    ]),
  ]);
  const width = Math.max(...services.map(({ address }) => address.length));
  const words = [...(ownerOf ? [OWNER] : []), ...(forward ? ['FORWARD'] : [])];
  const head = ['  DESTINATION'.padEnd(width), ...words, ...(hasReasons ? headings.toSpliced(1, 0, 'HELD') : headings)];
  const numbers = new Set(Array.from(head.keys()).slice(1 + words.length));
  if (hasReasons) numbers.delete(2 + words.length);
  const [headLine = '', ...lines] = columns([head, ...cells], numbers);

  if (statistics) {
    const output = [paint('dim', 'SERVICE'), paint('dim', headLine)];
    let next = 0;
    for (const service of sorted) {
      const { address, destinations } = service;
      const missing = missingIn(service, paint);
      output.push(paint('bold', address) + (lines[next++] ?? '').slice(address.length));
      for (const _ of destinations) output.push(lines[next++] ?? '');
      output.push(...missing);
    }
    return output.join('\n');
  }
  const firstColumn = headLine.indexOf(ownerOf ? OWNER : 'FORWARD') - 2;
  const heading = (...[left = '', ...rest]: string[]) => [left.padEnd(firstColumn), ...rest].join('  ');
  const output = [paint('dim', heading('SERVICE', ...(ownerOf ? [OWNER] : []), 'SCHEDULER')), paint('dim', headLine)];
  let next = 0;
  for (const service of sorted) {
    const { address } = service;
    const line = heading(address, ...owner(address), schedulingOf(service));
    output.push(paint('bold', address) + line.slice(address.length));
    for (const { weight } of service.destinations) {
      const line = lines[next++] ?? '';
      output.push(weight === 0 ? paint('yellow', line) : line);
    }
    output.push(...missingIn(service, paint));
  }
  return output.join('\n');
}

/** A line below a service of which not everything could be read. */
function missingIn({ incomplete }: VirtualServiceWithDestinations, paint: Paint): string[] {
  return incomplete === undefined ? [] : [paint('red', `  ! not all destinations are shown: ${incomplete}`)];
}

/** With the owners of services and destinations. */
export function withOwners(services: readonly VirtualServiceWithDestinations[], ownerOf: OwnerOf): object[] {
  return services.map((service) => ({
    ...service,
    owner: ownerOf(service.address),
    destinations: service.destinations.map((destination) => ({
      ...destination,
      owner: ownerOf(destinationKeyIn(service.address, destination.address)),
    })),
  }));
}

/** The kernel's averages replaced by what was counted since the snapshot before; gone where that is not known. */
export function withFreshRates(before: Snapshot, after: Snapshot): Snapshot {
  const rates = ratesBetween(before, after);
  return {
    ...after,
    services: after.services.map((service, i) => ({
      ...fresh(service, rates[i]?.rates),
      destinations: service.destinations.map((destination, j) => fresh(destination, rates[i]?.destinations[j]?.rates)),
    })),
  };
}

function fresh<T extends Row>(row: T, rates: Rates | null | undefined): T {
  if (row.statistics === undefined) return row;
  const whole = rates && Object.fromEntries(counterNames.map((name) => [name, BigInt(Math.round(rates[name]))]));
  return { ...row, statistics: { ...row.statistics, rates: whole ?? undefined } };
}

/** `wrr`, `sh sh-port, persistence 300s/24, one-packet` */
function schedulingOf({ scheduler, schedulerFlags, persistence, onePacket }: VirtualServiceWithDestinations): string {
  const words = [[scheduler, ...schedulerFlags].join(' ')];
  if (persistence) words.push(`persistence ${formatPersistence(persistence)}`);
  if (onePacket) words.push('one-packet');
  return words.join(', ');
}
