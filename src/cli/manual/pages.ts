/** All pages that are written from what the commands, nouns and sections say of themselves, by their paths. */

import { settingsOfDestination, settingsOfService, settingsOfSync, settingsOfTimeouts } from '../../ipvs/settings.ts';
import { stateSchema } from '../../state/document.ts';
import { catalogue } from '../../sysctl/catalogue.ts';
import { manualChapters } from './entries.ts';
import { cliPage, settingTable, sysctlTable, withTable } from './markdown.ts';
import { manPage } from './roff.ts';

const nouns = {
  'docs/reference/service.md': settingsOfService,
  'docs/reference/destination.md': settingsOfDestination,
  'docs/reference/timeouts.md': settingsOfTimeouts,
  'docs/reference/sync-daemon.md': settingsOfSync,
};

/** `read` returns the page as it is: what is written by hand around a table stays. */
export async function manualPages(version: string, read: (path: string) => string): Promise<Record<string, string>> {
  const chapters = await manualChapters();
  return {
    'man/ipvs.8': manPage(chapters, version),
    'docs/reference/cli.md': cliPage(chapters),
    'docs/reference/sysctls.md': withTable(read('docs/reference/sysctls.md'), 'sysctls', sysctlTable(catalogue)),
    'schema/ipvs-director.schema.json': `${JSON.stringify(stateSchema(), null, 2)}\n`,
    ...Object.fromEntries(
      Object.entries(nouns).map(([path, settings]) => [
        path,
        withTable(read(path), 'settings', settingTable(settings)),
      ]),
    ),
  };
}
