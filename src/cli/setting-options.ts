/** Settings of a noun as options of a command. */
import type { Setting } from '../ipvs/settings.ts';
import type { OptionSpec } from './command.ts';

export function optionsOf(settings: readonly Setting[]): Readonly<Record<string, OptionSpec>> {
  return Object.fromEntries(
    settings.map(({ option, alias, value, choices, about, values, default: fallback }): [string, OptionSpec] => {
      const words = [about, ...(value !== undefined && choices === undefined ? [`: ${values}`] : [])].join('');
      return [
        option,
        {
          describe: fallback === undefined || value === undefined ? words : `${words}. Default: ${fallback}`,
          ...(value !== undefined && { value }),
          ...(alias !== undefined && { alias }),
          ...(choices !== undefined && { choices }),
        },
      ];
    }),
  );
}
