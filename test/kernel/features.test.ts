/** What the probes say of the running kernel, against its version and what it was built with. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Feature, featureKey, features, isOlder } from '../../src/ipvs/features.ts';
import { IPVS_FAMILY_NAME, probeDaemonRequest, probeDestinationRequest } from '../../src/ipvs/netlink/wire.ts';
import { type ProbedFeature, probeFeatures } from '../../src/ipvs/probe.ts';
import { native } from '../../src/kernel/native.ts';
import { NetlinkConnection } from '../../src/netlink/connection.ts';
import { NETLINK_GENERIC, resolveFamily } from '../../src/netlink/generic.ts';
import { built, command } from '../helpers/cli.ts';
import { requireFeature } from '../helpers/feature.ts';
import { kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('features');
const WEB = 'tcp://192.0.2.1:80';

/** The kernel's configuration where it can be read. */
function configuration(): string | undefined {
  if (existsSync('/proc/config.gz')) return gunzipSync(readFileSync('/proc/config.gz')).toString();
  const file = `/boot/config-${release()}`;
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** What the kernel's version and configuration say; undefined where they say nothing. */
function expected(feature: Feature): 'present' | 'absent' | undefined {
  if (isOlder(release(), feature)) return 'absent';
  if (feature.configuration === undefined) return 'present';
  const built = configuration();
  if (built !== undefined) return new RegExp(`^${feature.configuration}=[ym]$`, 'm').test(built) ? 'present' : 'absent';
  if (!feature.kernelName.startsWith('ip_vs_')) return undefined;
  const found = spawnSync('modprobe', ['--dry-run', '--quiet', feature.kernelName]).status === 0;
  return found ? 'present' : 'absent';
}

describe('every feature is found as version and configuration have it', () => {
  let probed: readonly ProbedFeature[];
  beforeAll(async () => {
    await table.ipvs.addService({ address: WEB });
    probed = await probeFeatures({ netns: table.namespace.name });
    expect(probed).toHaveLength(features.length);
  });

  it.each(features.map((feature) => [featureKey(feature), feature] as const))('%s', (key, feature) => {
    const { state, evidence } = probed.find((each) => featureKey(each) === key) as ProbedFeature;
    expect(state, evidence).not.toBe('unknown');
    expect(state, evidence).toBe(expected(feature) ?? state);
  });
});

describe('asking', () => {
  it('changes neither services nor timeouts nor sync daemons', async () => {
    const { ipvs, namespace } = table;
    for (const address of [WEB, 'udp://[2001:db8::1]:53', 'fwmark:7']) {
      await ipvs.addService({ address });
      await ipvs.addDestination(address, { address: '10.0.0.1', forward: 'tunnel' });
    }
    const everything = async () => [await ipvs.snapshot(), await ipvs.timeouts(), await ipvs.syncDaemons()];
    const before = await everything();
    await probeFeatures({ netns: namespace.name });
    expect(await everything()).toEqual(before);
  });

  it('loads no module but the one that is asked for', async () => {
    const loaded = (): string[] => readFileSync('/proc/modules', 'utf8').match(/^\w+/gm) ?? [];
    const before = loaded();
    await probeFeatures({ only: ['scheduler sed'] });
    const then = loaded();
    expect(then.filter((name) => !before.includes(name) && name !== 'ip_vs_sed')).toEqual([]);
    await probeFeatures({
      only: features.filter(({ kind }) => kind !== 'scheduler' && kind !== 'engine').map(featureKey),
    });
    expect(loaded()).toEqual(then);
  });

  it('for an attribute that no kernel has says so', async () => {
    await table.ipvs.addService({ address: WEB });
    const namespacePath = `/run/netns/${table.namespace.name}`;
    const connection = NetlinkConnection.open({ native: native(), namespacePath, protocol: NETLINK_GENERIC });
    try {
      const family = resolveFamily(connection, IPVS_FAMILY_NAME) as number;
      const requests = [probeDestinationRequest(family, WEB, 999), probeDaemonRequest(family, 999)];
      const answers = requests.map((request) => connection.request(request, () => undefined).outcome.errno);
      expect(answers).toEqual([2, 19]); // ENOENT, ENODEV
    } finally {
      connection.close();
    }
  });

  it('destinations of both families beside each other mislead nobody', async () => {
    const { ipvs, namespace } = table;
    await ipvs.addService({ address: WEB });
    await ipvs.addDestination(WEB, { address: '[2001:db8::1]:80', forward: 'tunnel' });
    const found = await probeFeatures({
      netns: namespace.name,
      only: ['attribute sync-ttl', 'attribute destination-family'],
    });
    expect(found.map(({ state }) => state)).toEqual(['present', 'present']);
  });

  it('in an empty table the version answers for attributes', async () => {
    const only = features.filter(({ kind }) => kind === 'attribute').map(featureKey);
    const found = await probeFeatures({ netns: table.namespace.name, only });
    expect(found.map(({ state }) => state)).toEqual(only.map(() => 'present'));
  });

  it('in a user namespace of its own nothing is claimed that cannot be seen', async () => {
    const program = `
      import { probeFeatures } from ${JSON.stringify(built('index.js'))};
      const only = ['scheduler rr', 'engine sip', 'configuration ipv6', 'sysctl conntrack', 'proc ip_vs_stats'];
      console.log(JSON.stringify((await probeFeatures({ only })).map(({ state }) => state)));
    `;
    const run = ['unshare', '--user', '--map-root-user', '--net', process.execPath, '--input-type=module'];
    const { stdout, stderr } = await command(run, { input: program });
    expect(stderr).toBe('');
    // Linux 6.1 shows no sysctls there.
    const sysctl = isOlder(release(), { ...(features[0] as Feature), since: '6.2' }) ? 'unknown' : 'present';
    expect(JSON.parse(stdout)).toEqual(['unknown', 'unknown', 'unknown', sysctl, 'present']);
  });
});

it('a scheduler is taken where it is found, and refused elsewhere with the version that has it', async () => {
  for (const { name, state, since = '' } of await probeFeatures({ only: ['scheduler twos', 'scheduler mh'] })) {
    const attempt = table.ipvs.addService({ address: `fwmark:${name.length}`, scheduler: name });
    if (state === 'present') await attempt;
    else {
      const hint = expect.stringContaining(`Linux ${since.replace('about ', '')}`);
      expect(await refusal(attempt)).toMatchObject({ code: 'SCHEDULER_NOT_FOUND', hint });
    }
  }
});

describe('a test that needs a feature', () => {
  const skipped = async (key: string) => {
    let reason: string | undefined;
    const skip = (note: unknown): never => {
      reason = String(note);
      throw new Error('skipped');
    };
    await requireFeature(skip as never, key).catch(() => undefined);
    return reason;
  };

  it('runs where it is there', async ({ skip }) => {
    await requireFeature(skip, 'scheduler mh');
    await table.ipvs.addService({ address: WEB, scheduler: 'mh' });
  });

  it('is skipped where it may be missing, with the reason', async () => {
    for (const feature of await probeFeatures()) {
      const { kind, name, state } = feature;
      const reason = state === 'absent' ? expect.stringContaining(`no ${kind} ${name}`) : undefined;
      expect(await skipped(featureKey(feature))).toEqual(reason);
    }
  });
});
