import { expect, test } from 'vitest';
import { processSysctls } from '../../../src/proc/sysctl.ts';

const { read, write } = processSysctls;

test('a number is read', () => {
  expect(read('kernel.pid_max')).toBeGreaterThan(300);
});

test('what is none, is not there, or cannot be written is refused', () => {
  expect(() => read('kernel.ostype')).toThrow(
    expect.objectContaining({ code: 'SYSCTL_FAILED', detail: 'it is no number' }),
  );
  const absent = { code: 'SYSCTL_FAILED', subject: 'net.ipv4.vs.nonsense', errnoName: 'ENOENT' };
  expect(() => read('net.ipv4.vs.nonsense')).toThrow(expect.objectContaining(absent));
  expect(() => write('net.ipv4.vs.nonsense', 1)).toThrow(
    expect.objectContaining({ code: 'SYSCTL_FAILED', operation: 'set' }),
  );
});

test.each(['', 'kernel', '../etc/passwd', 'kernel..pid_max', 'kernel/pid_max'])('"%s" is no name', (name) => {
  expect(() => read(name)).toThrow(expect.objectContaining({ code: 'SYSCTL_FAILED', detail: 'it is no name of one' }));
});
