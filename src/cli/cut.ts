/** Commands that take something from traffic: they tell what, warn, and ask on a terminal. */

import { type ErrorCode, IpvsError } from '../base/errors.ts';
import { type Cut, type CutTarget, cutOf, describeCut, heldWeight, restoredByApply } from '../director/cut.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import { type Ledger, ledgerFor } from '../record/ledger.ts';
import type { Store } from '../record/store.ts';
import { desiredShape } from '../state/state.ts';
import type { Outcome } from './spec/command.ts';
import type { GlobalOptions } from './spec/global-options.ts';
import { withIpvs, withRecord } from './spec/globals.ts';
import { EXIT, printWarning } from './terminal/exit.ts';
import { print } from './terminal/stdout.ts';
import { canAsk, confirm, counted, printJson } from './words/output.ts';

export interface CutOptions extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const cutOptions = {
  'dry-run': { alias: 'n', describe: 'Only show what it would do to traffic; exit status 2' },
  yes: { alias: 'y', describe: 'Do not ask, even if connections are open' },
} as const;

interface Look {
  /** The traffic that the command cuts; undefined if it cuts none. */
  readonly cut?: Cut;
  readonly words: readonly string[];
  readonly warnings: readonly string[];
  /** Whether the object could not be read, so that nobody knows what is cut. */
  readonly isUnknown?: true;
}

/** What the command meets too, and says itself. */
const leftToCommand: ReadonlySet<ErrorCode> = new Set([
  'SERVICE_NOT_FOUND',
  'DESTINATION_NOT_FOUND',
  'IPVS_NOT_LOADED',
  'PERMISSION_DENIED',
]);

/** What a command does, in words: "delete", "deleted", and what it is done to. */
interface Doing {
  readonly verb: string;
  readonly done: string;
  readonly subject: string;
}

/**
 * Shows what `change` takes from traffic, then does it. Without a terminal nothing is asked. `check` throws what would
 * refuse it, for a dry run.
 */
export async function cutting(
  target: CutTarget,
  { verb, done, subject }: Doing,
  options: CutOptions,
  change: () => Promise<unknown>,
  check?: (ipvs: Ipvs) => Promise<unknown>,
): Promise<number | Outcome> {
  const { dryRun = false, yes = false, json = false } = options;
  const { cut, words, warnings, isUnknown = false } = await lookAt(target, verb, options);
  if (dryRun && check) await withIpvs(options, check);
  if (!json) {
    if (dryRun) print(`would ${verb} ${subject}`);
    for (const line of words) print(`${dryRun ? '  ' : `${subject}: `}${line}`);
    for (const warning of warnings) printWarning(`${subject}: ${warning}`);
  }
  const details = { ...(cut && { cut }), ...(warnings.length > 0 && { warnings }) };
  if (dryRun) {
    if (json) printJson({ would: verb, subject, ...details });
    return EXIT.changes;
  }
  const open = cut ? cut.activeConnections + cut.inactiveConnections : 0;
  if ((open > 0 || isUnknown) && !yes && !json && canAsk()) {
    const reason = isUnknown ? '' : `${counted(open, 'connection')} ${open === 1 ? 'is' : 'are'} open: `;
    const question = `${reason}${verb} ${subject}?`;
    if (!(await confirm(question))) return EXIT.error;
  }
  await change();
  return { done, subject, ...details };
}

/** An object that cannot be read is left to the command itself, whose refusal names it. A dry run has no other. */
async function lookAt(target: CutTarget, verb: string, options: CutOptions): Promise<Look> {
  const { service, destination, action } = target;
  try {
    return await withRecord(options, async (ipvs, { store, table }) => {
      const holder = await ipvs.service(service);
      if (destination !== undefined && !holder.destinations.some(({ address }) => address === destination))
        throw new IpvsError('DESTINATION_NOT_FOUND', { subject: `${destination} of ${service}` });
      const cut = cutOf(target, holder);
      const ledger = ledgerFor(table, store.ledger());
      // A weight of 0 beside others is everyday work.
      const restored = cut && (await restoredLater(target, store, ledger));
      const held =
        action !== 'delete' && destination !== undefined ? heldWeight(ledger, service, destination) : undefined;
      return {
        ...(cut && { cut }),
        words: cut ? describeCut(target, cut) : [],
        warnings: [restored, held].filter((warning) => warning !== undefined),
      };
    });
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    if (options.dryRun)
      throw error.with({ operation: `${verb} ${destination === undefined ? 'service' : 'destination'}` });
    if (leftToCommand.has(error.code)) return { words: [], warnings: [] };
    return { words: [], warnings: [`what this cuts is unknown: ${error.message}`], isUnknown: true };
  }
}

/** A warning, if the next apply restores the object. Nobody keeps a command for it. */
async function restoredLater(target: CutTarget, store: Store, { applied }: Ledger): Promise<string | undefined> {
  if (applied === null) return undefined;
  try {
    return restoredByApply(target, await store.get(applied.desired, desiredShape), applied.files[0]?.path);
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    return `whether the next apply restores it is unknown: ${error.message}`;
  }
}
