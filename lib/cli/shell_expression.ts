/**
 * Expressions over a stopped guest, in C's operators and gdb's words: `$a0`, `count`, `&count`,
 * `*(int *)$sp`, `{int}$sp`.
 *
 * Values are 64 bits, signed. There are no types of a program's here: data of 1, 2, 4 or 8 bytes is
 * read as its symbol's size says, any other symbol is its address.
 *
 * @module
 */
import type { WordSize } from "../engine/mod.ts";

/** What names and addresses mean when an expression is evaluated. */
export interface ExpressionScope {
  /** Value of a register by its name without `$`. @throws {RangeError} If it has none here. */
  register(name: string): bigint;
  /** Where a symbol lies, and its size if it is data; undefined if there is none. */
  symbol(name: string): { readonly address: bigint; readonly dataSize: number } | undefined;
  /** A word of the guest's memory, unsigned. @throws {RangeError} If none can be read there. */
  read(address: bigint, bytes: WordSize): bigint;
}

/** An expression that was read. */
export interface Expression {
  /** The expression as it was typed. */
  readonly text: string;
  /** Its value. @throws {RangeError} If a name, an address or a divisor has none. */
  evaluate(scope: ExpressionScope): bigint;
  /** Where the value lies, for what can be assigned to: a register or memory. */
  readonly place: ExpressionPlace | undefined;
  /** Whether the value is the address of something with a name. */
  readonly isAddress: boolean;
}

/** What can be assigned to. */
export type ExpressionPlace =
  | { readonly register: string }
  | { readonly symbol: string }
  | { readonly bytes: WordSize; readonly address: (scope: ExpressionScope) => bigint };

type Value = Pick<Expression, "evaluate" | "place" | "isAddress">;

/** Operators from the loosest to the tightest, as C has them. */
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<", "<=", ">", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];

type Operate = (a: bigint, b: bigint) => bigint;
const OPERATIONS: Readonly<Record<string, Operate>> = {
  "||": (a, b) => BigInt(a !== 0n || b !== 0n),
  "&&": (a, b) => BigInt(a !== 0n && b !== 0n),
  "|": (a, b) => a | b,
  "^": (a, b) => a ^ b,
  "&": (a, b) => a & b,
  "==": (a, b) => BigInt(a === b),
  "!=": (a, b) => BigInt(a !== b),
  "<": (a, b) => BigInt(a < b),
  "<=": (a, b) => BigInt(a <= b),
  ">": (a, b) => BigInt(a > b),
  ">=": (a, b) => BigInt(a >= b),
  "<<": (a, b) => a << (b & 63n),
  ">>": (a, b) => a >> (b & 63n),
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / divisor(b),
  "%": (a, b) => a % divisor(b),
};

function divisor(value: bigint): bigint {
  if (value === 0n) throw new RangeError("Cannot divide: the divisor is 0");
  return value;
}

const SIZES: Readonly<Record<string, WordSize>> = { char: 1, short: 2, int: 4, long: 8 };
const TYPE = String
  .raw`(unsigned\s+|signed\s+)?(char|short|int|long|u?int(?:8|16|32|64)_t|[us](?:8|16|32|64))`;
const CAST = new RegExp(String.raw`^\(\s*${TYPE}\s*\*\s*\)`);
const BRACED = new RegExp(String.raw`^\{\s*${TYPE}\s*\}`);
const NUMBER = /^(?:0x[\da-f]+|0b[01]+|\d+)(?![\w.])/i;
const NAME = /^[A-Za-z_.][\w.$]*(?:::~?\w+)*/;
const OPERATOR = /^(?:\|\||&&|==|!=|<<|>>|<=|>=|[-+*\/%&|^<>])/;
/** Most parentheses and operators inside each other. */
const MOST_NESTED = 200;

/** Reads an expression. @throws {SyntaxError} If it is none. */
export function parseExpression(text: string): Expression {
  const reader = new ExpressionReader(text);
  const value = reader.level(0);
  reader.end();
  return { text: text.trim(), ...value };
}

class ExpressionReader {
  readonly #whole: string;
  #rest: string;
  #nested = 0;

  constructor(text: string) {
    this.#whole = text.trim();
    this.#rest = this.#whole;
  }

