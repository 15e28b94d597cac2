/**
 * The model of a host's addresses against the kernel: sequences at random give the same answers, and leave the same
 * addresses and routes. What a removal is said to take is what is gone afterwards, as the model goes by it.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AddressHost } from '../../src/addresses/address-host.ts';
import { AddressTable } from '../../src/addresses/address-table.ts';
import type { HeldAddress, InterfaceAddress } from '../../src/addresses/interface-address.ts';
import { MemoryAddresses } from '../../src/addresses/memory-addresses.ts';
import type { AddressOperation } from '../../src/addresses/operation.ts';
import { removalOf } from '../../src/addresses/removal.ts';
import { formatRoute, type Route } from '../../src/addresses/route.ts';
import { native } from '../../src/kernel/native.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

const RUNS = 20;
const MOST_STEPS = 30;

let namespace: TestNamespace;
let kernel: AddressTable;

beforeAll(() => {
  namespace = makeNamespace('model');
  kernel = AddressTable.open({ native: native(), namespacePath: `/run/netns/${namespace.name}` });
});
afterAll(async () => {
  await kernel.close();
  namespace.remove();
});

interface Promotion {
  readonly all: boolean;
  readonly d0: boolean;
  readonly d1: boolean;
}

/** Two interfaces without addresses, in the kernel and in the model. */
function begin({ all, ...interfaces }: Promotion): MemoryAddresses {
  const names = Object.keys(interfaces);
  const shell = [
    ...names.flatMap((name) => [`ip link delete ${name} 2>/dev/null`, `ip link add ${name} type dummy`]),
    // No link-local address.
    ...names.map((name) => `sysctl -qw net.ipv6.conf.${name}.addr_gen_mode=1`),
    ...Object.entries({ all, ...interfaces }).map(
      ([name, value]) => `sysctl -qw net.ipv4.conf.${name}.promote_secondaries=${Number(value)}`,
    ),
    ...names.map((name) => `ip link set ${name} up`),
  ];
  namespace.run('sh', ['-c', shell.join('\n')]);
  const held = Object.entries(interfaces).map(([name, own]) => [name, { promotesSecondaries: all || own }] as const);
  return new MemoryAddresses(Object.fromEntries(held));
}

type Step = AddressOperation | { readonly type: 'route.add'; readonly route: Route };

const name = fc.constantFrom('d0', 'd1');
const inet = fc.constantFrom('192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.200');
const inet6 = fc.constantFrom('2001:db8::1', '2001:db8::2', '2001:db8::3');
const lifetime = fc.option(
  fc.constantFrom(
    { preferredSeconds: 0, validSeconds: 0xffff_ffff },
    { preferredSeconds: 90_000, validSeconds: 90_000 },
  ),
  { nil: undefined },
);
const address: fc.Arbitrary<InterfaceAddress> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ interface: name, address: inet, prefixLength: fc.constantFrom(24, 24, 25, 32) }),
  },
  { weight: 1, arbitrary: fc.record({ interface: name, address: inet6, prefixLength: fc.constantFrom(64, 128) }) },
);
const route: fc.Arbitrary<Route> = fc.oneof(
  routeOf('inet', ['10.1.0.0/16', '10.2.0.0/16', 'default'], inet),
  routeOf('inet6', ['2001:db8:1::/48', '2001:db8:2::/48'], inet6),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(address, lifetime)
      .map(
        ([each, lifetime]) => ({ type: 'address.add', address: { ...each, ...(lifetime && { lifetime }) } }) as const,
      ),
  },
  { weight: 3, arbitrary: address.map((each) => ({ type: 'address.delete', address: each }) as const) },
  { weight: 1, arbitrary: route.map((each) => ({ type: 'route.add', route: each }) as const) },
);

function routeOf(
  family: Route['family'],
  destinations: readonly string[],
  sources: fc.Arbitrary<string>,
): fc.Arbitrary<Route> {
  return fc
    .record({
      destination: fc.constantFrom(...destinations),
      interface: name,
      source: fc.option(sources, { nil: undefined }),
    })
    .map(({ source, ...rest }) => ({ family, ...rest, ...(source !== undefined && { source }) }));
}

