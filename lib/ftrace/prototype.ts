/**
 * C prototypes, and what they make of registers: `int add(int a, int b)` turns a0 and a1 into
 * `a=2, b=3`.
 *
 * Types decide where a value is (integers and pointers in a0–a7 and then on the stack, floating
 * point in fa0–fa7 and then with the integers; RISC-V psABI, LP64D) and how it reads. The kernel's
 * frame holds no floating-point register; at a traced entry the hart's own still are the caller's.
 *
 * @module
 */
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { Ftrace } from "./ftrace.ts";

/** A type, as far as it matters for reading a register. */
export type CType =
  | { readonly kind: "void" | "bool" | "string" | "pointer" | "function" | "struct" }
  | { readonly kind: "integer"; readonly bytes: 1 | 2 | 4 | 8; readonly signed: boolean }
  | { readonly kind: "float"; readonly bytes: 4 | 8 }
  | { readonly kind: "enum"; readonly names: ReadonlyMap<bigint, string> };

/** A function's prototype. */
export interface Prototype {
  /** The function's name. */
  readonly name: string;
  /** What it returns. */
  readonly returns: CType;
  /** Its parameters; the name is empty where the prototype gives none. */
  readonly parameters: readonly { readonly name: string; readonly type: CType }[];
  /** Whether more arguments may follow. */
  readonly variadic: boolean;
}

const integer = (bytes: 1 | 2 | 4 | 8, signed: boolean): CType => ({
  kind: "integer",
  bytes,
  signed,
});

const POINTER: CType = { kind: "pointer" };
/** Names of types that a header would have declared. */
const NAMED: readonly (readonly [name: string, type: CType])[] = [
  ...([1, 2, 4, 8] as const).flatMap((bytes) =>
    [
      [`int${bytes * 8}_t`, integer(bytes, true)],
      [`uint${bytes * 8}_t`, integer(bytes, false)],
    ] as const
  ),
  ...["size_t", "uintptr_t", "u64"].map((name) => [name, integer(8, false)] as const),
  ...["ssize_t", "intptr_t", "ptrdiff_t", "off_t", "time_t", "s64"].map((name) =>
    [name, integer(8, true)] as const
  ),
  ...["pid_t", "s32"].map((name) => [name, integer(4, true)] as const),
  ...["mode_t", "uid_t", "gid_t", "u32"].map((name) => [name, integer(4, false)] as const),
  ["bool", { kind: "bool" }],
  ["_Bool", { kind: "bool" }],
  ["va_list", POINTER],
];
const BASIC = new Set(["void", "char", "short", "int", "long", "signed", "unsigned"].concat([
  "float",
  "double",
]));
const NOTHING = new Set(["extern", "static", "inline", "const", "volatile", "register"].concat([
  "restrict",
  "__restrict",
  "_Noreturn",
]));

/**
 * Reads prototypes, with the enums and typedefs that they need, from C text.
 *
 * @example
 * ```ts
 * import { parsePrototypes } from "./prototype.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [add] = parsePrototypes("int add(int a, int b);");
 * assertEquals(add!.parameters.map(({ name }) => name), ["a", "b"]);
 * ```
 *
 * @throws {SyntaxError} For anything else, naming the declaration.
 */
export function parsePrototypes(text: string): readonly Prototype[] {
  let code = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*|^\s*#.*$/gm, " ");
  // What is in a struct does not matter: it is only ever pointed at.
  const body = /((?:struct|union)(?:\s+\w+)?)\s*\{[^{}]*\}/g;
  while (body.test(code)) code = code.replaceAll(body, "$1");
  const types = new Map(NAMED);
  const enums = new Map<string, CType>();
  const prototypes: Prototype[] = [];
  for (const declaration of code.split(";").map((part) => part.trim()).filter(Boolean)) {
    const parser = createParser(declaration, types, enums);
    if (parser.take("typedef")) {
      const { name, type } = parser.declarator(parser.type());
      if (name === "") parser.refuse("the typedef has no name");
      types.set(name, type);
    } else {
      const base = parser.type();
      if (parser.atEnd && /^(enum|struct|union)\b/.test(declaration)) continue;
      prototypes.push(parser.prototype(base));
    }
    if (!parser.atEnd) parser.refuse("there is something left over behind it");
  }
  return prototypes;
}

