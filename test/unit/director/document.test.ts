/** What may stand in a file beyond services and destinations as such, which state.test.ts has. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatProblem, type IpvsError } from '../../../src/base/errors.ts';
import { checkDocument } from '../../../src/config/document.ts';
import { parseState, resolveState, sections } from '../../../src/state/document.ts';
import { Findings } from '../../../src/state/places.ts';
import { problemsOf } from '../../helpers/problems.ts';

/** § stands where the problem is, and is told of. */
function expectProblem(marked: string, problem: string): void {
  const before = marked.slice(0, marked.indexOf('§')).split('\n');
  const place = `f.yaml:${before.length}:${(before.at(-1) ?? '').length + 1}`;
  expect(problemsOf(marked.replace('§', ''))).toEqual([expect.stringContaining(`${place}: ${problem}`)]);
}

/** Several files together, by their names. */
function together(files: Readonly<Record<string, string>>) {
  const documents = Object.entries(files).map(([file, text]) => checkDocument(text, file, sections));
  const findings = new Findings();
  const state = resolveState(documents, new Map(), findings);
  return {
    state,
    problems: [...documents.flatMap(({ problems }) => problems), ...findings.problems].map(formatProblem),
  };
}

const web = (more: string) => `services:\n  - { address: "tcp://192.0.2.1:80", ${more} }`;

describe('a range of ports', () => {
  test('is a service for each, and each is the port of its destinations', () => {
    const { services } = parseState(`
services:
  - address: ["tcp://192.0.2.1:8000-8002", "udp://[2001:db8::1]:53-53"]
    name: range
    destinations: [{ address: 10.0.0.1 }, { address: "fd00::1" }]
`);
    expect(
      services.map(({ service, destinations, name }) => [service.address, destinations[0]?.address, name]),
    ).toEqual([
      ['tcp://192.0.2.1:8000', '10.0.0.1:8000', 'range'],
      ['tcp://192.0.2.1:8001', '10.0.0.1:8001', 'range'],
      ['tcp://192.0.2.1:8002', '10.0.0.1:8002', 'range'],
      ['udp://[2001:db8::1]:53', '[fd00::1]:53', 'range'],
    ]);
  });

  test('holds 1024 ports', () => {
    expect(parseState('services: [{ address: "tcp://192.0.2.1:1-1024" }]').services).toHaveLength(1024);
  });

  test.each([
    ['1-1025', 'a range holds 1024 ports at most'],
    ['80-79', 'the smaller number stands first: 79-80'],
    ['0-80', 'both ends are numbers from 1 to 65535'],
    ['80-65536', 'both ends are numbers from 1 to 65535'],
    ['080-90', 'both ends are numbers from 1 to 65535'],
    ['80-', 'invalid port: "80-"'],
    ['80-90-100', 'invalid port: "80-90-100"'],
    ['-80', 'invalid port: "-80"'],
  ])('%s is none', (range, why) => {
    expectProblem(`services: [{ address: §"tcp://192.0.2.1:${range}" }]`, 'services[0].address: invalid port: ');
    expect(problemsOf(`services: [{ address: "tcp://192.0.2.1:${range}" }]`)[0]).toContain(why);
  });

  test.each(['fwmark:1-5', 'tcp://192.0.2.1-2:80'])('%s is none either', (address) => {
    expect(problemsOf(`services: [{ address: "${address}" }]`)).toEqual([expect.stringMatching(/malformed|invalid/)]);
  });

  test('that meets another one is told of once', () => {
    expect(
      problemsOf(
        'services:\n  - address: tcp://192.0.2.1:80-90\n  - address: [tcp://192.0.2.2:1, tcp://192.0.2.1:85-95]',
      ),
    ).toEqual(['f.yaml:3:34: services[1].address[1]: tcp://192.0.2.1:85 is described twice, first at f.yaml:2:14']);
  });

  test('what is wrong with all of them is told once', () => {
    expectProblem(
      'services: [{ address: "tcp://192.0.2.1:80-90", scheduler: §"r r" }]',
      'services[0].scheduler: invalid scheduler',
    );
    expectProblem(
      'services: [{ address: "tcp://192.0.2.1:80-90", destinations: [{ address: 10.0.0.1, weight: §-1 }] }]',
      'services[0].destinations[0].weight: invalid weight',
    );
  });

  test('all of them are 200,000 services at most', () => {
    const addresses = Array.from({ length: 196 }, (_, i) => `"tcp://192.0.2.${i}:1-1024"`);
    expect(problemsOf(`services: [{ address: [${addresses}] }]`)).toEqual([
      expect.stringMatching(/services\[0\]\.address\[195\]: there are more than 200000 services$/),
    ]);
  }, 60_000);
});

