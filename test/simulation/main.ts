/** Plays games until one fails, or the time or the steps are over. scripts/simulate.mjs has the help text. */
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { type Action, games } from './actions.ts';
import { play, Skip, Violation } from './game.ts';

const PROGRESS_MS = 30_000;

/** Throws an error with one clear line for what is no option, or no whole number. */
function readOptions(): { readonly seed?: number; readonly steps?: number; readonly seconds?: number } {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { seed: text, steps: text, seconds: text } });
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (/^\d{1,10}$/.test(value) && (name === 'seed' || Number(value) > 0)) return [name, Number(value)];
      throw new Error(`--${name} ${value}: it takes a whole number${name === 'seed' ? '' : ' from 1'}`);
    }),
  );
}

export async function main(): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`simulation: ${error instanceof Error ? error.message.split('. ')[0] : error}`);
    return 64;
  }
  const { seed: first = Math.floor(Math.random() * 2 ** 31), seconds = Infinity } = options;
  const { steps: bound = seconds === Infinity ? 10_000 : Infinity } = options;
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
