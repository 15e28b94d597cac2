/** The policy that was applied, in the record of a table: what a controller goes by that is told no other. */
import { IpvsError } from '../base/errors.ts';
import type { Files } from '../record/files.ts';
import { type DefensePolicy, normalizePolicy } from './policy.ts';

const FILE = 'defense-policy.json';

export class PolicyFile {
  readonly #files: Files;
  /** Whoever asks every second gets the same one until it is another. */
  #last: { readonly text: string; readonly policy: DefensePolicy } | undefined;

  constructor(files: Files) {
    this.#files = files;
  }

  /** "off" where none was applied. Throws STORE_DAMAGED, FILE_UNREADABLE. */
  read(): DefensePolicy {
    const text = this.#files.read(FILE)?.toString('utf8');
    if (text === undefined) return normalizePolicy('off');
    if (this.#last?.text !== text) this.#last = { text, policy: this.#parsed(text) };
    return this.#last.policy;
  }

  /** Throws FILE_UNWRITABLE. */
  write(policy: DefensePolicy): void {
    this.#files.write(FILE, `${JSON.stringify(policy, null, 1)}\n`);
  }

  #parsed(text: string): DefensePolicy {
    try {
      return normalizePolicy(JSON.parse(text));
    } catch (cause) {
      if (!(cause instanceof SyntaxError) && !(cause instanceof IpvsError)) throw cause;
      // The parser's message quotes the text, and a link may lead to any file.
      const reason = cause instanceof IpvsError ? cause.message : 'it is not JSON';
      const detail = `it is no policy of the defense: ${reason}`;
      throw new IpvsError('STORE_DAMAGED', { subject: `${this.#files.place}/${FILE}`, detail, cause });
    }
  }
}
