/** A backend that breaks at one operation, counted over all calls: by a refusal, by losing the way, or by the end of the process. */
import { IpvsError } from '../../src/base/errors.ts';
import type { Backend } from '../../src/ipvs/backend.ts';
import { describe, type Operation, type OperationResult } from '../../src/ipvs/operation.ts';

export type Break = 'refuse' | 'lose' | 'crash';

/** The process ended: nothing that runs afterwards may depend on anything but what is on disk and in the table. */
export class Crash extends Error {}

export function breakingAt(backend: Backend, at: number, how: Break): Backend {
  let count = 0;
  async function execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    const results: OperationResult[] = [];
    for (const operation of operations) {
      const broken = count++ === at;
      if (broken && how === 'refuse') {
        const { verb, subject } = describe(operation);
        results.push({ operation, error: new IpvsError('KERNEL_REFUSED', { operation: verb, subject, errno: 12 }) });
        continue;
      }
      results.push(...(await backend.execute([operation])));
      // It was done, and nobody heard of it.
      if (broken) throw how === 'lose' ? new IpvsError('REPLY_LOST') : new Crash();
    }
    return results;
  }
  return new Proxy(backend, {
    get(target, name) {
      if (name === 'execute') return execute;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
