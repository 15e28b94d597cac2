/** The state machine, as a specification, and what holds for every policy and every trace of signals. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Action, actions, DROP_RATE, sysctlOf } from '../../../src/defense/action.ts';
import {
  type DefensePolicy,
  type LevelInput,
  normalizePolicy,
  type PolicySettings,
} from '../../../src/defense/policy.ts';
import {
  type Missing,
  type Reading,
  type Readings,
  type SignalName,
  signalNames,
  type ThresholdName,
  thresholdNames,
  thresholds,
} from '../../../src/defense/signal.ts';
import {
  type DefenseState,
  letGo,
  type Settings,
  type Step,
  sameSetting,
  step,
  WATCHING,
  wantedAt,
  withoutHeld,
} from '../../../src/defense/step.ts';

const QUIET: Record<SignalName, number> = {
  memoryFree: 1,
  memoryAvailable: 1,
  memoryPressure: 0,
  newConnections: 0,
  table: 0,
  halfOpen: 0,
};
const DEFAULTS: Settings = {
  [DROP_RATE]: '10',
  'net.ipv4.vs.drop_entry': '0',
  'net.ipv4.vs.drop_packet': '0',
  'net.ipv4.vs.secure_tcp': '0',
};

type Given = Partial<Record<SignalName, number | Missing | Reading>>;

/** A controller with a kernel, in which time is a number. */
class Bench {
  state: DefenseState = WATCHING;
  settings: Settings;
  policy: DefensePolicy;

  constructor(policy: PolicySettings, settings: Settings = DEFAULTS) {
    this.policy = normalizePolicy(policy);
    this.settings = settings;
  }

  at(seconds: number, given: Given = {}): Step {
    const atMs = seconds * 1000;
    const readings = Object.fromEntries(
      signalNames.map((name) => {
        const value = given[name] ?? QUIET[name];
        return [name, typeof value === 'number' ? { value, atMs, of: 2000 } : value];
      }),
    ) as unknown as Readings;
    const result = step(this.state, { atMs, readings, settings: this.settings }, this.policy);
    this.state = result.state;
    for (const { sysctl, to } of result.writes) this.set(sysctl, to);
    return result;
  }

  set(sysctl: string, value: string): void {
    this.settings = { ...this.settings, [sysctl]: value };
  }
}

const words = ({ reasons }: Step) => reasons.map(({ words }) => words);
const kinds = ({ reasons }: Step) => reasons.map(({ kind, subject }) => `${kind} ${subject}`);
const written = ({ writes }: Step) => writes.map(({ sysctl, from, to }) => `${sysctl.slice(12)} ${from}>${to}`);

const table = (above: number, left: number, more: Partial<LevelInput> = {}): LevelInput => ({
  actions: ['drop-entry'],
  enter: { tableAbove: above },
  leave: { tableAbove: left },
  minHoldSeconds: 5,
  maxSeconds: 60,
  ...more,
});
const two = { levels: [table(0.5, 0.4), table(0.8, 0.7, { actions: ['drop-entry', 'drop-packet'], dropRate: 4 })] };

