// A client with long connections, each of which says a word again and again and waits for the answer, which names the
// server. Says "ready"; then takes one order a line as JSON, and answers each with a line of JSON:
//
//   {"open":"192.0.2.10:80","count":4}   ->  {"opened":["10.0.0.11:80",…],"failed":["ECONNREFUSED",…]}
//   {"once":"192.0.2.10:80","count":4}   ->  the same, and they are closed at once
//   {"report":true}                      ->  {"open":{"192.0.2.10:80":4},"answers":…,"lost":[…]}: since the last report
//
// One is lost if it ends by itself, or has no answer for so long:
const SILENCE_MS = 15_000;
const PAUSE_MS = 500;

import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** @type {Set<Talker>} */
const talkers = new Set();
/** @type {object[]} */
let lost = [];
let answers = 0;

class Talker {
  to;
  #server = '';
  #openedAtMs = Date.now();
  #socket;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {string} to */
  constructor(to) {
    this.to = to;
    const [host, port] = to.split(':');
    this.#socket = connect({ host, port: Number(port), noDelay: true });
  }

  /** The server that answers first. */
  open() {
    return new Promise((resolve, reject) => {
      this.#socket.on('connect', () => this.#say());
      this.#socket.once('data', (data) => {
        this.#server = data.toString().trim();
        talkers.add(this);
        this.#socket.on('data', () => this.#heard());
        this.#heard();
        resolve(this.#server);
      });
      this.#socket.on('error', (error) => this.#end(error.message));
      this.#socket.on('close', () => {
        this.#end('closed');
        reject(new Error(this.reason));
      });
      this.#awaitAnswer();
    });
  }

  reason = '';

  #say() {
    if (!this.#socket.destroyed) this.#socket.write('?\n');
    this.#awaitAnswer();
  }

  #awaitAnswer() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.destroy(new Error('silence')), SILENCE_MS);
  }

  #heard() {
    answers++;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#say(), PAUSE_MS);
  }

  /** @param {string} reason */
  #end(reason) {
    clearTimeout(this.#timer);
    this.reason ||= reason;
    if (!talkers.delete(this)) return;
    const { to, reason: why } = this;
    lost.push({ to, server: this.#server, openedAtMs: this.#openedAtMs, lostAtMs: Date.now(), reason: why });
  }

  close() {
    talkers.delete(this);
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }
}

/** @param {string} to @param {number} count @param {boolean} stays */
async function opened(to, count, stays) {
  const tried = Array.from({ length: count }, () => new Talker(to));
  const results = await Promise.allSettled(tried.map((talker) => talker.open()));
  if (!stays) for (const talker of tried) talker.close();
  return {
    opened: results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
    failed: results.flatMap((result) => (result.status === 'rejected' ? [result.reason.message] : [])),
  };
}

function report() {
  /** @type {Record<string, number>} */
  const open = {};
  for (const { to } of talkers) open[to] = (open[to] ?? 0) + 1;
  const said = { open, answers, lost };
  [answers, lost] = [0, []];
  return said;
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const { open, once, count = 1 } = JSON.parse(line);
  const to = open ?? once;
  console.log(JSON.stringify(to ? await opened(to, count, open !== undefined) : report()));
}