function createParser(
  declaration: string,
  types: ReadonlyMap<string, CType>,
  enums: Map<string, CType>,
) {
  const tokens = declaration.match(/[A-Za-z_]\w*|0x[0-9a-fA-F]+|\d+|\.\.\.|\S/g)!
    .filter((token) => !NOTHING.has(token));
  let at = 0;
  const refuse = (why: string): never => {
    const text = declaration.replaceAll(/\s+/g, " ");
    throw new SyntaxError(`Cannot read the prototype "${text}": ${why}`);
  };
  const take = (token: string) => tokens[at] === token && ++at > 0;
  const expect = (token: string) => take(token) || refuse(`"${token}" is missing`);
  const isName = () => /^[A-Za-z_]/.test(tokens[at] ?? "");

  const enumeration = (): CType => {
    const name = isName() ? tokens[at++]! : "";
    if (!take("{")) return enums.get(name) ?? integer(4, true);
    const names = new Map<bigint, string>();
    for (let value = 0n; !take("}"); value++) {
      if (!isName()) refuse("an enum holds names");
      const member = tokens[at++]!;
      if (take("=")) {
        const sign = take("-") ? -1n : 1n;
        if (!/^\d/.test(tokens[at] ?? "")) refuse(`${member} needs a number behind =`);
        value = sign * BigInt(tokens[at++]!);
      }
      if (!names.has(value)) names.set(value, member);
      if (!take(",") && tokens[at] !== "}") refuse("an enum's members stand between commas");
    }
    const type: CType = { kind: "enum", names };
    if (name !== "") enums.set(name, type);
    return type;
  };

  /** A type without what belongs to the declarator. */
  const type = (): CType => {
    if (take("enum")) return stars(enumeration(), false);
    if (take("struct") || take("union")) {
      // The name; a struct without one is followed by that of its typedef.
      if (isName() && /^[A-Za-z_*]/.test(tokens[at + 1] ?? "")) at++;
      else if (isName() && tokens[at + 1] === undefined && tokens[0] !== "typedef") at++;
      return stars({ kind: "struct" }, false);
    }
    const words: string[] = [];
    while (BASIC.has(tokens[at] ?? "")) words.push(tokens[at++]!);
    if (words.length > 0) return stars(basicType(words), words.includes("char"));
    const named = types.get(tokens[at] ?? "");
    if (!named) {
      refuse(`${tokens[at] ?? "nothing"} is no type that is known; declare it with typedef`);
    }
    at++;
    return stars(named!, false);
  };
  const stars = (base: CType, isChar: boolean): CType => {
    let depth = 0;
    while (take("*")) depth++;
    return depth === 0 ? base : depth === 1 && isChar ? { kind: "string" } : POINTER;
  };
  const declarator = (base: CType): { readonly name: string; readonly type: CType } => {
    if (take("(")) {
      expect("*");
      const name = isName() ? tokens[at++]! : "";
      expect(")");
      expect("(");
      for (let open = 1; open > 0;) {
        const token = tokens[at++] ?? refuse('")" is missing');
        open += token === "(" ? 1 : token === ")" ? -1 : 0;
      }
      return { name, type: { kind: "function" } };
    }
    const name = isName() ? tokens[at++]! : "";
    let decayed = base;
    while (take("[")) {
      const isChar = base.kind === "integer" && base.bytes === 1;
      decayed = decayed === base && isChar ? { kind: "string" } : POINTER;
      while (!take("]")) if (tokens[at++] === undefined) refuse('"]" is missing');
    }
    return { name, type: decayed };
  };
  return {
    refuse,
    take,
    type,
    declarator,
    get atEnd() {
      return at >= tokens.length;
    },
    prototype(returns: CType): Prototype {
      if (!isName()) refuse("the function's name is missing");
      const name = tokens[at++]!;
      if (returns.kind === "struct") refuse("it returns a struct by value");
      expect("(");
      const parameters: Prototype["parameters"][number][] = [];
      let variadic = false;
      while (!take(")")) {
        if (take("...")) variadic = true;
        else parameters.push(declarator(type()));
        if (!take(",") && tokens[at] !== ")") refuse(`")" is missing`);
      }
      const isVoid = parameters.length === 1 && parameters[0]!.type.kind === "void";
      if (parameters.some((each) => each.type.kind === "struct")) {
        refuse("a struct is passed by value, not by pointer");
      }
      if (!isVoid && parameters.some((each) => each.type.kind === "void")) {
        refuse("void is no type of a parameter");
      }
      return { name, returns, parameters: isVoid ? [] : parameters, variadic };
    },
  };
}

