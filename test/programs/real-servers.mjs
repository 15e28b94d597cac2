// Real servers that die and return on demand. Each answers every line with its own name; one that dies resets its
// connections. A connection that ends without a word was a health check.
//
//   node real-servers.mjs ADDRESS:PORT...
//
// Says "ready"; then takes one order a line as JSON, and answers each with a line of JSON:
//
//   {"down":"10.0.0.11:80"}   {"up":"10.0.0.11:80"}   {"report":true}  ->  {"checks":…,"connections":…}
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

let checks = 0;
let connections = 0;

class RealServer {
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set();
  #server = createServer((socket) => this.#serve(socket));
  #name;

  /** @param {string} name */
  constructor(name) {
    this.#name = name;
  }

  /** @param {import('node:net').Socket} socket */
  #serve(socket) {
    this.#sockets.add(socket);
    let isAsked = false;
    socket.on('data', () => {
      if (!isAsked) connections++;
      isAsked = true;
      socket.write(`${this.#name}\n`);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (!isAsked) checks++;
    });
  }

  async up() {
    const [host = '', port] = this.#name.split(':');
    this.#server.listen(Number(port), host);
    await once(this.#server, 'listening');
  }

  async down() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }
}

const servers = new Map(process.argv.slice(2).map((name) => [name, new RealServer(name)]));
for (const server of servers.values()) await server.up();
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const { down, up } = JSON.parse(line);
  if (down) await servers.get(down)?.down();
  if (up) await servers.get(up)?.up();
  console.log(JSON.stringify({ checks, connections }));
}
