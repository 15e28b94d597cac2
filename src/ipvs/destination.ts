/** Destinations: the real servers of a virtual service. */

import { at, oneOf, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import {
  canonicalDestination,
  type DestinationAddress,
  isUnicast,
  knownService,
  parseDestinationAddress,
} from '../net/address.ts';
import type { UnknownAttribute } from '../netlink/fields.ts';
import type { Statistics } from './statistics.ts';

/** A destination as it should be: complete and canonical. */
export interface Destination {
  /** Canonical text: `10.0.0.11:8080`. The identity of the destination inside its service. */
  readonly address: string;
  readonly forward: Forward;
  /** 0 to 2147483647; 0 takes no new connections. */
  readonly weight: number;
  /** No new connections at this many active and inactive ones; 0 is no limit. */
  readonly upperThreshold: number;
  /** New connections again below this many; 0 is three quarters of the upper one. */
  readonly lowerThreshold: number;
}

/**
 * How packets reach it. `tunnel` is plain IP in IP; the other encapsulations, or one with a checksum
 * option, are a `Tunnel`.
 */
export type Forward = 'masquerade' | 'direct' | 'tunnel' | 'local' | 'bypass' | Tunnel | UnknownForward;

export interface Tunnel {
  readonly tunnel: 'ipip' | 'gue' | 'gre' | `unknown-${number}`;
  /** UDP port that the destination listens on: GUE only, otherwise 0. */
  readonly port: number;
  readonly checksum: 'nocsum' | 'csum' | 'remcsum' | `unknown-${number}`;
}

/** The kernel also stores numbers that mean nothing; such a destination can be read, not made. */
export type UnknownForward = `unknown-${number}`;

export interface TunnelInput {
  /** May be left out of an edit. */
  readonly tunnel?: string | undefined;
  readonly port?: number | undefined;
  readonly checksum?: string | undefined;
}

/** A destination as a caller may say it; what is missing has a default. */
export interface DestinationInput {
  /** Without a port: the service's. */
  readonly address: string | DestinationAddress;
  /** Default: masquerade. */
  readonly forward?: string | TunnelInput | undefined;
  /** Default: 1. */
  readonly weight?: number | undefined;
  readonly upperThreshold?: number | undefined;
  readonly lowerThreshold?: number | undefined;
}

/** A destination as the kernel holds it. */
export interface DestinationState extends Destination {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  /** Persistence templates: clients that are pinned to it. */
  readonly persistentConnections: number;
  /** What a newer kernel says and this package does not understand. */
  readonly unknownAttributes?: readonly UnknownAttribute[];
  readonly statistics?: Statistics;
}

export const forwardMethods = ['masquerade', 'direct', 'tunnel', 'local', 'bypass'] as const;
export const tunnelTypes = ['ipip', 'gue', 'gre'] as const;
export const tunnelChecksums = ['nocsum', 'csum', 'remcsum'] as const;

/** What an edit can change. */
export const destinationSettings: readonly string[] = ['forward', 'weight', 'upperThreshold', 'lowerThreshold'];

const knownKeys = ['address', ...destinationSettings];

/** Made once: there may be thousands of destinations, and hardly ever a refusal. */
const paths = {
  address: ['address'],
  weight: ['weight'],
  forward: ['forward'],
  upperThreshold: ['upperThreshold'],
  lowerThreshold: ['lowerThreshold'],
} as const;

/** The kernel's is an int; it takes none below zero (ip_vs_ctl.c). */
export const MOST_WEIGHT = 0x7fff_ffff;

/**
 * Fills in defaults, checks everything that the kernel would take wrongly, and makes it canonical.
 * Throws an error of kind `input` whose `path` names the field.
 */
export function normalizeDestination(input: DestinationInput, service: string): Destination {
  refuseUnknownKeys(input, 'destination', knownKeys);
  const of = knownService(service);
  const servicePort = 'port' in of ? of.port : 0;
  const address = at(paths.address, parseDestinationAddress, input.address, servicePort);
  if (!isUnicast(address)) throw new IpvsError('NOT_A_HOST', { detail: quote(address.ip), path: ['address'] });
  const forward = normalizeForward(input.forward ?? 'masquerade');

  if (address.family !== of.family && !isTunnel(forward)) throw new IpvsError('MIXED_FAMILIES', { path: ['address'] });
  if (forward !== 'masquerade' && 'port' in of && address.port !== servicePort) {
    throw new IpvsError('INVALID_PORT', {
      detail: `${address.port} is not the service's ${servicePort}`,
      path: ['address'],
      hint: 'only masquerade can change the port',
    });
  }

  return { address: canonicalDestination(input.address, address), forward, ...normalizeLimits(input) };
}

/** The part of `normalizeDestination` that does not depend on the service. */
export function normalizeLimits(
  input: Pick<DestinationInput, 'weight' | 'upperThreshold' | 'lowerThreshold'>,
): Pick<Destination, 'weight' | 'upperThreshold' | 'lowerThreshold'> {
  const weight = wholeNumber(input.weight ?? 1, 0, MOST_WEIGHT, 'INVALID_WEIGHT', paths.weight);
  const upperThreshold = threshold(input.upperThreshold, paths.upperThreshold);
  const lowerThreshold = threshold(input.lowerThreshold, paths.lowerThreshold);
  if (lowerThreshold > upperThreshold) {
    throw new IpvsError('INVALID_THRESHOLD', {
      detail: `the lower one, ${lowerThreshold}, is above the upper one, ${upperThreshold}`,
      path: ['lowerThreshold'],
    });
  }
  return { weight, upperThreshold, lowerThreshold };
}

/** Canonical text of a destination's address in its service. */
export function destinationKey(input: string | DestinationAddress, service: string): string {
  const of = knownService(service);
  return canonicalDestination(input, parseDestinationAddress(input, 'port' in of ? of.port : 0));
}

export function isTunnel(forward: Forward): boolean {
  return forward === 'tunnel' || typeof forward === 'object';
}

/** For people: `masquerade`, `tunnel`, `tunnel gue:6080 csum`. */
export function formatForward(forward: Forward): string {
  if (typeof forward === 'string') return forward;
  const { tunnel, port, checksum } = forward;
  return `tunnel ${tunnel}${port ? `:${port}` : ''}${checksum === 'nocsum' ? '' : ` ${checksum}`}`;
}

export function sameForward(a: Forward, b: Forward): boolean {
  return a === b || formatForward(a) === formatForward(b);
}

function normalizeForward(input: string | TunnelInput): Forward {
  if (typeof input !== 'object' || input === null)
    return oneOf(input, forwardMethods, 'INVALID_FORWARD', paths.forward);
  refuseUnknownKeys(input, 'tunnel', ['tunnel', 'port', 'checksum'], ['forward']);
  const tunnel = oneOf(input.tunnel, tunnelTypes, 'INVALID_FORWARD', ['forward', 'tunnel']);
  const checksum = oneOf(input.checksum ?? 'nocsum', tunnelChecksums, 'INVALID_FORWARD', ['forward', 'checksum']);
  if (tunnel !== 'gue' && input.port !== undefined && input.port !== 0) {
    throw new IpvsError('INVALID_FORWARD', { detail: `${tunnel} has no port`, path: ['forward', 'port'] });
  }
  if (tunnel === 'gue' && input.port === undefined) {
    throw new IpvsError('INVALID_FORWARD', {
      detail: 'gue needs the UDP port that the destination listens on',
      path: ['forward', 'port'],
    });
  }
  if (tunnel === 'gre' && checksum === 'remcsum') {
    // The kernel stores it, and passes it over (ip_vs_xmit.c).
    throw new IpvsError('INVALID_FORWARD', {
      detail: 'gre has no remote checksum offload',
      path: ['forward', 'checksum'],
    });
  }
  const port = tunnel === 'gue' ? wholeNumber(input.port, 1, 0xffff, 'INVALID_PORT', ['forward', 'port']) : 0;
  if (tunnel === 'ipip') {
    if (checksum !== 'nocsum') {
      throw new IpvsError('INVALID_FORWARD', { detail: 'ipip has no checksum', path: ['forward', 'checksum'] });
    }
    return 'tunnel';
  }
  return { tunnel, port, checksum };
}

function threshold(value: number | undefined, path: readonly string[]): number {
  return wholeNumber(value ?? 0, 0, MOST_WEIGHT, 'INVALID_THRESHOLD', path);
}

/** Whether both are configured alike; counters and connections are not looked at. */
export function sameDestination(a: Destination, b: Destination): boolean {
  return (
    a.address === b.address &&
    a.weight === b.weight &&
    a.upperThreshold === b.upperThreshold &&
    a.lowerThreshold === b.lowerThreshold &&
    sameForward(a.forward, b.forward)
  );
}
