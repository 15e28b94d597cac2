// The client of the lab. Reads one order a line from its standard input, as JSON, and prints one line of
// JSON for each when all its requests have ended: one process start serves any number of rounds.
//
//   {"url":"http://192.0.2.10/","count":60}      a connection for each request
//   {"url":"udp://192.0.2.10:53","count":60}     a datagram each, from a port of its own
//
// Prints "ready" at start; ends when its standard input does, so it never outlives its parent.

import { createSocket } from 'node:dgram';
import { get } from 'node:http';
import { createInterface } from 'node:readline';

/**
 * @typedef {object} Order
 * @property {string} url
 * @property {number} count
 * @property {number} [concurrency] requests under way at a time; default 1
 * @property {number} [timeoutMs] for each request; default 10 seconds
 *
 * @typedef {object} Outcome
 * @property {number} sent
 * @property {number} failed
 * @property {Record<string, number>} servers how many requests each server answered
 * @property {string[]} clients the client's addresses, as the servers saw them
 * @property {Record<string, number>} errors how many requests failed in which way
 */

// Not the kernel's random choice: a port used twice within five minutes would meet the balancer's
// entry for the first use, and go where that went. The next client begins after this one's.
let nextPort = 20_000 + ((Math.floor(Date.now() / 1000) * 20) % 30_000);

/** @param {URL} url @param {number} timeoutMs @returns {Promise<string>} */
function overHttp(url, timeoutMs) {
  return new Promise((resolve, reject) => {
    const options = { agent: false, localPort: nextPort++, signal: AbortSignal.timeout(timeoutMs) };
    const request = get(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        body += part;
      });
      response.on('error', reject);
      response.on('end', () =>
        response.statusCode === 200 ? resolve(body) : reject(new Error(`HTTP ${response.statusCode}`)),
      );
    });
    request.on('error', reject);
  });
}

/** @param {URL} url @param {number} timeoutMs @returns {Promise<string>} */
function overUdp(url, timeoutMs) {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    /** @param {() => void} settle */
    const end = (settle) => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error('no answer'))), timeoutMs);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (answer) => end(() => resolve(answer.toString())));
    socket.bind(nextPort++, () => socket.send('who are you?', Number(url.port), host));
  });
}

/** @param {Order} order @returns {Promise<Outcome>} */
async function carryOut({ url: text, count, concurrency = 1, timeoutMs = 10_000 }) {
  const url = new URL(text);
  const ask = url.protocol === 'udp:' ? overUdp : overHttp;
  /** @type {Map<string, number>} */
  const servers = new Map();
  /** @type {Map<string, number>} */
  const errors = new Map();
  const clients = new Set();
  let started = 0;
  let failed = 0;
  /** @param {Map<string, number>} counts @param {string} key */
  const increment = (counts, key) => counts.set(key, (counts.get(key) ?? 0) + 1);
  const worker = async () => {
    while (started < count) {
      started++;
      try {
        const [server = '', client = ''] = (await ask(url, timeoutMs)).trim().split(' ');
        increment(servers, server);
        clients.add(client);
      } catch (error) {
        failed++;
        const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
        increment(errors, typeof code === 'string' ? code : message);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return {
    sent: started,
    failed,
    servers: Object.fromEntries([...servers].sort()),
    clients: [...clients],
    errors: Object.fromEntries(errors),
  };
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await carryOut(JSON.parse(line))));
}
