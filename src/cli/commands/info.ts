/** `ipvs info` */
import type { TableStatus } from '../../ipvs/table-status.ts';
import { command } from '../spec/command.ts';
import { withIpvs } from '../spec/globals.ts';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { columns, printJson } from '../words/output.ts';

const spec = command({
  description:
    "Shows the kernel's IPVS version, the size of its tables, and the helpers that look into connections, such as the one for FTP.",
  examples: [{ line: 'ipvs info' }, { line: 'ipvs info --json' }],
  async run(options) {
    const info = await withIpvs(options, async (ipvs) => ({
      ...(await ipvs.info()),
      transport: ipvs.transport,
      applications: await ipvs.applications(),
      tables: await ipvs.tableStatus(),
    }));
    if (options.json) {
      printJson(info);
      return EXIT.done;
    }
    const helpers = info.applications.map(({ name, protocol, port }) => `${name} (${protocol} ${port})`).join(', ');
    const lines = [
      ['version', info.version],
      ['transport', info.transport ?? ''],
      ['connection table', connectionTable(info.connectionTableSize, info.tables)],
      ['helpers', helpers || 'none'],
    ];
    print(columns(lines, new Set()).join('\n'));
    return EXIT.done;
  },
});

export { spec as command };

function connectionTable(buckets: number, tables: TableStatus | undefined): string {
  const size = buckets === 0 ? 'made with the first service' : `${buckets} buckets`;
  return tables === undefined ? size : `${size}, ${tables.connections} connections`;
}
