// A process that runs command lines of `ipvs` and modules one after the other, in the network namespace it was
// started in. A message {args, cwd, environment, mark} is a command line, and {module, …} the path of a module; the
// answer is {status}. The mark on both streams ends the output of each. A message {interrupt} interrupts it, as ctrl-c
// does.
//
//   node resident.mjs dist/cli/ipvs.js
import { dirname, join } from 'node:path';

const [node = '', , program = ''] = process.argv;
/** @type {{ main(words: readonly string[]): Promise<number> }} */
const { main } = await import(join(dirname(program), 'main.js'));

let modules = 0;
/** @param {NodeJS.WriteStream} stream @param {string} text */
const write = (stream, text) => new Promise((resolve) => stream.write(text, resolve));

process.on('message', async (/** @type {any} */ message) => {
  if (message.interrupt) {
    process.emit('SIGINT');
    return;
  }
  const { args, module, cwd, environment, mark } = message;
  process.chdir(cwd);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  process.argv = [node, module ?? program, ...args];
  let status = 0;
  try {
    // A module runs once for each address.
    if (module) await import(`${module}?${++modules}`);
    else status = await main(args);
  } catch (error) {
    console.error(error);
    status = 1;
  }
  await Promise.all([write(process.stdout, mark), write(process.stderr, mark)]);
  process.send?.({ status });
});
process.on('disconnect', () => process.exit());
