/** `--target`: only some services of a file. Pure. */
import { IpvsError } from '../errors.ts';
import { serviceKey } from '../ipvs/address.ts';
import { sysctlKey } from './keys.ts';
import { neededBy } from './needed-settings.ts';
import type { DesiredState } from './state.ts';

/** The addresses of services, by address or by name. Throws SERVICE_NOT_FOUND for what neither state knows. */
export function addressesOf(
  targets: readonly string[],
  desired: DesiredState,
  applied: DesiredState | undefined,
): ReadonlySet<string> {
  const services = [...desired.services, ...(applied?.services ?? [])];
  return new Set(
    targets.flatMap((target) => {
      const named = services.filter(({ name }) => name === target);
      if (named.length > 0) return named.map(({ service }) => service.address);
      const address = isAddress(target) ? serviceKey(target) : target;
      if (services.some(({ service }) => service.address === address)) return [address];
      const hint = 'say its address, or the name that the file gives it';
      throw new IpvsError('SERVICE_NOT_FOUND', { subject: target, detail: 'the file does not describe it', hint });
    }),
  );
}

function isAddress(text: string): boolean {
  return text.includes('://') || text.startsWith('fwmark:');
}

/** What was applied, but for the targets, which are as the file says. */
export function targetedState(
  desired: DesiredState,
  applied: DesiredState | undefined,
  targets: ReadonlySet<string>,
): DesiredState {
  const meant = new Map(
    desired.services.flatMap((entry) => (targets.has(entry.service.address) ? [[entry.service.address, entry]] : [])),
  );
  // Each in the place where it was.
  const services = (applied?.services ?? []).flatMap((entry) => {
    const { address } = entry.service;
    const now = meant.get(address);
    meant.delete(address);
    return targets.has(address) ? (now ?? []) : entry;
  });
  const needed = neededBy(targets, desired).map((name) => [name, desired.sysctls?.[name] ?? '1']);
  return {
    ...applied,
    services: [...services, ...meant.values()],
    ...(needed.length > 0 && { sysctls: { ...applied?.sysctls, ...Object.fromEntries(needed) } }),
    ...(desired.limits && { limits: desired.limits }),
  };
}

/** The keys of what is changed with the targets: they themselves, and the settings that they need. */
export function withNeededKeys(targets: ReadonlySet<string>, desired: DesiredState): ReadonlySet<string> {
  return new Set([...targets, ...neededBy(targets, desired).map(sysctlKey)]);
}
