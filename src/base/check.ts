/** Checks at the door, shared by the nouns: every refusal names the field. */
import { type ErrorCode, IpvsError } from './errors.ts';
import { quote } from './quote.ts';

/**
 * The kernel stores seconds times HZ in 32 bits and lets it overflow silently (ip_vs_ctl.c). HZ is not
 * known to user space; this is safe up to HZ=1000.
 */
const MOST_SECONDS = 4_294_967;

export function positiveSeconds(value: unknown, path: readonly string[]): number {
  return wholeNumber(value, 1, MOST_SECONDS, 'INVALID_DURATION', path);
}

export function wholeNumber(
  value: unknown,
  least: number,
  most: number,
  code: ErrorCode,
  path: readonly string[],
): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new IpvsError(code, { detail: quote(value), path, hint: `a whole number from ${least} to ${most}` });
}

export function oneOf<T extends string>(
  value: unknown,
  choices: readonly T[],
  code: ErrorCode,
  path: readonly string[],
): T {
  if (choices.includes(value as T)) return value as T;
  throw new IpvsError(code, { detail: quote(value), path, hint: `one of ${choices.join(', ')}` });
}

/** IFNAMSIZ with the NUL. */
const MOST_INTERFACE_BYTES = 15;

/** What the kernel lets a network interface be called (dev_valid_name). */
export function interfaceName(name: unknown, code: ErrorCode, path: readonly string[]): string {
  const valid = typeof name === 'string' && /^[^\s/:\0]+$/.test(name) && name !== '.' && name !== '..';
  if (valid && Buffer.byteLength(name) <= MOST_INTERFACE_BYTES) return name;
  throw new IpvsError(code, {
    detail: `interface ${quote(name)}`,
    path,
    hint: `the name of a network interface, of up to ${MOST_INTERFACE_BYTES} letters`,
  });
}

/** A misspelt option must not be ignored. */
export function refuseUnknownKeys(
  value: object,
  noun: string,
  known: readonly string[],
  path: readonly string[] = [],
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new IpvsError('INVALID_OPTION', { detail: `a ${noun} is an object`, path });
  for (const key in value) {
    if (known.includes(key) || !Object.hasOwn(value, key)) continue;
    throw new IpvsError('INVALID_OPTION', {
      detail: `a ${noun} has no ${quote(key)}`,
      path: [...path, key],
      hint: `known: ${known.join(', ')}`,
    });
  }
}

/** Runs a check of a part and names the part in its refusal. */
export function at<Args extends readonly unknown[], T>(
  path: readonly string[],
  check: (...args: Args) => T,
  ...args: Args
): T {
  try {
    return check(...args);
  } catch (error) {
    if (error instanceof IpvsError) throw error.with({ path: [...path, ...error.path] });
    throw error;
  }
}

/** Without the keys that are undefined. */
export function given<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
