/** Addresses on interfaces, on a real kernel: two namespaces, joined by a cable. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AddressTable } from '../../src/addresses/address-table.ts';
import type { InterfaceAddress } from '../../src/addresses/interface-address.ts';
import type { AddressOperation, AddressResult } from '../../src/addresses/operation.ts';
import { native } from '../../src/kernel/native.ts';
import { gratuitousReply, gratuitousRequest } from '../../src/netlink/announcement.ts';
import { refusal } from '../helpers/kernel-table.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

const ipv4: InterfaceAddress = { interface: 'near0', address: '192.0.2.10', prefixLength: 32 };
const ipv6: InterfaceAddress = { interface: 'near0', address: '2001:db8::a', prefixLength: 128 };

const NEAR = '02:00:00:00:00:01';
const FAR = '02:00:00:00:00:02';
/** Of who had the address before. */
const FORMER = '02:00:00:00:00:99';

let near: TestNamespace;
let far: TestNamespace;
let table: AddressTable;

beforeAll(async () => {
  near = makeNamespace('near');
  far = makeNamespace('far');
  near.run('ip', `link add near0 address ${NEAR} type veth peer name far0 address ${FAR} netns ${far.name}`.split(' '));
  far.run('ip', ['link', 'set', 'far0', 'up']);
  await up();
  far.run('ip', ['address', 'add', '192.0.2.1/24', 'dev', 'far0']);
  far.run('ip', ['address', 'add', '2001:db8::1/64', 'dev', 'far0', 'nodad']);
  table = AddressTable.open({ native: native(), namespacePath: `/run/netns/${near.name}` });
});

beforeEach(() => {
  near.run('ip', ['address', 'flush', 'dev', 'near0', 'scope', 'global']);
});

afterAll(async () => {
  await table?.close();
  near?.remove();
  far?.remove();
});

/** Until it has all addresses that it makes for itself. */
async function up(): Promise<void> {
  near.run('ip', ['link', 'set', 'near0', 'up']);
  const own = () => shown(['dev', 'near0'])[0]?.addr_info.some(({ scope }) => scope === 'link');
  await vi.waitFor(() => expect(own()).toBe(true), 30_000);
}

function add(...addresses: readonly InterfaceAddress[]): Promise<AddressResult[]> {
  return table.execute(addresses.map((address): AddressOperation => ({ type: 'address.add', address })));
}

function remove(...addresses: readonly InterfaceAddress[]): Promise<AddressResult[]> {
  return table.execute(addresses.map((address): AddressOperation => ({ type: 'address.delete', address })));
}

/** Codes of refusals; undefined for what was done. */
function codes(results: readonly AddressResult[]) {
  for (const { announcementError } of results) expect(announcementError).toBeUndefined();
  return results.map(({ error }) => error?.code);
}

const done = [undefined];

interface ShownAddress {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly tentative?: boolean;
}

function shown(args: readonly string[] = []): { ifname: string; addr_info: ShownAddress[] }[] {
  return JSON.parse(near.run('ip', ['-j', 'address', 'show', ...args]));
}

/** What iproute2 shows, as ours. */
function oracle(): InterfaceAddress[] {
  return shown().flatMap(({ ifname, addr_info }) =>
    addr_info.map(({ local, prefixlen }) => ({ interface: ifname, address: local, prefixLength: prefixlen })),
  );
}

/** Without those that every interface has of itself. */
function ofNear(addresses: readonly InterfaceAddress[]): InterfaceAddress[] {
  return addresses.filter((each) => each.interface === 'near0' && !each.address.startsWith('fe80:'));
}

const byText = (a: InterfaceAddress, b: InterfaceAddress) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

async function expectAgreement(): Promise<InterfaceAddress[]> {
  const listed = (await table.list()).map(({ lifetime: _, isSecondary: __, ...address }) => address);
  expect(listed.toSorted(byText)).toEqual(oracle().toSorted(byText));
  return listed;
}

