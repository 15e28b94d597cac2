/**
 * Values as they lie in the store. The long lists of a value are cut into pieces. A piece is named by its text, and a value
 * by its pieces: what two values have in common is told by the names, and neither compressed nor parsed a second time.
 *
 *     {"version":2,"body":…,"rest":…,"lists":…}\n     names and lengths of the pieces, digest of all that follows
 *     gzip, gzip, gzip …                              the pieces, as JSON
 */
import { createHash } from 'node:crypto';
import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { Turns } from '../base/turns.ts';

/** Of a text: a bound against what is no value of ours. */
const MOST_BYTES = 512 * 1024 * 1024;
/** Of a list in one piece. */
const MOST_ITEMS = 256;
/** Names the list that is the value itself. */
const ITSELF = '';

interface Piece {
  readonly name: string;
  readonly value: unknown;
  /** Compressed, once it was needed. */
  bytes?: Uint8Array;
}

/** A value in pieces. */
export interface Outline {
  readonly name: string;
  /** The value without its long lists. */
  readonly rest: Piece;
  readonly lists: readonly (readonly [name: string, pieces: readonly Piece[]])[];
}

/** With `compress` for what is new and will be packed: its text is there only now. */
export async function outlineOf(value: unknown, compress: boolean): Promise<Outline> {
  const pieceOf = (part: unknown): Piece => {
    const text = textOf(part);
    return { name: nameOf(text), value: part, ...(compress && { bytes: compressed(text) }) };
  };
  const piecesOf = (list: readonly unknown[]) => inTurns(slicesOf(list), pieceOf);
  if (isLong(value)) return outline(pieceOf([]), [[ITSELF, await piecesOf(value)]]);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return outline(pieceOf(value), []);
  const rest: Record<string, unknown> = { ...value };
  const lists: [string, readonly Piece[]][] = [];
  for (const [name, part] of Object.entries(value)) {
    if (!isLong(part)) continue;
    rest[name] = null;
    lists.push([name, await piecesOf(part)]);
  }
  return outline(pieceOf(rest), lists);
}

function isLong(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > MOST_ITEMS;
}

function slicesOf(list: readonly unknown[]): (readonly unknown[])[] {
  const slices = Math.ceil(list.length / MOST_ITEMS);
  return Array.from({ length: slices }, (_, i) => list.slice(i * MOST_ITEMS, (i + 1) * MOST_ITEMS));
}

function outline(rest: Piece, lists: Outline['lists']): Outline {
  const names = lists.map(([name, pieces]) => [name, pieces.map((piece) => piece.name)]);
  return { name: nameOf(JSON.stringify([rest.name, names])), rest, lists };
}

export function outlined({ rest, lists }: Outline): unknown {
  const whole = lists.map(([name, pieces]) => [name, pieces.flatMap(({ value }) => value as unknown[])] as const);
  if (whole[0]?.[0] === ITSELF) return whole[0][1];
  return whole.length === 0 ? rest.value : { ...(rest.value as object), ...Object.fromEntries(whole) };
}

/** By their names. */
export function piecesIn(outlines: Iterable<Outline>): ReadonlyMap<string, Piece> {
  return new Map([...outlines].flatMap(allOf).map((piece) => [piece.name, piece]));
}

function allOf({ rest, lists }: Outline): Piece[] {
  return [rest, ...lists.flatMap(([, pieces]) => pieces)];
}

/** What is written before the pieces. */
interface Header {
  readonly version: 2;
  readonly body: string;
  readonly rest: Place;
  readonly lists: readonly (readonly [name: string, places: readonly Place[]])[];
}

/** The name of a piece, and how long it is. */
type Place = readonly [name: string, lengthBytes: number];

export async function packed({ rest, lists }: Outline): Promise<Uint8Array> {
  const bytes: Uint8Array[] = [];
  const placeOf = (piece: Piece): Place => {
    piece.bytes ??= compressed(textOf(piece.value));
    bytes.push(piece.bytes);
    return [piece.name, piece.bytes.length];
  };
  const first = placeOf(rest);
  const others: [string, readonly Place[]][] = [];
  for (const [name, pieces] of lists) others.push([name, await inTurns(pieces, placeOf)]);
  const body = Buffer.concat(bytes);
  const header: Header = { version: 2, body: nameOf(body), rest: first, lists: others };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

/** Objects look like those next to them, so a small window is as good as the largest, which would be made for each piece. */
function compressed(text: Uint8Array): Uint8Array {
  return gzipSync(text, { level: constants.Z_BEST_SPEED, windowBits: 13 });
}

/** Pieces that are at hand are not read again. Throws any error for what `packed` did not write. */
export async function unpacked(bytes: Uint8Array, atHand: ReadonlyMap<string, Piece>): Promise<Outline> {
  const start = bytes.indexOf(NEWLINE) + 1;
  const { version, body, rest, lists }: Header = JSON.parse(Buffer.from(bytes.subarray(0, start)).toString());
  if (version !== 2 || nameOf(bytes.subarray(start)) !== body) throw new Error('the pieces are not what was written');
  let end = start;
  const pieceAt = ([name, lengthBytes]: Place): Piece => {
    const compressed = bytes.subarray(end, end + lengthBytes);
    end += lengthBytes;
    const known = atHand.get(name);
    if (known === undefined) return { name, value: valueIn(compressed, name), bytes: compressed };
    known.bytes ??= compressed;
    return known;
  };
  const first = pieceAt(rest);
  const others: [string, readonly Piece[]][] = [];
  for (const [name, places] of lists) others.push([name, await inTurns(places, pieceAt)]);
  if (end !== bytes.length) throw new Error('the pieces are not as long as is said');
  return outline(first, others);
}

const NEWLINE = 0x0a;

function valueIn(compressed: Uint8Array, name: string): unknown {
  const text = gunzipSync(compressed, { maxOutputLength: MOST_BYTES });
  if (nameOf(text) !== name) throw new Error(`the piece ${name} is not what was written`);
  return JSON.parse(text.toString());
}

/** A value of an earlier release: compressed whole, and named by that. */
export function unpackedWhole(bytes: Uint8Array, name: string): unknown {
  if (nameOf(bytes) !== name) throw new Error('it is not what was written');
  return JSON.parse(gunzipSync(bytes, { maxOutputLength: MOST_BYTES }).toString());
}

/** Room for a text, as fresh memory for each of hundreds would cost more than what is done with it. */
let room = Buffer.alloc(0);

/** In UTF-8; valid until the next call. */
function textOf(value: unknown): Uint8Array {
  const text = JSON.stringify(value);
  if (room.length < text.length * MOST_UTF8_BYTES) room = Buffer.allocUnsafeSlow(text.length * MOST_UTF8_BYTES);
  return room.subarray(0, room.write(text));
}

/** Of a character of a string. */
const MOST_UTF8_BYTES = 3;

function nameOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

async function inTurns<Item, Result>(items: readonly Item[], work: (item: Item) => Result): Promise<Result[]> {
  const turns = new Turns();
  const results: Result[] = [];
  for (const item of items) {
    if (results.length > 0 && turns.due()) await turns.give();
    results.push(work(item));
  }
  return results;
}
