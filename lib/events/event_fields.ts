/**
 * What an event's fields are: kernel types, where each lies in the record, and its bytes.
 *
 * A record is the C struct that `TRACE_EVENT()` makes: eight bytes common to all events, then the
 * fields at their natural alignment, then the contents of dynamic ones, to which a field of four
 * bytes points: length << 16 | offset. Events of probes are packed instead
 * (`kernel/trace/trace_probe.c`). `char` is unsigned on RISC-V.
 *
 * The text that describes a record is `event_format.ts`.
 *
 * @module
 */

/** A value of a field: integers are numbers up to 32 bits and bigints above when they are read. */
export type EventValue =
  | number
  | bigint
  | boolean
  | string
  | readonly (number | bigint)[]
  | readonly string[]
  | Uint8Array;

/** The values of an event, by field. */
export type EventValues = Readonly<Record<string, EventValue>>;

/** How a field's value is encoded in a record. */
export type FieldKind =
  | "integer"
  | "pointer"
  | "string"
  | "strings"
  | "array"
  | "cpumask"
  | "bitmask";

/** One field of an event's record. */
export interface EventField {
  /** Name of the field, by which filters and triggers refer to it. */
  readonly name: string;
  /**
   * The field's C type as a format file spells it, without an array's length: `char`, `__data_loc
   * char[]`.
   */
  readonly type: string;
  /** How the field's value is encoded in the record. */
  readonly kind: FieldKind;
  /** Offset of the field from the start of the record, in bytes. */
  readonly offset: number;
  /** Bytes it takes there; 0 for an array of open length at the end (`char buf[]`). */
  readonly size: number;
  /** Whether its integers are signed. */
  readonly signed: boolean;
  /** Bytes of one element: of the integer itself if it is no array. */
  readonly elementSize: number;
  /** Elements of an array in place; 0 if the length is open, undefined if it is no such array. */
  readonly length: number | undefined;
  /** Whether the contents lie behind the struct (`__data_loc`). */
  readonly dynamic: boolean;
}

/** A field before it has its place: its name and its C type. */
export type FieldDeclarations = Readonly<Record<string, string>>;

const INTEGERS: Readonly<Record<string, readonly [size: number, signed: boolean]>> = {
  "u8": [1, false],
  "u16": [2, false],
  "u32": [4, false],
  "u64": [8, false],
  "s8": [1, true],
  "s16": [2, true],
  "s32": [4, true],
  "s64": [8, true],
  "bool": [1, false],
  "char": [1, false],
  "signed char": [1, true],
  "unsigned char": [1, false],
  "short": [2, true],
  "unsigned short": [2, false],
  "int": [4, true],
  "unsigned int": [4, false],
  "long": [8, true],
  "unsigned long": [8, false],
  "long long": [8, true],
  "unsigned long long": [8, false],
  "pid_t": [4, true],
  "uid_t": [4, false],
  "gid_t": [4, false],
  "dev_t": [4, false],
  "gfp_t": [4, false],
  "umode_t": [2, false],
  "size_t": [8, false],
  "ssize_t": [8, true],
  "loff_t": [8, true],
  "resource_size_t": [8, false],
};

/** Short ways of writing the types whose contents lie behind the struct. */
const DYNAMIC: Readonly<Record<string, string>> = {
  "string": "__data_loc char[]",
  "cpumask": "__data_loc cpumask_t",
  "bitmask": "__data_loc unsigned long[]",
};

/** The fields that every record begins with; those of an event follow at offset 8. */
export const COMMON_FIELDS: readonly EventField[] = layoutFields({
  common_type: "unsigned short",
  common_flags: "unsigned char",
  common_preempt_count: "unsigned char",
  common_pid: "int",
}, { start: 0 });

/**
 * Gives each field its place.
 *
 * Types are the kernel's integer types, a pointer (`void *`), an array (`u32[4]`, `char[16]`, the last field
 * also `char[]`), and the dynamic ones `string`, `string[4]`, `cpumask`, `bitmask` or `__data_loc
 * TYPE[]`.
 *
 * @param options `packed` leaves no gaps, as in events of probes; `start` is the first offset (8).
 * @throws {SyntaxError} If a name is no C identifier or a type is none of these.
 */
