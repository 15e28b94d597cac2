/**
 * What the kernel's own defense does each second in every network namespace (ip_vs_ctl.c, update_defense_level), repeated
 * from the numbers that it starts from. Pure.
 */
import { type Action, actions, sysctlOf } from './action.ts';
import { grouped, oneIn } from './words.ts';

export interface KernelInputs {
  /** MemFree and Buffers of the whole host: the page cache does not count. */
  readonly freePages: number;
  readonly bufferPages: number;
  /** amemthresh */
  readonly thresholdPages: number;
  /** am_droprate */
  readonly dropRate: number;
  /** 0 off, 1 automatic, 2 automatic and engaged, 3 always. */
  readonly modes: Readonly<Record<Action, number>>;
}

export interface KernelActionStep {
  readonly acts: boolean;
  /** What the setting is afterwards. */
  readonly becomes: number;
}

export interface KernelStep {
  readonly availablePages: number;
  /** What of amemthresh counts. */
  readonly thresholdPages: number;
  /** Whether memory is short, which engages the automatic modes. */
  readonly short: boolean;
  readonly actions: Readonly<Record<Action, KernelActionStep>>;
  /** drop_packet drops one in so many new connections; 0: none. Below 0 all of them, as at 1. */
  readonly dropRate: number;
  /** The same, step by step. */
  readonly words: readonly string[];
}

export function kernelStep(inputs: KernelInputs): KernelStep {
  const { freePages, bufferPages, modes } = inputs;
  const availablePages = freePages + bufferPages;
  const thresholdPages = Math.max(inputs.thresholdPages, 0);
  const short = availablePages < thresholdPages;
  const stepOf = (action: Action) => actionStep(modes[action], short);
  const memory = { availablePages, thresholdPages, short };
  const steps = {
    'drop-entry': stepOf('drop-entry'),
    'drop-packet': stepOf('drop-packet'),
    'secure-tcp': stepOf('secure-tcp'),
  };
  const dropRate = !steps['drop-packet'].acts
    ? 0
    : modes['drop-packet'] === 3
      ? inputs.dropRate
      : Math.trunc(thresholdPages / (thresholdPages - availablePages));
  const words = [
    ...memoryWords(inputs, memory),
    ...actions.map((action) => actionWords(action, modes[action], steps[action], dropRate)),
  ];
  return { ...memory, actions: steps, dropRate, words };
}

function actionStep(mode: number, short: boolean): KernelActionStep {
  if (mode === 1 || mode === 2) return { acts: short, becomes: short ? 2 : 1 };
  return { acts: mode === 3, becomes: mode };
}

function memoryWords(
  { freePages, bufferPages, thresholdPages: said }: KernelInputs,
  { availablePages, thresholdPages, short }: Pick<KernelStep, 'availablePages' | 'thresholdPages' | 'short'>,
): string[] {
  const threshold = `amemthresh ${grouped(said)}${said < 0 ? ' (below 0 it is 0)' : ''}`;
  return [
    `MemFree ${grouped(freePages)} + Buffers ${grouped(bufferPages)} = ${grouped(availablePages)} pages available`,
    short
      ? `${threshold}: ${grouped(availablePages)} is below ${grouped(thresholdPages)}, so automatic modes engage`
      : `${threshold}: not below, so automatic modes stay idle`,
  ];
}

function actionWords(action: Action, mode: number, { acts, becomes }: KernelActionStep, dropRate: number): string {
  const name = sysctlOf[action].slice('net.ipv4.vs.'.length);
  const moves = becomes === mode ? `${mode} stays` : `${mode} becomes ${becomes}`;
  return `${name} ${moves}: ${acts ? effects[action](mode, dropRate) : mode === 0 ? 'off' : 'automatic, idle'}`;
}

const effects: Readonly<Record<Action, (mode: number, dropRate: number) => string>> = {
  'drop-entry': () => 'half-open and idle entries of a 32nd of the table, at a random place, are thrown out',
  'drop-packet': (mode, rate) => {
    const why = mode === 3 ? 'am_droprate' : 'amemthresh / (amemthresh - available)';
    if (rate === 0) return `nothing is dropped (${why} is 0)`;
    return `${rate <= 1 ? 'every new connection' : `${oneIn(rate)} new connections`} is dropped (${why} is ${rate})`;
  },
  'secure-tcp': () => 'TCP is followed by the stricter table of states',
};
