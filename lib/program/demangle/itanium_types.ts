/**
 * Types in mangled C++ names, and the substitutions that shorten them.
 *
 * Itanium C++ ABI, section 5.1.5, "Type encodings", and 5.1.9, "Compression".
 *
 * @module
 */
import { ExpressionReader } from "./itanium_expressions.ts";
import type { FunctionType, Node, TemplateScope } from "./itanium_nodes.ts";
import { BUILTIN_TYPES, D_TYPES, STANDARD_NAMES, type StandardName } from "./itanium_tables.ts";

const QUALIFIERS: Readonly<Record<string, string>> = {
  r: " restrict",
  V: " volatile",
  K: " const",
};

/** Reads types. */
export abstract class TypeReader extends ExpressionReader {
  /** What `S_`, `S0_` … stand for. */
  protected readonly substitutions: Node[] = [];
  /** Where the template parameters of what is being read get their arguments. */
  protected scope: TemplateScope = { args: undefined };
  /** Whether template arguments belong to the conversion whose type is read, not to the type. */
  protected inConversion = false;

  /** Reads a name with what it lies in. */
  abstract name(): Node;

  /** `<type>` */
  type(): Node {
    return this.nested(() => this.#type());
  }

  /** Makes `node` one that later substitutions may mean. */
  protected remember(node: Node): Node {
    this.substitutions.push(node);
    return node;
  }

  #type(): Node {
    const qualified = this.match(/[rVK]+/y);
    if (qualified !== undefined) return this.#qualified(qualified);
    const { peek } = this;
    const builtin = BUILTIN_TYPES[peek];
    if (builtin !== undefined) {
      this.at++;
      return { kind: "builtin", text: builtin };
    }
    switch (peek) {
      case "P":
        return this.#pointer("*");
      case "R":
        return this.#pointer("&");
      case "O":
        return this.#pointer("&&");
      case "C":
        return this.#suffixed(" _Complex");
      case "G":
        return this.#suffixed(" _Imaginary");
      case "F":
        return this.remember(this.functionType());
      case "A":
        return this.#array();
      case "M":
        return this.#member();
      case "T":
        return this.#parameter();
      case "S":
        return this.#substituted();
      case "D":
        return this.#extended();
      case "U":
        return this.#vendorQualified();
      case "u": {
        this.at++;
        const text = this.sourceText();
        if (!this.sees("I")) return this.remember({ kind: "name", text });
        const args = this.templateArguments();
        return this.remember({ kind: "template", name: { kind: "name", text }, args });
      }
      default:
        return this.remember(this.name());
    }
  }