export function layoutFields(
  declarations: FieldDeclarations,
  options: { readonly packed?: boolean; readonly start?: number } = {},
): readonly EventField[] {
  let at = options.start ?? 8;
  return Object.entries(declarations).map(([name, text]) => {
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      throw new SyntaxError(`Cannot define the field "${name}": it is no C identifier`);
    }
    const shape = parseType(name, text);
    const alignment = options.packed ? 1 : shape.dynamic ? 4 : shape.elementSize;
    const offset = Math.ceil(at / alignment) * alignment;
    at = offset + shape.size;
    // A probe's string counts as signed, which only its format file shows.
    const isText = /^string(\[|$)/.test(text);
    const signed = shape.signed || (options.packed === true && isText);
    return { name, offset, ...shape, signed };
  });
}

function parseType(name: string, text: string): Omit<EventField, "name" | "offset"> {
  const spelled = text.trim().replace(/\s+/g, " ");
  const long = DYNAMIC[spelled] ?? spelled;
  const refuse = () =>
    new SyntaxError(`Cannot define the field ${name}: no type "${text}" is known`);
  const [, count] = /^string\[(\d+)\]$/.exec(spelled) ?? [];
  if (count !== undefined) {
    const type = `__data_loc char[][${count}]`;
    const size = 4 * Number(count);
    return {
      ...{ type, kind: "strings", size, signed: false, elementSize: 1 },
      ...{ length: undefined, dynamic: true },
    };
  }
  const dynamic = /^__data_loc (.+?)(\[\])?$/.exec(long);
  if (dynamic) {
    const base = dynamic[1]!;
    const kind = base === "cpumask_t"
      ? "cpumask"
      : base === "char"
      ? "string"
      : spelled === "bitmask"
      ? "bitmask"
      : "array";
    const [elementSize, signed] = base === "cpumask_t" ? [8, false] as const : INTEGERS[base] ?? [];
    if (elementSize === undefined) throw refuse();
    return {
      type: long,
      kind,
      size: 4,
      signed: signed!,
      elementSize,
      length: undefined,
      dynamic: true,
    };
  }
  const [, base, brackets] = /^(.+?) ?(\[\d*\])?$/.exec(long) ?? [];
  const pointer = base?.endsWith("*") ?? false;
  const integer = pointer ? [8, false] as const : INTEGERS[base ?? ""];
  if (!base || !integer) throw refuse();
  const [elementSize, signed] = integer;
  const shape = { type: base, signed, elementSize, dynamic: false };
  if (brackets === undefined) {
    return {
      ...shape,
      kind: pointer ? "pointer" : "integer",
      size: elementSize,
      length: undefined,
    };
  }
  const length = Number(brackets.slice(1, -1));
  return {
    ...shape,
    kind: base === "char" ? "string" : "array",
    size: elementSize * length,
    length,
  };
}

/** What a record says of itself besides its own fields. */
export interface RecordHead {
  /** `common_type`: the number of the event. */
  readonly type: number;
  /** `common_flags`. */
  readonly flags: number;
  /** `common_preempt_count`. */
  readonly preemptCount: number;
  /** `common_pid`: the task that the event occurred in. */
  readonly pid: number;
}

/**
 * A value in the one form that everything reads: integers up to 32 bits as numbers, wider ones as
 * bigints, cut to the field's size as a C assignment cuts them; text, lists, and masks as lists.
 *
 * @throws {TypeError} If the value is of another kind than the field.
 */
