/**
 * The options and structs of include/uapi/linux/ip_vs.h. Names are ours; each field's name in the
 * header is in the test that asks the C compiler. An address, always of IPv4, is the number that it is.
 */
import {
  be32,
  natural,
  type Struct,
  type StructField,
  s32,
  struct,
  text,
  u16,
  u16be,
  u32,
  u32be,
  u64,
} from './struct.ts';

/** IP_VS_SO_SET_*. A length that is not exactly that of the struct is EINVAL (ip_vs_ctl.c, set_arglen). */
export const setOption = {
  ADD: 1154,
  EDIT: 1155,
  DEL: 1156,
  FLUSH: 1157,
  ADDDEST: 1159,
  DELDEST: 1160,
  EDITDEST: 1161,
  TIMEOUT: 1162,
  STARTDAEMON: 1163,
  STOPDAEMON: 1164,
  ZERO: 1167,
} as const;

/** IP_VS_SO_GET_*. */
export const getOption = {
  VERSION: 1152,
  INFO: 1153,
  SERVICES: 1154,
  SERVICE: 1155,
  DESTS: 1156,
  TIMEOUT: 1158,
  DAEMON: 1159,
} as const;

/** What VERSION returns: the kernel's own words. */
export const versionField: StructField<string> = text(64);

/** struct ip_vs_service_user */
export interface ServiceValues {
  readonly protocol: number;
  readonly address: number;
  readonly port: number;
  readonly fwmark: number;
  readonly scheduler: string;
  readonly flags: number;
  readonly timeoutSeconds: number;
  readonly netmask: Uint8Array;
}
export const serviceStruct: Struct<ServiceValues> = struct({
  protocol: u16,
  address: u32be,
  port: u16be,
  fwmark: u32,
  scheduler: text(16),
  flags: u32,
  timeoutSeconds: u32,
  netmask: be32,
});

/** struct ip_vs_dest_user */
export interface DestinationValues {
  readonly address: number;
  readonly port: number;
  readonly connectionFlags: number;
  readonly weight: number;
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
}
export const destinationStruct: Struct<DestinationValues> = struct({
  address: u32be,
  port: u16be,
  connectionFlags: u32,
  weight: natural,
  upperThreshold: u32,
  lowerThreshold: u32,
});

/** What the *DEST options take: the service, then the destination. */
export interface ServiceAndDestinationValues {
  readonly service: ServiceValues;
  readonly destination: DestinationValues;
}
export const serviceAndDestinationStruct: Struct<ServiceAndDestinationValues> = struct({
  service: serviceStruct,
  destination: destinationStruct,
});

/** struct ip_vs_stats_user. All but the bytes are 32 bits wide and wrap. */
export interface StatisticsValues {
  readonly connections: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  readonly connectionRate: number;
  readonly packetInRate: number;
  readonly packetOutRate: number;
  readonly byteInRate: number;
  readonly byteOutRate: number;
}
export const statisticsStruct: Struct<StatisticsValues> = struct({
  connections: u32,
  packetsIn: u32,
  packetsOut: u32,
  bytesIn: u64,
  bytesOut: u64,
  connectionRate: u32,
  packetInRate: u32,
  packetOutRate: u32,
  byteInRate: u32,
  byteOutRate: u32,
});

/** struct ip_vs_getinfo. Services of IPv6 are not counted. */
export interface InfoValues {
  readonly version: number;
  readonly connectionTableSize: number;
  readonly services: number;
}
export const infoStruct: Struct<InfoValues> = struct({ version: u32, connectionTableSize: u32, services: u32 });

/** struct ip_vs_service_entry */
export interface ServiceEntryValues {
  readonly protocol: number;
  readonly address: number;
  readonly port: number;
  readonly fwmark: number;
  readonly scheduler: string;
  readonly flags: number;
  readonly timeoutSeconds: number;
  readonly netmask: Uint8Array;
  readonly destinations: number;
  readonly statistics: StatisticsValues;
}
export const serviceEntryStruct: Struct<ServiceEntryValues> = struct({
  protocol: u16,
  address: u32be,
  port: u16be,
  fwmark: u32,
  scheduler: text(16),
  flags: u32,
  timeoutSeconds: u32,
  netmask: be32,
  destinations: u32,
  statistics: statisticsStruct,
});

/** struct ip_vs_dest_entry */
export interface DestinationEntryValues {
  readonly address: number;
  readonly port: number;
  readonly connectionFlags: number;
  readonly weight: number;
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
  readonly statistics: StatisticsValues;
}
export const destinationEntryStruct: Struct<DestinationEntryValues> = struct({
  address: u32be,
  port: u16be,
  connectionFlags: u32,
  weight: natural,
  upperThreshold: u32,
  lowerThreshold: u32,
  activeConnections: u32,
  inactiveConnections: u32,
  persistentConnections: u32,
  statistics: statisticsStruct,
});

/** struct ip_vs_get_services; the entries follow at its end, which is where a u64 may stand. */
export interface ServicesHeaderValues {
  readonly count: number;
}
export const servicesHeaderStruct: Struct<ServicesHeaderValues> = struct({ count: u32 });
export const SERVICES_HEADER_BYTES = 8;

/** struct ip_vs_get_dests; the entries follow likewise. */
export interface DestinationsHeaderValues {
  readonly protocol: number;
  readonly address: number;
  readonly port: number;
  readonly fwmark: number;
  readonly count: number;
}
export const destinationsHeaderStruct: Struct<DestinationsHeaderValues> = struct({
  protocol: u16,
  address: u32be,
  port: u16be,
  fwmark: u32,
  count: u32,
});
export const DESTINATIONS_HEADER_BYTES = 24;

/** struct ip_vs_timeout_user; 0 leaves a timeout as it is. */
export interface TimeoutsValues {
  readonly tcpSeconds: number;
  readonly tcpFinSeconds: number;
  readonly udpSeconds: number;
}
export const timeoutsStruct: Struct<TimeoutsValues> = struct({
  tcpSeconds: natural,
  tcpFinSeconds: natural,
  udpSeconds: natural,
});

/** struct ip_vs_daemon_user */
export interface DaemonValues {
  readonly state: number;
  readonly interface: string;
  readonly id: number;
}
export const daemonStruct: Struct<DaemonValues> = struct({ state: s32, interface: text(16), id: s32 });
/** DAEMON returns two: the master and the backup; one that does not run has state 0. */
export interface DaemonsValues {
  readonly master: DaemonValues;
  readonly backup: DaemonValues;
}
export const daemonsStruct: Struct<DaemonsValues> = struct({ master: daemonStruct, backup: daemonStruct });
