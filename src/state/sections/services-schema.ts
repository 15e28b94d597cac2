/** The sections `defaults` and `services` of a file: what may stand in them. */
import { z } from 'zod';
import type { Section } from '../../config/document.ts';
import { portProtocols } from '../../iptables/rules/mark-match.ts';
import {
  type DestinationInput,
  forwardMethods,
  type TunnelInput,
  tunnelChecksums,
  tunnelTypes,
} from '../../ipvs/destination.ts';
import { features } from '../../ipvs/features.ts';
import type { Protocol } from '../../net/address.ts';
import type { DrainSettings, RampSettings } from '../state.ts';
import { duration, durationUpTo, share, whole } from '../values.ts';

/** Those of Linux; a kernel may have others. */
export const schedulers: readonly string[] = features
  .filter(({ kind }) => kind === 'scheduler')
  .map(({ name }) => name);

const forward = z
  .union(
    [
      z.enum(forwardMethods),
      z.strictObject({
        tunnel: z.enum(tunnelTypes),
        port: whole(1, 0xffff, 'UDP port of gue'),
        checksum: z.enum(tunnelChecksums).optional(),
      }),
    ],
    { error: `one of ${forwardMethods.join(', ')}, or { tunnel: gue, port: 6080 }` },
  )
  .meta({ description: 'How packets reach the destination' });

const mask = z.union([z.number(), z.string()], { error: 'a prefix length, or an IPv4 mask' });

/** For what is written as a map, or null. */
const written =
  (example: string) =>
  ({ code }: { readonly code?: string }) =>
    code === 'invalid_type' ? `written ${example}, or null for none` : undefined;

const persistence = z
  .strictObject(
    {
      timeout: duration.optional().meta({ description: 'How long a client stays with its destination. Default: 300s' }),
      timeoutSeconds: z.number().optional().meta({ description: 'The same, as "ipvs list --json" prints it' }),
      netmask: z
        .union([mask, z.strictObject({ inet: mask.optional(), inet6: mask.optional() })], {
          error: 'a prefix length, an IPv4 mask, or one for each family: { inet: 24, inet6: 64 }',
        })
        .optional()
        .meta({ description: 'Clients of one network count as one' }),
      engine: z.enum(['sip']).nullish().meta({ description: 'Persistence engine' }),
    },
    { error: written('{ timeout: 300s }') },
  )
  .refine(({ timeout, timeoutSeconds }) => timeout === undefined || timeoutSeconds === undefined, {
    error: 'timeout and timeoutSeconds are the same setting',
  });

const drain = z
  .strictObject(
    {
      timeout: durationUpTo(2_147_483).meta({ description: 'How long it may take' }),
      // biome-ignore lint/suspicious/noThenProperty: so it reads in the file; it is no function.
      then: z
        .enum(['delete', 'keep'])
        .optional()
        .meta({ description: 'What happens when it is over; keep: it stays with weight 0. Default: delete' }),
    },
    { error: written('{ timeout: 60s }') },
  )
  .meta({ description: 'A destination that leaves the file first takes no new connections' });

const ramp = z
  .strictObject(
    {
      duration: durationUpTo(2_147_483).meta({ description: 'How long it takes to the whole weight' }),
      floor: share.optional().meta({ description: 'The share of the weight that it begins with. Default: 10%' }),
      curve: z.enum(['linear', 'exponential']).optional().meta({ description: 'Default: linear' }),
    },
    { error: written('{ duration: 5m }') },
  )
  .meta({ description: 'A destination that is new begins with a part of its weight' });

const scheduling = {
  scheduler: z
    .string()
    .optional()
    .meta({ description: 'How a destination is chosen. Default: wlc', examples: [...schedulers] }),
  schedulerFlags: z
    .array(z.string())
    .optional()
    .meta({ description: 'sh-fallback, sh-port, mh-fallback, mh-port, or flag-1 to flag-3' }),
  persistence: persistence.nullable().optional(),
  onePacket: z.boolean().optional().meta({ description: 'Schedule every UDP packet by itself' }),
  forward: forward.optional(),
  drain: drain.nullable().optional(),
  ramp: ramp.nullable().optional(),
};

const limits = {
  weight: whole(0, 0x7fff_ffff, 'Share of new connections; 0 takes none. Default: 1'),
  upperThreshold: whole(0, 0x7fff_ffff, 'No new connections at this many; 0 is no limit'),
  lowerThreshold: whole(0, 0x7fff_ffff, 'New connections again below this many; 0 is three quarters of the upper one'),
};

const description = z.string().max(1000).optional().meta({ description: 'For people' });

/** `ipvs list --json` prints them beside what can be described. */
const readOnly = z.unknown().optional().meta({ description: 'Ignored: the kernel counts it', readOnly: true });
const unreadable = (error: string) => z.never({ error }).optional();
const listed = {
  statistics: readOnly,
  owner: z.unknown().optional().meta({ description: 'Ignored: the record knows it', readOnly: true }),
  unknownAttributes: unreadable('it is of a newer kernel, and cannot be described'),
};

