/**
 * Mangled C++ names, as a tree: what a function or a variable is called and where it lies.
 *
 * Itanium C++ ABI, section 5.1, "External Names". The tree is printed by `itanium_text.ts`.
 *
 * @module
 */
import { TypeReader } from "./itanium_types.ts";
import type { FunctionType, Node } from "./itanium_nodes.ts";
import { OPERATORS, SPECIAL_NAMES } from "./itanium_tables.ts";

/** What a mangled name means. */
export interface ItaniumName {
  /** The whole of it. */
  readonly tree: Node;
  /** What the compiler put behind it for a copy of its own: `.isra.0`, `.cold`. */
  readonly suffix: string;
}

/** Reads a name behind `_Z`. @throws {Unreadable} If it is none. */
export function readItanium(text: string): ItaniumName {
  return new ItaniumReader(text, 2).whole();
}

class ItaniumReader extends TypeReader {
  /** Qualifiers of `this` that the name just read had. */
  #qualifiers = "";

  whole(): ItaniumName {
    const tree = this.encoding(true);
    const suffix = this.match(/(?:\.[a-zA-Z_]\w*(?:\.\d+)*|\.\d+)*/y) ?? "";
    if (!this.atEnd) this.fail();
    return { tree, suffix };
  }

  /** `<encoding>` */
  encoding(isWhole = false): Node {
    return this.nested(() => {
      if (this.peek === "T" || (this.peek === "G" && this.text.charAt(this.at + 1) !== "E")) {
        return this.#special();
      }
      const { scope } = this;
      this.scope = { args: undefined };
      this.#qualifiers = "";
      const name = this.name();
      const qualifiers = this.#qualifiers;
      const node = this.atEnd || /[E.@]/.test(this.peek)
        ? name
        : this.#signature(name, qualifiers, isWhole);
      this.scope = scope;
      return node;
    });
  }

