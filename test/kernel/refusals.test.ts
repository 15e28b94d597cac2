/** What the kernel refuses: the error says what, about what, and why; the table stays as it was. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Destination } from '../../src/ipvs/destination.ts';
import { openIpvs, type Snapshot } from '../../src/ipvs/ipvs.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { native } from '../../src/kernel/native.ts';
import { built } from '../helpers/cli.ts';
import { kernelTable, refusal } from '../helpers/kernel-table.ts';
import { ip } from '../helpers/namespace.ts';

const table = kernelTable('refusals');

const service = 'tcp://192.0.2.1:80';
const missing = 'tcp://192.0.2.1:81';
const destination: Destination = {
  address: '10.0.0.1:80',
  forward: 'masquerade',
  weight: 5,
  upperThreshold: 0,
  lowerThreshold: 0,
};
const other: Destination = { ...destination, address: '10.0.0.2:80' };

let before: Snapshot;

beforeEach(async () => {
  const { ipvs } = table;
  await ipvs.addService({ address: service, scheduler: 'wrr', persistence: { timeoutSeconds: 60 } });
  await ipvs.addDestination(service, destination);
  before = await ipvs.snapshot();
});

afterEach(async () => {
  expect(await table.ipvs.snapshot()).toEqual(before);
});

/** The error of one operation that goes to the kernel as it is. */
async function refused(operation: Operation): Promise<unknown> {
  const [result] = await table.ipvs.execute([operation]);
  expect(result?.operation).toEqual(operation);
  return result?.error;
}

describe('the kernel says what is there already, and what is not', () => {
  it('a service that exists is not added again, even with other settings', async () => {
    expect(await refusal(table.ipvs.addService({ address: service, scheduler: 'rr' }))).toMatchObject({
      code: 'SERVICE_EXISTS',
      kind: 'kernel',
      operation: 'add service',
      subject: service,
      errno: 17,
      errnoName: 'EEXIST',
    });
  });

  it.each<[Operation, string, string]>([
    [{ type: 'service.edit', service: normalizeService({ address: missing }) }, 'edit service', missing],
    [{ type: 'service.delete', service: missing }, 'delete service', missing],
    [{ type: 'service.delete', service: 'udp://192.0.2.1:80' }, 'delete service', 'udp://192.0.2.1:80'],
    [{ type: 'service.delete', service: 'fwmark:1' }, 'delete service', 'fwmark:1'],
    [{ type: 'destination.add', service: missing, destination }, 'add destination', `10.0.0.1:80 of ${missing}`],
    [{ type: 'destination.edit', service: missing, destination }, 'edit destination', `10.0.0.1:80 of ${missing}`],
    [
      { type: 'destination.delete', service: missing, destination: '10.0.0.1:80' },
      'delete destination',
      `10.0.0.1:80 of ${missing}`,
    ],
  ])('no such service: %j', async (operation, verb, subject) => {
    expect(await refused(operation)).toMatchObject({
      code: 'SERVICE_NOT_FOUND',
      kind: 'kernel',
      operation: verb,
      subject,
      errno: 3,
      errnoName: 'ESRCH',
    });
  });

  it('a destination that exists is not added again', async () => {
    expect(await refusal(table.ipvs.addDestination(service, { ...destination, weight: 9 }))).toMatchObject({
      code: 'DESTINATION_EXISTS',
      kind: 'kernel',
      operation: 'add destination',
      subject: `10.0.0.1:80 of ${service}`,
      errno: 17,
      errnoName: 'EEXIST',
    });
  });

  it.each<[Operation, string]>([
    [{ type: 'destination.edit', service, destination: other }, 'edit destination'],
    [{ type: 'destination.delete', service, destination: other.address }, 'delete destination'],
  ])('no such destination: %j', async (operation, verb) => {
    expect(await refused(operation)).toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
      kind: 'kernel',
      operation: verb,
      subject: `10.0.0.2:80 of ${service}`,
      errno: 2,
      errnoName: 'ENOENT',
    });
  });
});

