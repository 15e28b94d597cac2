/** Says at once, and once, why the kernel tests cannot run here; and keeps the record of what they do to itself. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import { native } from '../../src/kernel/native.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether the tests made the kernel load ip_vs, so that it is theirs to unload. */
    ipvsLoadedByTests: boolean;
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  if (process.getuid?.() !== 0) throw new Error('the kernel tests need root: run "scripts/bed -- npm run test:kernel"');
  project.provide('ipvsLoadedByTests', !existsSync('/proc/net/ip_vs'));
  const backend = new NetlinkBackend({ native: native(), namespacePath: '' });
  try {
    await backend.info(); // makes the kernel load ip_vs
  } finally {
    backend.close();
  }
  if (!existsSync('/proc/net/ip_vs')) throw new Error('the kernel has the netlink family, but no /proc/net/ip_vs');
  // The processes that run tests, and the commands that those run, are children of this one.
  const folder = mkdtempSync(join(tmpdir(), 'ipvs-record-'));
  process.env['IPVS_DIRECTOR_STATE_DIR'] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