describe('a level', () => {
  test('is entered when one of its thresholds is passed, and says by which number', () => {
    const bench = new Bench(two);
    expect(bench.at(1)).toMatchObject({ state: { level: 0 }, writes: [], reasons: [] });
    expect(bench.at(2, { table: 0.5 }).state.level).toBe(0);
    const entered = bench.at(3, { table: 0.623 });
    expect(entered.state.level).toBe(1);
    expect(written(entered)).toEqual(['drop_entry 0>3']);
    expect(words(entered)).toEqual(['level 1 is entered: connection table: 62.3 % of its limit, above 50 %']);
  });

  test('is left when none of its thresholds holds any more, after its minimum', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 0.6 });
    expect(bench.at(5, { table: 0.45 }).state.level).toBe(1);
    const held = bench.at(5.5, { table: 0.4 });
    expect(held.state.level).toBe(1);
    expect(words(held)).toEqual([
      'level 1 is calm (connection table: 40 % of its limit, not above 40 %), and held for 5 s',
    ]);
    const left = bench.at(6, { table: 0.4 });
    expect(left.state.level).toBe(0);
    expect(written(left)).toEqual(['drop_entry 3>0']);
    expect(words(left)).toEqual(['level 1 is left: connection table: 40 % of its limit, not above 40 %']);
  });

  test('stays between the two', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 0.6 });
    for (let second = 2; second < 30; second++) expect(bench.at(second, { table: 0.45 }).state.level).toBe(1);
  });

  test('needs all its signals to be below to be left', () => {
    const both = table(0.5, 0.4, {
      enter: { tableAbove: 0.5, memoryFreeBelow: 0.1 },
      leave: { tableAbove: 0.4, memoryFreeBelow: 0.2 },
    });
    const bench = new Bench({ levels: [both] });
    expect(bench.at(1, { memoryFree: 0.05 }).state.level).toBe(1);
    expect(bench.at(10, { memoryFree: 0.19 }).state.level).toBe(1);
    expect(bench.at(11, { memoryFree: 0.2, table: 0.41 }).state.level).toBe(1);
    expect(bench.at(12, { memoryFree: 0.2, table: 0.4 }).state.level).toBe(0);
  });

  test('is not entered by half-open entries among few', () => {
    const bench = new Bench({
      levels: [table(0, 0, { enter: { halfOpenAbove: 0.5 }, leave: { halfOpenAbove: 0.2 } })],
    });
    expect(bench.at(1, { halfOpen: { value: 1, atMs: 1000, of: 499 } }).state.level).toBe(0);
    expect(bench.at(2, { halfOpen: { value: 1, atMs: 2000, of: 500 } }).state.level).toBe(1);
    expect(bench.at(9, { halfOpen: { value: 1, atMs: 9000, of: 20 } }).state.level).toBe(0);
  });
});

describe('steps', () => {
  test('are one level, and not before the minimum of the level before', () => {
    const bench = new Bench(two);
    expect(bench.at(1, { table: 0.95 }).state.level).toBe(1);
    const waits = bench.at(2, { table: 0.95 });
    expect(waits.state.level).toBe(1);
    expect(words(waits)).toEqual([
      'level 2 waits (connection table: 95 % of its limit, above 80 %): level 1 is held for 5 s',
    ]);
    const entered = bench.at(6, { table: 0.95 });
    expect(written(entered)).toEqual(['am_droprate 10>4', 'drop_packet 0>3']);
    expect(bench.at(11, { table: 0 }).state.level).toBe(1);
    expect(bench.settings).toMatchObject({ [DROP_RATE]: '10', 'net.ipv4.vs.drop_packet': '0' });
    expect(bench.at(16, { table: 0 }).state.level).toBe(0);
    expect(bench.settings).toEqual(DEFAULTS);
  });

  test('a rate is put back after the mode that uses it', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 0.95 });
    bench.at(6, { table: 0.95 });
    expect(written(bench.at(11))).toEqual(['drop_packet 3>0', 'am_droprate 4>10']);
  });

  test('the signal of a higher level calls for those below', () => {
    const memory = { enter: { memoryFreeBelow: 0.05 }, leave: { memoryFreeBelow: 0.1 } };
    const bench = new Bench({ levels: [table(0.5, 0.4), { ...table(0, 0), ...memory }] });
    const first = bench.at(1, { memoryFree: 0.01 });
    expect(words(first)).toEqual(['level 1 is entered: free memory: 1 % of all memory, below 5 % (of level 2)']);
    expect(bench.at(6, { memoryFree: 0.01 }).state.level).toBe(2);
  });

  test('are never two within a second', () => {
    const bench = new Bench({ levels: [table(0.1, 0, { minHoldSeconds: 1 }), table(0.2, 0.1, { minHoldSeconds: 1 })] });
    expect(bench.at(1, { table: 1 }).state.level).toBe(1);
    expect(bench.at(1.999, { table: 1 }).state.level).toBe(1);
    expect(bench.at(2, { table: 1 }).state.level).toBe(2);
  });

  test.each([1, 0.5, -4, Number.NaN])('need time that goes on: not at %d after 1', (seconds) => {
    const bench = new Bench(two);
    bench.at(1);
    const stood = bench.at(seconds, { table: 1 });
    expect(stood).toMatchObject({ state: { level: 0 }, writes: [] });
    expect(words(stood)).toEqual(['the clock did not go on since the last look: level 0 is kept']);
  });
});

