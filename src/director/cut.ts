/** What a single command takes from traffic, and what undoes its work again. Pure. */
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import type { Drain, Ledger } from '../record/ledger.ts';
import type { DesiredState } from '../state/state.ts';

/** A service or destination that a command deletes, or a destination that it edits: `quiesce` sets the weight to 0. */
export interface CutTarget {
  readonly action: 'delete' | 'quiesce' | 'edit';
  readonly service: string;
  /** Absent if the service itself is deleted. */
  readonly destination?: string;
}

export interface Cut {
  /** How many go with the service. */
  readonly destinations: number;
  /** Connections that are open; a deletion drops their packets. */
  readonly activeConnections: number;
  /** Of TCP those that finish, of UDP all. */
  readonly inactiveConnections: number;
  /** No other destination of the service has a weight: it refuses new connections. */
  readonly lastWeight: boolean;
}

/** Undefined where nothing is cut: another edit, or a weight of 0 beside destinations that have one. */
export function cutOf(
  { action, destination }: CutTarget,
  { destinations }: Pick<VirtualServiceWithDestinations, 'destinations'>,
): Cut | undefined {
  if (action === 'edit') return undefined;
  const meant = destinations.filter(({ address }) => destination === undefined || address === destination);
  if (destination !== undefined && meant.length === 0) return undefined;
  const hasWeight = (some: typeof destinations) => some.some(({ weight }) => weight > 0);
  const others = destinations.filter((each) => !meant.includes(each));
  const lastWeight = destination !== undefined && hasWeight(meant) && !hasWeight(others);
  if (action !== 'delete' && !lastWeight) return undefined;
  return {
    destinations: destination === undefined ? meant.length : 0,
    activeConnections: meant.reduce((sum, { activeConnections }) => sum + activeConnections, 0),
    inactiveConnections: meant.reduce((sum, { inactiveConnections }) => sum + inactiveConnections, 0),
    lastWeight,
  };
}

/** The words of `cut`, one line each; what has no connections and leaves no gap has none. */
export function describeCut({ action, service }: CutTarget, cut: Cut): string[] {
  const { destinations, activeConnections, inactiveConnections, lastWeight } = cut;
  const counted = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  const connections = [
    ...(activeConnections > 0 ? [counted(activeConnections, 'active connection')] : []),
    ...(inactiveConnections > 0 ? [counted(inactiveConnections, 'inactive connection')] : []),
  ].join(' and ');
  return [
    ...(destinations > 0 ? [`deletes ${counted(destinations, 'destination')} with it`] : []),
    ...(lastWeight ? [`takes the last weight of ${service}, which then refuses new connections`] : []),
    ...(connections === '' ? [] : [action === 'delete' ? `cuts ${connections}` : `leaves ${connections} open`]),
  ];
}

/** A warning if the state that was applied last describes the target, so that the next apply restores it. */
export function restoredByApply(
  { action, service, destination }: CutTarget,
  applied: DesiredState,
  file = 'the file that was applied last',
): string | undefined {
  const entry = applied.services.find((each) => each.service.address === service);
  if (entry === undefined) return undefined;
  if (destination === undefined) return `${file} describes it: the next apply creates it again`;
  const described = entry.destinations.find(({ address }) => address === destination);
  if (described === undefined) return undefined;
  if (action === 'delete') return `${file} describes it: the next apply creates it again`;
  return described.weight > 0
    ? `${file} describes it: the next apply sets its weight to ${described.weight} again`
    : undefined;
}

/** A warning if a drain or a ramp holds the weight of a destination. */
export function heldWeight(
  { drains, ramps }: Pick<Ledger, 'drains' | 'ramps'>,
  service: string,
  destination: string,
): string | undefined {
  const isMeant = (place: { readonly service: string; readonly destination: string }) =>
    place.service === service && place.destination === destination;
  const drain = drains.find(isMeant);
  if (drain !== undefined) return drainWarning(drain);
  const ramp = ramps.find(isMeant);
  return ramp && `it ramps up to weight ${ramp.weight}, unless it gets weight 0 or more than ${ramp.weight}`;
}

function drainWarning({ service, destination, ended }: Drain): string {
  const state = ended ? 'it is drained: the next apply' : 'it drains: the next pass';
  return `${state} sets its weight to 0, until "ipvs drain cancel ${service} ${destination}"`;
}
