/**
 * Routes that go with a virtual address, as a resource. They are nobody's of ours, and no file describes them: they are
 * read where an address takes them along, and a rollback or an undo adds them again after their address.
 */
import { isDeepStrictEqual } from 'node:util';
import { formatRoute, type Route, routeCommand, routeRemedy } from '../addresses/route.ts';
import { type Change, type Resource, UNDONE } from '../engine/resource.ts';
import { isListOf, isNumber, isRecord, isText } from '../record/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import { type Context, resultsOf } from './context.ts';

/** A route, the key of the address that takes it along, and whether the host has it. */
export interface KeptRoute {
  readonly of: string;
  readonly route: Route;
  readonly isThere: boolean;
}

/** Null where none is meant. */
type Current = readonly KeptRoute[] | null;

interface RouteOperation {
  readonly type: 'route.add';
  readonly route: Route;
}

export const routesResource: Resource<DesiredState, Current, Current, Current, RouteOperation, Context> = {
  name: 'routes',
  follows: 'addresses',
  isOthers: true,
  read: (context, _, earlier) => read(context, earlier),
  reread: read,
  // Entries of earlier releases have none.
  pack: (current) => current ?? null,
  unpack: (packed) => packed,
  isPacked: (value): value is Current => value === null || isListOf(value, isKeptRoute),
  diff: () => ({ changes: [], unchanged: 0, conflicts: [], strays: [] }),
  overlay(onto, over, keys) {
    if (!over) return onto;
    const others = (onto ?? []).filter((kept) => !hasKey(kept, keys));
    return [...others, ...over.filter((kept) => hasKey(kept, keys))];
  },
  undo: addAgain,
  check: async () => [],
  async apply({ addresses }, changes) {
    const results = (await addresses?.addRoutes(changes.map(({ operation }) => operation.route))) ?? [];
    const told = results.map(({ error }, i) => {
      const { verb: operation = '', subject = '' } = changes[i] ?? {};
      return error ? { error: error.with({ operation, subject }) } : {};
    });
    return resultsOf(changes, told, () => false);
  },
};

/** So far that nothing meets a value of another type. */
function isKeptRoute(value: unknown): boolean {
  if (!isRecord(value) || !isText(value['of']) || !isRecord(value['route'])) return false;
  const { family, destination, interface: name, gateway, source, settings } = value['route'];
  return (
    [family, destination].every(isText) &&
    [name, gateway, source].every((each) => each === undefined || isText(each)) &&
    (settings === undefined || isSettings(settings))
  );
}

function isSettings(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { metrics = {}, ...numbers } = value;
  return isRecord(metrics) && [...Object.values(numbers), ...Object.values(metrics)].every(isNumber);
}

async function read({ addresses }: Context, earlier: Current = null): Promise<Current> {
  if (!addresses || earlier === null || earlier.length === 0) return earlier;
  const routes = await addresses.routes();
  return earlier.map(({ of, route }) => ({
    of,
    route,
    isThere: routes.some((each) => isDeepStrictEqual(each, route)),
  }));
}

/** Those by a gateway last: it has to be reachable first. */
function addAgain(before: Current, now: Current, keys: ReadonlySet<string>): Change<RouteOperation>[] {
  const present = new Set(now?.flatMap(({ route, isThere }) => (isThere ? [keyOf(route)] : [])));
  const wanted = (before ?? []).filter((kept) => kept.isThere && hasKey(kept, keys) && !present.has(keyOf(kept.route)));
  const missing = new Map(wanted.map((kept) => [keyOf(kept.route), kept]));
  const byGateway = ({ route }: KeptRoute) => Number(route.gateway !== undefined);
  return [...missing.values()].sort((a, b) => byGateway(a) - byGateway(b)).map(change);
}

function change({ of, route }: KeptRoute): Change<RouteOperation> {
  const remedy = routeRemedy(route);
  return {
    resource: 'routes',
    phase: 'publish',
    operation: { type: 'route.add', route },
    verb: 'add route',
    subject: formatRoute(route),
    key: keyOf(route),
    of,
    detail: UNDONE,
    cause: 'file',
    effects: route.settings ? [] : [remedy],
    remedy,
  };
}

/** That of its address, or its own. */
function hasKey({ of, route }: KeptRoute, keys: ReadonlySet<string>): boolean {
  return keys.has(of) || keys.has(keyOf(route));
}

function keyOf(route: Route): string {
  return `route ${routeCommand(route)}`;
}
