/** The composition root: a table, what is remembered of it, and everything that can be done to both. */
import { isDeepStrictEqual } from 'node:util';
import { AddressTable } from '../addresses/address-table.ts';
import { IpvsError } from '../errors.ts';
import { serviceKey } from '../ipvs/address.ts';
import { type Ipvs, type OpenOptions, openIpvsAt, type Snapshot } from '../ipvs/ipvs.ts';
import { inNamespace } from '../ipvs/namespace.ts';
import { MasqueradeTable } from '../masquerade/masquerade-table.ts';
import { native } from '../native.ts';
import { author } from '../plan/author.ts';
import { VolatileFiles } from '../plan/files.ts';
import { knownAt } from '../plan/known.ts';
import {
  type Applied,
  type Author,
  type Drain,
  type HistoryEntry,
  type Ledger,
  ledgerFor,
  type Source,
} from '../plan/ledger.ts';
import type { Lock } from '../plan/lock.ts';
import { type Plan, planOf, samePlan, type Tables } from '../plan/plan.ts';
import type { Known } from '../plan/resource.ts';
import { sighted } from '../plan/sightings.ts';
import { Store } from '../plan/store.ts';
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
} from '../plan/transaction.ts';
import { SysctlTable } from '../sysctl/sysctl-table.ts';
import { KernelSysctls, type SysctlHost } from '../sysctl/sysctls.ts';
import type { Context } from './context.ts';
import { defenseRecord, heldOriginals, idleDefense } from './defense-record.ts';
import { destinationOf } from './destination-of.ts';
import { withDrainEffects } from './drain-effects.ts';
import { DrainKeeper, type DrainOptions } from './drain-keeper.ts';
import type { DrainProgress, RampProgress } from './drain-progress.ts';
import { type DrainPass, DrainRunner } from './drain-runner.ts';
import { type DrainOutcome, type DrainWaitOptions, waitForDrain } from './drain-wait.ts';
import { type Difference, differencesIn } from './drift.ts';
import { withGuardEffects } from './guard-effects.ts';
import { serviceOf } from './keys.ts';
import { type Excess, excesses } from './limits.ts';
import { nextLedger } from './next-ledger.ts';
import { foreignKeys, type Owner, ownership, ownServices, type Touches, touched } from './ownership.ts';
import { entryOf, type PastApply, pastApply, wayBack } from './past.ts';
import { openRecord, type RecordOptions, type TableRecord } from './record.ts';
import { planRefusal } from './refuse.ts';
import { resources } from './resources.ts';
import { type Settled, settle } from './settled.ts';
import { type DesiredState, NOTHING_DESIRED } from './state.ts';
import { SysctlLoans } from './sysctl-loans.ts';
import { withHeldEffects } from './sysctls.ts';
import { addressesOf, targetedState, withNeededKeys } from './targets.ts';
import { verb } from './verb.ts';

/** What is wanted, and where it came from. */
export interface Intent {
  readonly desired: DesiredState;
  readonly source?: Source;
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
export interface IntendedPlan extends Plan {
  /** Of which table. */
  readonly table: string;
  /** The file that was applied last, where services leave that are not of this one. */
  readonly replaces?: string;
  readonly intent: Intent;
  readonly options: PlanOptions;
  /** Of what it takes away more than it may. */
  readonly excess: readonly Excess[];
}

export interface ApplyOptions extends RunOptions {
  /** Whatever it takes away. */
  readonly force?: boolean;
  /** What it is called in the history. Default: "apply". */
  readonly command?: string;
  /** Called under the lock with what will be done; throwing calls it off. */
  readonly onPlan?: (plan: IntendedPlan) => void;
}

export interface Drift {
  /** Each with the time when it was first seen: ISO 8601. */
  readonly differences: readonly (Difference & { readonly since: string })[];
  /** Services that others made, and that are not described. */
  readonly foreign: readonly { readonly service: string; readonly since: string }[];
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
    const masquerade = new MasqueradeTable({ native: native(), namespacePath: path });
    return new Director({ ipvs: openIpvsAt(path, open), addresses, ...record, release, sysctls, masquerade });
  });
}

/** The record's default is one that ends with the director, and no lock. */
export interface DirectorParts extends Partial<TableRecord> {
  readonly ipvs: Ipvs;
  /** Those of interfaces. Default: there are none. */
  readonly addresses?: AddressTable;
  readonly by?: Author;
  readonly now?: () => number;
  /** Called once, at the end. */
  readonly release?: () => void;
  /** Settings of the kernel for this table. Default: out of reach. */
  readonly sysctls?: SysctlHost;
  /** Default: there are no rules. */
  readonly masquerade?: MasqueradeTable;
}

const UNLOCKED: Lock = { release: () => undefined };
const NOWHERE: Source = { files: [], hosts: {} };

