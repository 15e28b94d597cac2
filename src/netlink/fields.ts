/**
 * Declarative field tables: one per nested attribute set of a protocol. A table says for every field
 * its number and its type; encoding and decoding follow from it.
 */
import { malformed, type Reader } from './reader.ts';
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
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds fields of many types.
export type FieldTable = Readonly<Record<string, Field<any, any>>>;

/** The values that a table describes. Any may be absent on the wire. */
export type Values<Table extends FieldTable> = { [Name in keyof Table]?: Value<Table[Name]> | undefined };

// biome-ignore lint/suspicious/noExplicitAny: what is given does not matter here.
type Value<F> = F extends Field<infer T, any> ? T : never;

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
  for (const { name, field } of fieldsOf(table)) writeField(writer, field, values[name]);
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
  { unknown, skip }: { unknown?: UnknownAttribute[]; skip?: readonly number[] } = {},
): Values<Table> {
  const decoder = skip === undefined ? decoderOf(table) : new Decoder(table, skip);
  const others = decoder.read(reader, unknown !== undefined);
  unknown?.push(...others);
  const values: Record<string, unknown> = {};
  for (const { name, field } of fieldsOf(table)) {
    const value: unknown = decoder.get(field as Table[keyof Table]);
    if (value !== undefined) values[name] = value;
  }
  return values as Values<Table>;
}

const NOTHING: readonly UnknownAttribute[] = [];

const decoders = new WeakMap<FieldTable, Decoder<FieldTable>>();

/** One for all that is read by a table: none contains itself, so none is begun again before its values are taken. */
function decoderOf<Table extends FieldTable>(table: Table): Decoder<Table> {
  let decoder = decoders.get(table);
  if (decoder === undefined) {
    decoder = new Decoder<FieldTable>(table);
    decoders.set(table, decoder);
  }
  return decoder as Decoder<Table>;
}

/**
 * The same for the thousands of messages of a dump: it holds the values of the message read last, which saves each of
 * them an object of its own.
 */
export class Decoder<Table extends FieldTable> {
  readonly #fields: readonly (Field<unknown> | 'skipped' | undefined)[];
  /** By the numbers of the attributes. */
  readonly #values: unknown[];

  constructor(table: Table, skip: readonly number[] = []) {
    const fields: (Field<unknown> | 'skipped' | undefined)[] = [];
    for (const { field } of fieldsOf(table)) fields[field.number] = field;
    for (const number of skip) fields[number] = 'skipped';
    this.#fields = Array.from(fields);
    this.#values = this.#fields.map(() => undefined);
  }

  /** Returns what the table does not know, if that is wanted. */
  read(reader: Reader, keepsUnknown = true): readonly UnknownAttribute[] {
    const values = this.#values;
    for (let number = 0; number < values.length; number++) values[number] = undefined;
    let unknown: UnknownAttribute[] | undefined;
    while (reader.next()) {
      const field = this.#fields[reader.type];
      if (field === 'skipped') continue;
      if (field === undefined) {
        if (!keepsUnknown) continue;
        unknown ??= [];
        unknown.push({ number: reader.type, bytes: reader.binary() });
      } else {
        const { integer } = field.type;
        values[field.number] =
          integer === undefined ? field.type.read(reader) : reader.integer(integer.bytes, integer.network);
      }
    }
    return unknown ?? NOTHING;
  }

  get<F extends Table[keyof Table]>(field: F): Value<F> | undefined {
    return this.#values[field.number] as Value<F> | undefined;
  }

  /** Refuses a message that lacks what every kernel sends. */
  need<F extends Table[keyof Table]>(field: F): Value<F> {
    const value = this.get(field);
    if (value === undefined) throw malformed(0, `attribute ${field.number} is missing`);
    return value;
  }
}

interface NamedField {
  readonly name: string;
  readonly field: Field<unknown>;
}

const lists = new WeakMap<FieldTable, readonly NamedField[]>();

function fieldsOf(table: FieldTable): readonly NamedField[] {
  let list = lists.get(table);
  if (list === undefined) {
    list = Object.entries(table).map(([name, field]) => ({ name, field }));
    lists.set(table, list);
  }
  return list;
}