describe('names and descriptions', () => {
  test('a name goes with every service of its entry; a description stays in the file', () => {
    const { services } = parseState(
      'services: [{ name: a.B_9-, description: "any text: §", address: [fwmark:1, fwmark:2], destinations: [{ address: 10.0.0.1, description: x }] }]',
    );
    expect(services.map(({ name }) => name)).toEqual(['a.B_9-', 'a.B_9-']);
    expect(services[0]).not.toHaveProperty('description');
    expect(services[0]?.destinations[0]).not.toHaveProperty('description');
  });

  test.each(['""', '"a b"', 'a/b', 'ä', '"a\\n"', `a${'b'.repeat(63)}`])('%s is no name', (name) => {
    expectProblem(web(`name: §${name}`), 'services[0].name: a name is 1 to 63 letters, digits, dots');
  });

  test('a name is given once', () => {
    expectProblem(
      'services:\n  - { name: a, address: fwmark:1 }\n  - { name: b, address: fwmark:2 }\n  - { name: §a, address: fwmark:3 }',
      'services[2].name: the name a is given twice, first at f.yaml:2:13',
    );
  });
});

describe('options of a service', () => {
  test('go with it, those of the defaults where it has none', () => {
    const [first, second, third] = parseState(`
defaults: { drain: { timeout: 60s }, ramp: { duration: 5m } }
services:
  - { address: fwmark:1 }
  - address: tcp://192.0.2.1:80
    exclusive: true
    interface: eth0.1
    drain: { timeout: 1h, then: keep }
    ramp: { duration: 30, floor: 0.5%, curve: exponential }
  - { address: fwmark:2, drain: null, ramp: null, exclusive: false }
`).services;
    expect(first).toMatchObject({
      drain: { timeoutSeconds: 60, afterwards: 'delete' },
      ramp: { durationSeconds: 300, floor: 0.1, curve: 'linear' },
    });
    expect(second).toMatchObject({
      exclusive: true,
      interface: 'eth0.1',
      drain: { timeoutSeconds: 3600, afterwards: 'keep' },
      ramp: { durationSeconds: 30, floor: 0.005, curve: 'exponential' },
    });
    expect(Object.keys(third ?? {}).sort()).toEqual(['destinations', 'exclusive', 'service']);
  });

  test.each([
    ['exclusive: §yes', 'services[0].exclusive: expected boolean'],
    ['interface: §""', 'services[0].interface: invalid option: interface ""'],
    ['interface: §eth0/1', 'services[0].interface: invalid option: interface "eth0/1"'],
    ['interface: §a234567890123456', 'services[0].interface: invalid option'],
    ['drain: §60s', 'services[0].drain: written { timeout: 60s }, or null for none'],
    ['drain: §{}', 'services[0].drain.timeout: it is missing'],
    ['drain: { timeout: §0 }', 'services[0].drain.timeout: a duration from 1s to 2147483s'],
    ['drain: { timeout: §25d }', 'services[0].drain.timeout: a duration from 1s to 2147483s'],
    ['drain: { timeout: 60s, then: §kepe }', 'services[0].drain.then: one of delete, keep; did you mean "keep"?'],
    ['ramp: §{ floor: 10% }', 'services[0].ramp.duration: it is missing'],
    ['ramp: { duration: §5 m }', 'services[0].ramp.duration: "5 m" is not a duration'],
    ['ramp: { duration: 5m, floor: §101% }', 'services[0].ramp.floor: "101%" is not a share from 0% to 100%'],
    ['ramp: { duration: 5m, floor: §0.1 }', 'services[0].ramp.floor: a share is written 20%'],
    ['ramp: { duration: 5m, curve: §square }', 'services[0].ramp.curve: one of linear, exponential'],
    ['persistence: { engine: §spi }', 'services[0].persistence.engine: one of sip; did you mean "sip"?'],
    ['forward: §driect', 'services[0].forward: one of masquerade, direct, tunnel, local, bypass, or { tunnel: gue'],
    ['forward: { tunnel: §geu }', 'services[0].forward.tunnel: one of ipip, gue, gre; did you mean "gue"?'],
  ])('%s is refused', (marked, problem) => {
    expectProblem(web(marked), problem);
  });

  test.each(['fwmark:1', 'tcp://0.0.0.0:80', 'tcp://224.0.0.1:80'])('%s can be on no interface', (address) => {
    expectProblem(
      `services: [{ interface: §eth0, address: ["tcp://192.0.2.1:80", "${address}"] }]`,
      `services[0].interface: ${address} has no address that an interface could have`,
    );
  });

  test('an unknown scheduler may be somebody’s own; one that is nearly known is told of', () => {
    const found = (text: string) => {
      const findings = new Findings();
      resolveState([checkDocument(text, 'f.yaml', sections)], new Map(), findings);
      expect(findings.problems).toEqual([]);
      return findings.warnings.map(formatProblem);
    };
    expect(found(`defaults: { scheduler: maglev }\n${web('scheduler: none')}`)).toEqual([]);
    expect(found(`defaults: { scheduler: wwr }\n${web('scheduler: lbclr')}`)).toEqual([
      'f.yaml:1:24: defaults.scheduler: Linux has no scheduler "wwr"; did you mean "wrr"?',
      'f.yaml:3:49: services[0].scheduler: Linux has no scheduler "lbclr"; did you mean "lblcr"?',
    ]);
  });
});

