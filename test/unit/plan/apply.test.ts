import { expect, test } from 'vitest';
import { applyPlan, planOf } from '../../../src/plan/plan.ts';
import { type Change, type Phase, phases } from '../../../src/plan/resource.ts';

function change(resource: string, phase: Phase, subject: string): Change {
  return { resource, phase, operation: null, verb: 'do', subject, detail: '', effects: [] };
}

const a = change('services', 'add-service', 'a');
const b = change('services', 'add-destination', 'b');
const c = change('services', 'remove-destination', 'c');
const none = async () => [];
const other = change('other', 'prepare', 'other');

test('a plan is ordered by phase across resources; inside a phase it keeps the order', () => {
  const b2 = { ...b, subject: 'b2' };
  expect(
    planOf([
      { changes: [c, b, b2, a], unchanged: 1 },
      { changes: [other], unchanged: 2 },
    ]),
  ).toEqual({
    changes: [other, a, b, b2, c],
    unchanged: 3,
  });
});

test('every phase that adds comes before every phase that removes', () => {
  const first = (word: string) => phases.findIndex((phase) => phase.startsWith(word));
  const last = (word: string) => phases.findLastIndex((phase) => phase.startsWith(word));
  expect(last('add')).toBeLessThan(first('remove'));
  expect(last('edit')).toBeLessThan(first('remove'));
});

test('changes go to their resource, a phase at a time', async () => {
  const calls: string[] = [];
  const result = await applyPlan(planOf([{ changes: [a, b, c, other], unchanged: 0 }]), {
    check: none,
    async apply(resource, changes) {
      calls.push(`${resource}: ${changes.map(({ subject }) => subject)}`);
      return changes.map((change) => ({ change }));
    },
  });
  expect(calls).toEqual(['other: other', 'services: a', 'services: b', 'services: c']);
  expect(result).toEqual({ done: [other, a, b, c], failed: [], skipped: [] });
});

test('after a refusal the rest of its phase is made and no later one begins', async () => {
  const b2 = { ...b, subject: 'b2' };
  const error = new Error('refused');
  const result = await applyPlan(planOf([{ changes: [a, b, b2, c], unchanged: 0 }]), {
    check: none,
    apply: async (_, changes) => changes.map((change) => (change === b ? { change, error } : { change })),
  });
  expect(result).toEqual({ done: [a, b2], failed: [{ change: b, error }], skipped: [c] });
});

test('nothing is made if a refusal is known beforehand', async () => {
  const error = new Error('known');
  const result = await applyPlan(planOf([{ changes: [a, b, c, other], unchanged: 0 }]), {
    check: async (_, changes) => changes.filter((change) => change === b).map((change) => ({ change, error })),
    apply: () => Promise.reject(new Error('applied all the same')),
  });
  expect(result).toEqual({ done: [], failed: [{ change: b, error }], skipped: [other, a, c] });
});
