/** Host names, resolved. A resolver that fails never takes away what it once told. */
import { lookup as platformLookup } from 'node:dns/promises';
import { type IpAddress, isUnicast, parseIp } from '../ipvs/address.ts';
import type { Hosts } from './host-name.ts';

/** The addresses of a name; throws where there are none, or nobody can tell. */
export type Lookup = (name: string) => Promise<readonly string[]>;

export interface LookupOptions {
  /** Default: as the platform resolves names (getaddrinfo(3)). */
  readonly lookup?: Lookup;
  /** What names were resolved to last time. */
  readonly known?: ReadonlyMap<string, readonly string[]>;
  /** For all names together. Default: 5000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const systemLookup: Lookup = async (name) => (await platformLookup(name, { all: true })).map(({ address }) => address);

/** Throws the signal's reason, and nothing else. */
export async function lookUpHosts(names: readonly string[], options: LookupOptions = {}): Promise<Hosts> {
  const { lookup = systemLookup, known, timeoutMs = 5000, signal } = options;
  signal?.throwIfAborted();
  const found = await withinTime(timeoutMs, signal, (ended) =>
    Promise.all(names.map((name) => addressesOf(name, lookup, ended))),
  );
  signal?.throwIfAborted();
  const addresses = new Map<string, readonly string[]>();
  const failures = new Map<string, string>();
  for (const [i, name] of names.entries()) {
    const answer = found[i] as readonly string[] | Error;
    if (answer instanceof Error) failures.set(name, wordsOf(answer));
    const usable = answer instanceof Error ? usableOf(known?.get(name) ?? []) : answer;
    if (usable.length > 0) addresses.set(name, usable);
  }
  return { addresses, failures };
}

async function addressesOf(name: string, lookup: Lookup, ended: Promise<never>): Promise<readonly string[] | Error> {
  try {
    const addresses = usableOf(await Promise.race([lookup(name), ended]));
    return addresses.length > 0 ? addresses : new Error('it has no address that a destination could have');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Runs `work` with a promise that is rejected when the time is over, or the signal comes. */
async function withinTime<T>(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (ended: Promise<never>) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1000}s`)), timeoutMs);
    done.signal.addEventListener('abort', () => clearTimeout(timer));
    signal?.addEventListener('abort', () => reject(signal.reason), { signal: done.signal });
  });
  // Without names nobody waits for it.
  ended.catch(() => undefined);
  try {
    return await work(ended);
  } finally {
    done.abort();
  }
}

function wordsOf(error: Error & { readonly code?: unknown }): string {
  if (error.code === 'ENOTFOUND') return 'there is no such host';
  if (error.code === 'EAI_AGAIN') return 'the resolver does not answer';
  return error.message;
}

/** Canonical, IPv4 first, each once. */
function usableOf(texts: readonly string[]): string[] {
  const addresses = texts.flatMap((text) => {
    const address = ipOrNone(text);
    return address && isUnicast({ family: address.family, ip: address.text }) ? [address] : [];
  });
  addresses.sort((a, b) => a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes));
  return [...new Set(addresses.map(({ text }) => text))];
}

function ipOrNone(text: string): IpAddress | undefined {
  try {
    return parseIp(text);
  } catch {
    return undefined;
  }
}