describe('addresses', () => {
  it('are listed as iproute2 lists them, those of loopback and link-local ones too', async () => {
    const listed = await expectAgreement();
    expect(listed).toContainEqual({ interface: 'lo', address: '127.0.0.1', prefixLength: 8 });
    expect(listed).toContainEqual({ interface: 'lo', address: '::1', prefixLength: 128 });
    expect(listed).toContainEqual({ interface: 'near0', address: 'fe80::ff:fe00:1', prefixLength: 64 });
  });

  it.each([
    ['IPv4', ipv4],
    ['IPv4 in a network', { ...ipv4, prefixLength: 24 }],
    ['IPv6', ipv6],
    ['IPv6 in a network', { ...ipv6, prefixLength: 64 }],
  ])('are added, listed and deleted: %s', async (_, address) => {
    expect(codes(await add(address))).toEqual(done);
    expect(ofNear(await expectAgreement())).toEqual([address]);
    expect(codes(await remove(address))).toEqual(done);
    expect(ofNear(await expectAgreement())).toEqual([]);
  });

  it('of IPv6 are usable at once', async () => {
    await add(ipv6);
    const [link] = shown(['dev', 'near0']);
    const [address] = link?.addr_info.filter(({ local }) => local === ipv6.address) ?? [];
    expect(address).toMatchObject({ scope: 'global', nodad: true });
    expect(address?.tentative).toBeUndefined();
  });

  it('alone in their network they are not what this host calls others from', async () => {
    const own = '2001:db8::7f';
    near.run('ip', ['address', 'add', `${own}/64`, 'dev', 'near0', 'nodad']);
    await add(ipv6);
    const [route] = JSON.parse(near.run('ip', ['-j', '-6', 'route', 'get', '2001:db8::1']));
    expect(route).toMatchObject({ dev: 'near0', prefsrc: own });
  });

  it('have lifetimes, which an add can give and the list shows where they are not the usual ones', async () => {
    const forever = { preferredSeconds: 0xffff_ffff, validSeconds: 0xffff_ffff };
    const preferred = { ...ipv6, lifetime: forever };
    const deprecated = { ...ipv4, lifetime: { ...forever, preferredSeconds: 0 } };
    expect(codes(await add(preferred, deprecated))).toEqual([undefined, undefined]);
    expect(ofNear(await table.list())).toEqual([deprecated, preferred]);
    const [link] = shown(['dev', 'near0']);
    expect(link?.addr_info.find(({ local }) => local === ipv6.address)).not.toHaveProperty('deprecated');
    expect(link?.addr_info.find(({ local }) => local === ipv4.address)).toHaveProperty('deprecated');
  });

  it('are secondary after another one of their network', async () => {
    const [first, second] = [ipv4, { ...ipv4, address: '192.0.2.11' }].map((each) => ({ ...each, prefixLength: 24 }));
    await add(first as InterfaceAddress, second as InterfaceAddress);
    expect(ofNear(await table.list())).toEqual([first, { ...second, isSecondary: true }]);
  });

  it('on loopback are added too', async () => {
    const loopback = [ipv4, ipv6].map((address) => ({ ...address, interface: 'lo' }));
    expect(codes(await add(...loopback))).toEqual([undefined, undefined]);
    expect(await expectAgreement()).toEqual(expect.arrayContaining(loopback));
    expect(codes(await remove(...loopback))).toEqual([undefined, undefined]);
  });

  it('are read where they fill many messages', async () => {
    const many = Array.from({ length: 600 }, (_, i): InterfaceAddress => {
      return { interface: 'near0', address: `10.9.${i >> 8}.${i & 255}`, prefixLength: 32 };
    });
    expect(new Set(codes(await add(...many)))).toEqual(new Set(done));
    expect(ofNear(await expectAgreement())).toEqual(many);
    expect(new Set(codes(await remove(...many)))).toEqual(new Set(done));
  });

  it('are changed and read in the order of the calls', async () => {
    const calls = [add(ipv4), table.list(), remove(ipv4), table.list()] as const;
    const [, first, , second] = await Promise.all(calls);
    expect([ofNear(first), ofNear(second)]).toEqual([[ipv4], []]);
  });

  it('follow an interface that is renamed', async () => {
    await add(ipv4);
    const rename = (from: string, to: string) => near.run('ip', ['link', 'set', from, 'name', to]);
    near.run('ip', ['link', 'set', 'near0', 'down']);
    rename('near0', 'other0');
    expect(await expectAgreement()).toContainEqual({ ...ipv4, interface: 'other0' });
    rename('other0', 'near0');
    await up();
  });
});

