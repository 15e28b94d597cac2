import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { formatProblem } from '../../../src/base/errors.ts';
import { includeSection } from '../../../src/config/include.ts';
import { type FileReader, loadDocuments } from '../../../src/config/load.ts';

const sections = { include: includeSection, value: { schema: z.number().optional() } };

/** Files in memory, by path. */
function reader(files: Readonly<Record<string, string | Uint8Array>>): FileReader {
  const fail = (code: string, errno: number) => Object.assign(new Error(code), { code, errno: -errno });
  return {
    readFile(path) {
      const content = files[path];
      if (content === undefined) throw fail('ENOENT', 2);
      return Buffer.from(content as string);
    },
    readFolder(folder) {
      if (folder === 'secret') throw fail('EACCES', 13);
      const prefix = folder === '.' ? '' : `${folder}/`;
      const names = Object.keys(files).filter((path) => path.startsWith(prefix));
      if (names.length === 0) throw fail('ENOENT', 2);
      return names.map((path) => path.slice(prefix.length)).filter((name) => !name.includes('/'));
    },
  };
}

function load(files: Readonly<Record<string, string | Uint8Array>>, first = 'main.yaml') {
  const { documents, files: read, problems } = loadDocuments(first, sections, reader(files));
  return {
    values: documents.map(({ file, values }) => [file, values['value']]),
    read: read.map(({ path }) => path),
    problems: problems.map(formatProblem),
  };
}

describe('a file', () => {
  test('alone', () => {
    expect(load({ 'main.yaml': 'value: 1' })).toEqual({
      values: [['main.yaml', 1]],
      read: ['main.yaml'],
      problems: [],
    });
  });

  test('that is not there', () => {
    expect(() => load({})).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE', subject: 'main.yaml' }));
  });

  test('that was read already: what it includes is relative to its folder', () => {
    const source = { text: 'include: [b.yaml]', file: 'a/stdin' };
    const { files } = loadDocuments(source, sections, reader({ 'a/b.yaml': 'value: 2' }));
    expect(files).toEqual([
      { path: 'a/stdin', sha256: createHash('sha256').update(source.text).digest('hex') },
      { path: 'a/b.yaml', sha256: createHash('sha256').update('value: 2').digest('hex') },
    ]);
  });

  test('is known by its bytes, a byte order mark among them', () => {
    const bytes = Buffer.from('\ufeffvalue: 1');
    const { files, problems } = loadDocuments('main.yaml', sections, reader({ 'main.yaml': bytes }));
    expect(files).toEqual([{ path: 'main.yaml', sha256: createHash('sha256').update(bytes).digest('hex') }]);
    expect(problems).toEqual([]);
  });
});

