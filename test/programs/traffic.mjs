// Traffic through a balanced service, on one machine: serves, connects, and says "ready"; ends with its input.
//
//   node traffic.mjs SERVER-ADDRESS SERVER-PORT SERVICE-ADDRESS SERVICE-PORT TCP-CONNECTIONS UDP-DATAGRAMS
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIPv6 } from 'node:net';

const [serverAddress = '', serverPort, serviceAddress = '', servicePort, tcp, udp] = process.argv.slice(2);

const server = createServer((socket) => socket.resume());
server.listen(Number(serverPort), serverAddress);
await once(server, 'listening');

for (let i = 0; i < Number(tcp); i++) {
  const client = connect(Number(servicePort), serviceAddress);
  await once(client, 'connect');
  client.write('x');
}

// Each from a port of its own, kept until the end, so each is a connection to the balancer.
const type = isIPv6(serviceAddress) ? 'udp6' : 'udp4';
const receiver = createSocket(type);
receiver.bind(Number(serverPort), serverAddress);
await once(receiver, 'listening');
for (let i = 0; i < Number(udp); i++) {
  const sender = createSocket(type);
  await new Promise((resolve) => sender.send('x', Number(servicePort), serviceAddress, resolve));
}

console.log('ready');
process.stdin.resume().on('end', () => process.exit(0));
