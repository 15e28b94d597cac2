import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Native } from '../../src/kernel/native.ts';
import { native } from '../../src/kernel/native.ts';
import {
  attribute,
  attributesIn,
  genericHeader,
  hex,
  message,
  requestsOf,
  text,
  toHex,
} from '../helpers/fake-kernel.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** For processes and threads that load it by themselves. */
const addonPath = process.env['IPVS_DIRECTOR_ADDON'] ?? join(root, 'build', 'Release', 'ipvs_director.node');
const NETLINK_GENERIC = 16;
const EBADF = 9;
const EAGAIN = 11;
const EINVAL = 22;
const ENOENT = 2;
const EWOULDBLOCK = 11;
const EISDIR = 21;
const ELOOP = 40;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_PROTOCOL = 38;

let addon: Native;
const opened: number[] = [];

function openGeneric(): number {
  const fd = addon.openNetlink(NETLINK_GENERIC, '', 65536, 65536);
  expect(fd).toBeGreaterThan(2);
  opened.push(fd);
  return fd;
}

function descriptors(): string[] {
  return readdirSync('/proc/self/fd');
}

beforeAll(() => {
  addon = native();
});

afterEach(() => {
  for (const fd of opened.splice(0)) addon.close(fd);
});

describe('the loader', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipvs-director-'));
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  /** A fresh copy of the loader, for it loads once. */
  async function load(path: string): Promise<unknown> {
    vi.resetModules();
    vi.stubEnv('IPVS_DIRECTOR_ADDON', path);
    const fresh = await import('../../src/kernel/native.ts');
    try {
      return fresh.native();
    } catch (error) {
      return error;
    }
  }

  it('loads once', () => {
    expect(native()).toBe(addon);
  });

  it('takes the file that IPVS_DIRECTOR_ADDON names', async () => {
    const path = join(folder, 'copy.node');
    copyFileSync(addonPath, path);
    expect(await load(path)).toHaveProperty('openNetlink');
    expect(readFileSync('/proc/self/maps', 'utf8')).toContain(path);
  });

  it('a missing file is ADDON_NOT_LOADED with its path and the host', async () => {
    const path = join(folder, 'missing.node');
    expect(await load(path)).toMatchObject({
      code: 'ADDON_NOT_LOADED',
      kind: 'transport',
      subject: `${process.platform}-${process.arch}, Node ${process.version}`,
      detail: `not found: ${path}`,
      hint: expect.stringContaining('build:addon'),
    });
  });

  it.each([
    ['empty.node', ''],
    ['garbage.node', 'this is no shared object'],
    ['elf.node', '\x7fELF'],
    ['script.cjs', 'module.exports = {};'],
  ])('a file that does not load is ADDON_NOT_LOADED with its path and why: %s', async (name, content) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    const error = (await load(path)) as Error & { detail: string };
    expect(error).toMatchObject({ code: 'ADDON_NOT_LOADED', subject: path, cause: expect.any(Error) });
    expect(error.detail).toMatch(/\S/);
    expect(error.message).not.toContain('\n');
  });

  it('is not spoilt by a failure: the next call tries again', async () => {
    vi.resetModules();
    vi.stubEnv('IPVS_DIRECTOR_ADDON', join(folder, 'missing.node'));
    const fresh = await import('../../src/kernel/native.ts');
    expect(() => fresh.native()).toThrow();
    vi.unstubAllEnvs();
    expect(fresh.native()).toHaveProperty('openNetlink');
  });
});

describe('what the addon exports', () => {
  it('is what the interface declares', () => {
    const names = [
      'close',
      'execInNamespace',
      'getOption',
      'lockFile',
      'openDatagram',
      'openNetlink',
      'openPacket',
      'openProcNet',
      'openProcSysNet',
      'receive',
      'send',
      'sendPacket',
      'setOption',
    ];
    expect(Object.keys(addon).sort()).toEqual(names);
  });
});

