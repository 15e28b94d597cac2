/** What services of a file want of iptables, checked: `sourceNat`, `match`, `rejectUnserved`. */

import {
  describeMatch,
  isOfFamily,
  type MarkMatch,
  meets,
  normalizeMarkMatch,
} from '../../iptables/rules/mark-match.ts';
import type { VirtualService } from '../../ipvs/service.ts';
import { type Family, isUnicast, parseServiceAddress } from '../../net/address.ts';
import { attempt } from '../attempt.ts';
import { type Findings, isPartial, type Place, placeText, within } from '../places.ts';
import type { DesiredDestination } from '../state.ts';
import type { MatchEntry, ServiceEntry } from './services-schema.ts';

/** Each is a line of iptables, asked one after the other. */
const MOST_OF_ONE = 1024;
const MOST = 4096;

interface Target {
  readonly service: VirtualService;
  readonly destinations: readonly DesiredDestination[];
}

interface Marked {
  readonly service: string;
  readonly family: Family;
  readonly match: MarkMatch;
  readonly place: Place;
}

export class ServiceRuleChecks {
  readonly #findings: Findings;
  readonly #marked: Marked[] = [];

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** Reports what is wrong; returns the matches. */
  check(entry: ServiceEntry, targets: readonly Target[], place: Place): MarkMatch[] | undefined {
    if (entry.sourceNat) this.#checkSourceNat(targets, within(place, 'sourceNat'));
    if (entry.rejectUnserved) this.#checkGuard(targets, within(place, 'rejectUnserved'));
    return entry.match && this.#matchesOf(entry.match, targets, within(place, 'match'));
  }

  #checkSourceNat(targets: readonly Target[], place: Place): void {
    for (const { service, destinations } of targets) {
      const other = destinations.find(({ forward }) => forward !== 'masquerade');
      const problem =
        other !== undefined
          ? `only what is forwarded by masquerade can come from another address: ${other.address} is not`
          : service.onePacket
            ? 'with onePacket there are no connections that could come from another address'
            : undefined;
      if (problem === undefined) continue;
      this.#findings.report(place, problem);
      return;
    }
  }

  #checkGuard(targets: readonly Target[], place: Place): void {
    for (const { service } of targets) {
      const address = parseServiceAddress(service.address);
      if ('ip' in address && isUnicast(address)) continue;
      this.#findings.report(place, `${service.address} has no address that could be guarded`);
      return;
    }
  }

  #matchesOf(entries: readonly MatchEntry[], targets: readonly Target[], place: Place): MarkMatch[] | undefined {
    const unmarked = targets.find(({ service }) => !('fwmark' in parseServiceAddress(service.address)));
    if (unmarked !== undefined) {
      this.#findings.report(
        place,
        `only a service by firewall mark, fwmark:7, is matched; ${unmarked.service.address} is none`,
      );
      return undefined;
    }
    const made = entries.map((entry, i) => this.#matchesIn(entry, targets, within(place, i)));
    if (made.includes(undefined)) return undefined;
    const matches = made.flatMap((some) => some ?? []);
    if (matches.length > MOST_OF_ONE) this.#findings.report(place, `it is more than ${MOST_OF_ONE} rules of iptables`);
    if (!isPartial(place)) this.#refuseEmptyFamily(matches, targets, place);
    return matches;
  }

  /** Up to the first one that is wrong. */
  #matchesIn(entry: MatchEntry, targets: readonly Target[], place: Place): MarkMatch[] | undefined {
    const matches: MarkMatch[] = [];
    for (const input of combinations(entry)) {
      const match = attempt(this.#findings, place, within(place, 'address'), () => normalizeMarkMatch(input));
      // Without the part that is wrong it may meet others.
      if (match === undefined || (!isPartial(place) && !this.#note(match, targets, place))) return undefined;
      matches.push(match);
    }
    return matches;
  }

  /** False if it is of another service too: it would not follow which mark a packet gets. */
  #note(match: MarkMatch, targets: readonly Target[], place: Place): boolean {
    for (const { service } of targets) {
      const { family } = parseServiceAddress(service.address);
      if (!isOfFamily(match, family)) continue;
      const other = this.#marked.find(
        (each) => each.family === family && each.service !== service.address && meets(each.match, match),
      );
      if (other !== undefined) {
        const [own, theirs] = [describeMatch(match), describeMatch(other.match)];
        this.#findings.report(place, `${own} meets ${theirs} of ${other.service}, at ${placeText(other.place)}`);
        return false;
      }
      this.#marked.push({ service: service.address, family, match, place });
      if (this.#marked.length === MOST + 1) this.#findings.report(place, `there are more than ${MOST} matches`);
      if (this.#marked.length > MOST) return false;
    }
    return true;
  }

  #refuseEmptyFamily(matches: readonly MarkMatch[], targets: readonly Target[], place: Place): void {
    for (const { service } of targets) {
      const { family } = parseServiceAddress(service.address);
      if (matches.some((match) => isOfFamily(match, family))) continue;
      this.#findings.report(place, `there is nothing of its address family for ${service.address}`);
      return;
    }
    const families = targets.map(({ service }) => parseServiceAddress(service.address).family);
    const lost = matches.find((match) => !families.some((family) => isOfFamily(match, family)));
    if (lost !== undefined)
      this.#findings.report(
        place,
        `${describeMatch(lost)} is not of the address family of ${targets[0]?.service.address}`,
      );
  }
}

function* combinations({ address, protocol, ports, in: device }: MatchEntry) {
  const all = <T>(value: T | readonly T[] | undefined) => (value === undefined ? [undefined] : ([value].flat() as T[]));
  for (const anAddress of all(address))
    for (const aProtocol of all(protocol))
      for (const somePorts of all(ports))
        yield { address: anAddress, in: device, protocol: aProtocol, ports: somePorts };
}
