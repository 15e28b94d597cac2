/** Plays one game: carries out its actions and checks after each what must hold. */
import { isDeepStrictEqual } from 'node:util';
import { IpvsError } from '../../src/base/errors.ts';
import type { IntendedPlan } from '../../src/director/director.ts';
import type { ApplyResult } from '../../src/engine/transaction.ts';
import type { DrainPass } from '../../src/weights/drain-runner.ts';
import { type Action, addressAt, type Direct, daemon, type Foreign, keyOfPlace, type Recorded } from './actions.ts';
import { Crash } from './faults.ts';
import {
  afterAdopt,
  afterApply,
  afterCommand,
  afterDisown,
  isOfService,
  NOBODY,
  type Owners,
  ownerOf,
} from './oracle.ts';
import { differing, type Process, type Raw, World } from './world.ts';

/** Something that must hold does not. */
export class Violation extends Error {}

function require(holds: boolean, what: string, details?: unknown): void {
  if (holds) return;
  const more = details === undefined ? '' : `\n${JSON.stringify(details, null, 1)}`;
  throw new Violation(`${what}${more}`);
}

/** What a process said of what it did. */
interface Said {
  readonly plan?: IntendedPlan;
  readonly result?: ApplyResult;
  readonly pass?: DrainPass;
  readonly error?: unknown;
}

export async function play(actions: readonly Action[]): Promise<void> {
  const game = new Game();
  for (const [i, action] of actions.entries()) {
    try {
      await game.step(action);
    } catch (error) {
      if (error instanceof Violation || error instanceof Skip) throw error;
      throw new Error(`action ${i}, ${action.type === 'do' ? action.what.type : action.type}`, { cause: error });
    }
  }
  await game.end();
}

class Game {
  #world = new World();
  #owners: Owners = NOBODY;
  /** The owners before each entry of the history. */
  readonly #before = new Map<number, Owners>();