describe('what a file includes', () => {
  test('is relative to it, and comes after it, in the order of the list, each with what it includes', () => {
    const files = {
      'etc/main.yaml': 'include: [conf.d/b.yaml, conf.d/a.yaml, /abs/c.json]\nvalue: 1',
      'etc/conf.d/a.yaml': 'value: 2',
      'etc/conf.d/b.yaml': 'include: [../d.yaml]\nvalue: 3',
      'etc/d.yaml': 'value: 4',
      '/abs/c.json': '{"value": 5}',
    };
    expect(load(files, 'etc/main.yaml').values).toEqual([
      ['etc/main.yaml', 1],
      ['etc/conf.d/b.yaml', 3],
      ['etc/d.yaml', 4],
      ['etc/conf.d/a.yaml', 2],
      ['/abs/c.json', 5],
    ]);
  });

  test('by a pattern, sorted by name, without hidden files', () => {
    const files = {
      'main.yaml': 'include: [conf.d/*.yaml]',
      'conf.d/b.yaml': 'value: 2',
      'conf.d/a.yaml': 'value: 1',
      'conf.d/.a.yaml': '[',
      'conf.d/a.yaml~': '[',
      'conf.d/sub/c.yaml': '[',
    };
    expect(load(files)).toMatchObject({ read: ['main.yaml', 'conf.d/a.yaml', 'conf.d/b.yaml'], problems: [] });
  });

  test('is read once, whoever includes it', () => {
    const files = {
      'main.yaml': 'include: [conf.d/b.yaml, ./conf.d/*.yaml]',
      'conf.d/a.yaml': 'include: [b.yaml]\n',
      'conf.d/b.yaml': 'value: 1',
    };
    expect(load(files)).toMatchObject({ read: ['main.yaml', 'conf.d/b.yaml', 'conf.d/a.yaml'], problems: [] });
  });

  test.each(['[conf.d/*.yaml]', '[nowhere/*.yaml]', '[]', ''])('may be nothing: %s', (include) => {
    expect(load({ 'main.yaml': `include: ${include}`, 'conf.d/x.yml': '' }).problems).toEqual([]);
  });

  test('has problems in its own name', () => {
    const files = { 'main.yaml': 'include: [a.yaml]\nvalu: 1', 'a.yaml': '# here\nvalue: x' };
    expect(load(files).problems).toEqual([
      'main.yaml:2:1: valu: there is no such key; did you mean "value"?',
      'a.yaml:2:8: value: expected number, received string',
    ]);
  });

  test.each([
    ['[a.yaml, missing.yaml]', '1:19: include[1]: missing.yaml: cannot read the file (ENOENT)'],
    ['[latin1.yaml]', '1:11: include[0]: latin1.yaml: cannot read the file: it is not UTF-8'],
    ['["*/a.yaml"]', '1:11: include[0]: a wildcard stands in the last part of a path only'],
    ['["conf.d/*/"]', '1:11: include[0]: a wildcard stands in the last part of a path only'],
    ['["secret/*.yaml"]', '1:11: include[0]: secret: cannot read the file (EACCES)'],
    ['["a\\0b"]', '1:11: include[0]: it is no path'],
    ['[""]', '1:11: include[0]: it is no path'],
    ['[main.yaml]', '1:11: include[0]: the files include each other: main.yaml → main.yaml'],
    ['["m*.yaml"]', '1:11: include[0]: the files include each other: main.yaml → main.yaml'],
    ['conf.d/*.yaml', '1:10: include: a list of paths: [conf.d/*.yaml]'],
    ['[5]', '1:11: include[0]: expected string, received number'],
  ])('include: %s is refused', (include, problem) => {
    const files = { 'main.yaml': `include: ${include}`, 'a.yaml': '', 'latin1.yaml': Buffer.from([0x61, 0xff]) };
    expect(load(files).problems).toEqual([`main.yaml:${problem}`]);
  });

  test('is a regular file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ipvs-include-'));
    try {
      execFileSync('mkfifo', [join(folder, 'fifo')]);
      writeFileSync(join(folder, 'main.yaml'), 'include: [/dev/zero, fifo]');
      const { problems } = loadDocuments(join(folder, 'main.yaml'), { include: includeSection });
      expect(problems.map(({ message }) => message)).toEqual([
        '/dev/zero: cannot read the file: it is not a regular file',
        `${folder}/fifo: cannot read the file: it is not a regular file`,
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('in a circle is refused where it closes', () => {
    const files = {
      'main.yaml': 'include: [a.yaml, d.yaml]',
      'a.yaml': 'include: [sub/b.yaml]',
      'sub/b.yaml': '\ninclude: [../a.yaml]',
      'd.yaml': 'value: 1',
    };
    expect(load(files)).toMatchObject({
      read: ['main.yaml', 'a.yaml', 'sub/b.yaml', 'd.yaml'],
      problems: ['sub/b.yaml:2:11: include[0]: the files include each other: main.yaml → a.yaml → sub/b.yaml → a.yaml'],
    });
  });

  test('goes 8 deep', () => {
    const files = (depth: number) =>
      Object.fromEntries(Array.from({ length: depth + 1 }, (_, i) => [`${i}.yaml`, `include: [${i + 1}.yaml]`]));
    const end = { '8.yaml': 'value: 1' };
    expect(load({ ...files(7), ...end }, '0.yaml').problems).toEqual([]);
    expect(load(files(9), '0.yaml').problems).toEqual([
      '8.yaml:1:11: include[0]: 9.yaml would be included more than 8 deep',
    ]);
  });

  test('is 1000 files at most', () => {
    const files = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`conf.d/${1000 + i}.yaml`, '']));
    const { read, problems } = load({ 'main.yaml': 'include: [conf.d/1*.yaml]', ...files });
    expect(read).toHaveLength(1000);
    expect(problems).toEqual(['main.yaml:1:11: include[0]: conf.d/1999.yaml would be one more than 1000 files']);
  });

  test('is not larger than one file may be', () => {
    const part = `# ${'x'.repeat(12 * 1024 * 1024)}`;
    const files = { 'main.yaml': 'include: [a.yaml, b.yaml, c.yaml]', 'a.yaml': part, 'b.yaml': part, 'c.yaml': part };
    expect(load(files).problems).toEqual(['main.yaml:1:27: include[2]: with c.yaml the files are too large together']);
  });
});

describe('on a disk', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipvs-load-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('files, folders and links', () => {
    mkdirSync(join(folder, 'conf.d/folder.yaml'), { recursive: true });
    writeFileSync(join(folder, 'main.yaml'), 'include: [conf.d/*.yaml]');
    writeFileSync(join(folder, 'conf.d/a.yaml'), 'include: [loop/*.yaml]');
    symlinkSync('.', join(folder, 'conf.d/loop'));
    const { files, problems } = loadDocuments(join(folder, 'main.yaml'), sections);
    // A link to its own folder is found out by the depth.
    expect(files).toHaveLength(9);
    expect(problems).toHaveLength(10);
    for (const { message } of problems.slice(0, 2)) expect(message).toMatch(/more than 8 deep$/);
    for (const { message } of problems.slice(2))
      expect(message).toMatch(/folder\.yaml: cannot read the file \(EISDIR\)$/);
  });
});
