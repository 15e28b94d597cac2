/** The keys of rules of iptables ↔ their names. */
import { partsOf } from '../iptables/rules/own-rule.ts';
import { masqueradeKey } from './keys.ts';

/** Of a rule of iptables by its name: "masquerade 10.0.0.0/24", "tcp://192.0.2.10:80 source NAT", "guard 192.0.2.10". */
export function ruleKey(name: string): string {
  const { kind, words, subject } = partsOf(name);
  if (kind === 'masquerade') return masqueradeKey(subject);
  return kind === 'guard' ? name : `${subject} ${words}`;
}

/** Its inverse; undefined for the key of something else. */
export function nameOfRuleKey(key: string): string | undefined {
  if (key.startsWith(masqueradeKey(''))) return key.slice(masqueradeKey('').length);
  if (key.startsWith('guard ')) return key;
  const [, service, words] = /^(\S+) (source NAT|marks)$/.exec(key) ?? [];
  return service === undefined ? undefined : `${words} ${service}`;
}