  async step(action: Action): Promise<void> {
    const { clock } = this.#world;
    if (action.type === 'wait')
      this.#world.clock = { wallMs: clock.wallMs + action.ms, bootMs: clock.bootMs + action.ms };
    else if (action.type === 'wall clock') this.#world.clock = { ...clock, wallMs: clock.wallMs + action.stepMs };
    else if (action.type === 'iptables')
      this.#world.iptables.state = { ...this.#world.iptables.state, host: action.host };
    else if (action.type === 'foreign') await byOthers(this.#world, action.what);
    else if (action.type === 'reboot') await this.#reboot([this.#owners]);
    else await this.#do(action);
    await this.#checkOwners();
  }

  /** Whatever was begun comes to an end. */
  async end(): Promise<void> {
    for (let pass = 0; pass < 3; pass++) {
      this.#world.clock = { ...this.#world.clock, bootMs: this.#world.clock.bootMs + 400 * 86_400_000 };
      await this.#pass();
    }
    const { director } = this.#world.start();
    const left = { ...director.inProgress(), files: this.#world.files.has('in-progress') };
    require(isDeepStrictEqual(left, { drains: 0, ramps: 0, files: false }), 'every drain and ramp ends', left);
  }

  async #do({ what, fault, meanwhile, reboots, thenUndo }: Extract<Action, { type: 'do' }>): Promise<void> {
    // Without the pass that each command begins with, what it changed is its own.
    await this.#pass();
    const before = await this.#world.raw();
    const owners = this.#owners;
    const lastId = this.#lastId();
    const twin = this.#world.copy();
    const expected = await said(twin.start(), what);
    const after = await twin.raw();
    // Whatever comes next passes over drains first.
    const passed = twin.copy();
    if (fault !== undefined) await passed.start().director.stepDrains();
    const later = await passed.raw();
    if (fault === undefined) {
      this.#world = twin;
      this.#checkSaid(what, expected, before, after);
      this.#owners = this.#ownersAfter(what, expected, owners, before, after);
      this.#remember(lastId, owners);
      await this.#checkSettled(what, expected);
      if (thenUndo) await this.#undoAgain(what, lastId, before, owners);
      return;
    }
    const meddled = new Set<string>();
    const process = this.#world.start(fault, async () => {
      const undisturbed = await this.#world.raw();
      if (meanwhile) await byOthers(this.#world, meanwhile);
      for (const key of differing(undisturbed, await this.#world.raw())) meddled.add(key);
    });
    const heard = await said(process, what);
    if (meddled.size > 0) {
      await this.#checkMeddled(what, heard, before, after, meddled);
      throw new Skip();
    }
    if (heard.error instanceof Crash && reboots) {
      this.#remember(lastId, owners);
      await this.#reboot([owners, this.#ownersAfter(what, expected, owners, before, after)]);
      return;
    }
    await this.#afterFault({ what, before, after, later, owners, expected, heard, lastId });
  }

  /** After a fault the host holds the old state or the new one, once the next command has dealt with it. */
  async #afterFault(about: {
    what: Recorded;
    before: Raw;
    after: Raw;
    later: Raw;
    owners: Owners;
    expected: Said;
    heard: Said;
    lastId: number;
  }): Promise<void> {
    const { what, before, after, later, owners, expected, heard, lastId } = about;
    const isCrash = heard.error instanceof Crash;
    const { result } = heard;
    if (!isCrash) {
      const now = await this.#world.raw();
      if (result?.outcome === 'undone') requireSame(before, now, 'the table is as it was');
      if (result?.outcome === 'mixed') {
        const told = new Set(result.stuck.map(({ change }) => change));
        const unsaid = differing(before, now).filter((key) => ![...told].some((change) => names(change, key)));
        require(unsaid.length === 0, 'each remaining difference is listed', { unsaid });
      }
      if (result?.outcome === 'applied') requireSame(after, now, 'what was applied is there');
    }
    const recovering = this.#world.start();
    const recovery = await recovering.director.recover();
    // A drain that was only on record begins with the first pass.
    await recovering.director.stepDrains();
    const now = await this.#world.raw();
    if (result?.outcome === 'mixed' || (recovery && 'stuck' in recovery && recovery.stuck.length > 0)) {
      // Nothing more is promised than the list.
      throw new Skip();
    }
    const isOld = differing(before, now).length === 0;
    const isNew = differing(later, now).length === 0;
    require(isOld || isNew, 'after a fault: the old state or the new one', {
      said: brief(heard),
      recovery: recovery?.outcome,
      fromOld: changesOf(before, now),
      fromNew: changesOf(later, now),
    });
    const candidates = [
      ...(isOld ? [owners] : []),
      ...(isNew ? [this.#withoutDrained(this.#ownersAfter(what, expected, owners, before, after), after, later)] : []),
    ];
    const actual = await recovering.director.owners();
    const keys = [...keysOf(now), ...keysOf(before)].filter((key) => key in now);
    const disagreements = candidates.map((each) =>
      keys.filter((key) => actual(key) !== ownerOf(key, each) && !isAmbiguous(what, key)),
    );
    const applied = plain(await recovering.director.applied());
    const isApplied = ({ desired }: Owners) => isDeepStrictEqual(plain(desired), applied);
    const at = candidates.findIndex((each, i) => disagreements[i]?.length === 0 && isApplied(each));
    require(at >= 0, 'after a fault: the owners of the old state or of the new one', disagreements);
    this.#owners = candidates[at] as Owners;
    this.#adoptAmbiguous(what, [...new Set([...keysOf(now), ...keysOf(before), ...keysOf(after)])], actual);
    this.#remember(lastId, owners);
  }

  /** Another program wrote meanwhile: what it did not write is as it is said. */
  async #checkMeddled(
    what: Recorded,
    { plan, result, error }: Said,
    before: Raw,
    after: Raw,
    meddled: ReadonlySet<string>,
  ): Promise<void> {
    if (result?.outcome === 'mixed') return;
    const expected = error !== undefined || result?.outcome === 'undone' ? before : after;
    const now = await this.#world.raw();
    const isOthers = (key: string) =>
      [...meddled].some(
        (each) =>
          key === each ||
          each.startsWith(`${key} `) ||
          key.startsWith(`${each} `) ||
          // By a rule of another program the other store may be the one in use.
          (each.startsWith('iptables ') && key.startsWith('iptables ')),
      );
    const other = differing(expected, now).filter((key) => !isOthers(key));
    require(other.length === 0, 'beside what another program wrote, it is as it is said', {
      said: brief({ ...(result && { result }), error }),
      meddled: [...meddled],
      wrong: changesOf(expected, now, other),
    });
    if (what.type !== 'apply' || result?.outcome !== 'applied') return;
    // It read again what it had changed.
    const { director } = this.#world.start();
    const again = await director.plan({ desired: what.desired }, { adopt: true, prune: what.prune });
    const own = new Set(plan?.changes.map(({ key }) => key));
    const left = again.changes.filter(({ key }) => own.has(key));
    require(left.length === 0, 'what was changed was verified', left.map(words));
  }

  /** The host boots, and what was applied last is applied anew. `candidates`: what it may have been. */
  async #reboot(candidates: readonly Owners[]): Promise<void> {
    const lastId = this.#lastId();
    this.#world.reboot();
    const { director } = this.#world.start();
    await director.recover();
    const applied = await director.applied();
    const found = candidates.find(({ desired }) => isDeepStrictEqual(plain(desired), plain(applied)));
    require(found !== undefined, 'after a reboot the old file or the new one holds', plain(applied));
    const { changes } = await director.plan({ desired: applied });
    require(found?.desired === undefined || changes.length === 0, 'after a reboot all is as applied', changes.map(
      words,
    ));
    this.#owners = { desired: found?.desired, made: new Set() };
    this.#remember(lastId, this.#owners);
  }

