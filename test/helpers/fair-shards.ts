/** Shares test files between several runs (--shard) so that they end at about the same time. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The seconds of each file in the last run, which scripts/test writes. */
const lastRun = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ipvs-director', 'test-times.json');
/** In a fast bed, where no run has measured it and it takes more than a few seconds. */
const usual: Readonly<Record<string, number>> = {
  'test/kernel/defense.test.ts': 113,
  'test/kernel/service-rules.test.ts': 97,
  'test/kernel/documents/reference.test.ts': 57,
  'test/kernel/drain.test.ts': 50,
  'test/kernel/masquerade.test.ts': 47,
  'test/kernel/documents/guides.test.ts': 29,
  'test/kernel/sysctl.test.ts': 28,
  'test/kernel/keepalived.test.ts': 28,
  'test/kernel/cli.test.ts': 25,
  'test/kernel/crash.test.ts': 24,
  'test/kernel/history.test.ts': 12,
  'test/kernel/mappings.test.ts': 11,
  'test/kernel/trash.test.ts': 11,
  'test/e2e/masquerade.test.ts': 10,
  'test/kernel/transports.test.ts': 10,
  'test/kernel/state-folder.test.ts': 10,
  'test/kernel/bulk.test.ts': 9,
  'test/kernel/description.test.ts': 8,
  'test/kernel/connections.test.ts': 8,
  'test/kernel/cli-look.test.ts': 7,
  'test/kernel/leaks.test.ts': 7,
  'test/kernel/address-model.test.ts': 7,
  'test/kernel/addresses.test.ts': 6,
};

export default class FairShards extends BaseSequencer {
  readonly #seconds: Readonly<Record<string, number>> = {
    ...usual,
    ...(existsSync(lastRun) ? JSON.parse(readFileSync(lastRun, 'utf8')) : {}),
  };

  /** The longest first, each to the run that has the least so far. */
  override async shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { index, count } = this.ctx.config.shard ?? { index: 1, count: 1 };
    const shards = Array.from({ length: count }, () => ({ seconds: 0, files: [] as TestSpecification[] }));
    const byName = files.toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
    for (const file of byName.toSorted((a, b) => this.#secondsOf(b) - this.#secondsOf(a))) {
      const least = shards.reduce((best, shard) => (shard.seconds < best.seconds ? shard : best));
      least.files.push(file);
      least.seconds += this.#secondsOf(file);
    }
    return shards[index - 1]?.files ?? [];
  }

  #secondsOf({ moduleId }: TestSpecification): number {
    return this.#seconds[relative(this.ctx.config.root, moduleId)] ?? 5;
  }
}
