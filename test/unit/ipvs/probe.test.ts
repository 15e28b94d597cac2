/** What the probes make of what they see. */
import { describe, expect, it } from 'vitest';
import { type Feature, featureOf } from '../../../src/ipvs/features.ts';
import { find, type Kernel, probeFeatures } from '../../../src/ipvs/probe.ts';

const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
const ENODEV = 19;
const EINVAL = 22;
const EAFNOSUPPORT = 97;

function kernel(seen: Partial<Omit<Kernel, 'ask' | 'exists' | 'read'>> & See = {}): Kernel {
  const { answer = EPERM, text, files = {}, ...rest } = seen;
  return {
    release: '6.12.1',
    service: undefined,
    ask: () => ({ errno: answer, text }),
    exists: (path) => path in files,
    read: (path) => files[path],
    ...rest,
  };
}

interface See {
  /** The errno of every answer. */
  readonly answer?: number;
  readonly text?: string;
  readonly files?: Readonly<Record<string, string>>;
}

const service = { address: 'tcp://192.0.2.1:80', attributes: new Set([1, 2, 3]) };
const SYSCTLS = '/proc/sys/net/ipv4/vs';
const sysctls = { [`${SYSCTLS}/drop_entry`]: '' };
const symbols = {
  '/proc/kallsyms': 'ff t ip_vs_in\t[ip_vs]\nff t tcp_conn_schedule\t[ip_vs]\nff t xudp_conn_schedule\n',
};
const modules = {
  '/lib/modules/6.12.1/modules.dep':
    'kernel/net/netfilter/ipvs/ip_vs_ftp.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n',
};

it.each<[string, Kernel, string]>([
  ['scheduler mh', kernel({ answer: EINVAL }), 'present'],
  ['scheduler mh', kernel({ answer: ENOENT }), 'absent'],
  ['scheduler mh', kernel({ answer: EAFNOSUPPORT }), 'unknown'],
  ['scheduler mh', kernel({ answer: EPERM }), 'unknown'],
  ['scheduler mh', kernel({ answer: 0 }), 'unknown'],
  ['engine sip', kernel({ answer: EINVAL }), 'present'],
  ['engine sip', kernel({ answer: ENOENT }), 'absent'],
  ['engine sip', kernel({ answer: EAFNOSUPPORT }), 'unknown'],
  ['configuration ipv6', kernel({ answer: EINVAL }), 'present'],
  ['configuration ipv6', kernel({ answer: EAFNOSUPPORT }), 'absent'],
  ['configuration ipv6', kernel({ answer: EPERM }), 'unknown'],
  ['configuration tcp', kernel({ files: symbols }), 'present'],
  ['configuration udp', kernel({ files: symbols }), 'absent'],
  ['configuration tcp', kernel({ files: { '/proc/kallsyms': 'ff t tcp_v4_rcv\n' } }), 'unknown'],
  ['configuration tcp', kernel(), 'unknown'],
  ['module ip_vs_ftp', kernel({ files: { '/sys/module/ip_vs_ftp': '' } }), 'present'],
  ['module ip_vs_ftp', kernel({ files: modules }), 'present'],
  [
    'module ip_vs_ftp',
    kernel({ files: { '/lib/modules/6.12.1/modules.builtin': 'kernel/a/xip_vs_ftp.ko\n' } }),
    'absent',
  ],
  ['module ip_vs_ftp', kernel(), 'unknown'],
  ['sysctl est_nice', kernel({ files: { ...sysctls, [`${SYSCTLS}/est_nice`]: '' } }), 'present'],
  ['sysctl est_nice', kernel({ files: sysctls }), 'absent'],
  ['sysctl est_nice', kernel({ files: { [SYSCTLS]: '' } }), 'unknown'],
  ['proc ip_vs_status', kernel({ files: { '/proc/net/ip_vs_status': '' } }), 'present'],
  ['proc ip_vs_status', kernel(), 'absent'],
  ['attribute sync-ttl', kernel({ answer: EINVAL, text: 'Attribute failed policy validation' }), 'present'],
  ['attribute sync-ttl', kernel({ answer: ENODEV }), 'absent'],
  // Destinations of mixed families come before the interface.
  ['attribute sync-ttl', kernel({ answer: EINVAL }), 'unknown'],
  ['attribute tunnel-gue', kernel({ answer: EINVAL, service }), 'present'],
  ['attribute tunnel-gue', kernel({ answer: ENOENT, service }), 'absent'],
  // The service is gone.
  ['attribute tunnel-gue', kernel({ answer: ESRCH, service }), 'unknown'],
  ['attribute tunnel-gue', kernel({ answer: ENOENT }), 'present'],
  ['attribute tunnel-gue', kernel({ release: '4.19.0' }), 'unknown'],
  ['attribute statistics-64', kernel({ service: { ...service, attributes: new Set([10, 12]) } }), 'present'],
  ['attribute statistics-64', kernel({ service }), 'absent'],
  ['attribute statistics-64', kernel(), 'present'],
])('%s of %j is %s', (key, seen, state) => {
  const { evidence, ...found } = find(featureOf(key) as Feature, seen);
  expect(found).toEqual({ state });
  expect(evidence).not.toBe('');
});

describe('what is refused before the kernel is asked', () => {
  it.each([
    [{ only: ['scheduler nosuch'] }, ['only']],
    [{ only: ['mh'] }, ['only']],
    [{ names: ['scheduler mh'] }, ['names']],
    [{ only: [], netns: 'a/b' }, []],
  ])('%j', async (options, path) => {
    await expect(probeFeatures(options as object)).rejects.toMatchObject({ code: 'INVALID_OPTION', path });
  });
});
