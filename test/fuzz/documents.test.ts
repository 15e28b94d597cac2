/** Files: descriptions of a state in YAML, tables in JSON. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../src/base/errors.ts';
import { normalizeDestination } from '../../src/ipvs/destination.ts';
import type { Table } from '../../src/ipvs/memory/table.ts';
import { statisticsOf } from '../../src/ipvs/memory/table.ts';
import { formatTable, parseTable } from '../../src/ipvs/memory/table-file.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { serviceKey } from '../../src/net/address.ts';
import { parseState } from '../../src/state/document.ts';
import type { DesiredState } from '../../src/state/state.ts';
import { expectDestination, expectService, expectStatistics, expectTimeouts, expectWhole } from './laws.ts';
import { mutatedText } from './mutation.ts';
import { fuzz } from './runs.ts';

/** The value, or nothing where the file is refused: with a place for everything that is wrong, each in one line. */
function checked<T>(parse: (text: string, file: string) => T, text: string): T | undefined {
  try {
    return parse(text, 'file');
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.problems.length).toBeGreaterThan(0);
    const lines = text.split(/\r\n|\n|\r/).length;
    const within = (number: number, most: number) => Number.isInteger(number) && number >= 1 && number <= most;
    const placeless = error.problems.filter(
      ({ line, column, message }) => !within(line, lines) || !within(column, text.length + 1) || message === '',
    );
    expect(placeless).toEqual([]);
    expect(error.message.split('\n').length).toBe(error.problems.length);
    return undefined;
  }
}

const whole = readFileSync(new URL('../../examples/web.yaml', import.meta.url), 'utf8').replace(/^ *#.*\n/gm, '');
const states = [
  whole,
  `defaults: { scheduler: sh, schedulerFlags: [sh-port], forward: { tunnel: gue, port: 6080, checksum: csum } }
services:
  - address: [tcp://192.0.2.1:443, "tcp://[2001:db8::1]:443"]
    persistence: { timeout: 15m, netmask: { inet: 24, inet6: 64 } }
    destinations: [{ address: 10.0.0.1, weight: 0 }, { address: "[2001:db8::2]:443", upperThreshold: 9 }]
`,
  `services:
  - &base
    address: fwmark:5
    onePacket: false
    destinations: [ &one { address: "10.0.0.1:80" } ]
  - { address: udp://192.0.2.1:5060, persistence: { engine: sip, timeout: 300s }, destinations: [{ address: 10.0.0.2, forward: direct }] }
  - { address: fwmark:6, persistence: null, destinations: null }
`,
];
const yamlWords = [
  ...[
    '\n',
    '  ',
    '- ',
    '? ',
    ': ',
    ':',
    ', ',
    '{',
    '}',
    '[',
    ']',
    '|\n',
    '>-\n',
    '"',
    "'",
    '#',
    '&a ',
    '*a',
    '*base',
    '*one',
    '<<: *base',
  ],
  ...[
    '!!binary ',
    '!!set ',
    '!x ',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '\t',
    '\r',
    '\0',
    '﻿',
    '\u2028',
    '\ud800',
    '~',
    '.nan',
    '-.inf',
  ],
  ...[
    '0o17',
    '0x10',
    '1e400',
    '-0',
    '2147483648',
    '__proto__: ',
    'constructor: ',
    '"a\\nb": 1',
    'services:\n',
    'weight: ',
    '🙂',
  ],
];

function expectState(state: DesiredState): void {
  const addresses = state.services.map(({ service }) => service.address);
  expect(new Set(addresses).size).toBe(addresses.length);
  for (const { service, destinations } of state.services) {
    expect(normalizeService(service)).toEqual(service);
    for (const { host: _, ...destination } of destinations) {
      expect(normalizeDestination(destination, service.address)).toEqual(destination);
    }
  }
}

describe('a description of a state', () => {
  test('is read', () => {
    for (const text of states) expectState(parseState(text, 'file'));
  });

  test('that is broken is a lawful one, or refused with places', () =>
    fuzz(
      1000,
      fc.property(mutatedText(states, yamlWords), (text) => {
        const state = checked(parseState, text);
        if (state !== undefined) expectState(state);
      }),
    ));

  test('nested however deep, or long, ends', () => {
    const pieces = fc.array(
      fc.constantFrom('[', '{', '- ', '? ', 'a: ', '&a ', '!x ', '*a ', '{a: ', ',', '\n', '\n- ', '"'),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    return fuzz(
      20,
      fc.property(pieces, fc.nat(1000), fc.boolean(), (piece, times, closed) => {
        const text = piece.join('').repeat(times);
        const end = closed ? [...text].reverse().join('').replaceAll('[', ']').replaceAll('{', '}') : '';
        for (const begin of ['', 'services: ', 'services:\n- destinations: ']) checked(parseState, begin + text + end);
        // What is JSON is read by another parser.
        for (const key of ['services', 'include', 'other']) checked(parseState, `{"${key}": ${text}${end}}`);
      }),
    );
  });
});

const tables = [
  '{}',
  formatTable(
    parseTable(
      JSON.stringify({
        services: [
          {
            address: 'tcp://192.0.2.10:80',
            schedulerFlags: ['flag-1'],
            persistence: { netmask: '255.0.255.0' },
            statistics: { connections: '18446744073709551615', rates: { bytesIn: 7 } },
            destinations: [{ address: '10.0.0.1:8080', forward: { tunnel: 'gue', port: 6080, checksum: 'csum' } }],
          },
          { address: 'fwmark:8/inet6', persistence: { netmask: 64, engine: 'sip' } },
        ],
        trash: [{ of: 'fwmark:8', serviceNumber: 3, idleSinceMs: null, destination: { address: '[2001:db8::9]:1' } }],
        syncDaemons: { backup: { interface: 'lo', id: 3, group: 'ff02::81' } },
      }),
      'file',
    ),
  ),
];
const jsonWords = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    'null',
    'true',
    '-1',
    '-0',
    '0',
    '129',
    '1e3',
    '1.5',
    '1e999',
    '9007199254740991',
  ],
  ...[
    '"address": "fwmark:8/inet6",',
    '"__proto__": {},',
    '"number": 1,',
    '\\u0000',
    '\n',
    '4294967296',
    '"255.0.0.0"',
    '"none"',
    'NaN',
  ],
];

