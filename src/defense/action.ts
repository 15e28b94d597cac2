/** What the kernel can do in its defense, and the settings that say so (ip_vs_ctl.c, vs_vars). */

/** The mildest first. */
export const actions = ['drop-entry', 'drop-packet', 'secure-tcp'] as const;
export type Action = (typeof actions)[number];

export const sysctlOf: Readonly<Record<Action, string>> = {
  'drop-entry': 'net.ipv4.vs.drop_entry',
  'drop-packet': 'net.ipv4.vs.drop_packet',
  'secure-tcp': 'net.ipv4.vs.secure_tcp',
};

export const DROP_RATE = 'net.ipv4.vs.am_droprate';
export const THRESHOLD = 'net.ipv4.vs.amemthresh';

export const ALWAYS = '3';
