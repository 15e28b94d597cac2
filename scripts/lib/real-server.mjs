// One real server of the lab: HTTP on port 80 and UDP on port 53, IPv4 and IPv6. Each answer is one
// line: its own name and the address that it sees as the client's.
//
//   node real-server.mjs NAME [ADDRESS...]
//
// UDP is answered from the address that was asked only where that is named.
// Prints "ready" when both answer; ends when its standard input does, so it never outlives its parent.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { isIPv6 } from 'node:net';

const [name = 'unnamed', ...addresses] = process.argv.slice(2);

/** One socket serves both families; IPv4 clients then look like ::ffff:192.0.2.1.
 * @param {string | undefined} client */
const answer = (client) => `${name} ${client?.replace(/^::ffff:/, '')}\n`;

const http = createServer((request, response) => {
  // Every request is to be balanced by itself.
  response.setHeader('connection', 'close');
  response.end(answer(request.socket.remoteAddress));
}).listen(80, '::');

const sockets = (addresses.length ? addresses : ['::']).map((address) => {
  const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  udp.on('message', (_, client) => udp.send(answer(client.address), client.port, client.address));
  udp.bind(53, address);
  return udp;
});

await Promise.all([http, ...sockets].map((one) => once(one, 'listening')));
process.stdin.on('end', () => process.exit()).resume();
console.log('ready');
