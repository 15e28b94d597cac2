/** Shares test files between several runs (--shard) so that they end at about the same time. */
import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Minutes on a kernel that is emulated, where they are more than one: most of it are starts of the command. */
const minutes: Readonly<Record<string, number>> = {
  documents: 30,
  history: 11,
  'service-rules': 9,
  sysctl: 6,
  masquerade: 6,
  crash: 5,
  cli: 5,
  defense: 4,
  mappings: 1,
  model: 3,
  drain: 3,
  'cli-look': 2,
  memory: 2,
};

export default class FairShards extends BaseSequencer {
  /** The longest first, each to the run that has the least so far. */
  override async shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { index, count } = this.ctx.config.shard ?? { index: 1, count: 1 };
    const shards = Array.from({ length: count }, () => ({ minutes: 0, files: [] as TestSpecification[] }));
    const byName = files.toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
    for (const file of byName.toSorted((a, b) => minutesOf(b) - minutesOf(a))) {
      const least = shards.reduce((best, shard) => (shard.minutes < best.minutes ? shard : best));
      least.files.push(file);
      least.minutes += minutesOf(file);
    }
    return shards[index - 1]?.files ?? [];
  }
}

function minutesOf({ moduleId }: TestSpecification): number {
  return minutes[basename(moduleId, '.test.ts')] ?? 0.5;
}
