/**
 * The text of expressions in a C++ name, as binutils' `c++filt` prints them.
 *
 * @module
 */
import type { Node } from "./itanium_nodes.ts";
import { LITERAL_SUFFIXES, OPERATORS } from "./itanium_tables.ts";
import { TypeWriter } from "./itanium_text.ts";
import { Unreadable } from "./mangled_text.ts";

type Of<Kind extends Node["kind"]> = Extract<Node, { readonly kind: Kind }>;

/** Writes names, types and expressions. */
export class ItaniumWriter extends TypeWriter {
  protected override writeExpression(node: Node): void {
    switch (node.kind) {
      case "literal":
        return this.#literal(node);
      case "argument":
        return this.put(`{parm#${node.index}}`);
      case "list":
        return void this.list(node.items);
      case "braces":
        if (node.type) this.write(node.type);
        this.put("{");
        this.write(node.items);
        return this.put("}");
      case "cast":
        this.put("(");
        this.write(node.type);
        this.put(")");
        return this.#operand(node.of);
      case "unary":
        return this.#unary(node);
      case "binary":
        return this.#binary(node);
      case "ternary": {
        const [first, second, third] = node.parts;
        this.#operand(first);
        this.put("?");
        this.#operand(second);
        this.put(" : ");
        return this.#operand(third);
      }
      case "fold":
        return this.#fold(node);
      case "new":
        return this.#new(node);
      default:
        throw new Unreadable();
    }
  }

  /** An operand, in parentheses unless it is a single word. */
  #operand(node: Node): void {
    const isSimple = node.kind === "name" || node.kind === "qualified" || node.kind === "list" ||
      node.kind === "braces" || node.kind === "argument";
    if (!isSimple) this.put("(");
    this.write(node);
    if (!isSimple) this.put(")");
  }

  #unary({ code, of, isPostfix }: Of<"unary">): void {
    const [text] = OPERATORS[code]!;
    switch (code) {
      case "sZ": {
        const pack = this.findPack(of, 0);
        if (!pack) throw new Unreadable();
        return this.put(String(pack.length));
      }
      case "sP": {
        const items = of.kind === "list" ? of.items : [of];
        return this.put(String(items.reduce((sum, each) => sum + this.#count(each), 0)));
      }
      case "st":
      case "at":
      case "nx":
        this.put(text);
        if (code !== "nx") {
          this.put("(");
          this.write(of);
          return this.put(")");
        }
        return this.#operand(of);
      case "gs":
        this.put("::");
        return this.write(of);
      case "ad": {
        this.put("&");
        const named = of.kind === "encoding" && of.name.kind === "qualified" ? of.name : of;
        return this.#operand(named);
      }
    }
    if (isPostfix) {
      this.#operand(of);
      return this.put(text);
    }
    this.put(text);
    this.#operand(of);
  }

  #count(node: Node): number {
    const inner = node.kind === "expansion" ? node.of : node;
    return this.findPack(inner, 0)?.length ?? 1;
  }

  #binary({ code, left, right }: Of<"binary">): void {
    const [text] = OPERATORS[code]!;
    switch (code) {
      case "dc":
      case "sc":
      case "rc":
      case "cc":
        this.put(`${text}<`);
        this.write(left);
        this.put(">(");
        this.write(right);
        return this.put(")");
      case "cl":
        this.#operand(left.kind === "encoding" ? left.name : left);
        this.put("(");
        this.write(right);
        return this.put(")");
      case "ix":
        this.#operand(left);
        this.put("[");
        this.write(right);
        return this.put("]");
      case "dt":
      case "pt":
        this.#operand(left);
        this.put(text);
        return this.#operand(right);
    }
    // Inside template arguments a bare > would end them.
    if (code === "gt") this.put("(");
    this.#operand(left);
    this.put(text);
    this.#operand(right);
    if (code === "gt") this.put(")");
  }

  #fold({ code, by, of: [first, second] }: Of<"fold">): void {
    if (!first) throw new Unreadable();
    // The pack of a fold is written as it stands, not item by item.
    const outer = this.packIndex;
    this.packIndex = -1;
    this.put("(");
    if (code === "fl") {
      this.put("...");
      this.write(by);
      this.#operand(first);
    } else {
      this.#operand(first);
      this.write(by);
      this.put("...");
      if (second) {
        this.write(by);
        this.#operand(second);
      }
    }
    this.put(")");
    this.packIndex = outer;
  }

  #new({ code, parts: [places, type, initial] }: Of<"new">): void {
    this.put(code === "nw" ? "new " : "new[] ");
    if (places.kind === "list" && places.items.length > 0) {
      this.put("(");
      this.write(places);
      this.put(") ");
    }
    this.write(type);
    if (!initial) return;
    if (initial.kind !== "list") return this.write(initial);
    this.put("(");
    this.write(initial);
    this.put(")");
  }

  #literal({ type, value }: Of<"literal">): void {
    const isNegative = value.startsWith("n");
    const digits = isNegative ? value.slice(1) : value;
    if (type.kind === "builtin") {
      if (type.text === "bool" && /^[01]$/.test(value)) {
        return this.put(value === "1" ? "true" : "false");
      }
      const suffix = LITERAL_SUFFIXES[type.text];
      if (suffix !== undefined) return this.put(`${isNegative ? "-" : ""}${digits}${suffix}`);
    }
    this.put("(");
    this.write(type);
    this.put(")");
    if (isNegative) this.put("-");
    const isFloat = type.kind === "builtin" &&
      /^(float|double|long double|__float128)$/.test(type.text);
    this.put(isFloat ? `[${digits}]` : digits);
  }
}
