/** A client, a director and a real server on one network: what the server answers does not pass the director by itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ip, makeNamespace, type TestNamespace } from './namespace.ts';

const peer = fileURLToPath(new URL('nat-peer.py', import.meta.url));

export const client = { inet: '192.0.2.100', inet6: '2001:db8::100' } as const;
/** Of the director; the virtual addresses are there too. */
export const own = { inet: '192.0.2.1', inet6: '2001:db8::1' } as const;
export const vip = { inet: '192.0.2.10', inet6: '2001:db8::10' } as const;
export const otherVip = { inet: '192.0.2.11', inet6: '2001:db8::11' } as const;
export const server = { inet: '192.0.2.200', inet6: '2001:db8::200' } as const;
/** Where the real server listens. */
export const PORT = 7000;

/** What the server saw of the client; or that nothing came, or that it was refused. */
export type Answer = readonly [address: string, port: number] | readonly [] | 'refused' | 'silent';
export type Question = readonly [protocol: 'tcp' | 'udp' | 'icmp', address: string, port: number];

export interface OneArm {
  readonly director: TestNamespace;
  /** One after the other; of ICMP [] is an answer. */
  ask(...questions: readonly Question[]): Answer[];
  /** Listens in the director's namespace, as a daemon of it would. */
  listen(port: number, ...addresses: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** How long nothing is nothing, on an emulated kernel. */
const SILENCE_SECONDS = '6';

export async function startOneArm(): Promise<OneArm> {
  const [near, director, far] = ['client', 'director', 'server'].map((name) => makeNamespace(name)) as [
    TestNamespace,
    TestNamespace,
    TestNamespace,
  ];
  const give = (name: string, device: string, ...addresses: readonly string[]) => {
    for (const address of addresses) {
      const nodad = address.includes(':') ? ['nodad'] : [];
      ip('-netns', name, 'address', 'add', address, 'dev', device, ...nodad);
    }
    ip('-netns', name, 'link', 'set', device, 'up');
  };
  ip('-netns', director.name, 'link', 'add', 'arm0', 'type', 'bridge');
  give(director.name, 'arm0', `${own.inet}/24`, `${own.inet6}/64`);
  give(director.name, 'arm0', `${vip.inet}/32`, `${otherVip.inet}/32`);
  // Of several of IPv6 the kernel takes the last one of the network.
  ip('-netns', director.name, 'address', 'add', `${vip.inet6}/128`, 'dev', 'arm0', 'nodad', 'preferred_lft', '0');
  ip('-netns', director.name, 'address', 'add', `${otherVip.inet6}/128`, 'dev', 'arm0', 'nodad', 'preferred_lft', '0');
  for (const [namespace, name, addresses] of [
    [near, 'to-client', client],
    [far, 'to-server', server],
  ] as const) {
    const words = ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace.name];
    ip('-netns', director.name, ...words);
    ip('-netns', director.name, 'link', 'set', name, 'master', 'arm0', 'up');
    give(namespace.name, 'eth0', `${addresses.inet}/24`, `${addresses.inet6}/64`);
  }
  // What goes back out of one arm is told by redirects, which use up how many errors of ICMP a client gets.
  director.run('sysctl', ['-q', '-w', 'net.ipv6.icmp.ratelimit=0']);
  const servers: (() => Promise<void>)[] = [];
  const serve = async (namespace: TestNamespace, port: number, addresses: readonly string[]) => {
    const words = ['netns', 'exec', namespace.name, 'python3', peer, 'serve', String(port), ...addresses];
    const child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'close');
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
    if (line !== 'ready') throw new Error(`the server did not start: ${line}`);
    servers.push(async () => {
      child.stdin.end();
      await ended;
    });
  };
  await serve(far, PORT, [server.inet, server.inet6]);
  return {
    director,
    ask(...questions) {
      const args = [peer, 'try', SILENCE_SECONDS, ...questions.map((question) => question.join(','))];
      return near
        .run('python3', args)
        .trim()
        .split('\n')
        .map((line): Answer => JSON.parse(line));
    },
    listen: (port, ...addresses) => serve(director, port, addresses),
    async close() {
      for (const end of servers) await end();
      for (const namespace of [near, director, far]) namespace.remove();
    },
  };
}
