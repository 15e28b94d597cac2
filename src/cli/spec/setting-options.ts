/** Settings of a noun as options of a command. */
import { type Setting, sinceOf } from '../../ipvs/settings.ts';
import type { OptionSpec } from './command.ts';

/** For an edit `defaults` is false: what is not named stays. */
export function optionsOf(
  settings: readonly Setting[],
  { defaults = true }: { defaults?: boolean } = {},
): Readonly<Record<string, OptionSpec>> {
  return Object.fromEntries(
    settings.map((setting) => {
      const { option, alias, value, choices } = setting;
      const spec: OptionSpec = {
        describe: wordsOf(setting, defaults),
        ...(value !== undefined && { value }),
        ...(alias !== undefined && { alias }),
        ...(choices !== undefined && { choices }),
      };
      return [option, spec];
    }),
  );
}

function wordsOf(setting: Setting, defaults: boolean): string {
  const { about, value, values, choices, default: fallback, sockopt } = setting;
  const since = sinceOf(setting);
  const sentences = [
    value === undefined || choices !== undefined ? about : `${about}: ${values}`,
    ...(defaults && fallback !== undefined && value !== undefined ? [`Default: ${fallback}`] : []),
    ...(since === undefined ? [] : [`Since ${since.replace(/(?=\d)/, 'Linux ')}`]),
    ...(sockopt ? [] : ['By netlink only']),
  ];
  return sentences.join('. ');
}