  /** What it says of itself holds, and it touched nothing that it did not name. */
  #checkSaid(what: Recorded, { plan, result, error }: Said, before: Raw, after: Raw): void {
    const changed = differing(before, after);
    if (error !== undefined) {
      require(error instanceof IpvsError, 'only an IpvsError is thrown', String((error as Error).stack));
      require(changed.length === 0, 'an error without a fault: nothing was changed', changesOf(before, after));
      return;
    }
    if (result?.outcome === 'undone') requireSame(before, after, 'the table is as it was');
    if (plan) {
      const unnamed = changed.filter((key) => !isNamed(plan, key));
      require(unnamed.length === 0, 'only what the plan named was changed', changesOf(before, after, unnamed));
    }
    if (what.type === 'apply' && !what.adopt && !what.prune) {
      const exclusive = new Set(what.desired.services.filter((each) => each.exclusive).map((e) => e.service.address));
      const foreign = changed.filter(
        (key) =>
          before[key] !== undefined &&
          (isOfService(key) || key.startsWith('address ')) &&
          ownerOf(key, this.#owners) === 'foreign' &&
          !exclusive.has(key.split(' ')[0] as string),
      );
      const wider = plan?.wider?.join('\n') ?? '';
      const effects = plan?.changes.flatMap((change) => change.effects).join('\n') ?? '';
      const isTold = (key: string) =>
        key.startsWith('address ')
          ? wider.includes(key.split(' ')[1] as string)
          : key.includes(' ') && effects.includes(key.split(' ')[1] as string);
      const untold = foreign.filter((key) => !isTold(key));
      require(untold.length === 0, 'a foreign object was changed', changesOf(before, after, untold));
    }
    const strangers = changed.filter(
      (key) => key.startsWith('iptables ') && foreignLines(before[key]) !== foreignLines(after[key]),
    );
    require(strangers.every(
      (key) => what.type === 'undo' && key.includes('IPVSD'),
    ), 'rules of others are as they were', changesOf(before, after, strangers));
  }

