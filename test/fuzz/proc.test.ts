/** Files of /proc/net that are not as the kernel prints them. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Application, applicationsOf } from '../../src/ipvs/application.ts';
import { connectionOf } from '../../src/ipvs/connection.ts';
import { KernelFiles } from '../../src/ipvs/kernel-files.ts';
import { type TableStatus, tableStatusOf } from '../../src/ipvs/table-status.ts';
import { type Totals, totalsOf } from '../../src/ipvs/totals.ts';
import { allLinesOf, linesOf } from '../../src/proc/lines.ts';
import { type FileName, lines } from './corpus.ts';
import { HostilePeer } from './hostile-peer.ts';
import {
  eventualOutcomeOf,
  expectConnection,
  expectCounters,
  expectStatistics,
  expectWhole,
  lawful,
  outcomeOf,
} from './laws.ts';
import { mutatedLines, mutatedText } from './mutation.ts';
import { fuzz } from './runs.ts';

const words = [
  ' ',
  '  ',
  '\t',
  ':',
  '-',
  '~',
  '0',
  '7FFFFFFF',
  'FFFFFFFFFFFFFFFFF',
  '99999999999999999999',
  'IP ',
  'NaN',
  '\0',
  '%',
  '1e9',
];
const file = (name: FileName) => mutatedLines(lines(name), words);

describe('connections', () => {
  const corpus = lines('ip_vs_conn');

  test('are read as the kernel prints them', () => {
    expect(corpus.filter((line) => connectionOf(line) === undefined)).toEqual([corpus[0]]);
  });

  test('of broken lines are lawful, or refused', () =>
    fuzz(
      6000,
      fc.property(mutatedText(corpus, words), (line) => {
        lawful(
          () => connectionOf(line),
          (connection) => connection && expectConnection(connection),
          ['REPLY_MALFORMED'],
        );
      }),
    ));

  test('cut off anywhere before what an engine found are refused', () => {
    // Numbers too long for their column are those of timers that ran out; that they are cut off only the file can tell.
    for (const line of corpus.slice(1).filter((line) => !/\d{8,}$/.test(line))) {
      const end = / \d+(?= sip |$)/.exec(line) as RegExpExecArray;
      for (let length = 1; length < end.index + end[0].length; length++) {
        expect(
          outcomeOf(() => connectionOf(line.slice(0, length))),
          line.slice(0, length),
        ).toMatchObject({
          code: 'REPLY_MALFORMED',
        });
      }
    }
  });
});

function expectTotals({ total, cpus }: Totals): void {
  expectStatistics(total);
  for (const { cpu, ...counters } of cpus) {
    expectWhole(cpu, 0, 2 ** 32 - 1);
    expectCounters(counters);
  }
}

function expectApplications(applications: readonly Application[]): void {
  for (const { name, protocol, port, users } of applications) {
    expect(name).toMatch(/^\S+$/);
    expect(protocol).toMatch(/^\S+$/);
    expectWhole(port, 0, 0xffff);
    expectWhole(users, -(10 ** 10), 10 ** 10);
  }
}

function expectStatus({ connections, connectionTable, services, serviceTable, lines }: TableStatus): void {
  for (const count of [connections, services]) expectWhole(count, 0, 10 ** 10);
  for (const { buckets, loadFactor, emptyBuckets } of [connectionTable, serviceTable]) {
    expectWhole(buckets, 0, 10 ** 10);
    expectWhole(emptyBuckets, 0, 10 ** 10);
    expectWhole(loadFactor, -99, 99);
  }
  for (const value of Object.values(lines)) expect(value).toBeTypeOf('string');
}

describe('the other files', () => {
  test('are read as the kernel prints them', () => {
    expectTotals(totalsOf(lines('ip_vs_stats'), lines('ip_vs_stats_percpu')));
    expect(applicationsOf(lines('ip_vs_app')).length).toBe(1);
    expectStatus(tableStatusOf(lines('ip_vs_status')));
  });

  test('totals of broken files are lawful, or refused', () =>
    fuzz(
      3000,
      fc.property(file('ip_vs_stats'), file('ip_vs_stats_percpu'), (stats, perCpu) => {
        lawful(() => totalsOf(stats, perCpu), expectTotals, ['REPLY_MALFORMED']);
      }),
    ));

  test('applications of a broken file are lawful, or refused', () =>
    fuzz(
      2000,
      fc.property(file('ip_vs_app'), (lines) =>
        lawful(() => applicationsOf(lines), expectApplications, ['REPLY_MALFORMED']),
      ),
    ));

  test('the status of a broken file is lawful, or refused', () =>
    fuzz(
      2000,
      fc.property(file('ip_vs_status'), (lines) =>
        lawful(() => tableStatusOf(lines), expectStatus, ['REPLY_MALFORMED']),
      ),
    ));

  test('a number that is no number is refused, wherever it stands', () => {
    const refused = expect.objectContaining({ code: 'REPLY_MALFORMED' });
    const files: [FileName, (lines: readonly string[]) => unknown][] = [
      ['ip_vs_stats', (broken) => totalsOf(broken, lines('ip_vs_stats_percpu'))],
      ['ip_vs_stats_percpu', (broken) => totalsOf(lines('ip_vs_stats'), broken)],
      ['ip_vs_app', applicationsOf],
    ];
    for (const [name, read] of files) {
      for (const [i, line] of lines(name).entries()) {
        // From the row of all processors on, the file says again what the other says.
        if (/^[A-Z a-z/-]*$/.test(line) || (name === 'ip_vs_stats_percpu' && i > 2)) continue;
        for (const { index } of line.matchAll(/\b[0-9A-F]+\b/g)) {
          const broken = lines(name).with(i, `${line.slice(0, index)}x${line.slice(index + 1)}`);
          expect(() => read(broken), broken[i]).toThrow(refused);
        }
      }
    }
  });
});

describe('a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipvs-director-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What /proc/net/NAME is: this content, whatever the name. */
  class Files extends HostilePeer {
    readonly #content: string;

    constructor(content: string) {
      super(0);
      this.#content = content;
    }

    override openProcNet(): number {
      const path = join(folder, 'content');
      writeFileSync(path, this.#content, 'latin1');
      this.open++;
      return openSync(path, 'r');
    }

    override close(fd?: number): number {
      closeSync(fd as number);
      return super.close();
    }
  }

  const contents = fc.oneof(
    mutatedText([lines('ip_vs_conn').join('\n')], ['\n', '\n\n', '\0', 'ÿ']).map((text) =>
      text.replace(/[^\0-ÿ]/g, '?'),
    ),
    fc.tuple(fc.integer({ min: 65_000, max: 140_000 }), fc.nat(70_000)).map(([length, at]) => {
      return `${'x'.repeat(at)}\n${'y'.repeat(length)}\n`;
    }),
  );

  test('comes line by line, or is refused; and is closed', () =>
    fuzz(
      500,
      fc.asyncProperty(contents, async (content) => {
        const files = new Files(content);
        const outcome = await eventualOutcomeOf(() => allLinesOf(files, '', 'ip_vs_conn'));
        const longest = Math.max(...content.split('\n').map((line) => line.length));
        if ('value' in outcome) {
          expect(outcome.value.map((line) => `${line}\n`).join('')).toBe(content);
        } else {
          expect(outcome.code).toBe('REPLY_MALFORMED');
          // It ends within a line, or never ends one.
          expect(!content.endsWith('\n') || longest > 64 * 1024).toBe(true);
        }
        expect(files.open).toBe(0);
      }),
    ));

  test('whose reader goes away is closed', async () => {
    const files = new Files('a\nb\n');
    for await (const lines of linesOf(files, '', 'ip_vs_conn')) {
      expect(lines).toEqual(['a', 'b']);
      break;
    }
    expect(files.open).toBe(0);
  });

  test('of broken connections gives lawful ones, until one is refused', () =>
    fuzz(
      300,
      fc.asyncProperty(file('ip_vs_conn'), async (lines) => {
        const content = lines.join('\n').replace(/[^\0-ÿ]/g, '?');
        const files = new Files(content);
        const view = new KernelFiles({ native: files, namespacePath: '' });
        const outcome = await eventualOutcomeOf(async () => {
          for await (const connection of view.connections()) expectConnection(connection);
        });
        if ('code' in outcome) expect(outcome.code).toBe('REPLY_MALFORMED');
        expect(files.open).toBe(0);
      }),
    ));
});