describe('refusals', () => {
  it('what is there is not added again, and what is not there not deleted; the rest is done', async () => {
    await add(ipv4, ipv6);
    const other = { ...ipv4, address: '192.0.2.11' };
    expect(codes(await add(ipv4, other, ipv6))).toEqual(['ADDRESS_EXISTS', undefined, 'ADDRESS_EXISTS']);
    expect(ofNear(await expectAgreement())).toHaveLength(3);

    const absent = [
      { ...ipv4, address: '192.0.2.12' },
      { ...ipv6, address: '2001:db8::b' },
    ];
    const results = await remove(...absent, other);
    expect(codes(results)).toEqual(['ADDRESS_NOT_FOUND', 'ADDRESS_NOT_FOUND', undefined]);
    expect(results[0]?.error).toMatchObject({
      operation: 'delete address',
      subject: '192.0.2.12/32 on near0',
      errnoName: 'EADDRNOTAVAIL',
    });
    expect(ofNear(await expectAgreement())).toEqual([ipv4, ipv6]);
  });

  it('with another prefix length an IPv4 address is another, an IPv6 address is not', async () => {
    await add(ipv4, ipv6);
    expect(codes(await add({ ...ipv4, prefixLength: 24 }))).toEqual(done);
    expect(codes(await add({ ...ipv6, prefixLength: 64 }))).toEqual(['ADDRESS_EXISTS']);
    expect(codes(await remove({ ...ipv6, prefixLength: 64 }))).toEqual(['ADDRESS_NOT_FOUND']);
    expect(codes(await remove({ ...ipv4, prefixLength: 24 }))).toEqual(done);
    expect(ofNear(await expectAgreement())).toEqual([ipv4, ipv6]);
  });

  it('an interface that does not exist', async () => {
    const nowhere = { ...ipv4, interface: 'nowhere0' };
    const [added] = await add(nowhere);
    expect(added?.error).toMatchObject({
      code: 'INTERFACE_NOT_FOUND',
      errnoName: 'ENODEV',
      subject: '192.0.2.10/32 on nowhere0',
      detail: '"nowhere0"',
    });
    expect(codes(await remove(nowhere))).toEqual(['INTERFACE_NOT_FOUND']);
    expect(await refusal(table.announce(nowhere))).toMatchObject({
      code: 'INTERFACE_NOT_FOUND',
      operation: 'announce',
    });
  });

  it('an alternative name, because the list would never have it', async () => {
    near.run('ip', ['link', 'property', 'add', 'dev', 'near0', 'altname', 'uplink']);
    const [result] = await add({ ...ipv4, interface: 'uplink' });
    expect(result?.error).toMatchObject({ code: 'INTERFACE_NOT_FOUND', hint: expect.stringContaining('"near0"') });
    expect(ofNear(await expectAgreement())).toEqual([]);
  });

  it('IPv6 where it is switched off', async () => {
    near.run('ip', ['link', 'add', 'four0', 'type', 'dummy']);
    near.run('sysctl', ['-qw', 'net.ipv6.conf.four0.disable_ipv6=1']);
    const results = await add({ ...ipv6, interface: 'four0' }, { ...ipv4, interface: 'four0' });
    expect(codes(results)).toEqual(['FAMILY_NOT_SUPPORTED', undefined]);
    expect(results[0]?.error?.hint).toContain('net.ipv6.conf.four0.disable_ipv6');
    expect(codes(await remove({ ...ipv6, interface: 'four0' }))).toEqual(['ADDRESS_NOT_FOUND']);
    near.run('ip', ['link', 'delete', 'four0']);
  });

  const built = fileURLToPath(new URL('../../dist/addresses/address-table.js', import.meta.url));
  const addon = fileURLToPath(new URL('../../dist/kernel/native.js', import.meta.url));

  /** Runs it without a capability, which belongs to a whole process. */
  function without(capability: string, body: string): string[] {
    const program = `
      const { AddressTable } = await import(${JSON.stringify(built)});
      const { native } = await import(${JSON.stringify(addon)});
      const address = ${JSON.stringify(ipv4)};
      const table = AddressTable.open({ native: native(), namespacePath: '/run/netns/${near.name}' });
      ${body}
      await table.close();`;
    const args = [`--bounding-set=-${capability}`, process.execPath, '--input-type=module', '--eval', program];
    return execFileSync('setpriv', args, { encoding: 'utf8' }).trim().split('\n');
  }

  it('without CAP_NET_ADMIN addresses are shown, and none is changed', () => {
    const body = `
      console.log((await table.list()).some(({ address }) => address === '127.0.0.1'));
      for (const type of ['address.add', 'address.delete']) {
        const [{ error }] = await table.execute([{ type, address }]);
        console.log([error.code, error.errnoName, error.operation, error.hint.includes('CAP_NET_ADMIN')].join(', '));
      }`;
    expect(without('net_admin', body)).toEqual([
      'true',
      'PERMISSION_DENIED, EPERM, add address, true',
      'PERMISSION_DENIED, EPERM, delete address, true',
    ]);
  });

  it('without CAP_NET_RAW an address is added, and says that it is not announced', async () => {
    const body = `
      const [{ error, announcementError }] = await table.execute([{ type: 'address.add', address }]);
      console.log([error, announcementError.code, announcementError.hint].join(', '));
      console.log(await table.announce(address).catch(({ code }) => code));`;
    expect(without('net_raw', body)).toEqual([
      ', PERMISSION_DENIED, announcing needs CAP_NET_RAW: run it as root',
      'PERMISSION_DENIED',
    ]);
    expect(ofNear(await expectAgreement())).toEqual([ipv4]);
  });
});

