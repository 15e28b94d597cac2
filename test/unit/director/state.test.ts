import { describe, expect, test } from 'vitest';
import { parseState } from '../../../src/state/document.ts';
import { problemsOf } from '../../helpers/problems.ts';

const WEB = `
defaults: { scheduler: wrr }
services:
  - address: tcp://192.0.2.10:80
    destinations:
      - { address: 10.0.0.11, weight: 3 }
      - { address: "10.0.0.12:8080", weight: 2 }
`;

describe('a file', () => {
  test('is filled in with defaults and made canonical', () => {
    expect(parseState(WEB).services).toEqual([
      {
        service: {
          address: 'tcp://192.0.2.10:80',
          scheduler: 'wrr',
          schedulerFlags: [],
          persistence: null,
          onePacket: false,
        },
        destinations: [
          { address: '10.0.0.11:80', forward: 'masquerade', weight: 3, upperThreshold: 0, lowerThreshold: 0 },
          { address: '10.0.0.12:8080', forward: 'masquerade', weight: 2, upperThreshold: 0, lowerThreshold: 0 },
        ],
      },
    ]);
  });

  test('the nearest word counts: destination, service, defaults', () => {
    const [first, second] = parseState(`
defaults: { forward: direct, weight: 7, persistence: { timeout: 1m } }
services:
  - address: tcp://192.0.2.1:80
    forward: { tunnel: gue, port: 6080 }
    destinations: [{ address: 10.0.0.1 }, { address: 10.0.0.2, forward: masquerade, weight: 1 }]
  - address: tcp://192.0.2.2:80
    persistence: null
    destinations: [{ address: 10.0.0.1 }]
`).services;
    expect(first?.service.persistence?.timeoutSeconds).toBe(60);
    expect(first?.destinations.map(({ forward, weight }) => [forward, weight])).toEqual([
      [{ tunnel: 'gue', port: 6080, checksum: 'nocsum' }, 7],
      ['masquerade', 1],
    ]);
    expect(second?.service.persistence).toBeNull();
    expect(second?.destinations[0]?.forward).toBe('direct');
  });

  test("flags of the defaults belong to the defaults' scheduler", () => {
    const [first, second] = parseState(`
defaults: { scheduler: sh, schedulerFlags: [sh-port] }
services: [{ address: "tcp://192.0.2.1:80" }, { address: "tcp://192.0.2.2:80", scheduler: rr }]
`).services;
    expect(first?.service.schedulerFlags).toEqual(['sh-port']);
    expect(second?.service.schedulerFlags).toEqual([]);
  });

  test('several addresses expand; destinations take the port of each', () => {
    const services = parseState(`
services:
  - address: [tcp://192.0.2.1:80, tcp://192.0.2.1:443]
    destinations: [{ address: 10.0.0.1 }]
`).services;
    expect(services.map(({ service, destinations }) => [service.address, destinations[0]?.address])).toEqual([
      ['tcp://192.0.2.1:80', '10.0.0.1:80'],
      ['tcp://192.0.2.1:443', '10.0.0.1:443'],
    ]);
  });

  test('in a service of both families every destination serves its own, and a tunnel serves both', () => {
    const services = parseState(`
services:
  - address: [tcp://192.0.2.1:80, "tcp://[2001:db8::1]:80"]
    destinations:
      - { address: 10.0.0.1 }
      - { address: fd00::1 }
      - { address: 10.0.0.2, forward: tunnel }
`).services;
    expect(services.map(({ destinations }) => destinations.map(({ address }) => address))).toEqual([
      ['10.0.0.1:80', '10.0.0.2:80'],
      ['[fd00::1]:80', '10.0.0.2:80'],
    ]);
  });

  // § stands where the problem is.
  test.each([
    ['an address that is none', '- address: §tcp://192.0.2.256:80', 'services[0].address: malformed address'],
    ['octal', '- address: §tcp://192.0.2.010:80', 'services[0].address: malformed address'],
    ['no port', '- address: §tcp://192.0.2.1', 'services[0].address: invalid port'],
    ['a port out of range', '- address: §tcp://192.0.2.1:65536', 'services[0].address: invalid port'],
    [
      'port 0 without persistence',
      '- address: §tcp://192.0.2.1:0',
      'services[0].address: port 0 (every port) needs persistence',
    ],
    ['mark 0', '- address: §fwmark:0', 'services[0].address: invalid firewall mark'],
    [
      'an IPv6 netmask out of range',
      '- { address: "tcp://[2001:db8::1]:80", persistence: { netmask: §129 } }',
      'services[0].persistence.netmask: invalid netmask',
    ],
    [
      'a timeout that would overflow',
      '- { address: "tcp://192.0.2.1:80", persistence: { timeout: §4294968s } }',
      'services[0].persistence.timeout: invalid duration',
    ],
    [
      'a timeout that is none',
      '- { address: "tcp://192.0.2.1:80", persistence: { timeout: §soon } }',
      'services[0].persistence.timeout: "soon" is not a duration',
    ],
    [
      'an unknown flag',
      '- { address: "tcp://192.0.2.1:80", scheduler: mh, schedulerFlags: §[sh-port] }',
      'services[0].schedulerFlags: invalid scheduler',
    ],
    [
      'a weight out of range',
      '- { address: "tcp://192.0.2.1:80", destinations: [{ address: 10.0.0.1, weight: §-1 }] }',
      'services[0].destinations[0].weight: invalid weight',
    ],
    [
      'thresholds that cross',
      '- { address: "tcp://192.0.2.1:80", destinations: [{ address: 10.0.0.1, upperThreshold: 1, lowerThreshold: §2 }] }',
      'services[0].destinations[0].lowerThreshold: invalid connection thresholds',
    ],
    [
      'mixed families without tunnel',
      '- { address: "tcp://192.0.2.1:80", destinations: [{ address: §fd00::1 }] }',
      'services[0].destinations[0].address: service and destination are of different address families',
    ],
    [
      'an address without a destination of its family',
      '- { address: ["tcp://192.0.2.1:80", §"tcp://[2001:db8::1]:80"], destinations: [{ address: 10.0.0.1 }] }',
      'services[0].address[1]: tcp://[2001:db8::1]:80 has no destination of its address family',
    ],
    [
      'a destination twice',
      '- { address: "tcp://192.0.2.1:80", destinations: [{ address: 10.0.0.1 }, { address: §"10.0.0.1:80" }] }',
      'services[0].destinations[1].address: 10.0.0.1:80 is described twice in this service',
    ],
    ['an unknown key', '- { address: "tcp://192.0.2.1:80", §weigth: 1 }', 'services[0].weigth: there is no such key'],
    ['no address', '- §{ scheduler: rr }', 'services[0].address: it is missing'],
    [
      'one netmask for two families',
      '- { address: ["tcp://192.0.2.1:80", "tcp://[2001:db8::1]:80"], persistence: { netmask: §24 } }',
      'services[0].persistence.netmask: two address families need a netmask each',
    ],
    [
      'a destination that is no host',
      '- { address: "tcp://192.0.2.1:80", destinations: [{ address: §224.0.0.1 }] }',
      'services[0].destinations[0].address: no address of a host: "224.0.0.1"; a destination is one host',
    ],
    [
      'persistence that is no map',
      '- { address: "tcp://192.0.2.1:80", persistence: §300s }',
      'services[0].persistence: written { timeout: 300s }',
    ],
    ['a tag that YAML does not know', '- { address: §!foo "tcp://192.0.2.1:80" }', 'Unresolved tag: !foo'],
    [
      'a service that is described before',
      '- { name: a, address: "tcp://[2001:db8::1]:80" }\n  - address: [§"tcp://[2001:DB8:0::1]:80"]',
      'services[1].address[0]: tcp://[2001:db8::1]:80 is described twice, first at f.yaml:2:25',
    ],
  ])('refuses %s', (_, marked, problem) => {
    const text = `services:\n  ${marked}`;
    const before = text.slice(0, text.indexOf('§')).split('\n');
    const position = `f.yaml:${before.length}:${(before.at(-1) ?? '').length + 1}`;
    expect(problemsOf(text.replace('§', ''))).toEqual([expect.stringContaining(`${position}: ${problem}`)]);
  });

  test('a netmask for each family goes to its own', () => {
    const { services } = parseState(
      `services:
  - address: ["tcp://192.0.2.1:80", "tcp://[2001:db8::1]:80", "tcp://192.0.2.2:80"]
    persistence: { netmask: { inet: 24, inet6: 64 } }
  - { address: "tcp://192.0.2.3:80", persistence: { netmask: { inet6: 64 } } }
`,
    );
    expect(services.map(({ service }) => service.persistence?.netmask)).toEqual([24, 64, 24, 32]);
  });

  test('an empty list is one that is left out', () => {
    expect(
      parseState('defaults:\nservices:\n  - address: "tcp://192.0.2.1:80"\n    destinations:\n').services,
    ).toHaveLength(1);
    expect(parseState('services:\n').services).toEqual([]);
  });

  test('what is no text is refused as such', () => {
    for (const text of [5, null, Buffer.from('services: []')])
      expect(() => parseState(text as unknown as string)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});
