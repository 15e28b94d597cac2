import { describe, expect, it } from 'vitest';
import type { Connection } from '../../../src/ipvs/connection.ts';
import { type ConnectionFilter, connectionTest } from '../../../src/ipvs/connection-filter.ts';

const base = { state: 'ESTABLISHED', expiresSeconds: 840, engine: null, engineData: null } as const;
const connections: Readonly<Record<string, Connection>> = {
  v4: {
    ...base,
    kind: 'connection',
    client: '198.51.100.7:4711',
    service: 'tcp://192.0.2.10:80',
    destination: '10.0.0.11:8080',
  },
  v6: {
    ...base,
    kind: 'connection',
    client: '[2001:db8:c::7]:4711',
    service: 'tcp://[2001:db8::10]:80',
    destination: '[fd00::11]:80',
  },
  udp: {
    ...base,
    kind: 'connection',
    client: '198.51.200.7:53',
    service: 'udp://192.0.2.10:53',
    destination: '10.0.0.12:53',
    state: 'UDP',
  },
  pinned: {
    ...base,
    kind: 'template',
    client: '198.51.100.0',
    service: 'tcp://192.0.2.10:80',
    destination: '10.0.0.11:8080',
    state: 'ASSURED',
  },
  pinned6: {
    ...base,
    kind: 'template',
    client: '2001:db8:c::',
    service: 'fwmark:7/inet6',
    destination: '[fd00::11]:0',
    state: 'NONE',
  },
};
const timeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 1000 };

function matching(filter: ConnectionFilter): string[] {
  const test = connectionTest(filter, timeouts);
  return Object.keys(connections).filter((name) => test(connections[name] as Connection));
}

describe('a filter', () => {
  it.each<[ConnectionFilter, string[]]>([
    [{}, ['v4', 'v6', 'udp', 'pinned', 'pinned6']],
    [{ client: '198.51.100.7' }, ['v4']],
    [{ client: '198.51.100.7:4711' }, ['v4']],
    [{ client: '198.51.100.7:4712' }, []],
    [{ client: '198.51.100.0/24' }, ['v4', 'pinned']],
    [{ client: '198.51.0.0/16:53' }, ['udp']],
    [{ client: '0.0.0.0/0' }, ['v4', 'udp', 'pinned']],
    [{ client: '2001:db8:c::/48' }, ['v6', 'pinned6']],
    [{ client: '2001:0DB8:c::7' }, ['v6']],
    [{ client: '[2001:db8:c::7]:4711' }, ['v6']],
    [{ client: '[2001:db8:c::]/48:4711' }, ['v6']],
    [{ service: 'tcp://192.0.2.10:80' }, ['v4', 'pinned']],
    [{ service: 'fwmark:7/inet6' }, ['pinned6']],
    [{ service: 'tcp://192.0.2.10:0' }, ['v4', 'pinned']],
    [{ service: 'tcp://192.0.2.1:0' }, []],
    [{ service: '192.0.2.10' }, ['v4', 'udp', 'pinned']],
    [{ service: '192.0.2.0/28:53' }, ['udp']],
    [{ destination: '10.0.0.11' }, ['v4', 'pinned']],
    [{ destination: 'fd00::11' }, ['v6', 'pinned6']],
    [{ destination: '10.0.0.0/24', kind: 'connection' }, ['v4', 'udp']],
    [{ kind: 'template' }, ['pinned', 'pinned6']],
    [{ state: 'established' }, ['v4', 'v6']],
    [{ state: ['UDP', 'assured'] }, ['udp', 'pinned']],
    [{ idleOverSeconds: 60 }, ['v4', 'v6', 'udp']],
    [{ idleOverSeconds: 61 }, ['udp']],
    [{ idleUnderSeconds: 60 }, ['v4', 'v6']],
    [{ idleOverSeconds: 61, idleUnderSeconds: 159 }, []],
  ])('%j', (filter, names) => expect(matching(filter)).toEqual(names));

  it.each([
    [{ clinet: '10.0.0.1' }, 'INVALID_OPTION'],
    [{ client: '10.0.0.256' }, 'INVALID_ADDRESS'],
    [{ client: '10.0.0.0/33' }, 'INVALID_ADDRESS'],
    [{ client: '10.0.0.1:65536' }, 'INVALID_ADDRESS'],
    [{ client: '2001:db8::/32:80' }, 'INVALID_ADDRESS'],
    [{ client: '' }, 'INVALID_ADDRESS'],
    [{ client: 5 }, 'INVALID_ADDRESS'],
    [{ service: 'http://192.0.2.10:80' }, 'INVALID_PROTOCOL'],
    [{ service: 'fwmark:0' }, 'INVALID_FWMARK'],
    [{ kind: 'pinned' }, 'INVALID_OPTION'],
    [{ state: 'estblished' }, 'INVALID_OPTION'],
    [{ state: [] }, 'INVALID_OPTION'],
    [{ state: 5 }, 'INVALID_OPTION'],
    [{ idleOverSeconds: -1 }, 'INVALID_DURATION'],
    [null, 'INVALID_OPTION'],
  ])('%j is refused', (filter, code) => {
    expect(() => connectionTest(filter as ConnectionFilter)).toThrow(expect.objectContaining({ code }));
  });
});
