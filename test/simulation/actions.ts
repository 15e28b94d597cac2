/** What may happen in a game, as data; and how a process does it. */
import fc from 'fast-check';
import { normalizePolicy } from '../../src/defense/policy.ts';
import { normalizeMasquerade } from '../../src/iptables/rules/masquerade.ts';
import { normalizeDestination } from '../../src/ipvs/destination.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import type { SyncDaemon } from '../../src/ipvs/sync-daemon.ts';
import type { DesiredService, DesiredState } from '../../src/state/state.ts';
import type { Fault } from './faults.ts';
import { settings } from './sysctls-model.ts';
import { interfaces } from './world.ts';

export const services = ['tcp://192.0.2.1:80', 'udp://192.0.2.1:53', 'tcp://192.0.2.9:443', 'fwmark:7'] as const;
const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3'] as const;
const networks = ['10.0.0.0/24', '10.1.0.0/16'] as const;
export const daemon: SyncDaemon = { state: 'master', interface: 'eth0', id: 5 };

export interface Apply {
  readonly type: 'apply';
  readonly desired: DesiredState;
  readonly adopt: boolean;
  readonly prune: boolean;
}
/** Of one service, destination, rule, setting or daemon. */
export type Direct =
  | { readonly type: 'service add' | 'service delete' | 'service edit'; readonly service: string }
  | { readonly type: 'destination add' | 'destination edit'; readonly of: Place; readonly weight: number }
  | { readonly type: 'destination delete'; readonly of: Place }
  | { readonly type: 'masquerade add' | 'masquerade delete'; readonly source: string }
  | { readonly type: 'sysctl set'; readonly name: string; readonly value: string }
  | { readonly type: 'timeouts set'; readonly udpSeconds: number }
  | { readonly type: 'sync start' | 'sync stop' | 'flush' | 'zero' };
/** Of ours, and recorded; `undo` counts entries back from the last one. */
export type Recorded =
  | Apply
  | Direct
  | { readonly type: 'adopt' | 'disown' }
  | { readonly type: 'drain'; readonly of: Place; readonly timeoutMs: number; readonly afterwards: 'delete' | 'keep' }
  | { readonly type: 'cancel drain'; readonly of: Place }
  | { readonly type: 'pass' }
  | { readonly type: 'undo'; readonly back: number; readonly side: 'before' | 'after' };
/** Of another program. */
export type Foreign =
  | { readonly type: 'foreign service' | 'foreign no service'; readonly service: string }
  | { readonly type: 'foreign destination'; readonly of: Place; readonly weight: number }
  | { readonly type: 'foreign no destination'; readonly of: Place }
  | { readonly type: 'foreign connections'; readonly of: Place; readonly count: number }
  | { readonly type: 'foreign address'; readonly ip: string; readonly prefixLength: number; readonly on: string }
  | { readonly type: 'foreign rule'; readonly store: 'nft' | 'legacy'; readonly command: string }
  | { readonly type: 'foreign setting'; readonly name: string; readonly value: string }
  | { readonly type: 'foreign daemon' };
export type Action =
  | {
      readonly type: 'do';
      readonly what: Recorded;
      readonly fault?: Fault | undefined;
      /** Of the fault `meddle`. */
      readonly meanwhile?: Foreign;
      /** The host goes down when the process dies. */
      readonly reboots?: boolean;
      readonly thenUndo: boolean;
    }
  | { readonly type: 'reboot' }
  | { readonly type: 'foreign'; readonly what: Foreign }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'wall clock'; readonly stepMs: number }
  | { readonly type: 'iptables'; readonly host: 'nft' | 'legacy' };

export interface Place {
  readonly service: string;
  readonly host: string;
}

/** As plans name it. */
export function keyOfPlace({ service, host }: Place): string {
  return `${service} ${addressAt({ service, host })}`;
}

export function addressAt({ service, host }: Place): string {
  return `${host}:${/:(\d+)$/.exec(service)?.[1] ?? 0}`.replace(/^(.*):7$/, '$1:0');
}

const weight = fc.integer({ min: 0, max: 9 });
const place: fc.Arbitrary<Place> = fc.record({
  service: fc.constantFrom(...services),
  host: fc.constantFrom(...hosts),
});
const service = fc.constantFrom(...services);
const setting = fc.record({ name: fc.constantFrom(...settings), value: fc.constantFrom('0', '1') });

function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: 1 });
}

const described: fc.Arbitrary<DesiredService> = fc
  .record({
    address: service,
    scheduler: fc.constantFrom('wrr', 'rr', 'wlc', 'sh'),
    weights: fc.dictionary(fc.constantFrom(...hosts), weight),
    exclusive: fc.boolean(),
    on: maybe(fc.constantFrom(...interfaces)),
    sourceNat: fc.boolean(),
    rejectUnserved: fc.boolean(),
    drain: maybe(fc.record({ timeoutSeconds: fc.constantFrom(0, 60), afterwards: fc.constantFrom('delete', 'keep') })),
    ramp: maybe(
      fc.record({ durationSeconds: fc.constant(100), floor: fc.constant(0.1), curve: fc.constant('linear') }),
    ),
  })
  .map(({ address, scheduler, weights, exclusive, on, sourceNat, rejectUnserved, drain, ramp }): DesiredService => {
    const isMark = address.startsWith('fwmark:');
    const normalized = normalizeService({ address, scheduler });
    return {
      service: normalized,
      destinations: Object.entries(weights).map(([host, each]) =>
        normalizeDestination({ address: host, weight: each }, address),
      ),
      ...(exclusive && { exclusive }),
      ...(on !== undefined && !isMark && { interface: on }),
      ...(sourceNat && !isMark && { sourceNat }),
      ...(rejectUnserved && !isMark && { rejectUnserved }),
      ...(drain && { drain: drain as NonNullable<DesiredService['drain']> }),
      ...(ramp && { ramp: ramp as NonNullable<DesiredService['ramp']> }),
    };
  });

