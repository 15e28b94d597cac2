/** An inner network, a gateway and an outer host that has no way back to the inner network; each a namespace. */
import { fileURLToPath } from 'node:url';
import { Program } from '../../scripts/lib/program.mjs';
import { ip, makeNamespace, type TestNamespace } from './namespace.ts';

const peer = fileURLToPath(new URL('nat-peer.py', import.meta.url));
/** Debian's: another one may come by a script of its own, which takes seconds where a kernel is emulated. */
const PYTHON = '/usr/bin/python3';
export const inner = { inet: '10.0.0.2', inet6: 'fd00::2' } as const;
/** Of the gateway, as outer sees it; the second ones are there to be chosen. */
export const mapped = { inet: '192.0.2.1', inet6: '2001:db8::1' } as const;
export const second = { inet: '192.0.2.9', inet6: '2001:db8::9' } as const;
export const outer = { inet: '192.0.2.2', inet6: '2001:db8::2' } as const;

export const PORT = 7000;

export type Question = readonly [protocol: 'tcp' | 'udp' | 'icmp', address: string, timeoutSeconds?: number];
export type Seen = readonly [address: string, port: number] | readonly [];

export interface Talk {
  /** Sends a datagram, of one socket all of them, and returns what outer sees. */
  say(): Promise<Seen>;
}

export interface Gateway {
  readonly gateway: TestNamespace;
  readonly inside: TestNamespace;
  readonly outside: TestNamespace;
  /** What outer sees of questions of the inner host, one after the other; of ICMP only that it answers: []; null: no answer. */
  ask(...questions: readonly Question[]): (Seen | null)[];
  talk(address: string): Talk;
  close(): Promise<void>;
}

export async function startGateway(): Promise<Gateway> {
  const [inside, gateway, outside] = ['inner', 'gateway', 'outer'].map((name) => makeNamespace(name)) as [
    TestNamespace,
    TestNamespace,
    TestNamespace,
  ];
  const cable = (other: TestNamespace, name: string, near: readonly string[], far: readonly string[]) => {
    ip('-netns', gateway.name, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', other.name);
    const ends = [
      [gateway, name, near],
      [other, 'eth0', far],
    ] as const;
    for (const [namespace, device, addresses] of ends) {
      for (const address of addresses) {
        const nodad = address.includes(':') ? ['nodad'] : [];
        ip('-netns', namespace.name, 'address', 'add', address, 'dev', device, ...nodad);
      }
      ip('-netns', namespace.name, 'link', 'set', device, 'up');
    }
  };
  cable(inside, 'in0', ['10.0.0.1/24', 'fd00::1/64'], [`${inner.inet}/24`, `${inner.inet6}/64`]);
  const ours = [mapped.inet, second.inet].map((address) => `${address}/24`);
  // Of several of IPv6 the kernel takes the last one, of IPv4 the first.
  const ours6 = [second.inet6, mapped.inet6].map((address) => `${address}/64`);
  cable(outside, 'out0', [...ours, ...ours6], [`${outer.inet}/24`, `${outer.inet6}/64`]);
  ip('-netns', inside.name, 'route', 'add', 'default', 'via', '10.0.0.1');
  ip('-netns', inside.name, 'route', 'add', 'default', 'via', 'fd00::1');
  const server = new Program(outside.name, [PYTHON, peer, 'serve', String(PORT), outer.inet, outer.inet6]);
  if ((await server.line()) !== 'ready') throw new Error('the outer host did not start');
  const programs = [server];
  return {
    gateway,
    inside,
    outside,
    ask: (...questions) => {
      const args = [peer, 'ask', String(PORT), ...questions.map((question) => question.join(','))];
      const answers = inside.run(PYTHON, args).trim().split('\n');
      return answers.map((answer): Seen | null => JSON.parse(answer));
    },
    talk(address) {
      const talker = new Program(inside.name, [PYTHON, peer, 'talk', String(PORT), address]);
      programs.push(talker);
      return {
        async say() {
          talker.write('\n');
          return JSON.parse(await talker.line());
        },
      };
    },
    async close() {
      await Promise.all(programs.map((program) => program.stop()));
      for (const namespace of [inside, gateway, outside]) namespace.remove();
    },
  };
}