/** `unsigned long`, `char`, in whatever order. A plain char is unsigned on RISC-V. */
function basicType(words: readonly string[]): CType {
  const has = (word: string) => words.includes(word);
  if (has("void")) return { kind: "void" };
  if (has("float")) return { kind: "float", bytes: 4 };
  if (has("double")) return { kind: "float", bytes: 8 };
  if (has("char")) return integer(1, has("signed"));
  return integer(has("short") ? 2 : has("long") ? 8 : 4, !has("unsigned"));
}

const FA0 = 10;

/** The arguments of a call at its entry: `a=2, text="two"`. */
export function argumentsText(
  { parameters, variadic }: Prototype,
  fregs: FtraceRegs,
  ftrace: Ftrace,
): string {
  const { guest } = ftrace;
  let integers = 0;
  let floats = 0;
  const word = (): bigint => {
    const n = integers++;
    if (n < 8) return fregs.argument(n);
    return fregs.kernelStackNth(n - 8);
  };
  const texts = parameters.map(({ name, type }) => {
    const value = type.kind === "float" && floats < 8
      ? guest.currentHart.f[FA0 + floats++]!
      : word();
    return `${name}${name ? "=" : ""}${valueText(type, value, ftrace)}`;
  });
  return [...texts, ...variadic ? ["..."] : []].join(", ");
}

/** What a function returns, at its exit; undefined for void. */
export function returnText(
  { returns }: Prototype,
  fregs: FtraceRegs,
  ftrace: Ftrace,
): string | undefined {
  if (returns.kind === "void") return undefined;
  const value = returns.kind === "float" ? ftrace.guest.currentHart.f[FA0]! : fregs.returnValue;
  return valueText(returns, value, ftrace);
}

/** The longest string shown. */
const MOST = 48;

/** A register's value as its type has it. */
export function valueText(type: CType, value: bigint, { guest, symbol }: Ftrace): string {
  const hex = value === 0n ? "NULL" : `0x${value.toString(16)}`;
  switch (type.kind) {
    case "void":
    case "struct":
      return "";
    case "bool":
      return (value & 0xffn) === 0n ? "false" : "true";
    case "pointer":
      return hex;
    case "function":
      return symbol(value) ?? hex;
    case "string": {
      const text = value === 0n ? undefined : guest.readString(value, MOST + 1);
      if (text === undefined) return hex;
      return text.length > MOST
        ? `${JSON.stringify(text.slice(0, MOST))}...`
        : JSON.stringify(text);
    }
    case "enum": {
      const number = BigInt.asIntN(32, value);
      return type.names.get(number) ?? number.toString();
    }
    case "float": {
      const bits = new DataView(new ArrayBuffer(8));
      bits.setBigUint64(0, value);
      // A float is boxed in the lower half.
      return `${type.bytes === 4 ? Math.fround(bits.getFloat32(4)) : bits.getFloat64(0)}`;
    }
    case "integer": {
      const { bytes, signed } = type;
      const number = signed ? BigInt.asIntN(bytes * 8, value) : BigInt.asUintN(bytes * 8, value);
      const printable = bytes === 1 && number >= 0x20n && number < 0x7fn;
      return printable ? `'${String.fromCharCode(Number(number))}'` : number.toString();
    }
  }
}
