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

/**
 * Evaluates an expression; `resolve` gives the value of a symbol, of a numeric label (`1b`), and of
 * `.`, and throws where there is none.
 *
 * @throws {SyntaxError} If it is no expression.
 */
export function evaluate(text: string, resolve: (name: string) => bigint): bigint {
  const tokens = tokensOf(text);
  let at = 0;
  const level = (depth: number): bigint => {
    const operators = LEVELS[depth];
    if (!operators) return unary();
    let value = level(depth + 1);
    while (operators.includes(tokens[at] ?? "")) {
      const operator = tokens[at++]!;
      value = BigInt.asIntN(64, apply(operator, value, level(depth + 1)));
    }
    return value;
  };
  const unary = (): bigint => {
    const token = tokens[at++];
    if (token === "-") return -unary();
    if (token === "~") return ~unary();
    if (token === "+") return unary();
    if (token === "(") {
      const value = level(0);
      if (tokens[at++] !== ")") throw new SyntaxError(`")" is missing in "${text}"`);
      return value;
    }
    if (token === undefined) throw new SyntaxError(`"${text}" ends too early`);
    if (/^0[0-7]+$/.test(token)) return BigInt(`0o${token.slice(1)}`);
    if (/^(0[xb][\da-f]+|\d+)$/i.test(token) && !/^\d+[bf]$/.test(token)) return BigInt(token);
    if (/^[\w.$]+$/.test(token)) return resolve(token);
    throw new SyntaxError(`"${token}" is no value in "${text}"`);
  };
  const value = level(0);
  if (at < tokens.length) throw new SyntaxError(`"${tokens[at]}" is too much in "${text}"`);
  return value;
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
