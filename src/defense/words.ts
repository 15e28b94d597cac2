/** Numbers as people read them. */

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
