/** `ipvs drain SERVICE DESTINATION`, `ipvs drain list|run|cancel` */

import { IpvsError } from '../../base/errors.ts';
import { shortDuration } from '../../config/duration.ts';
import type { Director } from '../../director/director.ts';
import type { Drain } from '../../record/ledger.ts';
import { destinationOf, isAt, subjectOf } from '../../resources/destination-of.ts';
import type { DrainProgress } from '../../weights/drain-progress.ts';
import { heldSum } from '../../weights/drain-rule.ts';
import type { DrainPass } from '../../weights/drain-runner.ts';
import type { DrainOutcome } from '../../weights/drain-wait.ts';
import { continuation, followDrains, passPrinter, printPass } from '../follow.ts';
import { action, type Group } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { directOptions, withDirector } from '../spec/globals.ts';
import { oneValue, seconds } from '../spec/options.ts';
import { EXIT } from '../terminal/exit.ts';
import { untilInterrupted } from '../terminal/interrupt.ts';
import { bar, ProgressLine } from '../terminal/progress-line.ts';
import { complain, print } from '../terminal/stdout.ts';
import { begunWords, drainTable, endWords, heldWords, holderWords } from '../words/drains.ts';
import { jsonLine, painter, printJson } from '../words/output.ts';
import { DESTINATION, SERVICE } from '../words/shared.ts';

interface PlaceOptions extends GlobalOptions {
  readonly service: string;
  readonly destination: string;
}

interface DrainArguments extends PlaceOptions {
  readonly timeout?: string;
  readonly then?: string;
  readonly wait?: boolean;
  readonly showClients?: boolean;
}

const positionals = { service: SERVICE, destination: DESTINATION };
const showClients = { describe: 'Name the clients whose connections are still held' };

export const command: Group = {
  actions: [
    action<DrainArguments>({
      usage: '<service> <destination>',
      summary: 'Drain a destination; one that drains already gets another deadline',
      description:
        'Takes the weight of a destination, so that it gets no new connections, and waits for those that it has: of TCP and SCTP until they are closed and forgotten, of UDP until each entry times out, with persistence until no client is pinned to it. Then, or at the deadline, it is deleted or kept with weight 0. A drain goes on without the command that began it: every command that changes the table carries it on, and so does "ipvs drain run".',
      arguments: positionals,
      options: {
        timeout: { value: 'DURATION', describe: 'The deadline: when it is over whatever is still held. Default: 5m' },
        // biome-ignore lint/suspicious/noThenProperty: the option's name; nothing awaits this object.
        then: {
          value: 'WHAT',
          choices: ['delete', 'keep'],
          describe: 'What happens in the end: the destination is deleted, or keeps weight 0. Default: keep',
        },
        wait: { describe: 'Wait for the end. Exit status: 0 drained, 1 the deadline came first' },
        'show-clients': showClients,
      },
      examples: [
        { line: 'ipvs drain tcp://192.0.2.10:80 10.0.0.11:8080', meaning: 'before maintenance' },
        {
          line: 'ipvs drain tcp://192.0.2.10:80 10.0.0.11:8080 --timeout 10m --then delete --wait --show-clients',
          meaning: 'for good, and watch',
        },
      ],
      run: (options) => withDirector(options, (director) => drain(director, options)),
    }),
    action<GlobalOptions & { readonly showClients?: boolean }>({
      usage: 'list',
      summary: 'Show drains and ramps: in progress, held at weight 0, and ended within the hour',
      description:
        'WEIGHT is the weight in the kernel, DUE the one that it should have now, WHOLE the one without drain and ramp. The next pass sets what is due.',
      options: { 'show-clients': showClients },
      examples: [{ line: 'ipvs drain list' }, { line: 'ipvs drain list --show-clients' }],
      async run(options) {
        const details = options.showClients === true;
        const [drains, ramps] = await withDirector(options, async (director) => [
          await director.drains({ details }),
          await director.ramps(),
        ]);
        if (options.json) printJson({ drains, ramps });
        else print(drainTable(drains, ramps, { clients: details, paint: painter(options) }));
        return EXIT.done;
      },
    }),
    action<PlaceOptions>({
      usage: 'cancel <service> <destination>',
      summary: 'End a drain, and give the weight back: that of the file, or else that which it had',
      arguments: positionals,
      examples: [{ line: 'ipvs drain cancel tcp://192.0.2.10:80 10.0.0.11:8080' }],
      async run(options) {
        const { service, destination } = options;
        const direct = await directOptions(options);
        const { drain, weight } = await withDirector(options, (director) =>
          director.cancelDrain(service, destination, direct),
        );
        if (options.json) printJson({ drain, weight });
        else print(`${subjectOf(drain)} drains no more: weight ${weight}${weight === 0 ? ', as before' : ''}`);
        return EXIT.done;
      },
    }),
    action<GlobalOptions & { readonly follow?: boolean }>({
      usage: 'run',
      summary: 'Carry on what drains, and what gets its weight slowly',
      options: { follow: { describe: 'Again every second, until nothing is left' } },
      examples: [{ line: 'ipvs drain run' }, { line: 'ipvs drain run --follow' }],
      run: (options) => withDirector(options, (director) => run(director, options)),
    }),
  ],
};

