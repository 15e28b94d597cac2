/**
 * Declarative field tables: one per nested attribute set of a protocol. A table says for every field
 * its number, its type and since which kernel it exists; encoding and decoding follow from it.
 */
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** What is read may be less than what is given: some payloads mean something only together with other fields. */
export interface FieldType<T, Given = T> {
  write(writer: Writer, number: number, value: Given): void;
  read(reader: Reader): T;
  /** What most fields are. They are written and read without a call of the two above. */
  readonly integer?: IntegerLayout;
}

interface IntegerLayout {
  readonly bytes: 1 | 2 | 4;
  /** In network byte order. */
  readonly network: boolean;
}

export interface Field<T, Given = T> {
  /** The attribute's number. */
  readonly number: number;
  readonly type: FieldType<T, Given>;
  /** First kernel that knows it, where that is not every kernel we support. */
  readonly since?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds fields of many types.
export type FieldTable = Readonly<Record<string, Field<any, any>>>;

/** The values that a table describes. Any may be absent on the wire. */
export type Values<Table extends FieldTable> = {
  // biome-ignore lint/suspicious/noExplicitAny: what is given does not matter here.
  [Name in keyof Table]?: (Table[Name] extends Field<infer T, any> ? T : never) | undefined;
};

/** The values that a table writes. */
export type GivenValues<Table extends FieldTable> = {
  // biome-ignore lint/suspicious/noExplicitAny: what is read does not matter here.
  [Name in keyof Table]?: (Table[Name] extends Field<any, infer T> ? T : never) | undefined;
};

/** An attribute that the table does not know: kept, not lost. */
export interface UnknownAttribute {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export const u8: FieldType<number> = integer({ bytes: 1, network: false });
export const u16: FieldType<number> = integer({ bytes: 2, network: false });
export const u32: FieldType<number> = integer({ bytes: 4, network: false });
/** Network byte order. */
export const u16be: FieldType<number> = integer({ bytes: 2, network: true });
export const u32be: FieldType<number> = integer({ bytes: 4, network: true });
export const u64: FieldType<bigint> = { write: (w, n, v) => w.u64(n, v), read: (r) => r.u64() };
export const string: FieldType<string> = { write: (w, n, v) => w.string(n, v), read: (r) => r.string() };

function integer(layout: IntegerLayout): FieldType<number> {
  const { bytes, network } = layout;
  return {
    integer: layout,
    write: (w, n, v) => w.integer(n, bytes, network, v),
    read: (r) => r.integer(bytes, network),
  };
}

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
export function nested<Table extends FieldTable>(table: Table): FieldType<Values<Table>, GivenValues<Table>> {
  const content = (writer: Writer, values: GivenValues<Table>) => encodeFields(writer, table, values);
  return {
    write: (w, n, v) => w.nested(n, content, v),
    read: (r) => decodeFields(r.nested(), table),
  };
}

/** Writes the fields that have a value, in the table's order. */
export function encodeFields<Table extends FieldTable>(writer: Writer, table: Table, values: GivenValues<Table>): void {
  for (const { name, field } of layoutOf(table).fields) writeField(writer, field, values[name]);
}

/** Writes one field, if it has a value. Field by field is the faster way where thousands of objects are written. */
export function writeField<Given>(writer: Writer, field: Field<unknown, Given>, value: Given | undefined): void {
  if (value === undefined) return;
  const { number, type } = field;
  const { integer } = type;
  if (integer === undefined) type.write(writer, number, value);
  else writer.integer(number, integer.bytes, integer.network, value as number);
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
  const { byNumber } = layoutOf(table);
  const values: Record<string, unknown> = {};
  while (reader.next()) {
    if (skip?.has(reader.type)) continue;
    const named = byNumber[reader.type];
    if (named !== undefined) {
      const { name, field } = named;
      const { type } = field;
      const { integer } = type;
      values[name] = integer === undefined ? type.read(reader) : reader.integer(integer.bytes, integer.network);
    } else unknown?.push({ number: reader.type, bytes: reader.binary() });
  }
  return values as Values<Table>;
}

/** A table made ready for the loops that encode and decode. */
interface Layout {
  readonly fields: readonly NamedField[];
  readonly byNumber: readonly (NamedField | undefined)[];
}

interface NamedField {
  readonly name: string;
  readonly field: Field<unknown>;
}

const layouts = new WeakMap<FieldTable, Layout>();

function layoutOf(table: FieldTable): Layout {
  let layout = layouts.get(table);
  if (layout === undefined) {
    const fields = Object.entries(table).map(([name, field]) => ({ name, field }));
    const byNumber: NamedField[] = [];
    for (const named of fields) byNumber[named.field.number] = named;
    layout = { fields, byNumber };
    layouts.set(table, layout);
  }
  return layout;
}
