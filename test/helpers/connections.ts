/** The connections of a network namespace, all at once. */
import { type Connection, openIpvs } from '../../src/index.ts';

export async function connectionsIn(netns: string): Promise<Connection[]> {
  const ipvs = await openIpvs({ netns });
  const all: Connection[] = [];
  for await (const connection of ipvs.connections()) all.push(connection);
  await ipvs.close();
  return all;
}