const state: fc.Arbitrary<DesiredState> = fc
  .record({
    services: fc.uniqueArray(described, { selector: ({ service: { address } }) => address, maxLength: 3 }),
    timeouts: maybe(fc.constantFrom({ udpSeconds: 45 }, { tcpSeconds: 77 })),
    sync: maybe(fc.constantFrom([], [daemon])),
    sysctls: maybe(fc.dictionary(fc.constantFrom(...settings), fc.constantFrom('0', '1'))),
    defense: maybe(fc.constantFrom('off', 'balanced').map((preset) => normalizePolicy(preset as 'balanced'))),
    masquerade: maybe(fc.subarray([...networks]).map((all) => all.map((source) => normalizeMasquerade({ source })))),
  })
  .map(({ services: all, ...sections }) => ({
    services: all,
    ...(Object.fromEntries(Object.entries(sections).filter(([, value]) => value !== undefined)) as object),
  }));

const direct: fc.Arbitrary<Direct> = fc.oneof(
  fc.record({ type: fc.constantFrom('service add', 'service delete', 'service edit'), service }),
  fc.record({ type: fc.constantFrom('destination add', 'destination edit'), of: place, weight }),
  fc.record({ type: fc.constant('destination delete' as const), of: place }),
  fc.record({
    type: fc.constantFrom('masquerade add', 'masquerade delete'),
    source: fc.constantFrom(...networks),
  }),
  setting.map((each) => ({ type: 'sysctl set' as const, ...each })),
  fc.record({ type: fc.constant('timeouts set' as const), udpSeconds: fc.constantFrom(45, 300) }),
  fc.record({ type: fc.constantFrom('sync start', 'sync stop', 'flush', 'zero') }),
);

const recorded: fc.Arbitrary<Recorded> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('apply' as const),
      desired: state,
      adopt: fc.boolean(),
      prune: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: direct },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('adopt', 'disown') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('drain' as const),
      of: place,
      timeoutMs: fc.constantFrom(0, 30_000),
      afterwards: fc.constantFrom('delete', 'keep'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cancel drain' as const), of: place }) },
  { weight: 1, arbitrary: fc.constant({ type: 'pass' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('undo' as const),
      back: fc.nat(4),
      side: fc.constantFrom('before', 'after'),
    }),
  },
);

const ours = (command: string) => command.replaceAll('CHAIN', 'IPVSD-POSTROUTING');
const foreign: fc.Arbitrary<Foreign> = fc.oneof(
  fc.record({ type: fc.constantFrom('foreign service', 'foreign no service'), service }),
  fc.record({ type: fc.constant('foreign destination' as const), of: place, weight }),
  fc.record({ type: fc.constant('foreign no destination' as const), of: place }),
  fc.record({ type: fc.constant('foreign connections' as const), of: place, count: fc.constantFrom(0, 3) }),
  fc.record({
    type: fc.constant('foreign address' as const),
    ip: fc.constantFrom('192.0.2.1', '192.0.2.9', '192.0.2.77'),
    prefixLength: fc.constantFrom(24, 32),
    on: fc.constantFrom(...interfaces),
  }),
  fc.record({
    type: fc.constant('foreign rule' as const),
    store: fc.constantFrom('nft', 'legacy'),
    command: fc.constantFrom(
      '-A POSTROUTING -o eth1 -j MASQUERADE',
      '-I POSTROUTING -s 10.9.0.0/16 -j ACCEPT',
      ...['-A CHAIN -d 10.8.0.0/16 -j RETURN', '-F CHAIN', '-I POSTROUTING -j CHAIN', '-D POSTROUTING -j CHAIN'].map(
        ours,
      ),
    ),
  }),
  setting.map((each) => ({ type: 'foreign setting' as const, ...each })),
  fc.constant({ type: 'foreign daemon' as const }),
);

const fault: fc.Arbitrary<Fault> = fc.record({
  how: fc.constantFrom('crash-before', 'crash-after', 'refuse', 'lost', 'disk-full', 'meddle'),
  at: fc.nat(14),
  times: fc.constantFrom(1, 1, 2, 1000),
});

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('do' as const),
      what: recorded,
      fault: fc.option(fault, { nil: undefined, freq: 2 }),
      meanwhile: foreign,
      reboots: fc.boolean(),
      thenUndo: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: foreign.map((what) => ({ type: 'foreign' as const, what })) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(10, 20_000, 4_000_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('wall clock' as const),
      stepMs: fc.constantFrom(-86_400_000, 86_400_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'reboot' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('iptables' as const), host: fc.constantFrom('nft', 'legacy') }),
  },
) as fc.Arbitrary<Action>;

/** One game. */
export const games: fc.Arbitrary<readonly Action[]> = fc.array(action, { minLength: 4, maxLength: 16, size: 'max' });
