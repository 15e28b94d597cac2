/**
 * Names of settings, as sysctl(8) writes them: dots between the parts, and a slash for a dot inside of one
 * (`net.ipv4.conf.eth0/100.rp_filter`); or, if a slash comes first, the other way round.
 */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

/** Longer than any name of an interface in any setting. */
const LONGEST = 128;
/** What a part of a name may consist of: names of interfaces are words of nearly any characters. */
const part = /^(?!\.{1,2}$)[^/\s\0]{1,64}$/;

/** Canonical, with dots between the parts. Throws INVALID_SYSCTL. */
export function normalizeSysctlName(name: string): string {
  const parts = typeof name === 'string' && name.length <= LONGEST ? partsOf(name) : [];
  if (parts.length > 1 && parts[0] === 'net' && parts.every((text) => part.test(text)))
    return parts.map((text) => text.replaceAll('.', '/')).join('.');
  throw new IpvsError('INVALID_SYSCTL', { subject: quote(name), detail: 'a name is written net.ipv4.vs.conntrack' });
}

/** Below /proc/sys/net/, of a canonical name. */
export function sysctlPath(name: string): string {
  return partsOf(name).slice(1).join('/');
}

/** The scheduler that brings a setting (ip_vs_lblc.c, ip_vs_lblcr.c): "lblc" for net.ipv4.vs.lblc_expiration. */
export function schedulerOf(name: string): string | undefined {
  return /^net\.ipv4\.vs\.(lblcr?)_expiration$/.exec(name)?.[1];
}

function partsOf(name: string): string[] {
  const [first] = /[./]/.exec(name) ?? [];
  if (first === '/') return name.split('/');
  return name.split('.').map((text) => text.replaceAll('/', '.'));
}
