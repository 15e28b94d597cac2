/**
 * Declarative field tables: one per nested attribute set of a protocol. A table says for every field
 * its number, its type and since which kernel it exists; encoding and decoding follow from it.
 */
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export interface FieldType<T> {
  write(writer: Writer, number: number, value: T): void;
  read(reader: Reader): T;
}

export interface Field<T> {
  /** The attribute's number. */
  readonly number: number;
  readonly type: FieldType<T>;
  /** First kernel that knows it, where that is not every kernel we support. */
  readonly since?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds fields of many types.
export type FieldTable = Readonly<Record<string, Field<any>>>;

/** The values that a table describes. Any may be absent on the wire. */
export type Values<Table extends FieldTable> = {
  [Name in keyof Table]?: (Table[Name] extends Field<infer T> ? T : never) | undefined;
};

/** An attribute that the table does not know: kept, not lost. */
export interface UnknownAttribute {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export const u8: FieldType<number> = { write: (w, n, v) => w.u8(n, v), read: (r) => r.u8() };
export const u16: FieldType<number> = { write: (w, n, v) => w.u16(n, v), read: (r) => r.u16() };
export const u32: FieldType<number> = { write: (w, n, v) => w.u32(n, v), read: (r) => r.u32() };
export const u64: FieldType<bigint> = { write: (w, n, v) => w.u64(n, v), read: (r) => r.u64() };
/** Network byte order. */
export const u16be: FieldType<number> = { write: (w, n, v) => w.u16be(n, v), read: (r) => r.u16be() };
export const u32be: FieldType<number> = { write: (w, n, v) => w.u32be(n, v), read: (r) => r.u32be() };
export const string: FieldType<string> = { write: (w, n, v) => w.string(n, v), read: (r) => r.string() };

/** Exactly `length` bytes. */
export function bytes(length: number): FieldType<Uint8Array> {
  return {
    write(writer, number, value) {
      if (value.length !== length) throw new RangeError(`${value.length} bytes instead of ${length}`);
      writer.binary(number, value);
    },
    read: (reader) => reader.binary(length),
  };
}

/** A table inside a table. */
export function nested<Table extends FieldTable>(table: Table): FieldType<Values<Table>> {
  return {
    write: (w, n, v) => w.nested(n, () => encodeFields(w, table, v)),
    read: (r) => decodeFields(r.nested(), table),
  };
}

/** Writes the fields that have a value, in the table's order. */
export function encodeFields<Table extends FieldTable>(writer: Writer, table: Table, values: Values<Table>): void {
  for (const name in table) {
    const value = values[name];
    const field = table[name];
    if (value !== undefined && field !== undefined) field.type.write(writer, field.number, value);
  }
}

/**
 * Reads every attribute. What the table does not know goes to `unknown` if the caller gives a list.
 * Numbers in `skip` are passed over unread: statistics are half of a dump, and often not wanted.
 */
export function decodeFields<Table extends FieldTable>(
  reader: Reader,
  table: Table,
  { unknown, skip }: { unknown?: UnknownAttribute[]; skip?: ReadonlySet<number> } = {},
): Values<Table> {
  const names = namesByNumber(table);
  const values: Record<string, unknown> = {};
  while (reader.next()) {
    if (skip?.has(reader.type)) continue;
    const name = names[reader.type];
    if (name !== undefined) values[name] = table[name]?.type.read(reader);
    else unknown?.push({ number: reader.type, bytes: reader.binary() });
  }
  return values as Values<Table>;
}

const namesOfTables = new WeakMap<FieldTable, (string | undefined)[]>();

function namesByNumber(table: FieldTable): readonly (string | undefined)[] {
  let names = namesOfTables.get(table);
  if (names === undefined) {
    names = [];
    for (const [name, { number }] of Object.entries(table)) names[number] = name;
    namesOfTables.set(table, names);
  }
  return names;
}
