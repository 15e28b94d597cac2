/** `--target`: only some services of a file. Pure. */
import { IpvsError } from '../base/errors.ts';
import { serviceKey } from '../net/address.ts';
import { sysctlKey } from '../resources/keys.ts';
import { neededBy } from '../state/needed-settings.ts';
import type { DesiredState } from '../state/state.ts';

/**
 * Resolves targets to the addresses of services. An address needs no description: its service may have left already, and
 * then nothing is to change. A name that left is looked up in `past`, the newest state first. Throws INVALID_ADDRESS,
 * SERVICE_NOT_FOUND for a name that no state has.
 */
export async function addressesOf(
  targets: readonly string[],
  desired: DesiredState,
  applied: DesiredState | undefined,
  past: () => AsyncIterable<DesiredState>,
): Promise<ReadonlySet<string>> {
  const addresses = new Set<string>();
  for (const target of targets) {
    const named = [...addressesNamed(target, desired), ...(applied ? addressesNamed(target, applied) : [])];
    const found =
      named.length > 0 ? named : isAddress(target) ? [serviceKey(target)] : await addressesIn(past(), target);
    for (const address of found) addresses.add(address);
  }
  return addresses;
}

function addressesNamed(target: string, { services }: DesiredState): string[] {
  return services.flatMap(({ name, service }) => (name === target ? [service.address] : []));
}

async function addressesIn(states: AsyncIterable<DesiredState>, name: string): Promise<string[]> {
  for await (const state of states) {
    const addresses = addressesNamed(name, state);
    if (addresses.length > 0) return addresses;
  }
  const hint = 'use its address, or the name that the file gives it';
  throw new IpvsError('SERVICE_NOT_FOUND', { subject: name, detail: 'no service has this name', hint });
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
