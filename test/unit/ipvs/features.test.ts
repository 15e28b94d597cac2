import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { kernelsPage } from '../../../scripts/lib/kernels-page.mjs';
import { errno } from '../../../src/base/errors.ts';
import { type Feature, featureKey, featureOf, features, isOlder, moduleHint } from '../../../src/ipvs/features.ts';
import { refusalOf } from '../../../src/ipvs/refusal.ts';
import { normalizeService } from '../../../src/ipvs/service.ts';

const byKey = features.map((feature) => [featureKey(feature), feature] as const);

describe('the table', () => {
  it.each(byKey)('%s', (key, { kind, name, since, configuration, purpose, without }) => {
    expect(featureOf(key)).toMatchObject({ kind, name });
    expect(since ?? 'about 3.0').toMatch(/^(about )?[3-9]\.\d+$/);
    expect(configuration ?? 'CONFIG_X').toMatch(/^CONFIG_[A-Z0-9_]+$/);
    // They stand in the cells of a table.
    for (const text of [purpose, without]) expect(text).toMatch(/^\S[^|\n]*[^.!\s]$/);
  });

  it('says each thing once', () => {
    expect(new Set(byKey.map(([key]) => key)).size).toBe(features.length);
  });

  it('has every scheduler and engine that an input can name, and no other', () => {
    const names = features.filter(({ kind }) => kind === 'scheduler').map(({ name }) => name);
    for (const scheduler of names)
      expect(normalizeService({ address: 'fwmark:1', scheduler })).toMatchObject({ scheduler });
    const engines = features.filter(({ kind }) => kind === 'engine').map(({ name }) => name);
    const address = 'udp://192.0.2.1:5060';
    for (const engine of engines) expect(normalizeService({ address, persistence: { engine } })).toBeDefined();
  });

  it('is what docs/reference/kernels.md shows: "npm run docs" makes it anew', () => {
    const page = readFileSync(new URL('../../../docs/reference/kernels.md', import.meta.url), 'utf8');
    expect(page).toBe(kernelsPage(features, isOlder));
  });
});

describe('isOlder', () => {
  const since = (since?: string): Feature => ({ ...(featureOf('scheduler rr') as Feature), ...(since && { since }) });

  it.each([
    ['6.1.0-50-amd64', '6.2', true],
    ['6.1.0-50-amd64', '6.1', false],
    ['6.12.117+deb13-amd64', '6.2', false],
    ['6.12.117+deb13-amd64', 'about 7.1', true],
    ['7.2.7', 'about 7.1', false],
    ['7.2.7', '7.2', false],
    ['7.10.0', '7.2', false],
    ['5.15.0-112-generic', '6.1', true],
    ['10.0.0', '7.2', false],
    ['2.6.32', undefined, false],
  ])('Linux %s and a feature of %s: %s', (release, version, older) => {
    expect(isOlder(release, since(version))).toBe(older);
  });
});

describe('the hint of an error says which kernel has it', () => {
  it.each([
    ['scheduler', 'mh', 'the scheduler "mh" came with Linux 4.18, as a module: is ip_vs_mh there for this kernel?'],
    ['scheduler', 'fo', 'the scheduler "fo" came around Linux 3.18, as a module: is ip_vs_fo there for this kernel?'],
    ['scheduler', 'rr', 'a scheduler is a module: is ip_vs_rr there for this kernel?'],
    ['scheduler', 'fastest', 'a scheduler is a module: is ip_vs_fastest there for this kernel?'],
    ['engine', 'sip', 'an engine is a module: is ip_vs_pe_sip there for this kernel?'],
  ] as const)('%s %s', (kind, name, hint) => {
    expect(moduleHint(kind, name)).toBe(hint);
  });

  it('in a refusal, by either interface', () => {
    const service = normalizeService({
      address: 'udp://192.0.2.1:5060',
      scheduler: 'mh',
      persistence: { engine: 'sip' },
    });
    const enoent = { errno: errno.ENOENT, text: undefined };
    expect(refusalOf({ type: 'service.add', service }, enoent, () => undefined)).toMatchObject({
      code: 'SCHEDULER_NOT_FOUND',
      hint: moduleHint('scheduler', 'mh'),
    });
    expect(refusalOf({ type: 'service.edit', service }, enoent, () => false)).toMatchObject({
      code: 'ENGINE_NOT_FOUND',
      hint: moduleHint('engine', 'sip'),
    });
  });
});