describe('timeouts', () => {
  test('are those that are said', () => {
    expect(parseState('timeouts: { tcp: 15m, udp: 5m }')).toEqual({
      services: [],
      timeouts: { tcpSeconds: 900, udpSeconds: 300 },
    });
  });

  test.each(['services: []', 'timeouts:', 'timeouts: {}'])('%j says nothing of them', (text) => {
    expect(parseState(text)).toEqual({ services: [] });
  });

  test.each([
    ['timeouts: { tcp: §0 }', 'timeouts.tcp: invalid duration: 0; a whole number from 1 to 2147483'],
    ['timeouts: { tcpFin: §25d }', 'timeouts.tcpFin: invalid duration: 2160000'],
    ['timeouts: { udp: §soon }', 'timeouts.udp: "soon" is not a duration'],
    ['timeouts: { §tpc: 1 }', 'timeouts.tpc: there is no such key; did you mean "tcp"?'],
    ['timeouts: §5m', 'timeouts: expected object, received string'],
  ])('%s is refused', (marked, problem) => {
    expectProblem(marked, problem);
  });
});

describe('sync daemons', () => {
  test('are what the kernel is told of them', () => {
    const text = `
sync:
  - { state: master, interface: eth1, id: 1, maxLength: 1400, group: 224.0.0.99, port: 8848, ttl: 2 }
  - { state: backup, interface: eth1 }
`;
    expect(parseState(text).sync).toEqual([
      { state: 'master', interface: 'eth1', id: 1, maxLengthBytes: 1400, group: '224.0.0.99', port: 8848, ttl: 2 },
      { state: 'backup', interface: 'eth1', id: 0 },
    ]);
  });

  test('none is not the same as nothing said', () => {
    expect(parseState('sync: []')).toEqual({ services: [], sync: [] });
    expect(parseState('sync:')).toEqual({ services: [] });
  });

  test.each([
    ['- { state: §slave, interface: eth1 }', 'sync[0].state: one of master, backup'],
    ['- §{ state: master }', 'sync[0].interface: it is missing'],
    ['- §{ interface: eth1 }', 'sync[0].state: it is missing'],
    ['- { state: master, interface: §"eth 1" }', 'sync[0].interface: invalid sync daemon: interface "eth 1"'],
    ['- { state: master, interface: eth1, maxLength: §0 }', 'sync[0].maxLength: invalid sync daemon: 0'],
    ['- { state: master, interface: eth1, group: §10.0.0.1 }', 'sync[0].group: invalid sync daemon: "10.0.0.1" is not'],
    [
      '- { state: backup, interface: eth1 }\n  - { state: §backup, interface: eth2 }',
      'sync[1].state: a backup is described twice, first at f.yaml:2:14',
    ],
  ])('%s is refused', (marked, problem) => {
    expectProblem(`sync:\n  ${marked}`, problem);
  });
});

