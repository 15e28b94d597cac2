/** The values of the options that every command has. */
import type { KernelTransport } from '../../ipvs/backend.ts';

export interface GlobalOptions {
  readonly json?: boolean;
  readonly netns?: string;
  readonly color?: boolean;
  readonly logLevel?: string;
  readonly transport?: 'auto' | KernelTransport | 'memory';
  readonly state?: string;
  readonly stateDir?: string;
}
