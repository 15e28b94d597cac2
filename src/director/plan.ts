/** The plan as a function of data, for those who keep no record: nothing is known of what was applied before. */
import type { InterfaceAddress } from '../addresses/interface-address.ts';
import { type DefensePolicy, normalizePolicy } from '../defense/policy.ts';
import { idleDefense } from '../defense/record.ts';
import { NOTHING_KNOWN } from '../engine/known.ts';
import { type Plan, planOf } from '../engine/plan.ts';
import { readTables } from '../engine/transaction.ts';
import type { Ipvs, Snapshot } from '../ipvs/ipvs.ts';
import type { SyncDaemon } from '../ipvs/sync-daemon.ts';
import type { Timeouts } from '../ipvs/timeouts.ts';
import { VolatileFiles } from '../record/files.ts';
import { resources } from '../resources/all.ts';
import type { Rules } from '../resources/rules.ts';
import type { SysctlValues } from '../resources/sysctls.ts';
import type { DesiredState } from '../state/state.ts';

/** What the kernel holds. */
export interface CurrentState {
  readonly services: Snapshot;
  /** Null where ip_vs is not loaded. */
  readonly timeouts: Timeouts | null;
  readonly sync: readonly SyncDaemon[];
  /** Of interfaces; null where there are none. */
  readonly addresses?: readonly InterfaceAddress[] | null;
  /** By name; null where there are none. */
  readonly sysctls?: SysctlValues;
  /** Default: off. */
  readonly defense?: DefensePolicy;
  /** Our chains of iptables; null where there are none. */
  readonly rules?: Rules;
}

/**
 * The changes that make the kernel hold what is described, in the order in which they are safe. What is described is
 * taken over, whoever made it; what is not stays, but for destinations of `exclusive` services. Pure.
 */
export function plan(desired: DesiredState, current: CurrentState): Plan {
  return planOf(
    resources,
    desired,
    NOTHING_KNOWN,
    { addresses: null, sysctls: null, rules: null, defense: normalizePolicy('off'), ...current },
    { adopt: true },
  );
}

/** Who keeps no record has no policy in it. */
const NO_DEFENSE = idleDefense({ files: new VolatileFiles() }, '');

export async function readState(ipvs: Ipvs): Promise<CurrentState> {
  return (await readTables({ resources, context: { ipvs, defense: NO_DEFENSE } })) as unknown as CurrentState;
}
