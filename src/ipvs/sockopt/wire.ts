/** Our nouns as the structs of the IP_VS_SO_* options, and back. What the structs have no place for is refused. */
import { IpvsError } from '../../base/errors.ts';
import {
  formatDestinationAddress,
  formatServiceAddress,
  parseDestinationAddress,
  parseServiceAddress,
  protocolNumber,
  protocolOf,
  quadOf,
  quadText,
  type ServiceAddress,
} from '../../net/address.ts';
import {
  type DaemonValues,
  type DestinationValues,
  daemonStruct,
  destinationEntryStruct,
  type ServiceValues,
  type StatisticsValues,
  serviceAndDestinationStruct,
  serviceEntryStruct,
  serviceStruct,
  setOption,
  timeoutsStruct,
} from '../../sockopt/options.ts';
import { bytesOf } from '../../sockopt/struct.ts';
import type { ReadOptions } from '../backend.ts';
import type { Destination, DestinationState } from '../destination.ts';
import { flagsOf, forwardName, forwardNumber, settingsOfFlags } from '../numbers.ts';
import type { Operation } from '../operation.ts';
import { netmaskBytes, netmaskOf, type VirtualService, type VirtualServiceState } from '../service.ts';
import type { Statistics } from '../statistics.ts';
import { type SyncDaemon, syncStates } from '../sync-daemon.ts';

const NO_MASK = new Uint8Array(4);

/** What the structs identify a service by. The kernel compares the protocol of a marked service too. */
export interface ServiceId {
  readonly protocol: number;
  readonly address: number;
  readonly port: number;
  readonly fwmark: number;
}

/** `markProtocol` is that of a service by firewall mark: TCP, unless this interface made it with another. */
export function serviceIdOf(text: string, markProtocol: number = protocolNumber('tcp')): ServiceId {
  const address = parseServiceAddress(text);
  if (address.family !== 'inet') throw lacks('services of IPv6');
  if ('fwmark' in address) return { protocol: markProtocol, address: 0, port: 0, fwmark: address.fwmark };
  return {
    protocol: protocolNumber(address.protocol),
    address: quadOf(address.ip),
    port: address.port,
    fwmark: 0,
  };
}

/** An operation as one setsockopt(2). Throws TRANSPORT_LACKS for what the structs have no place for. */
export function optionCall(operation: Operation, markProtocol?: number): { option: number; bytes: Uint8Array } {
  switch (operation.type) {
    case 'service.add':
    case 'service.edit': {
      const option = operation.type === 'service.add' ? setOption.ADD : setOption.EDIT;
      return { option, bytes: serviceBytes(serviceIdOf(operation.service.address, markProtocol), operation.service) };
    }
    case 'service.delete':
      return { option: setOption.DEL, bytes: serviceIdBytes(serviceIdOf(operation.service, markProtocol)) };
    case 'destination.add':
    case 'destination.edit': {
      const option = operation.type === 'destination.add' ? setOption.ADDDEST : setOption.EDITDEST;
      const id = serviceIdOf(operation.service, markProtocol);
      return { option, bytes: destinationBytes(id, operation.destination) };
    }
    case 'destination.delete': {
      const id = serviceIdOf(operation.service, markProtocol);
      return { option: setOption.DELDEST, bytes: destinationIdBytes(id, operation.destination) };
    }
    case 'flush':
      return { option: setOption.FLUSH, bytes: new Uint8Array(0) };
    case 'zero': {
      // All zero is every service.
      const { service } = operation;
      const nothing = new Uint8Array(serviceStruct.sizeBytes);
      return {
        option: setOption.ZERO,
        bytes: service === undefined ? nothing : serviceIdBytes(serviceIdOf(service, markProtocol)),
      };
    }
    case 'timeouts.set':
      return { option: setOption.TIMEOUT, bytes: bytesOf(timeoutsStruct, { ...UNCHANGED, ...operation.timeouts }) };
    case 'sync.start':
      return { option: setOption.STARTDAEMON, bytes: bytesOf(daemonStruct, daemonValues(operation.daemon)) };
    case 'sync.stop': {
      const daemon = { state: syncStates.indexOf(operation.state) + 1, interface: '', id: 0 };
      return { option: setOption.STOPDAEMON, bytes: bytesOf(daemonStruct, daemon) };
    }
  }
}

const UNCHANGED = { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 0 };

/** A service by its identity alone: for DEL and ZERO. */
function serviceIdBytes(id: ServiceId): Uint8Array {
  return bytesOf(serviceStruct, idValues(id));
}

function serviceBytes(id: ServiceId, service: VirtualService): Uint8Array {
  const { scheduler, persistence } = service;
  if (persistence?.engine) throw lacks('persistence engines');
  return bytesOf(serviceStruct, {
    ...id,
    scheduler,
    flags: flagsOf(service),
    timeoutSeconds: persistence?.timeoutSeconds ?? 0,
    netmask: netmaskBytes(persistence?.netmask ?? 32),
  });
}

function destinationBytes(id: ServiceId, { address, ...settings }: Destination): Uint8Array {
  const { forward, weight, upperThreshold, lowerThreshold } = settings;
  if (typeof forward === 'object') throw lacks('tunnels other than plain IP in IP');
  return bytesOf(serviceAndDestinationStruct, {
    service: idValues(id),
    destination: {
      ...destinationIdOf(address),
      connectionFlags: forwardNumber(forward),
      weight,
      upperThreshold,
      lowerThreshold,
    },
  });
}

