/**
 * Types of the arguments of probe events: `x64`, `s32[4]`, `b4@8/32`, `string`, `symstr`
 * (`kernel/trace/trace_probe.c probe_fetch_types`).
 *
 * @module
 */
import type { CType } from "../prototypes/ctype.ts";
import { parseUnsigned, ProbeFault } from "./probe_fault.ts";
import type { FetchType } from "./probe_fetch.ts";

/** The type of an argument as it is written. */
export interface ParsedType {
  /** Type of the value, or of each element. */
  readonly type: FetchType;
  /** Elements, if it is an array. */
  readonly count: number | undefined;
  /** Whether it takes bits out of the value. */
  readonly isBitField: boolean;
}

const MAX_ARRAY_LENGTH = 64;
const TEXT: Omit<FetchType, "name"> = {
  field: "string",
  size: 0,
  signed: false,
  format: '\\"%s\\"',
  isString: true,
};

const TYPES: ReadonlyMap<string, FetchType> = new Map([
  ...[8, 16, 32, 64].flatMap((bits) => {
    const size = bits / 8;
    const long = bits === 64 ? "L" : "";
    return [
      { name: `u${bits}`, field: `u${bits}`, size, signed: false, format: `%${long}u` },
      { name: `s${bits}`, field: `s${bits}`, size, signed: true, format: `%${long}d` },
      { name: `x${bits}`, field: `u${bits}`, size, signed: false, format: `0x%${long}x` },
    ];
  }),
  { name: "char", field: "u8", size: 1, signed: false, format: "'%c'" },
  { name: "symbol", field: "u64", size: 8, signed: false, format: "%pS" },
  { name: "string", ...TEXT },
  { name: "ustring", ...TEXT },
  { name: "symstr", ...TEXT },
].map((type) => [type.name, type]));

/** A type of the table, by its name. */
export function fetchTypeNamed(name: string): FetchType | undefined {
  return TYPES.get(name);
}

/** What a value of a C type is taken for where no type is written. */
export function fetchTypeOf(type: CType): FetchType {
  switch (type.kind) {
    case "integer":
      // Of 16 bytes the lower half is fetched.
      return TYPES.get(`${type.signed ? "s" : "u"}${8 * type.bytes}`) ?? TYPES.get("x64")!;
    case "enum":
      return TYPES.get(`u${8 * type.bytes}`)!;
    case "bool":
      return TYPES.get("u8")!;
    default:
      return TYPES.get("x64")!;
  }
}

/**
 * Parses a type and the length behind it.
 *
 * @param at Characters of the command before it.
 * @param isText Whether the source is a string already: `$comm`, or one that is written out.
 * @throws {ProbeFault} If it is none.
 */
export function parseType(text: string | undefined, at: number, isText: boolean): ParsedType {
  const bracket = text?.indexOf("[") ?? -1;
  const name = text !== undefined && bracket >= 0 ? text.slice(0, bracket) : text;
  const count = text === undefined || bracket < 0
    ? undefined
    : parseCount(text.slice(bracket + 1), at + bracket + 1);
  if (isText) {
    if (count !== undefined || (name ?? "string") !== "string") {
      throw new ProbeFault("NEED_STRING_TYPE", at);
    }
    return { type: TYPES.get("string")!, count, isBitField: false };
  }
  const bits = name?.startsWith("b") ?? false;
  const type = bits ? containerOf(name!) : TYPES.get(name ?? "x64");
  if (!type) throw new ProbeFault("BAD_TYPE", at);
  return { type, count, isBitField: bits };
}

/** The length of an array, `text` being all behind its bracket. */
function parseCount(text: string, at: number): number {
  const close = text.indexOf("]");
  if (close < 0) throw new ProbeFault("ARRAY_NO_CLOSE", at + text.length);
  if (close + 1 < text.length) throw new ProbeFault("BAD_ARRAY_SUFFIX", at + close + 1);
  const count = parseUnsigned(text.slice(0, close));
  if (!count || count >= 1n << 32n) throw new ProbeFault("BAD_ARRAY_NUM", at);
  if (count > MAX_ARRAY_LENGTH) throw new ProbeFault("ARRAY_TOO_BIG", at);
  return Number(count);
}

/** The integer that a bit field is in: what stands behind the slash. */
function containerOf(name: string): FetchType | undefined {
  const slash = name.indexOf("/");
  const size = slash < 0 ? undefined : parseUnsigned(name.slice(slash + 1));
  return size === undefined ? undefined : TYPES.get(`u${size}`);
}

/**
 * The bits that `b<width>@<offset>/<size>` takes out of its integer.
 *
 * @param at Characters of the command before it.
 * @throws {ProbeFault} If they are none.
 */
export function parseBitField(text: string, container: FetchType, at: number): FetchType {
  const [, width = "", shift = ""] = /^b(\w+)@(\w+)\//.exec(text) ?? [];
  const bits = {
    width: Number(parseUnsigned(width) ?? 0),
    shift: Number(parseUnsigned(shift) ?? NaN),
  };
  if (!(bits.width > 0 && bits.width + bits.shift <= 8 * container.size)) {
    throw new ProbeFault("BAD_BITFIELD", at);
  }
  return { ...container, bits };
}
