/**
 * Values as text, in the form of their C type: `"text"`, `{x=1, y=2}`, `READ|WRITE`.
 *
 * Where values are is `call_values.ts`.
 *
 * @module
 */
import type { GuestView } from "../guest_view.ts";
import { binary128Text, halfNumber } from "./float_text.ts";
import { type CMember, type CType, sizeOf } from "./ctype.ts";

/** What pointers lead to. */
export interface ValueContext {
  /** The guest that strings are read from. */
  readonly guest: Pick<GuestView, "readString">;
  /** Name of the function at an address. */
  readonly symbol: (address: bigint) => string | undefined;
}

/** The longest string that is shown in full, in characters. */
const MOST_TEXT = 48;
/** Elements of an array that are shown. */
const MOST_ELEMENTS = 16;
/** Scalars of one value that are shown, however its structures nest. */
const MOST_SCALARS = 100;

/** Formats a register's value as the C type has it; a register has 64 bits, boxed floats too. */
export function valueText(type: CType, value: bigint, context: ValueContext): string {
  if (type.kind === "struct" || type.kind === "union") return hexOf(value);
  const data = new DataView(new ArrayBuffer(Math.max(8, sizeOf(type) ?? 8)));
  data.setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytesText(type, data, context);
}

/** Formats the bytes of a value of a type. */
export function bytesText(type: CType, bytes: DataView, context: ValueContext): string {
  return new Formatter(bytes, context).text(type, 0);
}

function hexOf(value: bigint): string {
  return value === 0n ? "NULL" : `0x${value.toString(16)}`;
}

class Formatter {
  readonly #bytes: DataView;
  readonly #context: ValueContext;
  #left = MOST_SCALARS;

  constructor(bytes: DataView, context: ValueContext) {
    this.#bytes = bytes;
    this.#context = context;
  }

  text(type: CType, at: number): string {
    if (this.#left-- <= 0) return "...";
    switch (type.kind) {
      case "void":
      case "code":
      case "unknown":
        return "";
      case "bool":
        return this.#bytes.getUint8(at) === 0 ? "false" : "true";
      case "pointer":
        return hexOf(this.#integer(at, 8, false));
      case "function": {
        const address = this.#integer(at, 8, false);
        return this.#context.symbol(address) ?? hexOf(address);
      }
      case "string":
        return this.#string(this.#integer(at, 8, false));
      case "enum":
        return enumText(type, this.#integer(at, type.bytes, type.signed));
      case "float":
        return this.#float(at, type.bytes);
      case "complex": {
        const imaginary = this.#float(at + type.part, type.part);
        const sign = /^[-+]/.test(imaginary) ? "" : "+";
        return `${this.#float(at, type.part)}${sign}${imaginary}i`;
      }
      case "integer":
        return integerText(this.#integer(at, type.bytes, type.signed), type.bytes);
      case "array":
        return this.#array(type.of, type.count ?? 0, at);
      case "struct":
      case "union":
        return this.#members(type.layout?.members ?? [], at);
    }
  }

  #integer(at: number, bytes: number, signed: boolean): bigint {
    let value = 0n;
    for (let n = bytes - 1; n >= 0; n--) {
      value = value << 8n | BigInt(this.#bytes.getUint8(at + n));
    }
    return signed ? BigInt.asIntN(8 * bytes, value) : value;
  }

  #string(address: bigint): string {
    const { guest } = this.#context;
    const text = address === 0n ? undefined : guest.readString(address, MOST_TEXT + 1);
    return text === undefined ? hexOf(address) : quoted(text);
  }

  #float(at: number, bytes: 2 | 4 | 8 | 16): string {
    switch (bytes) {
      case 2:
        return `${halfNumber(this.#bytes.getUint16(at, true))}`;
      case 4:
        return `${Math.fround(this.#bytes.getFloat32(at, true))}`;
      case 8:
        return `${this.#bytes.getFloat64(at, true)}`;
      case 16:
        return binary128Text(this.#integer(at, 16, false));
    }
  }

  #array(of: CType, count: number, at: number): string {
    if (of.kind === "integer" && of.text === "plain") return this.#characters(count, at);
    const each = sizeOf(of) ?? 0;
    const texts: string[] = [];
    for (let n = 0; n < count; n++) {
      if (n === MOST_ELEMENTS || this.#left <= 0) {
        texts.push("...");
        break;
      }
      const place = at + n * each;
      texts.push(
        of.kind === "integer"
          ? this.#integer(place, of.bytes, of.signed).toString()
          : this.text(of, place),
      );
      if (of.kind === "integer") this.#left--;
    }
    return `[${texts.join(", ")}]`;
  }

  #characters(count: number, at: number): string {
    const bytes = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, count);
    const end = bytes.indexOf(0);
    const text = new TextDecoder().decode(bytes.subarray(0, end < 0 ? count : end));
    return quoted(text);
  }

