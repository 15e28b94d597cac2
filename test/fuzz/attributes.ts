/**
 * Messages that say of their lengths what is true, and are wrong all the same: attributes left out, repeated, renumbered,
 * too short, too long, with other values. What a reader that looks at lengths alone would believe.
 */
import fc from 'fast-check';
import { concat, le16 } from '../helpers/fake-kernel.ts';

interface Attribute {
  readonly type: number;
  readonly content: Uint8Array | readonly Attribute[];
}

/** The attributes that the bytes are, if they are that and nothing else. */
function attributesOf(bytes: Uint8Array): Attribute[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const attributes: Attribute[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < 4) return undefined;
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) return undefined;
    const payload = bytes.slice(at + 4, at + length);
    const inside = payload.length >= 8 ? attributesOf(payload) : undefined;
    attributes.push({ type: view.getUint16(at + 2, true), content: inside ?? payload });
    at += (length + 3) & ~3;
  }
  return attributes;
}

function bytesOf(attributes: readonly Attribute[]): Uint8Array {
  return concat(
    ...attributes.flatMap(({ type, content }) => {
      const payload = content instanceof Uint8Array ? content : bytesOf(content);
      return [le16(4 + payload.length), le16(type), payload, new Uint8Array(-payload.length & 3)];
    }),
  );
}

type Edit = (attribute: Attribute) => readonly Attribute[];

const value = fc.oneof(
  fc
    .constantFrom(0, 1, 2, 0x7f, 0x80, 0xff)
    .chain((byte) => fc.nat(20).map((length) => new Uint8Array(length).fill(byte))),
  fc.constantFrom(1, 2, 4, 8, 16).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
  fc.uint8Array({ maxLength: 40 }),
);

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.constant<Edit>(() => []),
  fc.constant<Edit>((attribute) => [attribute, attribute]),
  fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 0x3fff, 0x8001, 0xffff).map<Edit>((type) => {
    return ({ content }) => [{ type, content }];
  }),
  fc.nat(24).map<Edit>((length) => ({ type, content }) => {
    const payload = new Uint8Array(length);
    payload.set((content instanceof Uint8Array ? content : bytesOf(content)).subarray(0, length));
    return [{ type, content: payload }];
  }),
  value.map<Edit>((content) => ({ type }) => [{ type, content }]),
  value.map<Edit>((content) => ({ type, content: before }) => {
    const payload = before instanceof Uint8Array ? before : bytesOf(before);
    // As long as it was: only the value is another.
    return [{ type, content: payload.map((byte, i) => content[i] ?? byte) }];
  }),
);

/** Applies the edit to the attribute that is `index`th when all are counted, outer ones before those inside. */
function editedAt(attributes: readonly Attribute[], index: number, edit: Edit): Attribute[] {
  let left = index;
  const visit = (list: readonly Attribute[]): Attribute[] =>
    list.flatMap((attribute) => {
      if (left-- === 0) return edit(attribute);
      const { type, content } = attribute;
      return [content instanceof Uint8Array ? attribute : { type, content: visit(content) }];
    });
  return visit(attributes);
}

function countOf(attributes: readonly Attribute[]): number {
  return attributes.reduce((sum, { content }) => sum + 1 + (content instanceof Uint8Array ? 0 : countOf(content)), 0);
}

/** Payloads of messages: a header, of generic netlink's length if nothing else is said, then attributes. */
export function rebuilt(corpus: readonly Uint8Array[], headerBytes = 4): fc.Arbitrary<Uint8Array> {
  const edits = fc.array(fc.tuple(fc.nat(0xffff), edit), { minLength: 1, maxLength: 4 });
  return fc.tuple(fc.constantFrom(...corpus), edits).map(([payload, edits]) => {
    let attributes = attributesOf(payload.slice(headerBytes)) ?? [];
    for (const [index, edit] of edits) attributes = editedAt(attributes, index % (countOf(attributes) || 1), edit);
    return concat(payload.slice(0, headerBytes), bytesOf(attributes));
  });
}
