/** Exit statuses, the same for every command, and how an error becomes one line. */
import { type ConfigProblem, formatProblem, IpvsError } from '../../base/errors.ts';
import { quote, visible } from '../../base/quote.ts';
import { commands } from '../spec/commands.ts';
import { complain } from './stdout.ts';

export const EXIT = { done: 0, error: 1, changes: 2, usage: 64 } as const;

/** The command line itself is wrong. */
export class UsageError extends Error {}

/** From the words of yargs to one line of ours. */
export function usageError(message: string, argv: readonly string[]): UsageError {
  const named = argv.filter((word) => !word.startsWith('-')).slice(0, 2);
  const choice = /Argument: (\S+), Given: (.*), Choices: (.*)/.exec(message);
  if (choice) return new UsageError(`--${choice[1]} is none of ${choice[3]}: ${choice[2]}`);
  return new UsageError(
    message
      .replace(/^Did you mean (.*)\?$/, (_, known: string) => {
        // What shares not even the first letter is no misspelling.
        const meant = named.some((word) => word[0] === known[0]) ? `; did you mean "${known}"?` : '';
        return `there is no command ${quote(named.join(' '))}${meant}`;
      })
      .replace(/^Not enough non-option arguments: .*/, 'an argument is missing')
      .replace(/^Not enough arguments following: /, 'a value is missing after --')
      .replace(/^Unknown (.*): (.*)$/s, (_, what, words) => `unknown ${what}: ${quote(words).slice(1, -1)}`),
  );
}

/** Prints one line (for CONFIG_INVALID every problem with its place) to stderr; returns the exit status. */
export function printError(error: unknown, json: boolean): number {
  complain(errorText(error, json));
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof IpvsError && error.kind === 'input' ? EXIT.usage : EXIT.error;
}

export function printWarning(warning: string): void {
  complain(`ipvs: warning: ${warning}`);
}

/** One line, for CONFIG_INVALID one or more for each problem; a fault of ours has its stack. */
export function errorText(error: unknown, json: boolean): string {
  if (json && error instanceof IpvsError) {
    const { code, kind, message, operation, subject, path, errno, errnoName, hint, problems } = error;
    return JSON.stringify({
      error: { code, kind, message, operation, subject, path, errno, errnoName, hint, problems },
    });
  }
  if (json && error instanceof UsageError)
    return JSON.stringify({ error: { code: 'USAGE', kind: 'input', message: error.message } });
  return textOf(error);
}

/** What does not prevent anything goes to stderr too. */
export function printWarnings(warnings: readonly ConfigProblem[], json: boolean): void {
  if (json) for (const warning of warnings) complain(JSON.stringify({ warning }));
  else if (warnings.length > 0)
    complain(problemsText(warnings.map((warning) => ({ ...warning, path: `warning: ${warning.path}` }))));
}

const MOST_PROBLEMS = 100;

function problemsText(problems: readonly ConfigProblem[]): string {
  const more = problems.length - MOST_PROBLEMS;
  return [...problems.slice(0, MOST_PROBLEMS).map(problemText), ...(more > 0 ? [`... and ${more} more`] : [])].join(
    '\n',
  );
}

/** As compilers write it: the place and what is wrong, then the line with a caret. */
function problemText(problem: ConfigProblem): string {
  return [visible(formatProblem(problem)), ...(problem.excerpt?.split('\n') ?? []).map((line) => `    ${line}`)].join(
    '\n',
  );
}

/** The help of the command that was meant. */
function helpOf(argv: readonly string[]): string {
  const names = commands.flatMap(({ usage, aliases = [] }) => [usage.split(' ', 1)[0], ...aliases]);
  const named = argv.slice(2).find((word) => names.includes(word));
  return named === undefined ? 'ipvs --help' : `ipvs ${named} --help`;
}

function textOf(error: unknown): string {
  if (error instanceof UsageError)
    return `ipvs: ${visible(error.message.replaceAll('\n', '; '))}; see "${helpOf(process.argv)}"`;
  if (error instanceof IpvsError) {
    if (error.problems.length > 0) return problemsText(error.problems);
    return `ipvs: ${visible(`${error.message}${error.hint ? `; ${error.hint}` : ''}`)}`;
  }
  // A fault of ours: whoever reports it needs to see where.
  return `ipvs: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