export function normalizeValue(field: EventField, value: EventValue | undefined): EventValue {
  const refuse = (wanted: string) =>
    new TypeError(`Cannot emit ${field.name}: it is ${field.type} and takes ${wanted}`);
  switch (field.kind) {
    case "integer":
    case "pointer":
      if (typeof value === "boolean") return cut(value ? 1 : 0, field);
      if (typeof value !== "number" && typeof value !== "bigint") {
        throw refuse("a number or bigint");
      }
      if (typeof value === "number" && !Number.isInteger(value)) throw refuse("whole numbers");
      return cut(value, field);
    case "strings":
      if (!Array.isArray(value) || value.some((each) => typeof each !== "string")) {
        throw refuse("a list of strings");
      }
      return Array.from({ length: field.size / 4 }, (_, k) => String(value[k] ?? ""));
    case "string": {
      if (typeof value !== "string" && !(value instanceof Uint8Array)) throw refuse("a string");
      const text = typeof value === "string" ? value : new TextDecoder().decode(value);
      const end = text.indexOf("\0");
      return field.length ? cutText(text, field.length - 1) : end < 0 ? text : text.slice(0, end);
    }
    default: {
      if (!Array.isArray(value) && !(value instanceof Uint8Array)) {
        throw refuse("a list of numbers");
      }
      const list = [...value] as (number | bigint)[];
      if (field.kind !== "array") return list.map(Number);
      if (field.length && list.length > field.length) throw refuse(`${field.length} numbers`);
      while (list.length < (field.length ?? 0)) list.push(0);
      return list.map((each) => cut(each, field));
    }
  }
}

/** As `strscpy()` into a field of that size does: whole characters of UTF-8, and the NUL fits. */
function cutText(text: string, bytes: number): string {
  const end = text.indexOf("\0");
  const whole = end < 0 ? text : text.slice(0, end);
  const { read } = new TextEncoder().encodeInto(whole, new Uint8Array(bytes));
  return whole.slice(0, read);
}

function cut(value: number | bigint, { elementSize, signed }: EventField): number | bigint {
  const wide = BigInt(value);
  const bits = elementSize * 8;
  const exact = signed ? BigInt.asIntN(bits, wide) : BigInt.asUintN(bits, wide);
  return elementSize === 8 ? exact : Number(exact);
}

/** All values in that form, in the order of the fields. @throws {TypeError} If one is wrong or missing. */
export function normalizeValues(fields: readonly EventField[], values: EventValues): EventValues {
  const normal: Record<string, EventValue> = {};
  for (const field of fields) normal[field.name] = normalizeValue(field, values[field.name]);
  return normal;
}

/**
 * The bytes of a record (`trace_event_raw_event_NAME`), common fields included.
 *
 * @throws {TypeError} If a value is missing or of another kind than its field.
 * @throws {RangeError} If the record is larger than a dynamic field can point (64 KiB).
 */
export function encodeRecord(
  fields: readonly EventField[],
  head: RecordHead,
  values: EventValues,
): Uint8Array {
  const normal = normalizeValues(fields, values);
  const contents = fields.map((field) => contentsOf(field, normal[field.name]!));
  let end = fields.reduce((most, { offset, size }) => Math.max(most, offset + size), 8);
  const places = fields.map((field, k) => {
    if (!field.dynamic && field.size > 0) return field.offset;
    const at = field.dynamic ? end : field.offset;
    end = at + contents[k]!.length;
    return at;
  });
  if (end > 0xffff) {
    throw new RangeError(`Cannot encode a record of ${end} bytes: 65535 are the most`);
  }
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, head.type, true);
  view.setUint8(2, head.flags);
  view.setUint8(3, head.preemptCount);
  view.setInt32(4, head.pid, true);
  fields.forEach((field, k) => {
    bytes.set(contents[k]!, places[k]!);
    if (!field.dynamic) return;
    let from = places[k]!;
    lengthsOf(field, normal[field.name]!, contents[k]!).forEach((length, n) => {
      view.setUint32(field.offset + 4 * n, length << 16 | from, true);
      from += length;
    });
  });
  return bytes;
}

/** Bytes of each part of a dynamic field's contents: of each string, or of all. */
function lengthsOf({ kind }: EventField, value: EventValue, contents: Uint8Array): number[] {
  if (kind !== "strings") return [contents.length];
  return (value as readonly string[]).map((each) => new TextEncoder().encode(each).length + 1);
}

