/** What a kernel does only now and then; the rest is in test/kernel/addresses.test.ts. */
import { describe, expect, it } from 'vitest';
import { AddressTable } from '../../../src/addresses/address-table.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import { attribute, done, FakeKernel, hex, isDump, message, type Peer, text } from '../../helpers/fake-kernel.ts';

const RTM_GETLINK = 18;
const MULTI = 0x2;
const DUMP_INTR = 0x10;

const header = (index: number) => hex(`00 00 0100 0${index}000000 01000000 00000000`);

/** Two interfaces have an address each, but only eth0 is still there when interfaces are read. */
function dumping(flags: (attempt: number) => number): Peer {
  let attempt = 0;
  return function* (request) {
    if (!isDump(request)) throw new Error('only dumps');
    attempt++;
    if (request.type === RTM_GETLINK) {
      yield message(16, MULTI, request.sequence, header(2), attribute(3, text('eth0')));
    } else {
      for (const index of [2, 3])
        yield message(
          20,
          flags(attempt),
          request.sequence,
          hex(`02 20 00 00 0${index}000000`),
          attribute(2, hex('c000020a')),
        );
    }
    yield done(request);
  };
}

const listed = [{ interface: 'eth0', address: '192.0.2.10', prefixLength: 32 }];

describe.runIf(hostIsLittleEndian)('the list of addresses, on a little-endian host', () => {
  it('leaves out those whose interface is gone', async () => {
    const table = AddressTable.open({ native: new FakeKernel(dumping(() => MULTI)) });
    expect(await table.list()).toEqual(listed);
  });

  it('is read again where it changed meanwhile', async () => {
    const kernel = new FakeKernel(dumping((attempt) => (attempt < 3 ? MULTI | DUMP_INTR : MULTI)));
    expect(await AddressTable.open({ native: kernel }).list()).toEqual(listed);
    expect(kernel.requests.map(({ type }) => type)).toEqual([22, 22, 22, 18]);
  });

  it('is TABLE_CHANGING where it changes all the time', async () => {
    const table = AddressTable.open({ native: new FakeKernel(dumping(() => MULTI | DUMP_INTR)) });
    await expect(table.list()).rejects.toMatchObject({ code: 'TABLE_CHANGING', subject: 'addresses' });
  });
});

describe('after close()', () => {
  const address = { interface: 'eth0', address: '192.0.2.10', prefixLength: 32 };

  it('every call is CLOSED', async () => {
    const kernel = new FakeKernel(() => []);
    const table = AddressTable.open({ native: kernel });
    await table.close();
    await table.close();
    expect(kernel.sockets.map(({ open }) => open)).toEqual([false]);
    const closed = { code: 'CLOSED' };
    await expect(table.list()).rejects.toMatchObject(closed);
    await expect(table.execute([{ type: 'address.add', address }])).rejects.toMatchObject(closed);
    await expect(table.announce(address)).rejects.toMatchObject(closed);
  });
});

it('an invalid operation is refused before anything is done', async () => {
  const kernel = new FakeKernel(() => []);
  const table = AddressTable.open({ native: kernel });
  const valid = { interface: 'eth0', address: '192.0.2.10', prefixLength: 32 };
  const attempt = table.execute([
    { type: 'address.add', address: valid },
    { type: 'address.add', address: { ...valid, interface: 'a b' } },
  ]);
  await expect(attempt).rejects.toMatchObject({ code: 'INVALID_OPTION', path: ['interface'] });
  expect(kernel.requests).toEqual([]);
});
