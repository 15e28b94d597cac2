/** When a destination holds nothing any more: the rule of its protocol over the kernel's own counts. Pure. */
import type { DestinationState } from '../ipvs/destination.ts';
import type { Drain, Held } from '../record/ledger.ts';
import type { Holders } from './survey.ts';

export type DestinationCounts = Pick<
  DestinationState,
  'weight' | 'activeConnections' | 'inactiveConnections' | 'persistentConnections'
>;

export interface DrainSituation {
  readonly drain: Pick<Drain, 'service' | 'deadlineBootMs'>;
  /** Undefined where it, or its service, is gone. */
  readonly destination: DestinationCounts | undefined;
  /** Whether its service pins clients to destinations, and those of weight 0 keep theirs. */
  readonly pins: boolean;
  /** How many of its inactive connections both sides have closed. Default: none. */
  readonly closed?: number;
  /** Boot time. */
  readonly nowMs: number;
}

export interface DrainState {
  readonly held: Held;
  /** `held`: it goes on. */
  readonly reason: 'held' | 'drained' | 'deadline' | 'gone';
  /** Whether it ends with the next pass. */
  readonly over: boolean;
}

const NOTHING: Held = { active: 0, inactive: 0, entries: 0, templates: 0 };

/**
 * Connections of TCP and SCTP hold it while they are established, and while they open or close until the kernel forgets
 * them. UDP has no end: what holds is each entry until its timeout. Templates of a persistent service hold it, because
 * the kernel sends their clients to a destination of weight 0 too (ip_vs_core.c, ip_vs_sched_persist).
 *
 * A connection that both sides have closed is waited for, as late packets may come; when the deadline comes first
 * (TIME_WAIT alone is two minutes), nothing is cut by not waiting any longer.
 */
export function drainState({ drain, destination, pins, closed = 0, nowMs }: DrainSituation): DrainState {
  if (destination === undefined) return { held: NOTHING, reason: 'gone', over: true };
  const late = nowMs >= drain.deadlineBootMs;
  const held = heldBy(destination, drain.service, pins, late ? closed : 0);
  // What has a weight still gets new ones.
  const empty = heldSum(held) === 0 && (destination.weight === 0 || late);
  const reason = empty ? 'drained' : late ? 'deadline' : 'held';
  return { held, reason, over: reason !== 'held' };
}

/** How much holds it, in one number. */
export function heldCount(destination: DestinationCounts, service: string, pins: boolean): number {
  return heldSum(heldBy(destination, service, pins, 0));
}

export function heldSum({ active, inactive, entries, templates }: Held): number {
  return active + inactive + entries + templates;
}

/** Whether these may be of UDP, whose senders go on whatever happens. Those of a firewall mark are of any protocol. */
export function maySendForever(service: string, { inactive, entries }: Held): boolean {
  return entries > 0 || (service.startsWith('fwmark:') && inactive > 0);
}

function heldBy(
  { activeConnections, inactiveConnections, persistentConnections }: DestinationCounts,
  service: string,
  pins: boolean,
  closed: number,
): Held {
  const templates = pins ? persistentConnections : 0;
  if (service.startsWith('udp:'))
    return { active: 0, inactive: 0, entries: activeConnections + inactiveConnections, templates };
  return { active: activeConnections, inactive: Math.max(0, inactiveConnections - closed), entries: 0, templates };
}

/** The kernel's words for a connection that both sides have closed, or that was reset (ip_vs_proto_tcp.c, _sctp.c). */
const closedStates = ['TIME_WAIT', 'CLOSE', 'CLOSED'];

export function closedAmong({ states }: Pick<Holders, 'states'>): number {
  return closedStates.reduce((sum, state) => sum + (states[state] ?? 0), 0);
}
