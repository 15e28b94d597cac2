import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { catalogue, sysctlFeature, sysctlSpec } from '../../../src/sysctl/catalogue.ts';
import { normalizeSysctlValue, sameSysctlValue, shownSysctlValue } from '../../../src/sysctl/kind.ts';
import { normalizeSysctlName, sysctlPath } from '../../../src/sysctl/name.ts';
import { findSysctl, normalizeSysctls, type SysctlValue } from '../../../src/sysctl/settings.ts';

const refused = (detail: string) => expect.objectContaining({ code: 'INVALID_SYSCTL', detail });

describe('names', () => {
  test.each([
    ['net.ipv4.vs.conntrack', 'ipv4/vs/conntrack'],
    ['net.ipv4.conf.eth0/100.rp_filter', 'ipv4/conf/eth0.100/rp_filter'],
  ])('%s is the file %s', (name, path) => {
    expect(normalizeSysctlName(name)).toBe(name);
    expect(normalizeSysctlName(`net/${path}`)).toBe(name);
    expect(sysctlPath(name)).toBe(path);
  });

  test.each([
    '',
    'net',
    'kernel.pid_max',
    'net..x',
    'net.ipv4.',
    '.net.x',
    'net/../kernel/x',
    'net/./x',
    'net.//.x',
    'net.a b',
  ])('%j is none', (name) => {
    expect(() => normalizeSysctlName(name)).toThrow(refused('a name is written net.ipv4.vs.conntrack'));
  });

  test('never lead out of /proc/sys/net', () => {
    const piece = fc.oneof(fc.constantFrom('.', '/', '..', 'net', 'ipv4', '\0', ' ', 'x'), fc.string());
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => `net.${pieces.join('')}`),
        (text) => {
          let path: string;
          try {
            path = sysctlPath(normalizeSysctlName(text));
          } catch {
            return;
          }
          expect(
            path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0')),
          ).toBe(true);
        },
      ),
    );
  });

  test('of IPVS may be their last part; what is misspelt is told', () => {
    expect(findSysctl('conntrack').name).toBe('net.ipv4.vs.conntrack');
    expect(() => findSysctl('contrack')).toThrow(
      refused('balancing does not depend on it; did you mean "net.ipv4.vs.conntrack"?'),
    );
    expect(() => findSysctl('net.ipv4.tcp_fin_timeout')).toThrow(refused('balancing does not depend on it'));
    expect(() => findSysctl('bla')).toThrow(refused('balancing does not depend on it'));
  });

  test('of interfaces have one entry for all of them', () => {
    expect(findSysctl('net.ipv4.conf.eth0/100.rp_filter').spec.name).toBe('net.ipv4.conf.*.rp_filter');
    expect(findSysctl('net.ipv6.conf.all.forwarding').spec.name).toBe('net.ipv6.conf.*.forwarding');
  });
});

