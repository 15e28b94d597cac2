/**
 * Valid messages, structs and files to begin with: corpus.json, as Linux 7.2 sent them (little-endian, the receiver's port
 * left out). Lines of connections that need a peer of their own are those of the unit tests.
 */
import { readFileSync } from 'node:fs';
import { attribute, hex, le32, message, text } from '../helpers/fake-kernel.ts';

interface Corpus {
  readonly netlink: Readonly<Record<Subject, readonly string[]>>;
  readonly options: Readonly<Record<OptionName, string>>;
  readonly files: Readonly<Record<FileName, readonly string[]>>;
}
type Subject =
  | 'family'
  | 'info'
  | 'services'
  | 'destinations'
  | 'destinations6'
  | 'timeouts'
  | 'daemons'
  | 'links'
  | 'addresses'
  | 'acknowledgements'
  | 'done';
type OptionName = 'version' | 'info' | 'services' | 'service' | 'destinations' | 'timeouts' | 'daemons';
export type FileName = 'ip_vs_conn' | 'ip_vs_stats' | 'ip_vs_stats_percpu' | 'ip_vs_app' | 'ip_vs_status';

const corpus: Corpus = JSON.parse(readFileSync(new URL('corpus.json', import.meta.url), 'utf8'));

/** Whole messages, one by one. */
export function messages(subject: Subject): Uint8Array[] {
  return corpus.netlink[subject].map(hex);
}

/** What follows the netlink header of each. */
export function payloads(subject: Subject): Uint8Array[] {
  return messages(subject).map((bytes) => bytes.slice(16));
}

/** A refusal in the kernel's own words, with the whole request in it (NLM_F_ACK_TLVS) and with its header (NLM_F_CAPPED). */
export const refusalsWithWords: readonly Uint8Array[] = [0x200, 0x300].map((flags) => {
  const request = message(0x1e, 5, 1, le32(0));
  const repeated = flags === 0x200 ? request : request.slice(0, 16);
  return message(2, flags, 1, le32(-34 >>> 0), repeated, attribute(1, text('Attribute failed policy validation')));
});

/** What an option writes. */
export function option(name: OptionName): Uint8Array {
  return hex(corpus.options[name]);
}

/** The lines of a file of /proc/net. */
export function lines(file: FileName): readonly string[] {
  return corpus.files[file];
}