describe('the maximum', () => {
  test('ends a level, which is not entered again before it was calm', () => {
    const bench = new Bench({ levels: [table(0.5, 0.4)] });
    bench.at(1, { table: 1 });
    expect(bench.at(60.9, { table: 1 }).state.level).toBe(1);
    const ended = bench.at(61, { table: 1 });
    expect(ended.state).toMatchObject({ level: 0, exhausted: [1] });
    expect(written(ended)).toEqual(['drop_entry 3>0']);
    expect(words(ended)).toEqual([
      'level 1 is left: level 1 was in force for its maximum of 60 s, and is not entered again before it is calm',
    ]);
    for (let second = 62; second < 200; second++) {
      const spent = bench.at(second, { table: 0.41 + (second % 2) / 2 });
      expect(spent.state.level).toBe(0);
      if (second % 2) expect(kinds(spent)).toEqual(['spent level 1']);
    }
    bench.at(200, { table: 0.4 });
    expect(bench.at(201, { table: 1 }).state.level).toBe(1);
  });

  test('of a level below ends those above as well, a second each', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    bench.at(6, { table: 1 });
    expect(bench.at(61, { table: 1 }).state.level).toBe(1);
    expect(bench.at(61.5, { table: 1 }).state.level).toBe(1);
    expect(bench.at(62, { table: 1 }).state.level).toBe(0);
    expect(bench.at(63, { table: 1 }).state.level).toBe(0);
  });

  test('of a level is not begun anew by going up and down above it', () => {
    const bench = new Bench({ levels: [table(0.5, 0.4), table(0.8, 0.7)] });
    for (let second = 1; second < 61; second++) bench.at(second, { table: second % 20 < 10 ? 1 : 0.6 });
    bench.at(61, { table: 1 });
    expect(bench.at(62, { table: 1 }).state.level).toBe(0);
  });

  test('keeps a level from being entered that would have to be left before its own minimum', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 0.6 });
    const brief = bench.at(57, { table: 1 });
    expect(brief.state.level).toBe(1);
    expect(kinds(brief)).toEqual(['brief level 1']);
  });
});

describe('a signal', () => {
  test('that is missing holds the level, and says why', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    const held = bench.at(30, { table: { missing: 'ip_vs is not loaded' } });
    expect(held).toMatchObject({ state: { level: 1 }, writes: [] });
    expect(words(held)).toEqual(['connection table: not known: ip_vs is not loaded']);
  });

  test('that is stale holds the level, and says how old it is', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    const held = bench.at(30, { table: { value: 0, atMs: 22_000 } });
    expect(held.state.level).toBe(1);
    expect(words(held)).toEqual(['connection table: 8 s old, which is older than 5 s']);
    expect(bench.at(31, { table: { value: 0, atMs: 26_000 } }).state.level).toBe(0);
  });

  test('that is stale enters no level', () => {
    const bench = new Bench(two);
    expect(bench.at(30, { table: { value: 1, atMs: 24_999 } }).state.level).toBe(0);
    expect(bench.at(31, { table: { value: 1, atMs: 26_000 } }).state.level).toBe(1);
  });

  test('that the kernel never has holds nothing', () => {
    const both = {
      enter: { tableAbove: 0.5, memoryPressureAbove: 0.2 },
      leave: { tableAbove: 0.4, memoryPressureAbove: 0.1 },
    };
    const bench = new Bench({ levels: [{ ...table(0, 0), ...both }] });
    const memoryPressure: Missing = { missing: 'this kernel does not measure it', forGood: true };
    expect(bench.at(1, { table: 1, memoryPressure }).state.level).toBe(1);
    expect(bench.at(10, { table: 0, memoryPressure }).state.level).toBe(0);
  });

  test('without any that can be judged nothing is left', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    expect(bench.at(10, { table: { missing: 'gone', forGood: true } }).state.level).toBe(1);
  });
});

