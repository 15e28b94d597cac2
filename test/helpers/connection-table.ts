/** /proc/net/ip_vs_conn of a network namespace, with addresses as people write them. */
import { execFileSync } from 'node:child_process';
import ipaddr from 'ipaddr.js';

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Connection {
  readonly client: Endpoint;
  readonly virtual: Endpoint;
  readonly destination: Endpoint;
  readonly state: string;
  /** What the persistence engine keeps of it. */
  readonly engineData: string | undefined;
}

export function connectionTable(namespace: string): Connection[] {
  const options = { encoding: 'utf8' } as const;
  const text = execFileSync('ip', ['netns', 'exec', namespace, 'cat', '/proc/net/ip_vs_conn'], options);
  return text.trim().split('\n').slice(1).map(connection);
}

function connection(line: string): Connection {
  const [, from, fromPort, to, toPort, destination, port, state = '', , , engineData] = line.trim().split(/\s+/);
  return {
    client: endpoint(from, fromPort),
    virtual: endpoint(to, toPort),
    destination: endpoint(destination, port),
    state,
    engineData,
  };
}

function endpoint(address = '', port = ''): Endpoint {
  const parsed = address.includes(':') ? ipaddr.parse(address) : ipaddr.fromByteArray([...Buffer.from(address, 'hex')]);
  return { address: parsed.toString(), port: Number.parseInt(port, 16) };
}
