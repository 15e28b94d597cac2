/** Games of the simulation that found a fault. */
import { test } from 'vitest';
import { normalizeService } from '../../../src/ipvs/service.ts';
import type { Action, Recorded } from '../../simulation/actions.ts';
import { play } from '../../simulation/game.ts';

const withRule = {
  services: [
    { service: normalizeService({ address: 'tcp://192.0.2.1:80' }), destinations: [], sourceNat: true as const },
  ],
};
const done = (what: Recorded, thenUndo = false): Action => ({ type: 'do', what, thenUndo });
const apply = (desired: typeof withRule | { services: [] }): Recorded => ({
  type: 'apply',
  desired,
  adopt: false,
  prune: false,
});

test('an undo takes back a rule that a direct command added', () =>
  play([done({ type: 'masquerade add', source: '10.0.0.0/24' }, true)]));

test('an undo brings back a rule that a direct command deleted', () =>
  play([
    done({ type: 'masquerade add', source: '10.0.0.0/24' }),
    done({ type: 'masquerade delete', source: '10.0.0.0/24' }, true),
  ]));

test('a chain comes back where it was asked: behind a rule of another program', () =>
  play([
    done(apply(withRule)),
    {
      type: 'foreign',
      what: { type: 'foreign rule', store: 'nft', command: '-I POSTROUTING -s 10.9.0.0/16 -j ACCEPT' },
    },
    done(apply({ services: [] }), true),
  ]));

test('a process that dies after it wrote an entry of the history does not lose it to the next one', () =>
  play([
    done({ type: 'flush' }),
    {
      type: 'do',
      what: { type: 'service add', service: 'tcp://192.0.2.1:80' },
      fault: { how: 'crash-before', at: 5, times: 1 },
      thenUndo: false,
    },
    done({ type: 'disown' }),
    done({ type: 'undo', back: 1, side: 'after' }),
    done(apply({ services: [] })),
  ]));
