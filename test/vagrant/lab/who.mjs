// Tells everybody who connects which address and port it sees of them, as HTTP; ends when its input does.
//
//   node who.mjs PORT
import { once } from 'node:events';
import { createServer } from 'node:http';

const server = createServer(({ socket }, response) => {
  response.setHeader('connection', 'close');
  response.end(`${socket.remoteAddress?.replace(/^::ffff:/, '')} ${socket.remotePort}\n`);
}).listen(Number(process.argv[2]), '::');
await once(server, 'listening');
process.stdin.on('end', () => process.exit()).resume();
console.log('ready');