describe('limits', () => {
  test.each([
    ['0%', 0],
    ['20%', 0.2],
    ['12.5%', 0.125],
    ['100%', 1],
  ])('%s is %d', (text, share) => {
    expect(parseState(`limits: { maxChange: ${text} }`)).toEqual({ services: [], limits: { maxChange: share } });
  });

  test.each(['§20', '§0.2', '§"20"', '§101%', '§-1%', '§"20 %"', '§1e1%', '§null'])('%s is no share', (share) => {
    expectProblem(`limits: { maxChange: ${share} }`, 'limits.maxChange: ');
  });
});

describe('several files', () => {
  test('are one state; the defaults of each are its own', () => {
    const { state, problems } = together({
      'a.yaml':
        'defaults: { scheduler: sh, ramp: { duration: 1m } }\nservices: [{ address: fwmark:1 }]\nlimits: { maxChange: 10% }',
      'b.yaml': 'services: [{ address: fwmark:2 }]\ntimeouts: { tcp: 1m }\nsync: [{ state: master, interface: a }]',
      'c.yaml': 'timeouts: { udp: 1m }\nsync: [{ state: backup, interface: a }]',
    });
    expect(problems).toEqual([]);
    expect(
      state.services.map(({ service, ramp }) => [service.address, service.scheduler, ramp?.durationSeconds]),
    ).toEqual([
      ['fwmark:1', 'sh', 60],
      ['fwmark:2', 'wlc', undefined],
    ]);
    expect(state).toMatchObject({
      timeouts: { tcpSeconds: 60, udpSeconds: 60 },
      sync: [{ state: 'master' }, { state: 'backup' }],
      limits: { maxChange: 0.1 },
    });
  });

  test('what two of them say is told with both places', () => {
    const files = {
      'a.yaml':
        'services: [{ name: web, address: fwmark:1 }]\ntimeouts: { tcp: 1m }\nsync: [{ state: master, interface: a }]',
      'b.yaml':
        'services: [{ name: web, address: fwmark:1 }]\ntimeouts: { tcp: 1m }\nsync: [{ state: master, interface: a }]',
    };
    expect(together(files).problems).toEqual([
      'b.yaml:1:20: services[0].name: the name web is given twice, first at a.yaml:1:20',
      'b.yaml:1:34: services[0].address: fwmark:1 is described twice, first at a.yaml:1:34',
      'b.yaml:2:18: timeouts.tcp: it is said twice, first at a.yaml:2:18',
      'b.yaml:3:17: sync[0].state: a master is described twice, first at a.yaml:3:17',
    ]);
  });

  test('a file by itself reads no others', () => {
    expect(problemsOf('include: []\n')).toEqual([]);
    expectProblem('include: §[conf.d/*.yaml]', 'include: only loadState() reads other files');
  });
});

