/** The timer's looks, the record and the audit lines, over settings in memory. */
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { Controller, type DefenseParts, startController } from '../../../src/defense/controller.ts';
import { type HeldRecord, Originals } from '../../../src/defense/originals.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import { keptWords, putBackRecorded } from '../../../src/defense/put-back.ts';
import type { Readings } from '../../../src/defense/signal.ts';
import { type Files, VolatileFiles } from '../../../src/record/files.ts';
import type { Sysctls } from '../../../src/sysctl/sysctls.ts';

const VS = 'net.ipv4.vs.';
const policy = normalizePolicy({
  levels: [
    { actions: ['drop-entry'], enter: { tableAbove: 0.5 }, leave: { tableAbove: 0.4 }, minHoldSeconds: 1 },
    {
      actions: ['drop-entry', 'drop-packet'],
      dropRate: 4,
      enter: { tableAbove: 0.8 },
      leave: { tableAbove: 0.7 },
      minHoldSeconds: 1,
    },
  ],
});

class FakeSysctls implements Sysctls {
  readonly values: Record<string, string> = {
    [`${VS}am_droprate`]: '10',
    [`${VS}drop_entry`]: '1',
    [`${VS}drop_packet`]: '0',
    [`${VS}secure_tcp`]: '0',
  };
  refused = new Set<string>();

  read(name: string): string {
    const value = this.values[name];
    if (value === undefined) throw new IpvsError('SYSCTL_NOT_FOUND', { subject: name });
    return value;
  }

  write(name: string, value: string): void {
    if (this.refused.has(name)) throw new IpvsError('SYSCTL_FAILED', { subject: name, errno: 1 });
    this.values[name] = value;
  }
}

interface Line {
  readonly logLevel: string;
  readonly event: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

class Fixture {
  readonly sysctls = new FakeSysctls();
  readonly lines: Line[] = [];
  files: Files = new VolatileFiles();
  table: number | Error = 0;
  nowMs = 1000;
  controller: Controller;

  constructor(more: Partial<DefenseParts> = {}, files?: Files) {
    if (files) this.files = files;
    this.controller = this.made(more);
  }

  made(more: Partial<DefenseParts> = {}): Controller {
    return new Controller(this.parts(more));
  }

  parts(more: Partial<DefenseParts> = {}): DefenseParts {
    const log = (logLevel: string) => (details: object, msg: string) =>
      this.lines.push({ logLevel, msg, ...(details as { event: string }) });
    return {
      policy,
      sysctls: this.sysctls,
      sampler: { sample: async () => this.readings() },
      originals: new Originals(this.files, 'boot/1'),
      logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      now: () => this.nowMs,
      ...more,
    };
  }

  readings(): Readings {
    if (this.table instanceof Error) throw this.table;
    const of = (value: number) => ({ value, atMs: this.nowMs });
    const quiet = {
      memoryFree: of(1),
      memoryAvailable: of(1),
      memoryPressure: of(0),
      newConnections: of(0),
      halfOpen: of(0),
    };
    return { ...quiet, table: of(this.table) };
  }

  /** So many seconds with this much in the table. */
  async run(seconds: number, table: number | Error): Promise<void> {
    this.table = table;
    for (let i = 0; i < seconds; i++) {
      this.nowMs += 1000;
      await this.controller.tick();
    }
  }

  events(): string[] {
    return this.lines.map(({ event }) => event);
  }

  short(name: string): string | undefined {
    return this.sysctls.values[VS + name];
  }