describe('values', () => {
  const accepted: [string, SysctlValue, string][] = [
    ['conntrack', true, '1'],
    ['conntrack', 'off', '0'],
    ['conntrack', 1, '1'],
    ['drop_entry', 'automatic', '1'],
    ['drop_entry', 1, '1'],
    ['drop_entry', 'always', '3'],
    ['drop_entry', 'off', '0'],
    ['drop_entry', false, '0'],
    ['sync_threshold', '5 60', '5\t60'],
    ['sync_threshold', '5,60', '5\t60'],
    ['sync_threshold', '9 0', '9\t0'],
    ['net.ipv4.ip_local_port_range', '20000-30000', '20000\t30000'],
    ['est_cpulist', '3,1,0,7-9,8', '0-1,3,7-9'],
    ['est_cpulist', 0, '0'],
    ['sync_ports', 64, '64'],
    ['am_droprate', 2, '2'],
    ['est_nice', -20, '-20'],
    ['net.netfilter.nf_conntrack_buckets', 65536, '65536'],
  ];
  test.each(accepted)('%s: %j is %j', (name, value, text) => {
    const { name: whole } = findSysctl(name);
    expect(normalizeSysctls({ [name]: value })).toEqual({ [whole]: text });
  });

  const harmful: [string, SysctlValue, string][] = [
    ['am_droprate', -1, 'below 0 it drops every new connection'],
    ['am_droprate', 1, '1 drops every new connection'],
    ['am_droprate', 0, '0 drops nothing: that is what drop_packet "off" is for'],
    ['amemthresh', -1, 'below 0 it is 0, which never engages: that is what modes "off" are for'],
    ['conn_max', 0, 'it drops every new connection'],
    ['drop_packet', 2, 'the kernel engages it by itself: write automatic'],
    ['sync_ports', 3, 'the kernel takes powers of 2: 1, 2, 4 up to 64'],
    ['sync_threshold', '5 5', 'the first must be below the second, unless that is 0'],
    ['net.netfilter.nf_conntrack_buckets', 1000, 'the kernel takes whole pages: multiples of 512'],
    ['net.ipv4.ip_local_port_range', '3000 2000', 'the first must not be above the second'],
    ['net.netfilter.nf_conntrack_count', 1, 'it only shows, and is not set'],
  ];
  test.each(harmful)('%s: %j hurts, or means nothing', (name, value, detail) => {
    expect(() => normalizeSysctls({ [name]: value })).toThrow(refused(detail));
  });

  const senseless: [string, SysctlValue, string][] = [
    ['conntrack', 2, '2 is not 0 (off) or 1 (on)'],
    ['conntrack', '', '"" is not 0 (off) or 1 (on)'],
    ['drop_entry', 'on', '"on" is not off (0), automatic (1) or always (3)'],
    ['sync_retries', 4, '4 is not a number from 0 to 3'],
    ['sync_retries', '1 2', '"1 2" is not a number from 0 to 3'],
    ['sync_retries', 1.5, '1.5 is not a number from 0 to 3'],
    ['sync_retries', Number.NaN, 'NaN is not a number from 0 to 3'],
    ['sync_threshold', '5', '"5" is not two numbers from 0 to 2147483647'],
    ['sync_threshold', '-1 5', '"-1 5" is not two numbers from 0 to 2147483647'],
    ['est_cpulist', '3-1', '"3-1" is not a list of processors, such as 0-3,8'],
    ['est_cpulist', '0-99999', '"0-99999" is not a list of processors, such as 0-3,8'],
    ['net.netfilter.nf_conntrack_icmp_timeout', 0, '0 is not a number of seconds from 1 to 2147483'],
  ];
  test.each(senseless)('%s: %j is none', (name, value, detail) => {
    expect(() => normalizeSysctls({ [name]: value })).toThrow(refused(detail));
  });

  test('one setting is given once, however it is written', () => {
    expect(() => normalizeSysctls({ conntrack: 1, 'net/ipv4/vs/conntrack': 0 })).toThrow(refused('it is given twice'));
  });

  test('that are normal stay as they are, and whatever is given becomes normal or is refused', () => {
    const specs = catalogue.filter(({ readOnly }) => !readOnly);
    const value = fc.oneof(
      fc.integer(),
      fc.boolean(),
      fc.string(),
      fc.double(),
      fc.constantFrom('automatic', '1 2', '0-3,5'),
    );
    fc.assert(
      fc.property(fc.constantFrom(...specs), value, ({ name, kind }, given) => {
        let normal: string;
        try {
          normal = normalizeSysctlValue(name, kind, given);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_SYSCTL', subject: name });
          return;
        }
        expect(normalizeSysctlValue(name, kind, normal)).toBe(normal);
        expect(sameSysctlValue(kind, normal, normal)).toBe(true);
        expect(normalizeSysctlValue(name, kind, shownSysctlValue(kind, normal))).toBe(normal);
      }),
    );
  });

  test('the phases of an automatic mode are the same setting', () => {
    const mode = { type: 'mode' } as const;
    expect(sameSysctlValue(mode, '1', '2')).toBe(true);
    expect(sameSysctlValue(mode, '1', '3')).toBe(false);
    expect(shownSysctlValue(mode, '2')).toBe('engaged');
  });
});

describe('the catalogue', () => {
  test('has each name once, and defaults that the kernel itself would take', () => {
    expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length);
    for (const spec of catalogue) {
      expect(spec.default === null).toBe(spec.dependsOn !== undefined);
      if (spec.default !== null) expect(normalizeSysctlValue(spec.name, spec.kind, spec.default)).toBe(spec.default);
      expect(sysctlSpec(spec.name.replace('*', 'eth0'))).toBe(spec);
      expect(`${spec.about}${spec.who}`).not.toMatch(/\.$|\n/);
    }
  });

  test('knows since when there is what not every kernel has', () => {
    expect(sysctlFeature({ name: 'net.ipv4.vs.conn_max' })?.since).toBe('7.2');
    expect(sysctlFeature({ name: 'net.ipv4.ip_forward' })).toBeUndefined();
  });
});