/** Whether the kernel takes it. */
function addRoute({ family, destination, interface: name = '', source }: Route): boolean {
  const args = [family === 'inet' ? '-4' : '-6', 'route', 'add', destination, 'dev', name];
  try {
    namespace.run('ip', source === undefined ? args : [...args, 'src', source]);
    return true;
  } catch {
    return false;
  }
}

async function heldBy(host: AddressHost) {
  const isOurs = ({ interface: name }: { readonly interface?: string }) => name === 'd0' || name === 'd1';
  const routes = (await host.routes()).filter(isOurs).map(({ source, ...route }) => {
    // A connected route has its primary as its source.
    const shown = route.isKernels || source === undefined ? '' : ` src ${source}`;
    return `${route.isKernels ? 'kernel ' : ''}${formatRoute(route)}${shown}`;
  });
  return { addresses: (await host.list()).filter(isOurs).map(inWords), routes: routes.toSorted() };
}

/** A lifetime that ends has a second less now and then. */
function inWords({ interface: name, address, prefixLength, lifetime, isSecondary }: HeldAddress): string {
  const hours = lifetime && [lifetime.preferredSeconds, lifetime.validSeconds].map((each) => Math.ceil(each / 3600));
  return `${address}/${prefixLength} on ${name} ${isSecondary ?? false} ${hours}`;
}

describe('sequences at random', () => {
  it('give the same answers, addresses and routes', { timeout: 600_000 }, async () => {
    const promotion = fc.record({ all: fc.boolean(), d0: fc.boolean(), d1: fc.boolean() });
    const steps = fc.array(step, { minLength: 1, maxLength: MOST_STEPS, size: 'max' });
    const property = fc.asyncProperty(promotion, steps, async (promotion, steps) => {
      const model = begin(promotion);
      for (const each of steps) {
        if (each.type === 'route.add') {
          if (addRoute(each.route)) model.addRoute(each.route);
        } else {
          const [ours, theirs] = [await model.execute([each]), await kernel.execute([each])];
          expect(
            ours.map(({ error }) => error?.code),
            JSON.stringify(each),
          ).toEqual(theirs.map(({ error }) => error?.code));
        }
        expect(await heldBy(model), JSON.stringify(each)).toEqual(await heldBy(kernel));
      }
    });
    await fc.assert(property, { numRuns: RUNS, endOnFailure: false });
  });
});

describe('the source of a default route that names none', () => {
  it.each([
    ['is the first address', '203.0.113.0/24', undefined],
    ['is the first in the network of the gateway', '203.0.113.0/24', '198.51.100.254'],
  ])('%s, and another after its removal', async (_, destination, gateway) => {
    begin({ all: false, d0: false, d1: false });
    const at = (address: string, prefixLength: number) => ({ interface: 'd0', address, prefixLength });
    const addresses = [at('192.0.2.99', 32), at('198.51.100.1', 24), at('198.51.100.2', 25)];
    await kernel.execute(addresses.map((each) => ({ type: 'address.add', address: each })));
    const via = gateway === undefined ? [] : ['via', gateway];
    namespace.run('ip', ['route', 'add', 'default', ...via, 'dev', 'd0']);
    const source = () => {
      const [route] = JSON.parse(namespace.run('ip', ['-j', 'route', 'get', destination.replace(/\/.*/, '')]));
      return route.prefsrc;
    };
    const promotesSecondaries = () => false;
    const holdings = { addresses: await kernel.list(), routes: await kernel.routes(), promotesSecondaries };
    const chosen = addresses.filter((each) => removalOf(each, holdings).unsourced.length > 0);
    const before = source();
    expect(chosen.map(({ address }) => address)).toEqual([before]);
    await kernel.execute(chosen.map((each) => ({ type: 'address.delete', address: each })));
    expect(source()).not.toBe(before);
  });
});
