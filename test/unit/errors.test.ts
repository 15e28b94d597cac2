import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { type ErrorCode, errno, errnoName, errorTable, IpvsError } from '../../src/base/errors.ts';

type Entry = { kind: string; message: string; hint?: string };
const entries = Object.entries(errorTable) as [ErrorCode, Entry][];

describe('the table of errors', () => {
  it.each(entries)('%s', (code, { kind, message, hint }) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(['input', 'config', 'kernel', 'transport']).toContain(kind);
    // It stands in the middle of a line: no capital of its own, no full stop.
    expect(message).toMatch(/^[a-z][^\n]*[^.!\s]$/);
    expect(message.length).toBeLessThanOrEqual(75);
    if (hint !== undefined) {
      expect(hint).toMatch(/^[^\s][^\n]*[^.!\s]$/);
      expect(hint.length).toBeLessThanOrEqual(120);
    }
  });

  it('says each thing once', () => {
    expect(new Set(entries.map(([, { message }]) => message)).size).toBe(entries.length);
  });

  it('refusals of input begin alike', () => {
    for (const [code, { kind }] of entries) if (code.startsWith('INVALID_')) expect(kind).toBe('input');
  });

  it('is what the reference lists, no more and no less', () => {
    const file = new URL('../../docs/reference/errors.md', import.meta.url);
    expect(existsSync(file), 'docs/reference/errors.md').toBe(true);
    const documented = [...readFileSync(file, 'utf8').matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code]) => code);
    expect([...documented].sort()).toEqual(entries.map(([code]) => code).sort());
    expect(new Set(documented).size).toBe(documented.length);
  });
});

describe('an IpvsError', () => {
  it('has the kind and the hint of its code', () => {
    const error = new IpvsError('IPVS_NOT_LOADED');
    expect(error).toMatchObject({
      name: 'IpvsError',
      code: 'IPVS_NOT_LOADED',
      kind: 'kernel',
      message: 'ip_vs is not loaded',
      hint: 'load it with "modprobe ip_vs"',
      operation: undefined,
      subject: undefined,
      detail: undefined,
      path: [],
      errno: undefined,
      errnoName: undefined,
    });
    expect('cause' in error).toBe(false);
    expect(error).toBeInstanceOf(Error);
    expect(error.stack).toContain('errors.test.ts');
  });

  it('a better hint replaces that of the table', () => {
    expect(new IpvsError('IPVS_NOT_LOADED', { hint: 'wait' }).hint).toBe('wait');
    expect(new IpvsError('CLOSED').hint).toBeUndefined();
  });

  it('keeps its cause', () => {
    const cause = new Error('why');
    expect(new IpvsError('REPLY_MALFORMED', { cause }).cause).toBe(cause);
  });

  it.each([
    [{}, 'the service exists already'],
    [{ errno: 17 }, 'the service exists already (EEXIST)'],
    [{ operation: 'add service' }, 'add service: the service exists already'],
    [{ subject: 'fwmark:5' }, 'fwmark:5: the service exists already'],
    [{ detail: 'again' }, 'the service exists already: again'],
    [
      { operation: 'add service', subject: 'fwmark:5', detail: 'again', errno: 17 },
      'add service fwmark:5: the service exists already: again (EEXIST)',
    ],
    [{ hint: 'not in the message', path: ['neither'] }, 'the service exists already'],
  ])('of %j reads "%s"', (details, message) => {
    expect(new IpvsError('SERVICE_EXISTS', details).message).toBe(message);
  });

  it('of a file reads like a compiler, one line for each problem', () => {
    const problem = { file: 'a.yaml', line: 3, column: 5, path: 'services[0]', message: 'malformed address' };
    const error = new IpvsError('CONFIG_INVALID', { problems: [problem, { ...problem, line: 4 }] });
    expect(error.problems).toEqual([problem, { ...problem, line: 4 }]);
    expect(error.message.split('\n')).toEqual([
      expect.stringContaining('a.yaml:3:5'),
      expect.stringContaining('a.yaml:4:5'),
    ]);
    expect(new IpvsError('CONFIG_INVALID').problems).toEqual([]);
  });

  it('goes into logs with its fields', () => {
    const error = new IpvsError('SERVICE_EXISTS', { subject: 'fwmark:5', errno: 17 });
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: 'SERVICE_EXISTS', subject: 'fwmark:5', errno: 17 });
    expect(inspect(error)).toContain("code: 'SERVICE_EXISTS'");
  });

  it('hides what only tells it apart', () => {
    expect(Object.getOwnPropertySymbols({ ...new IpvsError('CLOSED') })).toEqual([]);
  });
});

