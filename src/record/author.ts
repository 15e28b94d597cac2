/** Who changes a table, for the history. */
import { userInfo } from 'node:os';
import type { Author } from './ledger.ts';

/** Behind sudo, who called it. */
export function author(): Author {
  const uid = process.getuid?.() ?? -1;
  const { SUDO_USER, SUDO_UID } = process.env;
  if (uid === 0 && SUDO_USER && SUDO_UID && /^\d+$/.test(SUDO_UID)) return { user: SUDO_USER, uid: Number(SUDO_UID) };
  try {
    return { user: userInfo().username, uid };
  } catch {
    return { user: `uid ${uid}`, uid }; // it has no name here
  }
}
