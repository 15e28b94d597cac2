/** The flood of the bench sends what it says, at its rate and for its time, through its interface. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileFlood } from '../helpers/flood.ts';
import { ip, makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

let folder: string;
let attacker: TestNamespace;
let target: TestNamespace;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-flood-'));
  attacker = makeNamespace('attacker');
  target = makeNamespace('target');
  ip('link', 'add', 'eth0', 'netns', attacker.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', target.name);
  attacker.run('ip', ['address', 'add', '198.19.0.2/24', 'dev', 'eth0']);
  target.run('ip', ['address', 'add', '198.19.0.1/24', 'dev', 'eth0']);
  for (const namespace of [attacker, target]) namespace.run('ip', ['link', 'set', 'eth0', 'up']);
});
afterAll(() => {
  attacker?.remove();
  target?.remove();
  if (folder) rmSync(folder, { recursive: true });
});

/** Of the target: what came in, and what of it was a segment of TCP that it could read. */
function received(): { segments: number; damaged: number } {
  const [names = [], values = []] = target
    .run('cat', ['/proc/net/snmp'])
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  const counter = (name: string) => Number(values[names.indexOf(name)]);
  return { segments: counter('InSegs'), damaged: counter('InErrs') + counter('InCsumErrors') };
}

test('a rate and a time', () => {
  const words = ['eth0', '198.18.0.0/16', '198.19.0.1', '80', '200', '2'];
  const { sent, leftOut, seconds } = JSON.parse(attacker.run(compileFlood(folder), words));
  // A slow machine leaves some out; none sends more.
  expect(sent).toBeGreaterThan(0);
  expect(sent + leftOut).toBeLessThanOrEqual(400);
  expect(seconds).toBeGreaterThanOrEqual(2);
  expect(received()).toEqual({ segments: sent, damaged: 0 });
});

test('an interface that is not there', () => {
  expect(() => attacker.run(join(folder, 'flood'), ['eth9', '198.18.0.0/16', '198.19.0.1', '80', '1', '1'])).toThrow(
    'eth9',
  );
});
