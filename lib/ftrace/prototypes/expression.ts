/**
 * Constant expressions of C: lengths of arrays, values of enums, widths of bit-fields, conditions.
 *
 * What no header can say (a name that is no constant, a call) makes the value unknown, which is no
 * error: the length of an array matters only where it is passed by value.
 *
 * @module
 */
import { Cursor } from "./cursor.ts";
import { pairBrackets, TOKEN, type Tokens } from "./tokens.ts";

/** What an expression may refer to. */
export interface ConstantScope {
  /** Value of an enum's member. */
  constant(name: string): bigint | undefined;
  /** Whether a type begins at the cursor. */
  beginsType(cursor: Cursor): boolean;
  /** Reads the type in a cast, `sizeof` or `_Alignof`; gives its measures, if they are known. */
  measures(cursor: Cursor): TypeMeasures;
  /** Reads what `offsetof` has in its parentheses. */
  offsetOf(cursor: Cursor): bigint | undefined;
}

/** What a constant expression can know of a type. */
export interface TypeMeasures {
  /** Bytes of a value. */
  readonly size: number | undefined;
  /** Bytes that its address is a multiple of. */
  readonly align: number | undefined;
  /** Whether it is a signed integer; undefined if it is no integer. */
  readonly signed: boolean | undefined;
}

type Value = bigint | undefined;

/** Binary operators from the loosest on. */
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<", ">", "<=", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];
const LEVEL_OF: ReadonlyMap<string, number> = new Map(
  LEVELS.flatMap((operators, level) => operators.map((each) => [each, level] as const)),
);

/** No more bits than any constant has, so that no shift takes all memory. */
const WIDEST = 128n;

function binary(operator: string, left: bigint, right: bigint): Value {
  const truth = (value: boolean) => value ? 1n : 0n;
  switch (operator) {
    case "||":
      return truth(left !== 0n || right !== 0n);
    case "&&":
      return truth(left !== 0n && right !== 0n);
    case "|":
      return left | right;
    case "^":
      return left ^ right;
    case "&":
      return left & right;
    case "==":
      return truth(left === right);
    case "!=":
      return truth(left !== right);
    case "<":
      return truth(left < right);
    case ">":
      return truth(left > right);
    case "<=":
      return truth(left <= right);
    case ">=":
      return truth(left >= right);
    case "<<":
      return right >= 0n && right < WIDEST ? BigInt.asIntN(128, left << right) : undefined;
    case ">>":
      return right >= 0n && right < WIDEST ? left >> right : undefined;
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return BigInt.asIntN(128, left * right);
    case "/":
      return right === 0n ? undefined : left / right;
    default:
      return right === 0n ? undefined : left % right;
  }
}

/** Reads an expression without commas at the cursor; undefined if its value cannot be known. */
export function readConstant(cursor: Cursor, scope: ConstantScope): Value {
  return cursor.nested(() => {
    const condition = readBinary(cursor, scope, 0);
    if (!cursor.take("?")) return condition;
    const then = cursor.text === ":" ? condition : readConstant(cursor, scope);
    cursor.expect(":");
    const otherwise = readConstant(cursor, scope);
    return condition === undefined ? undefined : condition !== 0n ? then : otherwise;
  });
}

function readBinary(cursor: Cursor, scope: ConstantScope, lowest: number): Value {
  let left = readUnary(cursor, scope);
  for (;;) {
    const operator = cursor.text;
    const level = cursor.kind === TOKEN.punctuation ? LEVEL_OF.get(operator) : undefined;
    if (level === undefined || level < lowest) return left;
    cursor.next();
    const right = readBinary(cursor, scope, level + 1);
    if (operator === "&&" && (left === 0n || right === 0n)) left = 0n;
    else if (operator === "||" && (left || right)) left = 1n;
    else {
      left = left === undefined || right === undefined ? undefined : binary(operator, left, right);
    }
  }
}

function readUnary(cursor: Cursor, scope: ConstantScope): Value {
  return cursor.nested(() => {
    const operator = cursor.kind === TOKEN.punctuation ? cursor.text : "";
    if (/^[-+~!&*]$/.test(operator)) {
      cursor.next();
      const value = readUnary(cursor, scope);
      if (value === undefined || operator === "&" || operator === "*") return undefined;
      if (operator === "!") return value === 0n ? 1n : 0n;
      return operator === "-" ? -value : operator === "~" ? ~value : value;
    }
    return readPostfix(cursor, readPrimary(cursor, scope));
  });
}

