import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchingNames } from '../../../src/config/include.ts';

const names = ['b.yaml', 'a.yaml', '.hidden.yaml', 'c.yml', 'a.yaml~', '10-web.yaml', '9-web.yaml', 'a+b.yaml'];

test.each([
  ['*.yaml', ['10-web.yaml', '9-web.yaml', 'a+b.yaml', 'a.yaml', 'b.yaml']],
  ['?.y*ml', ['a.yaml', 'b.yaml', 'c.yml']],
  ['a+b.*', ['a+b.yaml']],
  ['*', ['10-web.yaml', '9-web.yaml', 'a+b.yaml', 'a.yaml', 'a.yaml~', 'b.yaml', 'c.yml']],
  ['.*', ['.hidden.yaml']],
  ['**b**', ['10-web.yaml', '9-web.yaml', 'a+b.yaml', 'b.yaml']],
  ['[ab].yaml*', []],
  ['?', []],
])('%s', (pattern, matching) => {
  expect(matchingNames(names, pattern)).toEqual(matching);
});

test('whatever the pattern, it matches as a regular expression would', () => {
  const letters = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), maxLength: 12 });
  fc.assert(
    fc.property(letters('a', 'b'), letters('a', 'b', '*', '?'), (name, pattern) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      expect(matchingNames([name], pattern)).toEqual(expression.test(name) ? [name] : []);
    }),
    { numRuns: 2000 },
  );
});

test('many wildcards take no time', () => {
  expect(matchingNames(['a'.repeat(255)], `${'*a'.repeat(100)}b`)).toEqual([]);
});