  record(): HeldRecord | undefined {
    const bytes = this.files.read('defense.json');
    return bytes && JSON.parse(bytes.toString());
  }
}

describe('a write', () => {
  test('is an audit line with the numbers that caused it', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(1, 0.6123456);
    expect(f.lines.slice(1)).toEqual([
      {
        logLevel: 'warn',
        event: 'defense.step',
        from: 0,
        to: 1,
        msg: 'level 1 is entered: connection table: 61.2 % of its limit, above 50 %',
        reasons: ['level 1 is entered: connection table: 61.2 % of its limit, above 50 %'],
        numbers: expect.objectContaining({ table: 0.6123, memoryFree: 1 }),
      },
      {
        logLevel: 'warn',
        event: 'defense.write',
        sysctl: 'net.ipv4.vs.drop_entry',
        from: '1',
        to: '3',
        cause: 'level',
        atLevel: 1,
        reasons: ['level 1 is entered: connection table: 61.2 % of its limit, above 50 %'],
        numbers: expect.objectContaining({ table: 0.6123 }),
        msg: 'drop_entry automatic -> always',
      },
    ]);
  });

  test('is preceded by a record of what was there', async () => {
    const f = new Fixture();
    const write = f.sysctls.write.bind(f.sysctls);
    f.sysctls.write = (name, value) => {
      expect(f.record()?.originals).toHaveProperty([name]);
      write(name, value);
    };
    f.controller.begin();
    await f.run(2, 1);
    expect(f.record()).toMatchObject({
      level: 2,
      policy,
      originals: { [`${VS}drop_entry`]: '1', [`${VS}am_droprate`]: '10', [`${VS}drop_packet`]: '0' },
      written: { [`${VS}drop_entry`]: ['3'], [`${VS}am_droprate`]: ['4'], [`${VS}drop_packet`]: ['3'] },
    });
    expect(f.short('drop_packet')).toBe('3');
    f.controller.end();
    expect(f.record()).toBeUndefined();
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
  });

  test('is not made where that cannot be recorded, and this is told once', async () => {
    const f = new Fixture();
    f.files.write = () => {
      throw new IpvsError('FILE_UNWRITABLE', { subject: 'defense.json', errno: 28 });
    };
    f.controller.begin();
    await f.run(5, 1);
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
    expect(f.controller.state.level).toBe(0);
    expect(f.events()).toEqual(['defense.started', 'defense.unrecorded']);
    expect(f.lines[1]?.msg).toContain('(ENOSPC)');
  });

  test('that is refused is told once, tried again, and leaves the rest alone', async () => {
    const f = new Fixture();
    f.sysctls.refused.add(`${VS}drop_entry`);
    f.controller.begin();
    await f.run(5, 1);
    expect(f.events().filter((event) => event === 'defense.refused')).toHaveLength(1);
    expect([f.short('drop_entry'), f.short('drop_packet')]).toEqual(['1', '3']);
    f.sysctls.refused.clear();
    await f.run(1, 1);
    expect(f.short('drop_entry')).toBe('3');
    expect(f.events()).not.toContain('defense.changed');
  });

  test('of somebody else is told, from and to, and put right', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(1, 0.6);
    f.sysctls.values[`${VS}drop_entry`] = '0';
    await f.run(1, 0.6);
    expect(f.lines.slice(-2)).toMatchObject([
      { event: 'defense.changed', from: '3', to: '0', logLevel: 'warn' },
      { event: 'defense.write', from: '0', to: '3', cause: 'changed', reasons: ['somebody else changed it'] },
    ]);
    await f.run(5, 0.6);
    expect(f.events().filter((event) => event === 'defense.changed')).toHaveLength(1);
  });

  test('does not put back at the end of a level what somebody else set meanwhile, and tells that', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(1, 0.6);
    expect(f.short('drop_entry')).toBe('3');
    await f.run(60, 0.6);
    f.sysctls.values[`${VS}drop_entry`] = '0';
    await f.run(1, 0);
    expect(f.controller.state.level).toBe(0);
    expect(f.short('drop_entry')).toBe('0');
    expect(f.lines.find(({ event }) => event === 'defense.kept')).toMatchObject({ value: '0', original: '1' });
    expect(f.controller.end()).toEqual({ written: [], refused: [], kept: [] });
    expect(f.record()).toBeUndefined();
  });

  test('is only said in a dry run, which keeps no record', async () => {
    const f = new Fixture();
    f.controller = f.made({ dryRun: true });
    f.controller.begin();
    await f.run(4, 1);
    await f.run(6, 0);
    f.controller.end();
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
    expect(f.record()).toBeUndefined();
    const written = f.lines.filter(({ event }) => event === 'defense.write');
    expect(written.map(({ msg }) => msg)).toEqual([
      'would write: drop_entry automatic -> always',
      'would write: am_droprate 10 -> 4',
      'would write: drop_packet off -> always',
      'would write: drop_packet always -> off',
      'would write: am_droprate 4 -> 10',
      'would write: drop_entry always -> automatic',
    ]);
    expect(f.lines.every(({ dryRun }) => dryRun === true)).toBe(true);
  });
});