  /** Nothing is left to do of what was applied. */
  async #checkSettled(what: Recorded, { result }: Said): Promise<void> {
    if (what.type !== 'apply' || result?.outcome !== 'applied') return;
    const { director } = this.#world.start();
    const again = await director.plan({ desired: what.desired }, { adopt: what.adopt, prune: what.prune });
    require(again.changes.length === 0, 'after an apply there is nothing to do', again.changes.map(words));
  }

  async #undoAgain(what: Recorded, lastId: number, before: Raw, owners: Owners): Promise<void> {
    if (this.#lastId() === lastId || what.type === 'undo') return;
    const process = this.#world.start();
    const entry = process.director.history().at(-1);
    if (entry?.outcome !== 'applied') return;
    const { intent } = await process.director.undoIntent(entry.id);
    const result = await process.director.apply(intent, { force: true, command: `undo ${entry.id}` });
    const now = await this.#world.raw();
    require(result.outcome === 'applied', 'an undo without a fault is carried out', brief({ result }));
    requireSame(before, now, `undo(${what.type}(S)) = S`);
    this.#remember(lastId + 1, this.#owners);
    this.#owners = owners;
    await this.#checkOwners();
  }

  #ownersAfter(what: Recorded, { plan, result, error }: Said, owners: Owners, before: Raw, after: Raw): Owners {
    if (error !== undefined && !isLost(error)) return owners;
    switch (what.type) {
      case 'apply': {
        if (result?.outcome !== 'applied' || plan === undefined) return owners;
        const deleted = plan.changes.filter(({ verb }) => verb.startsWith('delete ')).map(({ key }) => key);
        return afterApply(owners, what.desired, new Set(deleted));
      }
      case 'undo': {
        if (result?.outcome !== 'applied' || plan?.intent.undo === undefined) return owners;
        const { id, side } = plan.intent.undo;
        if (side === 'before') return this.#before.get(id) ?? owners;
        const next = this.#history().find((entry) => entry.id > id && entry.outcome !== 'undone');
        return next === undefined ? owners : (this.#before.get(next.id) ?? owners);
      }
      case 'adopt':
        return afterAdopt(owners, Object.keys(before));
      case 'disown':
        return afterDisown(owners);
      case 'pass':
      case 'drain':
      case 'cancel drain':
        return this.#withoutDrained(owners, before, after);
      default:
        return afterCommand(owners, touchesOf(what));
    }
  }

  #withoutDrained(owners: Owners, before: Raw, after: Raw): Owners {
    const gone = Object.keys(before).filter((key) => after[key] === undefined);
    return { ...owners, made: new Set([...owners.made].filter((key) => !gone.includes(key))) };
  }

  /** A pass without faults. */
  async #pass(): Promise<void> {
    const before = await this.#world.raw();
    const process = this.#world.start();
    const drains = (await process.director.drains()).map(({ drain }) => `${drain.service} ${drain.destination}`);
    const pass = await process.director.stepDrains();
    const after = await this.#world.raw();
    const moved = new Set(pass.moves.map(({ service, destination }) => `${service} ${destination}`));
    const other = differing(before, after).filter((key) => !moved.has(key) && !key.startsWith('sysctl '));
    require(other.length === 0, 'a pass changes only what it says', changesOf(before, after, other));
    require(pass.problems.length === 0, 'a pass without faults has no problems', pass.problems.map(String));
    // A drain that ends forgets what it deleted, and what another program deleted.
    const over = drains.filter((key) => after[key] === undefined);
    this.#owners = { ...this.#owners, made: new Set([...this.#owners.made].filter((key) => !over.includes(key))) };
  }

  async #checkOwners(): Promise<void> {
    const { director } = this.#world.start();
    const actual = await director.owners();
    const wrong = keysOf(await this.#world.raw()).filter((key) => actual(key) !== ownerOf(key, this.#owners));
    require(wrong.length === 0, 'the record agrees on the owners', wrong.map((key) => ({
      key,
      record: actual(key),
      oracle: ownerOf(key, this.#owners),
    })));
  }

  #adoptAmbiguous(what: Recorded, keys: readonly string[], actual: (key: string) => string): void {
    const made = new Set(this.#owners.made);
    for (const key of keys.filter((each) => isAmbiguous(what, each)))
      if (actual(key) === 'verb') made.add(key);
      else made.delete(key);
    this.#owners = { ...this.#owners, made };
  }

  #history() {
    return this.#world.start().director.history();
  }

  #lastId(): number {
    return this.#history().at(-1)?.id ?? 0;
  }

  #remember(lastId: number, owners: Owners): void {
    for (const { id } of this.#history()) if (id > lastId) this.#before.set(id, owners);
  }
}

