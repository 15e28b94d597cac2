/** How something goes on: one line that is redrawn on a terminal, one line for each change elsewhere. */
import { control, print, printPart } from './stdout.ts';

/** To the margin, and what was there before is gone. */
const REDRAW = '\r\x1b[K';

export class ProgressLine {
  readonly #inPlace = process.stdout.isTTY === true;
  #shown = '';

  /** `moving` is what changes all the time, such as a countdown: it is for terminals only. */
  show(text: string, moving: string): void {
    if (this.#inPlace) {
      control(REDRAW);
      printPart(clipped(`${text}  ${moving}`));
    } else if (text !== this.#shown) print(text);
    this.#shown = text;
  }

  /** What comes next stands where the line was. */
  end(): void {
    if (this.#inPlace) control(REDRAW);
  }
}

function clipped(line: string): string {
  const width = (process.stdout.columns || 80) - 1;
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

const CELLS = 20;

/** `share` from 0 to 1. */
export function bar(share: number): string {
  const full = Math.round(CELLS * Math.min(1, Math.max(0, share)));
  return '█'.repeat(full) + '░'.repeat(CELLS - full);
}
