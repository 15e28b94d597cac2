/** Masquerade rules as people say them, and chains as iptables prints them, or as somebody altered them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Chain, NO_CHAIN, readChain, restoreText, SOURCE_CHAIN } from '../../src/iptables/chain.ts';
import { linesOf, ruleOf } from '../../src/iptables/rules/lines.ts';
import { type MarkMatchInput, normalizeMarkMatch } from '../../src/iptables/rules/mark-match.ts';
import {
  formatMatch,
  type MasqueradeInput,
  normalizeMasquerade,
  parseMatch,
} from '../../src/iptables/rules/masquerade.ts';
import { changedChain } from '../../src/iptables/rules/operation.ts';
import { linesOfRule, masquerade, nameOf, rulesIn } from '../../src/iptables/rules/own-rule.ts';
import type { ServiceRule } from '../../src/iptables/rules/service-rule.ts';
import { lawful } from './laws.ts';
import { mutatedLines, mutatedText } from './mutation.ts';
import { fuzz } from './runs.ts';

const INPUT = ['INVALID_MASQUERADE', 'INVALID_ADDRESS', 'INVALID_PROTOCOL', 'INVALID_OPTION'] as const;
const words = [
  '10.0.0.0/8',
  '::/0',
  '/',
  ' ',
  '\n',
  '"',
  '\\',
  '-j ',
  '--',
  'COMMIT',
  '*nat',
  '0',
  '65536',
  '-',
  '[0:0]',
  '\0',
];
const names = ['10.0.0.0/24', '10.0.0.0/24 out eth0', 'fd00::/64 out eth0 protocol tcp', '::/0'];
const inputs: readonly MasqueradeInput[] = [
  { source: '10.0.0.0/24', out: 'eth0', ports: '61000-65095', randomFully: true },
  { source: 'fd00::/64', toSource: '2001:db8::1', ports: 700, protocol: 'udp' },
  { source: '0.0.0.0/0', toSource: '192.0.2.1' },
];
const lines = [
  ...['*nat', ':POSTROUTING ACCEPT [0:0]', ':IPVSD-POSTROUTING - [0:0]', '[5:300] -A POSTROUTING -j IPVSD-POSTROUTING'],
  ...inputs.flatMap((input) =>
    linesOf(normalizeMasquerade(input)).map((line) => `[7:420] -A IPVSD-POSTROUTING ${line}`),
  ),
  ...['[0:0] -A IPVSD-POSTROUTING -s 10.9.0.0/24 -j RETURN', 'COMMIT'],
];

test('what a rule is called is canonical as soon as it is read, or refused', () =>
  fuzz(
    1500,
    fc.property(mutatedText(names, words), (text) => {
      lawful(
        () => parseMatch(text),
        (match) => expect(parseMatch(formatMatch(match))).toEqual(match),
        INPUT,
      );
    }),
  ));

test('a rule is canonical, and one line of text for each of its lines, or refused', () =>
  fuzz(
    1500,
    fc.property(
      fc.constantFrom(...inputs),
      fc.constantFrom('source', 'out', 'protocol', 'ports', 'toSource', 'randomFully'),
      fc.oneof(mutatedText(['10.0.0.0/24', 'eth0', 'tcp', '1-2', '192.0.2.1', 'fd00::/64'], words), fc.anything()),
      (input, field, value) => {
        lawful(
          () => normalizeMasquerade({ ...input, [field]: value }),
          (rule) => {
            expect(normalizeMasquerade(rule)).toEqual(rule);
            expect(ruleOf(formatMatch(rule), linesOf(rule))).toEqual(rule);
            for (const line of linesOf(rule)) expect(line).toMatch(/^[ -~]+$/);
          },
          INPUT,
        );
      },
    ),
  ));

test('a chain is read whatever stands there, and what is written of it is one commit that reads the same', () =>
  fuzz(
    1500,
    fc.property(mutatedLines(lines, words), (saved) => {
      const chain: Chain = readChain(saved.join('\n'), SOURCE_CHAIN);
      for (const { rule, name, lines: own } of rulesIn(chain.lines).values())
        if (rule) expect([nameOf(rule), linesOfRule(rule)]).toEqual([name, own]);
      const wanted = changedChain(chain, [
        { type: 'rule.add', rule: masquerade(normalizeMasquerade({ source: '10.7.0.0/24' })) },
      ]);
      const text = restoreText(SOURCE_CHAIN, chain, wanted);
      expect(text.match(/^\*/gm)).toHaveLength(1);
      expect(text.match(/^COMMIT$/gm)).toHaveLength(1);
      const written = readChain(restoreText(SOURCE_CHAIN, { ...NO_CHAIN, lines: chain.lines }, wanted), SOURCE_CHAIN);
      expect(written.lines.map(({ text }) => text)).toEqual(wanted.lines);
    }),
  ));

const serviceRules: readonly ServiceRule[] = [
  { kind: 'sourceNat', service: 'tcp://192.0.2.10:80' },
  { kind: 'sourceNat', service: 'fwmark:7/inet6' },
  {
    kind: 'marks',
    service: 'fwmark:7',
    matches: [{ address: '192.0.2.0/24', in: 'eth0', protocol: 'tcp', ports: '80-90' }, { in: 'eth1' }],
  },
  { kind: 'guard', address: '192.0.2.10', tcp: ['80', '8000-8010'], udp: 'all', sctp: [], marks: [7] },
];
const serviceWords = [
  ...words,
  'source NAT ',
  'marks ',
  'guard ',
  'fwmark:',
  ' --dport ',
  ' -p tcp',
  '"ipvsd: ',
  '-j RETURN',
];

test('lines of services are read whatever somebody made of them, and what is read is what stands there', () =>
  fuzz(
    1500,
    fc.property(mutatedLines(serviceRules.flatMap(linesOfRule), serviceWords), (texts) => {
      for (const { rule, name, lines: own } of rulesIn(texts.map((text) => ({ text }))).values())
        if (rule) expect([nameOf(rule), linesOfRule(rule)]).toEqual([name, own]);
    }),
  ));

test('a match of a mark is canonical, and one line of text, or refused', () =>
  fuzz(
    1500,
    fc.property(
      fc.constantFrom('address', 'in', 'protocol', 'ports'),
      fc.oneof(mutatedText(['192.0.2.0/24', 'eth0', 'tcp', '1-2', 'fd00::/64'], words), fc.anything()),
      (field, value) => {
        const input = { address: '192.0.2.10', in: 'eth0', protocol: 'tcp', ports: '80', [field]: value };
        lawful(
          () => normalizeMarkMatch(input as MarkMatchInput),
          (match) => {
            expect(normalizeMarkMatch(match)).toEqual(match);
            for (const line of linesOfRule({ kind: 'marks', service: 'fwmark:7', matches: [match] }))
              expect(line).toMatch(/^[ -~]+$/);
          },
          ['INVALID_MATCH', 'INVALID_ADDRESS', 'INVALID_PROTOCOL', 'INVALID_OPTION'],
        );
      },
    ),
  ));
