/** Where a run names its addon, as scripts/test-asan does: every test file has that one, and no other. */
import { readFileSync, realpathSync } from 'node:fs';
import { afterAll, beforeAll, expect } from 'vitest';
import { native } from '../../src/kernel/native.ts';

const named = realpathSync(process.env['IPVS_DIRECTOR_ADDON'] as string);

function loadedAddons(): string[] {
  const paths = readFileSync('/proc/self/maps', 'utf8').match(/\/\S*ipvs_director\.node$/gm);
  return [...new Set(paths)];
}

beforeAll(() => {
  native();
  expect(loadedAddons()).toEqual([named]);
});

afterAll(() => expect(loadedAddons()).toEqual([named]));