describe('the verbs of the API tell the same', () => {
  it.each([
    ['service', 'read service', () => table.ipvs.service(missing)],
    ['destinations', 'read service', () => table.ipvs.destinations(missing)],
    ['editService', 'edit service', () => table.ipvs.editService(missing, { scheduler: 'rr' })],
    ['removeService', 'delete service', () => table.ipvs.removeService(missing)],
  ])('%s of a service that is not there', async (_, operation, attempt) => {
    expect(await refusal(attempt())).toMatchObject({ code: 'SERVICE_NOT_FOUND', operation, subject: missing });
  });

  it.each([
    ['addDestination', 'add destination', () => table.ipvs.addDestination(missing, other)],
    ['editDestination', 'edit destination', () => table.ipvs.editDestination(missing, other.address, { weight: 1 })],
    ['removeDestination', 'delete destination', () => table.ipvs.removeDestination(missing, other.address)],
  ])('%s of a service that is not there', async (_, operation, attempt) => {
    expect(await refusal(attempt())).toMatchObject({
      code: 'SERVICE_NOT_FOUND',
      operation,
      subject: `10.0.0.2:80 of ${missing}`,
    });
  });

  it.each([
    ['editDestination', 'edit destination', () => table.ipvs.editDestination(service, other.address, { weight: 1 })],
    ['removeDestination', 'delete destination', () => table.ipvs.removeDestination(service, other.address)],
  ])('%s of a destination that is not there', async (_, operation, attempt) => {
    expect(await refusal(attempt())).toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
      operation,
      subject: `10.0.0.2:80 of ${service}`,
    });
  });
});

describe('modules that the kernel does not have', () => {
  it.each([
    ['add service', () => table.ipvs.addService({ address: missing, scheduler: 'fastest' }), missing],
    ['edit service', () => table.ipvs.editService(service, { scheduler: 'fastest' }), service],
  ])('%s with an unknown scheduler: the error names the module', async (operation, attempt, subject) => {
    const error = await refusal(attempt());
    expect(error).toMatchObject({
      code: 'SCHEDULER_NOT_FOUND',
      kind: 'kernel',
      operation,
      subject,
      errnoName: 'ENOENT',
    });
    expect(error.message).toContain('"fastest"');
    expect(error.hint).toContain('ip_vs_fastest');
  });

  it('ENOENT for a scheduler and for an engine is told apart', async () => {
    const backend = new NetlinkBackend({ native: native(), namespacePath: `/run/netns/${table.namespace.name}` });
    try {
      const add = (scheduler: string, engine: string): Operation => ({
        type: 'service.add',
        service: {
          ...normalizeService({ address: 'udp://192.0.2.1:5060', scheduler }),
          persistence: { timeoutSeconds: 300, netmask: 32, engine },
        },
      });
      const results = await backend.execute([add('rr', 'morse'), add('fastest', 'sip'), add('fastest', 'morse')]);

      expect(results.map(({ error }) => [error?.code, error?.detail, error?.errnoName])).toEqual([
        ['ENGINE_NOT_FOUND', '"morse"', 'ENOENT'],
        ['SCHEDULER_NOT_FOUND', '"fastest"', 'ENOENT'],
        ['SCHEDULER_NOT_FOUND', '"fastest"', 'ENOENT'],
      ]);
      expect(results[0]?.error?.hint).toContain('ip_vs_pe_morse');
    } finally {
      backend.close();
    }
  });
});

