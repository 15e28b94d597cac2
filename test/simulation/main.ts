/** Plays games until one fails, or the time or the steps are over. scripts/simulate.mjs has the help text. */
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { type Action, games } from './actions.ts';
import { play, Skip, Violation } from './game.ts';

const { values: options } = parseArgs({
  options: { seed: { type: 'string' }, steps: { type: 'string' }, seconds: { type: 'string' } },
});

const PROGRESS_MS = 30_000;

export async function main(): Promise<number> {
  const first = Number(options.seed ?? Math.floor(Math.random() * 2 ** 31));
  const [steps, seconds] = [Number(options.steps ?? Infinity), Number(options.seconds ?? Infinity)];
  const bound = Number.isFinite(steps) || Number.isFinite(seconds) ? steps : 10_000;
  const begun = performance.now();
  const passed = () => performance.now() - begun;
  let [done, shown] = [0, 0];
  let seed = first;
  for (; done < bound && passed() < seconds * 1000; seed++) {
    const outcome = await playSeed(seed);
    done += outcome.steps;
    if (outcome.failure !== undefined) {
      console.error(`simulation: seed ${seed} fails after ${done} steps\n${outcome.failure}`);
      console.error(`again: npm run simulate -- --seed ${seed} --steps 1`);
      return 1;
    }
    if (passed() - shown > PROGRESS_MS) {
      shown = passed();
      console.error(`simulation: ${done} steps in ${Math.round(shown / 1000)} s, up to seed ${seed}`);
    }
  }
  console.log(`simulation: ${done} steps in ${seed - first} games, seeds ${first} to ${seed - 1}, no failure`);
  return 0;
}

/** A game of this seed; if it fails, the smallest one that fails too. */
async function playSeed(seed: number): Promise<{ readonly steps: number; readonly failure?: string }> {
  let steps = 0;
  const outcome = await fc.check(
    fc.asyncProperty(games, async (actions) => {
      steps += actions.length;
      try {
        await play(actions);
      } catch (error) {
        if (!(error instanceof Skip)) throw error;
      }
    }),
    { seed, numRuns: 1 },
  );
  if (!outcome.failed) return { steps };
  const [actions = []] = outcome.counterexample ?? [];
  const { errorInstance: error } = outcome;
  const why = error instanceof Violation ? error.message : error instanceof Error ? chain(error) : String(error);
  return { steps, failure: `${actions.map((each: Action) => JSON.stringify(each)).join('\n')}\n${why}` };
}

function chain(error: Error): string {
  const cause = error.cause instanceof Error ? `\n${chain(error.cause)}` : '';
  return `${error.stack}${cause}`;
}
