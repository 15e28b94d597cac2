/** FTP with the kernel's helper ip_vs_ftp: data connections, which no service names, pass the director too. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { clientAddresses, type Lab, realServers, startLab } from '../../scripts/lib/lab.mjs';
import { type Connection, parseDestinationAddress } from '../../src/index.ts';
import { type Ipvs, openIpvs } from '../../src/ipvs/ipvs.ts';
import { command } from '../helpers/cli.ts';
import { connectionsIn } from '../helpers/connections.ts';
import { absence } from '../helpers/feature.ts';

const serverProgram = fileURLToPath(new URL('../helpers/ftp-server.py', import.meta.url));
const services = {
  'tcp://192.0.2.10:21': ['10.0.0.11', '10.0.0.12', '10.0.0.13'],
  'tcp://[2001:db8::10]:21': ['[2001:db8:a::11]', '[2001:db8:a::12]', '[2001:db8:a::13]'],
};
const content = randomBytes(300_000);
const absent = await absence('module ip_vs_ftp');

let lab: Lab;
let ipvs: Ipvs;
let folder: string;

beforeAll(async () => {
  if (absent) return;
  // No service and no packet makes the kernel load it.
  execFileSync('modprobe', ['ip_vs_ftp']);
  folder = mkdtempSync(join(tmpdir(), 'ipvs-ftp-'));
  writeFileSync(join(folder, 'file'), content);
  lab = await startLab('ftp');
  // Debian's interpreter, whatever else is called python3 here: the library is for that one.
  const servers = realServers.map((name) => lab.launch(name, '/usr/bin/python3', serverProgram, folder));
  ipvs = await openIpvs({ netns: lab.director });
  for (const [service, destinations] of Object.entries(services)) {
    await ipvs.addService({ address: service, scheduler: 'rr' });
    for (const address of destinations) {
      await ipvs.addDestination(service, { address: `${address}:21`, forward: 'masquerade' });
    }
  }
  for (const server of servers) expect(await server.line()).toBe('ready');
});

afterAll(async () => {
  await ipvs?.close();
  await lab?.close();
  if (folder) rmSync(folder, { recursive: true });
});

beforeEach(({ skip }) => skip(absent !== undefined, absent));

const ipv4 = { host: '192.0.2.10', virtual: '192.0.2.10', client: clientAddresses.ipv4 };
const ipv6 = { host: '[2001:db8::10]', virtual: '2001:db8::10', client: clientAddresses.ipv6 };
// By default curl passes over the address in the answer to PASV, which is the one that the helper replaces.
const pasv = ['--disable-epsv', '--no-ftp-skip-pasv-ip'];

test.each([
  ['passive, PASV', 'IPv4', ipv4, pasv],
  ['passive, EPSV', 'IPv4', ipv4, []],
  ['passive, EPSV', 'IPv6', ipv6, []],
  ['active, PORT', 'IPv4', ipv4, ['--ftp-port', '-', '--disable-eprt']],
  ['active, EPRT', 'IPv4', ipv4, ['--ftp-port', '-']],
  ['active, EPRT', 'IPv6', ipv6, ['--ftp-port', '-']],
])('%s over %s: the file arrives, from the server that was asked for it', async (mode, _, ends, options) => {
  const before = new Set((await connectionsIn(lab.director)).map(key));
  const file = join(folder, 'received');
  rmSync(file, { force: true });

  const common = ['--silent', '--show-error', '--globoff', '--max-time', '60', '--output', file];
  const client = ['ip', 'netns', 'exec', lab.namespace('client'), 'curl', ...common, ...options];
  expect(await command([...client, `ftp://${ends.host}/file`])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(file).equals(content)).toBe(true);

  const made = (await connectionsIn(lab.director)).filter((connection) => !before.has(key(connection))).map(ended);
  const control = made.find(({ virtual }) => virtual.port === 21);
  const data = made.find(({ virtual }) => virtual.port !== 21);
  expect(made).toHaveLength(2);
  expect(data).toMatchObject({
    client: { ip: ends.client },
    virtual: { ip: ends.virtual },
    destination: { ip: control?.destination.ip },
    // Packets came by: an entry that only waits for them has none of these.
    state: expect.stringMatching(/^(ESTABLISHED|FIN_WAIT|TIME_WAIT|CLOSE|CLOSE_WAIT|LAST_ACK)$/),
  });
  const ports = [data?.virtual.port, data?.destination.port];
  if (mode.startsWith('active')) expect(ports).toEqual([20, 20]);
  else expect(ports[0]).toBe(ports[1]);
});

function key({ client, service }: Connection): string {
  return `${client} ${service}`;
}

function ended({ client, service, destination, state }: Connection) {
  const virtual = parseDestinationAddress(service.slice(service.indexOf('//') + 2));
  return { client: parseDestinationAddress(client), virtual, destination: parseDestinationAddress(destination), state };
}
