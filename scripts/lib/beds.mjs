/** A test that runs only on a kernel without NAT. */
const withNat = {
  'test/kernel/masquerade.test.ts > refusals > a kernel without NAT': 'it asks for a kernel without NAT',
};

/**
 * The tests that may skip in each bed, and why: what its kernel lacks. scripts/test fails a run in which any other
 * test skips. A name is the beginning of "FILE > TEST".
 *
 * @type {Readonly<Record<string, Readonly<Record<string, string>>>>}
 */
export const allowedSkips = {
  host: { 'test/': 'a host is built as its owner wants it' },
  fast: {
    ...withNat,
    'test/kernel/services.test.ts > schedulers > twos': 'its kernel is built without it',
    'test/kernel/nft.test.ts': 'it has no NAT for nft',
    'test/kernel/iptables-stores.test.ts': 'it has no NAT for nft',
    'test/kernel/masquerade.test.ts > tables of legacy > are taken where they alone': 'it has no NAT for nft',
  },
  'fast-full': withNat,
  bookworm: {
    ...withNat,
    'test/kernel/services.test.ts > schedulers > twos': 'Debian 12 builds its kernel without it',
  },
  trixie: withNat,
  sid: withNat,
};

/** @param {string} bed @param {string} test */
export function maySkip(bed, test) {
  return Object.keys(allowedSkips[bed] ?? {}).some((name) => test.startsWith(name));
}
