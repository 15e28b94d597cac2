// A client that keeps requesting a service, with the server behind it; says "ready", and at the end of its input how
// many requests were answered and how many were not.
//
//   node requests.mjs SERVER-ADDRESS SERVER-PORT SERVICE-ADDRESS SERVICE-PORT
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

const [serverAddress = '', serverPort, serviceAddress = '', servicePort] = process.argv.slice(2);
const TIMEOUT_MS = 10_000;

const server = createServer((socket) => socket.end('answer'));
server.listen(Number(serverPort), serverAddress);
await once(server, 'listening');

async function request() {
  const socket = connect(Number(servicePort), serviceAddress);
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), TIMEOUT_MS);
  try {
    let answer = '';
    for await (const piece of socket) answer += piece;
    if (answer !== 'answer') throw new Error(`"${answer}"`);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

let ended = false;
process.stdin.resume().on('end', () => {
  ended = true;
});
await request();
console.log('ready');
let answered = 0;
/** @type {string[]} */
const failures = [];
while (!ended) {
  try {
    await request();
    answered++;
  } catch (error) {
    failures.push(String(error));
  }
  await wait(5);
}
console.log(JSON.stringify({ answered, failures }));
process.exit(0);
