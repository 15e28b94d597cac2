/** Descriptors: every one that is opened is closed. */
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Ipvs, openIpvs } from '../../src/ipvs/ipvs.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import { built, command } from '../helpers/cli.ts';
import { failingReceive } from '../helpers/kernel-native.ts';
import { done, kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('leaks');

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

it('handles leave none when they are closed', async () => {
  const before = descriptors();
  const handles: Ipvs[] = [];
  for (let i = 0; i < 50; i++) handles.push(await openIpvs({ netns: table.namespace.name }));
  expect(descriptors()).toBeGreaterThanOrEqual(before + 50);
  for (const handle of handles.slice(0, 25)) await handle.snapshot();

  for (const handle of handles) await handle.close();
  expect(descriptors()).toBe(before);

  for (const handle of handles) await handle.close();
  expect(descriptors()).toBe(before);
});

it('a handle ends with its block', async () => {
  const before = descriptors();
  const handle = await openIpvs({ netns: table.namespace.name });
  await handle[Symbol.asyncDispose]();
  expect(descriptors()).toBe(before);
});

it('failed opens leave none', async () => {
  const before = descriptors();
  for (let i = 0; i < 20; i++) {
    await refusal(openIpvs({ netns: 'no-such-namespace' }));
    await refusal(openIpvs({ netns: '/proc/self/ns/mnt' }));
    await refusal(openIpvs({ netns: '/etc/passwd' }));
    await refusal(openIpvs({ netns: '../etc' }));
  }
  expect(descriptors()).toBe(before);
});

it('refusals leave none', async () => {
  const before = descriptors();
  const ipvs = await openIpvs({ netns: table.namespace.name });
  for (let i = 0; i < 20; i++) {
    await refusal(ipvs.removeService('fwmark:1'));
    await refusal(ipvs.addService({ address: 'tcp://192.0.2.1:80', scheduler: 'fastest' }));
    await refusal(ipvs.service('fwmark:1'));
  }
  await ipvs.close();
  expect(descriptors()).toBe(before);
});

it('reads that fail in the middle leave none', async () => {
  await done(
    table.ipvs,
    Array.from({ length: 300 }, (_, i) => ({
      type: 'service.add',
      service: {
        address: `fwmark:${i + 1}`,
        scheduler: 'rr',
        schedulerFlags: [],
        persistence: null,
        onePacket: false,
      },
    })),
  );
  const before = descriptors();
  for (const after of [2, 3, 4]) {
    const backend = new NetlinkBackend({
      native: failingReceive(after, 5),
      namespacePath: `/run/netns/${table.namespace.name}`,
    });
    const ipvs = new Ipvs(backend);
    expect(await refusal(ipvs.snapshot())).toMatchObject({ code: 'SOCKET_FAILED' });
    await ipvs.close();
  }
  expect(descriptors()).toBe(before);
});

it('a worker that is terminated leaves none', async () => {
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.entry).then(async ({ openIpvs }) => {
      globalThis.handles = [];
      for (let i = 0; i < 10; i++) {
        const handle = await openIpvs({ netns: workerData.netns });
        await handle.info();
        handles.push(handle);
      }
      parentPort.postMessage('open');
      for (;;) await handles[0].snapshot();
    });`;
  const before = descriptors();
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(program, {
      eval: true,
      workerData: { entry: built('index.js'), netns: table.namespace.name },
    });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    expect(descriptors()).toBeGreaterThanOrEqual(before + 10);
    await worker.terminate();
  }
  expect(descriptors()).toBe(before);
});

it('a program that forgets close() ends all the same', async () => {
  const program = `
    const { openIpvs } = await import(${JSON.stringify(built('index.js'))});
    const ipvs = await openIpvs({ netns: ${JSON.stringify(table.namespace.name)} });
    await ipvs.snapshot();
    console.log('read');`;
  expect(await command([process.execPath, '--input-type=module', '--eval', program])).toEqual({
    status: 0,
    stdout: 'read\n',
    stderr: '',
  });
});