describe('addresses that cannot be destinations', () => {
  it.each([
    ['multicast', '224.0.0.1'],
    ['multicast', '239.255.255.255'],
    ['broadcast', '255.255.255.255'],
    ['no address', '0.0.0.0'],
    ['multicast', '[ff02::1]'],
    ['link-local', '[fe80::1]'],
    ['no address', '[::]'],
    ['IPv4 in IPv6', '[::ffff:10.0.0.1]'],
  ])('%s: %s, refused at the door as the kernel would', async (_, ip) => {
    const door = await refusal(table.ipvs.addDestination(service, { address: `${ip}:80`, forward: 'tunnel' }));
    expect(door).toMatchObject({ code: 'NOT_A_HOST', kind: 'input', path: ['address'] });

    const backend = new NetlinkBackend({ native: native(), namespacePath: `/run/netns/${table.namespace.name}` });
    const settings = { forward: 'tunnel', weight: 1, upperThreshold: 0, lowerThreshold: 0 } as const;
    const destination = { address: `${ip}:80`, ...settings };
    const [result] = await backend.execute([{ type: 'destination.add', service, destination }]);
    backend.close();
    expect(result?.error).toMatchObject({ errnoName: 'EINVAL', operation: 'add destination' });
  });

  it('the broadcast address of a network of this host', async () => {
    expect(await refusal(table.ipvs.addDestination(service, { address: '127.255.255.255' }))).toMatchObject({
      code: 'ADDRESS_NOT_USABLE',
      kind: 'kernel',
      operation: 'add destination',
      subject: `127.255.255.255:80 of ${service}`,
      errno: 22,
      errnoName: 'EINVAL',
    });
  });

  it('every address, in a namespace whose "lo" is down: the hint says so', async () => {
    const name = `${table.namespace.name}-down`;
    ip('netns', 'add', name);
    try {
      const ipvs = await openIpvs({ netns: name });
      await ipvs.addService({ address: service });
      const error = await refusal(ipvs.addDestination(service, { address: '10.0.0.1' }));
      expect(error.code).toBe('ADDRESS_NOT_USABLE');
      expect(error.hint).toContain('"lo" must be up');
      await ipvs.close();
    } finally {
      ip('netns', 'delete', name);
    }
  });
});

describe('mixed address families', () => {
  const mixed = { address: '[2001:db8::2]:80' };

  it.each(['masquerade', 'direct', 'local', 'bypass'])(
    'are refused for %s before the kernel is asked',
    async (forward) => {
      expect(await refusal(table.ipvs.addDestination(service, { ...mixed, forward }))).toMatchObject({
        code: 'MIXED_FAMILIES',
        kind: 'input',
        path: ['address'],
      });
    },
  );

  it('are refused by the kernel while it synchronises connections: not for the address', async () => {
    table.namespace.run('ipvsadm', ['--start-daemon', 'master', '--mcast-interface', 'lo']);
    try {
      expect(await refusal(table.ipvs.addDestination(service, { ...mixed, forward: 'tunnel' }))).toMatchObject({
        code: 'SYNC_MIXED',
        operation: 'add destination',
        subject: `[2001:db8::2]:80 of ${service}`,
        errnoName: 'EINVAL',
      });
    } finally {
      table.namespace.run('ipvsadm', ['--stop-daemon', 'master']);
    }
  });
});

it('what the checks at the door would have refused keeps the errno of the kernel', async () => {
  const backend = new NetlinkBackend({ native: native(), namespacePath: `/run/netns/${table.namespace.name}` });
  try {
    const results = await backend.execute([
      { type: 'destination.add', service, destination: { ...other, upperThreshold: 1, lowerThreshold: 2 } },
      { type: 'destination.add', service, destination: { ...other, weight: 2 ** 31 } },
      { type: 'destination.edit', service, destination: { ...destination, lowerThreshold: 1 } },
    ]);
    expect(results.map(({ error }) => [error?.code, error?.errnoName, error?.operation])).toEqual([
      ['KERNEL_REFUSED', 'ERANGE', 'add destination'],
      ['KERNEL_REFUSED', 'ERANGE', 'add destination'],
      ['KERNEL_REFUSED', 'ERANGE', 'edit destination'],
    ]);
  } finally {
    backend.close();
  }
});