describe('settings', () => {
  test('that somebody else changed are put right, and said so', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    bench.set('net.ipv4.vs.drop_entry', '0');
    expect(bench.at(2, { table: 1 }).writes).toEqual([
      { sysctl: 'net.ipv4.vs.drop_entry', from: '0', to: '3', cause: 'changed' },
    ]);
  });

  test('that somebody else changed are not put back at the end of a level, and said so', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    bench.set('net.ipv4.vs.drop_entry', '1');
    const { state, writes, kept } = bench.at(60, { table: 0 });
    expect(kept).toEqual([{ sysctl: 'net.ipv4.vs.drop_entry', value: '1', original: '0' }]);
    expect(writes.filter(({ sysctl }) => sysctl === 'net.ipv4.vs.drop_entry')).toEqual([]);
    expect(state.level).toBe(0);
    expect(state.originals).not.toHaveProperty(['net.ipv4.vs.drop_entry']);
  });

  test('that could not be written are tried again, and nobody is blamed', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    bench.state = withoutHeld(bench.state, 'net.ipv4.vs.drop_entry');
    bench.set('net.ipv4.vs.drop_entry', '0');
    expect(bench.at(2, { table: 1 }).writes).toMatchObject([{ cause: 'level' }]);
  });

  test('that cannot be read are left alone', () => {
    const bench = new Bench(two, {});
    const blind = bench.at(1, { table: 1 });
    expect(blind).toMatchObject({ state: { level: 1, originals: {} }, writes: [] });
    expect(words(blind)).toContain('net.ipv4.vs.drop_entry cannot be read, so it is left alone');
  });

  test('that are automatic are put back as automatic, whichever phase they are in', () => {
    const bench = new Bench(two, { ...DEFAULTS, 'net.ipv4.vs.drop_entry': '2' });
    bench.at(1, { table: 0.6 });
    expect(bench.state.originals).toEqual({ 'net.ipv4.vs.drop_entry': '1' });
    expect(written(bench.at(6))).toEqual(['drop_entry 3>1']);
    bench.set('net.ipv4.vs.drop_entry', '2'); // the kernel, at once
    expect(bench.at(7)).toMatchObject({ state: { originals: {} }, writes: [] });
  });

  test('are remembered until they are seen to be as they were', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 0.6 });
    bench.at(6);
    expect(bench.state.originals).toEqual({ 'net.ipv4.vs.drop_entry': '0' });
    bench.set('net.ipv4.vs.drop_entry', '3'); // it was refused
    expect(written(bench.at(7))).toEqual(['drop_entry 3>0']);
    bench.at(8);
    expect(bench.state.originals).toEqual({});
  });

  test('of a policy that was replaced by a smaller one are put back', () => {
    const bench = new Bench(two);
    bench.at(1, { table: 1 });
    bench.at(6, { table: 1 });
    bench.policy = normalizePolicy('off');
    expect(bench.at(7, { table: 1 }).state).toMatchObject({ level: 0, enteredAtMs: [] });
    expect(bench.settings).toEqual(DEFAULTS);
  });
});

/** Values are of a few kinds, so that traces cross thresholds often. */
const value = fc.integer({ min: 0, max: 20 }).map((n) => n / 20);

