/** Every example, and every block of YAML in the documents, is what `ipvs apply` takes; every link leads to a file. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadState } from '../../src/state/load.ts';
import { blocksOf, documents, filesIn } from '../helpers/documents.ts';

const lookup = async () => ['10.255.0.1', 'fd00::ffff'];

describe('examples', () => {
  test.each(filesIn('examples', '.yaml'))('%s', async (file) => {
    const { state, warnings } = await loadState(file, { lookup });
    expect(state.services.length).toBeGreaterThan(0);
    expect(warnings).toEqual([]);
    expect(readFileSync(file, 'utf8')).not.toContain('\t');
  });

  test('the realistic one has what a director has, the large one is large', async () => {
    const { state, files } = await loadState('examples/director.yaml');
    expect(files.map(({ path }) => path)).toEqual([
      'examples/director.yaml',
      'examples/conf.d/dns.yaml',
      'examples/conf.d/shop.yaml',
    ]);
    expect(Object.keys(state).sort()).toEqual(['limits', 'services', 'sync', 'timeouts']);
    expect((await loadState('examples/large.yaml')).state.services).toHaveLength(1000);
  });

  test('name the schema where it is', () => {
    for (const file of filesIn('examples', '.yaml')) {
      const path = /^# yaml-language-server: \$schema=(\S+)/.exec(readFileSync(file, 'utf8'))?.[1];
      if (path !== undefined)
        expect(JSON.parse(readFileSync(join(file, '..', path), 'utf8'))).toHaveProperty('properties');
    }
  });
});

describe('documents', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipvs-documents-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const blocks = documents.flatMap((document) =>
    blocksOf(document)
      .filter(({ language }) => language === 'yaml')
      .map(({ line, text }) => [`${document}:${line}`, text] as const),
  );

  test.each(blocks)('%s', async (_, text) => {
    // Named ones are files that others may include.
    const name = /^# (\S+\.yaml)$/m.exec(text)?.[1] ?? 'state.yaml';
    writeFileSync(join(folder, name), text);
    const loading = loadState(join(folder, name), { lookup });
    if (name === 'wrong.yaml') await expect(loading).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    else expect(Object.keys((await loading).state).length).toBeGreaterThan(0);
  });

  test.each([...documents, 'ARCHITECTURE.md', 'CHANGELOG.md'])('%s links to files that are there', (document) => {
    const targets = [...readFileSync(document, 'utf8').matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
    const paths = targets.filter((target) => !URL.canParse(target)).map((target) => target.replace(/#.*/, ''));
    expect(paths.filter((path) => !existsSync(resolve(document, '..', path)))).toEqual([]);
  });

  // test/kernel/documents.test.ts runs these, and the text is what they print.
  test.each(documents)('%s has only blocks that are run', (document) => {
    const languages = blocksOf(document).map(({ language }) => language);
    expect(['yaml', 'sh', 'text', 'ts']).toEqual(expect.arrayContaining(languages));
  });
});
