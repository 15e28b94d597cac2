/** The model of a host's addresses; test/kernel/address-model.test.ts compares it with the kernel. */
import { expect, test } from 'vitest';
import type { HeldAddress } from '../../../src/addresses/interface-address.ts';
import { MemoryAddresses } from '../../../src/addresses/memory-addresses.ts';
import { type Holdings, removalOf } from '../../../src/addresses/removal.ts';
import type { Route } from '../../../src/addresses/route.ts';

const at = (address: string, prefixLength = 24, name = 'd0') => ({ interface: name, address, prefixLength });
const add = (address: HeldAddress) => ({ type: 'address.add', address }) as const;
const remove = (address: HeldAddress) => ({ type: 'address.delete', address }) as const;

const first = at('192.0.2.1');
const second = at('192.0.2.2');
const third = at('192.0.2.3');

test('secondaries go with their primary', async () => {
  const host = new MemoryAddresses({ d0: {} });
  await host.execute([first, second, at('192.0.2.1', 32), third].map(add));
  expect(await host.list()).toEqual([
    first,
    at('192.0.2.1', 32),
    { ...second, isSecondary: true },
    { ...third, isSecondary: true },
  ]);
  expect(await host.execute([remove(first)])).toEqual([{ operation: remove(first) }]);
  expect(await host.list()).toEqual([at('192.0.2.1', 32)]);
  expect(await host.routes()).toEqual([]);
});

test('the first of them is promoted where the interface says so', async () => {
  const host = new MemoryAddresses({ d0: { promotesSecondaries: true } });
  await host.execute([first, second, third].map(add));
  await host.execute([remove(first)]);
  expect(await host.list()).toEqual([second, { ...third, isSecondary: true }]);
  expect(await host.routes()).toEqual([
    { family: 'inet', destination: '192.0.2.0/24', interface: 'd0', isKernels: true },
  ]);
});

test('refusals are those of the kernel', async () => {
  const host = new MemoryAddresses({ d0: {}, d1: {} });
  const six = at('2001:db8::1', 64);
  const results = await host.execute([
    add(first),
    add(first),
    add(at('192.0.2.1', 24, 'd1')),
    remove(second),
    add(six),
    add({ ...six, prefixLength: 128 }),
    remove({ ...six, prefixLength: 128 }),
    add(at('192.0.2.1', 24, 'd9')),
  ]);
  expect(results.map(({ error }) => error?.code)).toEqual([
    undefined,
    'ADDRESS_EXISTS',
    undefined,
    'ADDRESS_NOT_FOUND',
    undefined,
    'ADDRESS_EXISTS',
    'ADDRESS_NOT_FOUND',
    'INTERFACE_NOT_FOUND',
  ]);
  await expect(host.announce(at('192.0.2.1', 24, 'd9'))).rejects.toMatchObject({ code: 'INTERFACE_NOT_FOUND' });
  await host.announce(first);
});

test('what a removal takes: secondaries, the connected route, and routes with their sources', () => {
  const connected: Route = { family: 'inet', destination: '192.0.2.0/24', interface: 'd0', isKernels: true };
  const bySecond: Route = { family: 'inet', destination: '10.0.0.0/8', interface: 'd1', source: '192.0.2.2' };
  const byOther: Route = { family: 'inet', destination: '10.0.0.0/9', interface: 'd1', source: '192.0.2.4' };
  const other = at('192.0.2.4', 24, 'd1');
  const holdings: Holdings = {
    addresses: [first, { ...second, isSecondary: true }, at('198.51.100.1'), other],
    routes: [connected, bySecond, byOther],
    promotesSecondaries: () => false,
  };
  expect(removalOf(first, holdings)).toMatchObject({
    secondaries: [{ address: '192.0.2.2' }],
    connected: [connected],
    sourced: [bySecond],
    last: [],
    unsourced: [],
    after: { addresses: [at('198.51.100.1'), other], routes: [byOther] },
  });
  expect(removalOf(first, { ...holdings, promotesSecondaries: () => true })).toMatchObject({
    secondaries: [],
    connected: [],
    sourced: [],
    after: { addresses: [at('198.51.100.1'), second, other] },
  });
});
