/** A model of iptables: the tables of both stores, and what iptables-save and iptables-restore do with them. */
import { IpvsError } from '../../src/base/errors.ts';
import type { ChainPlace, Store } from '../../src/iptables/chain.ts';
import type { RuleHost } from '../../src/iptables/host.ts';
import type { Program } from '../../src/iptables/programs.ts';
import type { Family } from '../../src/net/address.ts';

/** The lines of each chain, by name. */
type ModelTable = Record<string, string[]>;

export interface IptablesState {
  /** What the host calls iptables. */
  host: Store;
  /** By "STORE FAMILY TABLE"; a table is there once it was written to. */
  tables: Record<string, ModelTable>;
}

const builtIn: Readonly<Record<string, readonly string[]>> = {
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

export class IptablesModel implements RuleHost {
  state: IptablesState;
  readonly #interfaces: readonly string[];

  constructor(interfaces: readonly string[], state: IptablesState = { host: 'nft', tables: {} }) {
    this.#interfaces = interfaces;
    this.state = state;
  }

  interfaces(): readonly string[] {
    return this.#interfaces;
  }

  async store(program: Program): Promise<Store> {
    return program === 'host' ? this.state.host : program;
  }

  mayHaveNft(): boolean {
    return true;
  }

  hasNftChain({ chain, family }: ChainPlace): boolean {
    return chain.name in (this.state.tables[`nft ${family} ${chain.table}`] ?? {});
  }

  hasLegacyTable({ chain, family }: ChainPlace): boolean {
    return `legacy ${family} ${chain.table}` in this.state.tables;
  }

  async save(program: Program, family: Family, table: string): Promise<string> {
    const chains = Object.entries(this.#table(program, family, table));
    return [
      `*${table}`,
      ...chains.map(([name]) => `:${name} ${isBuiltIn(table, name) ? 'ACCEPT' : '-'} [0:0]`),
      ...chains.flatMap(([name, lines]) => lines.map((line) => `[0:0] -A ${name} ${line}`)),
      'COMMIT',
      '',
    ].join('\n');
  }

  async restore(program: Program, family: Family, text: string): Promise<void> {
    const [first = '', ...commands] = text.trimEnd().split('\n');
    const table = first.slice(1);
    const chains = structuredClone(this.#table(program, family, table));
    for (const command of commands) execute(chains, table, command);
    this.state = { ...this.state, tables: { ...this.state.tables, [this.#key(program, family, table)]: chains } };
  }

  /** As another program adds and deletes rules. */
  async change(store: Store, family: Family, table: string, command: string): Promise<void> {
    await this.restore(store, family, `*${table}\n${command}\nCOMMIT`);
  }

  #key(program: Program, family: Family, table: string): string {
    return `${program === 'host' ? this.state.host : program} ${family} ${table}`;
  }

  #table(program: Program, family: Family, table: string): ModelTable {
    const empty = () => Object.fromEntries((builtIn[table] ?? []).map((name) => [name, [] as string[]]));
    return this.state.tables[this.#key(program, family, table)] ?? empty();
  }
}

function isBuiltIn(table: string, chain: string): boolean {
  return builtIn[table]?.includes(chain) ?? false;
}

/** One line for iptables-restore --noflush. Changes `chains`. */
function execute(chains: ModelTable, table: string, command: string): void {
  if (command === 'COMMIT') return;
  const [, created] = /^:(\S+) /.exec(command) ?? [];
  if (created !== undefined) {
    chains[created] = [];
    return;
  }
  const [, verb = '', name = '', line = ''] = /^(?:\[\d+:\d+\] )?-([AIDFX]) (\S+) ?(.*)$/.exec(command) ?? [];
  const lines = chains[name];
  if (lines === undefined) throw refused(`no chain ${name}: ${command}`);
  const [, target = ''] = / -j (IPVSD-\S+)$/.exec(` ${line}`) ?? [];
  if ('AI'.includes(verb) && target !== '' && !(target in chains)) throw refused(`no target ${target}: ${command}`);
  if (verb === 'A') lines.push(line);
  else if (verb === 'I') {
    const [, number = '1', inserted = ''] = /^(\d+ )?(.*)$/.exec(line) ?? [];
    if (Number(number) > lines.length + 1) throw refused(`index too big: ${command}`);
    lines.splice(Number(number) - 1, 0, inserted);
  } else if (verb === 'F') chains[name] = [];
  else if (verb === 'D') {
    const at = lines.indexOf(line);
    if (at < 0) throw refused(`no such rule: ${command}`);
    lines.splice(at, 1);
  } else if (verb === 'X') {
    const isUsed = Object.values(chains).some((each) => each.some((rule) => rule.endsWith(`-j ${name}`)));
    if (isBuiltIn(table, name) || lines.length > 0 || isUsed) throw refused(`chain in use: ${command}`);
    delete chains[name];
  } else throw refused(`unknown command: ${command}`);
}

function refused(detail: string): IpvsError {
  return new IpvsError('IPTABLES_REFUSED', { detail });
}