export class Director implements AsyncDisposable {
  readonly ipvs: Ipvs;
  readonly #store: Store;
  readonly #engine: Engine<DesiredState, Context>;
  readonly #lock: TableRecord['lock'];
  readonly #by: Author;
  readonly #now: () => number;
  readonly #release: () => void;
  #closed = false;
  #lastApplied: { readonly id: string; readonly desired: DesiredState } | undefined;
  readonly #runner: DrainRunner;
  readonly #drains: DrainKeeper;

  constructor(parts: DirectorParts) {
    const { ipvs, store = new Store(new VolatileFiles()), table = 'memory' } = parts;
    const { lock = async () => UNLOCKED, by = author(), now = Date.now, sysctls } = parts;
    const { release = () => undefined } = parts;
    this.ipvs = ipvs;
    this.#store = store;
    this.#engine = { resources, context: contextOf(parts, store, table), store, table };
    this.#release = release;
    this.#lock = lock;
    this.#by = by;
    this.#now = now;
    const common = { ipvs, store, now, ledger: () => this.#ledger() };
    this.#runner = new DrainRunner({ ...common, loans: new SysctlLoans(sysctls, store) });
    this.#drains = new DrainKeeper({
      ...common,
      runner: this.#runner,
      locked: (purpose, signal, work) => this.#locked(purpose, signal, (_, pass) => work(pass)),
    });
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
    if (this.#lastApplied?.id !== id) this.#lastApplied = { id, desired: await this.#store.get<DesiredState>(id) };
    return this.#lastApplied.desired;
  }

