/**
 * Arithmetic in assembly text: numbers, symbols, and C's operators on 64-bit integers.
 *
 * Operators bind as the GNU assembler has it, where `|`, `&` and `^` bind tighter than `+` and `-`.
 *
 * @module
 */

/** Operators from the loosest to the tightest. */
const LEVELS: readonly (readonly string[])[] = [["+", "-"], ["|", "&", "^"], [
  "*",
  "/",
  "%",
  "<<",
  ">>",
]];

const TOKEN = /\s*(0x[\da-f]+|0b[01]+|\d+[bf](?![\w.$])|\d+|[a-z_.$][\w.$]*|<<|>>|[-+*/%&|^~()])/iy;

/** Most parentheses that may be open. */
const MOST_NESTED = 256;

/**
 * Evaluates an expression; `resolve` gives the value of a symbol, of a numeric label (`1b`), and of
 * `.`, and throws where there is none.
 *
 * @throws {SyntaxError} If it is no expression, or has more than 256 parentheses open.
 */
export function evaluate(text: string, resolve: (name: string) => bigint): bigint {
  return new Evaluation(text, resolve).value();
}

class Evaluation {
  readonly #text: string;
  readonly #resolve: (name: string) => bigint;
  readonly #tokens: readonly string[];
  #at = 0;
  #open = 0;

  constructor(text: string, resolve: (name: string) => bigint) {
    this.#text = text;
    this.#resolve = resolve;
    this.#tokens = tokensOf(text);
  }

  value(): bigint {
    const value = this.#level(0);
    const next = this.#tokens[this.#at];
    if (next !== undefined) throw new SyntaxError(`"${next}" is too much in "${this.#text}"`);
    return value;
  }

  #level(level: number): bigint {
    const operators = LEVELS[level];
    if (!operators) return this.#unary();
    let value = this.#level(level + 1);
    while (operators.includes(this.#tokens[this.#at] ?? "")) {
      const operator = this.#tokens[this.#at++]!;
      value = BigInt.asIntN(64, apply(operator, value, this.#level(level + 1)));
    }
    return value;
  }

  /** A value behind any number of signs, of which the last is applied first. */
  #unary(): bigint {
    const from = this.#at;
    while (/^[-~+]$/.test(this.#tokens[this.#at] ?? "")) this.#at++;
    const signs = this.#tokens.slice(from, this.#at);
    return signs.reduceRight(
      (value, sign) => sign === "-" ? -value : sign === "~" ? ~value : value,
      this.#operand(),
    );
  }

  #operand(): bigint {
    const token = this.#tokens[this.#at++];
    if (token === "(") return this.#group();
    if (token === undefined) throw new SyntaxError(`"${this.#text}" ends too early`);
    if (/^0[0-7]+$/.test(token)) return BigInt(`0o${token.slice(1)}`);
    if (/^(0[xb][\da-f]+|\d+)$/i.test(token) && !/^\d+[bf]$/.test(token)) return BigInt(token);
    if (/^[\w.$]+$/.test(token)) return this.#resolve(token);
    throw new SyntaxError(`"${token}" is no value in "${this.#text}"`);
  }

  #group(): bigint {
    if (++this.#open > MOST_NESTED) {
      throw new SyntaxError(`more than ${MOST_NESTED} parentheses are open`);
    }
    const value = this.#level(0);
    if (this.#tokens[this.#at++] !== ")") {
      throw new SyntaxError(`")" is missing in "${this.#text}"`);
    }
    this.#open--;
    return value;
  }
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new SyntaxError(`"${text.slice(start).trim()}" is no expression`);
    tokens.push(match[1]!);
  }
  return tokens;
}

function apply(operator: string, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "|":
      return a | b;
    case "&":
      return a & b;
    case "^":
      return a ^ b;
    case "*":
      return a * b;
    case "<<":
      return a << BigInt.asUintN(6, b);
    case ">>":
      return BigInt.asUintN(64, a) >> BigInt.asUintN(6, b);
    default:
      if (b === 0n) throw new SyntaxError("division by zero");
      return operator === "/" ? a / b : a % b;
  }
}
