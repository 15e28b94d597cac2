/** The shape of kept tables, each of which its resource knows. Pure. */
import type { PackedTables } from '../record/ledger.ts';
import { isObjectId, isRecord, type Shape } from '../record/shapes.ts';
import type { AnyResource } from './resource.ts';

type Known = readonly Pick<AnyResource<never, never>, 'name' | 'isPacked'>[];

const shapes = new WeakMap<Known, Shape<PackedTables>>();

/** Always the same one for the same resources, as the store checks a value once for each shape. */
export function tablesShape(resources: Known): Shape<PackedTables> {
  const shape = shapes.get(resources) ?? {
    name: 'set of tables',
    fits: (value): value is PackedTables => isPackedTables(value, resources),
  };
  shapes.set(resources, shape);
  return shape;
}

/** Tables of other resources are not read. */
function isPackedTables(value: unknown, resources: Known): value is PackedTables {
  if (!isRecord(value)) return false;
  const { base, tables } = value;
  if (!(base === null || isObjectId(base)) || !isRecord(tables)) return false;
  return resources.every(({ name, isPacked }) => !Object.hasOwn(tables, name) || isPacked(tables[name]));
}
