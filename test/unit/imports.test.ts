import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

/** From the bottom up: a module imports from its own floor and those below. */
const floors = [
  ['src/clock.ts', 'src/errors.ts', 'src/nearest.ts'],
  ['src/native.ts'],
  ['src/netlink/', 'src/sockopt/', 'src/proc/'],
  ['src/ipvs/', 'src/addresses/', 'src/sysctl/'],
  ['src/config/', 'src/plan/'],
  ['src/defense/', 'src/masquerade/'],
  ['src/director/'],
  ['src/index.ts', 'src/testing/', 'src/cli/'],
];

function floorOf(file: string): number {
  return floors.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name)),
  );
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map((file) => `src/${file}`);

test('every source file has its floor', () => {
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([]);
});

test('imports point downward', () => {
  const upward = files.flatMap((file) => {
    const imports = readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g);
    return [...imports]
      .map(([, path]) => normalize(join(dirname(file), path as string)))
      .filter((imported) => floorOf(imported) > floorOf(file))
      .map((imported) => `${file} imports ${imported}`);
  });
  expect(upward).toEqual([]);
});

test('zod, yaml and pino are imported only where they are used, never by a command that does not need them', () => {
  const users = (library: string) =>
    files.filter((file) => new RegExp(`^import .*'${library}';`, 'm').test(readFileSync(file, 'utf8')));
  expect(users('zod').every((file) => /^src\/(config|director)\//.test(file))).toBe(true);
  expect(users('yaml')).toEqual(['src/config/source.ts', 'src/config/yaml.ts']);
  expect(users('pino')).toEqual([]);
});

/** What is loaded with a module before anything of it runs. */
function loadedWith(file: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const statements = readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)';/gm);
  for (const [, name = ''] of statements) {
    if (name.startsWith('.')) loadedWith(normalize(join(dirname(file), name)), loaded);
    else loaded.add(name);
  }
  return loaded;
}

const parts = (file: string, test: RegExp) => [...loadedWith(file)].filter((loaded) => test.test(loaded));

test.each([
  ...['completion', 'connections', 'defense', 'destination', 'flush', 'info', 'list'],
  ...['service', 'sync', 'timeouts', 'totals', 'zero'],
])('"ipvs %s" loads no plans, and nothing that reads YAML', (name) => {
  expect(parts(`src/cli/commands/${name}.ts`, /^(zod|yaml)$|\/(services|transaction|plan)\.ts$/)).toEqual([]);
});

test('what verbs load of the record is only the lock and the ledger', () => {
  for (const file of ['src/director/record.ts', 'src/director/verb.ts']) {
    expect(parts(file, /^(zod|yaml|node:zlib)$|\/(director|services|transaction)\.ts$/)).toEqual([]);
  }
});