  end(): void {
    if (this.#rest !== "") throw this.#wrong(`"${this.#rest}" is too much`);
  }

  level(level: number): Value {
    const operators = LEVELS[level];
    if (!operators) return this.#unary();
    let left = this.level(level + 1);
    for (;;) {
      const operator = OPERATOR.exec(this.#rest)?.[0];
      if (operator === undefined || !operators.includes(operator)) return left;
      this.#take(operator);
      const a = left, b = this.level(level + 1);
      const operate = OPERATIONS[operator]!;
      const isAddress = (a.isAddress || b.isAddress) && ["+", "-"].includes(operator);
      left = computed((scope) => operate(a.evaluate(scope), b.evaluate(scope)), isAddress);
    }
  }

  #unary(): Value {
    if (++this.#nested > MOST_NESTED) throw this.#wrong("it is nested too deep");
    try {
      return this.#prefixed();
    } finally {
      this.#nested--;
    }
  }

  #prefixed(): Value {
    const braced = this.#match(BRACED);
    if (braced) return memory(braced, this.#unary());
    const sign = /^[-+~!*&]/.exec(this.#rest)?.[0];
    if (sign === undefined) return this.#primary();
    this.#take(sign);
    if (sign === "&") return this.#addressOf();
    if (sign === "*") {
      const cast = this.#match(CAST);
      return memory(cast ?? ["", undefined, "long"], this.#unary());
    }
    const { evaluate } = this.#unary();
    if (sign === "-") return computed((scope) => -evaluate(scope));
    if (sign === "~") return computed((scope) => ~evaluate(scope));
    if (sign === "!") return computed((scope) => BigInt(evaluate(scope) === 0n));
    return computed(evaluate);
  }

  #addressOf(): Value {
    const name = this.#match(NAME)?.[0];
    if (name === undefined) throw this.#wrong("& takes the name of a symbol");
    return computed((scope) => symbolOf(scope, name).address, true);
  }

  #primary(): Value {
    if (this.#rest.startsWith("(")) {
      this.#take("(");
      const inner = this.level(0);
      if (!this.#rest.startsWith(")")) throw this.#wrong("a ) is missing");
      this.#take(")");
      return inner;
    }
    const number = this.#match(NUMBER)?.[0];
    if (number !== undefined) return computed(() => BigInt(number));
    const register = this.#match(/^\$(\w+)/)?.[1];
    if (register !== undefined) {
      const isAddress = ["pc", "ra"].includes(register);
      const evaluate = (scope: ExpressionScope) => BigInt.asIntN(64, scope.register(register));
      return { evaluate, place: { register }, isAddress };
    }
    const name = this.#match(NAME)?.[0];
    if (name === undefined) {
      throw this.#wrong(
        this.#rest === "" ? "something is missing at its end" : `what is "${this.#rest}"?`,
      );
    }
    const evaluate = (scope: ExpressionScope) => {
      const { address, dataSize } = symbolOf(scope, name);
      if (dataSize === 0) return BigInt.asIntN(64, address);
      return BigInt.asIntN(dataSize * 8, scope.read(address, dataSize as WordSize));
    };
    return { evaluate, place: { symbol: name }, isAddress: true };
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.#rest) ?? undefined;
    if (match) this.#take(match[0]);
    return match;
  }

  #take(text: string): void {
    this.#rest = this.#rest.slice(text.length).trimStart();
  }

  #wrong(reason: string): SyntaxError {
    return new SyntaxError(`Cannot read the expression "${this.#whole}": ${reason}`);
  }
}

function computed(evaluate: Value["evaluate"], isAddress = false): Value {
  const wrapped = (scope: ExpressionScope) => BigInt.asIntN(64, evaluate(scope));
  return { evaluate: wrapped, place: undefined, isAddress };
}

/** The word of a type that lies where `at` says. */
function memory([, sign = "", type = "long"]: readonly (string | undefined)[], at: Value): Value {
  const bits = /\d+/.exec(type)?.[0];
  const bytes = bits === undefined ? SIZES[type]! : (Number(bits) / 8) as WordSize;
  const unsigned = sign.startsWith("unsigned") || type.startsWith("u");
  const evaluate = (scope: ExpressionScope) => {
    const word = scope.read(BigInt.asUintN(64, at.evaluate(scope)), bytes);
    return BigInt.asIntN(64, unsigned ? word : BigInt.asIntN(bytes * 8, word));
  };
  const address = (scope: ExpressionScope) => BigInt.asUintN(64, at.evaluate(scope));
  return { evaluate, place: { bytes, address }, isAddress: false };
}

/** The symbol of that name. @throws {RangeError} If there is none. */
export function symbolOf(
  scope: ExpressionScope,
  name: string,
): { readonly address: bigint; readonly dataSize: number } {
  const found = scope.symbol(name);
  if (found) return found;
  throw new RangeError(
    `Cannot find "${name}": the program has no such symbol; info functions GLOB lists them, and a register is $${name}`,
  );
}
