/** Virtual services with their destinations, as a resource. */

import type { ChangeResult, Resource } from '../../engine/resource.ts';
import type { Snapshot } from '../../ipvs/ipvs.ts';
import type { Operation } from '../../ipvs/operation.ts';
import { isListOf, isRecord, isText } from '../../record/shapes.ts';
import { isDestinationShape, isServiceShape } from '../../state/shapes.ts';
import { type DesiredState, NOTHING_DESIRED, servicesByAddress } from '../../state/state.ts';
import { type Context, executed, servicesAt, unlessNotLoaded } from '../context.ts';
import { serviceOf } from '../keys.ts';
import { type Configuration, type ConfiguredService, configured, sameList, sameService } from './configuration.ts';
import { diffServices } from './diff.ts';
import { overlayServices, undoServices } from './undo.ts';

export const servicesResource: Resource<DesiredState, Snapshot, Configuration, Packed, Operation, Context> = {
  name: 'services',
  read: ({ ipvs }) => unlessNotLoaded(ipvs.snapshot(), { services: [] }),
  reread,
  pack,
  isPacked,
  unpack,
  diff: diffServices,
  overlay: overlayServices,
  undo: undoServices,
  async check({ ipvs }, changes): Promise<ChangeResult[]> {
    const refused = await ipvs.foreseeRefusals(changes.map(({ operation }) => operation));
    const errors = new Map(refused.map(({ operation, error }) => [operation, error]));
    return changes.flatMap((change) => {
      const error = errors.get(change.operation);
      return error ? [{ change, error }] : [];
    });
  },
  apply: executed,
};

/** Services that are not as a desired state describes them, whole; and those of it that are not there. */
interface Packed {
  readonly services: readonly ConfiguredService[];
  readonly absent: readonly string[];
}

function pack({ services }: Configuration, base: DesiredState = NOTHING_DESIRED): Packed {
  const described = servicesByAddress(base);
  let known = 0;
  const others: ConfiguredService[] = [];
  for (const service of services) {
    const entry = described.get(service.address);
    if (entry) known++;
    if (!entry || !sameService(entry.service, service) || !sameList(entry.destinations, service.destinations))
      others.push(configured(service));
  }
  if (known === described.size) return { services: others, absent: [] };
  const present = new Set(services.map(({ address }) => address));
  return { services: others, absent: [...described.keys()].filter((address) => !present.has(address)) };
}

function isPacked(value: unknown): value is Packed {
  return isRecord(value) && isListOf(value['services'], isConfiguredService) && isListOf(value['absent'], isText);
}

function isConfiguredService(value: unknown): boolean {
  return isServiceShape(value) && isListOf(value['destinations'], isDestinationShape);
}

function unpack({ services, absent }: Packed, base: DesiredState = NOTHING_DESIRED): Configuration {
  const all = new Map(
    base.services.map(({ service, destinations }) => [service.address, configured({ ...service, destinations })]),
  );
  for (const address of absent) all.delete(address);
  for (const service of services) all.set(service.address, service);
  return { services: [...all.values()] };
}

/** Of more than this share of the services, a dump of all is the faster way. */
const FEW = 1 / 8;

async function reread({ ipvs }: Context, before: Snapshot, keys: ReadonlySet<string>): Promise<Snapshot> {
  const touched = new Set([...keys].flatMap((key) => serviceOf(key) ?? []));
  if (touched.size > before.services.length * FEW) return unlessNotLoaded(ipvs.snapshot(), { services: [] });
  const read = await servicesAt(ipvs, touched);
  const others = before.services.filter(({ address }) => !touched.has(address));
  return { services: [...others, ...read.values()] };
}