describe('neighbours', () => {
  /** The far side remembers the former holder. */
  function remember({ address }: InterfaceAddress): void {
    const entry = ['to', address, 'lladdr', FORMER, 'dev', 'far0', 'nud', 'stale'];
    far.run('ip', ['neighbour', 'replace', ...entry]);
  }

  function known({ address }: InterfaceAddress): { lladdr: string; router?: null } | undefined {
    const [entry] = JSON.parse(far.run('ip', ['-j', 'neighbour', 'show', 'to', address, 'dev', 'far0']));
    return entry;
  }

  async function expectTold(address: InterfaceAddress): Promise<void> {
    await expect.poll(() => known(address)?.lladdr, { timeout: 30_000 }).toBe(NEAR);
  }

  const expectUntold = (address: InterfaceAddress) => expect(known(address)?.lladdr).toBe(FORMER);

  it.each([
    ['IPv4', ipv4],
    ['IPv6', ipv6],
  ])('learn where an address is now when it is added, and when it is announced: %s', async (_, address) => {
    remember(address);
    expectUntold(address);
    expect(codes(await add(address))).toEqual(done);
    await expectTold(address);

    remember(address);
    expectUntold(address);
    await table.announce(address);
    await expectTold(address);
  });

  it.each([
    ['request', gratuitousRequest],
    ['reply', gratuitousReply],
  ])('learn from each form of ARP by itself: %s', async (_, frame) => {
    const [link] = JSON.parse(near.run('ip', ['-j', 'link', 'show', 'near0']));
    const fd = native().openPacket(`/run/netns/${near.name}`);
    const bytes = frame(Uint8Array.of(2, 0, 0, 0, 0, 1), Uint8Array.of(192, 0, 2, 10));
    remember(ipv4);
    expect(native().sendPacket(fd, link.ifindex, bytes)).toBe(bytes.length);
    await expectTold(ipv4);
    expect(native().close(fd)).toBe(0);
  });

  it('make an entry of an announcement where they accept that', async () => {
    far.run('sysctl', ['-qw', 'net.ipv4.conf.far0.arp_accept=1']);
    const unknown = { ...ipv4, address: '192.0.2.20' };
    expect(known(unknown)).toBeUndefined();
    await add(unknown);
    await expectTold(unknown);
  });

  it('are told whether an IPv6 address is of a router', async () => {
    for (const forwarding of [1, 0]) {
      near.run('sysctl', ['-qw', `net.ipv6.conf.near0.forwarding=${forwarding}`]);
      remember(ipv6);
      await table.announce(ipv6);
      await expectTold(ipv6);
      expect('router' in (known(ipv6) ?? {})).toBe(forwarding === 1);
    }
  });

  it('are told nothing on an interface without ARP', async () => {
    const [first, second] = [ipv4, { ...ipv4, address: '192.0.2.11' }] as const;
    remember(first);
    remember(second);
    near.run('ip', ['link', 'set', 'near0', 'arp', 'off']);
    expect(codes(await add(first))).toEqual(done);
    await table.announce(first);
    near.run('ip', ['link', 'set', 'near0', 'arp', 'on']);
    await table.announce(second);
    await expectTold(second); // what was sent before has arrived before
    expectUntold(first);
  });

  it('an interface that is down takes addresses, and announces none', async () => {
    near.run('ip', ['link', 'set', 'near0', 'down']);
    expect(codes(await add(ipv4, ipv6))).toEqual([undefined, undefined]);
    await table.announce(ipv4);
    expect(ofNear(await expectAgreement())).toEqual([ipv4, ipv6]);
    await up();
  });
});