describe('what goes wrong', () => {
  test('with the signals holds the level, and is told once until it is another', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(1, 0.6);
    await f.run(5, new Error('no idea'));
    expect(f.controller.state.level).toBe(1);
    await f.run(2, new Error('another'));
    await f.run(3, 0);
    expect(f.lines.filter(({ event }) => event === 'defense.failed').map(({ error }) => error)).toEqual([
      'Error: no idea',
      'Error: another',
    ]);
    expect(f.controller.state.level).toBe(0);
  });

  test('with a signal is told when it begins and when it ends', async () => {
    const f = new Fixture();
    const readings = f.readings.bind(f);
    let missing = false;
    f.readings = () => ({ ...readings(), ...(missing && { table: { missing: 'ip_vs is not loaded' } }) });
    f.controller.begin();
    await f.run(1, 0.6);
    missing = true;
    await f.run(5, 0);
    missing = false;
    await f.run(1, 0.6);
    const told = f.lines.filter(({ event }) => event === 'defense.held' || event === 'defense.seen');
    expect(told.map(({ msg }) => msg)).toEqual([
      'connection table: not known: ip_vs is not loaded',
      'table: it is known again',
    ]);
  });

  test('with the logger changes nothing', async () => {
    const f = new Fixture();
    const broken = () => {
      throw new Error('EPIPE');
    };
    f.controller = f.made({ logger: { debug: broken, info: broken, warn: broken, error: broken } });
    f.controller.begin();
    await f.run(2, 1);
    expect(f.short('drop_packet')).toBe('3');
    f.controller.end();
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
  });

  test('at the end stays on record, and is returned', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(2, 1);
    f.sysctls.refused.add(`${VS}drop_packet`);
    const { written, refused } = f.controller.end();
    expect(written.map(({ sysctl }) => sysctl)).toEqual([`${VS}am_droprate`, `${VS}drop_entry`]);
    expect(refused).toMatchObject([{ sysctl: `${VS}drop_packet`, to: '0', error: { code: 'SYSCTL_FAILED' } }]);
    expect(f.record()?.originals).toEqual({ [`${VS}drop_packet`]: '0' });
    expect(f.events().slice(-2)).toEqual(['defense.refused', 'defense.ended']);
  });
});

