/**
 * A small network on one machine, for the demo and the tests: network namespaces joined by veth pairs.
 *
 *                                                  ┌─ real1  10.0.0.11  2001:db8:a::11
 *    client ─────────────────── director ── bridge ┼─ real2  10.0.0.12  2001:db8:a::12
 *    198.51.100.10              192.0.2.10          └─ real3  10.0.0.13  2001:db8:a::13
 *    2001:db8:c::10             2001:db8::10
 *
 * With an attacker beside the client, the director sends to the network of benchmarks through it.
 * The director's two addresses are the virtual ones. It is the real servers' default route, because with
 * masquerading their answers have to pass it again. Needs root and iproute2; changes nothing outside its
 * own namespaces.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Program } from './program.mjs';

/** @typedef {import('./client.mjs').Order} Order */
/** @typedef {import('./client.mjs').Outcome} Outcome */

/**
 * @typedef {object} LabOptions
 * @property {number} [servers] the first so many of them; default all
 * @property {string} [client] the program on the client: it says "ready", and answers orders in lines
 * @property {boolean} [attacker] whether there is one
 */

/** As a real server sees them; masquerading keeps the client's address. */
export const clientAddresses = { ipv4: '198.51.100.10', ipv6: '2001:db8:c::10' };
export const realServers = ['real1', 'real2', 'real3'];
/** Behind the attacker (RFC 2544); its own link needs addresses that are not of it. */
export const attackerNetwork = '198.18.0.0/15';

const serverProgram = fileURLToPath(new URL('./real-server.mjs', import.meta.url));
const clientProgram = fileURLToPath(new URL('./client.mjs', import.meta.url));

/**
 * @param {string} [label] part of the namespaces' names
 * @param {LabOptions} [options]
 * @returns {Promise<Lab>}
 */
