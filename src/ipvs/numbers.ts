/** Numbers of linux/ip_vs.h that both of the kernel's interfaces share, and our names for them. */
import { schedulerFlagNames, type VirtualService } from './service.ts';

/** IP_VS_SVC_F_*; HASHED (2) is the kernel's own. */
const flag = { PERSISTENT: 0x1, ONEPACKET: 0x4, SCHED1: 0x8 } as const;
const SCHEDULER_FLAGS = 0x38;
export const OUR_FLAGS: number = flag.PERSISTENT | flag.ONEPACKET | SCHEDULER_FLAGS;

export function flagsOf({ scheduler, schedulerFlags, persistence, onePacket }: VirtualService): number {
  const names = schedulerFlagNames(scheduler);
  let flags = 0;
  if (persistence !== null) flags |= flag.PERSISTENT;
  if (onePacket) flags |= flag.ONEPACKET;
  for (const name of schedulerFlags) flags |= flag.SCHED1 << names.indexOf(name);
  return flags;
}

interface FlagSettings {
  readonly schedulerFlags: readonly string[];
  readonly persistent: boolean;
  readonly onePacket: boolean;
}

export function settingsOfFlags(scheduler: string, flags: number): FlagSettings {
  const schedulerFlags = flags & SCHEDULER_FLAGS ? schedulerFlagNames(scheduler) : [];
  return {
    schedulerFlags: schedulerFlags.filter((_, bit) => flags & (flag.SCHED1 << bit)),
    persistent: (flags & flag.PERSISTENT) !== 0,
    onePacket: (flags & flag.ONEPACKET) !== 0,
  };
}

/** IP_VS_CONN_F_FWD_MASK: our names in the order of the kernel's numbers (MASQ, LOCALNODE, TUNNEL, DROUTE, BYPASS). */
const forwardNames = ['masquerade', 'local', 'tunnel', 'direct', 'bypass'] as const;
const FORWARD_MASK = 7;

export function forwardNumber(name: string): number {
  return numberOf(name, forwardNames);
}

export function forwardName(flags: number): (typeof forwardNames)[number] | `unknown-${number}` {
  return nameOf(flags & FORWARD_MASK, forwardNames);
}

/** A number of the kernel by name; one without a name is kept as text. */
export function nameOf<T extends string>(number: number, names: readonly T[]): T | `unknown-${number}` {
  return names[number] ?? `unknown-${number}`;
}

/** The inverse of `nameOf`. */
export function numberOf(text: string, names: readonly string[]): number {
  const number = names.indexOf(text);
  return number >= 0 ? number : Number(text.slice('unknown-'.length));
}

/** "1.2.1" for 0x010201. */
export function versionText(version: number): string {
  return `${(version >> 16) & 0xff}.${(version >> 8) & 0xff}.${version & 0xff}`;
}
