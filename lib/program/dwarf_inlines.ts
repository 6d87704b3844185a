/**
 * Where the compiler put a function's body in place of a call, as DWARF debug information tells.
 *
 * A function that was inlined everywhere has no symbol and no site; only the `.debug_info` of a
 * program built with `-g` still knows it. Read here is just what that question needs, in versions 4
 * and 5 as gcc and clang write them; what cannot be read (compressed, split off, damaged) counts as
 * not there, so the answer is then that nobody can tell.
 *
 * Symbols are `symbols.ts`; who asks is `lib/ftrace/explain/why.ts`.
 *
 * @module
 */
import type { Elf } from "./elf.ts";

/** A place where a function's body stands inside another function. */
export interface InlinedPlace {
  /** Address of its first instruction, where the program was loaded. */
  readonly address: bigint;
  /** Source line of the call, 0 if that is not said. */
  readonly line: number;
}

/** What debug information says of functions: by name, also the mangled one, where each is inlined. */
export type Inlines = ReadonlyMap<string, readonly InlinedPlace[]>;

const TAG = { subprogram: 0x2e, inlined: 0x1d, compileUnit: 0x11, skeleton: 0x4a } as const;
const AT = {
  name: 0x03,
  lowPc: 0x11,
  abstractOrigin: 0x31,
  specification: 0x47,
  entryPc: 0x52,
  callLine: 0x59,
  linkageName: 0x6e,
  strOffsetsBase: 0x72,
  addrBase: 0x73,
} as const;

interface Abbreviation {
  readonly tag: number;
  readonly attributes: readonly (readonly [name: number, form: number, constant: number])[];
}

/** A debugging entry that names a function, or says whose it is. */
interface FunctionEntry {
  readonly names: readonly string[];
  readonly origin: number | undefined;
}

/** A value as its form has it: a number, an address, a text, or nothing that matters here. */
type Value = number | bigint | string | undefined;

/**
 * Reads where functions are inlined; undefined if there is no debug information that can be read.
 * A function that is never inlined is there with no places.
 */
