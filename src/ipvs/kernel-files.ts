/** What the kernel shows only as files in /proc/net: connections, totals, helpers, how full its tables are. */
import { existsSync } from 'node:fs';
import { errno, IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';
import { allLinesOf, linesOf } from '../proc/lines.ts';
import { type Application, applicationsOf } from './application.ts';
import type { KernelView } from './backend.ts';
import { type Connection, connectionOf } from './connection.ts';
import { type TableStatus, tableStatusOf } from './table-status.ts';
import { type Totals, totalsOf } from './totals.ts';

export class KernelFiles implements KernelView {
  readonly #native: Native;
  readonly #namespacePath: string;

  constructor({ native, namespacePath }: { native: Native; namespacePath: string }) {
    this.#native = native;
    this.#namespacePath = namespacePath;
  }

  isLoaded(): boolean {
    return existsSync('/proc/net/ip_vs');
  }

  /** An empty table has its heading: a file without one is not a table without connections. */
  async *connections(): AsyncGenerator<Connection> {
    let hasHeading = false;
    for await (const lines of linesOf(this.#native, this.#namespacePath, 'ip_vs_conn')) {
      for (const line of lines) {
        hasHeading ||= line.startsWith('Pro ');
        const connection = connectionOf(line);
        if (connection !== undefined) yield connection;
      }
    }
    if (!hasHeading)
      throw new IpvsError('REPLY_MALFORMED', { subject: '/proc/net/ip_vs_conn', detail: 'it has no heading' });
  }

  async totals(): Promise<Totals> {
    return totalsOf(await this.#lines('ip_vs_stats'), await this.#lines('ip_vs_stats_percpu'));
  }

  async applications(): Promise<Application[]> {
    return applicationsOf(await this.#lines('ip_vs_app'));
  }

  async tableStatus(): Promise<TableStatus | undefined> {
    try {
      return tableStatusOf(await this.#lines('ip_vs_status'));
    } catch (error) {
      if (error instanceof IpvsError && (error.errno === errno.ENOENT || error.errno === errno.EACCES))
        return undefined;
      throw error;
    }
  }

  #lines(name: string): Promise<string[]> {
    return allLinesOf(this.#native, this.#namespacePath, name);
  }
}
