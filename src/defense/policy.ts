/** How the defense goes from pressure to levels, as data; every check at the door. */

import { at, given, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { type Action, actions } from './action.ts';
import type { DefenseLevel, LevelInput } from './level.ts';

export type { DefenseLevel, LevelInput };

import { type PresetName, presetNames, presets } from './presets.ts';
import {
  isBeyond,
  limitWords,
  type ThresholdName,
  type Thresholds,
  thresholdNames,
  thresholds,
  thresholdsIn,
} from './signal.ts';

/** Watching is level 0: nothing is written. */
export interface DefensePolicy {
  /** The preset that it began with; null without one. */
  readonly preset: PresetName | null;
  /** From the mildest on; none: the defense is off. */
  readonly levels: readonly DefenseLevel[];
  /** How many entries the connection table may have; null: conn_max where it is set, else by memory. */
  readonly tableLimit: number | null;
  /** How many entries of the connection table are looked at, at most. */
  readonly sampleEntries: number;
  /** With fewer TCP entries among them, half-open ones mean nothing. */
  readonly leastEntries: number;
  /** A signal that is older holds the level. */
  readonly staleSeconds: number;
}

/** What of it the signals depend on. */
export type SampleSettings = Pick<DefensePolicy, 'tableLimit' | 'sampleEntries' | 'leastEntries'>;

/** What is not said is as in the preset; without one, `levels` has to be said. */
export interface PolicySettings extends Partial<Omit<DefensePolicy, 'levels' | 'preset'>> {
  readonly preset?: PresetName | null;
  readonly levels?: readonly LevelInput[];
}

export type PolicyInput = PresetName | PolicySettings;

const settings = [
  'preset',
  'levels',
  'tableLimit',
  'sampleEntries',
  'leastEntries',
  'staleSeconds',
] as const satisfies readonly (keyof PolicySettings)[];
const levelSettings = [
  'actions',
  'dropRate',
  'enter',
  'leave',
  'minHoldSeconds',
  'maxSeconds',
] as const satisfies readonly (keyof LevelInput)[];

const MOST_LEVELS = 8;
const MOST_CONNECTIONS = 2 ** 30;
const MOST_SECONDS = 86_400;

export const policyDefaults: Omit<DefensePolicy, 'preset' | 'levels'> = {
  tableLimit: null,
  sampleEntries: 2000,
  leastEntries: 500,
  staleSeconds: 5,
};
const levelDefaults = { dropRate: 10, minHoldSeconds: 10, maxSeconds: 1800 } as const;

/** Complete and checked. Throws INVALID_DEFENSE, INVALID_OPTION. */
export function normalizePolicy(input: PolicyInput): DefensePolicy {
  if (typeof input === 'string') return normalizePolicy({ preset: presetName(input) });
  refuseUnknownKeys(input, 'defense policy', settings);
  const preset = input.preset == null ? null : at(['preset'], presetName, input.preset);
  const levels = input.levels ?? (preset === null ? undefined : presets[preset].levels);
  if (levels === undefined) throw invalid('a policy has a preset, or levels', []);
  if (!Array.isArray(levels) || levels.length > MOST_LEVELS)
    throw invalid(`${quote(levels)} is not a list of up to ${MOST_LEVELS} levels`, ['levels']);
  const { tableLimit, sampleEntries, leastEntries, staleSeconds } = { ...policyDefaults, ...given(input) };
  const policy = {
    preset,
    levels: levels.map((level, i) => at(['levels', String(i)], normalizeLevel, level)),
    tableLimit: tableLimit === null ? null : whole(tableLimit, 1, MOST_CONNECTIONS, 'tableLimit'),
    sampleEntries: whole(sampleEntries, 10, 100_000, 'sampleEntries'),
    leastEntries: whole(leastEntries, 1, 100_000, 'leastEntries'),
    staleSeconds: whole(staleSeconds, 2, 600, 'staleSeconds'),
  };
  if (policy.leastEntries > policy.sampleEntries)
    throw invalid(`only ${policy.sampleEntries} entries are looked at (sampleEntries)`, ['leastEntries']);
  return policy;
}

function presetName(name: unknown): PresetName {
  if (presetNames.includes(name as PresetName)) return name as PresetName;
  throw new IpvsError('INVALID_DEFENSE', {
    detail: `${quote(name)} is no preset`,
    hint: `presets are ${presetNames.join(', ')}`,
  });
}

function normalizeLevel(input: LevelInput): DefenseLevel {
  refuseUnknownKeys(input, 'level of a defense policy', levelSettings);
  const { minHoldSeconds, maxSeconds, dropRate } = { ...levelDefaults, ...given(input) };
  const chosen = levelActions(input.actions);
  const drops = chosen.includes('drop-packet');
  if (!drops && input.dropRate != null)
    throw invalid('it is the rate of drop-packet, which is none of the actions', ['dropRate']);
  const enter = at(['enter'], normalizeThresholds, input.enter);
  const leave = at(['leave'], normalizeThresholds, input.leave);
  checkHysteresis(enter, leave);
  const hold = whole(minHoldSeconds, 1, MOST_SECONDS, 'minHoldSeconds');
  const most = whole(maxSeconds, 1, MOST_SECONDS, 'maxSeconds');
  if (hold > most) throw invalid(`it is held for ${hold} seconds at least (minHoldSeconds)`, ['maxSeconds']);
  return {
    actions: chosen,
    // 1 drops every new connection, and 0 none.
    dropRate: drops ? whole(dropRate ?? levelDefaults.dropRate, 2, 2 ** 31 - 1, 'dropRate') : null,
    enter,
    leave,
    minHoldSeconds: hold,
    maxSeconds: most,
  };
}

/** In the order of the names, each once. */
function levelActions(input: unknown): Action[] {
  const path = ['actions'];
  if (!Array.isArray(input) || input.length === 0)
    throw invalid(`${quote(input)} is not a list of actions: ${actions.join(', ')}`, path);
  const unknown = input.find((action) => !actions.includes(action));
  if (unknown !== undefined) throw invalid(`${quote(unknown)} is none of ${actions.join(', ')}`, path);
  return actions.filter((action) => input.includes(action));
}

function normalizeThresholds(input: Thresholds): Thresholds {
  refuseUnknownKeys(input, 'set of thresholds', thresholdNames);
  const found = thresholdsIn(input);
  if (found.length === 0) throw invalid(`none of the thresholds is said: ${thresholdNames.join(', ')}`, []);
  return Object.fromEntries(found.map(([name, value]) => [name, thresholdValue(name, value)]));
}

function thresholdValue(name: ThresholdName, value: unknown): number {
  if (thresholds[name].signal === 'newConnections') return whole(value, 0, 1_000_000_000, name);
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  throw new IpvsError('INVALID_DEFENSE', { detail: quote(value), path: [name], hint: 'a share from 0 to 1' });
}

/** Without a distance between the two, a level would be entered and left again with every wave. */
function checkHysteresis(enter: Thresholds, leave: Thresholds): void {
  for (const name of thresholdNames) {
    const [entered, left] = [enter[name], leave[name]];
    if (entered === undefined && left === undefined) continue;
    if (left === undefined)
      throw invalid('it is entered by this signal, so it has to be said when it is left', ['leave', name]);
    if (entered === undefined) throw invalid('it is not entered by this signal', ['leave', name]);
    if (!isBeyond(name, entered, left)) {
      const calmer = thresholds[name].side === 'above' ? 'below' : 'above';
      throw invalid(
        `${limitWords(name, left)} is not ${calmer} the ${limitWords(name, entered)} at which it is entered`,
        ['leave', name],
      );
    }
  }
}

function whole(value: unknown, least: number, most: number, name: string): number {
  return wholeNumber(value, least, most, 'INVALID_DEFENSE', [name]);
}

function invalid(detail: string, path: readonly string[]): IpvsError {
  return new IpvsError('INVALID_DEFENSE', { detail, path });
}
