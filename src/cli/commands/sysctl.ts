/** `ipvs sysctl list|get|set|explain|guard`: settings of the kernel that balancing depends on. */

import { IpvsError, refusalBy } from '../../base/errors.ts';
import { sysctlKey } from '../../resources/keys.ts';
import { type SysctlSpec, sysctlFeature } from '../../sysctl/catalogue.ts';
import type { GuardEvent } from '../../sysctl/guard.ts';
import { describeKind, shownSysctlValue } from '../../sysctl/kind.ts';
import { findSysctl } from '../../sysctl/settings.ts';
import { isSame, type SysctlChange, type SysctlState, type SysctlTable } from '../../sysctl/sysctl-table.ts';
import { action, type Group } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { recordOptions, withDirector, withVerb } from '../spec/globals.ts';
import { seconds } from '../spec/options.ts';
import { EXIT, printWarning, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { columns, jsonLine, painter, printJson, time } from '../words/output.ts';

const SETTING = 'NAME=VALUE; of those of IPVS the last part of the name will do';
const NAME = 'As sysctl(8) writes them; of those of IPVS the last part will do: conntrack';

export const command: Group = {
  description:
    'Settings of the kernel that balancing depends on: all of net.ipv4.vs, and those around it for forwarding, ARP and connection tracking. They belong to the network namespace, but for a few that the reference names. "ipvs apply" sets what a file says in its section "sysctls".',
  fallback: 'list',
  actions: [
    action<GlobalOptions & { readonly all?: boolean }>({
      usage: 'list',
      summary: 'Show settings with their values',
      description:
        'Shows those of IPVS, and of the others what is not as a network namespace begins. A * marks what is not as it begins, and what the defense holds for now is said, with what it will put back.',
      options: { all: { describe: 'Show all of them' } },
      examples: [{ line: 'ipvs sysctl' }, { line: 'ipvs sysctl list --all --json' }],
      async run(options) {
        const states = await withSysctls(options, (table) => table.list());
        const shown = options.all ? states : states.filter((state) => isOfIpvs(state.name) || isSet(state));
        const held = await heldIfKnown(options);
        if (options.json) printJson(shown.map((state) => ({ ...withHeld(state, held), changed: isSet(state) })));
        else print(listed(shown, held, options));
        return EXIT.done;
      },
    }),
    action<GlobalOptions & { readonly names: readonly string[] }>({
      usage: 'get <names..>',
      summary: 'Show the values of settings',
      arguments: { names: NAME },
      examples: [{ line: 'ipvs sysctl get conntrack net.ipv4.ip_forward' }],
      async run(options) {
        const states = await withSysctls(options, (table) => options.names.map((name) => table.get(name)));
        const held = await heldIfKnown(options);
        const line = ({ name, value }: SysctlState) => `${name} = ${shownSysctlValue(kindOf(name), value)}`;
        if (options.json) printJson(states.map((state) => withHeld(state, held)));
        else print(states.map((state) => `${line(state)}${heldWords(state.name, held)}`).join('\n'));
        return EXIT.done;
      },
    }),
    action<GlobalOptions & { readonly settings: readonly string[] }>({
      usage: 'set <settings..>',
      summary: 'Set settings, all of them or none',
      description:
        'Sets settings, all of them or, when one is refused, none. They hold until the next boot; what is to last belongs into the file that "ipvs apply" reads. What the defense holds for now is refused: the controller would put it right.',
      arguments: { settings: SETTING },
      examples: [
        { line: 'ipvs sysctl set conntrack=1 net.ipv4.ip_forward=1' },
        { line: 'ipvs sysctl set drop_entry=automatic' },
      ],
      async run(options) {
        const wanted = settingsOf(options.settings);
        // Checked before anything is opened or locked.
        const { normalizeSysctls } = await import('../../sysctl/settings.ts');
        const names = Object.keys(normalizeSysctls(wanted));
        kernelOnly(options);
        const edits = names.map(sysctlKey);
        const set = (table: SysctlTable) => async () => {
          const held = await heldNow(options);
          const subject = names.find((name) => Object.hasOwn(held, name));
          if (subject !== undefined) throw new IpvsError('SYSCTL_HELD', { operation: 'set sysctl', subject });
          return table.set(wanted);
        };
        const changes = await withSysctls(options, (sysctls) =>
          withVerb(options, 'sysctl set', { edits }, set(sysctls), { sysctls }),
        );
        if (options.json) printJson({ done: 'set', changes });
        else print(changes.length === 0 ? 'nothing to change' : changes.map(changeWords).join('\n'));
        return EXIT.done;
      },
    }),
    action<GlobalOptions & { readonly name: string }>({
      usage: 'explain <name>',
      summary: 'Show what a setting means, and who should touch it',
      arguments: { name: NAME },
      examples: [{ line: 'ipvs sysctl explain expire_nodest_conn' }],
      async run(options) {
        const { name, spec } = findSysctl(options.name);
        const inMemory = options.transport === 'memory';
        const now = inMemory ? {} : await withSysctls(options, (table) => valueNow(table, name));
        const held = inMemory ? {} : await heldIfKnown(options);
        if (options.json) printJson(withHeld(explained(name, spec, now), held));
        else print(explanation(name, spec, now, held, options));
        return EXIT.done;
      },
    }),
    action<GlobalOptions & { readonly file?: string; readonly interval?: string }>({
      usage: 'guard [file]',
      summary: 'Keep settings as they should be, and tell who changes them when',
      description:
        'Keeps the settings that were applied last, or that a file says, and prints what was changed: from, to, and when it was noticed. What is changed again and again is put right less and less often, once a minute in the end. Until it is interrupted; settings stay as they are then.',
      arguments: { file: 'YAML or JSON, - is standard input; default: what was applied last, as it changes' },
      options: { interval: { value: 'DURATION', describe: 'How often it looks. Default: 1s' } },
      examples: [{ line: 'ipvs sysctl guard' }, { line: 'ipvs sysctl guard router.yaml --json' }],
      run: guard,
    }),
  ],
};

async function guard({
  file,
  interval,
  ...options
}: GlobalOptions & { file?: string; interval?: string }): Promise<number> {
  kernelOnly(options);
  const intervalSeconds = seconds(interval, 'interval') ?? 1;
  if (intervalSeconds < 1 || intervalSeconds > 86_400) throw new UsageError('--interval takes 1s to 1d');
  const [{ guardSysctls }, { untilInterrupted }] = await Promise.all([
    import('../../sysctl/guard.ts'),
    import('../terminal/interrupt.ts'),
  ]);
  return withDirector(options, async (director) => {
    let wanted = async () => (await director.applied()).sysctls ?? {};
    if (file !== undefined) {
      const [{ sourceOf, loadDescription }] = await Promise.all([import('../description.ts')]);
      const { sysctls = {} } = (await loadDescription(sourceOf(file), { known: director.hosts() })).state;
      if (Object.keys(sysctls).length === 0) throw new UsageError(`${file} says nothing in a section "sysctls"`);
      wanted = async () => sysctls;
    }
    const names = Object.keys(await wanted());
    if (!options.json) print(names.length === 0 ? 'no settings are described (yet)' : `guarding ${names.join(', ')}`);
    // What the defense, or a drain, changed for now is not put right: they put it back themselves.
    const kept = async () => {
      // Nor what an apply is about to set.
      if (director.isInterrupted) return {};
      const held = director.heldForNow();
      return Object.fromEntries(Object.entries(await wanted()).filter(([name]) => !(name in held)));
    };
    await withSysctls(options, (table) =>
      untilInterrupted((signal) =>
        guardSysctls(table, kept, {
          intervalMs: intervalSeconds * 1000,
          signal,
          onEvent: (event) => print(options.json ? jsonLine(eventFields(event)) : eventWords(event)),
        }),
      ),
    );
    return EXIT.done;
  });
}

async function withSysctls<T>(options: GlobalOptions, work: (table: SysctlTable) => T): Promise<Awaited<T>> {
  kernelOnly(options);
  const { openSysctls } = await import('../../sysctl/open.ts');
  const table = await openSysctls();
  try {
    return await work(table);
  } finally {
    table.close();
  }
}

/** What settings were that a controller of the defense holds now. */
type Held = Readonly<Record<string, string>>;

/** For those who only look. */
async function heldIfKnown(options: GlobalOptions): Promise<Held> {
  try {
    return await heldNow(options);
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    printWarning(`whether the defense holds settings is unknown: ${error.message}`);
    return {};
  }
}

async function heldNow(options: GlobalOptions): Promise<Held> {
  const [{ openRecord }, { defenseRecord, heldOriginals }] = await Promise.all([
    import('../../record/record.ts'),
    import('../../defense/record.ts'),
  ]);
  const { store, table } = openRecord('', recordOptions(options));
  return heldOriginals(defenseRecord(store, table));
}

function withHeld<State extends { readonly name: string }>(state: State, held: Held): State {
  const original = held[state.name];
  return original === undefined ? state : { ...state, heldBy: 'defense', original };
}

/** " (held by the defense, which puts back off)" */
function heldWords(name: string, held: Held): string {
  const original = held[name];
  return original === undefined
    ? ''
    : ` (held by the defense, which puts back ${shownSysctlValue(kindOf(name), original)})`;
}

function kernelOnly({ transport }: GlobalOptions): void {
  if (transport === 'memory') throw new UsageError('a table in memory has no settings of a kernel');
}

function settingsOf(texts: readonly string[]): Record<string, string> {
  const settings = new Map<string, string>();
  for (const text of texts) {
    const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined)
      throw new UsageError(`a setting is written NAME=VALUE, not "${text}"`);
    if (settings.has(name)) throw new UsageError(`${name} is given twice`);
    settings.set(name, value);
  }
  return Object.fromEntries(settings);
}

