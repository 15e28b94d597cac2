// Traffic through a balanced service, on one machine: serves, connects, and says "ready"; ends with its input.
//
//   node traffic.mjs SERVER-ADDRESS SERVER-PORT SERVICE-ADDRESS SERVICE-PORT TCP-CONNECTIONS UDP-DATAGRAMS [EVERY-MS]
//
// With EVERY-MS each sender of UDP goes on. "reset" on its input ends the connections of TCP without goodbyes.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIPv6 } from 'node:net';

const [serverAddress = '', serverPort, serviceAddress = '', servicePort, tcp, udp, everyMs] = process.argv.slice(2);

const server = createServer((socket) => socket.resume().on('error', () => undefined));
server.listen(Number(serverPort), serverAddress);
await once(server, 'listening');

/** @type {import('node:net').Socket[]} */
const clients = [];
for (let i = 0; i < Number(tcp); i++) {
  const client = connect(Number(servicePort), serviceAddress);
  await once(client, 'connect');
  client.write('x');
  clients.push(client);
}

// Each from a port of its own, kept until the end, so each is a connection to the balancer.
const type = isIPv6(serviceAddress) ? 'udp6' : 'udp4';
const receiver = createSocket(type);
receiver.bind(Number(serverPort), serverAddress);
await once(receiver, 'listening');
for (let i = 0; i < Number(udp); i++) {
  const sender = createSocket(type);
  const send = () => new Promise((resolve) => sender.send('x', Number(servicePort), serviceAddress, resolve));
  await send();
  if (everyMs) setInterval(send, Number(everyMs));
}

console.log('ready');
process.stdin.on('data', () => {
  for (const client of clients.splice(0)) client.resetAndDestroy();
});
process.stdin.on('end', () => process.exit(0));
