// The honest client of bench/flood.mjs, run in a lab as its client. It knows nothing of the flood: at fixed times, whatever
// became of those before, it opens a connection to the service, sends a request and waits for the answer; and asks the
// control, a datagram that the same director forwards past IPVS. Reads one order, prints one line of JSON, "ready" first.
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * @typedef {object} Order
 * @property {string} service an address and a port, of TCP
 * @property {string} control the same, of UDP
 * @property {number} everyMs
 * @property {number} forMs
 * @property {number} timeoutMs
 *
 * When it began, since the order, and how long it took; null without an answer in time.
 * @typedef {readonly [atMs: number, latencyMs: number | null]} Request
 * @typedef {{ service: Request[], control: Request[], errors: Record<string, number> }} Experience
 */

/** @param {string} text */
function hostAndPort(text) {
  const [host = '', port] = text.split(':');
  return { host, port: Number(port) };
}

/** @param {string} service @param {AbortSignal} signal @returns {Promise<void>} */
function overTcp(service, signal) {
  return new Promise((resolve, reject) => {
    const socket = connect(hostAndPort(service), () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    signal.addEventListener('abort', () => socket.destroy(new Error('no answer')));
    let answer = '';
    socket.setEncoding('latin1').on('data', (part) => {
      answer += part;
    });
    socket
      .on('error', reject)
      .on('end', () => (answer.startsWith('HTTP/1.1 200 ') ? resolve() : reject(new Error('cut'))));
  });
}

/** @param {string} control @param {AbortSignal} signal @returns {Promise<void>} */
function overUdp(control, signal) {
  return new Promise((resolve, reject) => {
    const { host, port } = hostAndPort(control);
    const socket = createSocket({ type: 'udp4', signal });
    signal.addEventListener('abort', () => reject(new Error('no answer')));
    socket.on('error', reject).on('message', () => {
      socket.close();
      resolve();
    });
    socket.send('who are you?', port, host);
  });
}

/** @param {Order} order @returns {Promise<Experience>} */
async function experience({ service, control, everyMs, forMs, timeoutMs }) {
  const begin = performance.now();
  const now = () => Math.round((performance.now() - begin) * 10) / 10;
  /** @type {Record<string, number>} */
  const errors = {};
  const ask = async (/** @type {typeof overTcp} */ send, /** @type {string} */ whom) => {
    const atMs = now();
    try {
      await send(whom, AbortSignal.timeout(timeoutMs));
      return /** @type {const} */ ([atMs, Math.round((now() - atMs) * 10) / 10]);
    } catch (error) {
      const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
      const name = typeof code === 'string' ? code : message;
      errors[name] = (errors[name] ?? 0) + 1;
      return /** @type {const} */ ([atMs, null]);
    }
  };
  const asked = [];
  for (let dueMs = 0; dueMs < forMs; dueMs += everyMs) {
    await wait(Math.max(0, dueMs - now()));
    asked.push(Promise.all([ask(overTcp, service), ask(overUdp, control)]));
  }
  const answers = await Promise.all(asked);
  return { service: answers.map(([first]) => first), control: answers.map(([, second]) => second), errors };
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await experience(JSON.parse(line))));
}
