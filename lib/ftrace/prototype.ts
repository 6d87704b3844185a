/**
 * C prototypes, with the enums and typedefs that they need, read from text.
 *
 * Only what matters for a register is kept of a type, so what is in a struct is skipped. Every step
 * looks at each character a fixed number of times: people hand over whole preprocessed headers.
 *
 * What prototypes make of registers is `prototype_text.ts`.
 *
 * @module
 */

/** A type, as far as it matters for reading a register. */
export type CType =
  | { readonly kind: "void" | "bool" | "string" | "pointer" | "function" | "struct" }
  | { readonly kind: "integer"; readonly bytes: 1 | 2 | 4 | 8; readonly signed: boolean }
  | { readonly kind: "float"; readonly bytes: 4 | 8 }
  | { readonly kind: "enum"; readonly names: ReadonlyMap<bigint, string> };

/** The C prototype of a function, parsed. */
export interface Prototype {
  /** The function's name. */
  readonly name: string;
  /** Type of the return value. */
  readonly returns: CType;
  /** The function's parameters; the name is empty where the prototype gives none. */
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
  const code = withoutBodies(withoutComments(text));
  const types = new Map(NAMED);
  const enums = new Map<string, CType>();
  const prototypes: Prototype[] = [];
  for (const declaration of code.split(";").map((part) => part.trim()).filter(Boolean)) {
    const parser = new Parser(declaration, types, enums);
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

/** The text with a blank for each comment and each line of the preprocessor. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[^]*?(?:\*\/|$(?![^]))|\/\/.*|^[^\S\n]*#.*$/gm, (found) => {
    if (found.startsWith("/*") && (found.length < 4 || !found.endsWith("*/"))) {
      throw new SyntaxError("Cannot read prototypes: a comment has no end");
    }
    return " ";
  });
}

