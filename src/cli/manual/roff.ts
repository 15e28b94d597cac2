/** The man page, ipvs(8), in the macros of man(7). */
import { type OptionSpec, shownUsage } from '../spec/command.ts';
import { globalOptions } from '../spec/globals.ts';
import type { ManualChapter, ManualEntry } from './entries.ts';

export function manPage(chapters: readonly ManualChapter[], version: string): string {
  const lines = [
    `.TH IPVS 8 "" "ipvs-director ${version}" "System Administration"`,
    '.SH NAME',
    'ipvs \\- controls the load balancer of the Linux kernel, IPVS',
    '.SH SYNOPSIS',
    '.B ipvs',
    '.I COMMAND',
    '.RI [ OPTION ...]',
    '.SH DESCRIPTION',
    text(
      'Turns a description of virtual services into the load balancer of the Linux kernel, and shows and changes its table by hand.',
    ),
    text('Changing the table, and reading it by netlink, needs root or CAP_NET_ADMIN.'),
    '.SH COMMANDS',
    ...chapters.flatMap(chapterLines),
    '.SH OPTIONS',
    text('Every command has these.'),
    ...optionLines(globalOptions),
    '.SH EXIT STATUS',
    ...[
      ['0', 'done'],
      ['1', 'error'],
      ['2', 'there are changes (apply --dry-run)'],
      ['64', 'wrong usage'],
    ].flatMap(([status = '', meaning = '']) => ['.TP', `.B ${status}`, text(meaning)]),
    '.SH ENVIRONMENT',
    ...['.TP', '.B NO_COLOR', text('If set, nothing is coloured.')],
    ...['.TP', '.B IPVS_DIRECTOR_ADDON', text('Path of another build of the native addon.')],
    ...['.TP', '.B IPVS_DIRECTOR_STATE_DIR', text('Where the record of what was applied is kept.')],
    '.SH SEE ALSO',
    '.BR ipvsadm (8),',
    '.BR ip-netns (8)',
  ];
  return `${lines.join('\n')}\n`;
}

function chapterLines({ summary, aliases, description, entries }: ManualChapter): string[] {
  const also = aliases.length > 0 ? `Also: ${aliases.map((alias) => `ipvs ${alias}`).join(', ')}.` : '';
  const several = entries.length > 1;
  return entries.flatMap((entry, i) => [
    ...entryLines(entry, several && i === 0 ? (description ?? `${summary}.`) : undefined),
    ...(i === entries.length - 1 && also ? ['.IP', text(also)] : []),
  ]);
}

function entryLines(
  { usage, summary, description, arguments: named = {}, options = {}, examples }: ManualEntry,
  before?: string,
): string[] {
  return [
    ...(before ? ['.PP', text(before)] : []),
    '.TP',
    `.B ipvs ${escaped(shownUsage(usage))}`,
    text(description ?? `${summary}.`),
    '.RS',
    ...Object.entries(named).flatMap(([name, meaning]) => ['.TP', `.I ${escaped(name.toUpperCase())}`, text(meaning)]),
    ...optionLines(options),
    '.PP',
    '.nf',
    ...examples.map(({ line, meaning }) => text(meaning ? `${line}    # ${meaning}` : line)),
    '.fi',
    '.RE',
  ];
}

function optionLines(options: Readonly<Record<string, OptionSpec>>): string[] {
  return Object.entries(options).flatMap(([name, { alias, value, optional, describe, choices }]) => {
    const names = [`--${name}`, ...(alias ? [`-${alias}`] : [])].map((word) => `\\fB${escaped(word)}\\fR`).join(', ');
    const shown = value === undefined ? '' : ` ${optional ? '[' : ''}\\fI${escaped(value)}\\fR${optional ? ']' : ''}`;
    return ['.TP', `${names}${shown}`, text(choices ? `${describe} (${choices.join(', ')})` : describe)];
  });
}

/** A line of text; one that begins with a dot or an apostrophe would be a macro. */
function text(line: string): string {
  return escaped(line).replace(/^(?=[.'])/, '\\&');
}

function escaped(line: string): string {
  return line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...');
}
