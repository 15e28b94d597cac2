/** Masquerade rules, as a resource: those in the chains of iptables that are ours. All of a chain is written at once. */
import { IpvsError } from '../errors.ts';
import type { Family } from '../ipvs/address.ts';
import { type Chain, keyOf, SOURCE_CHAIN } from '../masquerade/chain.ts';
import type { Chains } from '../masquerade/masquerade-table.ts';
import {
  chainName,
  changedChain,
  describeMasqueradeOperation,
  families,
  isChain,
  type MasqueradeOperation,
  textsOf,
} from '../masquerade/operation.ts';
import { describeAction, familyOf, formatMatch, type MasqueradeRule } from '../masquerade/rule.ts';
import { linesOf, rulesIn, sameLines } from '../masquerade/rule-lines.ts';
import {
  type Change,
  type ChangeResult,
  type Diff,
  type DiffOptions,
  type Known,
  type Resource,
  type Stray,
  UNDONE,
} from '../plan/resource.ts';
import { type Context, resultsOf } from './context.ts';
import { chainKey, masqueradeKey } from './keys.ts';
import type { DesiredState } from './state.ts';

/** Null where nobody speaks of rules, so that nobody looked; and in memory. */
export type Masquerade = Chains | null;

/** Without counters. */
type PackedChain = Omit<Chain, 'lines'> & { readonly lines: readonly string[] };
type Packed = Readonly<Record<Family, PackedChain>> | null;

export const masqueradeResource: Resource<DesiredState, Masquerade, Masquerade, Packed, MasqueradeOperation, Context> =
  {
    name: 'masquerade',
    read,
    async reread({ masquerade }, before, keys) {
      const isMeant = [...keys].some((key) => key.startsWith(masqueradeKey('')) || key.startsWith(chainKey('')));
      return masquerade && before && isMeant
        ? masquerade.chains(families.filter((each) => before[each].exists))
        : before;
    },
    pack: (current) => current && { inet: packed(current.inet), inet6: packed(current.inet6) },
    unpack: (chains) => chains && { inet: unpacked(chains.inet), inet6: unpacked(chains.inet6) },
    diff: diffMasquerade,
    undo(before, now, keys) {
      // Entries of the history from before there were rules say nothing of them.
      if (!before || !now) return [];
      return families.flatMap((family) => {
        const { lines, jumps } = before[family];
        const key = [...keys].find((each) => familyOfKey(each) === family);
        const wanted = { lines: textsOf(lines), jumps };
        if (key === undefined || isChain(now[family], wanted)) return [];
        return [change({ type: 'masquerade.restore', family, ...wanted }, UNDONE, 'file', key)];
      });
    },
    async check({ masquerade }, changes) {
      const refused = (await masquerade?.check(changes.map(({ operation }) => operation))) ?? [];
      return refused.flatMap(({ operation, error }): ChangeResult[] => {
        const change = changes.find((each) => each.operation === operation);
        return change && error ? [{ change, error }] : [];
      });
    },
    async apply({ masquerade }, changes) {
      const results = (await masquerade?.execute(changes.map(({ operation }) => operation))) ?? [];
      return resultsOf(changes, results, () => false);
    },
  };

/** Where no rule is spoken of iptables is not needed, and need not be installed. */
async function read({ masquerade }: Context, about?: readonly DesiredState[]): Promise<Masquerade> {
  if (masquerade === undefined) return null;
  if (about !== undefined) {
    const spoken = about.flatMap((state) => (state.masquerade ? [state.masquerade] : []));
    if (spoken.length === 0) return null;
    return masquerade.chains(families.filter((family) => spoken.flat().some((rule) => familyOf(rule) === family)));
  }
  try {
    return await masquerade.chains(['inet']);
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'IPTABLES_MISSING') return null;
    throw error;
  }
}

function packed({ exists, jumps, lines }: Chain): PackedChain {
  return { exists, jumps, lines: textsOf(lines) };
}

function unpacked({ lines, ...rest }: PackedChain): Chain {
  return { ...rest, lines: lines.map((text) => ({ text, packets: 0n, bytes: 0n })) };
}

/** The chains that hold these rules, and nothing else. */
export function chainsOf(rules: readonly MasqueradeRule[]): Chains {
  const chain = (family: Family): Chain => {
    const none: Chain = { exists: false, lines: [], jumps: 0 };
    const own = rules.filter((rule) => familyOf(rule) === family);
    const { lines, jumps } = changedChain(
      none,
      own.map((rule) => ({ type: 'masquerade.add', rule })),
    );
    return own.length === 0 ? none : unpacked({ exists: true, lines, jumps });
  };
  return { inet: chain('inet'), inet6: chain('inet6') };
}

/** What chains hold, as far as nobody altered it. */
export function rulesOf(chains: Chains): MasqueradeRule[] {
  return families.flatMap((family) => [...rulesIn(chains[family].lines).values()].flatMap(({ rule }) => rule ?? []));
}

