/** Host names, resolved. A resolver that fails never takes away what it once told. */
import { lookup as platformLookup } from 'node:dns/promises';
import { type Family, type IpAddress, isUnicast, parseIp } from '../net/address.ts';
import type { HostAnswer, Hosts } from './host-name.ts';

/**
 * The addresses of a name, of a family. Throws an error with the code ENOTFOUND where there are none; any other says that
 * nobody can tell.
 */
export type Lookup = (name: string, family: Family) => Promise<readonly string[]>;

export interface LookupOptions {
  /** Default: as the platform resolves names (getaddrinfo(3)). */
  readonly lookup?: Lookup;
  /** What names were resolved to last time. */
  readonly known?: ReadonlyMap<string, readonly string[]>;
  /** For all names together. Default: 5000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const systemLookup: Lookup = async (name, family) => {
  const found = await platformLookup(name, { all: true, family: family === 'inet' ? 4 : 6 });
  return found.map(({ address }) => address);
};

/** Throws the signal's reason, and nothing else. */
export async function lookUpHosts(
  wanted: ReadonlyMap<string, { readonly families: ReadonlySet<Family> }>,
  options: LookupOptions = {},
): Promise<Hosts> {
  const { lookup = systemLookup, known, timeoutMs = 5000, signal } = options;
  signal?.throwIfAborted();
  const answers = await withinTime(timeoutMs, signal, (ended) =>
    Promise.all(
      [...wanted].map(async ([name, { families }]) => {
        const replies = await Promise.all([...families].map((family) => ask(name, family, lookup, ended)));
        return [name, answerOf(replies, known?.get(name) ?? [])] as const;
      }),
    ),
  );
  signal?.throwIfAborted();
  return new Map(answers);
}

interface Reply {
  readonly family: Family;
  readonly addresses: readonly string[];
  /** Why there are none. */
  readonly failure?: string;
  /** Whether it is known that there are none. */
  readonly none?: boolean;
}

async function ask(name: string, family: Family, lookup: Lookup, ended: Promise<never>): Promise<Reply> {
  try {
    const addresses = usableOf(await Promise.race([lookup(name, family), ended]), family);
    if (addresses.length > 0) return { family, addresses };
    return {
      family,
      addresses,
      failure: `it has no ${names[family]} address that a destination could have`,
      none: true,
    };
  } catch (error) {
    const { code, message = String(error) }: Partial<NodeJS.ErrnoException> = error instanceof Error ? error : {};
    const none = code === 'ENOTFOUND';
    if (none) return { family, addresses: [], failure: `there is no such host with an ${names[family]} address`, none };
    return { family, addresses: [], failure: code === 'EAI_AGAIN' ? 'the resolver does not answer' : message };
  }
}

const names = { inet: 'IPv4', inet6: 'IPv6' } as const;

/** Without any address, and of a family of which nobody can tell, it is what it was. */
function answerOf(replies: readonly Reply[], last: readonly string[]): HostAnswer {
  const nothing = replies.every(({ addresses }) => addresses.length === 0);
  const failures: { [Name in Family]?: string } = {};
  let kept: string | undefined;
  const addresses = replies.flatMap(({ family, addresses, failure, none }) => {
    if (failure === undefined || (none && !nothing)) return addresses;
    const before = usableOf(last, family);
    if (before.length > 0) kept = failure;
    else failures[family] = failure;
    return before;
  });
  return { addresses: usableOf(addresses), failures, ...(kept !== undefined && { kept }) };
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

/** Canonical, IPv4 first, each once. */
function usableOf(texts: readonly string[], ...families: readonly Family[]): string[] {
  const addresses = texts.flatMap((text) => {
    const address = ipOrNone(text);
    if (address === undefined || !isUnicast({ family: address.family, ip: address.text })) return [];
    return families.length === 0 || families.includes(address.family) ? [address] : [];
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
