/** What the defense goes by: signals, and the thresholds on them. */
import { grouped, percent } from './words.ts';

export const signalNames = [
  'memoryFree',
  'memoryAvailable',
  'memoryPressure',
  'newConnections',
  'table',
  'halfOpen',
] as const;
export type SignalName = (typeof signalNames)[number];

export interface Reading {
  readonly value: number;
  /** When it was measured, by the clock of `Signals.atMs`. */
  readonly atMs: number;
  /** Of how many entries it is a share. */
  readonly of?: number;
}

/** Why there is none. */
export interface Missing {
  readonly missing: string;
  /** This kernel never has it: nothing is held for its sake. */
  readonly forGood?: true;
}

export type Readings = Readonly<Record<SignalName, Reading | Missing>>;

export function isReading(reading: Reading | Missing): reading is Reading {
  return 'value' in reading;
}

interface SignalSpec {
  /** "table" */
  readonly words: string;
  readonly about: string;
  shown(value: number): string;
}

const shareOf = (noun: string) => (value: number) => `${percent(value)} of ${noun}`;

export const signals: Readonly<Record<SignalName, SignalSpec>> = {
  memoryFree: {
    words: 'free memory',
    about:
      "MemFree and Buffers, a share of all memory: what the kernel's own automatic modes count. The page cache eats it",
    shown: shareOf('all memory'),
  },
  memoryAvailable: {
    words: 'available memory',
    about: 'MemAvailable, a share of all memory: with the page cache that can be given up',
    shown: shareOf('all memory'),
  },
  memoryPressure: {
    words: 'memory pressure',
    about: 'The share of the last 10 seconds in which some task waited for memory (/proc/pressure/memory, some avg10)',
    shown: shareOf('the time'),
  },
  newConnections: {
    words: 'new connections',
    about: 'New connections per second, as the processors counted them: those that drop_packet dropped are not in it',
    shown: (value) => `${grouped(value)} per second`,
  },
  table: {
    words: 'connection table',
    about: 'Entries of the connection table, a share of its limit',
    shown: shareOf('its limit'),
  },
  halfOpen: {
    words: 'half-open entries',
    about: 'Entries in SYN_RECV or SYNACK, a share of the TCP entries that were looked at',
    shown: shareOf('the TCP entries looked at'),
  },
};

export const thresholdNames = [
  'memoryFreeBelow',
  'memoryAvailableBelow',
  'memoryPressureAbove',
  'newConnectionsPerSecondAbove',
  'tableAbove',
  'halfOpenAbove',
] as const;
export type ThresholdName = (typeof thresholdNames)[number];

/** Shares from 0 to 1; of new connections a number. */
export type Thresholds = Readonly<Partial<Record<ThresholdName, number>>>;

interface ThresholdSpec {
  readonly signal: SignalName;
  readonly side: 'above' | 'below';
}

export const thresholds: Readonly<Record<ThresholdName, ThresholdSpec>> = {
  memoryFreeBelow: { signal: 'memoryFree', side: 'below' },
  memoryAvailableBelow: { signal: 'memoryAvailable', side: 'below' },
  memoryPressureAbove: { signal: 'memoryPressure', side: 'above' },
  newConnectionsPerSecondAbove: { signal: 'newConnections', side: 'above' },
  tableAbove: { signal: 'table', side: 'above' },
  halfOpenAbove: { signal: 'halfOpen', side: 'above' },
};

/** Those that are given, in the order of the names. */
export function thresholdsIn(given: Thresholds): (readonly [ThresholdName, number])[] {
  return thresholdNames.flatMap((name) => {
    const value = given[name];
    return value === undefined ? [] : [[name, value] as const];
  });
}

export function isBeyond(name: ThresholdName, value: number, threshold: number): boolean {
  return thresholds[name].side === 'above' ? value > threshold : value < threshold;
}

/** "50 %", or a number */
export function limitWords(name: ThresholdName, threshold: number): string {
  return thresholds[name].signal === 'newConnections' ? grouped(threshold) : percent(threshold);
}

/** "half-open entries: 62 % of the TCP entries looked at, above 50 %" */
export function comparisonWords(name: ThresholdName, value: number, threshold: number, beyond: boolean): string {
  const { signal, side } = thresholds[name];
  const { words, shown } = signals[signal];
  return `${words}: ${shown(value)}, ${beyond ? '' : 'not '}${side} ${limitWords(name, threshold)}`;
}
