/** The composition root: a table, what is remembered of it, and everything that can be done to both. */
import { isDeepStrictEqual } from 'node:util';
import type { AddressHost } from '../addresses/address-host.ts';
import { AddressTable } from '../addresses/address-table.ts';
import type { HeldAddress } from '../addresses/interface-address.ts';
import type { AddressOperation } from '../addresses/operation.ts';
import { type Clock, type Moment, systemClock } from '../base/clock.ts';
import { IpvsError } from '../base/errors.ts';
import { defenseRecord, heldOriginals, idleDefense } from '../defense/record.ts';
import { knownAt } from '../engine/known.ts';
import { type Plan, planOf, samePlan, type Tables, undoPlan } from '../engine/plan.ts';
import type { Change, Known } from '../engine/resource.ts';
import {
  type ApplyResult,
  appliedTo,
  configurations,
  type Engine,
  type Recovery,
  type RunOptions,
  readTables,
  tablesOf,
  transact,
} from '../engine/transaction.ts';
import { KernelRuleHost } from '../iptables/host.ts';
import { MasqueradeTable } from '../iptables/masquerade-table.ts';
import { type Ipvs, type OpenOptions, openIpvsAt, type Snapshot } from '../ipvs/ipvs.ts';
import { inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import { serviceKey } from '../net/address.ts';
import { author } from '../record/author.ts';
import { VolatileFiles } from '../record/files.ts';
import {
  type Applied,
  type Author,
  type Drain,
  type HistoryEntry,
  keyOf,
  type Ledger,
  ledgerFor,
  ownersOf,
  type Source,
} from '../record/ledger.ts';
import { inTurn, type Lock } from '../record/lock.ts';
import { openRecord, type RecordOptions, type TableRecord } from '../record/record.ts';
import { sighted } from '../record/sightings.ts';
import { type DamagedEntry, Store } from '../record/store.ts';
import { resources } from '../resources/all.ts';
import type { Context } from '../resources/context.ts';
import { destinationOf } from '../resources/destination-of.ts';
import { serviceOf } from '../resources/keys.ts';
import type { KeptRoute } from '../resources/routes.ts';
import { withHeldEffects } from '../resources/sysctls.ts';
import { type DesiredService, type DesiredState, desiredShape, NOTHING_DESIRED } from '../state/state.ts';
import { SysctlTable } from '../sysctl/sysctl-table.ts';
import { KernelSysctls, type SysctlHost } from '../sysctl/sysctls.ts';
import type { DirectOptions } from '../weights/direct-options.ts';
import { type DrainChange, drainChanges } from '../weights/drain-changes.ts';
import { DrainKeeper, type DrainOptions } from '../weights/drain-keeper.ts';
import type { DrainProgress, RampProgress } from '../weights/drain-progress.ts';
import { type DrainPass, DrainRunner, leftIn } from '../weights/drain-runner.ts';
import type { DrainMove } from '../weights/drain-step.ts';
import { type DrainOutcome, type DrainWaitOptions, waitForDrain } from '../weights/drain-wait.ts';
import { type HeldWeight, heldWeights } from '../weights/held-weight.ts';
import { lentOriginals, SysctlLoans } from '../weights/sysctl-loans.ts';
import { type RemovalEffects, withRemovalEffects } from './address-effects.ts';
import { addDirectEntry, serviceKeysIn } from './direct-entry.ts';
import { withDrainEffects } from './drain-effects.ts';
import { type Difference, differencesIn } from './drift.ts';
import { withGuardEffects } from './guard-effects.ts';
import { readHostFacts } from './host-facts.ts';
import { type Excess, excesses } from './limits.ts';
import { lookAt } from './look.ts';
import { nextLedger, restoredLedger } from './next-ledger.ts';
import {
  describedKeys,
  foreignKeys,
  type Owner,
  type OwnerChange,
  ownerChanges,
  ownership,
  ownServices,
  type Touches,
  touched,
} from './ownership.ts';
import { entryOf, lastUndoable, type PastApply, pastApply, type UndoPoint, type WayBack, wayBack } from './past.ts';
import { type HostFacts, type MissingPrerequisite, missingPrerequisites, NO_FACTS } from './prerequisites.ts';
import { planRefusal } from './refuse.ts';
import { type Remains, remainsOf } from './remains.ts';
import { type Settled, settle } from './settled.ts';
import { addressesOf, targetedState, withNeededKeys } from './targets.ts';
import { type UnevenWeights, unevenIn } from './uneven-weights.ts';
import { type DirectWork, verb } from './verb.ts';

/** What is wanted, and where it came from. */
export interface Intent {
  readonly desired: DesiredState;
  readonly source?: Source;
  /** Of an undo: `desired` is then what had been applied at that point, and the tables are restored as they were. */
  readonly undo?: UndoPoint;
}

export interface PlanOptions {
  /** Takes over what is described and foreign. */
  readonly adopt?: boolean;
  /** Removes what is not described, whoever made it. */
  readonly prune?: boolean;
  /** Only these services, by address or by the name that the file gives them. */
  readonly targets?: readonly string[];
  /** The share that may be removed: 0 to 1. Default: what the file says, or no limit. */
  readonly maxChange?: number;
}

/** A plan with what it was made from: data, which can be kept and carried out later. */
export interface IntendedPlan extends Plan, RemovalEffects {
  /** Of which table. */
  readonly table: string;
  /** The file that was applied last, where services leave that are not of this one. */
  readonly replaces?: string;
  readonly intent: Intent;
  readonly options: PlanOptions;
  /** Of what it takes away more than it may. */
  readonly excess: readonly Excess[];
  /** Of an undo, and of an apply that adopts: existing objects that get another owner. */
  readonly owners?: readonly OwnerChange[];
  /** Of an undo: drains that it begins again, ends or changes, for display. */
  readonly drains?: readonly DrainChange[];
  /** Weights that drains and ramps hold, for display. */
  readonly held?: readonly HeldWeight[];
  /** What the pass over drains and ramps does that comes before any change, for display. */
  readonly steps?: readonly DrainMove[];
  /** Services whose weights it makes too uneven for wrr, if there are any. */
  readonly uneven?: readonly UnevenWeights[];
}

export interface ApplyOptions extends RunOptions, PassOption {
  /** Whatever it takes away, and however uneven its weights are. */
  readonly force?: boolean;
  /** What it is called in the history. Default: "apply". */
  readonly command?: string;
  /** Called under the lock with what will be done; throwing calls it off. */
  readonly onPlan?: (plan: IntendedPlan) => void;
}

type PassOption = Pick<DirectOptions, 'onPass'>;

export interface Drift {
  /** Each with the time when it was first seen: ISO 8601. */
  readonly differences: readonly (Difference & { readonly since: string })[];
  /** Services that others made, and that are not described. */
  readonly foreign: readonly { readonly service: string; readonly since: string }[];
  /** Weights that drains and ramps hold. They are no differences. */
  readonly held: readonly HeldWeight[];
}

export interface DirectorOptions extends OpenOptions, RecordOptions {}

/** Opens a table of the kernel, and its record. Throws what `openIpvs` throws. */
export async function openDirector(options: DirectorOptions = {}): Promise<Director> {
  const { stateDir, lockTimeoutMs, netns, ...open } = options;
  return inNamespace(netns, ({ path, release }) => {
    const record = openRecord(path, {
      ...(stateDir !== undefined && { stateDir }),
      ...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
    });
    const sysctls = new KernelSysctls(native(), path);
    const addresses = AddressTable.open({ native: native(), namespacePath: path });
    const masquerade = new MasqueradeTable({ host: new KernelRuleHost({ native: native(), namespacePath: path }) });
    const facts = () => readHostFacts({ native: native(), namespacePath: path, addresses, sysctls });
    return new Director({ ipvs: openIpvsAt(path, open), addresses, ...record, release, sysctls, masquerade, facts });
  });
}

/** The record's default is one that ends with the director, and no lock. */
export interface DirectorParts extends Partial<TableRecord> {
  readonly ipvs: Ipvs;
  /** Those of interfaces. Default: there are none. */
  readonly addresses?: AddressHost;
  readonly by?: Author;
  /** Default: the system's clocks. */
  readonly now?: Clock;
  /** Called once, at the end. */
  readonly release?: () => void;
  /** Settings of the kernel for this table. Default: out of reach. */
  readonly sysctls?: SysctlHost;
  /** Default: there are no rules. */
  readonly masquerade?: MasqueradeTable;
  /** What is known of the host. Default: nothing. */
  readonly facts?: () => Promise<HostFacts>;
}

const UNLOCKED: Lock = { release: () => undefined };
const NOWHERE: Source = { files: [], hosts: {} };

export class Director implements AsyncDisposable {
  readonly ipvs: Ipvs;
  readonly #store: Store;
  readonly #engine: Engine<DesiredState, Context>;
  readonly #lock: TableRecord['lock'];
  readonly #by: Author;
  readonly #now: Clock;
  readonly #release: () => void;
  readonly #facts: () => Promise<HostFacts>;
  #closed = false;
  #lastApplied: { readonly id: string; readonly desired: DesiredState } | undefined;
  readonly #runner: DrainRunner;
  readonly #drains: DrainKeeper;
  readonly #follower: TableRecord['follower'];

  constructor(parts: DirectorParts) {
    const { ipvs, store = new Store(new VolatileFiles(), parts.now), table = 'memory' } = parts;
    const { lock = async () => UNLOCKED, by = author(), now = systemClock, sysctls } = parts;
    const { release = () => undefined, facts = async () => NO_FACTS } = parts;
    this.ipvs = ipvs;
    this.#store = store;
    this.#engine = { resources, context: contextOf(parts, store, table), store, table, desired: desiredShape };
    this.#release = release;
    this.#facts = facts;
    this.#lock = inTurn(lock);
    this.#by = by;
    this.#now = now;
    this.#follower = parts.follower;
    const common = { ipvs, store, now, ledger: () => this.#ledger() };
    this.#runner = new DrainRunner({ ...common, loans: new SysctlLoans(sysctls, store) });
    this.#drains = new DrainKeeper({
      ...common,
      runner: this.#runner,
      beginEntry: (command, place, before) => this.#beginEntry(command, new Set([keyOf(place)]), before),
      locked: (purpose, signal, work) => this.#locked(purpose, signal, (_, pass) => work(pass)),
    });
  }

  /** The folder of its record. */
  get place(): string {
    return this.#store.place;
  }

  /** Whether a crash left an apply half way: the next change of the table deals with it, or `recover`. */
  get isInterrupted(): boolean {
    return this.#store.journal() !== undefined;
  }

  /** What host names were resolved to when they were applied last. */
  hosts(): ReadonlyMap<string, readonly string[]> {
    return new Map(Object.entries(this.#store.ledger()?.applied?.hosts ?? {}));
  }

  /** What was applied last, to this table or to one of an earlier boot. Throws STORE_DAMAGED. */
  async applied(): Promise<DesiredState> {
    const id = this.#store.ledger()?.applied?.desired;
    if (id === undefined) return NOTHING_DESIRED;
    // Whoever keeps asking gets the same as long as it is the same.
    if (this.#lastApplied?.id !== id) this.#lastApplied = { id, desired: await this.#store.get(id, desiredShape) };
    return this.#lastApplied.desired;
  }

  /** Settings that a controller of the defense, or a drain, has changed for now, as they were. */
  heldForNow(): Readonly<Record<string, string>> {
    return { ...lentOriginals(this.#ledger()), ...heldOriginals(this.#engine.context.defense) };
  }

  /** What would be done now, for an intent or a plan that was kept. Changes nothing. Throws PLAN_OUTDATED. */
  async plan(what: Intent | IntendedPlan, options: PlanOptions = {}): Promise<IntendedPlan> {
    const shown = 'changes' in what ? what : undefined;
    const intent = 'changes' in what ? what.intent : what;
    const ledger = this.#ledger();
    const back = intent.undo && (await wayBack(this.#engine, intent.undo, ledger));
    const current = await this.#read(intent.desired, ledger, back);
    const plan = await this.#planned(intent, shown?.options ?? options, ledger, current, this.#now(), back);
    refuseOutdated(shown, plan);
    const steps = await this.#runner.foreseen(ledger);
    return { ...plan, ...(steps.length > 0 && { steps }) };
  }

  /**
   * Carries out a plan, if it is still what would be done, or whatever is to do for an intent. Refusals of the kernel are
   * returned, after what was done was undone. Throws LOCKED, NOT_OURS, LIMIT_EXCEEDED, WIDER_EFFECTS, WEIGHTS_TOO_UNEVEN,
   * PLAN_OUTDATED.
   */
  async apply(what: Intent | IntendedPlan, options: ApplyOptions & PlanOptions = {}): Promise<ApplyResult> {
    const shown = 'changes' in what ? what : undefined;
    const intent = 'changes' in what ? what.intent : what;
    const { force = false, command = 'apply', onPlan, onPass, signal } = options;
    return this.#locked(command, signal, async (_, pass) => {
      onPass?.(pass);
      const ledger = this.#ledger();
      const back = intent.undo && (await wayBack(this.#engine, intent.undo, ledger));
      const current = await this.#read(intent.desired, ledger, back);
      // One moment for all of it: weights that grow are the same in the plan and in what verifies it.
      const now = this.#now();
      const plan = await this.#planned(intent, shown?.options ?? options, ledger, current, now, back);
      refuseOutdated(shown, plan);
      onPlan?.(plan);
      const refusal = planRefusal(plan, force);
      if (refusal) throw refusal;
      const entry = await this.#applied(plan.intent, ledger, now);
      const { desired } = plan.intent;
      const before = withRoutes(current, plan);
      const transaction = { desired, plan, before, ledger, entry, command, by: this.#by };
      if (back) {
        const next = restoredLedger(ledger, back.owners, back.keys, entry.id + 1);
        if (plan.changes.length === 0 && sameOwners(ledger, next)) return NOTHING_DONE;
        const target = back.targetFrom(current);
        return transact(this.#engine, { ...transaction, next, target, about: back.about }, options);
      }
      const next = nextLedger(ledger, entry, desired, plan.changes, servicesIn(before), plan.adopted);
      if (plan.changes.length === 0 && sameIntent(ledger.applied, entry)) {
        this.#write(ledger, sameButFor(ledger, next));
        return NOTHING_DONE;
      }
      return transact(this.#engine, { ...transaction, next }, options);
    });
  }

  /**
   * Deals with what a crash left; in another boot, applies what was applied last, and then tells of that. Undefined if
   * there was nothing to do. Throws what `apply` throws.
   */
  async recover(options: ApplyOptions & Pick<PlanOptions, 'adopt'> = {}): Promise<Recovery | ApplyResult | undefined> {
    const recovery = await this.#locked('recover', options.signal, async (found, pass) => {
      options.onPass?.(pass);
      return found;
    });
    const applied = this.#store.ledger()?.applied;
    if (!applied || applied.table === this.#engine.table) return recovery;
    const desired = await this.#store.get(applied.desired, desiredShape);
    return this.apply({ desired, source: applied }, { command: 'recover', force: true, ...options });
  }

  /**
   * Takes over what others made of services, and their destinations; of all that there are with "all". Returns the services
   * of which something is new. Throws SERVICE_NOT_FOUND, INVALID_ADDRESS, LOCKED.
   */
  async adopt(services: readonly string[] | 'all', { onPass }: PassOption = {}): Promise<string[]> {
    const meant = services === 'all' ? undefined : new Set(services.map((service) => serviceKey(service)));
    return this.#locked('adopt', undefined, async (_, pass) => {
      onPass?.(pass);
      const ledger = this.#ledger();
      const present = (await this.ipvs.snapshot()).services;
      const absent = [...(meant ?? [])].find((address) => !present.some((service) => service.address === address));
      if (absent !== undefined) throw new IpvsError('SERVICE_NOT_FOUND', { operation: 'adopt', subject: absent });
      const chosen = present.filter(({ address }) => meant?.has(address) ?? true);
      const keys = foreignKeys(chosen, ownership(await this.#known(ledger)));
      await this.#changeOwners('adopt', new Set(keys), ledger, touched(ledger, { makes: keys }));
      return [...new Set(keys.flatMap((key) => serviceOf(key) ?? []))];
    });
  }

  /**
   * Forgets that services are ours; the kernel keeps them as they are. Returns those that were.
   * Throws SERVICE_NOT_FOUND, INVALID_ADDRESS, LOCKED.
   */
  async disown(services: readonly string[] | 'all', { onPass }: PassOption = {}): Promise<string[]> {
    const meant = services === 'all' ? undefined : services.map((service) => serviceKey(service));
    return this.#locked('disown', undefined, async (_, pass) => {
      onPass?.(pass);
      const ledger = this.#ledger();
      const ours = ownServices(await this.#known(ledger));
      const without = new Set(meant ?? ours);
      const unknown = [...without].find((address) => !ours.has(address));
      if (unknown !== undefined)
        throw new IpvsError('SERVICE_NOT_FOUND', { operation: 'disown', subject: unknown, detail: 'it is not ours' });
      const applied = await this.#appliedWithout(ledger.applied, without);
      const held = [...ledger.drains, ...ledger.ramps].filter(({ service }) => without.has(service));
      const keys = new Set([...without, ...held.map(keyOf)]);
      await this.#changeOwners('disown', keys, ledger, { ...touched(ledger, { takes: [...without] }), applied });
      return [...without];
    });
  }

  /** Changes the table directly, and records it in the history, with who owns what. Throws LOCKED. */
  verb<T>(
    command: string,
    touches: Touches,
    action: (ipvs: Ipvs) => Promise<T>,
    options: DirectOptions = {},
  ): Promise<T> {
    const { store, table, context } = this.#engine;
    const record = { store, table, lock: this.#lock };
    const look: DirectWork<T>['look'] = (keys) => lookAt(context, keys);
    return verb(
      record,
      () => this.#settled(),
      { command, touches, action: () => action(this.ipvs), look, ...options },
      () => this.#now().wallMs,
    );
  }

  /** What a flush leaves: it removes services alone. */
  async remains(): Promise<Remains> {
    const applied = await appliedTo(this.#engine, this.#ledger());
    return remainsOf(applied, await readTables(this.#engine));
  }

  /** Takes the weight of a destination, until its connections are over. Throws SERVICE_NOT_FOUND, DESTINATION_NOT_FOUND. */
  drain(service: string, destination: string, options?: DrainOptions): Promise<Drain> {
    return this.#drains.begin(service, destination, options);
  }

  /** Gives it back. Throws NO_SUCH_DRAIN. */
  cancelDrain(
    service: string,
    destination: string,
    options?: DirectOptions,
  ): Promise<{ readonly drain: Drain; readonly weight: number }> {
    return this.#drains.cancel(service, destination, options);
  }

  /** Those that go on, that are drained and kept, and that ended within the hour. `details`: with who holds them. */
  drains(options?: { readonly details?: boolean }): Promise<DrainProgress[]> {
    return this.#drains.list(options);
  }

  ramps(): Promise<RampProgress[]> {
    return this.#drains.ramps();
  }

  /** How many drains and ramps are in progress. */
  inProgress(): DrainPass['left'] {
    return leftIn(this.#ledger());
  }

  /** Whether a process advances them, for as long as they last. */
  get isFollowed(): boolean {
    return this.#follower?.isThere() ?? false;
  }

  /** For a process that advances them: others see it until it releases this. */
  follow(): Promise<Lock> {
    return this.#follower?.begin() ?? Promise.resolve(UNLOCKED);
  }

  /** Carries drains and ramps on, as every method does that changes the table. */
  stepDrains(options: { readonly signal?: AbortSignal } = {}): Promise<DrainPass> {
    return this.#drains.pass('drain run', options.signal);
  }

  /** Until it is over. Throws NO_SUCH_DRAIN, ABORTED. */
  async waitForDrain(service: string, destination: string, options?: DrainWaitOptions): Promise<DrainOutcome> {
    return waitForDrain(this.#drains, destinationOf(service, destination), options);
  }

  /** Those that can be read, the oldest first. */
  history(): HistoryEntry[] {
    return this.#store.history();
  }

  /** Those that cannot. */
  damagedEntries(): DamagedEntry[] {
    return this.#store.damagedEntries();
  }

  /** With what it names. Throws NO_SUCH_ENTRY, STORE_DAMAGED. */
  async entry(id: number): Promise<PastApply> {
    return pastApply(this.#store, entryOf(this.#store, id));
  }

  /**
   * The way back, to be planned and applied like any other intent: to the state before an entry, by default the last one
   * that was applied, or to the state after it. Everything that this entry and later ones changed or described is restored
   * as it was, with its owner. Throws NO_SUCH_ENTRY, STORE_DAMAGED.
   */
  async undoIntent(
    id: number = lastUndoable(this.#store).id,
    side: UndoPoint['side'] = 'before',
  ): Promise<{ readonly intent: Intent; readonly id: number }> {
    const undo = { id, side };
    const { desired, source } = await wayBack(this.#engine, undo, this.#ledger());
    return { intent: { desired, source, undo }, id };
  }

  /** The configuration after an entry, or as the kernel holds it now, by resource. */
  async tables(of: number | 'kernel'): Promise<Tables> {
    if (of === 'kernel') return configurations(resources, await readTables(this.#engine));
    const entry = entryOf(this.#store, of);
    if (entry.touched === undefined) return tablesOf(this.#engine, entry.after);
    // A direct command keeps only what it touched: the rest follows from the kernel and later entries.
    const back = await wayBack(this.#engine, { id: of, side: 'after' }, this.#ledger());
    return back.targetFrom(await readTables(this.#engine));
  }

  /**
   * How the kernel differs from what was applied last, or from an intent; and since when this is known, by key. Changes
   * nothing. Throws STORE_DAMAGED.
   */
  async drift(intent?: Intent): Promise<Drift> {
    const ledger = this.#ledger();
    const known = await this.#known(ledger);
    const desired = intent?.desired ?? (await this.#lastDesired(ledger));
    const tables = await readTables(this.#engine, [desired]);
    const plan = planOf(resources, desired, known, tables, { adopt: true });
    const { differences, foreign } = differencesIn(plan, known);
    const moment = this.#now();
    const now = new Date(moment.wallMs).toISOString();
    const { table } = this.#engine;
    const before = this.#store.sightings() ?? { version: 1, table, applied: {} };
    const { seen, next } = sighted(before, {
      table,
      path: intent && (intent.source?.files[0]?.path ?? ''),
      keys: [...differences.map(({ key }) => key), ...foreign],
      now,
    });
    if (JSON.stringify(next) !== JSON.stringify(before)) this.#store.writeSightings(next);
    const since = (key: string) => seen[key] ?? now;
    return {
      differences: differences.map((difference) => ({ ...difference, since: since(difference.key) })),
      foreign: foreign.map((service) => ({ service, since: since(service) })),
      held: this.#held(ledger, servicesIn(tables), moment),
    };
  }

  /**
   * What this host lacks for the answers of masqueraded servers, by default of what was applied last, and what of that
   * cannot be known. Changes nothing.
   */
  async missingPrerequisites(intent?: Intent): Promise<MissingPrerequisite[]> {
    const desired = intent?.desired ?? (await this.applied());
    const isMasqueraded = ({ destinations }: DesiredService) =>
      destinations.some(({ forward }) => forward === 'masquerade');
    return desired.services.some(isMasqueraded) ? missingPrerequisites(desired, await this.#facts()) : [];
  }

  /** Tells whose a key is: an address, that of a service and a destination's with a blank between, or "sync master". */
  async owners(): Promise<(key: string) => Owner> {
    return ownership(await this.#known(this.#ledger()));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.ipvs.close();
    await this.#engine.context.addresses?.close();
    this.#release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Writes the ledger, with an entry of the history, if it says something new. */
  async #changeOwners(command: string, keys: ReadonlySet<string>, before: Ledger, after: Ledger): Promise<void> {
    if (isDeepStrictEqual(before, after)) return;
    const addEntry = await this.#beginEntry(command, keys, before);
    await addEntry(after);
  }

  /** Looks at what a command is about to change; what it returns adds the entry, then writes the ledger. */
  async #beginEntry(
    command: string,
    keys: ReadonlySet<string>,
    ledger: Ledger,
  ): Promise<(after: Ledger) => Promise<void>> {
    const look = () => lookAt(this.#engine.context, keys);
    const before = await look();
    return async (next) => {
      const at = new Date(this.#now().wallMs).toISOString();
      const after = await look();
      const nextId = await addDirectEntry(this.#store, { command, by: this.#by, at, keys, before, after, ledger });
      this.#store.writeLedger({ ...next, nextId });
    };
  }

  #ledger(): Ledger {
    return ledgerFor(this.#engine.table, this.#store.ledger());
  }

  #write(before: Ledger, after: Ledger): void {
    if (!isDeepStrictEqual(after, before)) this.#store.writeLedger(after);
  }

  async #known(ledger: Ledger, nowBootMs = this.#now().bootMs): Promise<Known<DesiredState>> {
    return knownAt(ledger, await appliedTo(this.#engine, ledger), nowBootMs);
  }

  async #read(desired: DesiredState, ledger: Ledger, back?: WayBack): Promise<Tables> {
    const applied = await appliedTo(this.#engine, ledger);
    return readTables(this.#engine, [desired, ...(applied ? [applied] : []), ...(back?.about ?? [])], back?.kept);
  }

  /** The newest first. */
  async *#pastStates(): AsyncGenerator<DesiredState> {
    for (const { desired } of [...this.#store.history()].reverse()) yield await this.#store.get(desired, desiredShape);
  }

  async #lastDesired({ applied }: Ledger): Promise<DesiredState> {
    return applied ? this.#store.get(applied.desired, desiredShape) : NOTHING_DESIRED;
  }

  async #planned(
    intent: Intent,
    options: PlanOptions,
    ledger: Ledger,
    current: Tables,
    now: Moment,
    back: WayBack | undefined,
  ): Promise<IntendedPlan> {
    if (back) return this.#plannedUndo(intent, options, ledger, current, now, back);
    // Most of it is as it was applied.
    await this.#store.look(intent.desired, desiredShape);
    const known = await this.#known(ledger, now.bootMs);
    const { targets, adopt = false, prune = false } = options;
    const past = () => this.#pastStates();
    const meant = targets && (await addressesOf(targets, intent.desired, known.applied, past));
    const desired = meant ? targetedState(intent.desired, known.applied, meant) : intent.desired;
    const limited = meant && { targets: withNeededKeys(meant, desired) };
    const made = planOf(resources, desired, known, current, { adopt, prune, ...limited });
    const withDrains = await withDrainEffects(withGuardEffects(made, desired, servicesIn(current)), desired, () =>
      this.#runner.stranded(),
    );
    const withHeld = withHeldEffects(withDrains, () => heldOriginals(this.#engine.context.defense));
    const plan = await withRemovalEffects(withHeld, addressesIn(current), this.#engine.context.addresses);
    const excess = excesses(plan, servicesIn(current), limitOf(options, intent.desired, known.applied));
    const uneven = unevenIn(plan, servicesIn(current), intent.desired.limits?.maxWeightSteps);
    const { table } = this.#engine;
    const replaces = replacedBy(plan, intent, ledger);
    const held = this.#held(ledger, servicesIn(current), now).filter(({ service }) => !meant || meant.has(service));
    const more = {
      ...(replaces && { replaces }),
      ...(adopt && { owners: adoptedBy(desired, known, current) }),
      ...(held.length > 0 && { held }),
      ...(uneven.length > 0 && { uneven }),
    };
    return { ...plan, table, intent: { ...intent, desired }, options, excess, ...more };
  }

  async #plannedUndo(
    intent: Intent,
    options: PlanOptions,
    ledger: Ledger,
    current: Tables,
    { bootMs }: Moment,
    back: WayBack,
  ): Promise<IntendedPlan> {
    const { owners: then } = back;
    const target = back.targetFrom(current);
    const [ownerNow, ownerThen] = [
      ownership(await this.#known(ledger)),
      ownership({ applied: then.applied ? back.desired : undefined, made: new Set(then.made) }),
    ];
    const keys = undoneKeys(back, ledger, { target, current, ownerThen });
    // An adopted address is released, never deleted.
    const adopted = new Set(ledger.adopted);
    const isRelease = ({ resource, key, operation }: Change) =>
      resource === 'addresses' && adopted.has(key) && (operation as AddressOperation).type === 'address.delete';
    const changes = undoPlan(resources, target, current, keys).filter((change) => !isRelease(change));
    const unchanged = keys.size - new Set(changes.map(({ key }) => key)).size;
    const made = { changes, unchanged, conflicts: [], strays: [] };
    const withHeld = withHeldEffects(made, () => heldOriginals(this.#engine.context.defense));
    const plan = await withRemovalEffects(withHeld, addressesIn(current), this.#engine.context.addresses);
    const applied = await appliedTo(this.#engine, ledger);
    const excess = excesses(plan, servicesIn(current), limitOf(options, intent.desired, applied));
    const present = serviceKeysIn(current);
    const kept = [...serviceKeysIn(target)].filter((key) => present.has(key));
    const owners = ownerChanges(kept, ownerNow, ownerThen);
    const restored = restoredLedger(ledger, then, back.keys, ledger.nextId);
    const drains = drainChanges(ledger.drains, restored.drains, bootMs);
    const more = { ...(owners.length > 0 && { owners }), ...(drains.length > 0 && { drains }) };
    return { ...plan, table: this.#engine.table, intent, options, excess, ...more };
  }

  #held(ledger: Ledger, { services }: Snapshot, now: Moment): HeldWeight[] {
    if (ledger.drains.length + ledger.ramps.length === 0) return [];
    const byAddress = new Map(services.map((service) => [service.address, service]));
    const quiescentExpire = this.#runner.quiescentExpire(ledger.drains.map(({ service }) => byAddress.get(service)));
    return heldWeights(ledger, { services: byAddress, quiescentExpire, now });
  }

  async #applied(
    { desired, source: { files, hosts } = NOWHERE }: Intent,
    ledger: Ledger,
    { wallMs, bootMs }: Moment,
  ): Promise<Applied> {
    const at = new Date(wallMs).toISOString();
    return {
      id: this.#store.nextId(ledger),
      table: ledger.table,
      at,
      bootMs,
      desired: await this.#store.put(desired, desiredShape),
      files,
      hosts,
    };
  }

  async #appliedWithout(applied: Applied | null, services: ReadonlySet<string>): Promise<Applied | null> {
    if (applied === null) return null;
    const desired = await this.#store.get(applied.desired, desiredShape);
    const rest = desired.services.filter(({ service }) => !services.has(service.address));
    return { ...applied, desired: await this.#store.put({ ...desired, services: rest }, desiredShape) };
  }

  /** With the table's lock, what a crash left dealt with, and drains carried on. */
  async #locked<T>(
    purpose: string,
    signal: AbortSignal | undefined,
    work: (recovery: Recovery | undefined, pass: DrainPass) => Promise<T>,
  ): Promise<T> {
    const held = await this.#lock(purpose, signal);
    try {
      const { recovery, pass } = await this.#settled();
      return await work(recovery, pass);
    } finally {
      held.release();
    }
  }

  #settled(): Promise<Settled> {
    return settle(this.#engine, this.#runner);
  }
}

function contextOf({ ipvs, addresses, sysctls, masquerade }: DirectorParts, store: Store, table: string): Context {
  return {
    ipvs,
    // Where there are no settings there is nothing to defend.
    defense: sysctls ? defenseRecord(store, table) : idleDefense(store, table),
    ...(addresses && { addresses }),
    ...(sysctls && { sysctls: new SysctlTable(sysctls) }),
    ...(masquerade && { masquerade }),
  };
}

/** A plan that was shown is carried out only as it was shown. */
function refuseOutdated(shown: IntendedPlan | undefined, plan: IntendedPlan): void {
  if (shown && shown.table !== plan.table)
    throw new IpvsError('PLAN_OUTDATED', { detail: 'it is of another boot, or of another network namespace' });
  if (shown && !samePlan(shown, plan)) throw new IpvsError('PLAN_OUTDATED');
}

/**
 * The keys of what an undo restores. What is foreign again is as another program wants it: of that, only what the entries
 * themselves changed comes back, and not what the other program changed since.
 */
function undoneKeys(
  { keys, leftFrom }: WayBack,
  { drains, ended = [], ramps }: Ledger,
  {
    target,
    current,
    ownerThen,
  }: { readonly target: Tables; readonly current: Tables; readonly ownerThen: (key: string) => Owner },
): ReadonlySet<string> {
  // A pass over drains and ramps writes no entry, and what it changed is our own work.
  const passed = new Set([...drains, ...ended, ...ramps].map(keyOf));
  const isForeign = (key: string) => keys.has(key) && ownerThen(key) === 'foreign' && !passed.has(key);
  const foreign = new Set([...serviceKeysIn(target)].filter(isForeign));
  if (foreign.size === 0) return keys;
  const since = new Set(undoPlan(resources, leftFrom(current), current, foreign).map(({ key }) => key));
  return new Set([...keys].filter((key) => !since.has(key)));
}

/** A file that lost its limit, with all the rest, is what the limit is for. */
function limitOf({ maxChange }: PlanOptions, desired: DesiredState, applied: DesiredState | undefined): number {
  return maxChange ?? Math.min(desired.limits?.maxChange ?? 1, applied?.limits?.maxChange ?? 1);
}

/** One file after another is a mistake that is easily made. */
function replacedBy({ changes }: Plan, { source }: Intent, { applied }: Ledger): string | undefined {
  const [before, now] = [applied?.files[0]?.path, source?.files[0]?.path];
  return before !== now && changes.some(({ phase }) => phase === 'remove-service') ? before : undefined;
}

/** What a plan takes over: objects that exist, and that it describes. */
function adoptedBy(desired: DesiredState, known: Known<DesiredState>, current: Tables): OwnerChange[] {
  const described = describedKeys(desired);
  const present = [...serviceKeysIn(current)].filter((key) => described.has(key));
  return ownerChanges(present, ownership(known), () => 'ours').filter(({ from }) => from === 'foreign');
}

/** With the routes that will go with an address, which are not read otherwise. */
function withRoutes(tables: Tables, { routes = [] }: RemovalEffects): Tables {
  const read = (tables['routes'] ?? []) as readonly KeptRoute[];
  return routes.length === 0 ? tables : { ...tables, routes: [...read, ...routes] };
}

function servicesIn(tables: Tables): Snapshot {
  return tables['services'] as Snapshot;
}

const NOTHING_DONE: ApplyResult = { outcome: 'applied', done: [], failed: [], skipped: [], undone: [], stuck: [] };

function sameOwners(a: Ledger, b: Ledger): boolean {
  const comparable = (ledger: Ledger) => ({ ...ownersOf(ledger), applied: ledger.applied?.desired });
  return isDeepStrictEqual(comparable(a), comparable(b));
}

function addressesIn(tables: Tables): readonly HeldAddress[] | null {
  return tables['addresses'] as readonly HeldAddress[] | null;
}

/** What was applied before stays applied; of where it came from the last word counts. */
function sameButFor(ledger: Ledger, { applied: { files, hosts }, ...next }: ReturnType<typeof nextLedger>): Ledger {
  return { ...next, applied: ledger.applied && { ...ledger.applied, files, hosts }, nextId: ledger.nextId };
}

function sameIntent(before: Applied | null, after: Applied): boolean {
  return before?.desired === after.desired && before.table === after.table;
}
