/** Settings as somebody wants them: names and values, checked against the catalogue. Pure. */
import { IpvsError } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { quote } from '../base/quote.ts';
import { catalogue, type SysctlSpec, sysctlSpec } from './catalogue.ts';
import { normalizeSysctlValue } from './kind.ts';
import { normalizeSysctlName } from './name.ts';

export type SysctlValue = string | number | boolean;

const VS = 'net.ipv4.vs.';

/** The canonical name, and what the catalogue says of it. Those of IPVS may be called by their last part. Throws INVALID_SYSCTL. */
export function findSysctl(name: string): { readonly name: string; readonly spec: SysctlSpec } {
  const whole = normalizeSysctlName(typeof name === 'string' && /^[a-z_]+$/.test(name) ? VS + name : name);
  const spec = sysctlSpec(whole);
  if (spec !== undefined) return { name: whole, spec };
  const meant = similar(whole);
  throw new IpvsError('INVALID_SYSCTL', {
    subject: quote(name),
    detail: `balancing does not depend on it${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
    hint: '"ipvs sysctl list --all" shows what it depends on; all others are for sysctl(8)',
  });
}

/** By its last part, as all names of a kind begin alike. */
function similar(name: string): string | undefined {
  const last = nearest(
    lastPart(name),
    catalogue.map((spec) => lastPart(spec.name)),
  );
  return last && catalogue.find((spec) => lastPart(spec.name) === last)?.name;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** Canonical names and values. Throws INVALID_SYSCTL. */
export function normalizeSysctls(wanted: Readonly<Record<string, SysctlValue>>): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [given, value] of Object.entries(wanted)) {
    const { name, spec } = findSysctl(given);
    if (spec.readOnly)
      throw new IpvsError('INVALID_SYSCTL', { subject: name, detail: 'it only shows, and is not set' });
    if (Object.hasOwn(settings, name))
      throw new IpvsError('INVALID_SYSCTL', { subject: name, detail: 'it is given twice' });
    settings[name] = normalizeSysctlValue(name, spec.kind, value);
  }
  return settings;
}
