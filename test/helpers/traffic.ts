/** Connections that go on while a test looks at them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestNamespace } from './namespace.ts';

const program = fileURLToPath(new URL('../programs/traffic.mjs', import.meta.url));

export interface TrafficOptions {
  readonly server: readonly [address: string, port: number];
  readonly service: readonly [address: string, port: number];
  readonly tcp?: number;
  readonly udp?: number;
  /** Each sender of UDP goes on, so often. */
  readonly everyMs?: number;
}

export interface Traffic {
  /** Ends the connections of TCP without goodbyes: the kernel forgets such a one after 10 seconds. */
  reset(): void;
  /** Ends all of it, and waits for the end. */
  stop(): Promise<void>;
}

/** Started when all of it is under way. */
export async function startTraffic(
  namespace: TestNamespace,
  { server, service, tcp = 0, udp = 0, everyMs }: TrafficOptions,
): Promise<Traffic> {
  const words = [...server, ...service, tcp, udp, everyMs ?? ''].map(String);
  const child = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, program, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  if (line !== 'ready') throw new Error(`the traffic did not start: ${line}`);
  return {
    reset() {
      child.stdin.write('reset\n');
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