describe('descriptors', () => {
  const calls: [string, (fd: number) => number][] = [
    ['send', (fd) => addon.send(fd, new Uint8Array(16), 16)],
    ['sendPacket', (fd) => addon.sendPacket(fd, 1, new Uint8Array(16))],
    ['receive', (fd) => addon.receive(fd, new Uint8Array(16))],
    ['getOption', (fd) => addon.getOption(fd, SOL_SOCKET, SO_RCVBUF, new Uint8Array(4))],
    ['setOption', (fd) => addon.setOption(fd, SOL_SOCKET, SO_RCVBUF, new Uint8Array(4))],
    ['close', (fd) => addon.close(fd)],
  ];

  it.each(calls)('%s: of others are EBADF, be they open or not', (_, call) => {
    const foreign = openSync('/dev/null', 'r');
    opened.push(foreign);
    for (const fd of [0, 1, 2, foreign, 987654, -1, -2147483648]) expect(call(fd)).toBe(-EBADF);
    expect(descriptors()).toContain(String(foreign));
  });

  it.each(calls)('%s: closed ones are EBADF', (_, call) => {
    const fd = openGeneric();
    expect(addon.close(fd)).toBe(0);
    expect(call(fd)).toBe(-EBADF);
  });

  it('are close-on-exec', () => {
    const flags = /flags:\s*0?(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${openGeneric()}`, 'utf8'))?.[1] as string;
    expect(Number.parseInt(flags, 8) & 0o2000000).not.toBe(0);
    expect(Number.parseInt(flags, 8) & 0o4000).not.toBe(0); // and never block
  });

  it('of a worker are closed when it ends', async () => {
    const before = descriptors().length;
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const addon = require(${JSON.stringify(addonPath)});
       const fds = Array.from({ length: 20 }, () => addon.openNetlink(16, '', 0, 0));
       parentPort.postMessage(fds);
       parentPort.once('message', () => parentPort.close());`,
      { eval: true },
    );
    const fds = await new Promise<number[]>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(Math.min(...fds)).toBeGreaterThan(2);
    const during = descriptors();
    for (const fd of fds) expect(during).toContain(String(fd));
    // They belong to the worker alone.
    expect(addon.close(fds[0] as number)).toBe(-EBADF);
    worker.postMessage('end');
    await new Promise((resolve) => worker.once('exit', resolve));
    await vi.waitFor(() => expect(descriptors().length).toBeLessThanOrEqual(before));
  });

  it('of a worker that is terminated are closed too', async () => {
    const before = descriptors().length;
    const worker = new Worker(
      `const addon = require(${JSON.stringify(addonPath)});
       for (let i = 0; i < 20; i++) addon.openNetlink(16, '', 0, 0);
       require('node:worker_threads').parentPort.postMessage('open');
       setInterval(() => {}, 1000);`,
      { eval: true },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    expect(descriptors().length).toBeGreaterThanOrEqual(before + 20);
    await worker.terminate();
    await vi.waitFor(() => expect(descriptors().length).toBeLessThanOrEqual(before));
  });
});

describe('arguments of wrong types', () => {
  const wrong = [undefined, null, true, '16', {}, [], Number.NaN, 1.5, -1, 2 ** 40, 5n, Symbol('x'), () => {}];
  const noBytes = [
    undefined,
    null,
    '0123',
    [1, 2, 3],
    {},
    5,
    new ArrayBuffer(8),
    new Uint16Array(8),
    new DataView(new ArrayBuffer(8)),
  ];

  it('of openNetlink open no socket', () => {
    const before = descriptors().length;
    for (const protocol of wrong) {
      const fd = addon.openNetlink(protocol as never, '', 0, 0);
      if (fd >= 0) opened.push(fd);
      if (typeof protocol !== 'number') expect(fd).toBeLessThan(0);
    }
    expect((addon.openNetlink as unknown as () => number)()).toBeLessThan(0);
    for (const fd of opened.splice(0)) addon.close(fd);
    expect(descriptors().length).toBe(before);
  });

  it('of send are EINVAL', () => {
    const fd = openGeneric();
    for (const bytes of noBytes) expect(addon.send(fd, bytes as never, 4)).toBe(-EINVAL);
    for (const length of [undefined, null, '4', -1, 17, 2 ** 31, 2 ** 32 - 1]) {
      const result = addon.send(fd, new Uint8Array(16), length as never);
      expect(result, String(length)).toBe(-EINVAL);
    }
  });

  it('of sendPacket are EINVAL', () => {
    const fd = openGeneric();
    const frame = new Uint8Array(14);
    for (const bytes of [...noBytes, new Uint8Array(13)]) {
      expect(addon.sendPacket(fd, 1, bytes as never)).toBe(-EINVAL);
    }
    for (const index of [undefined, null, '1', 0, -1, 2 ** 31]) {
      expect(addon.sendPacket(fd, index as never, frame), String(index)).toBe(-EINVAL);
    }
  });

  it('of receive are EINVAL', () => {
    const fd = openGeneric();
    for (const bytes of [...noBytes, new Uint8Array()]) expect(addon.receive(fd, bytes as never)).toBe(-EINVAL);
  });

  it('of options are EINVAL', () => {
    const fd = openGeneric();
    for (const bytes of noBytes) {
      expect(addon.getOption(fd, SOL_SOCKET, SO_RCVBUF, bytes as never)).toBe(-EINVAL);
      expect(addon.setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes as never)).toBe(-EINVAL);
    }
  });

  it.each<[string, (fd: never) => number]>([
    ['send', (fd) => addon.send(fd, new Uint8Array(4), 4)],
    ['sendPacket', (fd) => addon.sendPacket(fd, 1, new Uint8Array(16))],
    ['receive', (fd) => addon.receive(fd, new Uint8Array(4))],
    ['getOption', (fd) => addon.getOption(fd, 1, 8, new Uint8Array(4))],
    ['setOption', (fd) => addon.setOption(fd, 1, 8, new Uint8Array(4))],
    ['close', (fd) => addon.close(fd)],
  ])('of descriptors are EBADF: %s', (_, call) => {
    for (const fd of wrong) expect(call(fd as never)).toBe(-EBADF);
  });

  it('are no way into another namespace', () => {
    for (const path of ['', 5, undefined, null, {}]) {
      const result = addon.execInNamespace(path as never, '/nowhere', 'argv' as never, [] as never);
      expect(result).toBe(-EINVAL);
    }
  });

  /** Runs it in a process of its own: if it dies, only it dies. */
  function survives(script: string): void {
    const whole = `const addon = require(${JSON.stringify(addonPath)}); ${script}; console.log('alive');`;
    const cwd = mkdtempSync(join(tmpdir(), 'ipvs-director-')); // lockFile() makes files
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['-e', whole], { encoding: 'utf8', cwd });
    rmSync(cwd, { recursive: true });
    expect({ stdout, stderr, status, signal }).toEqual({ stdout: 'alive\n', stderr: '', status: 0, signal: null });
  }

  it('never end the process', () => {
    survives(`
      const values = [undefined, null, true, 'x', '', {}, [], [Symbol('x')], NaN, 1.5, -1, 0, 2 ** 40, 5n, Symbol('x'),
        () => {}, new Uint8Array(), new Uint8Array(8), new Uint8Array(new SharedArrayBuffer(8)), new Proxy({}, {}),
        Object.create(null), { toString() { throw new Error('of the caller') } }];
      const fd = addon.openNetlink(16, '', 0, 0);
      const detached = new Uint8Array(8);
      structuredClone(detached.buffer, { transfer: [detached.buffer] });
      values.push(fd, detached);
      for (const [name, f] of Object.entries(addon)) {
        if (name === 'execInNamespace') continue;
        for (const a of values) for (const b of values) for (const c of [undefined, 4, -1, {}, 2 ** 31])
          for (const d of [undefined, 4, new Uint8Array(4), detached]) {
            if (name === 'close' && a === fd) continue;
            if (name === 'openPacket' && (b !== undefined || c !== undefined)) continue; // each takes long to close
            const result = f(a, b, c, d);
            if (/^open|^lock/.test(name) && result >= 0) addon.close(result);
          }
      }
      if (addon.close(fd) !== 0) throw new Error('the socket is gone');
    `);
  });

  const items = ["Symbol('x')", 'Object.create(null)', "{ toString() { throw new Error('of the caller') } }"];

  it.each(items)('of execInNamespace never end the process: a list with %s', (item) => {
    survives(`try { addon.execInNamespace('/nowhere', '/nowhere', [${item}], []) } catch {}`);
  });

  it('of execInNamespace: too few, too many', () => {
    survives("addon.execInNamespace(); addon.execInNamespace('/nowhere', '/nowhere', [], [], [])");
  });
});

