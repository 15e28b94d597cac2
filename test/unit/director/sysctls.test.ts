/** Settings in a plan. */
import { describe, expect, test } from 'vitest';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import { plan } from '../../../src/director/plan.ts';
import { withHeldEffects } from '../../../src/resources/sysctls.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const VS = 'net.ipv4.vs.';
const WEB = 'tcp://192.0.2.10:80';

function planned(desired: DesiredState, sysctls: Record<string, string>) {
  return plan(desired, { ...tableOf({ services: [] }), sysctls } as never);
}

test('of what the defense holds now it is said, before an apply is refused', () => {
  const desired = { services: [], sysctls: { [`${VS}drop_entry`]: '1', [`${VS}conntrack`]: '1' } };
  const made = planned(desired, { [`${VS}drop_entry`]: '0', [`${VS}conntrack`]: '0' });
  const { changes } = withHeldEffects(made, () => ({ [`${VS}drop_entry`]: '0' }));
  expect(changes.map(({ subject, effects }) => [subject, effects])).toEqual([
    [`${VS}drop_entry`, ['held by the defense: an apply is refused until that is over']],
    [`${VS}conntrack`, []],
  ]);
});

test('nobody looks at the defense where no setting changes', () => {
  const made = planned(stateOf({ [WEB]: { '10.0.0.11': 1 } }), {});
  expect(
    withHeldEffects(made, () => {
      throw new Error('it was looked at');
    }),
  ).toBe(made);
});

test.each(['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])(
  '%s says what no undo brings back, both ways',
  (name) => {
    for (const [from, to] of [
      ['0', '1'],
      ['1', '0'],
    ] as const) {
      const { changes } = planned({ services: [], sysctls: { [name]: to } }, { [name]: from });
      expect(changes[0]?.effects.join()).toContain('an undo does not bring back what single ones had');
    }
  },
);

describe('a setting that comes with a scheduler', () => {
  const sysctls = { [`${VS}conntrack`]: '1', [`${VS}lblc_expiration`]: '60' };
  const phases = (scheduler: string) => {
    const { services } = stateOf({ [WEB]: { '10.0.0.11': 1 } });
    const using = services.map((entry) => ({ ...entry, service: { ...entry.service, scheduler } }));
    const { changes } = planned({ services: using, sysctls }, { [`${VS}conntrack`]: '0' });
    return changes.map(({ subject }) => subject);
  };
  test('is set after the service that uses it', () => {
    expect(phases('lblc')).toEqual([`${VS}conntrack`, WEB, `10.0.0.11:80 of ${WEB}`, `${VS}lblc_expiration`]);
  });
  test('and without one before all, so that it is refused before anything is done', () => {
    for (const other of ['wrr', 'lblcr'])
      expect(phases(other)).toEqual([`${VS}conntrack`, `${VS}lblc_expiration`, WEB, `10.0.0.11:80 of ${WEB}`]);
  });
});

describe('the policy of the defense', () => {
  const words = (desired: Omit<DesiredState, 'services'>, defense: unknown) =>
    plan({ services: [], ...desired }, { ...tableOf({ services: [] }), defense } as never).changes.map(
      ({ detail }) => detail,
    );
  const balanced = normalizePolicy('balanced');
  test('goes when it leaves the file', () => {
    expect(words({}, balanced)).toEqual(['balanced → off']);
    expect(words({}, normalizePolicy('off'))).toEqual([]);
    expect(words({ defense: balanced }, balanced)).toEqual([]);
  });
});