  #signature(name: Node, qualifiers: string, isWhole: boolean): Node {
    const parts = lastPart(name);
    if (parts.kind === "template") this.scope.args = parts.args;
    const hasResult = parts.kind === "template" && !isUntyped(lastPart(parts.name));
    let result = hasResult ? this.type() : undefined;
    const parameters = this.parameters();
    if (!isWhole) result = undefined;
    const type: FunctionType = { kind: "function", result, parameters, qualifiers: [] };
    return { kind: "encoding", name, type, qualifiers };
  }

  // ---- special names

  #special(): Node {
    const code = this.take(2);
    switch (code) {
      case "Th":
      case "Tv":
        this.at--;
        this.#callOffset();
        return {
          kind: "special",
          text: code === "Th" ? "non-virtual thunk to " : "virtual thunk to ",
          of: this.encoding(),
        };
      case "Tc":
        this.#callOffset();
        this.#callOffset();
        return { kind: "special", text: "covariant return thunk to ", of: this.encoding() };
      case "TC": {
        const derived = this.type();
        this.number();
        this.expect("_");
        const of = this.type();
        return {
          kind: "special",
          text: "construction vtable for ",
          of,
          more: { text: "-in-", of: derived },
        };
      }
      case "GR": {
        const of = this.name();
        const digits = this.match(/[0-9A-Z]{1,6}/y);
        if (!this.eat("_") && digits !== undefined) this.fail();
        const number = digits === undefined ? 0 : parseInt(digits, 36) + 1;
        return { kind: "special", text: `reference temporary #${number} for `, of };
      }
      case "GT": {
        const text = this.next() === "n" ? "non-transaction clone for " : "transaction clone for ";
        return { kind: "special", text, of: this.encoding() };
      }
    }
    const [text, of] = SPECIAL_NAMES[code] ?? this.fail();
    switch (of) {
      case "type":
        return { kind: "special", text, of: this.type() };
      case "argument":
        return { kind: "special", text, of: this.templateArgument() };
      case "encoding":
        return { kind: "special", text, of: this.encoding() };
      default:
        return { kind: "special", text, of: this.name() };
    }
  }

  #callOffset(): void {
    const offset = this.next() === "h" ? /n?\d+_/y : /n?\d+_n?\d+_/y;
    if (this.match(offset) === undefined) this.fail();
  }

  // ---- names

  /** `<name>` */
  name(): Node {
    return this.nested(() => {
      switch (this.peek) {
        case "N":
          return this.#nestedName();
        case "Z":
          return this.#local();
        case "S": {
          const isStd = this.text.charAt(this.at + 1) === "t";
          let node: Node;
          if (isStd) {
            this.at += 2;
            const std: Node = { kind: "name", text: "std" };
            node = { kind: "qualified", left: std, right: this.unqualified(std) };
          } else node = this.substitution(false);
          if (!this.sees("I")) return node;
          if (isStd) this.remember(node);
          return this.#template(node);
        }
        default: {
          const node = this.unqualified(undefined);
          if (!this.sees("I")) return node;
          return this.#template(this.remember(node));
        }
      }
    });
  }

  #template(name: Node): Node {
    return { kind: "template", name, args: this.templateArguments() };
  }

  templateArguments(): readonly Node[] {
    return this.nested(() => {
      const qualifiers = this.#qualifiers;
      const { inConversion } = this;
      this.inConversion = false;
      this.expect("I");
      const args: Node[] = [];
      while (!this.eat("E")) args.push(this.templateArgument());
      this.#qualifiers = qualifiers;
      this.inConversion = inConversion;
      return args;
    });
  }

  #nestedName(): Node {
    this.expect("N");
    const letters = this.match(/[rVK]*/y) ?? "";
    const reference = this.eat("R") ? " &" : this.eat("O") ? " &&" : "";
    const node = this.#prefix();
    this.expect("E");
    const words: Record<string, string> = { r: " restrict", V: " volatile", K: " const" };
    this.#qualifiers = [...letters].reverse().map((letter) => words[letter]).join("") + reference;
    return node;
  }

  /** `<prefix>`: what a nested name is made of, each part of which later ones may mean. */
  #prefix(): Node {
    let node: Node | undefined;
    for (;;) {
      const { peek } = this;
      let isNew = true;
      if (peek === "E" && node) return node;
      if (peek === "S" && !node) {
        const std = this.text.charAt(this.at + 1) === "t";
        node = this.substitution(true);
        isNew = node.kind === "tagged" && !std;
        if (isNew) isNew = false;
      } else if (peek === "I" && node) node = this.#template(node);
      else if (peek === "T" && !node) node = this.templateParameter();
      else if (peek === "D" && /[tT]/.test(this.text.charAt(this.at + 1))) {
        node = this.type();
        isNew = false;
      } else if (peek === "M" && node) {
        // The initializer of a member, in which lambdas may lie.
        this.at++;
        isNew = false;
      } else {
        const right = this.unqualified(node);
        node = node ? { kind: "qualified", left: node, right } : right;
      }
      if (isNew && node && this.peek !== "E") this.remember(node);
    }
  }

  #local(): Node {
    this.expect("Z");
    const outer = this.encoding();
    this.expect("E");
    if (this.eat("s")) {
      this.#discriminator();
      return { kind: "local", function: outer, entity: { kind: "name", text: "string literal" } };
    }
    if (!this.eat("d")) {
      const entity = this.name();
      if (entity.kind !== "lambda" && !isUnnamed(entity)) this.#discriminator();
      return { kind: "local", function: outer, entity };
    }
    const digits = this.match(/\d{1,9}/y);
    this.expect("_");
    const number = digits === undefined ? 1 : Number(digits) + 2;
    const left: Node = { kind: "name", text: `{default arg#${number}}` };
    const entity: Node = { kind: "qualified", left, right: this.name() };
    return { kind: "local", function: outer, entity };
  }

  #discriminator(): void {
    if (!this.eat("_")) return;
    if (this.eat("_")) {
      this.number();
      this.expect("_");
    } else if (this.match(/\d/y) === undefined) this.fail();
  }

  /** `<unqualified-name>`, with its ABI tags. */
  unqualified(inside: Node | undefined): Node {
    return this.nested(() => this.tagged(this.#untagged(inside)));
  }

  #untagged(inside: Node | undefined): Node {
    const { peek } = this;
    if (/\d/.test(peek)) return sourceName(this.sourceText());
    if (this.eat("L")) {
      const name = sourceName(this.sourceText());
      this.#discriminator();
      return name;
    }
    if (this.eat("DC")) {
      const names: Node[] = [];
      while (!this.eat("E")) names.push(sourceName(this.sourceText()));
      return { kind: "binding", names };
    }
    if (peek === "C" || peek === "D") return this.#structor(inside);
    if (this.eat("Ul")) return this.#lambda();
    if (this.eat("Ut")) return { kind: "name", text: `{unnamed type#${this.#sequence()}}` };
    return this.#operatorName();
  }

  #structor(inside: Node | undefined): Node {
    if (!inside) this.fail();
    const isDestructor = this.next() === "D";
    if (!isDestructor && this.eat("I")) {
      this.next();
      this.type();
      return { kind: "structor", of: inside, isDestructor };
    }
    if (!/[0-59]/.test(this.next())) this.fail();
    return { kind: "structor", of: inside, isDestructor };
  }

  #lambda(): Node {
    const parameters = this.parameters();
    this.expect("E");
    return { kind: "lambda", parameters, number: this.#sequence() };
  }

  /** `[<number>] _`, counted from 1. */
  #sequence(): number {
    const digits = this.match(/\d{1,9}/y);
    this.expect("_");
    return digits === undefined ? 1 : Number(digits) + 2;
  }

  #operatorName(): Node {
    if (this.eat("cv")) return { kind: "conversion", type: this.#conversionType() };
    if (this.eat("li")) return { kind: "literal_operator", name: sourceName(this.sourceText()) };
    if (this.peek === "v") {
      this.at++;
      this.number();
      return { kind: "literal_operator", name: sourceName(this.sourceText()) };
    }
    const code = this.take(2);
    const known = OPERATORS[code];
    if (!known || code === "gs") this.fail();
    return { kind: "operator", code, text: known[0] };
  }

  /** The type a conversion gives; its template arguments belong to the operator, not to the type. */
  #conversionType(): Node {
    const { inConversion } = this;
    this.inConversion = true;
    const type = this.type();
    this.inConversion = inConversion;
    return type;
  }
}

function sourceName(text: string): Node {
  return { kind: "name", text: /^_GLOBAL_[._$]N/.test(text) ? "(anonymous namespace)" : text };
}

function isUnnamed(node: Node): boolean {
  return node.kind === "name" && node.text.startsWith("{unnamed type");
}

/** The part of a name that a signature belongs to. */
function lastPart(node: Node): Node {
  switch (node.kind) {
    case "qualified":
      return lastPart(node.right);
    case "local":
      return lastPart(node.entity);
    case "tagged":
      return lastPart(node.name);
    default:
      return node;
  }
}

/** Whether a function of that name has no result in its signature, template or not. */
function isUntyped(node: Node): boolean {
  return node.kind === "structor" || node.kind === "conversion";
}