export function readInlines(elf: Elf, bias = 0n): Inlines | undefined {
  const section = (name: string) => {
    const found = elf.sections.find((each) => each.name === name);
    return found && elf.bytes.subarray(found.offset, found.offset + found.size);
  };
  const info = section(".debug_info"), abbrev = section(".debug_abbrev");
  if (!info?.length || !abbrev) return undefined;
  const empty = new Uint8Array();
  const tables = {
    info,
    abbrev,
    str: section(".debug_str") ?? empty,
    lineStr: section(".debug_line_str") ?? empty,
    strOffsets: section(".debug_str_offsets") ?? empty,
    addresses: section(".debug_addr") ?? empty,
  };
  try {
    return collect(tables, bias);
  } catch (error) {
    // Reading past the end of a section: the information is damaged or in a form that is not known.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

interface Tables {
  readonly info: Uint8Array;
  readonly abbrev: Uint8Array;
  readonly str: Uint8Array;
  readonly lineStr: Uint8Array;
  readonly strOffsets: Uint8Array;
  readonly addresses: Uint8Array;
}

function collect(tables: Tables, bias: bigint): Inlines {
  const functions = new Map<number, FunctionEntry>();
  const inlined: { readonly origin: number; readonly place: InlinedPlace }[] = [];
  const cursor = createCursor(tables.info);
  while (cursor.at < tables.info.length) readUnit(cursor, tables, bias, functions, inlined);
  const namesOf = (offset: number, depth = 0): readonly string[] => {
    const entry = functions.get(offset);
    if (!entry || depth > 8) return [];
    return [
      ...entry.names,
      ...entry.origin === undefined ? [] : namesOf(entry.origin, depth + 1),
    ];
  };
  const places = new Map<string, InlinedPlace[]>();
  for (const { names } of functions.values()) for (const name of names) places.set(name, []);
  const seen = new Set<string>();
  for (const { origin, place } of inlined) {
    for (const name of new Set(namesOf(origin))) {
      // Two calls in one line may begin at the same instruction.
      const key = `${place.address} ${place.line} ${name}`;
      if (!seen.has(key)) places.get(name)!.push(place);
      seen.add(key);
    }
  }
  for (const each of places.values()) each.sort((a, b) => a.address < b.address ? -1 : 1);
  return places;
}

function readUnit(
  cursor: Cursor,
  tables: Tables,
  bias: bigint,
  functions: Map<number, FunctionEntry>,
  inlined: { readonly origin: number; readonly place: InlinedPlace }[],
): void {
  const start = cursor.at;
  const length = cursor.u32();
  const end = cursor.at + length;
  if (length >= 0xfffffff0 || end > tables.info.length) throw new RangeError("unit too long");
  const version = cursor.u16();
  if (version !== 4 && version !== 5) throw new RangeError(`version ${version}`);
  if (version === 5) {
    const kind = cursor.u8();
    cursor.u8();
    const abbreviations = cursor.u32();
    // Skeletons and split units carry an identifier, type units a signature and an offset.
    if (kind === 4 || kind === 5) cursor.skip(8);
    else if (kind === 2 || kind === 6) cursor.skip(12);
    return readEntries(abbreviations);
  }
  const abbreviations = cursor.u32();
  cursor.u8();
  return readEntries(abbreviations);

  function readEntries(abbreviations: number): void {
    const byCode = readAbbreviations(tables.abbrev, abbreviations);
    const bases = { strings: 8, addresses: 8 };
    while (cursor.at < end) {
      const offset = cursor.at;
      const code = cursor.uleb();
      if (code === 0) continue;
      const abbreviation = byCode.get(code);
      if (!abbreviation) throw new RangeError(`abbreviation ${code}`);
      const values = new Map<number, Value>();
      for (const [name, form, constant] of abbreviation.attributes) {
        values.set(name, readForm(cursor, form, constant, start, tables, bases));
      }
      const number = (name: number) => {
        const value = values.get(name);
        return typeof value === "number" ? value : undefined;
      };
      if (abbreviation.tag === TAG.compileUnit || abbreviation.tag === TAG.skeleton) {
        bases.strings = number(AT.strOffsetsBase) ?? bases.strings;
        bases.addresses = number(AT.addrBase) ?? bases.addresses;
      } else if (abbreviation.tag === TAG.subprogram) {
        functions.set(offset, {
          names: [values.get(AT.name), values.get(AT.linkageName)].filter((name) =>
            typeof name === "string"
          ),
          origin: number(AT.abstractOrigin) ?? number(AT.specification),
        });
      } else if (abbreviation.tag === TAG.inlined) {
        const address = values.get(AT.entryPc) ?? values.get(AT.lowPc);
        const origin = number(AT.abstractOrigin);
        if (typeof address !== "bigint" || origin === undefined) continue;
        const line = number(AT.callLine) ?? 0;
        inlined.push({ origin, place: { address: address + bias, line } });
      }
    }
    cursor.at = end;
  }
}

function readAbbreviations(section: Uint8Array, offset: number): Map<number, Abbreviation> {
  const cursor = createCursor(section);
  cursor.at = offset;
  const byCode = new Map<number, Abbreviation>();
  for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
    const tag = cursor.uleb();
    cursor.u8();
    const attributes: [number, number, number][] = [];
    for (;;) {
      const name = cursor.uleb(), form = cursor.uleb();
      const constant = form === 0x21 ? cursor.uleb() : 0;
      if (name === 0 && form === 0) break;
      attributes.push([name, form, constant]);
    }
    byCode.set(code, { tag, attributes });
  }
  return byCode;
}

/** Where a unit's parts of the tables of texts and addresses begin. */
interface Bases {
  readonly strings: number;
  readonly addresses: number;
}

/** Reads one value; references come out as offsets in `.debug_info`. DWARF 5, section 7.5.6. */
function readForm(
  cursor: Cursor,
  form: number,
  constant: number,
  unit: number,
  tables: Tables,
  bases: Bases,
): Value {
  switch (form) {
    case 0x01: // addr
      return cursor.u64();
    case 0x03: // block2
      return cursor.skip(cursor.u16());
    case 0x04: // block4
      return cursor.skip(cursor.u32());
    case 0x05: // data2
      return cursor.u16();
    case 0x06: // data4
    case 0x17: // sec_offset
      return cursor.u32();
    case 0x07: // data8
    case 0x20: // ref_sig8
      return cursor.skip(8);
    case 0x08: // string
      return cursor.text();
    case 0x09: // block
    case 0x18: // exprloc
      return cursor.skip(cursor.uleb());
    case 0x0a: // block1
      return cursor.skip(cursor.u8());
    case 0x0b: // data1
    case 0x0c: // flag
      return cursor.u8();
    case 0x0d: // sdata: none that is asked for here
      return void cursor.uleb();
    case 0x0e: // strp
      return textAt(tables.str, cursor.u32());
    case 0x0f: // udata
      return cursor.uleb();
    case 0x10: // ref_addr
      return cursor.u32();
    case 0x11: // ref1
      return unit + cursor.u8();
    case 0x12: // ref2
      return unit + cursor.u16();
    case 0x13: // ref4
      return unit + cursor.u32();
    case 0x14: // ref8
      return unit + Number(cursor.u64());
    case 0x15: // ref_udata
      return unit + cursor.uleb();
    case 0x16: // indirect
      return readForm(cursor, cursor.uleb(), 0, unit, tables, bases);
    case 0x19: // flag_present
      return undefined;
    case 0x1c: // ref_sup4
      return cursor.skip(4);
    case 0x1e: // data16
      return cursor.skip(16);
    case 0x1f: // line_strp
      return textAt(tables.lineStr, cursor.u32());
    case 0x21: // implicit_const
      return constant;
    case 0x22: // loclistx
    case 0x23: // rnglistx
      return void cursor.uleb();
    default:
      return readIndexed(cursor, form, tables, bases);
  }
}

/** Reads a text or an address by its index in a table. */
function readIndexed(cursor: Cursor, form: number, tables: Tables, bases: Bases): Value {
  const stringAt = (index: number) =>
    textAt(tables.str, createCursor(tables.strOffsets, bases.strings + 4 * index).u32());
  const addressAt = (index: number) =>
    createCursor(tables.addresses, bases.addresses + 8 * index).u64();
  switch (form) {
    case 0x1a: // strx
      return stringAt(cursor.uleb());
    case 0x1b: // addrx
      return addressAt(cursor.uleb());
    case 0x25: // strx1
      return stringAt(cursor.u8());
    case 0x26: // strx2
      return stringAt(cursor.u16());
    case 0x27: // strx3
      return stringAt(cursor.u16() | (cursor.u8() << 16));
    case 0x28: // strx4
      return stringAt(cursor.u32());
    case 0x29: // addrx1
      return addressAt(cursor.u8());
    case 0x2a: // addrx2
      return addressAt(cursor.u16());
    case 0x2b: // addrx3
      return addressAt(cursor.u16() | (cursor.u8() << 16));
    case 0x2c: // addrx4
      return addressAt(cursor.u32());
    default:
      throw new RangeError(`form ${form}`);
  }
}

interface Cursor {
  at: number;
  u8(): number;
  u16(): number;
  u32(): number;
  u64(): bigint;
  /** Reads an unsigned LEB128, as far as a number is exact. */
  uleb(): number;
  /** Reads a text up to its NUL. */
  text(): string;
  /** Goes on by so many bytes. @throws {RangeError} Past the end. */
  skip(bytes: number): undefined;
}

function createCursor(bytes: Uint8Array, start = 0): Cursor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    at: start,
    u8() {
      return view.getUint8(this.at++);
    },
    u16() {
      return view.getUint16((this.at += 2) - 2, true);
    },
    u32() {
      return view.getUint32((this.at += 4) - 4, true);
    },
    u64() {
      return view.getBigUint64((this.at += 8) - 8, true);
    },
    uleb() {
      let value = 0, scale = 1;
      for (;;) {
        const byte = this.u8();
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
        scale *= 128;
      }
    },
    text() {
      const text = textAt(bytes, this.at);
      this.at = bytes.indexOf(0, this.at) + 1;
      return text;
    },
    skip(count) {
      this.at += count;
      if (this.at > bytes.length) throw new RangeError("past the end");
    },
  };
}

function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  if (end < 0) throw new RangeError("a text without an end");
  return new TextDecoder().decode(bytes.subarray(at, end));
}
