/** docs/reference/cli.md, and the tables of settings in the pages of the nouns. */
import { type Setting, sinceOf } from '../../ipvs/settings.ts';
import type { SysctlSpec } from '../../sysctl/catalogue.ts';
import { describeKind, shownSysctlValue } from '../../sysctl/kind.ts';
import { type OptionSpec, shownUsage } from '../spec/command.ts';
import { globalOptions } from '../spec/globals.ts';
import type { ManualChapter, ManualEntry } from './entries.ts';

export function cliPage(chapters: readonly ManualChapter[]): string {
  const parts = [
    '# The command',
    '`ipvs COMMAND`. Every command knows `--help`. Exit status: 0 done, 1 error, 2 there are changes (`apply --dry-run`),\n64 wrong usage.',
    '## Options of every command',
    optionTable(globalOptions),
    ...chapters.flatMap(chapterParts),
  ];
  return `${parts.join('\n\n')}\n`;
}

function chapterParts({ name, summary, aliases, description, entries }: ManualChapter): string[] {
  const also = aliases.length > 0 ? [`Also: ${aliases.map((alias) => `\`ipvs ${alias}\``).join(', ')}.`] : [];
  if (entries.length === 1) return [`## ipvs ${name}`, ...entries.flatMap((entry) => entryParts(entry, '')), ...also];
  const parts = entries.flatMap((entry) => entryParts(entry, '### '));
  return [`## ipvs ${name}`, description ?? `${summary}.`, ...also, ...parts];
}

/** `heading` goes before the usage, which is a line of its own without one. */
function entryParts(entry: ManualEntry, heading: string): string[] {
  const { usage, summary, description, arguments: named = {}, options = {}, examples } = entry;
  const words = Object.entries(named).map(([name, meaning]) => [`\`${name.toUpperCase()}\``, meaning]);
  const lines = examples.map(({ line, meaning }) => (meaning ? `${line}    # ${meaning}` : line));
  return [
    heading ? `${heading}ipvs ${shownUsage(usage)}` : `\`ipvs ${shownUsage(usage)}\``,
    description ?? `${summary}.`,
    ...(words.length > 0 ? [table(['word', 'meaning'], words)] : []),
    ...(Object.keys(options).length > 0 ? [optionTable(options)] : []),
    `\`\`\`sh\n${lines.join('\n')}\n\`\`\``,
  ];
}

function optionTable(options: Readonly<Record<string, OptionSpec>>): string {
  return table(
    ['option', 'meaning'],
    Object.entries(options).map(([name, spec]) => {
      const { alias, value, optional, describe, choices } = spec;
      const names = [`--${name}`, ...(alias ? [`-${alias}`] : [])].map((text) => `\`${text}\``).join(', ');
      const shown = value === undefined ? '' : optional ? ` \`[${value}]\`` : ` \`${value}\``;
      return [`${names}${shown}`, choices ? `${describe} (${choices.join(', ')})` : describe];
    }),
  );
}

/** What can be set on a noun: on the command line, in the file and by the API. */
export function settingTable(settings: readonly Setting[]): string {
  const inFile = settings.some(({ key }) => key !== undefined);
  return table(
    [
      'option',
      ...(inFile ? ['in the file'] : []),
      'in the API',
      'meaning',
      'values',
      'default',
      'since',
      'sockopt',
      'if wrong',
    ],
    settings.map((setting) => {
      const { option, alias, key, property, about, values, default: fallback, sockopt, errors } = setting;
      return [
        [`--${option}`, ...(alias ? [`-${alias}`] : [])].map((text) => `\`${text}\``).join(', '),
        ...(inFile ? [key === undefined ? '' : `\`${key}\``] : []),
        `\`${property}\``,
        about,
        values,
        fallback ?? 'required',
        sinceOf(setting) ?? 'always',
        sockopt ? 'yes' : 'no',
        errors.map((code) => `\`${code}\``).join(', '),
      ];
    }),
  );
}

/** The catalogue of settings. */
export function sysctlTable(specs: readonly SysctlSpec[]): string {
  return table(
    ['setting', 'meaning', 'takes', 'begins as', 'of', 'for'],
    specs.map((spec) => {
      const { name, kind, default: fallback, dependsOn = '', scope, rootOfHostOnly, readOnly, about, who } = spec;
      const begins = fallback === null ? `depends on ${dependsOn}` : shownSysctlValue(kind, fallback);
      const takes = readOnly ? 'nothing: it only shows' : describeKind(kind);
      return [`\`${name}\``, about, takes, begins, rootOfHostOnly ? `${scope}, host only` : scope, who];
    }),
  );
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- end -->`. Throws where there is no such place. */
export function withTable(page: string, name: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end -->)`);
  if (!pattern.test(page)) throw new Error(`there is no place for ${name}`);
  return page.replace(pattern, (_, begin, end) => `${begin}${content}\n${end}`);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
