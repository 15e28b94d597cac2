// A client that opens connections and waits for nothing: each from the next port, and a first packet for each. Says
// "ready", and ends with its input; until then connections of TCP stay in their handshake.
//
//   node openers.mjs tcp|udp SERVICE-ADDRESS SERVICE-PORT CONNECTIONS FIRST-PORT
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';

const [protocol, host = '', port, connections, firstPort] = process.argv.slice(2);

for (let i = 0; i < Number(connections); i++) {
  const localPort = Number(firstPort) + i;
  if (protocol === 'tcp') {
    connect({ host, port: Number(port), localPort }).on('error', () => undefined);
    continue;
  }
  const socket = createSocket('udp4').bind(localPort);
  await once(socket, 'listening');
  // What the kernel's defense drops on its way out is refused: EPERM.
  await new Promise((resolve) => socket.send('x', Number(port), host, resolve));
  socket.close();
}

console.log('ready');
process.stdin.resume().on('end', () => process.exit(0));
