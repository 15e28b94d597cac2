/** The law of every door, and what holds of every value that comes through one. */
import { isIP, isIPv4 } from 'node:net';
import { expect } from 'vitest';
import { type ErrorCode, IpvsError } from '../../src/base/errors.ts';
import type { Connection } from '../../src/ipvs/connection.ts';
import { type DestinationState, destinationKey, type Forward } from '../../src/ipvs/destination.ts';
import { schedulerFlagNames, type VirtualServiceState } from '../../src/ipvs/service.ts';
import { type Counters, counterNames, type Statistics } from '../../src/ipvs/statistics.ts';
import type { SyncDaemon } from '../../src/ipvs/sync-daemon.ts';
import type { Timeouts } from '../../src/ipvs/timeouts.ts';
import { parseDestinationAddress, parseServiceAddress, serviceKey } from '../../src/net/address.ts';
import type { UnknownAttribute } from '../../src/netlink/fields.ts';
import type { Link, LinkAddress } from '../../src/netlink/rtnetlink.ts';

/** What came of it: a value, or the code of an error of this package and what it says. Anything else is thrown on. */
export type Outcome<T> = { readonly value: T } | { readonly code: ErrorCode; readonly message: string };

export function outcomeOf<T>(call: () => T): Outcome<T> {
  try {
    return { value: call() };
  } catch (error) {
    return refusalOf(error);
  }
}

export async function eventualOutcomeOf<T>(call: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await call() };
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): { code: ErrorCode; message: string } {
  if (!(error instanceof IpvsError)) throw error;
  expect(error.message).not.toBe('');
  return { code: error.code, message: error.message };
}

/** A call returns a value of which `check` holds, or throws an error of this package with one of these codes. */
export function lawful<T>(call: () => T, check: (value: T) => void, codes?: readonly ErrorCode[]): void {
  const outcome = outcomeOf(call);
  if ('value' in outcome) check(outcome.value);
  else if (codes) expect(codes).toContain(outcome.code);
}

export function expectWhole(value: number, least: number, most: number): void {
  expect(Number.isInteger(value) && value >= least && value <= most, `${value} from ${least} to ${most}`).toBe(true);
}

const U16 = 0xffff;
const U32 = 0xffff_ffff;
const U64 = 0xffff_ffff_ffff_ffffn;
const INT = 0x7fff_ffff;

export function expectService(service: VirtualServiceState): void {
  const { address, scheduler, schedulerFlags, persistence, onePacket, statistics, unknownAttributes } = service;
  expect(serviceKey(address)).toBe(address);
  expect(scheduler).toBeTypeOf('string');
  expect(schedulerFlagNames(scheduler)).toEqual(expect.arrayContaining([...schedulerFlags]));
  expect(onePacket).toBeTypeOf('boolean');
  if (persistence !== null) {
    const { timeoutSeconds, netmask, engine } = persistence;
    expectWhole(timeoutSeconds, 0, U32);
    expect(engine === null || typeof engine === 'string').toBe(true);
    const inet = parseServiceAddress(address).family === 'inet';
    if (typeof netmask === 'number') expectWhole(netmask, 1, inet ? 32 : 128);
    else expect(inet && isIPv4(netmask), netmask).toBe(true);
  }
  if (statistics) expectStatistics(statistics);
  expectUnknown(unknownAttributes);
}

export function expectDestination(destination: DestinationState): void {
  const { address, forward, weight, statistics, unknownAttributes, ...numbers } = destination;
  expect(destinationKey(address, 'fwmark:1')).toBe(address);
  expect(parseDestinationAddress(address).port).toBeTypeOf('number');
  expectForward(forward);
  expectWhole(weight, 0, INT);
  for (const number of Object.values(numbers)) expectWhole(number, 0, U32);
  if (statistics) expectStatistics(statistics);
  expectUnknown(unknownAttributes);
}

function expectForward(forward: Forward): void {
  if (typeof forward === 'string') {
    expect(forward).toMatch(/^(masquerade|direct|tunnel|local|bypass|unknown-[567])$/);
    return;
  }
  expect(forward.tunnel).toMatch(/^(ipip|gue|gre|unknown-\d+)$/);
  expect(forward.checksum).toMatch(/^(nocsum|csum|remcsum|unknown-\d+)$/);
  expectWhole(forward.port, 0, U16);
}

function expectUnknown(attributes: readonly UnknownAttribute[] = []): void {
  for (const { number, bytes } of attributes) {
    expectWhole(number, 0, 0x3fff);
    expect(bytes).toBeInstanceOf(Uint8Array);
  }
}

export function expectCounters(counters: Counters): void {
  for (const name of counterNames) expect(counters[name] >= 0n && counters[name] <= U64, name).toBe(true);
}

export function expectStatistics(statistics: Statistics): void {
  expectCounters(statistics);
  expectCounters(statistics.rates);
}

export function expectTimeouts({ tcpSeconds, tcpFinSeconds, udpSeconds }: Timeouts): void {
  for (const seconds of [tcpSeconds, tcpFinSeconds, udpSeconds]) expectWhole(seconds, 0, U32);
}

export function expectDaemon({ state, interface: name, id, maxLengthBytes, group, port, ttl }: SyncDaemon): void {
  expect(['master', 'backup']).toContain(state);
  expect(name).toBeTypeOf('string');
  // The kernel takes any number, and each interface shows it in its own way.
  expectWhole(id, -INT - 1, U32);
  if (maxLengthBytes !== undefined) expectWhole(maxLengthBytes, 0, U16);
  if (group !== undefined) expect(isIP(group)).toBeGreaterThan(0);
  if (port !== undefined) expectWhole(port, 0, U16);
  if (ttl !== undefined) expectWhole(ttl, 0, 0xff);
}

export function expectInfo({ version, connectionTableSize }: { version: string; connectionTableSize: number }): void {
  expect(version).toMatch(/^\d{1,3}\.\d{1,3}\.\d{1,3}$/);
  expectWhole(connectionTableSize, 0, U32);
}

export function expectLink({ index, name, type, flags, hardwareAddress, forwardsIpv6 }: Link): void {
  expectWhole(index, 1, INT);
  expect(name).not.toBe('');
  expectWhole(type, 0, U16);
  expectWhole(flags, 0, U32);
  expectWhole(hardwareAddress.length, 0, 32);
  expect(forwardsIpv6).toBeTypeOf('boolean');
}

export function expectLinkAddress(address: LinkAddress | undefined): void {
  if (address === undefined) return;
  const { index, bytes, prefixLength } = address;
  expectWhole(index, 1, INT);
  expect([4, 16]).toContain(bytes.length);
  expectWhole(prefixLength, 0, 8 * bytes.length);
}

export function expectConnection(connection: Connection): void {
  const { kind, client, service, destination, state, expiresSeconds, engine, engineData } = connection;
  if (kind === 'template') expect(isIP(client)).toBeGreaterThan(0);
  else expect(destinationKey(client, 'fwmark:1')).toBe(client);
  expect(serviceKey(service)).toBe(service);
  expect(destinationKey(destination, 'fwmark:1')).toBe(destination);
  expect(state).not.toBe('');
  expectWhole(expiresSeconds, 0, INT);
  expect(engine === null).toBe(engineData === null);
}