/** What makes a value no constant: a call, an element, a member. */
function readPostfix(cursor: Cursor, value: Value): Value {
  for (;;) {
    if (cursor.text === "(" || cursor.text === "[") cursor.skipGroup();
    else if (cursor.take(".") || cursor.take("->")) cursor.next();
    else return value;
    value = undefined;
  }
}

const SIZEOF = new Set(["sizeof", "_Alignof", "__alignof__", "__alignof", "alignof"]);

function readPrimary(cursor: Cursor, scope: ConstantScope): Value {
  const { text, kind } = cursor;
  if (kind === undefined) cursor.refuse("an expression is missing");
  if (SIZEOF.has(text)) return readSizeof(cursor, scope);
  if (text === "__builtin_offsetof" || text === "offsetof") {
    cursor.next();
    return scope.offsetOf(cursor);
  }
  if (text === "(" && kind === TOKEN.punctuation) return readParenthesized(cursor, scope);
  cursor.next();
  if (kind === TOKEN.number) return numberOf(text);
  if (kind === TOKEN.character) return characterOf(text);
  if (kind === TOKEN.name) {
    return text === "true" ? 1n : text === "false" ? 0n : scope.constant(text);
  }
  if (kind === TOKEN.string) {
    while (cursor.kind === TOKEN.string) cursor.next();
    return undefined;
  }
  cursor.refuse(`${text} is no part of an expression`);
}

function readSizeof(cursor: Cursor, scope: ConstantScope): Value {
  const isSize = cursor.next() === "sizeof";
  if (cursor.text !== "(") {
    readUnary(cursor, scope);
    return undefined;
  }
  const close = cursor.partner();
  cursor.next();
  if (!scope.beginsType(cursor)) {
    cursor.at--;
    cursor.skipGroup();
    return undefined;
  }
  const { size, align } = scope.measures(cursor);
  if (cursor.at !== close) cursor.refuse('")" is missing');
  cursor.next();
  const measure = isSize ? size : align;
  return measure === undefined ? undefined : BigInt(measure);
}

function readParenthesized(cursor: Cursor, scope: ConstantScope): Value {
  cursor.next();
  if (cursor.text === "{") {
    // A statement among expressions.
    cursor.skipGroup();
    cursor.expect(")");
    return undefined;
  }
  if (!scope.beginsType(cursor)) {
    let value = readConstant(cursor, scope);
    while (cursor.take(",")) value = readConstant(cursor, scope);
    cursor.expect(")");
    return value;
  }
  const { size, signed } = scope.measures(cursor);
  cursor.expect(")");
  if (cursor.text === "{") {
    cursor.skipGroup();
    return undefined;
  }
  const value = readUnary(cursor, scope);
  if (value === undefined || size === undefined || signed === undefined) return undefined;
  return signed ? BigInt.asIntN(8 * size, value) : BigInt.asUintN(8 * size, value);
}

function numberOf(text: string): Value {
  const digits = text.replaceAll("'", "").replace(/[uUlLzZ]+$/, "");
  if (/^0[xX][0-9a-fA-F]+$|^0[bB][01]+$/.test(digits)) return BigInt(digits);
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  return /^\d{1,40}$/.test(digits) ? BigInt(digits) : undefined;
}

const ESCAPES: Readonly<Record<string, bigint>> = {
  n: 10n,
  t: 9n,
  r: 13n,
  a: 7n,
  b: 8n,
  f: 12n,
  v: 11n,
  e: 27n,
};

/** A plain char is unsigned on RISC-V. */
function characterOf(text: string): Value {
  const inside = text.slice(1, -1);
  if (!inside.startsWith("\\")) {
    return [...inside].length === 1 ? BigInt(inside.codePointAt(0)!) : undefined;
  }
  const escape = inside.slice(1);
  if (/^[0-7]{1,3}$/.test(escape)) return BigInt(`0o${escape}`);
  if (/^x[0-9a-fA-F]{1,8}$/.test(escape)) return BigInt(`0${escape}`);
  if (escape.length !== 1) return undefined;
  return ESCAPES[escape] ?? BigInt(escape.charCodeAt(0));
}

const NOTHING: ConstantScope = {
  constant: () => undefined,
  beginsType: () => false,
  measures: () => ({ size: undefined, align: undefined, signed: undefined }),
  offsetOf: () => undefined,
};

/** Value of an expression of numbers alone; undefined if it is none. */
export function evaluateConstant(tokens: Tokens): bigint | undefined {
  const cursor = new Cursor(tokens, pairBrackets(tokens));
  try {
    const value = readConstant(cursor, NOTHING);
    return cursor.atEnd ? value : undefined;
  } catch (error) {
    if (error instanceof Error && error.name === "DeclarationFault") return undefined;
    throw error;
  }
}
