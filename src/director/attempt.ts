/** Checks of the nouns, run on what stands in a file. */
import { IpvsError } from '../errors.ts';
import { type Findings, type Place, within } from './places.ts';

/** Where the keys of a file have other names than those of the API. */
const keyInFile: Readonly<Record<string, string>> = {
  timeoutSeconds: 'timeout',
  tcpSeconds: 'tcp',
  tcpFinSeconds: 'tcpFin',
  udpSeconds: 'udp',
  maxLengthBytes: 'maxLength',
  minHoldSeconds: 'minHold',
  maxSeconds: 'max',
  staleSeconds: 'stale',
};

/** Runs a check; its refusal is reported at the field that it names, that of an address at `addressPlace`. */
export function attempt<T>(findings: Findings, place: Place, addressPlace: Place, check: () => T): T | undefined {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    const field = error.path.map((key) => (/^\d+$/.test(key) ? Number(key) : (keyInFile[key] ?? key)));
    findings.report(
      field[0] === 'address' || field.length === 0 ? addressPlace : within(place, ...field),
      error.hint ? `${error.message}; ${error.hint}` : error.message,
    );
    return undefined;
  }
}
