import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ErrorCode, IpvsError } from '../../../src/base/errors.ts';
import { UsageError } from '../../../src/cli/terminal/exit.ts';
import { isTemporary, watch } from '../../../src/cli/terminal/watch.ts';

afterEach(() => vi.restoreAllMocks());

/** What it prints for these frames; after the last one it is interrupted. */
async function printed(frames: readonly (string | Error)[], json = false): Promise<string> {
  let output = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text;
    return true;
  });
  const rest = [...frames];
  await watch(0.001, json, async () => {
    const next = rest.shift();
    if (rest.length === 0) process.emit('SIGINT');
    if (next instanceof Error) throw next;
    return next ?? '';
  });
  return output;
}

describe('--watch', () => {
  it('shows a temporary error as a frame, and goes on', async () => {
    expect(await printed(['one', new IpvsError('TABLE_CHANGING', { operation: 'read' }), 'two'])).toBe(
      'one\n\nipvs: read: the table changed faster than it could be read; try again\n\ntwo\n',
    );
    expect(await printed([new IpvsError('IPVS_NOT_LOADED'), 'two'])).toMatch(/^ipvs: ip_vs is not loaded.*\n\ntwo\n$/);
  });

  it('with --json as a line of its own', async () => {
    const lines = (await printed(['{"n":1}', new IpvsError('REPLY_LOST'), '{"n":2}'], true)).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { n: 1 },
      { error: { code: 'REPLY_LOST' } },
      { n: 2 },
    ]);
  });

  it('ends with any other error', async () => {
    await expect(printed([new IpvsError('PERMISSION_DENIED'), 'never'])).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await expect(printed(['one', new TypeError('a fault'), 'never'])).rejects.toThrow('a fault');
  });
});

it.each<[ErrorCode, isTemporaryFirst: boolean, isTemporaryLater: boolean]>([
  ['TABLE_CHANGING', true, true],
  ['REPLY_LOST', true, true],
  ['LOCKED', true, true],
  ['STORE_DAMAGED', true, true],
  ['IPVS_NOT_LOADED', true, true],
  ['PERMISSION_DENIED', false, true],
  ['SERVICE_NOT_FOUND', false, true],
  ['FILE_UNREADABLE', false, true],
  ['INVALID_ADDRESS', false, false],
  ['ADDON_NOT_LOADED', false, false],
  ['TRANSPORT_LACKS', false, false],
  ['CLOSED', false, false],
])('%s is temporary at first: %s, later: %s', (code, first, later) => {
  const error = new IpvsError(code);
  expect([isTemporary(error, true), isTemporary(error, false)]).toEqual([first, later]);
  expect(isTemporary(new UsageError('wrong'), false)).toBe(false);
});