describe('after a crash', () => {
  /** Dies at level 2, and leaves settings and record. */
  async function died(): Promise<Fixture> {
    const f = new Fixture();
    f.controller.begin();
    await f.run(2, 1);
    f.lines.length = 0;
    return f;
  }

  test('the next one puts everything back before it watches', async () => {
    const f = await died();
    f.controller = f.made();
    f.controller.begin();
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
    expect(f.record()).toBeUndefined();
    expect(f.events()).toEqual(['defense.write', 'defense.write', 'defense.write', 'defense.started']);
    expect(f.lines[0]).toMatchObject({ reasons: ['a controller that died left it'], cause: 'original' });
  });

  test('what is then refused is tried again every second, and never taken for an original', async () => {
    const f = await died();
    f.sysctls.refused.add(`${VS}drop_entry`);
    f.controller = f.made();
    f.controller.begin();
    await f.run(3, 1);
    expect(f.record()?.originals).toMatchObject({ [`${VS}drop_entry`]: '1' });
    f.sysctls.refused.clear();
    f.controller.end();
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
    expect(f.record()).toBeUndefined();
  });

  test('what cannot be read is not written, as nobody knows whose it is', async () => {
    const f = await died();
    f.sysctls.values[`${VS}drop_packet`] = '2';
    let looks = 0;
    const sysctls: Sysctls = {
      read(name) {
        if (name === `${VS}drop_packet` && looks++ === 0)
          throw new IpvsError('SYSCTL_FAILED', { subject: name, errno: 5 });
        return f.sysctls.read(name);
      },
      write: (name, value) => f.sysctls.write(name, value),
    };
    const { kept, refused } = putBackRecorded(new Originals(f.files, 'boot/1'), sysctls);
    expect([kept, refused]).toEqual([[], [expect.objectContaining({ sysctl: `${VS}drop_packet`, to: '0' })]]);
    expect(f.sysctls.values[`${VS}drop_packet`]).toBe('2');
    expect(f.record()?.originals).toEqual({ [`${VS}drop_packet`]: '0' });
  });

  test('what somebody else set meanwhile stays and is told, and the rest is put back', async () => {
    const f = await died();
    f.sysctls.values[`${VS}drop_packet`] = '2';
    const { kept, written, refused } = putBackRecorded(new Originals(f.files, 'boot/1'), f.sysctls);
    expect(kept).toEqual([{ sysctl: `${VS}drop_packet`, value: '2', original: '0' }]);
    expect(kept.map(keptWords)).toEqual([
      'drop_packet is engaged: somebody else set it meanwhile, so it stays (before the defense: off)',
    ]);
    expect([written.length, refused]).toEqual([2, []]);
    expect(f.sysctls.values).toEqual({ ...new FakeSysctls().values, [`${VS}drop_packet`]: '2' });
    expect(f.record()).toBeUndefined();
  });

  test('the next one leaves and tells it too', async () => {
    const f = await died();
    f.sysctls.values[`${VS}am_droprate`] = '7';
    f.controller = f.made();
    f.controller.begin();
    expect(f.short('am_droprate')).toBe('7');
    expect(f.lines.find(({ event }) => event === 'defense.kept')).toMatchObject({
      logLevel: 'warn',
      sysctl: `${VS}am_droprate`,
      value: '7',
      original: '10',
    });
    expect(f.controller.end()).toEqual({ written: [], refused: [], kept: [] });
    expect(f.short('am_droprate')).toBe('7');
  });

  test.each(['before', 'after'])('%s a write that was on record, what is found is ours', async (when) => {
    const f = new Fixture({ policy: twoRates });
    f.controller.begin();
    await f.run(1, 0.6);
    const write = f.sysctls.write.bind(f.sysctls);
    f.sysctls.write = (name, value) => {
      if (when === 'after') write(name, value);
      throw new Error('killed');
    };
    await f.run(1, 1);
    f.sysctls.write = write;
    expect(f.short('am_droprate')).toBe(when === 'after' ? '2' : '4');
    expect(putBackRecorded(new Originals(f.files, 'boot/1'), f.sysctls).kept).toEqual([]);
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
  });

  test('of another boot or namespace nothing is written, and it is forgotten', async () => {
    const f = await died();
    f.controller = f.made({ originals: new Originals(f.files, 'boot/2') });
    f.controller.begin();
    expect(f.short('drop_packet')).toBe('3');
    expect(f.record()).toBeUndefined();
    expect(f.events()).toEqual(['defense.dropped', 'defense.started']);
  });

  test.each([
    ['no JSON', '{'],
    ['nothing', 'null'],
    ['of another release', '{"version":2,"table":"boot/1","level":1,"at":"x","originals":{}}'],
    ['without what was written', '{"version":1,"table":"boot/1","level":1,"at":"x","originals":{}}'],
    ['of a setting of which nothing is said to be written', record({ 'net.ipv4.vs.drop_entry': '1' }, {})],
    ['of a setting that is none of ours', record({ 'net.ipv4.ip_forward': '1' })],
    ['of a mode that there is not', record({ 'net.ipv4.vs.drop_entry': '7' })],
    ['of a rate that is none', record({ 'net.ipv4.vs.am_droprate': '10; reboot' })],
  ])('a record that is %s is refused, and kept', (_, text) => {
    const files = new VolatileFiles();
    files.write('defense.json', text);
    const f = new Fixture({}, files);
    expect(() => f.controller.begin()).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
    expect(() => putBackRecorded(new Originals(files, 'boot/1'), f.sysctls)).toThrow(IpvsError);
    expect(files.read('defense.json')?.toString()).toBe(text);
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
  });
});

