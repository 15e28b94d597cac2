/** A host in memory: what the kernel holds, the disk and the clock; and processes that work on it. */

import { formatInterfaceAddress } from '../../src/addresses/interface-address.ts';
import { MemoryAddresses } from '../../src/addresses/memory-addresses.ts';
import type { Moment } from '../../src/base/clock.ts';
import { PolicyFile } from '../../src/defense/policy-file.ts';
import { Director } from '../../src/director/director.ts';
import { MasqueradeTable } from '../../src/iptables/masquerade-table.ts';
import { Ipvs } from '../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../src/ipvs/memory/backend.ts';
import { emptyTable, type Table } from '../../src/ipvs/memory/table.ts';
import { VolatileFiles } from '../../src/record/files.ts';
import { Store } from '../../src/record/store.ts';
import { type Fault, FaultyAddresses, FaultyBackend, FaultyFiles, FaultyRules, FaultySysctls, Gate } from './faults.ts';
import { IptablesModel } from './iptables-model.ts';
import { SysctlsModel } from './sysctls-model.ts';

export const interfaces = ['eth0', 'eth1'] as const;

/** Everything that a host holds, each thing as text by a key of its own: two of them can be compared. */
export type Raw = Readonly<Record<string, string>>;

/** One run of a program: what it does goes through its gate. */
export interface Process {
  readonly director: Director;
  readonly ipvs: Ipvs;
  readonly rules: MasqueradeTable;
  readonly sysctls: FaultySysctls;
  readonly gate: Gate;
}

export class World {
  backend: MemoryBackend;
  addresses: MemoryAddresses;
  iptables: IptablesModel;
  sysctls: SysctlsModel;
  files: VolatileFiles;
  clock: Moment;
  /** Another boot has another table. */
  boot = 1;

  constructor() {
    this.clock = { wallMs: Date.UTC(2026, 0, 1), bootMs: 1_000_000 };
    this.files = new VolatileFiles();
    this.backend = this.#backendWith(emptyTable);
    this.addresses = emptyAddresses();
    this.iptables = new IptablesModel(interfaces);
    this.sysctls = new SysctlsModel(interfaces);
  }

  /** Another host that holds the same. */
  copy(): World {
    const copy = new World();
    copy.clock = this.clock;
    copy.boot = this.boot;
    copy.files = this.files.copy();
    copy.setTable(this.backend.table);
    copy.addresses = this.addresses.copy();
    copy.iptables = new IptablesModel(interfaces, structuredClone(this.iptables.state));
    copy.sysctls = new SysctlsModel(interfaces, this.sysctls.values);
    return copy;
  }

  setTable(table: Table): void {
    this.backend = this.#backendWith(table);
  }

  /** Only the disk is left. */
  reboot(): void {
    this.boot++;
    this.clock = { ...this.clock, bootMs: 20_000 };
    this.setTable(emptyTable);
    this.addresses = emptyAddresses();
    this.iptables = new IptablesModel(interfaces);
    this.sysctls = new SysctlsModel(interfaces);
  }

  /** Another program, which leaves no record. */
  get others(): Ipvs {
    return new Ipvs(this.backend);
  }

  /** `meddle`: what another program does, of the fault of that name. */
  start(fault?: Fault, meddle?: () => Promise<void>): Process {
    const gate = new Gate(fault, meddle);
    const ipvs = new Ipvs(new FaultyBackend(() => this.backend, gate));
    const rules = new MasqueradeTable({ host: new FaultyRules(this.iptables, gate), variant: 'auto' });
    const sysctls = new FaultySysctls(this.sysctls, gate);
    const now = () => this.clock;
    const director = new Director({
      ipvs,
      store: new Store(new FaultyFiles(this.files, gate), now),
      table: `table ${this.boot}`,
      by: { user: 'simulation', uid: 0 },
      addresses: new FaultyAddresses(this.addresses, gate),
      sysctls,
      masquerade: rules,
      now,
    });
    return { director, ipvs, rules, sysctls, gate };
  }

  async raw(): Promise<Raw> {
    const held = this.backend.table;
    const things: [string, unknown][] = [['timeouts', held.timeouts]];
    for (const { address, destinations, statistics: _, number: __, ...settings } of held.services) {
      things.push([address, settings]);
      for (const { address: host, forward, weight, upperThreshold, lowerThreshold } of destinations)
        things.push([`${address} ${host}`, { forward, weight, upperThreshold, lowerThreshold }]);
    }
    for (const [state, daemon] of Object.entries(held.syncDaemons)) if (daemon) things.push([`sync ${state}`, daemon]);
    for (const [name, value] of Object.entries(this.sysctls.values)) things.push([`sysctl ${name}`, value]);
    for (const { isSecondary = false, ...address } of await this.addresses.list())
      things.push([`address ${formatInterfaceAddress(address)}`, { isSecondary }]);
    for (const [table, chains] of Object.entries(this.iptables.state.tables)) {
      // An empty chain, and a jump to it, are as good as none.
      const isIdle = (line: string) => chains[/ -j (IPVSD-\S+)$/.exec(` ${line}`)?.[1] ?? '']?.length === 0;
      for (const [chain, lines] of Object.entries(chains)) {
        const effective = lines.filter((line) => !isIdle(line));
        if (effective.length > 0) things.push([`iptables ${table} ${chain}`, effective]);
      }
    }
    things.push(['defense', new PolicyFile(this.files).read()]);
    return Object.fromEntries(things.map(([key, value]) => [key, JSON.stringify(value)]));
  }

  #backendWith(table: Table): MemoryBackend {
    return new MemoryBackend({ table, clock: () => this.clock.bootMs });
  }
}

function emptyAddresses(): MemoryAddresses {
  return new MemoryAddresses({ eth0: {}, eth1: { promotesSecondaries: true } });
}

/** The keys whose things differ. */
export function differing(a: Raw, b: Raw): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key]).sort();
}
