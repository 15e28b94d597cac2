import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Ipvs, openIpvs } from '../../src/index.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

let namespace: TestNamespace;
let ipvs: Ipvs;
beforeAll(async () => {
  namespace = makeNamespace('example');
  ipvs = await openIpvs({ netns: namespace.name });
});
afterAll(async () => {
  await ipvs.close();
  namespace.remove();
});

test('ipvsadm shows what we add', async () => {
  await ipvs.addService({ address: 'tcp://192.0.2.1:80', scheduler: 'rr' });
  expect(namespace.run('ipvsadm', ['-Sn'])).toBe('-A -t 192.0.2.1:80 -s rr\n');
});