describe('a lock', () => {
  let folder: string;
  let path: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipvs-director-'));
    path = join(folder, 'lock');
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it('is held by one descriptor, until that is closed', () => {
    const fd = addon.lockFile(path);
    expect(fd).toBeGreaterThan(2);
    opened.push(fd);
    const before = descriptors().length;
    expect(addon.lockFile(path)).toBe(-EWOULDBLOCK);
    expect(descriptors().length).toBe(before);
    expect(addon.close(fd)).toBe(0);
    const next = addon.lockFile(path);
    expect(next).toBeGreaterThan(2);
    opened.push(next);
  });

  it('of another process ends with that process, even if it is killed', async () => {
    const script = `
      const fd = require(${JSON.stringify(addonPath)}).lockFile(${JSON.stringify(path)});
      console.log(fd > 2 ? 'held' : fd);
      setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [words] = await once(holder.stdout, 'data');
      expect(String(words)).toBe('held\n');
      expect(addon.lockFile(path)).toBe(-EWOULDBLOCK);
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    const fd = addon.lockFile(path);
    expect(fd).toBeGreaterThan(2);
    opened.push(fd);
  });

  it('makes the file where there is none, and leaves alone what is in it', () => {
    const made = join(folder, 'made');
    opened.push(addon.lockFile(made));
    expect(statSync(made).mode & 0o7777 & ~0o644).toBe(0);
    const full = join(folder, 'full');
    writeFileSync(full, 'content');
    opened.push(addon.lockFile(full));
    expect(readFileSync(full, 'utf8')).toBe('content');
  });

  it('goes through no symbolic link, and needs a file in a folder that is there', () => {
    const link = join(folder, 'link');
    symlinkSync(join(folder, 'target'), link);
    expect(addon.lockFile(link)).toBe(-ELOOP);
    expect(existsSync(join(folder, 'target'))).toBe(false);
    expect(addon.lockFile(folder)).toBe(-EISDIR);
    expect(addon.lockFile(join(folder, 'nowhere', 'lock'))).toBe(-ENOENT);
    expect(addon.lockFile('')).toBe(-ENOENT);
  });

  it.each([undefined, null, 5, {}, 'a\0b'])('%j is no path', (wrong) => {
    expect(addon.lockFile(wrong as never)).toBe(-EINVAL);
  });

  it('is not handed to programs that are started', () => {
    const fd = addon.lockFile(join(folder, 'own'));
    opened.push(fd);
    const flags = /flags:\s*0?(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] as string;
    expect(Number.parseInt(flags, 8) & 0o2000000).not.toBe(0); // O_CLOEXEC
  });
});

describe('namespaces', () => {
  it('that do not exist are ENOENT', () => {
    const path = join(tmpdir(), 'no-such-namespace');
    expect(addon.openNetlink(NETLINK_GENERIC, path, 0, 0)).toBe(-ENOENT);
    expect(addon.openDatagram(path)).toBe(-ENOENT);
    expect(addon.openPacket(path)).toBe(-ENOENT);
    expect(addon.execInNamespace(path, '/bin/true', ['true'], [])).toBe(-ENOENT);
  });

  it('files of /proc/net are those of the namespace', () => {
    const fd = addon.openProcNet('', 'dev');
    expect(readFileSync(`/proc/self/fd/${fd}`, 'utf8')).toBe(readFileSync('/proc/net/dev', 'utf8'));
    expect(addon.close(fd)).toBe(0);
    expect(addon.openProcNet('', 'no_such_file')).toBe(-ENOENT);
    expect(addon.openProcNet(join(tmpdir(), 'no-such-namespace'), 'dev')).toBe(-ENOENT);
  });

  it.each(['', '..', 'stat/ip_conntrack', '../stat', '.'])('%j is no file of /proc/net', (name) => {
    expect(addon.openProcNet('', name)).toBe(-EINVAL);
  });

  it('files of /proc/sys/net are those of the namespace', () => {
    const fd = addon.openProcSysNet('', 'ipv4/ip_forward', false);
    expect(readFileSync(`/proc/self/fd/${fd}`, 'utf8')).toBe(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'));
    expect(addon.close(fd)).toBe(0);
    expect(addon.openProcSysNet('', 'ipv4/no_such_file', false)).toBe(-ENOENT);
    expect(addon.openProcSysNet(join(tmpdir(), 'no-such-namespace'), 'ipv4/ip_forward', false)).toBe(-ENOENT);
  });

  it.each([
    ...['', '..', '/etc/passwd', '../vm/swappiness', 'ipv4/../../vm/swappiness', 'ipv4//ip_forward'],
    ...['./ipv4/ip_forward', 'ipv4/'],
  ])('%j is no file of /proc/sys/net', (name) => {
    expect(addon.openProcSysNet('', name, false)).toBe(-EINVAL);
  });

  it('files that are no namespaces are refused', () => {
    // EINVAL, or EPERM where setns() looks at privileges first.
    expect([-EINVAL, -1]).toContain(addon.openNetlink(NETLINK_GENERIC, '/proc/self/status', 0, 0));
    expect([-EINVAL, -1]).toContain(addon.openDatagram('/proc/self/status'));
    expect([-EINVAL, -1]).toContain(addon.openPacket('/proc/self/status'));
  });

  it('leave no descriptor behind when they are refused', () => {
    const before = descriptors().length;
    for (let i = 0; i < 50; i++) addon.openNetlink(NETLINK_GENERIC, '/proc/self/status', 0, 0);
    expect(descriptors().length).toBe(before);
  });
});

describe('a generic netlink socket', () => {
  // The family of the controller itself, which every kernel has: GENL_ID_CTRL is 0x10.
  const getController = message(0x10, 0x5, 7, genericHeader(3), attribute(2, text('nlctrl')));
  // The last four bytes of the header are the port, which the sender leaves to the kernel.
  getController.fill(0, 12, 16);

  it('opens without privileges and is of the protocol', () => {
    const bytes = new Uint8Array(4);
    expect(addon.getOption(openGeneric(), SOL_SOCKET, SO_PROTOCOL, bytes)).toBe(4);
    expect(new Int32Array(bytes.buffer)[0]).toBe(NETLINK_GENERIC);
  });

  it('has the buffer that was asked for, or what the system allows', () => {
    const bytes = new Uint8Array(4);
    expect(addon.getOption(openGeneric(), SOL_SOCKET, SO_RCVBUF, bytes)).toBe(4);
    expect(new Int32Array(bytes.buffer)[0]).toBeGreaterThanOrEqual(2 * 4096);
  });

  it('takes options', () => {
    const fd = openGeneric();
    expect(addon.setOption(fd, SOL_SOCKET, SO_RCVBUF, hex('00100000'))).toBe(0);
    expect(addon.setOption(fd, SOL_SOCKET, SO_RCVBUF, new Uint8Array(1))).toBe(-EINVAL);
    expect(addon.setOption(fd, SOL_SOCKET, 9999, hex('00100000'))).toBe(-92); // ENOPROTOOPT
  });

  it('has nothing to receive, and does not wait for it', () => {
    expect(addon.receive(openGeneric(), new Uint8Array(64))).toBe(-EAGAIN);
  });

  it('answers: all answers are there when send() returns', () => {
    const fd = openGeneric();
    expect(addon.send(fd, getController, getController.length)).toBe(getController.length);
    const buffer = new Uint8Array(8192);
    const length = addon.receive(fd, buffer);
    const [reply] = requestsOf(buffer.slice(0, length));
    expect([reply?.type, reply?.sequence, reply?.payload[0]]).toEqual([0x10, 7, 1]); // CTRL_CMD_NEWFAMILY
    const attributes = attributesIn(reply?.payload.subarray(4) as Uint8Array);
    expect(toHex(attributes.get(1) as Uint8Array)).toBe('1000');
    expect(toHex(attributes.get(2) as Uint8Array)).toBe(toHex(text('nlctrl')));

    const acknowledged = addon.receive(fd, buffer);
    // NLMSG_ERROR 0, capped: the header of the request and no more.
    const [acknowledgement] = requestsOf(buffer.slice(0, acknowledged));
    expect([acknowledgement?.type, acknowledgement?.flags, acknowledged]).toEqual([2, 0x100, 36]);
    expect(addon.receive(fd, buffer)).toBe(-EAGAIN);
  });

  it("answers a refusal in the kernel's number", () => {
    const fd = openGeneric();
    const request = message(0x10, 0x5, 8, genericHeader(3), attribute(2, text('nosuchfamily')));
    expect(addon.send(fd, request, request.length)).toBe(request.length);
    const buffer = new Uint8Array(8192);
    const [refusal] = requestsOf(buffer.slice(0, addon.receive(fd, buffer)));
    expect(refusal).toMatchObject({ type: 2, sequence: 8 });
    expect(new DataView(buffer.buffer).getInt32(16, true)).toBe(-ENOENT);
  });

  it('tells the whole length of what was cut off', () => {
    const fd = openGeneric();
    addon.send(fd, getController, getController.length);
    const whole = addon.receive(fd, new Uint8Array(8192));
    addon.receive(fd, new Uint8Array(8192));

    addon.send(fd, getController, getController.length);
    const small = new Uint8Array(20);
    expect(addon.receive(fd, small)).toBe(whole);
    expect(new DataView(small.buffer).getUint32(0, true)).toBe(whole);
    // The rest of it is gone; what comes next is the acknowledgement.
    expect(addon.receive(fd, new Uint8Array(8192))).toBe(36);
  });

  it('sends no more than it is told', () => {
    const fd = openGeneric();
    const long = new Uint8Array(1000);
    long.set(getController);
    expect(addon.send(fd, long, getController.length)).toBe(getController.length);
  });

  it('works on a view into a larger buffer', () => {
    const fd = openGeneric();
    const large = Buffer.alloc(9000, 0xee);
    large.set(getController, 100);
    expect(addon.send(fd, large.subarray(100), getController.length)).toBe(getController.length);
    const length = addon.receive(fd, large.subarray(500));
    expect(large.readUInt32LE(500)).toBe(length);
    expect(large[499]).toBe(0xee);
  });
});

describe('a datagram socket', () => {
  it('opens without privileges', () => {
    const fd = addon.openDatagram('');
    opened.push(fd);
    const bytes = new Uint8Array(4);
    expect(addon.getOption(fd, SOL_SOCKET, SO_PROTOCOL, bytes)).toBe(4);
    expect(new Int32Array(bytes.buffer)[0]).toBe(17); // IPPROTO_UDP
  });
});

describe('a packet socket', () => {
  it('is for who has CAP_NET_RAW', () => {
    const fd = addon.openPacket('');
    if (fd < 0) {
      expect(fd).toBe(-1); // EPERM
      return;
    }
    opened.push(fd);
    expect(addon.receive(fd, new Uint8Array(64))).toBe(-EAGAIN);
    expect(addon.sendPacket(fd, 2 ** 31 - 1, new Uint8Array(14))).toBe(-6); // ENXIO: no such interface
  });
});

describe('the two builds', () => {
  const read = (file: string) => readFileSync(join(root, file), 'utf8');

  it('share one list of sources, which exist and are all there are', () => {
    const sources = read('native/sources.txt').trim().split('\n');
    const existing = readdirSync(join(root, 'native')).filter((file) => file.endsWith('.cc'));
    expect(sources).toEqual(existing.map((file) => `native/${file}`).sort());
    for (const file of ['binding.gyp', 'CMakeLists.txt']) {
      expect(read(file)).toContain('native/sources.txt');
      expect(read(file)).not.toMatch(/\.cc\b/);
    }
  });

  it('leave the version of Node-API to the header', () => {
    for (const file of ['binding.gyp', 'CMakeLists.txt']) expect(read(file)).not.toMatch(/NAPI_VERSION|NAPI_DISABLE/);
    const { binary } = createRequire(import.meta.url)(join(root, 'package.json'));
    const version = /#define NAPI_VERSION (\d+)/.exec(read('native/addon.h'))?.[1];
    expect(binary.napi_versions).toEqual([Number(version)]);
  });
});
