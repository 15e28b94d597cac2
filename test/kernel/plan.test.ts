/** From a description to the kernel: parse, read, plan, apply. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Director, type IntendedPlan, type PlanOptions } from '../../src/director/director.ts';
import type { ApplyResult } from '../../src/engine/transaction.ts';
import { parseState } from '../../src/state/document.ts';
import { configured, kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('plan');

const web = 'tcp://192.0.2.1:80';

let director: Director;
beforeEach(() => {
  director = new Director({ ipvs: table.ipvs });
});

function planned(text: string, options?: PlanOptions): Promise<IntendedPlan> {
  return director.plan({ desired: parseState(text) }, options);
}

async function applied(text: string, options?: PlanOptions): Promise<ApplyResult> {
  return director.apply(await planned(text, options));
}

function steps(changes: readonly { readonly verb: string; readonly subject: string }[]): string[] {
  return changes.map(({ verb, subject }) => `${verb} ${subject}`);
}

async function addresses(service: string): Promise<string[]> {
  return (await table.ipvs.destinations(service)).map(({ address }) => address);
}

const everything = `
defaults: { scheduler: wrr, forward: masquerade }
services:
  - name: web
    address: [tcp://192.0.2.1:80, "tcp://[2001:db8::1]:80"]
    destinations:
      - { address: 10.0.0.1, weight: 3 }
      - { address: 10.0.0.2:8080, weight: 0, upperThreshold: 100, lowerThreshold: 50 }
      - { address: "2001:db8::11" }
  - name: calls
    address: udp://192.0.2.1:5060
    scheduler: sh
    schedulerFlags: [sh-port]
    persistence: { timeout: 15m, netmask: 24, engine: sip }
    onePacket: true
    forward: direct
    destinations: [{ address: 10.0.0.1 }, { address: 10.0.0.2 }]
  - name: mark
    address: [fwmark:7, fwmark:7/inet6]
    scheduler: mh
    schedulerFlags: [mh-fallback]
    forward: { tunnel: gue, port: 6080, checksum: csum }
    destinations: [{ address: 10.0.0.1 }, { address: "2001:db8::11" }]
`;

describe('a description of everything', () => {
  it('becomes the table of the kernel, in the order of the file', async () => {
    const result = await applied(everything);
    expect(result.failed).toEqual([]);
    expect(result.skipped).toEqual([]);
    expect(result.done).toHaveLength(5 + 9);

    const expected = parseState(everything).services.map(({ service, destinations }) => ({ ...service, destinations }));
    expect(configured(await table.ipvs.snapshot())).toEqual(expected.sort((a, b) => (a.address < b.address ? -1 : 1)));
  });

  it('needs no second change', async () => {
    await applied(everything);
    const before = configured(await table.ipvs.snapshot());

    expect(await planned(everything)).toMatchObject({ changes: [], unchanged: 5 + 9, conflicts: [], strays: [] });
    await applied(everything);
    expect(configured(await table.ipvs.snapshot())).toEqual(before);
  });
});

describe('a description of a service that is there', () => {
  beforeEach(async () => {
    const { ipvs } = table;
    await ipvs.addService({ address: 'tcp://192.0.2.99:80' });
    await ipvs.addDestination('tcp://192.0.2.99:80', { address: '10.0.0.1' });
    await applied(`
services:
  - { address: tcp://192.0.2.1:80, destinations: [{ address: 10.0.0.9 }, { address: 10.0.0.1 }] }
  - { address: fwmark:9, scheduler: rr }
`);
  });

  const wanted = `
services:
  - address: tcp://192.0.2.1:80
    scheduler: wrr
    destinations: [{ address: 10.0.0.1, weight: 5 }, { address: 10.0.0.2 }]
  - address: udp://192.0.2.1:53
    destinations: [{ address: 10.0.0.1 }]
`;

  it('adds first, edits in place, and removes last what has left it', async () => {
    const { changes } = await planned(wanted);
    expect(steps(changes)).toEqual([
      'add service udp://192.0.2.1:53',
      'add destination 10.0.0.2:80 of tcp://192.0.2.1:80',
      'add destination 10.0.0.1:53 of udp://192.0.2.1:53',
      'edit service tcp://192.0.2.1:80',
      'edit destination 10.0.0.1:80 of tcp://192.0.2.1:80',
      'delete destination 10.0.0.9:80 of tcp://192.0.2.1:80',
      'delete service fwmark:9',
    ]);

    const result = await applied(wanted);
    expect(steps(result.done)).toEqual(steps(changes));
    expect(await table.ipvs.service(web)).toMatchObject({
      scheduler: 'wrr',
      destinations: [
        { address: '10.0.0.2:80', weight: 1 },
        { address: '10.0.0.1:80', weight: 5 },
      ],
    });
  });

  it('leaves alone what never was in it', async () => {
    const before = await table.ipvs.service('tcp://192.0.2.99:80');
    await table.ipvs.addDestination(web, { address: '10.0.0.7' });
    await applied(wanted);
    expect(await table.ipvs.service('tcp://192.0.2.99:80')).toEqual(before);
    expect(await addresses(web)).toEqual(['10.0.0.2:80', '10.0.0.7:80', '10.0.0.1:80']);

    await applied('services: []');
    expect((await table.ipvs.snapshot()).services).toEqual([before]);
  });

  it('takes nothing over that somebody else made, unless it is told to', async () => {
    const foreign = 'services: [{ address: "tcp://192.0.2.99:80", destinations: [{ address: 10.0.0.1, weight: 7 }] }]';
    const before = await table.ipvs.snapshot();
    expect((await planned(foreign)).conflicts).toMatchObject([{ subject: 'tcp://192.0.2.99:80' }]);
    expect(await refusal(applied(foreign))).toMatchObject({ code: 'NOT_OURS', subject: 'tcp://192.0.2.99:80' });
    expect(await table.ipvs.snapshot()).toEqual(before);

    await applied(foreign, { adopt: true });
    expect(await table.ipvs.destinations('tcp://192.0.2.99:80')).toMatchObject([{ weight: 7 }]);
  });

  it('edits without touching the order', async () => {
    const before = await addresses(web);
    await applied(`
services:
  - address: tcp://192.0.2.1:80
    scheduler: sh
    schedulerFlags: [sh-port]
    persistence: { timeout: 60 }
    destinations: [{ address: 10.0.0.1, weight: 5 }, { address: 10.0.0.9, weight: 0, upperThreshold: 7 }]
`);
    expect(await addresses(web)).toEqual(before);
    expect(await table.ipvs.service(web)).toMatchObject({
      scheduler: 'sh',
      schedulerFlags: ['sh-port'],
      persistence: { timeoutSeconds: 60 },
      destinations: [
        { address: '10.0.0.9:80', weight: 0, upperThreshold: 7 },
        { address: '10.0.0.1:80', weight: 5 },
      ],
    });
  });

  it('makes nothing where the kernel lacks a module for any of it', async () => {
    const before = await table.ipvs.snapshot();
    const result = await applied(`
services:
  - { address: fwmark:61, destinations: [{ address: 10.0.0.1 }] }
  - { address: fwmark:62, scheduler: fastest }
  - { address: fwmark:63, scheduler: fastest }
`);
    expect(result.failed.map(({ change, error }) => [steps([change]), error])).toMatchObject([
      [['add service fwmark:62'], { code: 'SCHEDULER_NOT_FOUND', subject: 'fwmark:62' }],
      [['add service fwmark:63'], { code: 'SCHEDULER_NOT_FOUND', subject: 'fwmark:63' }],
    ]);
    expect(result.done).toEqual([]);
    // Services stand in the kernel's order, which depends on a hash.
    expect(steps(result.skipped).sort()).toEqual([
      'add destination 10.0.0.1:0 of fwmark:61',
      'add service fwmark:61',
      'delete service fwmark:9',
      'delete service tcp://192.0.2.1:80',
    ]);
    expect(await table.ipvs.snapshot()).toEqual(before);
  });

  it('undoes what it did before a refusal', async () => {
    const before = await table.ipvs.snapshot();
    const result = await applied(`
services:
  - address: tcp://192.0.2.1:80
    destinations: [{ address: 127.255.255.255 }, { address: 10.0.0.2 }]
`);
    expect(result.failed.map(({ change, error }) => [steps([change]), error])).toMatchObject([
      [['add destination 127.255.255.255:80 of tcp://192.0.2.1:80'], { code: 'ADDRESS_NOT_USABLE' }],
    ]);
    expect(steps(result.done)).toEqual(['add destination 10.0.0.2:80 of tcp://192.0.2.1:80']);
    expect(steps(result.skipped)).toEqual([
      'delete destination 10.0.0.9:80 of tcp://192.0.2.1:80',
      'delete destination 10.0.0.1:80 of tcp://192.0.2.1:80',
      'delete service fwmark:9',
    ]);
    expect(steps(result.undone)).toEqual(['delete destination 10.0.0.2:80 of tcp://192.0.2.1:80']);
    expect(result.outcome).toBe('undone');
    expect(await table.ipvs.snapshot()).toEqual(before);
  });

  it('a plan that is out of date is not carried out', async () => {
    const old = await planned(wanted);
    await table.ipvs.removeDestination(web, '10.0.0.9');
    const before = await table.ipvs.snapshot();

    expect(await refusal(director.apply(old))).toMatchObject({ code: 'PLAN_OUTDATED' });
    expect(await table.ipvs.snapshot()).toEqual(before);
  });
});

describe('what a change costs connections', () => {
  const described = (service: string, settings: string, destinations: string) =>
    `services: [{ address: "${service}", ${settings}, destinations: [${destinations}] }]`;

  /** A service with one connection. The kernel remembers deleted destinations: every test has a port of its own. */
  async function connected(port: number): Promise<string> {
    const service = `udp://192.0.2.53:${port}`;
    table.namespace.run('ip', ['address', 'replace', '192.0.2.53/32', 'dev', 'lo']);
    await applied(described(service, 'scheduler: rr', '{ address: 127.0.0.53, weight: 1 }'));
    table.namespace.run('bash', ['-c', `echo question > /dev/udp/192.0.2.53/${port}`]);
    expect(await table.ipvs.destinations(service)).toMatchObject([{ inactiveConnections: 1 }]);
    return service;
  }

  it('an edit of the service and of the destination: nothing, and the counters go on', async () => {
    const service = await connected(53);
    // The kernel publishes counters every two seconds.
    await expect
      .poll(async () => (await table.ipvs.service(service, { statistics: true })).statistics?.connections, {
        timeout: 60_000,
        interval: 200,
      })
      .toBe(1n);

    await applied(
      described(service, 'scheduler: wrr, persistence: { timeout: 60 }', '{ address: 127.0.0.53, weight: 9 }'),
    );

    expect(await table.ipvs.service(service, { statistics: true })).toMatchObject({
      scheduler: 'wrr',
      persistence: { timeoutSeconds: 60 },
      statistics: { connections: 1n, packetsIn: 1n },
      destinations: [{ weight: 9, inactiveConnections: 1, statistics: { connections: 1n, packetsIn: 1n } }],
    });
  });

  it('a removal: the plan says how many lose their packets', async () => {
    const service = await connected(54);
    const { changes } = await planned(described(service, 'scheduler: rr', '{ address: 127.0.0.54 }'));
    expect(changes.map(({ phase, effects }) => [phase, effects])).toEqual([
      ['add-destination', []],
      ['remove-destination', [expect.stringMatching(/^1 inactive connections?\b/), 'its counters are lost']],
    ]);
  });
});
