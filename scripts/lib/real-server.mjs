// One real server of the lab: HTTP on port 80 and UDP on port 53, IPv4 and IPv6. Each answer is one
// line: its own name and the address that it sees as the client's.
//
//   node real-server.mjs NAME
//
// Prints "ready" when both answer; ends when its standard input does, so it never outlives its parent.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';

const [name = 'unnamed'] = process.argv.slice(2);

/** One socket serves both families; IPv4 clients then look like ::ffff:192.0.2.1.
 * @param {string | undefined} client */
const answer = (client) => `${name} ${client?.replace(/^::ffff:/, '')}\n`;

const http = createServer((request, response) => {
  // Every request is to be balanced by itself.
  response.setHeader('connection', 'close');
  response.end(answer(request.socket.remoteAddress));
}).listen(80, '::');

const udp = createSocket('udp6');
udp.on('message', (_, client) => udp.send(answer(client.address), client.port, client.address));
udp.bind(53, '::');

await Promise.all([once(http, 'listening'), once(udp, 'listening')]);
process.stdin.on('end', () => process.exit()).resume();
console.log('ready');
