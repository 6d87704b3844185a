/**
 * Words that no declaration explains. One that a macro of another file stands for is told from a type
 * that nobody declared by what follows it.
 *
 * @module
 */
import { ATTRIBUTE_WORDS } from "./attributes.ts";
import type { Cursor } from "./cursor.ts";
import type { CType } from "./ctype.ts";
import { behindIgnored, isMacroWord } from "./words.ts";

/** What knows types and reads them. */
export interface TypeReader {
  /** Types by name. */
  readonly types: ReadonlyMap<string, CType>;
  /** Whether a word begins a type. */
  isTypeWord(text: string): boolean;
  /** Reads a type without a name. */
  typeName(): CType;
}

/** A name that no declaration explains: a type, a macro's word (`passed`), or what is declared. */
export function unknownWord(cursor: Cursor, reader: TypeReader): CType | "none" | "passed" {
  const { text } = cursor;
  if (cursor.peek(1) === "(") return unknownCall(cursor, reader);
  const n = behindIgnored(cursor, 1);
  const next = cursor.peek(n);
  const type: CType = { kind: "unknown", name: text };
  cursor.next();
  if (!cursor.isName(n - 1)) return type;
  if (reader.isTypeWord(next)) {
    // A name may be declared anew: typedef foo_t size_t.
    const isDeclared = reader.types.has(next) && n === 1 && /^[;,)[=]$/.test(cursor.peek(n));
    return isDeclared ? type : "passed";
  }
  if (cursor.peek(n) === "*") return "passed";
  if (cursor.isName(n)) {
    if (ATTRIBUTE_WORDS.has(cursor.peek(n))) return type;
    // NAME foo_t name(…), or foo_t NAME name(…).
    return isMacroWord(next) && !isMacroWord(text) ? type : "passed";
  }
  // NAME foo_t (name)(…).
  const isInParentheses = cursor.peek(n) === "(" && cursor.isName(n + 1) &&
    cursor.peek(n + 2) === ")" && cursor.peek(n + 3) === "(";
  return isInParentheses ? "passed" : type;
}

/** `PyAPI_FUNC(int) name`, `DEPRECATED(3) int name`, or a name with its parameters. */
function unknownCall(cursor: Cursor, reader: TypeReader): CType | "none" | "passed" {
  const close = cursor.partner(1);
  if (close < 0) return "none";
  const n = close + 1 - cursor.at;
  const behind = cursor.peek(n);
  const isOneName = n === 4 && cursor.isName(2) && !reader.isTypeWord(cursor.peek(2));
  if (cursor.peek(2) === "*" || (isOneName && behind === "(")) {
    // foo_t (*name)(…), foo_t (name)(…)
    return { kind: "unknown", name: cursor.next() };
  }
  if (!cursor.isName(n) && behind !== "*") return "none";
  const from = cursor.at;
  if (!reader.isTypeWord(behind)) {
    cursor.at += 2;
    const type = tryTypeName(cursor, reader, close);
    if (type) return type;
    cursor.at = from;
    if (behind === "*") return "none";
  }
  cursor.at = close + 1;
  return "passed";
}

/** The type that is all there is up to `close`, and the cursor behind it. */
function tryTypeName(cursor: Cursor, reader: TypeReader, close: number): CType | undefined {
  try {
    const type = reader.typeName();
    if (cursor.at !== close) return undefined;
    cursor.next();
    return type;
  } catch (error) {
    if (error instanceof Error && error.name === "DeclarationFault") return undefined;
    throw error;
  }
}