function isOfIpvs(name: string): boolean {
  return name.startsWith('net.ipv4.vs.');
}

function isSet({ name, value, default: fallback }: SysctlState): boolean {
  return fallback !== null && !isSame(name, value, fallback);
}

function kindOf(name: string) {
  return findSysctl(name).spec.kind;
}

function listed(states: readonly SysctlState[], held: Held, options: GlobalOptions): string {
  const paint = painter(options);
  const rows = states.map((state) => {
    const { name, value, default: fallback } = state;
    const { spec } = findSysctl(name);
    const shown = (text: string | null) => (text === null ? 'depends' : shownSysctlValue(spec.kind, text));
    return [name, `${shown(value)}${isSet(state) ? ' *' : ''}${heldWords(name, held)}`, shown(fallback), spec.about];
  });
  const missing = states.some(({ name }) => isOfIpvs(name))
    ? []
    : ['', 'ip_vs is not loaded: its settings come with it'];
  const [head = '', ...lines] = columns([['NAME', 'VALUE', 'BEGINS AS', 'MEANING'], ...rows], new Set());
  return [paint('bold', head), ...lines, ...missing].join('\n');
}

function changeWords({ name, from, to }: SysctlChange): string {
  const kind = kindOf(name);
  return `${name}  ${shownSysctlValue(kind, from)} → ${shownSysctlValue(kind, to)}`;
}

