import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { formatProblem, type IpvsError } from '../../../src/base/errors.ts';
import type { Family } from '../../../src/net/address.ts';
import type { LookupOptions } from '../../../src/state/host-lookup.ts';
import { parseHostAddress } from '../../../src/state/host-name.ts';
import { loadState } from '../../../src/state/load.ts';

const notFound = () => Promise.reject(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }));
const never = () => new Promise<never>(() => undefined);

/** A resolver that knows these, of both families. */
function resolver(names: Readonly<Record<string, readonly string[]>>) {
  return vi.fn((name: string, _: Family) => (names[name] ? Promise.resolve(names[name]) : notFound()));
}

async function load(text: string, options: LookupOptions = {}) {
  const { state, hosts, warnings } = await loadState({ text, file: 'f.yaml' }, options);
  return {
    destinations: state.services.map(({ destinations }) => destinations.map(({ address, host }) => [address, host])),
    hosts: Object.fromEntries(hosts),
    warnings: warnings.map(formatProblem),
  };
}

async function problemsOf(text: string, options: LookupOptions = {}): Promise<string[]> {
  const error: IpvsError = await loadState({ text, file: 'f.yaml' }, options).then(
    () => expect.fail('it is valid'),
    (error) => error,
  );
  expect(error.code).toBe('CONFIG_INVALID');
  return error.problems.map(formatProblem);
}

const web = (...destinations: string[]) =>
  `services: [{ address: "tcp://192.0.2.1:80", destinations: [${destinations.join(', ')}] }]`;