/** The bytes of one field's contents, wherever they lie. */
function contentsOf(field: EventField, value: EventValue): Uint8Array {
  if (field.kind === "strings") {
    return new TextEncoder().encode(
      (value as readonly string[]).map((each) => `${each}\0`).join(""),
    );
  }
  if (field.kind === "string") {
    const text = new TextEncoder().encode(`${value as string}\0`);
    if (!field.length) return text;
    const fixed = new Uint8Array(field.length);
    fixed.set(text.subarray(0, field.length));
    return fixed;
  }
  const list = field.kind === "cpumask" || field.kind === "bitmask"
    ? maskWords(value as readonly number[])
    : Array.isArray(value)
    ? value as readonly (number | bigint)[]
    : [value as number | bigint];
  const bytes = new Uint8Array(list.length * field.elementSize);
  list.forEach((each, k) => {
    let rest = BigInt.asUintN(64, BigInt(each));
    for (let n = 0; n < field.elementSize; n++, rest >>= 8n) {
      bytes[k * field.elementSize + n] = Number(rest & 0xffn);
    }
  });
  return bytes;
}

/** A mask's words of 64 bits, at least one, from the numbers of the bits that are set. */
export function maskWords(bits: readonly number[]): readonly bigint[] {
  const words = Array.from({ length: Math.floor(Math.max(0, ...bits) / 64) + 1 }, () => 0n);
  for (const bit of bits) words[bit >> 6]! |= 1n << BigInt(bit & 63);
  return words;
}

/** Reads a record back. @throws {RangeError} If a dynamic field points behind the record's end. */
export function decodeRecord(
  fields: readonly EventField[],
  bytes: Uint8Array,
): { readonly head: RecordHead; readonly values: EventValues } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: Record<string, EventValue> = {};
  for (const field of fields) {
    const parts = Array.from({ length: field.kind === "strings" ? field.size / 4 : 1 }, (_, n) => {
      const [at, length] = placeOf(field, view, n);
      if (at + length > bytes.length) {
        throw new RangeError(`Cannot read ${field.name}: it lies behind the record's end`);
      }
      return valueOf(field, view, at, length);
    });
    values[field.name] = field.kind === "strings" ? parts as readonly string[] : parts[0]!;
  }
  const head = {
    type: view.getUint16(0, true),
    flags: view.getUint8(2),
    preemptCount: view.getUint8(3),
    pid: view.getInt32(4, true),
  };
  return { head, values };
}

/** Where the contents of a field lie, or the nth string of a list of them, and how many bytes. */
function placeOf({ dynamic, offset, size }: EventField, view: DataView, n: number) {
  if (!dynamic) return [offset, size || view.byteLength - offset] as const;
  const place = view.getUint32(offset + 4 * n, true);
  return [place & 0xffff, place >>> 16] as const;
}

function valueOf(field: EventField, view: DataView, at: number, length: number): EventValue {
  if (field.kind === "string" || field.kind === "strings") {
    const text = new TextDecoder().decode(
      new Uint8Array(view.buffer, view.byteOffset + at, length),
    );
    const end = text.indexOf("\0");
    return end < 0 ? text : text.slice(0, end);
  }
  const list: (number | bigint)[] = [];
  for (let from = at; from + field.elementSize <= at + length; from += field.elementSize) {
    let value = 0n;
    for (let n = field.elementSize - 1; n >= 0; n--) {
      value = value << 8n | BigInt(view.getUint8(from + n));
    }
    list.push(cut(value, field));
  }
  if (field.kind === "array") return list;
  if (field.kind === "integer" || field.kind === "pointer") return list[0]!;
  return list.flatMap((word, k) =>
    Array.from({ length: 64 }, (_, bit) => k * 64 + bit).filter((bit) =>
      BigInt(word) >> BigInt(bit & 63) & 1n
    )
  );
}
