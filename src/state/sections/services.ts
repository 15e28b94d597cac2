/** The sections `defaults` and `services` of the files: what they come to. */

import { interfaceName } from '../../base/check.ts';
import { nearest } from '../../base/nearest.ts';
import { quote } from '../../base/quote.ts';
import type { CheckedDocument } from '../../config/document.ts';
import { normalizeDestination } from '../../ipvs/destination.ts';
import { normalizeService, type VirtualService } from '../../ipvs/service.ts';
import { type Family, isUnicast, parseDestinationAddress, parseServiceAddress } from '../../net/address.ts';
import { attempt, attemptEach } from '../attempt.ts';
import { type HostAddress, type HostAnswer, type Hosts, parseHostAddress } from '../host-name.ts';
import { type Findings, isPartial, type Place, placeText, Unique, within } from '../places.ts';
import { addressesIn } from '../port-range.ts';
import type { DesiredDestination, DesiredService } from '../state.ts';
import { ServiceRuleChecks } from './service-rule-checks.ts';
import {
  destinationInput,
  type EntryDestination,
  familyIn,
  isTunnelled,
  optionsOf,
  persistenceOf,
  serviceInput,
} from './services-entry.ts';
import { type Defaults, type ServiceEntry, schedulers } from './services-schema.ts';

/** Bounds of what a few lines can come to, by ranges of ports. */
const MOST_SERVICES = 200_000;
const MOST_DESTINATIONS = 2_000_000;

/** A service of an entry, while its destinations come in. */
interface Target {
  readonly service: VirtualService;
  readonly family: Family;
  /** Where its address stands. */
  readonly place: Place;
  readonly destinations: DesiredDestination[];
  /** Their addresses. */
  readonly present: Set<string>;
}

/**
 * Expands, fills in and checks. Names and addresses of all the files are one set; the defaults of a file are for its
 * own services.
 */
export function resolveServices(
  documents: readonly CheckedDocument[],
  hosts: Hosts,
  findings: Findings,
): DesiredService[] {
  const resolver = new ServiceResolver(hosts, findings);
  return documents.flatMap((document) => {
    const defaults = (document.values['defaults'] ?? {}) as Defaults;
    warnOfScheduler(defaults.scheduler, { document, path: ['defaults', 'scheduler'] }, findings);
    const entries = (document.values['services'] ?? []) as ServiceEntry[];
    return entries.flatMap((entry, i) => resolver.servicesOf(entry, defaults, { document, path: ['services', i] }));
  });
}

class ServiceResolver {
  readonly #hosts: Hosts;
  readonly #findings: Findings;
  readonly #names = new Unique();
  readonly #addresses = new Unique();
  readonly #rules: ServiceRuleChecks;
  #services = 0;
  #destinations = 0;

  constructor(hosts: Hosts, findings: Findings) {
    this.#hosts = hosts;
    this.#findings = findings;
    this.#rules = new ServiceRuleChecks(findings);
  }

  servicesOf(entry: ServiceEntry, defaults: Defaults, place: Place): DesiredService[] {
    this.#noteName(entry.name, within(place, 'name'));
    warnOfScheduler(entry.scheduler, within(place, 'scheduler'), this.#findings);
    this.#refuseOneMaskForTwoFamilies(entry, defaults, place);
    const before = this.#findings.problems.length;
    const found = [entry.address].flat().map((address, i) => {
      const at = Array.isArray(entry.address) ? within(place, 'address', i) : within(place, 'address');
      return this.#targetsAt(address, entry, defaults, place, at);
    });
    const targets = found.flatMap((targets) => targets ?? []);
    if (entry.interface !== undefined) this.#checkInterface(entry.interface, targets, within(place, 'interface'));
    // Where an address is wrong, destinations can be looked at by themselves only.
    const complete = !found.includes(undefined);
    const services = complete ? targets : standIns(place);
    for (const [i, described] of (entry.destinations ?? []).entries()) {
      this.#addDestination(destinationInput(described, entry, defaults), within(place, 'destinations', i), services);
    }
    const right = this.#findings.problems.length === before && !isPartial(place);
    if (right && entry.destinations?.length) this.#refuseEmptyFamily(targets);
    const match = this.#rules.check(entry, targets, place);
    const options = { ...optionsOf(entry, defaults), ...(match && { match }) };
    return targets.map(({ service, destinations }) => ({ service, destinations, ...options }));
  }

  #noteName(name: string | undefined, place: Place): void {
    if (name === undefined) return;
    const before = this.#names.find(name, place);
    if (before) this.#findings.report(place, `the name ${name} is given twice, first at ${placeText(before)}`);
  }

