/** Settings of a noun as options of a command. */
import type { Setting } from '../ipvs/settings.ts';
import type { OptionSpec } from './command.ts';

/** For an edit `defaults` is false: what is not named stays. */
export function optionsOf(
  settings: readonly Setting[],
  { defaults = true }: { defaults?: boolean } = {},
): Readonly<Record<string, OptionSpec>> {
  return Object.fromEntries(
    settings.map(({ option, alias, value, choices, about, values, default: fallback }): [string, OptionSpec] => {
      const words = [about, ...(value !== undefined && choices === undefined ? [`: ${values}`] : [])].join('');
      return [
        option,
        {
          describe:
            !defaults || fallback === undefined || value === undefined ? words : `${words}. Default: ${fallback}`,
          ...(value !== undefined && { value }),
          ...(alias !== undefined && { alias }),
          ...(choices !== undefined && { choices }),
        },
      ];
    }),
  );
}