const destination = z.strictObject({
  address: z.string().meta({
    description:
      "10.0.0.11, 10.0.0.11:8080, [2001:db8::11]:8080, web1.example.net:8080; the port is the service's by default",
  }),
  description,
  forward: forward.optional(),
  ...limits,
  ...listed,
  activeConnections: readOnly,
  inactiveConnections: readOnly,
  persistentConnections: readOnly,
});

const ports = z.union([z.string().meta({ pattern: '^[0-9]{1,5}(-[0-9]{1,5})?$' }), z.number()], {
  error: 'ports are written 80 or 8000-8010',
});

const oneOrMore = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).min(1).max(256)]);

const match = z
  .array(
    z.strictObject({
      address: oneOrMore(z.string())
        .optional()
        .meta({ description: 'What clients connect to: 192.0.2.10, 2001:db8::/64; one or several' }),
      in: z.string().optional().meta({ description: 'Only what comes in through this network interface' }),
      protocol: oneOrMore(z.enum(portProtocols)).optional().meta({ description: 'Only these protocols' }),
      ports: oneOrMore(ports).optional().meta({ description: 'Only these ports, of the protocols: 80, 8000-8010' }),
    }),
  )
  .min(1)
  .max(256)
  .meta({ description: 'Of a service by firewall mark: the packets that get it; each entry by itself' });

const service = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,63}$/, { error: 'a name is 1 to 63 letters, digits, dots, hyphens and underscores' })
    .optional()
    .meta({ description: 'By which commands know it; each is given once' }),
  description,
  address: z
    .union([z.string(), z.array(z.string()).min(1)], {
      error: ({ input }) => (input === undefined ? 'it is missing' : 'an address, or a list of addresses'),
    })
    .meta({
      description: 'tcp://192.0.2.1:80, tcp://192.0.2.1:8000-8010, udp://[2001:db8::1]:53, fwmark:5; one or several',
    }),
  interface: z
    .string()
    .optional()
    .meta({ description: 'The network interface on which its address is added and removed' }),
  exclusive: z
    .boolean()
    .optional()
    .meta({ description: 'Destinations that are not described are removed, whoever made them' }),
  sourceNat: z
    .boolean()
    .optional()
    .meta({ description: 'Its connections come to their real servers from an address of this host' }),
  match: match.optional(),
  rejectUnserved: z
    .boolean()
    .optional()
    .meta({ description: 'What is new to its address, and for none of the services, is refused' }),
  ...scheduling,
  destinations: z.array(destination).nullish(),
  ...listed,
  incomplete: unreadable('not all destinations could be read, so this is not the whole service'),
});

const defaults = z.strictObject({ ...scheduling, ...limits });

export const defaultsSection: Section = {
  schema: (defaults satisfies z.ZodType<Defaults>)
    .nullish()
    .meta({ description: 'For the services and destinations of this file that do not say otherwise' }),
};
export const servicesSection: Section = { schema: z.array(service satisfies z.ZodType<ServiceEntry>).nullish() };

type Mask = number | string;

interface Scheduling {
  readonly scheduler?: string | undefined;
  readonly schedulerFlags?: string[] | undefined;
  readonly persistence?:
    | {
        /** Seconds. */
        readonly timeout?: number | undefined;
        readonly timeoutSeconds?: number | undefined;
        readonly netmask?: Mask | { readonly inet?: Mask | undefined; readonly inet6?: Mask | undefined } | undefined;
        readonly engine?: 'sip' | null | undefined;
      }
    | null
    | undefined;
  readonly onePacket?: boolean | undefined;
  readonly forward?: string | TunnelInput | undefined;
  readonly drain?:
    | { readonly timeout: number; readonly then?: DrainSettings['afterwards'] | undefined }
    | null
    | undefined;
  readonly ramp?:
    | {
        readonly duration: number;
        readonly floor?: number | undefined;
        readonly curve?: RampSettings['curve'] | undefined;
      }
    | null
    | undefined;
}

type LimitsEntry = Pick<DestinationInput, 'weight' | 'upperThreshold' | 'lowerThreshold'>;

/** As the schemas return it; durations are seconds, shares from 0 to 1. */
export interface Defaults extends Scheduling, LimitsEntry {}

export interface ServiceEntry extends Scheduling {
  readonly name?: string | undefined;
  readonly address: string | string[];
  readonly interface?: string | undefined;
  readonly exclusive?: boolean | undefined;
  readonly sourceNat?: boolean | undefined;
  readonly match?: readonly MatchEntry[] | undefined;
  readonly rejectUnserved?: boolean | undefined;
  readonly destinations?: readonly DestinationEntry[] | null | undefined;
}

/** Of each list every one with every other. */
export interface MatchEntry {
  readonly address?: string | readonly string[] | undefined;
  readonly in?: string | undefined;
  readonly protocol?: Protocol | readonly Protocol[] | undefined;
  readonly ports?: string | number | readonly (string | number)[] | undefined;
}

export interface DestinationEntry extends LimitsEntry {
  readonly address: string;
  readonly forward?: string | TunnelInput | undefined;
}