describe('what is a host name', () => {
  test.each([
    ['web1', 'web1', undefined],
    ['Web1.Example.NET', 'web1.example.net', undefined],
    ['web1.example.net:8080', 'web1.example.net', '8080'],
    ['web1.example.net.', 'web1.example.net.', undefined],
    ['web_1', 'web_1', undefined],
    ['1web', '1web', undefined],
    ['10.example.net:0', '10.example.net', '0'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example', undefined],
    [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`, undefined],
  ])('%s', (text, name, port) => {
    expect(parseHostAddress(text)).toEqual({ name, port });
  });

  test.each([
    '',
    '10.0.0.1',
    '10.0.0.256',
    '10.0.0',
    '0x7f000001',
    'web.0x1',
    'web.1',
    'fd00::1',
    '[fd00::1]:80',
    'web1:',
    'web1:http',
    'web1:80:80',
    'http://web1',
    '-web',
    'web-',
    'web..net',
    '.net',
    'web 1',
    'web1/24',
    'bücher.example',
    'web1\n',
    `${'a'.repeat(64)}.b`,
    `${'abcdefg.'.repeat(32)}net`,
  ])('%j is none', (text) => {
    expect(parseHostAddress(text)).toBeUndefined();
  });
});

describe('a destination by name', () => {
  test('is each of its addresses that the service can have: sorted, once, with its name', async () => {
    const lookup = resolver({
      'web1.example.net': ['10.0.0.9', 'fd00::1', '10.0.0.10', '9.0.0.1', '10.0.0.9', '224.0.0.1', 'fe80::1%eth0'],
    });
    const text = web('{ address: Web1.example.net }', '{ address: "10.0.0.1:81" }');
    expect(await load(text, { lookup })).toEqual({
      destinations: [
        [
          ['9.0.0.1:80', 'web1.example.net'],
          ['10.0.0.9:80', 'web1.example.net'],
          ['10.0.0.10:80', 'web1.example.net'],
          ['10.0.0.1:81', undefined],
        ],
      ],
      hosts: { 'web1.example.net': ['9.0.0.1', '10.0.0.9', '10.0.0.10'] },
      warnings: [],
    });
    expect(lookup.mock.calls).toEqual([['web1.example.net', 'inet']]);
  });

  test('serves the services of each family, and by tunnel all of them; with its port, or the port of the service', async () => {
    const lookup = resolver({ dual: ['fd00::1', '10.0.0.1'] });
    const text = `
services:
  - address: [tcp://192.0.2.1:80, "tcp://[2001:db8::1]:443"]
    destinations: [{ address: dual }, { address: "dual:8080" }]
  - { address: fwmark:1, forward: tunnel, destinations: [{ address: dual }] }
`;
    expect((await load(text, { lookup })).destinations).toEqual([
      [
        ['10.0.0.1:80', 'dual'],
        ['10.0.0.1:8080', 'dual'],
      ],
      [
        ['[fd00::1]:443', 'dual'],
        ['[fd00::1]:8080', 'dual'],
      ],
      [
        ['10.0.0.1:0', 'dual'],
        ['[fd00::1]:0', 'dual'],
      ],
    ]);
  });

  test('has the settings that are said of it', async () => {
    const lookup = resolver({ a: ['10.0.0.1', '10.0.0.2'] });
    const { state } = await loadState({ text: web('{ address: a, weight: 5 }'), file: 'f' }, { lookup });
    expect(state.services[0]?.destinations.map(({ weight }) => weight)).toEqual([5, 5]);
  });

  test('is asked for once, however often it stands there', async () => {
    const lookup = resolver({ a: ['10.0.0.1'] });
    await load(
      `services: [{ address: "tcp://192.0.2.1:1-100", destinations: [{ address: a }, { address: "a:1000" }] }]`,
      {
        lookup,
      },
    );
    expect(lookup).toHaveBeenCalledTimes(1); // for IPv4
  });

  test('needs a resolver: text alone is not enough', async () => {
    const { parseState } = await import('../../../src/state/document.ts');
    expect(() => parseState(web('{ address: web1 }'))).toThrow(
      /1:\d+: .*address: web1: only loadState\(\) resolves host/,
    );
  });

  test.each([
    ['{ address: §v6.example }', 'v6.example: it has no IPv4 address that a destination could have'],
    ['{ address: §nowhere.example }', 'nowhere.example: there is no such host with an IPv4 address'],
    ['{ address: §mute.example }', 'mute.example: it has no IPv4 address that a destination could have'],
    ['{ address: §odd.example }', 'odd.example: it has no IPv4 address that a destination could have'],
    [
      '{ address: 10.0.0.1 }, { address: §one.example }',
      '10.0.0.1:80 (one.example) is described twice in this service',
    ],
    [
      '{ address: one.example }, { address: §two.example }',
      '10.0.0.1:80 (two.example) is described twice in this serv',
    ],
    ['{ address: §"one.example:65536" }', 'invalid port: "65536"'],
    ['{ address: §"one.example:8080", forward: direct }', "invalid port: 8080 is not the service's 80"],
    ['{ address: nowhere.example, weight: -1 }', 'nowhere.example: there is no such host with an IPv4 address'],
  ])('%s is refused', async (marked, problem) => {
    const lookup = resolver({
      'v6.example': ['fd00::1'],
      'mute.example': [],
      'odd.example': ['127.0.0.1/8', 'fe80::1', '::ffff:10.0.0.1', ''],
      'one.example': ['10.0.0.1'],
      'two.example': ['10.0.0.1'],
    });
    const problems = await problemsOf(web(marked.replace('§', '')), { lookup });
    expect(problems[0]).toContain(`: ${problem}`);
    if (marked.includes('§')) {
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^f\\.yaml:1:${web(marked).indexOf('§') + 1}: `));
    } else {
      // What else is said of it is looked at all the same.
      expect(problems[1]).toContain('.weight: invalid weight: -1');
    }
  });
});