/** A state as JSON holds it. */
function plain(desired: unknown): unknown {
  return JSON.parse(JSON.stringify(desired ?? { services: [] }));
}

/** The rest of the game cannot be judged. */
export class Skip extends Error {}

function requireSame(expected: Raw, actual: Raw, what: string): void {
  require(differing(expected, actual).length === 0, what, changesOf(expected, actual));
}

function changesOf(before: Raw, after: Raw, keys = differing(before, after)) {
  return keys.map((key) => `${key}: ${before[key] ?? 'absent'} → ${after[key] ?? 'absent'}`);
}

interface Named {
  readonly resource: string;
  readonly key: string;
  readonly verb: string;
}

/** Whether a change is about the thing with this key. */
function names({ resource, key: own, verb }: Named, key: string): boolean {
  if (key.startsWith('iptables ')) return resource === 'rules';
  return key === own || (verb.endsWith(' service') && key.startsWith(`${own} `));
}

function isNamed({ changes, wider = [] }: IntendedPlan, key: string): boolean {
  if (changes.some((change) => names(change, key))) return true;
  if (!key.startsWith('address ')) return false;
  const [, address = ''] = key.split(' ');
  // Another address of a network becomes its primary.
  const isMoved = changes.some(({ resource }) => resource === 'addresses');
  return wider.some((text) => text.includes(address)) || isMoved;
}

/** Lines that are none of ours. */
function foreignLines(lines: string | undefined): string {
  const all: string[] = JSON.parse(lines ?? '[]');
  return JSON.stringify(all.filter((line) => !line.includes('ipvsd: ') && !line.includes('-j IPVSD-')));
}

function words({ verb, subject, detail }: { verb: string; subject: string; detail: string }): string {
  return `${verb} ${subject}: ${detail}`;
}

function brief({ result, error }: Said) {
  if (error !== undefined) return String(error);
  return (
    result && {
      outcome: result.outcome,
      failed: result.failed.map(({ error: each }) => each.message),
      stuck: result.stuck.map(({ error: each }) => each.message),
    }
  );
}

function isLost(error: unknown): boolean {
  return error instanceof IpvsError && error.code === 'REPLY_LOST';
}

/** Keys of things that have owners. */
function keysOf(raw: Raw): string[] {
  return Object.keys(raw).filter((key) => !key.startsWith('iptables ') && !key.startsWith('defense'));
}

/** A direct command that died may have said in the record what it was to create. */
function isAmbiguous(what: Recorded, key: string): boolean {
  if (!isDirect(what)) return false;
  const { makes = [], takes = [] } = touchesOf(what);
  if (takes === 'all services') return isOfService(key);
  return [...makes, ...takes].some((each) => key === each || key.startsWith(`${each} `));
}

function isDirect(what: Recorded): what is Direct {
  return !['apply', 'adopt', 'disown', 'drain', 'cancel drain', 'pass', 'undo'].includes(what.type);
}

function touchesOf(what: Direct): { makes?: string[]; takes?: string[] | 'all services'; edits?: string[] } {
  switch (what.type) {
    case 'service add':
      return { makes: [what.service] };
    case 'service delete':
      return { takes: [what.service] };
    case 'service edit':
      return { edits: [what.service] };
    case 'destination add':
      return { makes: [keyOfPlace(what.of)] };
    case 'destination edit':
      return { edits: [keyOfPlace(what.of)] };
    case 'destination delete':
      return { takes: [keyOfPlace(what.of)] };
    case 'masquerade add':
      return { makes: [`masquerade ${what.source}`] };
    case 'masquerade delete':
      return { takes: [`masquerade ${what.source}`] };
    case 'sysctl set':
      return { edits: [`sysctl ${what.name}`] };
    case 'timeouts set':
      return { edits: ['timeouts'] };
    case 'sync start':
      return { makes: ['sync master'] };
    case 'sync stop':
      return { takes: ['sync master'] };
    case 'flush':
      return { takes: 'all services' };
    case 'zero':
      return {};
  }
}