  /** Several where the address has a range of ports; undefined where something is wrong, which is told once. */
  #targetsAt(text: string, entry: ServiceEntry, defaults: Defaults, place: Place, at: Place): Target[] | undefined {
    const addresses = attempt(this.#findings, place, at, () => addressesIn(text));
    const before = this.#findings.problems.length;
    const targets: Target[] = [];
    // Without its address, all else of an entry can be checked by another one.
    const standIn = { address: familyIn(text) === 'inet' ? 'udp://192.0.2.1:53' : 'udp://[2001:db8::1]:53' };
    for (const address of addresses ?? [standIn.address]) {
      const input = serviceInput(entry, address, defaults);
      const service = attemptEach(this.#findings, place, at, input, standIn, normalizeService);
      if (addresses === undefined || service === undefined || !this.#noteAddress(service.address, at)) return undefined;
      targets.push(targetOf(service, at));
      // With the next port it would be the same.
      if (this.#findings.problems.length > before) break;
    }
    return targets;
  }

  #noteAddress(address: string, place: Place): boolean {
    const before = this.#addresses.find(address, place);
    if (before) {
      this.#findings.report(place, `${address} is described twice, first at ${placeText(before)}`);
    } else if (++this.#services === MOST_SERVICES + 1) {
      this.#findings.report(place, `there are more than ${MOST_SERVICES} services`);
    }
    return before === undefined && this.#services <= MOST_SERVICES;
  }

  /** A prefix length says nothing without its family: /24 of IPv6 is a good part of the Internet. */
  #refuseOneMaskForTwoFamilies(entry: ServiceEntry, defaults: Defaults, place: Place): void {
    const { netmask } = persistenceOf(entry, defaults) ?? {};
    if (netmask === undefined || typeof netmask === 'object') return;
    if (new Set([entry.address].flat().map(familyIn)).size < 2) return;
    const of = entry.persistence === undefined ? { ...place, path: ['defaults'] } : place;
    this.#findings.report(
      within(of, 'persistence', 'netmask'),
      'two address families need a netmask each: { inet: 24, inet6: 64 }',
    );
  }