describe('a resolver that fails', () => {
  const known = new Map([['web1', ['10.0.0.2', '10.0.0.1', 'x']]]);
  const text = web('{ address: web1 }');
  const kept = {
    destinations: [
      [
        ['10.0.0.1:80', 'web1'],
        ['10.0.0.2:80', 'web1'],
      ],
    ],
    hosts: { web1: ['10.0.0.1', '10.0.0.2'] },
  };
  const place = 'f.yaml:1:71: services[0].destinations[0].address';

  test.each([
    ['knows no such host', notFound, 'there is no such host with an IPv4 address'],
    [
      'cannot be reached',
      () => Promise.reject(Object.assign(new Error(''), { code: 'EAI_AGAIN' })),
      'the resolver does not answer',
    ],
    ['says nothing', never, 'no answer within 0.01s'],
    ['has nothing to say', () => Promise.resolve([]), 'it has no IPv4 address that a destination could have'],
    [
      'throws',
      () => {
        throw new Error('broken');
      },
      'broken',
    ],
    ['rejects with no error', () => Promise.reject('odd'), 'odd'],
    ['answers nonsense', () => Promise.resolve(null as unknown as string[]), expect.anything()],
  ])('because it %s removes nobody, and is told of', async (_, lookup, why) => {
    const { warnings, ...loaded } = await load(text, { lookup, known, timeoutMs: 10 });
    expect(loaded).toEqual(kept);
    expect(warnings).toHaveLength(1);
    if (typeof why === 'string')
      expect(warnings[0]).toBe(`${place}: web1: ${why}; it keeps the addresses of last time`);
    expect(await problemsOf(text, { lookup, timeoutMs: 10 })).toEqual([
      typeof why === 'string' ? `${place}: web1: ${why}` : expect.stringContaining(`${place}: web1: `),
    ]);
  });

  test('leaves what was resolved in time as it is', async () => {
    const lookup = (name: string) => (name === 'fast' ? Promise.resolve(['10.0.0.9']) : never());
    const both = web('{ address: fast }', '{ address: web1 }');
    const { hosts, warnings } = await load(both, { lookup, known, timeoutMs: 10 });
    expect(hosts).toEqual({ fast: ['10.0.0.9'], web1: ['10.0.0.1', '10.0.0.2'] });
    expect(warnings).toHaveLength(1);
  });

  test('is not asked for what was known and is not named any more', async () => {
    const lookup = resolver({});
    expect((await load(web('{ address: 10.0.0.1 }'), { lookup, known })).hosts).toEqual({});
    expect(lookup).not.toHaveBeenCalled();
  });
});

describe('a resolver that fails for one address family', () => {
  const known = new Map([['dual', ['10.0.0.1', 'fd00::1']]]);
  const text = `
services:
  - address: [tcp://192.0.2.1:80, "tcp://[2001:db8::1]:80"]
    destinations: [{ address: dual }, { address: 10.0.0.9 }, { address: "fd00::9" }]
`;
  const answers = (inet: () => Promise<string[]>) => (_: string, family: Family) =>
    family === 'inet' ? inet() : Promise.resolve(['fd00::2']);
  const again = () => Promise.reject(Object.assign(new Error(''), { code: 'EAI_AGAIN' }));

  test('removes nobody of that family, and is told of', async () => {
    expect(await load(text, { lookup: answers(again), known })).toEqual({
      destinations: [
        [
          ['10.0.0.1:80', 'dual'],
          ['10.0.0.9:80', undefined],
        ],
        [
          ['[fd00::2]:80', 'dual'],
          ['[fd00::9]:80', undefined],
        ],
      ],
      hosts: { dual: ['10.0.0.1', 'fd00::2'] },
      warnings: [expect.stringMatching(/dual: the resolver does not answer; it keeps the addresses of last time$/)],
    });
  });

  test('is an error where nothing of that family is known', async () => {
    expect(await problemsOf(text, { lookup: answers(again) })).toEqual([
      'f.yaml:4:31: services[0].destinations[0].address: dual: the resolver does not answer',
    ]);
  });

  test('is not the same as one that says there is none', async () => {
    const { destinations, hosts, warnings } = await load(text, { lookup: answers(notFound), known });
    expect({ hosts, warnings }).toEqual({ hosts: { dual: ['fd00::2'] }, warnings: [] });
    expect(destinations[0]).toEqual([['10.0.0.9:80', undefined]]);
  });

  test('is not the same as one whose answer does not suit the service', async () => {
    const two =
      'services: [{ address: "fwmark:1/inet6", destinations: [{ address: a }] }, { address: fwmark:1, destinations: [{ address: a }] }]';
    expect(await problemsOf(two, { lookup: answers(notFound) })).toEqual([
      'f.yaml:1:122: services[1].destinations[0].address: a has no IPv4 address',
    ]);
  });

  test('is not asked where nobody needs the other', async () => {
    const lookup = resolver({ dual: ['10.0.0.1'] });
    await load(web('{ address: dual }'), { lookup });
    await load(web('{ address: dual, forward: tunnel }'), { lookup });
    expect(lookup.mock.calls.map(([, family]) => family)).toEqual(['inet', 'inet', 'inet6']);
  });
});

