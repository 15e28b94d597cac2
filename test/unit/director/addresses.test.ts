/** Virtual addresses over models of the table and of the interfaces: whose they are, and what goes with them. */
import { describe, expect, test } from 'vitest';
import { formatInterfaceAddress, type HeldAddress } from '../../../src/addresses/interface-address.ts';
import { MemoryAddresses } from '../../../src/addresses/memory-addresses.ts';
import type { Route } from '../../../src/addresses/route.ts';
import { describePlan } from '../../../src/director/describe.ts';
import { type ApplyOptions, Director, type PlanOptions } from '../../../src/director/director.ts';
import { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../../src/ipvs/memory/backend.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { Store } from '../../../src/record/store.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.99:80';
const WEB6 = 'tcp://[2001:db8::99]:80';
const DNS = 'udp://192.0.2.53:53';

const state = (...services: readonly string[]): DesiredState =>
  stateOf(Object.fromEntries(services.map((service) => [service, {}])), { interface: 'd0' });
const NOTHING: DesiredState = { services: [] };

/** Of a text such as "192.0.2.99/24". */
function on(name: string, text: string, more: Partial<HeldAddress> = {}): HeldAddress {
  const [address = '', length] = text.split('/');
  return { interface: name, address, prefixLength: Number(length), ...more };
}

async function given(foreign: readonly string[] = [], routes: readonly Route[] = [], promotesSecondaries = false) {
  const addresses = new MemoryAddresses({ d0: { promotesSecondaries }, d1: {} }, routes);
  const store = new Store(new VolatileFiles());
  const director = new Director({ ipvs: new Ipvs(new MemoryBackend()), store, table: 'this', addresses });
  const execute = async (type: 'address.add' | 'address.delete', ...texts: readonly string[]) => {
    const results = await addresses.execute(texts.map((text) => ({ type, address: on('d0', text) })));
    expect(results.flatMap(({ error }) => error ?? [])).toEqual([]);
  };
  await execute('address.add', ...foreign);
  return {
    director,
    store,
    addresses,
    add: (...texts: readonly string[]) => execute('address.add', ...texts),
    remove: (...texts: readonly string[]) => execute('address.delete', ...texts),
    held: async () => (await addresses.list()).map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    apply: async (desired: DesiredState, options: ApplyOptions & PlanOptions = {}) => {
      const result = await director.apply({ desired }, options);
      expect(result).toMatchObject({ outcome: 'applied', failed: [] });
      return result.done
        .filter(({ resource }) => resource === 'addresses')
        .map(({ verb, subject }) => `${verb} ${subject}`);
    },
  };
}

describe('an address that the host had before', () => {
  test('is a conflict with any prefix length', async () => {
    for (const foreign of ['192.0.2.99/24', '192.0.2.99/32']) {
      const { apply, held } = await given([foreign]);
      await expect(apply(state(WEB))).rejects.toMatchObject({ code: 'NOT_OURS', subject: `${foreign} on d0` });
      expect(await held()).toEqual([foreign]);
    }
  });

  test.each(['192.0.2.99/24', '192.0.2.99/32'])('is adopted as it is, and released: %s', async (foreign) => {
    const { apply, held, director } = await given([foreign, '192.0.2.98/24']);
    expect(await apply(state(WEB), { adopt: true })).toEqual([]);
    expect(await apply(state(WEB))).toEqual([]);
    const plan = await director.plan({ desired: NOTHING });
    expect(describePlan(plan)).toContain(`? ${foreign} on d0  not in the file, and kept`);
    expect(await apply(NOTHING)).toEqual([]);
    expect(await held()).toEqual([foreign, '192.0.2.98/24']);
    // It is foreign again.
    await expect(apply(state(WEB))).rejects.toMatchObject({ code: 'NOT_OURS' });
  });

  test('stays when its adoption is undone', async () => {
    const { apply, held, director } = await given(['192.0.2.99/24']);
    await apply(state(WEB), { adopt: true });
    const { intent } = await director.undoIntent();
    expect((await director.apply(intent)).outcome).toBe('applied');
    expect(await held()).toEqual(['192.0.2.99/24']);
  });

  test('is adopted through a plan for other services', async () => {
    const { apply, held } = await given(['192.0.2.99/32']);
    await apply(state(WEB), { adopt: true });
    await apply(state(WEB, DNS), { targets: [DNS] });
    await apply(NOTHING);
    expect(await held()).toEqual(['192.0.2.99/32']);
  });

  test('is not adopted by a plan that is for other services', async () => {
    const { apply, held, add, remove } = await given();
    await apply(state(WEB, DNS));
    await remove('192.0.2.99/32');
    await add('192.0.2.99/24');
    await apply(state(WEB, DNS), { targets: [DNS], adopt: true });
    await expect(apply(state(WEB, DNS))).rejects.toMatchObject({ code: 'NOT_OURS' });
    expect(await held()).toEqual(['192.0.2.53/32', '192.0.2.99/24']);
  });

  test('that was adopted and goes is replaced by one of ours, which goes with its service', async () => {
    const { apply, held, remove } = await given(['192.0.2.99/24']);
    await apply(state(WEB), { adopt: true });
    await remove('192.0.2.99/24');
    expect(await apply(state(WEB))).toEqual(['add address 192.0.2.99/32 on d0']);
    expect(await apply(NOTHING)).toEqual(['delete address 192.0.2.99/32 on d0']);
    expect(await held()).toEqual([]);
  });

  test('is not ours by a record of another boot', async () => {
    const { apply, addresses, store, held } = await given(['192.0.2.99/32']);
    await apply(state(WEB), { adopt: true });
    const later = new Director({ ipvs: new Ipvs(new MemoryBackend()), store, table: 'later', addresses });
    await expect(later.apply({ desired: state(WEB) })).rejects.toMatchObject({ code: 'NOT_OURS' });
    expect(await held()).toEqual(['192.0.2.99/32']);
  });
});

describe('an address that we created', () => {
  test('and a foreign one with another prefix length are two', async () => {
    const { apply, add, held, director } = await given();
    expect(await apply(state(WEB))).toEqual(['add address 192.0.2.99/32 on d0']);
    await add('192.0.2.99/24', '192.0.2.98/24');
    expect((await director.drift()).differences).toEqual([]);
    const { changes } = await director.plan({ desired: NOTHING });
    expect(changes.find(({ resource }) => resource === 'addresses')).toMatchObject({
      key: 'address 192.0.2.99/32 on d0',
      effects: ['the host keeps 192.0.2.99/24 on d0'],
    });
    expect(await apply(NOTHING)).toEqual(['delete address 192.0.2.99/32 on d0']);
    expect(await held()).toEqual(['192.0.2.99/24', '192.0.2.98/24']);
  });

  test('is ours by a record of an earlier release, which lists no adopted ones', async () => {
    const { apply, store, held } = await given();
    await apply(state(WEB));
    const { adopted: _, ...ledger } = store.ledger() ?? (expect.fail() as never);
    store.writeLedger(ledger);
    expect(await apply(NOTHING)).toEqual(['delete address 192.0.2.99/32 on d0']);
    expect(await held()).toEqual([]);
  });

  test('comes back where it was deleted', async () => {
    const { apply, remove, director } = await given();
    await apply(state(WEB));
    await remove('192.0.2.99/32');
    expect((await director.drift()).differences).toMatchObject([
      { key: 'address 192.0.2.99/32 on d0', kind: 'missing' },
    ]);
    expect(await apply(state(WEB))).toEqual(['add address 192.0.2.99/32 on d0']);
  });

  test('comes back with its lifetime where its removal is rolled back', async () => {
    const { addresses, apply, director } = await given();
    await apply(state(WEB6));
    const lifetime = { preferredSeconds: 0xffff_ffff, validSeconds: 0xffff_ffff };
    const address = on('d0', '2001:db8::99/128');
    await addresses.execute([
      { type: 'address.delete', address },
      { type: 'address.add', address: { ...address, lifetime } },
    ]);
    const abort = new AbortController();
    const onProgress = () => abort.abort();
    const result = await director.apply({ desired: NOTHING }, { signal: abort.signal, onProgress });
    expect(result).toMatchObject({ outcome: 'undone', stuck: [] });
    expect(result.undone.map(({ verb, subject }) => `${verb} ${subject}`)).toEqual([
      'add address 2001:db8::99/128 on d0',
    ]);
    expect(await addresses.list()).toEqual([{ ...address, lifetime }]);
  });
});

describe('what goes with an address', () => {
  const VIP = '192.0.2.99/32 on d0';
  const ALONE = 'they do not come back by themselves, not even with the address';

  test.each<[string, readonly string[], Route, string]>([
    [
      'a route that has it as its source',
      ['198.51.100.1/24'],
      { family: 'inet', destination: 'default', interface: 'd0', gateway: '198.51.100.254', source: '192.0.2.99' },
      `it is the source of routes: default via 198.51.100.254 on d0; ${ALONE}`,
    ],
    [
      'the routes of an interface without another address',
      [],
      { family: 'inet', destination: '10.0.0.0/8', interface: 'd0' },
      `it is the last IPv4 address of d0, and the IPv4 routes there go with it: 10.0.0.0/8 on d0; ${ALONE}`,
    ],
    [
      'the source of the default route',
      [],
      { family: 'inet', destination: 'default', interface: 'd0' },
      'this host connects from another address by: default on d0; it does so after an undo too',
    ],
  ])('%s is in the plan, which needs force', async (_, foreign, route, effect) => {
    const { apply, add, addresses, director, held } = await given(foreign);
    await apply(state(WEB));
    if (effect.startsWith('this host')) await add('198.51.100.1/24');
    addresses.addRoute(route);
    const plan = await director.plan({ desired: NOTHING });
    expect(plan.wider).toEqual([`${VIP}: ${effect}`]);
    expect(describePlan(plan)).toContain(effect);
    await expect(apply(NOTHING)).rejects.toMatchObject({ code: 'WIDER_EFFECTS', detail: `${VIP}: ${effect}` });
    expect(await held()).toContain('192.0.2.99/32');
    expect(await apply(NOTHING, { force: true })).toEqual([`delete address ${VIP}`]);
  });

  test('is nothing where the host keeps the address with another prefix length', async () => {
    const route: Route = { family: 'inet', destination: 'default', interface: 'd0', source: '192.0.2.99' };
    const { apply, add, addresses } = await given();
    await apply(state(WEB));
    await add('192.0.2.99/24');
    addresses.addRoute(route);
    await apply(NOTHING);
    expect(await addresses.routes()).toContainEqual(route);
  });

  test('is nothing of routes that others have', async () => {
    const { apply, addresses, add } = await given(['192.0.2.98/24']);
    addresses.addRoute({ family: 'inet', destination: 'default', interface: 'd0', gateway: '192.0.2.254' });
    await apply(state(WEB));
    await add('192.0.2.97/24');
    expect(await apply(NOTHING)).toEqual([`delete address ${VIP}`]);
  });
});

describe('routes that went with an address', () => {
  const OTHER = '198.51.100.1/24';
  const settings = { table: 254, protocol: 4, scope: 0, tos: 0, flags: 0 };
  const sourced: Route = {
    family: 'inet',
    destination: 'default',
    interface: 'd0',
    gateway: '198.51.100.254',
    source: '192.0.2.99',
    settings,
  };
  const lost = (error: object) => [{ change: { resource: 'routes' }, error: { code: 'ROUTE_NOT_RESTORED', ...error } }];

  async function withRoutes(foreign: readonly string[], ...routes: readonly Route[]) {
    const all = await given(foreign);
    await all.apply(state(WEB));
    for (const route of routes) all.addresses.addRoute(route);
    const before = await all.addresses.routes();
    const undo = async () => {
      const { intent } = await all.director.undoIntent();
      const plan = await all.director.plan(intent);
      return { plan, result: await all.director.apply(plan, { force: true, command: 'undo' }) };
    };
    const rolledBack = () => {
      const abort = new AbortController();
      const onProgress = () => abort.abort();
      return all.director.apply({ desired: NOTHING }, { force: true, signal: abort.signal, onProgress });
    };
    const routesNow = async () => new Set(await all.addresses.routes());
    return { ...all, before: new Set(before), undo, rolledBack, routesNow };
  }

  test.each<[string, readonly string[], readonly Route[]]>([
    ['with it as their source', [OTHER], [sourced, { ...sourced, interface: 'd1', destination: '10.0.0.0/8' }]],
    [
      'over the interface without another address',
      [],
      [
        { family: 'inet', destination: 'default', interface: 'd0', gateway: '10.0.0.1', settings },
        { family: 'inet', destination: '10.0.0.0/8', interface: 'd0', settings: { ...settings, scope: 253 } },
      ],
    ],
  ])('%s come back with a rollback, an undo, and its undo', async (_, foreign, routes) => {
    const { director, apply, before, routesNow, undo, rolledBack } = await withRoutes(foreign, ...routes);
    expect(await rolledBack()).toMatchObject({ outcome: 'undone', stuck: [] });
    expect(await routesNow()).toEqual(before);

    await apply(NOTHING, { force: true });
    expect((await routesNow()).size).toBe(before.size - routes.length);
    const { plan, result } = await undo();
    const added = plan.changes.filter(({ resource }) => resource === 'routes');
    // What is reached without a gateway first.
    expect(added.map(({ subject }) => subject.includes(' via '))).toEqual(
      routes.map(({ gateway }) => gateway !== undefined).sort(),
    );
    expect(result).toMatchObject({ outcome: 'applied', failed: [], stuck: [] });
    expect(await routesNow()).toEqual(before);

    expect((await undo()).result).toMatchObject({ outcome: 'applied', stuck: [] });
    expect((await routesNow()).size).toBe(before.size - routes.length);
    expect((await undo()).result).toMatchObject({ outcome: 'applied', stuck: [] });
    expect(await routesNow()).toEqual(before);
    expect((await director.drift()).differences).toEqual([]);
  });

  test('come back after a crash that leaves an apply to be undone', async () => {
    const { director, apply, before, routesNow } = await withRoutes([OTHER], sourced);
    const { services } = stateOf({ [DNS]: { '10.0.0.1': 1 } });
    await apply({ services: [...state(WEB).services, ...services] });
    // The address goes first; that the destination drains is still to do then.
    const desired = stateOf({ [DNS]: {} }, { drain: { timeoutSeconds: 60, afterwards: 'delete' } });
    const onProgress = () => {
      throw new Error('crash');
    };
    await expect(director.apply({ desired }, { force: true, onProgress })).rejects.toThrow('crash');
    expect((await routesNow()).size).toBe(before.size - 1);
    expect(await director.recover()).toMatchObject({ outcome: 'undone', stuck: [] });
    expect(await routesNow()).toEqual(before);
  });

  test('of IPv6 stay, and have their source again', async () => {
    const six = on('d0', '2001:db8::99/128');
    const route: Route = {
      family: 'inet6',
      destination: '2001:db8:1::/48',
      interface: 'd0',
      source: six.address,
      settings,
    };
    const { addresses, apply, director } = await given();
    await apply(state(WEB6));
    addresses.addRoute(route);
    const before = await addresses.routes();
    expect((await director.plan({ desired: NOTHING })).wider).toEqual([
      '2001:db8::99/128 on d0: it is the source of routes: 2001:db8:1::/48 on d0; they stay without it, also when the address comes back by itself',
    ]);
    await apply(NOTHING, { force: true });
    expect(await addresses.routes()).toMatchObject([{ destination: route.destination }]);
    expect((await addresses.routes())[0]).not.toHaveProperty('source');
    const { intent } = await director.undoIntent();
    expect(await director.apply(intent)).toMatchObject({ outcome: 'applied', stuck: [] });
    expect(new Set(await addresses.routes())).toEqual(new Set(before));
  });

  test('that are not understood whole are named after the rollback and the undo, which says so before', async () => {
    const { settings: _, ...partial } = sourced;
    const { rolledBack } = await withRoutes([OTHER], partial);
    const hint = 'add it again as it is in the configuration of this host';
    const named = lost({ subject: 'default via 198.51.100.254 on d0', hint });
    expect(await rolledBack()).toMatchObject({ outcome: 'mixed', stuck: named });

    const { apply, undo, held, director } = await withRoutes([OTHER], partial);
    await apply(NOTHING, { force: true });
    const { plan, result } = await undo();
    expect(describePlan(plan)).toContain(hint);
    expect(result).toMatchObject({ outcome: 'applied', stuck: named });
    expect(await held()).toContain('192.0.2.99/32');
    const [entry] = director.history().slice(-1);
    expect(entry).toMatchObject({ outcome: 'applied', error: expect.stringContaining('the route does not come back') });
  });

  test('whose place another one has taken are named, with the command that adds them', async () => {
    const { addresses, apply, undo, held } = await withRoutes([OTHER], sourced);
    await apply(NOTHING, { force: true });
    const { source: _, ...other } = sourced;
    addresses.addRoute(other);
    const hint = 'add it again: ip route add default via 198.51.100.254 dev d0 src 192.0.2.99 proto 4';
    expect((await undo()).result).toMatchObject({ outcome: 'applied', stuck: lost({ hint, errnoName: 'EEXIST' }) });
    expect(await held()).toContain('192.0.2.99/32');
    expect(await addresses.routes()).toContainEqual(other);
  });
});

test('the order of an undo: primaries, then their secondaries, and the newest IPv6 address last', async () => {
  const { addressesResource } = await import('../../../src/resources/addresses.ts');
  const before = [
    on('d0', '192.0.2.99/24'),
    on('d0', '192.0.2.98/24', { isSecondary: true }),
    on('d1', '192.0.2.97/24', { isSecondary: true }),
    on('d0', '2001:db8::2/128'),
    on('d0', '2001:db8::1/128'),
  ];
  const keys = new Set(
    before.filter(({ isSecondary }) => !isSecondary).map((each) => `address ${formatInterfaceAddress(each)}`),
  );
  const undo = addressesResource.undo(before, [], keys);
  expect(undo.map(({ subject }) => subject)).toEqual([
    '192.0.2.99/24 on d0',
    '192.0.2.98/24 on d0',
    '2001:db8::1/128 on d0',
    '2001:db8::2/128 on d0',
  ]);
});
