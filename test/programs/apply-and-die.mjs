// Applies a desired state to a network namespace, and is killed after so many operations: by itself, with SIGKILL.
//
//   node apply-and-die.mjs NAMESPACE STATE-FOLDER OPERATIONS < desired.json
import { readFileSync } from 'node:fs';
import { Director } from '../../dist/director/director.js';
import { Ipvs } from '../../dist/ipvs/ipvs.js';
import { NetlinkBackend } from '../../dist/ipvs/netlink/backend.js';
import { identityOf } from '../../dist/kernel/identity.js';
import { namespacePath } from '../../dist/kernel/namespace.js';
import { native } from '../../dist/kernel/native.js';
import { FolderFiles } from '../../dist/record/files.js';
import { lock } from '../../dist/record/lock.js';
import { Store } from '../../dist/record/store.js';

const [namespace = '', folder = '', operations] = process.argv.slice(2);
const path = namespacePath(namespace);
const backend = new NetlinkBackend({ native: native(), namespacePath: path });
const execute = backend.execute.bind(backend);
let left = Number(operations);
/** @type {typeof execute} */
backend.execute = async (wanted) => {
  const results = [];
  for (const operation of wanted) {
    if (left-- === 0) process.kill(process.pid, 'SIGKILL');
    results.push(...(await execute([operation])));
  }
  return results;
};
const { name, table } = identityOf(native(), path);
const director = new Director({
  ipvs: new Ipvs(backend),
  store: new Store(new FolderFiles(`${folder}/${name}`)),
  table,
  lock: (purpose) => lock(`${folder}/${name}/lock`, { native: native(), purpose }),
});
const { outcome } = await director.apply({ desired: JSON.parse(readFileSync(0, 'utf8')) });
console.log(outcome);