/** The value of a setting; none where it is not there, or why it is unknown. */
interface Now {
  readonly value?: string | undefined;
  readonly error?: IpvsError | undefined;
}

function valueNow(table: SysctlTable, name: string): Now {
  let value: string | undefined;
  const error = refusalBy(() => {
    value = table.find(name);
  });
  return { value, error };
}

function explained(name: string, spec: SysctlSpec, { value, error }: Now): { readonly name: string } {
  const { default: fallback, about, who, scope, dependsOn, readOnly = false, rootOfHostOnly = false } = spec;
  const explained = {
    name,
    value: value ?? null,
    ...(error && { error: error.message }),
    default: fallback,
    ...(dependsOn !== undefined && { dependsOn }),
    takes: describeKind(spec.kind),
    scope,
    readOnly,
    rootOfHostOnly,
    since: sysctlFeature({ name })?.since ?? null,
    about,
    who,
  };
  return explained;
}

function explanation(
  name: string,
  spec: SysctlSpec,
  { value, error }: Now,
  held: Held,
  options: GlobalOptions,
): string {
  const feature = sysctlFeature({ name });
  const shown = (text: string) => shownSysctlValue(spec.kind, text);
  const begins = spec.default === null ? `depends on ${spec.dependsOn ?? 'the host'}` : shown(spec.default);
  const scope = spec.scope === 'host' ? 'the host: one for all network namespaces' : 'the network namespace';
  const missing = error ? `unknown: ${error.message}` : 'not there: the module is not loaded, or the kernel lacks it';
  const rows = [
    ['now', value === undefined ? missing : `${shown(value)}${heldWords(name, held)}`],
    ['begins as', begins],
    ['takes', spec.readOnly ? 'nothing: it only shows' : describeKind(spec.kind)],
    ['of', scope],
    ...(spec.rootOfHostOnly ? [['set by', 'root of the host; root of a container only sees it']] : []),
    ...(feature?.since ? [['since', `Linux ${feature.since}; without it ${feature.without}`]] : []),
    ['for', spec.who],
  ];
  return [painter(options)('bold', name), spec.about, '', ...columns(rows, new Set())].join('\n');
}

function eventFields({ error, ...event }: GuardEvent): object {
  return { event: 'sysctl-changed', ...event, ...(error && { error: error.message }) };
}

function eventWords({ name, from, to, noticedAt, outcome, times, error }: GuardEvent): string {
  const kind = kindOf(name);
  const absence = outcome === 'unreadable' ? 'cannot be read' : 'is not there';
  const found = to === null ? absence : `${shownSysctlValue(kind, from)} → ${shownSysctlValue(kind, to)}`;
  const often = times > 1 ? ` (${times} times of late)` : '';
  const what = {
    restored: `put right${often}`,
    waiting: 'somebody changes it again and again: it is put right later',
    refused: `cannot be put right: ${error?.message ?? ''}`,
    gone: 'it is put right when it is there again',
    unreadable: `its value is unknown: ${error?.message ?? ''}`,
  }[outcome];
  return `${time(noticedAt)}  ${name}  ${found}; ${what}`;
}