function diffMasquerade(
  { masquerade }: DesiredState,
  { applied, made }: Known<DesiredState>,
  current: Masquerade,
  options: DiffOptions,
): Diff<MasqueradeOperation> {
  if (masquerade === undefined || current === null) return { changes: [], unchanged: 0, conflicts: [], strays: [] };
  const before = new Map(applied?.masquerade?.map((rule) => [formatMatch(rule), rule]));
  const diffs = families.map((family) => {
    const rules = masquerade.filter((rule) => familyOf(rule) === family);
    return diffChain(family, rules, { before, made }, current[family], options);
  });
  return {
    changes: diffs.flatMap(({ changes }) => changes),
    unchanged: diffs.reduce((sum, { unchanged }) => sum + unchanged, 0),
    conflicts: diffs.flatMap(({ conflicts }) => conflicts),
    strays: diffs.flatMap(({ strays }) => strays),
  };
}

function diffChain(
  family: Family,
  rules: readonly MasqueradeRule[],
  { before, made }: { readonly before: ReadonlyMap<string, MasqueradeRule>; readonly made: ReadonlySet<string> },
  chain: Chain,
  { adopt = false, prune = false }: DiffOptions,
): Diff<MasqueradeOperation> {
  const changes: Change<MasqueradeOperation>[] = [];
  const conflicts: Diff['conflicts'][number][] = [];
  const strays: Stray[] = [];
  let unchanged = 0;
  const held = rulesIn(chain.lines);
  const isOurs = (name: string) => before.has(name) || made.has(masqueradeKey(name));
  const hadOurs = [...held.keys()].some(isOurs) || before.size > 0;
  for (const rule of rules) {
    const [name, lines] = [formatMatch(rule), linesOf(rule)];
    const [there, was] = [held.get(name), before.get(name)];
    const cause = was && sameLines(linesOf(was), lines) ? 'drift' : 'file';
    held.delete(name);
    if (there === undefined) changes.push(change({ type: 'masquerade.add', rule }, describeAction(rule), cause));
    else if (sameLines(there.lines, lines)) unchanged++;
    else if (!isOurs(name) && !adopt)
      conflicts.push({ resource: 'masquerade', subject: masqueradeKey(name), of: masqueradeKey(name) });
    else {
      const is = there.rule ? describeAction(there.rule) : 'altered';
      changes.push(change({ type: 'masquerade.edit', rule }, `${is} → ${describeAction(rule)}`, cause));
    }
  }
  for (const name of held.keys()) {
    const wasApplied = before.has(name);
    const key = masqueradeKey(name);
    if (wasApplied || prune)
      changes.push(change({ type: 'masquerade.delete', key: name }, wasApplied ? 'left the file' : 'not in the file'));
    else strays.push(stray(key, made.has(key) ? 'verb' : 'foreign'));
  }
  for (const { text } of chain.lines)
    if (keyOf(text) === undefined) strays.push(stray(chainKey(`${chainName(family)}: ${text}`), 'foreign'));
  const isNeeded = chain.lines.length === 0 ? before.size > 0 && rules.length === 0 : hadOurs || unchanged > 0;
  if (isNeeded && !isChain(chain, changedChain(chain, [])))
    changes.push(change({ type: 'masquerade.mend', family }, mendWords(chain), 'drift'));
  return { changes, unchanged, conflicts, strays };
}

function mendWords({ lines, jumps }: Chain): string {
  if (lines.length === 0) return 'empty → removed';
  if (jumps === 0) return `nothing leads to it → ${SOURCE_CHAIN.from} does`;
  return jumps > 1 ? `${SOURCE_CHAIN.from} leads to it ${jumps} times → once` : 'another order → that of its rules';
}

/** Undefined for the key of something else. */
function familyOfKey(key: string): Family | undefined {
  const ofChain = families.find((family) => key === chainKey(chainName(family)));
  if (ofChain !== undefined) return ofChain;
  const name = key.startsWith(masqueradeKey('')) ? key.slice(masqueradeKey('').length) : undefined;
  return name === undefined ? undefined : familyOf({ source: name });
}

function change(
  operation: MasqueradeOperation,
  detail: string,
  cause: Change['cause'] = 'file',
  key = keyOfOperation(operation),
): Change<MasqueradeOperation> {
  const names = { ...describeMasqueradeOperation(operation), key, of: key };
  const [phase, effects] = shapes[operation.type];
  return { resource: 'masquerade', phase, operation, ...names, detail, cause, effects };
}

function keyOfOperation(operation: MasqueradeOperation): string {
  if ('family' in operation) return chainKey(chainName(operation.family));
  return masqueradeKey('rule' in operation ? formatMatch(operation.rule) : operation.key);
}

const STAYS = 'connections that are there keep their ports';

const shapes: Readonly<Record<MasqueradeOperation['type'], readonly [Change['phase'], readonly string[]]>> = {
  'masquerade.add': ['prepare', []],
  'masquerade.mend': ['prepare', []],
  'masquerade.edit': ['edit', [STAYS]],
  'masquerade.restore': ['edit', []],
  'masquerade.delete': ['withdraw', ['connections that are there go on, new ones are not masqueraded']],
};

function stray(key: string, owner: Stray['owner']): Stray {
  return { resource: 'masquerade', subject: key, key, of: key, owner };
}
