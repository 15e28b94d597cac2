/** Advances drains and ramps every second, and says how they are advanced otherwise. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { IpvsError } from '../base/errors.ts';
import type { Director } from '../director/director.ts';
import type { DrainPass } from '../weights/drain-runner.ts';
import { EXIT, printError } from './terminal/exit.ts';
import { untilInterrupted } from './terminal/interrupt.ts';
import { complain, print } from './terminal/stdout.ts';
import { leftWords, moveWords } from './words/drains.ts';
import { jsonLine } from './words/output.ts';

/** Until no drain or ramp is left, or an interrupt; returns the exit status. */
export async function followDrains(director: Director, json: boolean): Promise<number> {
  const follower = await director.follow();
  try {
    return await untilInterrupted(async (signal) => {
      let status: number = EXIT.done;
      for (;;) {
        const pass = await unlessLocked(director.stepDrains({ signal }), signal);
        const last = signal.aborted || (pass !== undefined && pass.left.drains + pass.left.ramps === 0);
        if (pass !== undefined) status = printPass(pass, json, last) || status;
        if (last) return status;
        await sleep(1000, undefined, { signal }).catch(() => undefined);
      }
    });
  } finally {
    follower.release();
  }
}

/** The holder of the lock makes a pass as well; an interrupt ends the waiting for it. */
async function unlessLocked(pass: Promise<DrainPass>, signal: AbortSignal): Promise<DrainPass | undefined> {
  try {
    return await pass;
  } catch (error) {
    if (signal.aborted || (error instanceof IpvsError && error.code === 'LOCKED')) return undefined;
    throw error;
  }
}

/** For a command that is about something else: prints what the pass before it did, not among JSON. */
export function passPrinter({ json = false }: { readonly json?: boolean }): (pass: DrainPass) => void {
  return (pass) => {
    for (const words of pass.moves.map(moveWords)) {
      if (words === undefined) continue;
      if (json) complain(`ipvs: ${words}`);
      else print(words);
    }
    for (const error of errorsOf(pass)) printError(error, json);
  };
}

/** What a pass did, and at the end what is left; returns the exit status. */
export function printPass(pass: DrainPass, json: boolean, last: boolean): number {
  const { moves, left } = pass;
  const errors = errorsOf(pass);
  if (json && (moves.length > 0 || last)) print(jsonLine(plainPass(pass)));
  if (!json) for (const words of moves.map(moveWords)) if (words !== undefined) print(words);
  if (!json && last) print(leftWords(left));
  for (const error of errors) printError(error, json);
  return errors.length > 0 ? EXIT.error : EXIT.done;
}

function errorsOf({ moves, problems }: DrainPass): IpvsError[] {
  return [...moves.flatMap(({ error }) => error ?? []), ...problems];
}

/** A pass for JSON. */
export function plainPass({ moves, problems, left }: DrainPass) {
  const plain = moves.map(({ error, ...move }) => ({ ...move, ...(error && { error: error.code }) }));
  return { moves: plain, problems: problems.map(({ code, message }) => ({ code, message })), left };
}

/** How to continue drains and ramps; undefined if none is in progress, or a process or a unit of systemd advances them. */
export function continuation(director: Director): string | undefined {
  const { drains, ramps } = director.inProgress();
  if (drains + ramps === 0 || director.isFollowed || hasPathUnit(director.place)) return undefined;
  return `${leftWords({ drains, ramps })}: continue with "ipvs drain run --follow", or apply with --wait`;
}

/** Whether packaging/ipvs-drain.path watches the record at `place`: that of the host, in its usual folder. */
function hasPathUnit(place: string): boolean {
  if (place !== '/var/lib/ipvs-director/host' || !existsSync('/run/systemd/system')) return false;
  try {
    execFileSync('systemctl', ['is-active', '--quiet', 'ipvs-drain.path'], { stdio: 'ignore', timeout: 2000 });
    return true;
  } catch {
    return false;
  }
}
