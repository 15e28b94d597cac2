/** Values as they lie in the store: compressed, and named by what is written, which is a tenth of the value. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';

/** Of a value, as text: a bound against what is no value of ours. */
const MOST_BYTES = 512 * 1024 * 1024;

const compress = promisify(gzip);
const expand = promisify(gunzip);

export function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function packed(value: unknown): Promise<Buffer> {
  return compress(JSON.stringify(value), { level: constants.Z_BEST_SPEED });
}

export async function unpacked(bytes: Uint8Array): Promise<unknown> {
  return JSON.parse((await expand(bytes, { maxOutputLength: MOST_BYTES })).toString('utf8'));
}