  #members(members: readonly CMember[], at: number): string {
    // Only a vector has an array without a name.
    const [first] = members;
    if (first?.name === "" && first.type.kind === "array") return this.text(first.type, at);
    const texts: string[] = [];
    for (const { name, type, offset, bits } of members) {
      const isNamed = name !== "" || type.kind === "struct" || type.kind === "union";
      if (!isNamed || (type.kind === "array" && type.count === undefined)) continue;
      if (this.#left <= 0) {
        texts.push("...");
        break;
      }
      const text = bits ? this.#bitField(type, at, bits) : this.text(type, at + offset);
      texts.push(name === "" ? text : `${name}=${text}`);
    }
    return `{${texts.join(", ")}}`;
  }

  #bitField(
    type: CType,
    at: number,
    { width, start }: { readonly width: number; readonly start: number },
  ): string {
    this.#left--;
    const first = start >> 3;
    const bytes = (start + width + 7 >> 3) - first;
    const raw = this.#integer(at + first, bytes, false) >> BigInt(start & 7);
    const signed = (type.kind === "integer" || type.kind === "enum") && type.signed;
    const value = signed ? BigInt.asIntN(width, raw) : BigInt.asUintN(width, raw);
    if (type.kind === "enum") return enumText(type, value);
    return type.kind === "bool" ? `${value !== 0n}` : value.toString();
  }
}

function quoted(text: string): string {
  return text.length > MOST_TEXT
    ? `${JSON.stringify(text.slice(0, MOST_TEXT))}...`
    : JSON.stringify(text);
}

/** A byte that prints is a character. */
function integerText(value: bigint, bytes: number): string {
  const printable = bytes === 1 && value >= 0x20n && value < 0x7fn;
  return printable ? `'${String.fromCharCode(Number(value))}'` : value.toString();
}

/** A member's name, the names of the flags that are set, or a number. */
function enumText({ names }: Extract<CType, { kind: "enum" }>, value: bigint): string {
  const name = names.get(value);
  if (name !== undefined) return name;
  const flags = flagsOf(names);
  if (flags === undefined || value <= 0n) return value.toString();
  const set = [...flags].filter(([flag]) => (value & flag) === flag);
  const rest = set.reduce((left, [flag]) => left & ~flag, value);
  if (set.length === 0) return value.toString();
  return [...set.map(([, name]) => name), ...rest === 0n ? [] : [hexOf(rest)]].join("|");
}

/**
 * The single bits of an enum of flags: its other values are made of them, and it does not just count.
 */
function flagsOf(names: ReadonlyMap<bigint, string>): Map<bigint, string> | undefined {
  const values = [...names.keys()];
  const flags = new Map(
    [...names].filter(([value]) => value > 0n && (value & (value - 1n)) === 0n),
  );
  const all = [...flags.keys()].reduce((mask, flag) => mask | flag, 0n);
  const isMade = values.every((value) => value >= 0n && (value & ~all) === 0n);
  return isMade && flags.size > 1 && all > 3n ? flags : undefined;
}
