/**
 * Attributes of declarations in all their spellings, as far as they change a type or a name:
 * `__attribute__((packed))`, `[[gnu::aligned(8)]]`, `_Alignas`, `__asm__("name")`. All others are
 * passed over.
 *
 * @module
 */
import type { Cursor } from "./cursor.ts";
import { type CLayout, type CType, integerType, sizeOf } from "./ctype.ts";
import { type ConstantScope, readConstant } from "./expression.ts";

/** What attributes say. */
export interface Attributes {
  packed: boolean;
  /** Least alignment, in bytes. */
  align: number | undefined;
  /** A machine mode in place of the type's own: `DI`, `SF`. */
  mode: string | undefined;
  /** Bytes of a vector of the type. */
  vector: number | undefined;
  /** Name of the symbol. */
  symbol: string | undefined;
  transparent: boolean;
}

/** Attributes that say nothing. */
export function noAttributes(): Attributes {
  return {
    packed: false,
    align: undefined,
    mode: undefined,
    vector: undefined,
    symbol: undefined,
    transparent: false,
  };
}

/** Words that an attribute begins with, but for `[[`. */
export const ATTRIBUTE_WORDS: ReadonlySet<string> = new Set(
  ("__attribute__ __attribute __declspec _Alignas alignas asm __asm__ __asm __pragma _Pragma")
    .split(" "),
);
/** Alignment that `aligned` without a number asks for: that of a long double. */
const GREATEST_ALIGNMENT = 16;

/** Reads the attributes at the cursor into `to`; whether there were any. */
export function readAttributes(cursor: Cursor, to: Attributes, scope: ConstantScope): boolean {
  const from = cursor.at;
  for (;;) {
    const { text } = cursor;
    if (text === "[" && cursor.peek(1) === "[") readGroup(cursor, to, scope);
    else if (ATTRIBUTE_WORDS.has(text)) readWord(cursor, to, scope);
    else return cursor.at > from;
  }
}

function readWord(cursor: Cursor, to: Attributes, scope: ConstantScope): void {
  const word = cursor.next();
  if (/asm/.test(word)) {
    while (cursor.text === "volatile" || cursor.text === "__volatile__") cursor.next();
    if (cursor.text === "(") to.symbol = symbolIn(cursor) ?? to.symbol;
  } else if (/lignas/.test(word)) {
    const align = alignmentIn(cursor, scope);
    if (align) to.align = Math.max(to.align ?? 1, align);
  } else if (cursor.text === "(") {
    if (/ragma/.test(word)) cursor.skipGroup();
    else readGroup(cursor, to, scope);
  }
}

/** What `asm("a" "b")` names. */
function symbolIn(cursor: Cursor): string | undefined {
  const close = cursor.at + 1;
  let name = "";
  let at = 1;
  for (; cursor.peek(at).startsWith('"'); at++) name += cursor.peek(at).slice(1, -1);
  const isName = at > 1 && cursor.peek(at) === ")" && close > 0;
  cursor.skipGroup();
  return isName && name !== "" ? name : undefined;
}

/** Reads brackets with attributes and brackets of attributes in them. */
function readGroup(cursor: Cursor, to: Attributes, scope: ConstantScope): void {
  const from = cursor.at;
  cursor.skipGroup();
  const end = cursor.at;
  cursor.at = from + 1;
  while (cursor.at < end - 1) {
    const open = cursor.text;
    if (open === "(" || open === "[") cursor.at++;
    else if (cursor.isName() && cursor.peek(1) === "(") readOne(cursor, to, scope);
    else readPlain(cursor.next(), to);
  }
  cursor.at = end;
}

function readPlain(word: string, to: Attributes): void {
  const name = word.replaceAll(/^__|__$/g, "");
  if (name === "packed") to.packed = true;
  else if (name === "aligned") to.align = Math.max(to.align ?? 1, GREATEST_ALIGNMENT);
  else if (name === "transparent_union") to.transparent = true;
}

function readOne(cursor: Cursor, to: Attributes, scope: ConstantScope): void {
  const name = cursor.next().replaceAll(/^__|__$/g, "");
  const close = cursor.partner();
  if (close < 0) cursor.refuse('"(" is not closed');
  if (name === "aligned" || name === "align") {
    const align = alignmentIn(cursor, scope);
    if (align) to.align = Math.max(to.align ?? 1, align);
  } else if (name === "mode") to.mode = cursor.peek(1).replaceAll(/^__|__$/g, "");
  else if (name === "vector_size") to.vector = alignmentIn(cursor, scope);
  cursor.at = close + 1;
}

/** The number, or the alignment of the type, in parentheses. */
function alignmentIn(cursor: Cursor, scope: ConstantScope): number | undefined {
  const close = cursor.partner();
  cursor.expect("(");
  const value = scope.beginsType(cursor)
    ? scope.measures(cursor).align
    : readConstant(cursor, scope);
  if (close < 0) cursor.refuse('"(" is not closed');
  cursor.at = close + 1;
  const number = Number(value ?? 0);
  return number > 0 && number <= 2 ** 28 && Number.isInteger(Math.log2(number))
    ? number
    : undefined;
}

const MODE_BYTES: Readonly<Record<string, number>> = {
  QI: 1,
  byte: 1,
  HI: 2,
  SI: 4,
  DI: 8,
  word: 8,
  pointer: 8,
  unwind_word: 8,
  TI: 16,
  HF: 2,
  SF: 4,
  DF: 8,
  TF: 16,
};

/** The type that attributes make of `type`. */
export function attributedType(
  type: CType,
  { mode, vector, align, transparent }: Attributes,
): CType {
  let made: CType = transparent && type.kind === "union" ? { ...type, transparent } : type;
  const bytes = mode === undefined ? undefined : MODE_BYTES[mode];
  if (bytes !== undefined && type.kind === "integer") made = integerType(bytes, type.signed);
  else if (bytes !== undefined && type.kind === "float") {
    made = { kind: "float", bytes: bytes as 2 | 4 | 8 | 16 };
  } else if (bytes !== undefined && type.kind === "complex") {
    made = { kind: "complex", part: bytes as 2 | 4 | 8 | 16 };
  }
  if (vector !== undefined) made = vectorOf(made, vector);
  return align === undefined ? made : { ...made, align };
}

/** A vector is passed as a union is: in integer registers, whatever its elements are. */
function vectorOf(of: CType, size: number): CType {
  const each = sizeOf(of);
  const count = each === undefined ? undefined : size / each;
  const type: CType = { kind: "array", of, count };
  const layout: CLayout = { members: [{ name: "", type, offset: 0 }], size, align: size };
  return { kind: "union", tag: "", layout, problem: "" };
}