export async function startLab(label = 'lab', options = {}) {
  const lab = new Lab(label, options);
  try {
    await lab.start();
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

export class Lab {
  /** @type {ReadonlyMap<string, string>} */
  #namespaces;
  #servers;
  #client;
  #attacker;
  /** @type {Program[]} */
  #programs = [];
  /** @type {Program | undefined} */
  #requester;
  #atExit = () => this.#remove();

  /** @param {string} label @param {LabOptions} options */
  constructor(label, { servers = realServers.length, client = clientProgram, attacker = false } = {}) {
    this.#servers = realServers.slice(0, servers);
    this.#client = client;
    this.#attacker = attacker;
    const machines = ['client', 'director', ...this.#servers, ...(attacker ? ['attacker'] : [])];
    // Another container may share /run/netns and have a process of the same number.
    const prefix = `ipvs-${label}-${process.pid}-${randomBytes(2).toString('hex')}`;
    this.#namespaces = new Map(machines.map((name) => [name, `${prefix}-${name}`]));
  }

  /** The network namespace in which the balancer works. */
  get director() {
    return this.namespace('director');
  }

  /**
   * The network namespace of a machine: "client", "director", or a real server by its name.
   * @param {string} machine
   */
  namespace(machine) {
    const name = this.#namespaces.get(machine);
    if (name === undefined) throw new Error(`the lab has no machine ${machine}`);
    return name;
  }

  /**
   * Starts a program on a machine. It is ended with the lab.
   * @param {string} machine
   * @param {string[]} command
   */
  launch(machine, ...command) {
    const program = new Program(this.namespace(machine), command);
    this.#programs.push(program);
    return program;
  }

  /** Use startLab(): it removes what was made when this fails. */
  async start() {
    process.on('exit', this.#atExit);
    const namespaces = [...this.#namespaces.values()];
    ip([], ...namespaces.map((name) => `netns add ${name}`));
    // Before there are interfaces, which take their settings from "default".
    for (const namespace of namespaces) {
      const forwarding = namespace === this.director ? 1 : 0;
      setSysctls(namespace, {
        'ipv4/ip_forward': forwarding,
        'ipv6/conf/all/forwarding': forwarding,
        'ipv6/conf/all/disable_ipv6': 0,
        'ipv6/conf/default/accept_ra': 0,
      });
    }
    // They need no interface to start, so that happens while the interfaces are made.
    this.#requester = this.launch('client', process.execPath, this.#client);
    for (const name of this.#servers) this.launch(name, process.execPath, serverProgram, name);
    // The pairs are made in their namespaces; the machine's own never has them.
    ip(
      [],
      ...Array.from(this.#namespaces.keys())
        .filter((name) => name !== 'director')
        .map(
          (name) => `link add ${name} netns ${this.director} type veth peer name eth0 netns ${this.namespace(name)}`,
        ),
    );
    ip(
      ['-netns', this.director],
      'link set lo up',
      'link add reals type bridge mcast_snooping 0',
      ...this.#servers.flatMap((name) => [`link set ${name} master reals`, `link set ${name} up`]),
      'link set client up',
      'link set reals up',
      'address add 192.0.2.10/32 dev lo',
      'address add 2001:db8::10/128 dev lo nodad',
      'address add 198.51.100.1/24 dev client',
      'address add 2001:db8:c::1/64 dev client nodad',
      'address add 10.0.0.1/24 dev reals',
      'address add 2001:db8:a::1/64 dev reals nodad',
    );
    const { ipv4, ipv6 } = clientAddresses;
    attach(this.namespace('client'), `${ipv4}/24`, `${ipv6}/64`, '198.51.100.1', '2001:db8:c::1');
    this.#servers.forEach((name, index) => {
      const namespace = this.namespace(name);
      attach(namespace, `10.0.0.${11 + index}/24`, `2001:db8:a::${11 + index}/64`, '10.0.0.1', '2001:db8:a::1');
    });
    if (this.#attacker) this.#attachAttacker();
    for (const program of this.#programs) {
      const line = await program.line();
      if (line !== 'ready') throw new Error(`expected "ready", not "${line}"`);
    }
  }

  /** What the director sends to the attacker's network ends there, as with sources that do not exist. */
  #attachAttacker() {
    ip(
      ['-netns', this.director],
      'link set attacker up',
      'address add 203.0.113.1/24 dev attacker',
      `route add ${attackerNetwork} via 203.0.113.2`,
    );
    ip(
      ['-netns', this.namespace('attacker')],
      'link set lo up',
      'link set eth0 up',
      'address add 203.0.113.2/24 dev eth0',
      'route add 0.0.0.0/0 via 203.0.113.1',
    );
  }

  /**
   * Sends requests from the client, one round after the other.
   * @param {Order} order
   * @returns {Promise<Outcome>}
   */
  send(order) {
    return this.ask(order);
  }

  /**
   * Gives an order to the program on the client, and waits for what it answers.
   * @param {object} order
   */
  async ask(order) {
    if (this.#requester === undefined) throw new Error('the lab is not running');
    this.#requester.write(`${JSON.stringify(order)}\n`);
    return JSON.parse(await this.#requester.line());
  }

  /** Ends the programs and removes the namespaces, also of a lab that is half made. */
  async close() {
    await Promise.all(this.#programs.map((program) => program.stop()));
    this.#remove();
    process.off('exit', this.#atExit);
  }

  #remove() {
    for (const program of this.#programs) program.kill();
    this.#programs = [];
    this.#requester = undefined;
    try {
      ip(['-force'], ...[...this.#namespaces.values()].map((name) => `netns delete ${name}`));
    } catch {
      // Some were never made; with -force the others are gone.
    }
  }
}

/**
 * One end of the lab: addresses and the way out.
 * @param {string} namespace
 * @param {string} ipv4
 * @param {string} ipv6
 * @param {string} gateway4
 * @param {string} gateway6
 */
function attach(namespace, ipv4, ipv6, gateway4, gateway6) {
  ip(
    ['-netns', namespace],
    'link set lo up',
    'link set eth0 up',
    `address add ${ipv4} dev eth0`,
    // Without the second in which a new IPv6 address is not yet usable.
    `address add ${ipv6} dev eth0 nodad`,
    `route add 0.0.0.0/0 via ${gateway4}`,
    `route add ::/0 via ${gateway6}`,
  );
}

/**
 * Runs several commands of ip(8) in one process.
 * @param {string[]} options
 * @param {string[]} commands
 */
function ip(options, ...commands) {
  execFileSync('ip', [...options, '-batch', '-'], { input: `${commands.join('\n')}\n`, stdio: 'pipe' });
}

/**
 * /proc/sys/net shows the settings of the namespace of whoever looks at it.
 * @param {string} namespace
 * @param {Record<string, number>} settings
 */
function setSysctls(namespace, settings) {
  const script = 'while [ $# -gt 0 ]; do echo "$2" >"/proc/sys/net/$1" || exit 1; shift 2; done';
  const words = Object.entries(settings).flatMap(([name, value]) => [name, String(value)]);
  execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-c', script, 'sh', ...words], { stdio: 'pipe' });
}