  /** Settings that a controller of the defense, or a drain, has changed for now, as they were. */
  heldForNow(): Readonly<Record<string, string | number>> {
    return { ...this.#store.ledger()?.changedSysctls, ...heldOriginals(this.#engine.context.defense) };
  }

  /** What would be done now, for an intent or a plan that was kept. Changes nothing. Throws PLAN_OUTDATED. */
  async plan(what: Intent | IntendedPlan, options: PlanOptions = {}): Promise<IntendedPlan> {
    const shown = 'changes' in what ? what : undefined;
    const intent = 'changes' in what ? what.intent : what;
    const ledger = this.#ledger();
    const before = await this.#read(intent.desired, ledger);
    const plan = await this.#planned(intent, shown?.options ?? options, ledger, before, this.#now());
    refuseOutdated(shown, plan);
    return plan;
  }

  /**
   * Carries out a plan, if it is still what would be done, or whatever is to do for an intent. Refusals of the kernel are
   * returned, after what was done was undone. Throws LOCKED, NOT_OURS, LIMIT_EXCEEDED, PLAN_OUTDATED.
   */
  async apply(what: Intent | IntendedPlan, options: ApplyOptions & PlanOptions = {}): Promise<ApplyResult> {
    const shown = 'changes' in what ? what : undefined;
    const intent = 'changes' in what ? what.intent : what;
    const { force = false, command = 'apply', onPlan, signal } = options;
    return this.#locked(command, signal, async () => {
      const ledger = this.#ledger();
      const before = await this.#read(intent.desired, ledger);
      // One moment for all of it: weights that grow are the same in the plan and in what verifies it.
      const nowMs = this.#now();
      const plan = await this.#planned(intent, shown?.options ?? options, ledger, before, nowMs);
      refuseOutdated(shown, plan);
      onPlan?.(plan);
      const refusal = planRefusal(plan, force);
      if (refusal) throw refusal;
      const applied = await this.#applied(plan.intent, ledger, nowMs);
      const next = nextLedger(ledger, applied, plan.intent.desired, plan.changes, servicesIn(before));
      if (plan.changes.length === 0 && sameIntent(ledger.applied, applied)) {
        this.#write(ledger, sameButFor(ledger, next));
        return { outcome: 'applied', done: [], failed: [], skipped: [], undone: [], stuck: [] };
      }
      const transaction = { desired: plan.intent.desired, plan, before, ledger, next, command, by: this.#by };
      return transact(this.#engine, transaction, options);
    });
  }

  /**
   * Deals with what a crash left; in another boot, applies what was applied last, and then tells of that. Undefined if
   * there was nothing to do. Throws what `apply` throws.
   */
  async recover(options: ApplyOptions & Pick<PlanOptions, 'adopt'> = {}): Promise<Recovery | ApplyResult | undefined> {
    const recovery = await this.#locked('recover', options.signal, async (found) => found);
    const applied = this.#store.ledger()?.applied;
    if (!applied || applied.table === this.#engine.table) return recovery;
    const desired = await this.#store.get<DesiredState>(applied.desired);
    return this.apply({ desired, source: applied }, { command: 'recover', force: true, ...options });
  }

  /**
   * Takes over what others made of services, and their destinations; of all that there are with "all". Returns the services
   * of which something is new. Throws SERVICE_NOT_FOUND, INVALID_ADDRESS, LOCKED.
   */
  async adopt(services: readonly string[] | 'all'): Promise<string[]> {
    const meant = services === 'all' ? undefined : new Set(services.map((service) => serviceKey(service)));
    return this.#locked('adopt', undefined, async () => {
      const ledger = this.#ledger();
      const present = (await this.ipvs.snapshot()).services;
      const absent = [...(meant ?? [])].find((address) => !present.some((service) => service.address === address));
      if (absent !== undefined) throw new IpvsError('SERVICE_NOT_FOUND', { operation: 'adopt', subject: absent });
      const chosen = present.filter(({ address }) => meant?.has(address) ?? true);
      const keys = foreignKeys(chosen, ownership(await this.#known(ledger)));
      this.#write(ledger, touched(ledger, { makes: keys }));
      return [...new Set(keys.flatMap((key) => serviceOf(key) ?? []))];
    });
  }

  /**
   * Forgets that services are ours; the kernel keeps them as they are. Returns those that were.
   * Throws SERVICE_NOT_FOUND, INVALID_ADDRESS, LOCKED.
   */
  async disown(services: readonly string[] | 'all'): Promise<string[]> {
    const meant = services === 'all' ? undefined : services.map((service) => serviceKey(service));
    return this.#locked('disown', undefined, async () => {
      const ledger = this.#ledger();
      const ours = ownServices(await this.#known(ledger));
      const without = new Set(meant ?? ours);
      const unknown = [...without].find((address) => !ours.has(address));
      if (unknown !== undefined)
        throw new IpvsError('SERVICE_NOT_FOUND', { operation: 'disown', subject: unknown, detail: 'it is not ours' });
      const applied = await this.#appliedWithout(ledger.applied, without);
      this.#write(ledger, { ...touched(ledger, { takes: [...without] }), applied });
      return [...without];
    });
  }

  /** Does something to the table that is no apply, and remembers what of it is ours, or is no more. Throws LOCKED. */
  verb<T>(command: string, touches: Touches, action: (ipvs: Ipvs) => Promise<T>): Promise<T> {
    const { store, table } = this.#engine;
    const record = { store, table, lock: this.#lock };
    const settle = () => this.#settled();
    return verb(record, settle, command, touches, () => action(this.ipvs));
  }

  /** Takes the weight of a destination, until its connections are over. Throws SERVICE_NOT_FOUND, DESTINATION_NOT_FOUND. */
  drain(service: string, destination: string, options?: DrainOptions): Promise<Drain> {
    return this.#drains.begin(service, destination, options);
  }

  /** Gives it back. Throws NO_SUCH_DRAIN. */
  cancelDrain(service: string, destination: string): Promise<{ readonly drain: Drain; readonly weight: number }> {
    return this.#drains.cancel(service, destination);
  }

  /** Those that go on, that are drained and kept, and that ended within the hour. `details`: with who holds them. */
  drains(options?: { readonly details?: boolean }): Promise<DrainProgress[]> {
    return this.#drains.list(options);
  }

  ramps(): RampProgress[] {
    return this.#drains.ramps();
  }

  /** Carries drains and ramps on, as every method does that changes the table. */
  stepDrains(options: { readonly signal?: AbortSignal } = {}): Promise<DrainPass> {
    return this.#drains.pass('drain run', options.signal);
  }

  /** Until it is over. Throws NO_SUCH_DRAIN, ABORTED. */
  async waitForDrain(service: string, destination: string, options?: DrainWaitOptions): Promise<DrainOutcome> {
    return waitForDrain(this.#drains, destinationOf(service, destination), options);
  }

  /** The oldest first. */
  history(): HistoryEntry[] {
    return this.#store.history();
  }

  /** With what it names. Throws NO_SUCH_ENTRY, STORE_DAMAGED. */
  async entry(id: number): Promise<PastApply> {
    return pastApply(this.#store, entryOf(this.#store, id));
  }

  /**
   * The way back, to be planned and applied like any other intent: to what had been applied before an entry, by default
   * the last one that was applied. Throws NO_SUCH_ENTRY, STORE_DAMAGED.
   */
  async undoIntent(id?: number): Promise<{ readonly intent: Intent; readonly id: number }> {
    const { desired, source, id: undone } = await wayBack(this.#engine, id);
    return { intent: { desired, source }, id: undone };
  }

  /** The configuration after an entry, or as the kernel holds it now, by resource. */
  async tables(of: number | 'kernel'): Promise<Tables> {
    if (of === 'kernel') return configurations(resources, await readTables(this.#engine));
    return tablesOf(this.#engine, entryOf(this.#store, of).after);
  }

  /**
   * How the kernel differs from what was applied last, or from an intent; and since when this is known, by key. Changes
   * nothing. Throws STORE_DAMAGED.
   */
  async drift(intent?: Intent): Promise<Drift> {
    const ledger = this.#ledger();
    const known = await this.#known(ledger);
    const desired = intent?.desired ?? (await this.#lastDesired(ledger));
    const plan = planOf(resources, desired, known, await readTables(this.#engine, [desired]), { adopt: true });
    const { differences, foreign } = differencesIn(plan, known);
    const now = new Date(this.#now()).toISOString();
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
    };
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

  #ledger(): Ledger {
    return ledgerFor(this.#engine.table, this.#store.ledger());
  }

  #write(before: Ledger, after: Ledger): void {
    if (!isDeepStrictEqual(after, before)) this.#store.writeLedger(after);
  }

  async #known(ledger: Ledger, nowMs = this.#now()): Promise<Known<DesiredState>> {
    return knownAt(ledger, await appliedTo<DesiredState>(this.#store, ledger), nowMs);
  }

  async #read(desired: DesiredState, ledger: Ledger): Promise<Tables> {
    const applied = await appliedTo<DesiredState>(this.#store, ledger);
    return readTables(this.#engine, applied ? [desired, applied] : [desired]);
  }

  /** The newest first. */
  async *#pastStates(): AsyncGenerator<DesiredState> {
    for (const { desired } of [...this.#store.history()].reverse()) yield await this.#store.get<DesiredState>(desired);
  }

  async #lastDesired({ applied }: Ledger): Promise<DesiredState> {
    return applied ? this.#store.get<DesiredState>(applied.desired) : NOTHING_DESIRED;
  }

  async #planned(
    intent: Intent,
    options: PlanOptions,
    ledger: Ledger,
    current: Tables,
    nowMs: number,
  ): Promise<IntendedPlan> {
    // Most of it is as it was applied.
    await this.#store.look(intent.desired);
    const known = await this.#known(ledger, nowMs);
    const { targets, adopt = false, prune = false } = options;
    const past = () => this.#pastStates();
    const meant = targets && (await addressesOf(targets, intent.desired, known.applied, past));
    const desired = meant ? targetedState(intent.desired, known.applied, meant) : intent.desired;
    const limited = meant && { targets: withNeededKeys(meant, desired) };
    const made = planOf(resources, desired, known, current, { adopt, prune, ...limited });
    const withDrains = await withDrainEffects(withGuardEffects(made, desired, servicesIn(current)), desired, () =>
      this.#runner.stranded(),
    );
    const plan = withHeldEffects(withDrains, () => heldOriginals(this.#engine.context.defense));
    const excess = excesses(plan, servicesIn(current), limitOf(options, intent.desired, known.applied));
    const { table } = this.#engine;
    const replaces = replacedBy(plan, intent, ledger);
    return { ...plan, table, intent: { ...intent, desired }, options, excess, ...(replaces && { replaces }) };
  }

  async #applied(
    { desired, source: { files, hosts } = NOWHERE }: Intent,
    ledger: Ledger,
    nowMs: number,
  ): Promise<Applied> {
    const at = new Date(nowMs).toISOString();
    return { id: ledger.nextId, table: ledger.table, at, desired: await this.#store.put(desired), files, hosts };
  }

  async #appliedWithout(applied: Applied | null, services: ReadonlySet<string>): Promise<Applied | null> {
    if (applied === null) return null;
    const desired = await this.#store.get<DesiredState>(applied.desired);
    const rest = desired.services.filter(({ service }) => !services.has(service.address));
    return { ...applied, desired: await this.#store.put({ ...desired, services: rest }) };
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

/** A file that lost its limit, with all the rest, is what the limit is for. */
function limitOf({ maxChange }: PlanOptions, desired: DesiredState, applied: DesiredState | undefined): number {
  return maxChange ?? Math.min(desired.limits?.maxChange ?? 1, applied?.limits?.maxChange ?? 1);
}

/** One file after another is a mistake that is easily made. */
function replacedBy({ changes }: Plan, { source }: Intent, { applied }: Ledger): string | undefined {
  const [before, now] = [applied?.files[0]?.path, source?.files[0]?.path];
  return before !== now && changes.some(({ phase }) => phase === 'remove-service') ? before : undefined;
}

function servicesIn(tables: Tables): Snapshot {
  return tables['services'] as Snapshot;
}

/** What was applied before stays applied; of where it came from the last word counts. */
function sameButFor(ledger: Ledger, { applied: { files, hosts }, ...next }: ReturnType<typeof nextLedger>): Ledger {
  return { ...next, applied: ledger.applied && { ...ledger.applied, files, hosts }, nextId: ledger.nextId };
}

function sameIntent(before: Applied | null, after: Applied): boolean {
  return before?.desired === after.desired && before.table === after.table;
}