/** A destination by its identity alone: for DELDEST. */
function destinationIdBytes(id: ServiceId, address: string): Uint8Array {
  const nothing = { connectionFlags: 0, weight: 0, upperThreshold: 0, lowerThreshold: 0 };
  return bytesOf(serviceAndDestinationStruct, {
    service: idValues(id),
    destination: { ...destinationIdOf(address), ...nothing },
  });
}

function destinationIdOf(text: string): Pick<DestinationValues, 'address' | 'port'> {
  const { family, ip, port } = parseDestinationAddress(text);
  if (family !== 'inet') throw lacks('destinations of IPv6');
  return { address: quadOf(ip), port };
}

function idValues(id: ServiceId): ServiceValues {
  return { ...id, scheduler: '', flags: 0, timeoutSeconds: 0, netmask: NO_MASK };
}

function daemonValues(daemon: SyncDaemon): DaemonValues {
  const { state, interface: name, id, ...settings } = daemon;
  if (Object.values(settings).some((value) => value !== undefined)) {
    throw lacks('the message length, group, port and TTL of a sync daemon');
  }
  return { state: syncStates.indexOf(state) + 1, interface: name, id };
}

/** The daemon, or undefined where none runs. Throws REPLY_MALFORMED. */
export function daemonOf({ state, interface: name, id }: DaemonValues): SyncDaemon | undefined {
  if (state === 0) return undefined;
  const known = syncStates[state - 1];
  if (known === undefined) throw new IpvsError('REPLY_MALFORMED', { detail: `sync daemon of state ${state}` });
  return { state: known, interface: name, id };
}

/** A service by its identity, and how many destinations it has; those of IPv6 count. */
export interface CountedService extends ServiceId {
  readonly destinations: number;
}

// What follows reads entries of SERVICES and DESTS, where they stand.

export function countedServiceAt(view: DataView, at: number): CountedService {
  const { protocol, address, port, fwmark, destinations } = serviceEntryStruct.readers;
  return {
    protocol: protocol(view, at),
    address: address(view, at),
    port: port(view, at),
    fwmark: fwmark(view, at),
    destinations: destinations(view, at),
  };
}

export function serviceAt(view: DataView, at: number, statistics: boolean): VirtualServiceState {
  const entry = serviceEntryStruct.readers;
  const scheduler = entry.scheduler(view, at);
  const { schedulerFlags, persistent, onePacket } = settingsOfFlags(scheduler, entry.flags(view, at));
  const service: VirtualServiceState & { statistics?: Statistics } = {
    address: serviceText(countedServiceAt(view, at)),
    scheduler,
    schedulerFlags,
    persistence: persistent
      ? { timeoutSeconds: entry.timeoutSeconds(view, at), netmask: netmaskOf(entry.netmask(view, at)), engine: null }
      : null,
    onePacket,
  };
  if (statistics) service.statistics = statisticsOf(entry.statistics(view, at));
  return service;
}

export function destinationAt(view: DataView, at: number, statistics: boolean): DestinationState {
  const entry = destinationEntryStruct.readers;
  const destination: DestinationState & { statistics?: Statistics } = {
    address: formatDestinationAddress({
      family: 'inet',
      ip: quadText(entry.address(view, at)),
      port: entry.port(view, at),
    }),
    forward: forwardName(entry.connectionFlags(view, at)),
    weight: entry.weight(view, at),
    upperThreshold: entry.upperThreshold(view, at),
    lowerThreshold: entry.lowerThreshold(view, at),
    activeConnections: entry.activeConnections(view, at),
    inactiveConnections: entry.inactiveConnections(view, at),
    persistentConnections: entry.persistentConnections(view, at),
  };
  if (statistics) destination.statistics = statisticsOf(entry.statistics(view, at));
  return destination;
}

/** The canonical text of its address. */
export function serviceText({ protocol, address, port, fwmark }: ServiceId): string {
  const of: ServiceAddress =
    fwmark !== 0
      ? { family: 'inet', fwmark }
      : { family: 'inet', protocol: protocolOf(protocol), ip: quadText(address), port };
  return formatServiceAddress(of);
}

function statisticsOf(values: StatisticsValues): Statistics {
  return {
    connections: BigInt(values.connections),
    packetsIn: BigInt(values.packetsIn),
    packetsOut: BigInt(values.packetsOut),
    bytesIn: values.bytesIn,
    bytesOut: values.bytesOut,
    rates: {
      connections: BigInt(values.connectionRate),
      packetsIn: BigInt(values.packetInRate),
      packetsOut: BigInt(values.packetOutRate),
      bytesIn: BigInt(values.byteInRate),
      bytesOut: BigInt(values.byteOutRate),
    },
  };
}

/** Whether counters are wanted, such as these structs have. Throws TRANSPORT_LACKS. */
export function counted({ statistics = false, counterBits = 32 }: ReadOptions): boolean {
  if (statistics && counterBits > 32) throw lacks('counters of 64 bits');
  return statistics;
}

export function lacks(what: string): IpvsError {
  return new IpvsError('TRANSPORT_LACKS', { detail: what });
}