/** Carries it out; tells what was heard of it. */
async function said(process: Process, what: Recorded): Promise<Said> {
  const heard: { plan?: IntendedPlan; result?: ApplyResult; pass?: DrainPass; error?: unknown } = {};
  const onPlan = (plan: IntendedPlan) => {
    heard.plan = plan;
  };
  try {
    const { director } = process;
    if (what.type === 'apply') {
      const { desired, adopt, prune } = what;
      heard.result = await director.apply({ desired }, { adopt, prune, force: true, onPlan });
    } else if (what.type === 'undo') {
      const entry = director.history().at(-1 - what.back);
      if (entry === undefined) return heard;
      const { intent } = await director.undoIntent(entry.id, what.side);
      heard.result = await director.apply(intent, { force: true, onPlan, command: `undo ${entry.id}` });
    } else if (what.type === 'adopt') await director.adopt('all');
    else if (what.type === 'disown') await director.disown('all');
    else if (what.type === 'drain') {
      const { of, timeoutMs, afterwards } = what;
      await director.drain(of.service, addressAt(of), { timeoutMs, afterwards });
    } else if (what.type === 'cancel drain') await director.cancelDrain(what.of.service, addressAt(what.of));
    else if (what.type === 'pass') heard.pass = await director.stepDrains();
    else if (isDirect(what)) await director.verb(what.type, touchesOf(what), () => directly(process, what));
  } catch (error) {
    heard.error = process.gate.isDead ? new Crash() : error;
  }
  return heard;
}

async function directly({ ipvs, rules, sysctls }: Process, what: Direct): Promise<void> {
  switch (what.type) {
    case 'service add':
      return ipvs.addService({ address: what.service });
    case 'service delete':
      return ipvs.removeService(what.service);
    case 'service edit':
      return ipvs.editService(what.service, { scheduler: 'lc' });
    case 'destination add':
      return ipvs.addDestination(what.of.service, { address: what.of.host, weight: what.weight });
    case 'destination edit':
      return ipvs.editDestination(what.of.service, what.of.host, { weight: what.weight });
    case 'destination delete':
      return ipvs.removeDestination(what.of.service, what.of.host);
    case 'masquerade add':
      await rules.add({ source: what.source });
      return;
    case 'masquerade delete':
      return rules.delete(what.source);
    case 'sysctl set':
      sysctls.write(what.name, what.value);
      return;
    case 'timeouts set':
      return ipvs.setTimeouts({ udpSeconds: what.udpSeconds });
    case 'sync start':
      return ipvs.startSyncDaemon(daemon);
    case 'sync stop':
      return ipvs.stopSyncDaemon('master');
    case 'flush':
      return ipvs.flush();
    case 'zero':
      return ipvs.zero();
  }
}

/** A refusal is part of the game. */
async function byOthers(world: World, what: Foreign): Promise<void> {
  const { others } = world;
  try {
    switch (what.type) {
      case 'foreign service':
        return await others.addService({ address: what.service, scheduler: 'sed' });
      case 'foreign no service':
        return await others.removeService(what.service);
      case 'foreign destination':
        await others.addDestination(what.of.service, { address: what.of.host, weight: what.weight });
        return;
      case 'foreign no destination':
        return await others.removeDestination(what.of.service, what.of.host);
      case 'foreign connections':
        return connect(world, keyOfPlace(what.of), what.count);
      case 'foreign address': {
        const address = { interface: what.on, address: what.ip, prefixLength: what.prefixLength };
        await world.addresses.execute([{ type: 'address.add', address }]);
        return;
      }
      case 'foreign rule':
        return await world.iptables.change(what.store, 'inet', 'nat', what.command);
      case 'foreign setting':
        return world.sysctls.write(what.name, what.value);
      case 'foreign daemon':
        return await others.startSyncDaemon({ ...daemon, state: 'backup' });
    }
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
  }
}

function connect(world: World, key: string, activeConnections: number): void {
  const { table } = world.backend;
  world.setTable({
    ...table,
    services: table.services.map((service) => ({
      ...service,
      destinations: service.destinations.map((each) =>
        `${service.address} ${each.address}` === key ? { ...each, activeConnections } : each,
      ),
    })),
  });
}