function levelArbitrary(): fc.Arbitrary<LevelInput> {
  return fc
    .record({
      actions: fc.subarray([...actions], { minLength: 1 }),
      dropRate: fc.integer({ min: 2, max: 1000 }),
      names: fc.subarray([...thresholdNames], { minLength: 1 }),
      pairs: fc.array(fc.tuple(value, value), { minLength: 6, maxLength: 6 }),
      minHoldSeconds: fc.integer({ min: 1, max: 12 }),
      more: fc.integer({ min: 0, max: 40 }),
    })
    .map(({ actions, dropRate, names, pairs, minHoldSeconds, more }) => {
      const scale = (name: ThresholdName, value: number) => (name.startsWith('new') ? value * 1000 : value);
      const of = (enters: boolean) =>
        Object.fromEntries(
          names.map((name, i) => {
            const [a, b] = pairs[i] as [number, number];
            const [low, high] = a === b ? [0.25, 0.75] : [Math.min(a, b), Math.max(a, b)];
            return [name, scale(name, enters === (thresholds[name].side === 'above') ? high : low)];
          }),
        );
      return {
        actions,
        ...(actions.includes('drop-packet') && { dropRate }),
        enter: of(true),
        leave: of(false),
        minHoldSeconds,
        maxSeconds: minHoldSeconds + more,
      };
    });
}

const policies = fc
  .record({ levels: fc.array(levelArbitrary(), { maxLength: 4 }), staleSeconds: fc.integer({ min: 2, max: 10 }) })
  .map((settings) => normalizePolicy(settings));

const reading = fc.oneof(
  { weight: 8, arbitrary: fc.record({ value, ageMs: fc.constantFrom(0, 0, 0, 1500, 4000, 30_000) }) },
  { weight: 1, arbitrary: fc.constant('missing' as const) },
  { weight: 1, arbitrary: fc.constant('never' as const) },
);
const looks = fc.record({
  sinceMs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(1000) },
    { weight: 3, arbitrary: fc.constantFrom(1, 300, 999, 1001, 5000, 60_000) },
    { weight: 1, arbitrary: fc.constantFrom(0, -1, -5000) },
  ),
  readings: fc.record(
    Object.fromEntries(signalNames.map((name) => [name, reading])) as Record<SignalName, typeof reading>,
  ),
  /** What somebody else does. */
  meddled: fc.option(fc.tuple(fc.constantFrom(...actions), fc.constantFrom('0', '1', '3')), {
    nil: undefined,
    freq: 12,
  }),
  /** A write that fails, a value that cannot be read. */
  refuses: fc.boolean(),
  short: fc.boolean(),
});
const originals: fc.Arbitrary<Settings> = fc.record({
  [DROP_RATE]: fc.constantFrom('10', '0', '-3', '1', '500'),
  'net.ipv4.vs.drop_entry': fc.constantFrom('0', '1', '2', '3'),
  'net.ipv4.vs.drop_packet': fc.constantFrom('0', '1', '2', '3'),
  'net.ipv4.vs.secure_tcp': fc.constantFrom('0', '1', '2', '3'),
});
type Look = typeof looks extends fc.Arbitrary<infer T> ? T : never;
/** Pressure lasts: some looks are alike. */
const traces = fc
  .array(fc.tuple(looks, fc.constantFrom(1, 1, 2, 5, 25)), { minLength: 1, maxLength: 30 })
  .map((parts) => parts.flatMap(([look, times]) => Array<Look>(times).fill(look)));

/** Lets a kernel live through a trace, and `check` see every look. */
function live(
  policy: DefensePolicy,
  settings: Settings,
  trace: readonly Look[],
  check: (before: DefenseState, result: Step, readings: Readings, atMs: number) => void,
  meddling = false,
): { state: DefenseState; settings: Settings } {
  let state = WATCHING;
  let kernel = { ...settings };
  let atMs = 1_000_000;
  for (const look of trace) {
    atMs += look.sinceMs;
    const readings = Object.fromEntries(
      signalNames.map((name) => {
        const given = look.readings[name];
        if (typeof given === 'string') return [name, { missing: given, ...(given === 'never' && { forGood: true }) }];
        return [
          name,
          { value: name === 'newConnections' ? given.value * 1000 : given.value, atMs: atMs - given.ageMs, of: 2000 },
        ];
      }),
    ) as unknown as Readings;
    if (meddling && look.meddled) kernel[sysctlOf[look.meddled[0] as Action]] = look.meddled[1];
    const result = step(state, { atMs, readings, settings: kernel }, policy);
    check(state, result, readings, atMs);
    state = result.state;
    for (const { sysctl, to } of result.writes) {
      if (meddling && look.refuses) state = withoutHeld(state, sysctl);
      else kernel = { ...kernel, [sysctl]: to };
    }
    // The kernel's own second.
    for (const sysctl of Object.values(sysctlOf)) {
      if (kernel[sysctl] === '1' && look.short) kernel[sysctl] = '2';
      else if (kernel[sysctl] === '2' && !look.short) kernel[sysctl] = '1';
    }
  }
  return { state, settings: kernel };
}