async function drain(director: Director, options: DrainArguments): Promise<number> {
  const { service, destination, json = false, wait = false } = options;
  const timeoutSeconds = seconds(options.timeout, 'timeout');
  const afterwards = oneValue(options.then, 'then') as Drain['afterwards'] | undefined;
  const begun = await director.drain(service, destination, {
    ...(timeoutSeconds !== undefined && { timeoutMs: timeoutSeconds * 1000 }),
    ...(afterwards && { afterwards }),
    ...(await directOptions(options)),
  });
  const details = options.showClients === true;
  const drains = await director.drains({ details: details || begun.afterwards === 'delete' });
  const progress = drains.find(({ drain }) => isAt(begun)(drain) && !drain.ended);
  if (progress && json && !wait) printJson(progress);
  if (progress && !json) {
    const holders = details && progress.details ? [holderWords(progress.details.holders)] : [];
    print([...begunWords(progress), ...holders].filter((line) => line !== '').join('\n'));
  }
  if (wait) return waited(director, options);
  const next = json ? undefined : continuation(director);
  if (next !== undefined) print(next);
  return EXIT.done;
}

async function waited(director: Director, options: DrainArguments): Promise<number> {
  const { service, destination, json = false, showClients: details = false } = options;
  const line = new ProgressLine();
  const onProgress = json ? jsonShown() : lineShown(line);
  const isAwaited = isAt(destinationOf(service, destination));
  const tell = passPrinter({ json });
  const onPass = ({ moves, ...pass }: DrainPass) => {
    line.end();
    tell({ ...pass, moves: moves.filter((move) => !isAwaited(move)) });
  };
  return untilInterrupted(async (signal) => {
    try {
      const outcome = await director.waitForDrain(service, destination, { signal, details, onProgress, onPass });
      line.end();
      return ended(outcome, json);
    } catch (error) {
      line.end();
      if (!signal.aborted || !(error instanceof IpvsError) || error.code !== 'ABORTED') throw error;
      const place = subjectOf(destinationOf(service, destination));
      complain(`ipvs: ${place} goes on draining; "ipvs drain run --follow" carries it on`);
      return EXIT.error;
    }
  });
}

function jsonShown(): (progress: DrainProgress) => void {
  let shown = '';
  return (progress) => {
    const state = JSON.stringify([progress.held, progress.details?.holders.clients]);
    if (state !== shown) print(jsonLine(progress));
    shown = state;
  };
}

function lineShown(line: ProgressLine): (progress: DrainProgress) => void {
  let most = 0;
  return ({ held, leftMs, drain, details }) => {
    const sum = heldSum(held);
    most = Math.max(most, sum);
    const share = most === 0 ? 1 : 1 - sum / most;
    const who = details ? ` ${holderWords(details.holders)}` : '';
    line.show(`${drain.destination}  ${bar(share)}  ${heldWords(held)}${who}`, `${shortDuration(leftMs)} left`);
  };
}

function ended({ drain, how, ...end }: DrainOutcome, json: boolean): number {
  if (json) print(jsonLine({ drain, how, ...end }));
  const well = how === 'drained' || how === 'gone';
  if (!json) {
    const words =
      how === 'cancelled' ? `${subjectOf(drain)}: the drain was cancelled` : endWords(drain, { how, ...end });
    if (well) print(words);
    else complain(`ipvs: ${words}`);
  }
  return well ? EXIT.done : EXIT.error;
}

async function run(director: Director, { follow = false, json = false }: GlobalOptions & { follow?: boolean }) {
  return follow ? followDrains(director, json) : printPass(await director.stepDrains(), json, true);
}
