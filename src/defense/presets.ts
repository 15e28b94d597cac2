/**
 * Policies that are there. Their actions follow from what was measured (docs/flood.md): drop-entry halves what a flood takes
 * and costs an honest client nothing, so it comes first and early; drop-packet makes every N-th wait for a second and saves an
 * N-th, so it is what is left before memory ends; secure-tcp saves nothing, so it is in none.
 */
import type { LevelInput } from './level.ts';
import type { Thresholds } from './signal.ts';

export const presetNames = ['off', 'memory', 'balanced', 'strict'] as const;
export type PresetName = (typeof presetNames)[number];

export interface Preset {
  readonly levels: readonly LevelInput[];
  readonly about: string;
}

/** Memory that gets scarce, whatever eats it. */
const scarce: Readonly<Record<'enter' | 'leave', Thresholds>> = {
  enter: { memoryAvailableBelow: 0.1, memoryPressureAbove: 0.2 },
  leave: { memoryAvailableBelow: 0.15, memoryPressureAbove: 0.1 },
};
/** So scarce that honest clients waiting for a second is the lesser evil. */
const scarcest: typeof scarce = {
  enter: { memoryAvailableBelow: 0.03, memoryPressureAbove: 0.6 },
  leave: { memoryAvailableBelow: 0.05, memoryPressureAbove: 0.4 },
};

export const presets: Readonly<Record<PresetName, Preset>> = {
  off: { about: 'Nothing is ever done', levels: [] },
  memory: {
    about: 'Only when memory gets scarce: a flood that the host has room for is let through',
    levels: [
      { actions: ['drop-entry'], ...scarce, minHoldSeconds: 10, maxSeconds: 86_400 },
      { actions: ['drop-entry', 'drop-packet'], dropRate: 10, ...scarcest, minHoldSeconds: 10, maxSeconds: 600 },
    ],
  },
  balanced: {
    about: 'Also when the connection table fills, or is mostly half-open: signs of a flood while there is still room',
    levels: [
      {
        actions: ['drop-entry'],
        enter: { ...scarce.enter, tableAbove: 0.5, halfOpenAbove: 0.5 },
        leave: { ...scarce.leave, tableAbove: 0.4, halfOpenAbove: 0.3 },
        minHoldSeconds: 10,
        maxSeconds: 86_400,
      },
      {
        actions: ['drop-entry', 'drop-packet'],
        dropRate: 10,
        enter: { ...scarcest.enter, tableAbove: 0.9 },
        leave: { ...scarcest.leave, tableAbove: 0.8 },
        minHoldSeconds: 10,
        maxSeconds: 600,
      },
    ],
  },
  strict: {
    about: 'Early and hard: for hosts that are flooded often, and rather turn honest clients away than stand still',
    levels: [
      {
        actions: ['drop-entry'],
        enter: { ...scarce.enter, tableAbove: 0.3, halfOpenAbove: 0.3, newConnectionsPerSecondAbove: 50_000 },
        leave: { ...scarce.leave, tableAbove: 0.2, halfOpenAbove: 0.15, newConnectionsPerSecondAbove: 30_000 },
        minHoldSeconds: 30,
        maxSeconds: 86_400,
      },
      {
        actions: ['drop-entry', 'drop-packet'],
        dropRate: 10,
        enter: { memoryAvailableBelow: 0.05, memoryPressureAbove: 0.4, tableAbove: 0.8 },
        leave: { memoryAvailableBelow: 0.08, memoryPressureAbove: 0.25, tableAbove: 0.7 },
        minHoldSeconds: 30,
        maxSeconds: 1800,
      },
      {
        actions: ['drop-entry', 'drop-packet'],
        dropRate: 2,
        enter: { memoryAvailableBelow: 0.03, tableAbove: 0.95 },
        leave: { memoryAvailableBelow: 0.05, tableAbove: 0.85 },
        minHoldSeconds: 30,
        maxSeconds: 1800,
      },
    ],
  },
};
