/** What a direct command tells its caller beside its result. */
import type { IpvsError } from '../base/errors.ts';
import type { DrainPass } from './drain-runner.ts';

export interface DirectOptions {
  /** Called with what the pass over drains and ramps did that came before the command. */
  readonly onPass?: ((pass: DrainPass) => void) | undefined;
  /** Called where the command is done, but its entry cannot be written. */
  readonly onUnrecorded?: ((error: IpvsError) => void) | undefined;
}