describe('for every policy and every trace of signals', () => {
  test('a step is one level, a second after the one before, and no sooner than the minimum', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        let steppedAt = Number.NEGATIVE_INFINITY;
        const enteredAt: number[] = [];
        live(policy, settings, trace, (before, { state, reasons }, _, atMs) => {
          const by = state.level - before.level;
          expect(Math.abs(by)).toBeLessThanOrEqual(1);
          if (by === 0) return;
          expect(atMs - steppedAt).toBeGreaterThanOrEqual(1000);
          const hold = (policy.levels[before.level - 1]?.minHoldSeconds ?? 0) * 1000;
          const timeWasUp = reasons.some(({ kind }) => kind === 'exhausted');
          // Where a level's time is up it has been in force for its minimum, if not since the last step.
          if (!timeWasUp) expect(atMs - steppedAt).toBeGreaterThanOrEqual(hold);
          else expect(atMs - (enteredAt[before.level - 1] as number)).toBeGreaterThanOrEqual(hold);
          steppedAt = atMs;
          if (by > 0) enteredAt[state.level - 1] = atMs;
        });
      }),
    );
  });

  test('no level is in force for longer than its maximum, and a second for each level above', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        const enteredAt: number[] = [];
        live(
          policy,
          settings,
          trace.map((look) => ({ ...look, sinceMs: 1000 })),
          (before, { state }, _, atMs) => {
            if (state.level > before.level) enteredAt[state.level - 1] = atMs;
            for (let level = 1; level <= state.level; level++) {
              const most = (policy.levels[level - 1]?.maxSeconds ?? 0) * 1000;
              const above = (policy.levels.length - level) * 1000;
              expect(atMs - (enteredAt[level - 1] as number)).toBeLessThan(most + above + 1);
            }
          },
        );
      }),
    );
  });

  test('what was left because its time was up is not entered before all its signals were fresh and calm', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        live(policy, settings, trace, (before, { state }, readings, atMs) => {
          const freed = before.exhausted.filter((level) => !state.exhausted.includes(level));
          if (state.level > before.level && before.exhausted.includes(state.level)) freed.push(state.level);
          for (const level of freed) expect(calm(policy, level, readings, atMs)).toBe(true);
        });
      }),
    );
  });

  test('only "always", rates from 2 on and original values are written', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        live(policy, settings, trace, (before, { state, writes }) => {
          for (const { sysctl, to, cause } of writes) {
            if (cause === 'original') expect(sameSetting(sysctl, to, settings[sysctl] as string)).toBe(true);
            else if (sysctl === DROP_RATE) expect(Number(to)).toBeGreaterThanOrEqual(2);
            else expect(to).toBe('3');
            // What is written was remembered before.
            expect({ ...before.originals, ...state.originals }).toHaveProperty([sysctl]);
          }
        });
      }),
    );
  });

  test('it ends with the original values, and so it does at every return to level 0', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        const same = (kernel: Settings) =>
          Object.keys(settings).every((name) => sameSetting(name, kernel[name] as string, settings[name] as string));
        const { state, settings: kernel } = live(policy, settings, trace, () => undefined);
        const ended = {
          ...kernel,
          ...Object.fromEntries(letGo(state, kernel).writes.map(({ sysctl, to }) => [sysctl, to])),
        };
        expect(same(ended)).toBe(true);
        if (state.level === 0) expect(same(kernel)).toBe(true);
      }),
    );
  });

  test('at a level its settings are as wanted, and everything else as it was', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        live(policy, settings, trace, (_, { state, writes }) => {
          const wanted = wantedAt(state.level, policy);
          for (const { sysctl, to } of writes) expect(wanted[sysctl] ?? state.originals[sysctl]).toBe(to);
        });
        const { state, settings: kernel } = live(policy, settings, trace, () => undefined);
        expect(kernel).toMatchObject(wantedAt(state.level, policy));
        for (const [name, value] of Object.entries(settings)) {
          if (!(name in wantedAt(state.level, policy)))
            expect(sameSetting(name, kernel[name] as string, value)).toBe(true);
        }
      }),
    );
  });

  test('whoever meddles and whatever is refused, what it changed itself is put back, and nothing else', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        const { state, settings: kernel } = live(policy, settings, trace, () => undefined, true);
        const { writes, kept } = letGo(state, kernel);
        const ended = { ...kernel, ...Object.fromEntries(writes.map(({ sysctl, to }) => [sysctl, to])) };
        const others = new Set(kept.map(({ sysctl }) => sysctl));
        for (const [name, value] of Object.entries(state.originals)) {
          const [found, held] = [ended[name] as string, state.held[name]];
          expect(sameSetting(name, found, value)).toBe(!others.has(name));
          // What another program set is neither what it was, nor what the defense made of it.
          if (others.has(name)) expect(held !== undefined && !sameSetting(name, found, held)).toBe(true);
        }
      }),
    );
  });

  test('stale and missing signals hold the level, and say so', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        const maximum = (state: DefenseState, atMs: number) =>
          state.enteredAtMs.some((entered, i) => atMs - entered >= (policy.levels[i]?.maxSeconds ?? 0) * 1000);
        live(policy, settings, trace, (before, { state, reasons }, readings, atMs) => {
          const level = policy.levels[before.level - 1];
          if (level === undefined || (before.atMs !== null && atMs <= before.atMs)) return;
          const blind = Object.keys(level.enter)
            .map((name) => thresholds[name as ThresholdName].signal)
            .filter((signal) => isBlind(policy, readings[signal], atMs));
          if (blind.length === 0) return;
          if (!maximum(before, atMs)) expect(state.level).toBeGreaterThanOrEqual(before.level);
          const told = reasons.filter(({ kind }) => kind === 'blind').map(({ subject }) => subject);
          expect(told).toEqual(expect.arrayContaining(blind));
        });
      }),
    );
  });

  test('without a signal that can be judged nothing is entered', () => {
    fc.assert(
      fc.property(policies, originals, traces, (policy, settings, trace) => {
        const blind = trace.map((look) => ({
          ...look,
          readings: Object.fromEntries(signalNames.map((name) => [name, 'missing'])) as unknown as typeof look.readings,
        }));
        expect(live(policy, settings, blind, () => undefined)).toMatchObject({ state: { level: 0 } });
      }),
    );
  });
});

function isBlind({ staleSeconds }: DefensePolicy, reading: Reading | Missing, atMs: number): boolean {
  if ('missing' in reading) return reading.forGood !== true;
  return atMs - reading.atMs > staleSeconds * 1000;
}

/** Said once more, apart from the code. */
function calm(policy: DefensePolicy, number: number, readings: Readings, atMs: number): boolean {
  const { enter = {}, leave = {} } = policy.levels[number - 1] ?? {};
  const judged = (Object.keys(enter) as ThresholdName[]).map((name) => {
    const { signal, side } = thresholds[name];
    const reading = readings[signal];
    if (isBlind(policy, reading, atMs)) return 'blind';
    if ('missing' in reading) return 'never';
    const limit = leave[name] as number;
    return (side === 'above' ? reading.value > limit : reading.value < limit) ? 'kept' : 'calm';
  });
  return judged.includes('calm') && !judged.includes('blind') && !judged.includes('kept');
}
