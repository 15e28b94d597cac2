/** Numbers and settings as people read them. */
import { modeOf } from '../sysctl/kind.ts';
import { DROP_RATE } from './action.ts';

/** "12,345" */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Of a share from 0 to 1: "62.5 %" */
export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}

/** "1 in 10" */
export function oneIn(rate: number): string {
  return `1 in ${rate}`;
}

/** "drop_entry" */
export function shortName(sysctl: string): string {
  return sysctl.slice(sysctl.lastIndexOf('.') + 1);
}

/** "always"; of the rate the number. */
export function valueWords(sysctl: string, value: string): string {
  return sysctl === DROP_RATE ? value : (modeOf(value) ?? value);
}
