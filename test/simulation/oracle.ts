/** Who owns what, told by rules of its own: what the record says has to agree with it. */
import type { DesiredState } from '../../src/state/state.ts';

export type Owner = 'ours' | 'verb' | 'foreign';

/** Immutable. */
export interface Owners {
  /** What was applied last. */
  readonly desired: DesiredState | undefined;
  /** Keys of what direct commands created or adopted. */
  readonly made: ReadonlySet<string>;
}

export const NOBODY: Owners = { desired: undefined, made: new Set() };

export function ownerOf(key: string, { desired, made }: Owners): Owner {
  if (describes(desired, key)) return 'ours';
  return made.has(key) ? 'verb' : 'foreign';
}

/** Whether a file describes what has this key. */
export function describes(desired: DesiredState | undefined, key: string): boolean {
  if (desired === undefined) return false;
  const [first = '', second] = key.split(' ');
  if (first === 'timeouts') return desired.timeouts !== undefined;
  if (first === 'sync') return desired.sync?.some(({ state }) => state === second) ?? false;
  if (first === 'sysctl') return Object.hasOwn(desired.sysctls ?? {}, second ?? '');
  if (first === 'defense') return desired.defense !== undefined;
  if (first === 'masquerade') return desired.masquerade?.some(({ source }) => source === second) ?? false;
  if (first === 'address')
    return desired.services.some(
      ({ service, interface: name }) => key === `address ${ipOf(service.address)}/32 on ${name}`,
    );
  const entry = desired.services.find(({ service }) => service.address === first);
  if (second === undefined) return entry !== undefined;
  return entry?.destinations.some(({ address }) => address === second) ?? false;
}

export function ipOf(service: string): string | undefined {
  return /^\w+:\/\/([\d.]+):\d+$/.exec(service)?.[1];
}

export function isOfService(key: string): boolean {
  return key.includes('://') || key.startsWith('fwmark:');
}

/** An apply was carried out: its file owns what it describes; what it removed is gone. */
export function afterApply(owners: Owners, desired: DesiredState, deleted: ReadonlySet<string>): Owners {
  const isGone = (key: string) => deleted.has(key) || deleted.has(key.split(' ')[0] as string);
  const made = [...owners.made].filter((key) => !describes(desired, key) && !isGone(key));
  return { desired, made: new Set(made) };
}

/** A direct command was carried out. */
export function afterCommand(
  owners: Owners,
  {
    makes = [],
    takes = [],
  }: { readonly makes?: readonly string[]; readonly takes?: readonly string[] | 'all services' },
): Owners {
  const isGone = (key: string) =>
    takes === 'all services' ? isOfService(key) : takes.some((taken) => key === taken || key.startsWith(`${taken} `));
  const kept = [...owners.made].filter((key) => !isGone(key));
  return { ...owners, made: new Set([...kept, ...makes]) };
}

/** Everything of services that exists and is foreign becomes ours. */
export function afterAdopt(owners: Owners, present: readonly string[]): Owners {
  const foreign = present.filter((key) => isOfService(key) && ownerOf(key, owners) === 'foreign');
  return { ...owners, made: new Set([...owners.made, ...foreign]) };
}

export function afterDisown(owners: Owners): Owners {
  const made = new Set([...owners.made].filter((key) => !isOfService(key)));
  return { desired: owners.desired && { ...owners.desired, services: [] }, made };
}