describe('input is refused before the kernel is asked', () => {
  it('one invalid operation of many: none is carried out', async () => {
    const operations: Operation[] = [
      { type: 'service.add', service: normalizeService({ address: missing }) },
      { type: 'destination.add', service, destination: { ...other, weight: -1 } },
      { type: 'flush' },
    ];
    expect(await refusal(Promise.resolve().then(() => table.ipvs.execute(operations)))).toMatchObject({
      code: 'INVALID_WEIGHT',
      path: ['weight'],
    });
  });

  it.each([
    ['PORT_ZERO', { address: 'tcp://192.0.2.1:0' }],
    ['INVALID_NETMASK', { address: 'tcp://[2001:db8::1]:80', persistence: { netmask: 129 } }],
    ['INVALID_NETMASK', { address: 'tcp://192.0.2.1:81', persistence: { netmask: 0 } }],
    ['INVALID_DURATION', { address: 'tcp://192.0.2.1:81', persistence: { timeoutSeconds: 4294968 } }],
    ['INVALID_DURATION', { address: 'tcp://192.0.2.1:81', persistence: { timeoutSeconds: 0 } }],
    ['INVALID_FWMARK', { address: 'fwmark:0' }],
    ['INVALID_PROTOCOL', { address: 'ip-1://192.0.2.1:80' }],
    ['INVALID_SCHEDULER', { address: 'tcp://192.0.2.1:81', scheduler: 'sixteen_letters_' }],
  ])('%s: service %j', async (code, input) => {
    expect(await refusal(table.ipvs.addService(input))).toMatchObject({ code, kind: 'input' });
  });

  it.each([
    ['INVALID_WEIGHT', { address: '10.0.0.2', weight: 2 ** 31 }],
    ['INVALID_WEIGHT', { address: '10.0.0.2', weight: -1 }],
    ['INVALID_THRESHOLD', { address: '10.0.0.2', upperThreshold: 1, lowerThreshold: 2 }],
    ['INVALID_THRESHOLD', { address: '10.0.0.2', upperThreshold: 2 ** 31 }],
    ['INVALID_PORT', { address: '10.0.0.2:81', forward: 'direct' }],
    ['INVALID_FORWARD', { address: '10.0.0.2', forward: { tunnel: 'gue' } }],
  ])('%s: destination %j', async (code, input) => {
    expect(await refusal(table.ipvs.addDestination(service, input))).toMatchObject({ code, kind: 'input' });
  });
});

describe('what cannot be reached', () => {
  it('a namespace that does not exist', async () => {
    const error = await refusal(openIpvs({ netns: 'no-such-namespace' }));
    expect(error).toMatchObject({
      code: 'NAMESPACE_NOT_FOUND',
      kind: 'transport',
      subject: '/run/netns/no-such-namespace',
    });
    expect(error.hint).toContain('ip netns list');
  });

  it.each(['/etc/passwd', '/proc/self/ns/mnt', '/'])('%s is no network namespace', async (path) => {
    expect(await refusal(openIpvs({ netns: path }))).toMatchObject({ code: 'NAMESPACE_REFUSED', subject: path });
  });

  it('a handle that was closed', async () => {
    const ipvs = await openIpvs({ netns: table.namespace.name });
    await ipvs.close();
    await ipvs.close();

    expect(await refusal(ipvs.snapshot())).toMatchObject({ code: 'CLOSED' });
    expect(await refusal(ipvs.removeService(service))).toMatchObject({ code: 'CLOSED' });
  });
});

it('without CAP_NET_ADMIN nothing is shown and nothing is done', () => {
  // A capability belongs to a whole process.
  const program = `
    const { openIpvs } = await import(${JSON.stringify(built('index.js'))});
    const ipvs = await openIpvs({ netns: ${JSON.stringify(table.namespace.name)} });
    const attempts = {
      info: () => ipvs.info(),
      snapshot: () => ipvs.snapshot(),
      service: () => ipvs.service('${service}'),
      removeService: () => ipvs.removeService('${service}'),
      addService: () => ipvs.addService({ address: '${missing}' }),
      flush: () => ipvs.flush(),
    };
    for (const [name, attempt] of Object.entries(attempts)) {
      await attempt().then(
        () => console.log(name, 'done'),
        ({ code, errnoName, operation, subject }) => console.log([name, code, errnoName, operation, subject].join(', ')),
      );
    }
    await ipvs.close();`;
  const output = execFileSync(
    'setpriv',
    ['--bounding-set=-net_admin', process.execPath, '--input-type=module', '--eval', program],
    { encoding: 'utf8' },
  );
  expect(output.trim().split('\n')).toEqual([
    'info, PERMISSION_DENIED, EPERM, read info, ip_vs',
    'snapshot, PERMISSION_DENIED, EPERM, read, all services',
    `service, PERMISSION_DENIED, EPERM, read service, ${service}`,
    `removeService, PERMISSION_DENIED, EPERM, delete service, ${service}`,
    `addService, PERMISSION_DENIED, EPERM, add service, ${missing}`,
    'flush, PERMISSION_DENIED, EPERM, flush, all services',
  ]);
});