describe('everything that is wrong is told at once', () => {
  test('although other things are wrong too', () => {
    const text = `
services:
  - { address: fwmark:1, sheduler: wrr, destinations: [{ address: 10.0.0.1, weight: -1 }] }
  - { address: fwmark:1, forward: tunel }
  - { address: fwmark:0, destinations: [{ address: 10.0.0.256 }, { address: 10.0.0.1, weight: -1 }] }
  - { address: fwmark:1 }
timeouts: { tcp: soon }
sync: [{ state: master, interface: "a b" }]
`;
    expect(problemsOf(text).map((line) => line.split(': ').slice(0, 2).join(' '))).toEqual([
      'f.yaml:3:26 services[0].sheduler',
      'f.yaml:3:85 services[0].destinations[0].weight',
      'f.yaml:4:16 services[1].address',
      'f.yaml:4:35 services[1].forward',
      'f.yaml:5:16 services[2].address',
      'f.yaml:5:52 services[2].destinations[0].address',
      'f.yaml:5:95 services[2].destinations[1].weight',
      'f.yaml:6:16 services[3].address',
      'f.yaml:7:18 timeouts.tcp',
      'f.yaml:8:36 sync[0].interface',
    ]);
  });

  test('in one entry: wrong types and wrong values', () => {
    const text = `
services:
  - name: not a name
    address: tcp://192.0.2.1:99999
    scheduler: WRR
    persistence: { timeout: 0, netmask: 33 }
    onePacket: maybe
    destinations:
      - { address: 10.0.0.256, weight: -1, upperThreshold: -1, lowerThreshold: -1 }
      - { address: 10.0.0.1, weight: heavy }
      - { address: 10.0.0.1, weight: 2, forward: tunel }
sync: [{ state: backup, interface: "a b", id: 256, ttl: 0 }]
masquerade: [{ source: 10.0.0.0/33, out: "a b", ports: 0, toSource: x }]
`;
    expect(problemsOf(text).map((line) => line.split(': ').slice(0, 2).join(' '))).toEqual([
      'f.yaml:3:11 services[0].name',
      'f.yaml:4:14 services[0].address',
      'f.yaml:5:16 services[0].scheduler',
      'f.yaml:6:29 services[0].persistence.timeout',
      'f.yaml:6:41 services[0].persistence.netmask',
      'f.yaml:7:16 services[0].onePacket',
      'f.yaml:9:20 services[0].destinations[0].address',
      'f.yaml:9:40 services[0].destinations[0].weight',
      'f.yaml:9:60 services[0].destinations[0].upperThreshold',
      'f.yaml:10:38 services[0].destinations[1].weight',
      'f.yaml:11:20 services[0].destinations[2].address',
      'f.yaml:11:50 services[0].destinations[2].forward',
      'f.yaml:12:36 sync[0].interface',
      'f.yaml:12:47 sync[0].id',
      'f.yaml:12:57 sync[0].ttl',
      'f.yaml:13:24 masquerade[0].source',
      'f.yaml:13:42 masquerade[0].out',
      'f.yaml:13:56 masquerade[0].ports',
      'f.yaml:13:69 masquerade[0].toSource',
    ]);
  });

  test.each([
    [
      'another family for want of a tunnel',
      'address: tcp://192.0.2.1:80, forward: §tunel, destinations: [{ address: "[2001:db8::1]:80" }]',
    ],
    ['port 0 for want of persistence', 'address: "tcp://192.0.2.1:0", persistence: §yes'],
    ['flags for want of a scheduler', 'address: fwmark:1, scheduler: §5, schedulerFlags: [sh-port]'],
    [
      'a lower threshold for want of an upper one',
      'address: fwmark:1, destinations: [{ address: 10.0.0.1, upperThreshold: §x, lowerThreshold: 5 }]',
    ],
    [
      'no destination of a family for want of one',
      'address: [tcp://192.0.2.1:80, "tcp://[2001:db8::1]:80"], destinations: [{ address: 10.0.0.1 }, { address: §5 }]',
    ],
    [
      'a match that is wider',
      'address: fwmark:1, match: [{ address: §5, in: eth0 }] }, { address: fwmark:2, match: [{ address: 192.0.2.1, in: eth0 }]',
    ],
  ])('but not %s', (_, entry) => expectProblem(`services: [{ ${entry} }]`, 'services[0]'));

  test('a range of ports once', () => {
    expectProblem('services: [{ address: tcp://192.0.2.1:80-89, scheduler: §RR }]', 'services[0].scheduler');
    expectProblem('services: [{ address: [fwmark:1, fwmark:2], scheduler: §RR }]', 'services[0].scheduler');
  });

  test('but nothing that follows from it', () => {
    expectProblem(
      'services: [{ address: ["tcp://192.0.2.1:80", §"tcp://[2001:db8::1]"], destinations: [{ address: 10.0.0.1 }] }]',
      'services[0].address[1]: invalid port',
    );
  });

  test('nor anything of services whose defaults are wrong', () => {
    expectProblem(
      'defaults: { persistence: §300 }\nservices: [{ address: "tcp://192.0.2.1:0" }]',
      'defaults.persistence',
    );
  });
});

