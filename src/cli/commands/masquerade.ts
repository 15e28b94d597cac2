/** `ipvs masquerade add|delete|list`: rules by which an inner network reaches outside. */

import type { MasqueradeState, MasqueradeTable } from '../../iptables/masquerade-table.ts';
import {
  describeAction,
  familyOf,
  formatMatch,
  type MasqueradeProtocol,
  masqueradeProtocols,
  normalizeMasquerade,
  normalizeMatch,
  parseMatch,
} from '../../iptables/rules/masquerade.ts';
import { masqueradeKey } from '../../resources/keys.ts';
import { mappingActions } from '../mapping-actions.ts';
import { portAction } from '../port-action.ts';
import { action, type Group, type OptionSpec } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withVerb } from '../spec/globals.ts';
import { oneValue } from '../spec/options.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';
import { complain, print } from '../terminal/stdout.ts';
import { columns, painter, printJson } from '../words/output.ts';

interface MatchOptions extends GlobalOptions {
  readonly source?: string;
  readonly out?: string;
  readonly protocol?: string;
}

interface RuleOptions extends MatchOptions {
  readonly ports?: string;
  readonly randomFully?: boolean;
  readonly toSource?: string;
}

const matchOptions: Readonly<Record<string, OptionSpec>> = {
  source: { value: 'NETWORK', describe: 'The inner network: 10.0.0.0/24, fd00::/64' },
  out: { value: 'INTERFACE', describe: 'Only what leaves through this interface' },
  protocol: { value: 'NAME', choices: masqueradeProtocols, describe: 'Only this protocol' },
};

export const command: Group = {
  description:
    'Rules by which hosts of an inner network reach outside under an address of this host: the kernel gives each connection a port of it. They stand in a chain of iptables that is ours; all other rules stay as they are. "ipvs apply" keeps those that a file says in its section "masquerade".',
  fallback: 'list',
  actions: [
    action({
      usage: 'list',
      summary: 'Show the rules that are ours',
      description: 'Shows the rules in our chains, and how many connections began by each since it was made.',
      examples: [{ line: 'ipvs masquerade' }, { line: 'ipvs masquerade list --json' }],
      async run(options) {
        const rules = await withMasquerade(options, (table) => table.list());
        if (options.json) printJson({ rules: rules.map(({ key, rule, flows }) => ({ key, ...rule, flows })) });
        else print(rules.length === 0 ? 'no rules' : listed(rules, options));
        return EXIT.done;
      },
    }),
    action<RuleOptions>({
      usage: 'add',
      summary: 'Add a rule',
      description:
        'Adds a rule. It holds until the next boot; what is to last belongs into the file that "ipvs apply" reads.',
      options: {
        ...matchOptions,
        ports: {
          value: 'RANGE',
          describe:
            'The ports that outside sees: 61000-65095. Default: the own port of each connection where it is free',
        },
        'random-fully': { describe: 'Each connection takes any of the ports' },
        'to-source': {
          value: 'ADDRESS',
          describe: 'The address that outside sees. Default: that of the interface through which a connection leaves',
        },
      },
      examples: [
        { line: 'ipvs masquerade add --source 10.0.0.0/24 --out lo --ports 61000-65095' },
        { line: 'ipvs masquerade add --source 10.0.1.0/24 --protocol udp --to-source 192.0.2.1' },
      ],
      async run(options) {
        const { randomFully } = options;
        const rule = normalizeMasquerade({
          ...matchIn(options),
          ports: oneValue(options.ports, 'ports'),
          randomFully,
          toSource: oneValue(options.toSource, 'to-source'),
        });
        const name = formatMatch(rule);
        await withRules(options, 'masquerade add', { makes: [masqueradeKey(name)] }, (table) => table.add(rule));
        await warnOfForwarding(familyOf(rule));
        return { done: 'added', subject: `${name}  ${describeAction(rule)}` };
      },
    }),
    action<MatchOptions & { readonly rule?: readonly string[] }>({
      usage: 'delete [rule..]',
      summary: 'Delete a rule',
      arguments: { rule: 'As "ipvs masquerade list" calls it: 10.0.0.0/24 out eth0; or by the options' },
      options: matchOptions,
      examples: [
        { line: 'ipvs masquerade delete --source 10.0.0.0/24 --out lo' },
        { line: 'ipvs masquerade delete 10.0.1.0/24 protocol udp' },
      ],
      async run(options) {
        const { rule = [] } = options;
        if (rule.length > 0 && options.source !== undefined)
          throw new UsageError('a rule is named by what it is called, or by options');
        const match = rule.length > 0 ? parseMatch(rule.join(' ')) : normalizeMatch(matchIn(options));
        const name = formatMatch(match);
        await withRules(options, 'masquerade delete', { takes: [masqueradeKey(name)] }, (table) => table.delete(match));
        return { done: 'deleted', subject: name };
      },
    }),
    ...mappingActions,
    portAction,
  ],
};

function matchIn({ source, out, protocol }: MatchOptions) {
  const network = oneValue(source, 'source');
  if (network === undefined) throw new UsageError('say which inner network: --source 10.0.0.0/24');
  return {
    source: network,
    out: oneValue(out, 'out'),
    protocol: oneValue(protocol, 'protocol') as MasqueradeProtocol | undefined,
  };
}

async function withMasquerade<T>(options: GlobalOptions, work: (table: MasqueradeTable) => Promise<T>): Promise<T> {
  if (options.transport === 'memory') throw new UsageError('a table in memory has no rules of iptables');
  const { openMasquerade } = await import('../../iptables/open.ts');
  const table = await openMasquerade();
  try {
    return await work(table);
  } finally {
    table.close();
  }
}

/** Under the lock of the table, with a record of what is ours. */
async function withRules<T>(
  options: GlobalOptions,
  ...[name, touches, work]: [string, Parameters<typeof withVerb>[2], (table: MasqueradeTable) => Promise<T>]
): Promise<T> {
  return withMasquerade(options, (table) => withVerb(options, name, touches, () => work(table), { masquerade: table }));
}

/** Without it the rule is never asked. */
async function warnOfForwarding(family: 'inet' | 'inet6'): Promise<void> {
  const { openSysctls } = await import('../../sysctl/open.ts');
  const name = family === 'inet' ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding';
  const sysctls = await openSysctls();
  const value = sysctls.find(name);
  sysctls.close();
  if (value === '0') complain(`ipvs: warning: ${name} is 0, so nothing is forwarded; "ipvs sysctl set ${name}=1"`);
}

function listed(rules: readonly MasqueradeState[], options: GlobalOptions): string {
  const rows = rules.map(({ key, rule, flows }) => [
    key,
    rule === null ? 'altered by somebody' : describeAction(rule),
    String(flows),
  ]);
  const [head = '', ...lines] = columns([['RULE', 'PORTS AND ADDRESS', 'FLOWS'], ...rows], new Set([2]));
  return [painter(options)('bold', head), ...lines].join('\n');
}
