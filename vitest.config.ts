import { defineConfig } from 'vitest/config';
import FairShards from './test/helpers/fair-shards.ts';

const setupFiles = process.env['IPVS_DIRECTOR_ADDON'] ? ['test/helpers/named-addon.ts'] : [];

export default defineConfig({
  test: {
    sequence: { sequencer: FairShards },
    projects: [
      {
        // Needs nothing: no privileges, no kernel module.
        // A busy machine is slow; nothing here waits for anything.
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], setupFiles, testTimeout: 120_000 },
      },
      {
        // Broken input at every door: as `unit`, but by chance.
        test: {
          name: 'fuzz',
          include: ['test/fuzz/**/*.test.ts'],
          setupFiles,
          globalSetup: ['test/fuzz/seed.ts'],
          // How long it takes is up to FUZZ_RUNS and FUZZ_SECONDS.
          testTimeout: 0,
        },
      },
      {
        // Needs root and ip_vs: `scripts/bed -- npm run test:kernel` where the host has neither.
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          setupFiles: [...setupFiles, 'test/helpers/kernel-leaks.ts', 'test/helpers/process-starts.ts'],
          globalSetup: ['test/helpers/kernel-setup.ts'],
          pool: 'forks',
          fileParallelism: false,
          // One process for all files: every file makes network namespaces of its own.
          isolate: false,
          // A kernel under software emulation is some twenty times slower.
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        // Needs the lab: `scripts/lab test`.
        test: {
          name: 'vagrant',
          include: ['test/vagrant/**/*.test.ts'],
          setupFiles: ['test/vagrant/lab/failure.ts'],
          pool: 'forks',
          fileParallelism: false,
          // Machines that are emulated take minutes to boot.
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
        },
      },
    ],
    coverage: { provider: 'v8', include: ['src/**'], exclude: ['src/cli/**'] },
  },
});
