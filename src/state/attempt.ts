/** Checks of the nouns, run on what stands in a file. */
import { IpvsError } from '../base/errors.ts';
import { type Findings, isPartial, type Place, within } from './places.ts';

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
    report(error, findings, place, addressPlace);
    return undefined;
  }
}

/** Fields that mean nothing without another one. */
const dependent: Readonly<Record<string, readonly string[]>> = {
  scheduler: ['schedulerFlags'],
  upperThreshold: ['lowerThreshold'],
};

/**
 * Runs a check, and again without each field that it refuses, so that one problem hides no other one of the same entry.
 * `standIn` has a right value of each field without which nothing can be checked; then the result is undefined.
 */
export function attemptEach<Input extends object, T>(
  findings: Findings,
  place: Place,
  addressPlace: Place,
  input: Input,
  standIn: Partial<Input>,
  check: (input: Input) => T,
): T | undefined {
  const refused = new Set<string>();
  for (let rest = input; ; ) {
    try {
      const result = check(rest);
      return Object.keys(standIn).some((field) => refused.has(field)) ? undefined : result;
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      const [field] = error.path;
      const key = error.path.join('.');
      if (refused.has(key)) return undefined;
      const isMisleading = dependsOnSeveral(error) && (refused.size > 0 || isPartial(place));
      if (!isMisleading) report(error, findings, place, addressPlace);
      if (field === undefined) return undefined;
      refused.add(key);
      rest = { ...without(rest, error.path), ...(field in standIn && { [field]: standIn[field as keyof Input] }) };
    }
  }
}

/** After another field of the entry was left out, such a refusal may be only its consequence. */
function dependsOnSeveral({ code, path: [field] }: IpvsError): boolean {
  if (code === 'PORT_ZERO' || code === 'MIXED_FAMILIES') return true;
  return field !== undefined && Object.values(dependent).flat().includes(field);
}

/** Without the value at `path`, and what depends on it. Of persistence the other parts stay: without them port 0 is wrong. */
function without<Input extends object>(input: Input, [field = '', part]: readonly string[]): Input {
  const value = (input as Readonly<Record<string, unknown>>)[field];
  const rest = field === 'persistence' && part !== undefined ? { ...(value as object), [part]: undefined } : undefined;
  const gone = (dependent[field] ?? []).map((name) => [name, undefined]);
  return { ...input, ...Object.fromEntries(gone), [field]: rest };
}

function report(error: IpvsError, findings: Findings, place: Place, addressPlace: Place): void {
  const field = error.path.map((key) => (/^\d+$/.test(key) ? Number(key) : (keyInFile[key] ?? key)));
  findings.report(
    field[0] === 'address' || field.length === 0 ? addressPlace : within(place, ...field),
    error.hint ? `${error.message}; ${error.hint}` : error.message,
  );
}
