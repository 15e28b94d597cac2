/** What `ipvs defense` says of a controller, and of what was put back. */
import { describe, expect, test } from 'vitest';
import { restoredWords, statusWords } from '../../../src/cli/words/defense.ts';
import type { DefenseStatus } from '../../../src/defense/defense.ts';
import { approaches } from '../../../src/defense/judge.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import type { Readings } from '../../../src/defense/signal.ts';

const of = (value: number) => ({ value, atMs: 0 });
const readings: Readings = {
  memoryFree: of(0.5),
  memoryAvailable: of(0.2),
  memoryPressure: of(0),
  newConnections: of(100),
  table: of(0.45),
  halfOpen: { ...of(0.2), of: 1000 },
};
const balanced = normalizePolicy('balanced');
const off = normalizePolicy('off');
const none = { readings, atMs: 0 };
const held = {
  version: 1,
  table: 'boot/1',
  originals: { 'net.ipv4.vs.drop_entry': '1' },
  written: { 'net.ipv4.vs.drop_entry': ['3'] },
  level: 1,
  policy: balanced,
  at: '2026-01-01T00:00:00.000Z',
} as const;

function said(status: Omit<DefenseStatus, 'readings' | 'atMs'>): string {
  const text = statusWords({ ...none, ...status }, (_, text) => text);
  return text.slice(text.indexOf('controller\n'));
}

describe('a controller', () => {
  test('that watches: its policy, and the thresholds of the next level, the nearest first', () => {
    const course = { level: 0, ...approaches(balanced, 0, readings) };
    expect(said({ controller: { running: true }, policy: balanced, course })).toBe(`controller
  runs
  level 0 of the policy balanced: it watches, and has changed nothing
  level 1 is entered over one of these, the nearest first
    connection table: 45 % of its limit, not above 50 %
    available memory: 20 % of all memory, not below 10 %
    half-open entries: 20 % of the TCP entries looked at, not above 50 %
    memory pressure: 0 % of the time, not above 20 %`);
  });

  test('at a level: what it will put back, and what keeps it', () => {
    const course = { level: 2, ...approaches(balanced, 2, readings) };
    expect(
      said({ controller: { running: true }, policy: balanced, course, held: { ...held, level: 2 } }),
    ).toBe(`controller
  runs
  level 2 of the policy balanced, since 2026-01-01T00:00:00Z; it will put back
    drop_entry 1
  there is no level above
  level 2 is left when none of these is crossed
    connection table: 45 % of its limit, not above 80 %
    available memory: 20 % of all memory, not below 5 %
    memory pressure: 0 % of the time, not above 40 %`);
  });

  test('without a level', () => {
    const course = { level: 0, enter: [], leave: [] };
    expect(said({ controller: { running: true }, policy: off, course })).toBe(`controller
  runs
  level 0 of the policy off: it watches, and has changed nothing
  the policy has no levels: nothing is defended`);
  });

  test('that is not there: what one would go by, and what one that died left', () => {
    expect(said({ controller: { running: false }, policy: off })).toBe(`controller
  none runs
  no policy is applied: "ipvs defense run" only watches, unless it is told one`);
    expect(said({ controller: { running: false }, policy: balanced, held })).toBe(`controller
  none runs
  one died at level 1 of the policy balanced, since 2026-01-01T00:00:00Z: "ipvs defense restore" puts back
    drop_entry 1
  "ipvs defense run" goes by the policy balanced, which was applied`);
    expect(said({ policy: off })).toBe('controller\n  whether one runs can be seen by root');
  });
});

describe('restored', () => {
  const nothing = { written: [], refused: [], kept: [] };
  const write = { sysctl: 'net.ipv4.vs.drop_entry', from: '3', to: '0', cause: 'original' } as const;
  const kept = { sysctl: 'net.ipv4.vs.drop_packet', value: '1', original: '0' };
  const stays = 'drop_packet is automatic: somebody else set it meanwhile, so it stays (before the defense: off)';
  test.each([
    [nothing, 'there was nothing to put back'],
    [{ ...nothing, written: [write] }, 'put back 1 setting'],
    [{ ...nothing, kept: [kept] }, stays],
    [{ ...nothing, written: [write], kept: [kept] }, `put back 1 setting\n${stays}`],
  ])('%#: %s', (recovered, words) => {
    expect(restoredWords(recovered)).toBe(words);
  });
});
