/**
 * The machines that there are, and the network around them.
 *
 *    lan    10.44.0.0/24  fd44::/64   all machines; the virtual address 10.44.0.50, fd44::50
 *    inner  10.45.0.0/24  fd45::/64   directors and real servers
 *
 * A real server has the virtual address too, silently, for what comes to it by direct routing and tunnels; what it
 * answers from its inner address goes through a director, as masquerading needs it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Order, Outcome } from '../../../scripts/lib/client.mjs';
import { Machine, type RemoteProgram } from './machine.ts';

interface Description {
  readonly networks: Readonly<Record<'lan' | 'inner', { readonly inet: string; readonly inet6: string }>>;
  readonly machines: Readonly<Record<string, Readonly<{ lan: number; inner?: number; small?: boolean }>>>;
}

const root = join(import.meta.dirname, '../../..');
const description: Description = parse(readFileSync(join(root, 'vagrant/machines.yaml'), 'utf8'));
const size = process.env['IPVS_LAB'] ?? 'full';

const machines = new Map(
  Object.entries(description.machines)
    .filter(([, { small }]) => small || size === 'full')
    .map(([name]) => [name, new Machine(name)]),
);

export type Family = 'inet' | 'inet6';
export const families: readonly Family[] = ['inet', 'inet6'];
export const virtual = { inet: '10.44.0.50', inet6: 'fd44::50' };
export const everybody: readonly Machine[] = [...machines.values()];
export const directors = everybody.filter(({ name }) => name.startsWith('director'));
export const realServers = everybody.filter(({ name }) => name.startsWith('real'));

export function machine(name: string): Machine {
  const found = machines.get(name);
  if (!found) throw new Error(`the ${size} lab has no ${name}`);
  return found;
}

/** For a test that needs more than one director: why it cannot run. */
export const withoutSecondDirector = machines.has('director2') ? undefined : 'the small lab has one director';

export function address(name: string, network: 'lan' | 'inner', family: Family): string {
  const host = description.machines[name]?.[network];
  if (host === undefined) throw new Error(`${name} is not in the network ${network}`);
  return `${description.networks[network][family]}${host}`;
}

/** Gives every machine its part of the network. It may be done again, and is needed again after a boot. */
export async function prepare(which: readonly Machine[] = everybody, gateway = 'director1'): Promise<void> {
  await Promise.all(which.map((one) => one.script(networkOf(one.name, gateway))));
}

function networkOf(name: string, gateway: string): string {
  const inner = description.machines[name]?.inner !== undefined;
  const lines = [
    'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0',
    `ip address replace ${address(name, 'lan', 'inet6')}/64 dev eth1 nodad`,
  ];
  if (inner)
    lines.push(
      'ip link set eth2 up',
      'sysctl -qw net.ipv4.conf.eth2.rp_filter=0',
      `ip address replace ${address(name, 'inner', 'inet')}/24 dev eth2`,
      `ip address replace ${address(name, 'inner', 'inet6')}/64 dev eth2 nodad`,
    );
  if (name.startsWith('real'))
    lines.push(
      'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
      `ip address replace ${virtual.inet}/32 dev lo`,
      `ip address replace ${virtual.inet6}/128 dev lo nodad`,
      ...(['inet', 'inet6'] as const).flatMap((family) => {
        const ip = family === 'inet' ? 'ip -4' : 'ip -6';
        return [
          `while ${ip} rule delete table 45 2>/dev/null; do :; done`,
          `${ip} rule add from ${address(name, 'inner', family)} table 45`,
          `${ip} route replace default via ${address(gateway, 'inner', family)} dev eth2 table 45`,
        ];
      }),
    );
  return lines.join('\n');
}

/** What `launch` started. */
const launched = new Set<RemoteProgram>();

/** After the tests of a file: ends its programs, and clears the directors. */
export async function leave(): Promise<void> {
  await Promise.all([...launched].map((program) => program.end()));
  launched.clear();
  await clearDirectors();
}

/** Takes away what a test left on the directors: services, rules, records, units. */
export async function clearDirectors(): Promise<void> {
  await Promise.all(
    directors.map((director) =>
      director.script(`
        systemctl --quiet disable --now ipvs-director ipvs-defense 2>/dev/null || true
        echo '{ services: [], masquerade: [], sync: [] }' | ipvs apply - --yes --force >/dev/null
        ipvsadm -C
        rm -rf /var/lib/ipvs-director /etc/ipvs-director/ipvs.yaml
        ip address delete ${virtual.inet}/32 dev eth1 2>/dev/null || true
        ip address delete ${virtual.inet6}/128 dev eth1 2>/dev/null || true
      `),
    ),
  );
}

/** Programs for the machines, from this repository. */
async function bring(one: Machine, path: string): Promise<string> {
  const to = `/srv/lab/${path.replaceAll('/', '-')}`;
  await one.write(to, readFileSync(join(root, path), 'utf8'));
  return to;
}

/** Starts a program of this repository, until `leave`, which says "ready". */
export async function launch(one: Machine, path: string, ...words: readonly string[]): Promise<RemoteProgram> {
  const program = await one.start('node', await bring(one, path), ...words);
  launched.add(program);
  const line = await program.line();
  if (line !== 'ready') throw new Error(`${one.name}: ${path}: expected "ready", not "${line}"`);
  return program;
}

/** HTTP and UDP on every real server, on each address that requests come to: UDP is to be answered from it. */
function startServers(): Promise<RemoteProgram[]> {
  return Promise.all(
    realServers.map((one) => {
      const own = families.flatMap((family) => [address(one.name, 'lan', family), address(one.name, 'inner', family)]);
      return launch(one, 'scripts/lib/real-server.mjs', one.name, ...own, ...Object.values(virtual));
    }),
  );
}

/** The client's machine, which carries out orders. */
export interface Client {
  send(order: Order): Promise<Outcome>;
}

/** Before the tests of a file: the network, empty directors, servers, and the client. */
export async function enter(): Promise<Client> {
  await prepare();
  await clearDirectors();
  await startServers();
  const program = await launch(machine('client'), 'scripts/lib/client.mjs');
  return {
    async send(order) {
      program.write(`${JSON.stringify(order)}\n`);
      return JSON.parse(await program.line(300_000));
    },
  };
}

/** Applies a description and returns what the command said. */
export async function apply(director: Machine, description: object, ...options: readonly string[]): Promise<string> {
  const command = ['ipvs', 'apply', '-', '--yes', ...options];
  const { status, stdout, stderr } = await director.attempt(command, { input: JSON.stringify(description) });
  if (status !== 0) throw new Error(`${director.name}: ipvs apply: status ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** The table as ipvsadm prints it, in an order of its own: for comparisons. */
export async function table(director: Machine): Promise<string[]> {
  return (await director.run('ipvsadm', '-Sn')).split('\n').sort();
}