describe('a signal', () => {
  test('ends the waiting, with its reason', async () => {
    const reason = new Error('stopped');
    const controller = new AbortController();
    const loading = load(web('{ address: web1 }'), { lookup: never, signal: controller.signal });
    controller.abort(reason);
    await expect(loading).rejects.toBe(reason);
    await expect(load('', { signal: controller.signal })).rejects.toBe(reason);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipvs-state-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function write(files: Readonly<Record<string, string>>): string {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return join(folder, Object.keys(files)[0] as string);
  }

  test('are one state, by their digests', async () => {
    const files = {
      'main.yaml': 'include: [conf.d/*.yaml, c.json]\nservices: [{ address: fwmark:1 }]',
      'conf.d/b.yaml': 'services: [{ address: fwmark:2, destinations: [{ address: b }] }]',
      'conf.d/a.yaml': 'services: [{ address: fwmark:3, destinations: [{ address: a }] }]',
      'c.json': '{"services": [{"address": "fwmark:4"}]}',
    };
    const lookup = resolver({ a: ['10.0.0.1'], b: ['10.0.0.2'] });
    const loaded = await loadState(write(files), { lookup });
    expect(loaded.state.services.map(({ service }) => service.address)).toEqual(
      [1, 3, 2, 4].map((mark) => `fwmark:${mark}`),
    );
    expect([...loaded.hosts.keys()]).toEqual(['a', 'b']);
    expect(loaded.files).toEqual(
      (['main.yaml', 'conf.d/a.yaml', 'conf.d/b.yaml', 'c.json'] as const).map((name) => ({
        path: join(folder, name),
        sha256: createHash('sha256').update(files[name]).digest('hex'),
      })),
    );
  });

  test('have their problems told in their order, each in its own', async () => {
    const main = write({
      'main.yaml': 'include: [z.yaml, a.yaml, missing.yaml]\nservices: [{ address: fwmark:1, wieght: 1 }]',
      'z.yaml': 'services:\n  - address: fwmark:0\n  - [',
      'a.yaml': 'services: [{ address: fwmark:1, destinations: [{ address: nowhere }] }]',
    });
    const error: IpvsError = await loadState(main, { lookup: notFound }).catch((error) => error);
    expect(error.subject).toBe(main);
    expect(error.problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''))).toEqual([
      expect.stringMatching(/^main\.yaml:1:27: include\[2\]: missing\.yaml: cannot read/),
      expect.stringMatching(/^main\.yaml:2:33: services\[0\]\.wieght: there is no such key/),
      expect.stringMatching(/^z\.yaml:3:6: /),
      'a.yaml:1:23: services[0].address: fwmark:1 is described twice, first at main.yaml:2:23',
      'a.yaml:1:59: services[0].destinations[0].address: nowhere: there is no such host with an IPv4 address',
    ]);
  });

  test('that are not there', async () => {
    await expect(loadState(join(folder, 'main.yaml'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test('resolve what this machine knows by itself', async () => {
    const { state } = await loadState(write({ 'main.yaml': web('{ address: localhost }') }));
    expect(state.services[0]?.destinations).toMatchObject([{ address: '127.0.0.1:80', host: 'localhost' }]);
  });
});
