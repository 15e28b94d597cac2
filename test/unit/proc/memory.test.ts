import { describe, expect, test } from 'vitest';
import { memoryOf, pageBytes, pageOf, pressureOf, readMemory } from '../../../src/proc/memory.ts';

const meminfo = `MemTotal:        2048672 kB
MemFree:         2025668 kB
MemAvailable:    2017888 kB
Buffers:              12 kB
Cached:             3552 kB
HugePages_Total:       0
`;

describe('/proc/meminfo', () => {
  test('is in kibibytes', () => {
    expect(memoryOf(meminfo)).toEqual({
      totalBytes: 2048672 * 1024,
      freeBytes: 2025668 * 1024,
      buffersBytes: 12 * 1024,
      availableBytes: 2017888 * 1024,
    });
  });

  test.each(['MemTotal', 'MemFree', 'MemAvailable', 'Buffers'])('without %s is not believed', (name) => {
    const text = meminfo.replace(`${name}:`, `Not${name}:`);
    expect(() => memoryOf(text)).toThrow(`/proc/meminfo: the kernel's answer cannot be read: it has no ${name}`);
  });

  test('is there', () => {
    const { totalBytes, freeBytes, availableBytes } = readMemory();
    expect(freeBytes).toBeLessThan(totalBytes);
    expect(availableBytes).toBeLessThanOrEqual(totalBytes);
  });
});

describe('/proc/pressure/memory', () => {
  test('is a share of ten seconds', () => {
    const text = 'some avg10=12.34 avg60=1.00 avg300=0.10 total=5\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=1\n';
    expect(pressureOf(text)).toBeCloseTo(0.1234);
  });

  test('of another form is not believed', () => {
    expect(() => pressureOf('full avg10=1.00 avg60=0.00\n')).toThrow('it has no avg10');
  });
});

describe('a page', () => {
  test('is what the kernel said to the process', () => {
    const auxiliary = Buffer.alloc(48);
    auxiliary.writeBigUInt64LE(33n, 0);
    auxiliary.writeBigUInt64LE(6n, 16);
    auxiliary.writeBigUInt64LE(65536n, 24);
    expect(pageOf(auxiliary)).toBe(65536);
    expect(pageOf(Buffer.alloc(16))).toBe(4096);
    expect([4096, 16384, 65536]).toContain(pageBytes());
  });
});