  #checkInterface(name: string, targets: readonly Target[], place: Place): void {
    if (attempt(this.#findings, place, place, () => interfaceName(name, 'INVALID_OPTION', [])) === undefined) return;
    for (const { service } of targets) {
      const address = parseServiceAddress(service.address);
      if ('ip' in address && isUnicast(address)) continue;
      this.#findings.report(place, `${service.address} has no address that an interface could have`);
      return;
    }
  }

  /**
   * Addresses of both families may stand in one entry: every destination then serves those of its own family, or all
   * of them if it is reached by tunnel.
   */
  #addDestination(input: EntryDestination, place: Place, targets: readonly Target[]): void {
    const host = parseHostAddress(input.address);
    if (host) {
      this.#addHost(input, host, place, targets);
      return;
    }
    const family = isMixed(targets) && !isTunnelled(input) ? familyOf(input.address) : undefined;
    for (const target of targets) {
      if (family !== undefined && family !== target.family) continue;
      if (!this.#add(input, target, place)) return;
    }
  }

  /** Every address of the name that the service can have. */
  #addHost(input: EntryDestination, { name, port }: HostAddress, place: Place, targets: readonly Target[]): void {
    const at = within(place, 'address');
    const { addresses, failures } = this.#hosts.get(name) ?? notResolved;
    let used = false;
    for (const target of targets) {
      const { family } = target;
      const usable = addresses.filter((ip) => familyOf(ip) === family || isTunnelled(input));
      for (const ip of usable) {
        if (!this.#add({ ...input, address: withPort(ip, port) }, target, place, name)) return;
        used = true;
      }
      // One that cannot be told is not one that has none.
      if (usable.length > 0 || failures[family] === undefined) continue;
      this.#findings.report(at, `${name}: ${failures[family]}`);
      // What else is said of it can be looked at all the same.
      const ip = family === 'inet' ? '192.0.2.1' : '2001:db8::1';
      this.#add({ ...input, address: withPort(ip, port) }, target, place, name);
      return;
    }
    if (!used) this.#findings.report(at, `${name} has no ${targets[0]?.family === 'inet' ? 'IPv4' : 'IPv6'} address`);
  }

  /** False if something is wrong: with the next service it would be the same. */
  #add(input: EntryDestination, target: Target, place: Place, host?: string): boolean {
    const { service, destinations, present } = target;
    const at = within(place, 'address');
    const before = this.#findings.problems.length;
    const standIn = { address: target.family === 'inet' ? '192.0.2.1' : '2001:db8::1' };
    const destination = attemptEach(this.#findings, place, at, input, standIn, (input) =>
      normalizeDestination(input, service.address),
    );
    if (destination === undefined) return false;
    const { address } = destination;
    if (present.has(address)) {
      this.#findings.report(at, `${address}${host ? ` (${host})` : ''} is described twice in this service`);
      return false;
    }
    present.add(address);
    if (++this.#destinations === MOST_DESTINATIONS + 1)
      this.#findings.report(at, `there are more than ${MOST_DESTINATIONS} destinations`);
    if (this.#destinations > MOST_DESTINATIONS) return false;
    destinations.push(host === undefined ? destination : { ...destination, host });
    return this.#findings.problems.length === before;
  }

  #refuseEmptyFamily(targets: readonly Target[]): void {
    if (!isMixed(targets)) return;
    const empty = targets.find(({ destinations }) => destinations.length === 0);
    if (empty) this.#findings.report(empty.place, `${empty.service.address} has no destination of its address family`);
  }
}

const unknown = 'only loadState() resolves host names';
const notResolved: HostAnswer = { addresses: [], failures: { inet: unknown, inet6: unknown } };

function withPort(ip: string, port: string | undefined): string {
  if (port === undefined) return ip;
  return familyOf(ip) === 'inet6' ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Any kernel may have one of its own; what is nearly the name of one of Linux is probably that. */
function warnOfScheduler(name: string | undefined, place: Place, findings: Findings): void {
  if (name === undefined || schedulers.includes(name)) return;
  const meant = nearest(name, schedulers);
  if (meant !== undefined) findings.warn(place, `Linux has no scheduler ${quote(name)}`, meant);
}

function targetOf(service: VirtualService, place: Place): Target {
  const { family } = parseServiceAddress(service.address);
  return { service, family, place, destinations: [], present: new Set() };
}

/** Services of each family that leave every port as it is, in place of those that are wrong. */
function standIns(place: Place): Target[] {
  return ['fwmark:1', 'fwmark:1/inet6'].map((address) => targetOf(normalizeService({ address }), place));
}

function isMixed(targets: readonly Target[]): boolean {
  return targets.some(({ family }) => family !== targets[0]?.family);
}

/** Undefined for what is no address: that is refused where it is checked. */
function familyOf(destination: string): Family | undefined {
  try {
    return parseDestinationAddress(destination, 0).family;
  } catch {
    return undefined;
  }
}