describe('instanceof', () => {
  it('agrees across two copies of the package', async () => {
    vi.resetModules();
    const other = await import('../../src/base/errors.ts');
    expect(other.IpvsError).not.toBe(IpvsError);
    expect(new other.IpvsError('CLOSED')).toBeInstanceOf(IpvsError);
    expect(new IpvsError('CLOSED')).toBeInstanceOf(other.IpvsError);
    expect(new other.IpvsError('CLOSED') instanceof IpvsError).toBe(true);
  });

  it.each([
    ['another error', new Error('CLOSED')],
    ['an object that looks like one', { name: 'IpvsError', code: 'CLOSED' }],
    ['null', null],
    ['undefined', undefined],
    ['a text', 'CLOSED'],
    ['a function', () => {}],
  ])('is not fooled by %s', (_, value) => expect((value as unknown) instanceof IpvsError).toBe(false));
});

describe('with()', () => {
  const cause = new Error('why');
  const problem = { file: 'a.yaml', line: 1, column: 1, path: '', message: 'x' };

  it('tells more of the same error', () => {
    const error = new IpvsError('KERNEL_REFUSED', { detail: 'no', hint: 'wait', errno: 22, cause });
    const more = error.with({ operation: 'add service', subject: 'fwmark:5', path: ['address'] });
    expect(more).toMatchObject({
      code: 'KERNEL_REFUSED',
      operation: 'add service',
      subject: 'fwmark:5',
      detail: 'no',
      hint: 'wait',
      errno: 22,
      path: ['address'],
      message: 'add service fwmark:5: the kernel refused: no (EINVAL)',
    });
    expect(more.cause).toBe(cause);
    expect(error.operation).toBeUndefined();
  });

  it('what is known already stays', () => {
    const error = new IpvsError('CLOSED', { operation: 'first', subject: 'one', path: ['a'] });
    expect(error.with({ operation: 'second', subject: 'two' })).toMatchObject({
      operation: 'first',
      subject: 'one',
      path: ['a'],
    });
  });

  it('but for the path, which the caller puts together', () => {
    const error = new IpvsError('INVALID_WEIGHT', { path: ['weight'] });
    expect(error.with({ path: ['destinations', ...error.path] }).path).toEqual(['destinations', 'weight']);
  });

  it('invents no cause', () => {
    expect('cause' in new IpvsError('CLOSED').with({ operation: 'x' })).toBe(false);
  });

  it('keeps the problems of a file', () => {
    expect(new IpvsError('CONFIG_INVALID', { problems: [problem] }).with({ operation: 'read' }).problems).toEqual([
      problem,
    ]);
  });
});

describe('errno', () => {
  const names = Object.entries(errno).filter(([name]) => name !== 'EAGAIN');

  it.each(Object.entries(errno))("%s is Linux's %i", (name, number) => {
    expect(constants.errno[name as keyof typeof constants.errno]).toBe(number);
  });

  it.each(names)('%s is the name of %i', (name, number) => expect(errnoName(number)).toBe(name));

  // EWOULDBLOCK is the same number.
  it('EAGAIN is the name of 11', () => expect(errnoName(11)).toBe('EAGAIN'));

  it('EOPNOTSUPP is the name of 95, as the kernel says it', () => expect(errnoName(95)).toBe('EOPNOTSUPP'));

  it('one without a name is shown as its number', () => expect(errnoName(524)).toBe('errno 524'));
});