function record(
  originals: object,
  written: object = Object.fromEntries(Object.keys(originals).map((name) => [name, []])),
): string {
  return JSON.stringify({ version: 1, table: 'boot/1', level: 1, policy: null, at: 'x', originals, written });
}

const twoRates = normalizePolicy({
  levels: [4, 2].map((dropRate, i) => ({
    actions: ['drop-packet'],
    dropRate,
    enter: { tableAbove: i === 0 ? 0.5 : 0.8 },
    leave: { tableAbove: i === 0 ? 0.4 : 0.7 },
    minHoldSeconds: 1,
  })),
});

describe('a policy', () => {
  test.each([
    ['balanced', undefined, 'the defense watches, with the policy balanced (2 levels)'],
    ['balanced', 'balanced', 'the defense watches, with the policy balanced (2 levels), which was applied'],
    ['off', undefined, 'the defense watches, with the policy off (0 levels): nothing is defended'],
    [
      'off',
      'off',
      'the defense watches, with the policy off (0 levels): no policy was applied, so nothing is defended until one is',
    ],
  ] as const)('%s (applied: %s) is told in the first line', (name, applied, words) => {
    const f = new Fixture({
      policy: normalizePolicy(name),
      ...(applied && { followed: () => normalizePolicy(applied) }),
    });
    f.controller.begin();
    expect(f.lines.map(({ msg }) => msg)).toEqual([words]);
  });

  test('is on record with its level while it runs, also where nothing is held', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(1, 0);
    expect(f.record()).toMatchObject({ level: 0, policy, originals: {}, written: {} });
    f.controller.setPolicy(normalizePolicy('strict'));
    await f.run(1, 0);
    expect(f.record()?.policy).toEqual(normalizePolicy('strict'));
    f.controller.end();
    expect(f.record()).toBeUndefined();
  });

  test('of another release on record keeps nothing from being put back', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(1, 0.6);
    f.files.write('defense.json', JSON.stringify({ ...f.record(), policy: { levels: 'many' } }));
    const originals = new Originals(f.files, 'boot/1');
    expect(originals.read()?.policy).toBeNull();
    expect(putBackRecorded(originals, f.sysctls).written).toHaveLength(1);
  });

  test('is replaced while it runs', async () => {
    const f = new Fixture();
    f.controller.begin();
    await f.run(2, 1);
    f.controller.setPolicy(normalizePolicy({ ...policy, preset: null }));
    expect(f.events()).not.toContain('defense.policy');
    f.controller.setPolicy(normalizePolicy('off'));
    await f.run(1, 1);
    expect(f.lines.map(({ msg }) => msg)).toContain('the policy is another: the policy off (0 levels)');
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
    expect(f.lines.find(({ event, to }) => event === 'defense.step' && to === 0)?.['reasons']).toEqual([
      'the policy has no level 2',
    ]);
  });
});

describe('the timer', () => {
  test('looks at once, never twice at the same time, and puts everything back when it is told to end', async () => {
    const f = new Fixture();
    f.table = 1;
    const stop = new AbortController();
    let [under, most, looks] = [0, 0, 0];
    const sample = async () => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, 20));
      under--;
      if (++looks === 1) stop.abort();
      return f.readings();
    };
    let ended = 0;
    const running = startController(f.parts({ sampler: { sample }, signal: stop.signal, onEnd: () => ended++ }));
    expect(await running.ended).toMatchObject({ refused: [], written: [{ sysctl: `${VS}drop_entry`, to: '1' }] });
    expect([most, ended]).toEqual([1, 1]);
    expect(f.sysctls.values).toEqual(new FakeSysctls().values);
    expect(running.state.level).toBe(0);
  });
});