  #qualified(letters: string): Node {
    // A function's qualifiers are its own, and have no place among the substitutions without it.
    let of: Node = this.peek === "F" ? this.functionType() : this.type();
    for (const letter of [...letters].reverse()) {
      of = { kind: "qualifier", text: QUALIFIERS[letter]!, of };
    }
    return this.remember(of);
  }

  #pointer(mark: "*" | "&" | "&&"): Node {
    this.at++;
    return this.remember({ kind: "pointer", mark, to: this.type() });
  }

  #suffixed(text: string): Node {
    this.at++;
    return this.remember({ kind: "qualifier", text, of: this.type() });
  }

  #vendorQualified(): Node {
    this.at++;
    const text = this.sourceText();
    const args = this.sees("I") ? this.templateArguments() : undefined;
    const of = this.type();
    if (args) return this.fail();
    return this.remember({ kind: "qualifier", text: ` ${text}`, of });
  }

  /** `<function-type>`, with its exception specification in front. */
  protected functionType(): FunctionType {
    const qualifiers: Node[] = [];
    if (this.eat("Do")) qualifiers.push({ kind: "noexcept", of: undefined });
    else if (this.eat("DO")) {
      qualifiers.push({ kind: "noexcept", of: this.expression() });
      this.expect("E");
    } else if (this.eat("Dw")) {
      const types: Node[] = [];
      while (!this.eat("E")) types.push(this.type());
      qualifiers.push({ kind: "throws", types });
    }
    if (this.eat("Dx")) qualifiers.unshift({ kind: "text", text: "transaction_safe" });
    this.expect("F");
    this.eat("Y");
    const result = this.type();
    const parameters = this.parameters();
    if (this.eat("R")) qualifiers.unshift({ kind: "text", text: "&" });
    else if (this.eat("O")) qualifiers.unshift({ kind: "text", text: "&&" });
    this.expect("E");
    return { kind: "function", result, parameters, qualifiers };
  }

  /** Types up to the end of a signature; a single void means none. */
  protected parameters(): readonly Node[] {
    const types: Node[] = [];
    while (
      !this.atEnd && !/[E.@]/.test(this.peek) &&
      !/^[RO]E/.test(this.text.slice(this.at, this.at + 2))
    ) {
      types.push(this.type());
    }
    if (types.length === 0) this.fail();
    const [only] = types;
    return types.length === 1 && only?.kind === "builtin" && only.text === "void" ? [] : types;
  }

  #array(): Node {
    this.at++;
    let size: Node | undefined;
    const digits = this.match(/\d+/y);
    if (digits !== undefined) size = { kind: "text", text: digits };
    else if (this.peek !== "_") size = this.expression();
    this.expect("_");
    return this.remember({ kind: "array", size, of: this.type() });
  }

  #member(): Node {
    this.at++;
    const owner = this.type();
    return this.remember({ kind: "member", class: owner, of: this.type() });
  }

  #parameter(): Node {
    const parameter = this.remember(this.templateParameter());
    if (!this.sees("I") || this.inConversion) return parameter;
    return this.remember({ kind: "template", name: parameter, args: this.templateArguments() });
  }

  /** `T_`, `T0_` … */
  protected templateParameter(): Node {
    this.expect("T");
    const digits = this.match(/\d{1,9}/y);
    this.expect("_");
    const index = digits === undefined ? 0 : Number(digits) + 1;
    return { kind: "parameter", index, scope: this.scope };
  }

  /** A type that begins with `S`: what was there before, or a name in `std`. */
  #substituted(): Node {
    const after = this.text.charAt(this.at + 1);
    if (after !== "_" && !/[0-9A-Z]/.test(after)) return this.#standardType();
    const node = this.substitution(false);
    if (!this.sees("I")) return node;
    return this.remember({ kind: "template", name: node, args: this.templateArguments() });
  }

  #standardType(): Node {
    const before = this.at;
    if (this.text.charAt(before + 1) !== "t") {
      const node = this.substitution(false);
      if (!this.sees("I")) return node;
      return this.remember({ kind: "template", name: node, args: this.templateArguments() });
    }
    return this.remember(this.name());
  }

  /** `<substitution>`; a constructor's class of the standard library has its long name. */
  protected substitution(isPrefix: boolean): Node {
    this.expect("S");
    const letter = this.peek;
    const standard = STANDARD_NAMES[letter];
    if (standard) {
      this.at++;
      return this.#standard(standard, isPrefix);
    }
    const digits = this.match(/[0-9A-Z]{1,6}/y);
    this.expect("_");
    const index = digits === undefined ? 0 : parseInt(digits, 36) + 1;
    return this.substitutions[index] ?? this.fail();
  }

  #standard({ text, full, last }: StandardName, isPrefix: boolean): Node {
    const named: Node = isPrefix && /[CD]/.test(this.peek) && last !== undefined
      ? {
        kind: "name",
        text: full,
        full,
      }
      : { kind: "name", text, full };
    if (this.peek !== "B") return named;
    return this.remember(this.tagged(named));
  }

  /** A name with the ABI tags behind it. */
  protected tagged(name: Node): Node {
    let node = name;
    while (this.eat("B")) node = { kind: "tagged", name: node, tag: this.sourceText() };
    return node;
  }

  /** `<source-name>`: a number and as many characters. */
  protected sourceText(): string {
    const length = this.number();
    if (length === 0) this.fail();
    return this.take(length);
  }

  #extended(): Node {
    const code = this.text.charAt(this.at + 1);
    const builtin = D_TYPES[code];
    if (builtin !== undefined) {
      this.at += 2;
      return { kind: "builtin", text: builtin };
    }
    switch (code) {
      case "p":
        this.at += 2;
        return this.remember({ kind: "expansion", of: this.type() });
      case "t":
      case "T": {
        this.at += 2;
        const of = this.expression();
        this.expect("E");
        return this.remember({ kind: "decltype", of });
      }
      case "v":
        return this.#vector();
      case "F": {
        this.at += 2;
        const bits = this.number();
        const isExtended = this.eat("x");
        if (!isExtended) this.expect("_");
        return { kind: "builtin", text: `_Float${bits}${isExtended ? "x" : ""}` };
      }
      case "o":
      case "O":
      case "w":
      case "x":
        return this.remember(this.functionType());
      default:
        return this.remember(this.name());
    }
  }

  #vector(): Node {
    this.at += 2;
    const size: Node = this.eat("_")
      ? this.expression()
      : { kind: "text", text: this.match(/\d+/y) ?? this.fail() };
    this.expect("_");
    return this.remember({ kind: "vector", size, of: this.type() });
  }
}