/** The text without what is in structs and unions: they are only ever pointed at. */
function withoutBodies(code: string): string {
  const head = /\b(?:struct|union)(?:\s+\w+)?\s*\{/g;
  const brace = /[{}]/g;
  let kept = "";
  let from = 0;
  for (let found = head.exec(code); found; found = head.exec(code)) {
    kept += `${code.slice(from, head.lastIndex - 1)} `;
    brace.lastIndex = head.lastIndex;
    for (let open = 1; open > 0;) {
      const next = brace.exec(code);
      // Without its end there is nothing to skip; the declaration is refused for what is in it.
      if (!next) return kept + code.slice(head.lastIndex - 1);
      open += next[0] === "{" ? 1 : -1;
    }
    from = head.lastIndex = brace.lastIndex;
  }
  return kept + code.slice(from);
}

/** Reads one declaration, word by word. */
class Parser {
  readonly #declaration: string;
  readonly #types: ReadonlyMap<string, CType>;
  /** Enums by tag; one that is met is added. */
  readonly #enums: Map<string, CType>;
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(
    declaration: string,
    types: ReadonlyMap<string, CType>,
    enums: Map<string, CType>,
  ) {
    this.#declaration = declaration;
    this.#types = types;
    this.#enums = enums;
    this.#tokens = declaration.match(/[A-Za-z_]\w*|0x[0-9a-fA-F]+|\d+|\.\.\.|\S/g)!
      .filter((token) => !NOTHING.has(token));
  }

  /** Whether all tokens have been read. */
  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Ends the reading. @throws {SyntaxError} Always, naming the declaration. */
  refuse(why: string): never {
    const text = this.#declaration.replaceAll(/\s+/g, " ");
    throw new SyntaxError(`Cannot read the prototype "${text}": ${why}`);
  }

  /** Whether `token` comes next; if so, it is taken. */
  take(token: string): boolean {
    return this.#tokens[this.#at] === token && ++this.#at > 0;
  }

  /** A type without what belongs to the declarator. */
  type(): CType {
    if (this.take("enum")) return this.#stars(this.#enumeration(), false);
    if (this.take("struct") || this.take("union")) {
      // The name; a struct without one is followed by that of its typedef.
      const behind = this.#tokens[this.#at + 1];
      if (this.#isName() && /^[A-Za-z_*]/.test(behind ?? "")) this.#at++;
      else if (this.#isName() && behind === undefined && this.#tokens[0] !== "typedef") this.#at++;
      return this.#stars({ kind: "struct" }, false);
    }
    const words: string[] = [];
    while (BASIC.has(this.#tokens[this.#at] ?? "")) words.push(this.#next());
    if (words.length > 0) return this.#stars(basicType(words), words.includes("char"));
    const word = this.#tokens[this.#at];
    const named = this.#types.get(word ?? "") ??
      this.refuse(`${word ?? "nothing"} is no type that is known; declare it with typedef`);
    this.#at++;
    return this.#stars(named, false);
  }

  /** A name with what it makes of the type `base`: an array, or a pointer to a function. */
  declarator(base: CType): { readonly name: string; readonly type: CType } {
    if (this.take("(")) return { name: this.#functionPointer(), type: { kind: "function" } };
    const name = this.#isName() ? this.#next() : "";
    let decayed = base;
    while (this.take("[")) {
      const isChar = base.kind === "integer" && base.bytes === 1;
      decayed = decayed === base && isChar ? { kind: "string" } : POINTER;
      while (!this.take("]")) {
        if (this.atEnd) this.refuse('"]" is missing');
        this.#at++;
      }
    }
    return { name, type: decayed };
  }

  /** A function that returns `returns`: its name and parameters. */
  prototype(returns: CType): Prototype {
    if (!this.#isName()) this.refuse("the function's name is missing");
    const name = this.#next();
    if (returns.kind === "struct") this.refuse("it returns a struct by value");
    this.#expect("(");
    const parameters: Prototype["parameters"][number][] = [];
    let variadic = false;
    while (!this.take(")")) {
      if (this.take("...")) variadic = true;
      else parameters.push(this.declarator(this.type()));
      if (!this.take(",") && this.#tokens[this.#at] !== ")") this.refuse(`")" is missing`);
    }
    const isVoid = parameters.length === 1 && parameters[0]!.type.kind === "void";
    if (parameters.some((each) => each.type.kind === "struct")) {
      this.refuse("a struct is passed by value, not by pointer");
    }
    if (!isVoid && parameters.some((each) => each.type.kind === "void")) {
      this.refuse("void is no type of a parameter");
    }
    return { name, returns, parameters: isVoid ? [] : parameters, variadic };
  }

  /** What is behind the "(" of a pointer to a function: its name; its parameters do not matter. */
  #functionPointer(): string {
    this.#expect("*");
    const name = this.#isName() ? this.#next() : "";
    this.#expect(")");
    this.#expect("(");
    for (let open = 1; open > 0;) {
      if (this.atEnd) this.refuse('")" is missing');
      const token = this.#next();
      open += token === "(" ? 1 : token === ")" ? -1 : 0;
    }
    return name;
  }

  #enumeration(): CType {
    const name = this.#isName() ? this.#next() : "";
    if (!this.take("{")) return this.#enums.get(name) ?? integer(4, true);
    const names = new Map<bigint, string>();
    for (let value = 0n; !this.take("}"); value++) {
      if (!this.#isName()) this.refuse("an enum holds names");
      const member = this.#next();
      if (this.take("=")) {
        const sign = this.take("-") ? -1n : 1n;
        if (!/^\d/.test(this.#tokens[this.#at] ?? "")) {
          this.refuse(`${member} needs a number behind =`);
        }
        value = sign * BigInt(this.#next());
      }
      if (!names.has(value)) names.set(value, member);
      if (!this.take(",") && this.#tokens[this.#at] !== "}") {
        this.refuse("an enum's members stand between commas");
      }
    }
    const type: CType = { kind: "enum", names };
    if (name !== "") this.#enums.set(name, type);
    return type;
  }

  #stars(base: CType, isChar: boolean): CType {
    let depth = 0;
    while (this.take("*")) depth++;
    return depth === 0 ? base : depth === 1 && isChar ? { kind: "string" } : POINTER;
  }

  /** Takes the next token; there must be one. */
  #next(): string {
    return this.#tokens[this.#at++]!;
  }

  #expect(token: string): void {
    if (!this.take(token)) this.refuse(`"${token}" is missing`);
  }

  #isName(): boolean {
    return /^[A-Za-z_]/.test(this.#tokens[this.#at] ?? "");
  }
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
