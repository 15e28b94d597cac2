import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

/** From the bottom up: a module imports from its own floor and those below. ARCHITECTURE.md says what each holds. */
const floors = [
  ...['base', 'kernel', 'net', 'proc', 'netlink', 'sockopt', 'config', 'ipvs', 'sysctl', 'addresses', 'iptables'],
  ...['conntrack', 'record', 'defense', 'engine', 'state', 'resources', 'weights', 'director'],
].map((folder) => [`src/${folder}/`]);
floors.push(['src/index.ts', 'src/testing/', 'src/cli/']);

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

/** All files of ours that a file imports, for types, values or later. */
function importedBy(file: string): string[] {
  const imports = readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g);
  return [...imports].map(([, path]) => normalize(join(dirname(file), path as string)));
}

test('imports point downward', () => {
  const upward = files.flatMap((file) =>
    importedBy(file)
      .filter((imported) => floorOf(imported) > floorOf(file))
      .map((imported) => `${file} imports ${imported}`),
  );
  expect(upward).toEqual([]);
});

test('no files import each other in a circle', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) cycles.push([...way.slice(way.indexOf(file)), file].join(' → '));
    if (way.includes(file) || done.has(file)) return;
    for (const imported of importedBy(file)) visit(imported, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

test('zod, yaml and pino are imported only where they are used, never by a command that does not need them', () => {
  const users = (library: string) =>
    files.filter((file) => new RegExp(`^import .*'${library}';`, 'm').test(readFileSync(file, 'utf8')));
  expect(users('zod').every((file) => /^src\/(config|state|ipvs\/memory)\//.test(file))).toBe(true);
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
  expect(parts(`src/cli/commands/${name}.ts`, /^(zod|yaml)$|\/(services\/resource|transaction|plan)\.ts$/)).toEqual([]);
});

test('what verbs load of the record is only the lock and the ledger', () => {
  for (const file of ['src/record/record.ts', 'src/director/verb.ts']) {
    expect(parts(file, /^(zod|yaml|node:zlib)$|\/(director|services\/resource|transaction)\.ts$/)).toEqual([]);
  }
});
