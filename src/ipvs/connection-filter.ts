/** Which connections are meant: by client, service, destination, state and idle time. */

import { at, oneOf, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { serviceKey } from '../net/address.ts';
import { endpointTest } from '../net/endpoint.ts';
import { type Connection, connectionStates, idleSeconds } from './connection.ts';
import type { Timeouts } from './timeouts.ts';

/** All that is given must hold. */
export interface ConnectionFilter {
  /** An address or a network, with or without a port: `198.51.100.7`, `198.51.100.0/24`, `[2001:db8::1]:4711`. */
  readonly client?: string | undefined;
  /** A service (`tcp://192.0.2.10:80`, `fwmark:7`: its templates), or an address or network as above. */
  readonly service?: string | undefined;
  readonly destination?: string | undefined;
  /** Any of these, in the kernel's words; case does not matter. */
  readonly state?: string | readonly string[] | undefined;
  readonly kind?: Connection['kind'] | undefined;
  /** No packet for at least this long. What the idle time of is not known does not match. */
  readonly idleOverSeconds?: number | undefined;
  /** A packet within this time. */
  readonly idleUnderSeconds?: number | undefined;
}

const names = ['client', 'service', 'destination', 'state', 'kind', 'idleOverSeconds', 'idleUnderSeconds'] as const;
const MOST_SECONDS = 0xffff_ffff;

/** Whether the filter needs to know the timeouts. */
export function looksAtIdleTime({ idleOverSeconds, idleUnderSeconds }: ConnectionFilter): boolean {
  return idleOverSeconds !== undefined || idleUnderSeconds !== undefined;
}

/** The filter as a test. Throws INVALID_OPTION, INVALID_ADDRESS, INVALID_PORT, INVALID_DURATION. */
export function connectionTest(filter: ConnectionFilter, timeouts?: Timeouts): (connection: Connection) => boolean {
  refuseUnknownKeys(filter, 'filter of connections', names);
  const { client, service, destination, state, kind, idleOverSeconds, idleUnderSeconds } = filter;
  const tests: ((connection: Connection) => boolean)[] = [];
  if (kind !== undefined) {
    const wanted = oneOf(kind, ['connection', 'template'], 'INVALID_OPTION', ['kind']);
    tests.push((connection) => connection.kind === wanted);
  }
  if (state !== undefined) {
    const states = new Set([state].flat().map(stateName));
    if (states.size === 0) throw new IpvsError('INVALID_OPTION', { detail: 'no state is named', path: ['state'] });
    tests.push((connection) => states.has(connection.state));
  }
  if (service !== undefined) {
    const test = at(['service'], () => serviceTest(service));
    tests.push((connection) => test(connection.service));
  }
  if (client !== undefined) {
    const test = at(['client'], () => endpointTest(client));
    tests.push((connection) => test(connection.client));
  }
  if (destination !== undefined) {
    const test = at(['destination'], () => endpointTest(destination));
    tests.push((connection) => test(connection.destination));
  }
  const over = seconds(idleOverSeconds, 'idleOverSeconds');
  const under = seconds(idleUnderSeconds, 'idleUnderSeconds');
  if (timeouts !== undefined && (over !== undefined || under !== undefined)) {
    tests.push((connection) => {
      const idle = idleSeconds(connection, timeouts);
      return idle !== undefined && idle >= (over ?? 0) && idle <= (under ?? MOST_SECONDS);
    });
  }
  return (connection) => tests.every((test) => test(connection));
}

function seconds(value: number | undefined, name: string): number | undefined {
  return value === undefined ? undefined : wholeNumber(value, 0, MOST_SECONDS, 'INVALID_DURATION', [name]);
}

/** A misspelt state would match nothing, and look like a server that is drained. */
function stateName(state: unknown): string {
  return oneOf(typeof state === 'string' ? state.toUpperCase() : state, connectionStates, 'INVALID_OPTION', ['state']);
}

function serviceTest(wanted: string): (service: string) => boolean {
  if (typeof wanted === 'string' && (wanted.includes('://') || wanted.startsWith('fwmark:'))) {
    const key = serviceKey(wanted);
    // A service on port 0 takes every port.
    const everyPort = key.startsWith('fwmark:') || !key.endsWith(':0') ? undefined : key.slice(0, -1);
    return everyPort === undefined ? (service) => service === key : (service) => service.startsWith(everyPort);
  }
  const test = endpointTest(wanted);
  return (service) => !service.startsWith('fwmark:') && test(service.slice(service.indexOf('://') + 3));
}
