// A long download whose every byte is known.
//
//   node download.mjs serve PORT BYTES BYTES-PER-SECOND     serves it, slowly, until its input ends
//   node download.mjs fetch ADDRESS PORT BYTES              fetches it
//
// Both say "ready". "fetch" prints a line of JSON each second, { received }, and at the end { received, intact,
// longestGapMs, error }: whether every byte was the one that it should be, and how long there was none.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/** What stands at a place does not depend on the place before it, and does not repeat in a piece.
 * @param {number} offset @param {number} length */
function piece(offset, length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = ((offset + i) * 2_654_435_761) >>> 13;
  return bytes;
}

const [verb, ...words] = process.argv.slice(2);
if (verb === 'serve') await serve(words.map(Number));
else await fetchAll(words);

/** @param {number[]} words */
async function serve([port = 0, bytes = 0, rate = 0]) {
  const server = createServer(async (socket) => {
    socket.on('error', () => undefined);
    const step = Math.ceil(rate / 10);
    for (let sent = 0; sent < bytes && !socket.destroyed; sent += step) {
      if (!socket.write(piece(sent, Math.min(step, bytes - sent))))
        await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
      await wait(100);
    }
    socket.end();
  });
  server.listen(port, '::');
  await once(server, 'listening');
  process.stdin.on('end', () => process.exit()).resume();
  console.log('ready');
}

/** @param {string[]} words */
async function fetchAll([address = '', port, bytes]) {
  const socket = connect(Number(port), address);
  await once(socket, 'connect');
  console.log('ready');
  let received = 0;
  let intact = true;
  let longestGapMs = 0;
  let lastAt = Date.now();
  let error;
  const ticker = setInterval(() => console.log(JSON.stringify({ received })), 1000);
  try {
    for await (const part of socket) {
      longestGapMs = Math.max(longestGapMs, Date.now() - lastAt);
      lastAt = Date.now();
      intact &&= piece(received, part.length).equals(part);
      received += part.length;
    }
  } catch (reason) {
    error = String(reason);
  }
  clearInterval(ticker);
  console.log(JSON.stringify({ received, intact: intact && received === Number(bytes), longestGapMs, error }));
}
