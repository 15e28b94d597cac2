/** What a setting of the kernel may be, and its values as text: those of people, and those of the kernel. Pure. */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

export type SysctlKind =
  | { readonly type: 'switch' }
  /** drop_entry, drop_packet, secure_tcp (ip_vs_ctl.c, update_defense_level): 1 and 2 are one mode in two phases. */
  | { readonly type: 'mode' }
  | NumberKind
  /** Two numbers, the first not above the second. */
  | (Omit<NumberKind, 'type'> & { readonly type: 'pair' })
  /** Processors: "0-3,8". */
  | { readonly type: 'cpus' };

interface NumberKind {
  readonly type: 'number';
  readonly least: number;
  readonly most: number;
  /** "pages", "seconds"; none for plain numbers. */
  readonly unit?: string;
  /** Why not, of numbers that the kernel takes and that hurt, or that it stores and does not mean. */
  readonly refuse?: (numbers: readonly number[]) => string | undefined;
}

/** What the modes of the kernel's defense are to a person. */
export const modes = ['off', 'automatic', 'engaged', 'always'] as const;
export type Mode = (typeof modes)[number];

/** Of what the kernel shows; undefined for what it never does. */
export function modeOf(value: string): Mode | undefined {
  return modes[Number(value)];
}

const words: Readonly<Record<string, string>> = { off: '0', on: '1', no: '0', yes: '1', false: '0', true: '1' };

/** Canonical, as the kernel shows it once it is set; of a mode "automatic" is 1. Throws INVALID_SYSCTL. */
export function normalizeSysctlValue(name: string, kind: SysctlKind, input: string | number | boolean): string {
  const text = String(input).trim();
  const given = typeof input === 'string' ? quote(text) : text;
  const refuse = (detail: string): never => {
    throw new IpvsError('INVALID_SYSCTL', { subject: name, detail });
  };
  const said = () => refuse(`${given} is not ${describeKind(kind)}`);
  switch (kind.type) {
    case 'switch': {
      const value = words[text.toLowerCase()] ?? text;
      return value === '0' || value === '1' ? value : said();
    }
    case 'mode': {
      if (text === '2' || text === 'engaged') return refuse('the kernel engages it by itself: write automatic');
      const word = text === 'automatic' ? 1 : text === 'always' ? 3 : text === 'off' || input === false ? 0 : undefined;
      const value = word ?? (/^[013]$/.test(text) ? Number(text) : undefined);
      return value === undefined ? said() : String(value);
    }
    case 'cpus':
      return processorList(text) ?? said();
    case 'number':
    case 'pair': {
      const count = kind.type === 'pair' ? 2 : 1;
      const parts = kind.type === 'pair' ? text.split(/[\s,-]+/) : [text];
      const numbers = parts.map((part) => (/^-?\d{1,20}$/.test(part) ? Number(part) : Number.NaN));
      if (numbers.length !== count || numbers.some(Number.isNaN)) return said();
      const reason = kind.refuse?.(numbers);
      if (reason !== undefined) return refuse(reason);
      return numbers.every((number) => number >= kind.least && number <= kind.most) ? numbers.join('\t') : said();
    }
  }
}

const MOST_PROCESSORS = 8192;

/** "0,1,2,8" → "0-2,8", as the kernel shows it (lib/vsprintf.c, bitmap_list_string); undefined for what is no list. */
function processorList(text: string): string | undefined {
  if (!/^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?){0,255}$/.test(text)) return undefined;
  const ranges = text
    .split(',')
    .map((range) => range.split('-').map(Number))
    .map(([first = 0, last = first]) => ({ first, last }))
    .sort((a, b) => a.first - b.first);
  if (ranges.some(({ first, last }) => first > last || last >= MOST_PROCESSORS)) return undefined;
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges) {
    const before = merged.at(-1);
    if (before && range.first <= before.last + 1) before.last = Math.max(before.last, range.last);
    else merged.push({ ...range });
  }
  return merged.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** Whether two values as the kernel shows them are the same setting: the phases of a mode are not settings. */
export function sameSysctlValue(kind: SysctlKind, a: string, b: string): boolean {
  return settled(kind, a) === settled(kind, b);
}

function settled(kind: SysctlKind, value: string): string {
  if (kind.type === 'mode') return value === '2' ? '1' : value;
  return kind.type === 'pair' ? value.split(/\s+/).join('\t') : value;
}

/** As a person writes and reads it: "automatic", "3 50". */
export function shownSysctlValue(kind: SysctlKind | undefined, value: string): string {
  if (kind?.type === 'mode') return modeOf(value) ?? value;
  return value.replaceAll('\t', ' ');
}

/** "a number from 0 to 3" */
export function describeKind(kind: SysctlKind): string {
  switch (kind.type) {
    case 'switch':
      return '0 (off) or 1 (on)';
    case 'mode':
      return 'off (0), automatic (1) or always (3)';
    case 'cpus':
      return 'a list of processors, such as 0-3,8';
    case 'number':
      return `a number${kind.unit ? ` of ${kind.unit}` : ''} from ${kind.least} to ${kind.most}`;
    case 'pair':
      return `two numbers from ${kind.least} to ${kind.most}`;
  }
}