function expectTable(table: Table): void {
  const keys = table.services.map(({ address }) => address);
  expect(new Set(keys).size).toBe(keys.length);
  const numbers = table.services.map(({ number }) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const { number, destinations, statistics, ...service } of table.services) {
    expectWhole(number, 1, table.nextNumber - 1);
    expect(serviceKey(service.address)).toBe(service.address);
    expectService(service);
    if (statistics) expectStatistics(statisticsOf(statistics));
    for (const { statistics, ...destination } of destinations) {
      expectDestination(destination);
      if (statistics) expectStatistics(statisticsOf(statistics));
    }
  }
  for (const {
    destination: { statistics: _, ...destination },
    serviceNumber,
  } of table.trash) {
    expectWhole(serviceNumber, 1, Number.MAX_SAFE_INTEGER);
    expectDestination(destination);
  }
  expectTimeouts(table.timeouts);
  expectWhole(table.nextNumber, 1, Number.MAX_SAFE_INTEGER);
  // As it is written it is read again.
  const written = formatTable(table);
  expect(JSON.parse(formatTable(parseTable(written, 'file')))).toEqual(JSON.parse(written));
}

describe('a table', () => {
  test('is read', () => {
    for (const text of tables) expectTable(parseTable(text, 'file'));
  });

  test('that is broken is a lawful one, or refused with places', () =>
    fuzz(
      1000,
      fc.property(mutatedText(tables, jsonWords), (text) => {
        const table = checked(parseTable, text);
        if (table !== undefined) expectTable(table);
      }),
    ));

  test('of other values in their places is a lawful one, or refused with places', () => {
    const odd = fc.constantFrom<unknown>(
      null,
      true,
      '',
      'none',
      '255.0.0.0',
      -1,
      0,
      1,
      2,
      33,
      129,
      0.5,
      2 ** 31,
      2 ** 32,
      2 ** 53 - 1,
      [],
      {},
    );
    return fuzz(
      1000,
      fc.property(fc.array(fc.tuple(fc.nat(200), odd), { minLength: 1, maxLength: 3 }), (replacements) => {
        const value = JSON.parse(tables[1] as string);
        for (const [index, other] of replacements) replace(value, index, other);
        const table = checked(parseTable, JSON.stringify(value));
        if (table !== undefined) expectTable(table);
      }),
    );
  });
});

/** Puts a value in the place of one of those that the tree is made of, counted through. */
function replace(tree: unknown, index: number, value: unknown): void {
  const places: [Record<string, unknown>, string][] = [];
  const visit = (node: unknown) => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(tree);
  const [node, key] = places[index % places.length] ?? [];
  if (node && key) node[key] = value;
}
