/** The manual is written from what commands say of themselves, and what they say holds. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorTable } from '../../../src/base/errors.ts';
import { manualChapters } from '../../../src/cli/manual/entries.ts';
import { manualPages } from '../../../src/cli/manual/pages.ts';
import * as settings from '../../../src/ipvs/settings.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const pages = await manualPages(version, (path) => readFileSync(path, 'utf8'));
const entries = (await manualChapters()).flatMap(({ entries }) => entries);

test.each(Object.entries(pages))('%s is as "npm run docs" writes it', (path, text) => {
  expect(existsSync(path) && readFileSync(path, 'utf8')).toBe(text);
});

describe.each(entries.map((entry) => [entry.usage, entry] as const))('ipvs %s', (usage, entry) => {
  const named = [...usage.matchAll(/[<[](\w+)/g)].map(([, name = '']) => name);

  test('explains every word of its usage', () => {
    expect(Object.keys(entry.arguments ?? {})).toEqual(named);
  });

  test('has examples, of itself, with options that it has', () => {
    expect(entry.examples.length).toBeGreaterThan(0);
    const aliases = Object.values(entry.options ?? {}).map(({ alias }) => alias);
    for (const { line } of entry.examples) {
      expect(line).toMatch(
        new RegExp(`^ipvs ${usage.split(/ ?[<[]/, 1)[0]?.replace(/ (list|show|status)$/, '( $1)?')}`),
      );
      for (const [, name = ''] of line.matchAll(/ --([\w-]+)/g)) {
        expect([...Object.keys(entry.options ?? {}), 'json'], line).toContain(name.replace(/^no-/, ''));
      }
      for (const [, name] of line.matchAll(/ -(\w)\b/g)) expect(aliases, line).toContain(name);
    }
  });
});

test('settings name features and errors that there are', () => {
  const { sinceOf, ...tables } = settings;
  for (const setting of Object.values(tables).flat()) {
    for (const code of setting.errors) expect(errorTable).toHaveProperty(code);
    if (setting.feature !== undefined) expect(sinceOf(setting), setting.feature).toMatch(/\d/);
  }
});