describe('JSON', () => {
  const state = {
    $schema: './ipvs-director.schema.json',
    defaults: { scheduler: 'wrr' },
    services: [{ name: 'web', address: 'tcp://192.0.2.1:80', destinations: [{ address: '10.0.0.1', weight: 3 }] }],
  };

  test('is the same as YAML', () => {
    for (const space of [0, 2, '\t']) {
      const text = JSON.stringify(state, null, space);
      expect(parseState(text)).toEqual(parseState(`# YAML\n${JSON.stringify(state)}`));
    }
  });

  test('has problems where they are', () => {
    expectProblem(
      '{\n\t"services": [\n\t\t{ "adress": §5, "address": "fwmark:1" }\n\t]\n}'.replace('"adress": §5', '§"adress": 5'),
      'services[0].adress: there is no such key; did you mean "address"?',
    );
    expectProblem(
      '{"services": [{"address": "fwmark:1"}, {"address": §"fwmark:1"}]}',
      'services[1].address: fwmark:1 is described twice, first at f.yaml:1:27',
    );
    expectProblem('{"timeouts": {"tcp": 1, §"tcp": 2}}', 'the key is given twice');
    expectProblem('{"services": [], §"__proto__": {}}', '__proto__: there is no such key');
    expectProblem('{"services": [], "sysctls": {"__proto__": §1}}', 'sysctls.__proto__: there is no such setting');
  });

  test('whatever it holds, it is taken or refused as YAML is', () => {
    const value = fc.oneof(
      fc.constantFrom(
        'fwmark:1',
        'tcp://192.0.2.1:80',
        '10.0.0.1',
        'wrr',
        'tunnel',
        '5m',
        1,
        -1,
        null,
        true,
        '',
        'x: y',
        '&a',
      ),
      fc.jsonValue({ maxDepth: 1 }),
    );
    const destination = fc.record({ address: value, weight: value }, { requiredKeys: [] });
    const service = fc.record(
      { address: value, scheduler: value, forward: value, name: value, destinations: fc.array(destination) },
      { requiredKeys: [] },
    );
    const outcome = (text: string) => {
      try {
        return parseState(text);
      } catch (error) {
        return (error as IpvsError).problems.map(({ path, message }) => [
          path,
          message.replace(/state\.yaml:\d+:/, ''),
        ]);
      }
    };
    fc.assert(
      fc.property(fc.record({ services: fc.array(service), timeouts: value }, { requiredKeys: [] }), (content) => {
        const text = JSON.stringify(content);
        expect(outcome(text)).toEqual(outcome(`# YAML\n${text}`));
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});
