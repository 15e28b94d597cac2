/** IPVS Director as a library. */
export type { Clock, Moment } from './base/clock.ts';
export {
  type ConfigProblem,
  type ErrorCode,
  type ErrorDetails,
  type ErrorKind,
  errorTable,
  IpvsError,
} from './base/errors.ts';
export type { LoadedFile, TextSource } from './config/load.ts';
export type { Mapping } from './conntrack/mapping.ts';
export type { MappingFilter } from './conntrack/mapping-filter.ts';
export type { FromInside, FromOutside, MappingTable } from './conntrack/mapping-table.ts';
export { type OpenMappingsOptions, openMappings } from './conntrack/open.ts';
export {
  type MeteredPorts,
  type OpenPortMeterOptions,
  openPortMeter,
  type PortMeter,
  type PortReading,
  type TrackingFailures,
} from './conntrack/port-meter.ts';
export type { PortProtocol, PortUsage } from './conntrack/port-usage.ts';
export { type Action, actions as defenseActions } from './defense/action.ts';
export type { RunningDefense } from './defense/controller.ts';
export {
  Defense,
  type DefenseOptions,
  type DefenseRunOptions,
  type DefenseStatus,
  type KernelDefense,
  openDefense,
  startDefense,
} from './defense/defense.ts';
export type { Approach, Approaches } from './defense/judge.ts';
export { type KernelInputs, type KernelStep, kernelStep } from './defense/kernel-step.ts';
export type { HeldRecord } from './defense/originals.ts';
export {
  type DefenseLevel,
  type DefensePolicy,
  type LevelInput,
  normalizePolicy,
  type PolicyInput,
  type PolicySettings,
} from './defense/policy.ts';
export { type PresetName, presetNames } from './defense/presets.ts';
export type { PutBack, Recovered, Refusal } from './defense/put-back.ts';
export type { Missing, Reading, Readings, SignalName, ThresholdName, Thresholds } from './defense/signal.ts';
export {
  type DefenseState,
  type Kept,
  type Reason,
  type Settings,
  type Signals,
  type Step,
  step as stepDefense,
  WATCHING,
  type Write,
} from './defense/step.ts';
export { type Comparison, compared, type Side } from './director/compare.ts';
export { describeChanges, describePlan, type Paint, type Style } from './director/describe.ts';
export {
  type ApplyOptions,
  Director,
  type DirectorOptions,
  type DirectorParts,
  type Drift,
  type IntendedPlan,
  type Intent,
  openDirector,
  type PlanOptions,
} from './director/director.ts';
export type { Excess } from './director/limits.ts';
export type { Owner, Touches } from './director/ownership.ts';
export type { PastApply } from './director/past.ts';
export { type CurrentState, plan, readState } from './director/plan.ts';
export type { HostFacts, MissingPrerequisite } from './director/prerequisites.ts';
export type { UnevenWeights } from './director/uneven-weights.ts';
export type { Plan } from './engine/plan.ts';
export type { Change, ChangeResult, Conflict, Known, Phase, Stray } from './engine/resource.ts';
export type { ApplyResult, Failure, Progress, Recovery, RunOptions } from './engine/transaction.ts';
export type { Chains, MasqueradeState, MasqueradeTable } from './iptables/masquerade-table.ts';
export { type OpenMasqueradeOptions, openMasquerade } from './iptables/open.ts';
export type { IptablesVariant } from './iptables/programs.ts';
export { type MarkMatch, type MarkMatchInput, normalizeMarkMatch } from './iptables/rules/mark-match.ts';
export {
  type MasqueradeInput,
  type MasqueradeMatch,
  type MasqueradeProtocol,
  type MasqueradeRule,
  normalizeMasquerade,
} from './iptables/rules/masquerade.ts';
export type { RuleOperation, RuleResult } from './iptables/rules/operation.ts';
export type { OwnRule } from './iptables/rules/own-rule.ts';
export type { Application } from './ipvs/application.ts';
export type { ReadOptions, SnapshotOptions, Transport } from './ipvs/backend.ts';
export { type Connection, idleSeconds } from './ipvs/connection.ts';
export { type ConnectionFilter, connectionTest } from './ipvs/connection-filter.ts';
export type {
  Destination,
  DestinationInput,
  DestinationState,
  Forward,
  Tunnel,
  TunnelInput,
  UnknownForward,
} from './ipvs/destination.ts';
export { normalizeDestination } from './ipvs/destination.ts';
export { type AttributeFeature, type Feature, type FeatureKind, features } from './ipvs/features.ts';
export { Ipvs, type Logger, type OpenOptions, openIpvs, type ServiceReading, type Snapshot } from './ipvs/ipvs.ts';
export type { Info } from './ipvs/netlink/wire.ts';
export type { Operation, OperationResult } from './ipvs/operation.ts';
export { type Finding, type ProbedFeature, type ProbeOptions, probeFeatures } from './ipvs/probe.ts';
export { type Rates, ratesBetween, type ServiceRates } from './ipvs/rates.ts';
export type {
  Persistence,
  PersistenceInput,
  VirtualService,
  VirtualServiceInput,
  VirtualServiceState,
  VirtualServiceWithDestinations,
} from './ipvs/service.ts';
export { normalizeService } from './ipvs/service.ts';
export type { Counters, Statistics } from './ipvs/statistics.ts';
export { normalizeSyncDaemon, type SyncDaemon, type SyncDaemonInput, type SyncState } from './ipvs/sync-daemon.ts';
export type { HashTable, TableStatus } from './ipvs/table-status.ts';
export { normalizeTimeouts, type Timeouts, type TimeoutsInput } from './ipvs/timeouts.ts';
export type { CpuCounters, Totals } from './ipvs/totals.ts';
export {
  type AddressedService,
  type DestinationAddress,
  type Family,
  formatDestinationAddress,
  formatServiceAddress,
  type MarkedService,
  type Protocol,
  parseDestinationAddress,
  parseServiceAddress,
  type ServiceAddress,
} from './net/address.ts';
export type { UnknownAttribute } from './netlink/fields.ts';
export type { Applied, Author, Drain, DrainEnd, Held, HistoryEntry, Ramp, Source } from './record/ledger.ts';
export type { RecordOptions, TableRecord } from './record/record.ts';
export type { DamagedEntry } from './record/store.ts';
export { parseState, stateSchema } from './state/document.ts';
export type { Lookup, LookupOptions } from './state/host-lookup.ts';
export { type LoadedState, loadState } from './state/load.ts';
export type {
  DesiredDestination,
  DesiredService,
  DesiredState,
  DrainSettings,
  Limits,
  RampSettings,
} from './state/state.ts';
export { catalogue as sysctlCatalogue, type SysctlSpec } from './sysctl/catalogue.ts';
export { type GuardEvent, type GuardOptions, type GuardState, guardStep, guardSysctls } from './sysctl/guard.ts';
export type { Mode, SysctlKind } from './sysctl/kind.ts';
export { type OpenSysctlsOptions, openSysctls } from './sysctl/open.ts';
export { findSysctl, normalizeSysctls, type SysctlValue } from './sysctl/settings.ts';
export type { SysctlChange, SysctlOperation, SysctlState, SysctlTable } from './sysctl/sysctl-table.ts';
export type { DrainOptions } from './weights/drain-keeper.ts';
export type { DrainDetails, DrainProgress, RampProgress } from './weights/drain-progress.ts';
export type { DrainPass } from './weights/drain-runner.ts';
export type { DrainMove } from './weights/drain-step.ts';
export type { DrainOutcome, DrainWaitOptions } from './weights/drain-wait.ts';
export type { HeldWeight } from './weights/held-weight.ts';
export type { Holders, HoldingClient } from './weights/survey.ts';
