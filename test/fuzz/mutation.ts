/** What can happen to bytes and to text: arbitraries of broken things, made from valid ones. */
import fc from 'fast-check';
import { concat } from '../helpers/fake-kernel.ts';

type Edit<T> = (value: T) => T;

/** Bytes or text. */
interface Sequence<T> {
  readonly length: number;
  slice(start?: number, end?: number): T;
}

/** Anywhere in what is edited: taken modulo its length. */
const place = fc.nat(0xffff);
const length = fc.nat(64);

/** Cut off, left out, said twice, with a piece of another or with noise in it. */
function editsOf<T extends Sequence<T>>(
  corpus: readonly T[],
  noise: fc.Arbitrary<T>,
  join: (...parts: readonly T[]) => T,
): fc.Arbitrary<Edit<T>> {
  const inserted = (value: T, at: number, piece: T) => {
    const place = at % (value.length + 1);
    return join(value.slice(0, place), piece, value.slice(place));
  };
  const piece = ({ value, from, length }: { value: T; from: number; length: number }) => {
    const start = from % (value.length + 1);
    return value.slice(start, start + length);
  };
  return fc.oneof(
    place.map((at) => (value: T) => value.slice(0, at % (value.length + 1))),
    fc.tuple(place, length).map(([at, length]) => (value: T) => {
      const start = at % (value.length + 1);
      return join(value.slice(0, start), value.slice(start + length));
    }),
    fc.tuple(place, length, place).map(
      ([from, length, at]) =>
        (value: T) =>
          inserted(value, at, piece({ value, from, length })),
    ),
    fc.tuple(fc.record({ value: fc.constantFrom(...corpus), from: place, length }), place).map(
      ([other, at]) =>
        (value: T) =>
          inserted(value, at, piece(other)),
    ),
    fc.tuple(noise, place).map(
      ([noise, at]) =>
        (value: T) =>
          inserted(value, at, noise),
    ),
    fc.tuple(noise, place).map(([noise, at]) => (value: T) => {
      const start = at % (value.length + 1);
      return join(value.slice(0, start), noise, value.slice(start + noise.length));
    }),
  );
}

/** One of the corpus after some edits; after none in a fifth of all cases. */
function edited<T>(corpus: readonly T[], edits: fc.Arbitrary<Edit<T>>): fc.Arbitrary<T> {
  return fc
    .tuple(fc.constantFrom(...corpus), fc.array(edits, { maxLength: 4 }))
    .map(([value, edits]) => edits.reduce((result, edit) => edit(result), value));
}

/** Numbers that lengths and counts are compared with, and the ends of their ranges. */
const numbers16 = fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 8, 10, 16, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff);
const numbers32 = fc.constantFrom(0, 1, 3, 4, 5, 15, 16, 17, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff);

/** A number at a multiple of its size, where all lengths and most values stand. */
function overwritten(size: 2 | 4, number: number, at: number): Edit<Uint8Array> {
  return (bytes) => {
    const copy = bytes.slice();
    const start = (at * size) % (bytes.length || 1);
    const view = new DataView(copy.buffer);
    if (start + size > copy.length) return copy;
    if (size === 2) view.setUint16(start, number, true);
    else view.setUint32(start, number, true);
    return copy;
  };
}

function flipped(at: number, bit: number): Edit<Uint8Array> {
  return (bytes) => bytes.map((byte, i) => (i === at % bytes.length ? byte ^ (1 << bit) : byte));
}

/** Broken bytes of any kind, and bytes of no kind at all. */
export function mutatedBytes(corpus: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const noise = fc.uint8Array({ maxLength: 24 });
  const edits = fc.oneof(
    { weight: 2, arbitrary: fc.tuple(place, fc.nat(7)).map(([at, bit]) => flipped(at, bit)) },
    { weight: 3, arbitrary: fc.tuple(numbers16, place).map(([number, at]) => overwritten(2, number, at)) },
    { weight: 2, arbitrary: fc.tuple(numbers32, place).map(([number, at]) => overwritten(4, number, at)) },
    { weight: 4, arbitrary: editsOf(corpus, noise, concat) },
  );
  return fc.oneof(
    { weight: 15, arbitrary: edited(corpus, edits) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  );
}

/** Broken text, and text that is nothing but noise. `words` are what its language is made of. */
export function mutatedText(corpus: readonly string[], words: readonly string[]): fc.Arbitrary<string> {
  const noise = fc.oneof(fc.string({ unit: 'binary', maxLength: 4 }), fc.constantFrom(...words));
  const edits = editsOf(corpus, noise, (...parts) => parts.join(''));
  return fc.oneof(
    { weight: 15, arbitrary: edited(corpus, edits) },
    { weight: 1, arbitrary: fc.array(noise).map((parts) => parts.join('')) },
  );
}

export function mutatedLines(corpus: readonly string[], words: readonly string[]): fc.Arbitrary<string[]> {
  return mutatedText([corpus.join('\n')], words).map((text) => text.split('\n'));
}
