/** The tables of structs against what C compilers make of linux/ip_vs.h. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import * as options from '../../../src/sockopt/options.ts';
import type { Struct } from '../../../src/sockopt/struct.ts';

/** Our names of a struct's fields, and the header's. */
function fields<Values>(header: string, type: Struct<Values>, names: Readonly<Record<keyof Values, string>>) {
  return { header, type: type as Struct<object>, names: names as Readonly<Record<string, string>> };
}

const service = {
  protocol: 'protocol',
  address: 'addr',
  port: 'port',
  fwmark: 'fwmark',
  scheduler: 'sched_name',
  flags: 'flags',
  timeoutSeconds: 'timeout',
  netmask: 'netmask',
};
const destination = {
  address: 'addr',
  port: 'port',
  connectionFlags: 'conn_flags',
  weight: 'weight',
  upperThreshold: 'u_threshold',
  lowerThreshold: 'l_threshold',
};

const structs = [
  fields('ip_vs_service_user', options.serviceStruct, service),
  fields('ip_vs_dest_user', options.destinationStruct, destination),
  fields('ip_vs_service_entry', options.serviceEntryStruct, {
    ...service,
    destinations: 'num_dests',
    statistics: 'stats',
  }),
  fields('ip_vs_dest_entry', options.destinationEntryStruct, {
    ...destination,
    activeConnections: 'activeconns',
    inactiveConnections: 'inactconns',
    persistentConnections: 'persistconns',
    statistics: 'stats',
  }),
  fields('ip_vs_stats_user', options.statisticsStruct, {
    connections: 'conns',
    packetsIn: 'inpkts',
    packetsOut: 'outpkts',
    bytesIn: 'inbytes',
    bytesOut: 'outbytes',
    connectionRate: 'cps',
    packetInRate: 'inpps',
    packetOutRate: 'outpps',
    byteInRate: 'inbps',
    byteOutRate: 'outbps',
  }),
  fields('ip_vs_getinfo', options.infoStruct, {
    version: 'version',
    connectionTableSize: 'size',
    services: 'num_services',
  }),
  fields('ip_vs_timeout_user', options.timeoutsStruct, {
    tcpSeconds: 'tcp_timeout',
    tcpFinSeconds: 'tcp_fin_timeout',
    udpSeconds: 'udp_timeout',
  }),
  fields('ip_vs_daemon_user', options.daemonStruct, { state: 'state', interface: 'mcast_ifn', id: 'syncid' }),
];

/** A program that does not compile unless the header agrees with us. */
function program(): string {
  const { serviceAndDestinationStruct, daemonsStruct, destinationsHeaderStruct, setOption, getOption } = options;
  const assertions = structs.flatMap(({ header, type, names }) => [
    `sizeof(struct ${header}) == ${type.sizeBytes}`,
    `_Alignof(struct ${header}) == ${type.alignBytes}`,
    ...Object.entries(names).map(
      ([ours, theirs]) => `offsetof(struct ${header}, ${theirs}) == ${(type.offsets as Record<string, number>)[ours]}`,
    ),
  ]);
  const pair = 'struct { struct ip_vs_service_user s; struct ip_vs_dest_user d; }';
  assertions.push(
    // What the kernel calls MAX_SET_ARGLEN, and copies for the *DEST options.
    `sizeof(${pair}) == ${serviceAndDestinationStruct.sizeBytes}`,
    `sizeof(struct ip_vs_service_user) == ${serviceAndDestinationStruct.offsets.destination}`,
    `sizeof(struct ip_vs_daemon_user[2]) == ${daemonsStruct.sizeBytes}`,
    `offsetof(struct ip_vs_get_services, num_services) == 0`,
    `offsetof(struct ip_vs_get_services, entrytable) == ${options.SERVICES_HEADER_BYTES}`,
    `offsetof(struct ip_vs_get_dests, num_dests) == ${destinationsHeaderStruct.offsets.count}`,
    `offsetof(struct ip_vs_get_dests, fwmark) == ${destinationsHeaderStruct.offsets.fwmark}`,
    `offsetof(struct ip_vs_get_dests, addr) == ${destinationsHeaderStruct.offsets.address}`,
    `offsetof(struct ip_vs_get_dests, port) == ${destinationsHeaderStruct.offsets.port}`,
    `offsetof(struct ip_vs_get_dests, entrytable) == ${options.DESTINATIONS_HEADER_BYTES}`,
    ...Object.entries(setOption).map(([name, number]) => `IP_VS_SO_SET_${name} == ${number}`),
    ...Object.entries(getOption).map(([name, number]) => `IP_VS_SO_GET_${name} == ${number}`),
  );
  return [
    '#include <stddef.h>',
    '#include <linux/ip_vs.h>',
    ...assertions.map((text) => `_Static_assert(${text}, ${JSON.stringify(text)});`),
  ].join('\n');
}

function compile(compiler: string, source: string): { found: boolean; status: number | null; stderr: string } {
  const run = spawnSync(compiler, ['-std=c11', '-fsyntax-only', '-x', 'c', '-'], { input: source, encoding: 'utf8' });
  return { found: run.error === undefined, status: run.status, stderr: run.stderr };
}

it.for([
  ['x86-64', process.arch === 'x64' ? 'cc' : 'x86_64-linux-gnu-gcc'],
  ['aarch64', process.arch === 'arm64' ? 'cc' : 'aarch64-linux-gnu-gcc'],
] as const)('the structs are those of the header on %s', ([, compiler], { skip }) => {
  const { found, status, stderr } = compile(compiler, program());
  skip(!found && process.env['CI'] === undefined, `${compiler} is not installed; scripts/test installs it`);
  expect({ found, status, stderr }).toEqual({ found: true, status: 0, stderr: '' });
});

it('the compiler would notice', () => {
  const wrong = program().replace(/== 44,/, '== 45,');
  expect(compile('cc', wrong)).toMatchObject({ status: 1, stderr: expect.stringContaining('static assertion failed') });
});
