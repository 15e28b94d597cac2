import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { native } from '../../../src/kernel/native.ts';
import { isAmong, isLocked, lock } from '../../../src/record/lock.ts';

let path: string;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'ipvs-lock-'));
  path = join(folder, 'lock');
  return () => rmSync(folder, { recursive: true, force: true });
});

const held = () => lock(path, { native: native(), purpose: 'a test', timeoutMs: 0 });

describe('whether a lock is held is seen', () => {
  test('without a file, held, and released', async () => {
    expect(isLocked(path)).toEqual({ locked: false });
    const mine = await held();
    const holder = { pid: process.pid, purpose: 'a test', since: expect.any(String) };
    expect(isLocked(path)).toEqual({ locked: true, holder });
    mine.release();
    expect(isLocked(path)).toEqual({ locked: false });
  });

  test.each(['', '{', 'null', '[]', '{"pid":"x","purpose":1}', '{"pid":1,"purpose":null,"since":2}'])(
    'its holder is not named if the file says %j',
    async (text) => {
      const mine = await held();
      writeFileSync(path, text);
      expect(isLocked(path)).toEqual({ locked: true });
      await expect(held()).rejects.toMatchObject({ code: 'LOCKED', detail: 'its holder says nothing of itself' });
      mine.release();
    },
  );

  test('in the list of the kernel: by device and inode, or by inode and the process that signed', () => {
    const line = (type: string, pid: number, place: string) => `1: ${type} ${pid} ${place} 0 EOF\n`;
    const flock = (pid: number, place: string) => line('FLOCK  ADVISORY  WRITE', pid, place);
    const file = { dev: 0x801n, ino: 5678n };
    expect(isAmong(`${flock(7, '00:2e:5678')}${flock(9, '08:01:5678')}`, file, undefined)).toBe(true);
    expect(isAmong(flock(9, '103:10101:5678'), { dev: 0x101_0010_301n, ino: 5678n }, undefined)).toBe(false);
    expect(isAmong(flock(9, '103:100:5678'), { dev: 0x110_300n, ino: 5678n }, undefined)).toBe(true);
    expect(isAmong(flock(9, '00:2e:5678'), file, 9)).toBe(true);
    expect(isAmong(flock(9, '00:2e:5678'), file, 8)).toBe(false);
    expect(isAmong(flock(9, '08:01:5679'), file, 9)).toBe(false);
    expect(isAmong(line('POSIX  ADVISORY  WRITE', 9, '08:01:5678'), file, 9)).toBe(false);
    expect(isAmong(line('FLOCK  ADVISORY  READ ', 9, '08:01:5678'), file, 9)).toBe(false);
    // One that waits for the lock does not hold it.
    expect(isAmong('1: -> FLOCK  ADVISORY  WRITE 9 08:01:5678 0 EOF\n', file, 9)).toBe(false);
    expect(isAmong('', { dev: BigInt(statSync('/').dev), ino: 2n }, undefined)).toBe(false);
  });
});
