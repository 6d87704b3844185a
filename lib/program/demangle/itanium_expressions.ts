/**
 * Expressions in mangled C++ names: what stands in a decltype, an array's size, a template argument.
 *
 * Itanium C++ ABI, section 5.1.6, "Expressions". Types and names are read by the classes built on
 * this one, `itanium_types.ts` and `itanium.ts`.
 *
 * @module
 */
import type { Node } from "./itanium_nodes.ts";
import { OPERATORS } from "./itanium_tables.ts";
import { MangledText } from "./mangled_text.ts";

/** Reads expressions. */
export abstract class ExpressionReader extends MangledText {
  /** Reads a type. */
  abstract type(): Node;
  /** Reads a function or a variable behind `_Z`; only a whole name has its result. */
  abstract encoding(isWhole?: boolean): Node;
  /** Reads template arguments, I … E. */
  abstract templateArguments(): readonly Node[];
  /** Reads a name without what it lies in. */
  abstract unqualified(inside: Node | undefined): Node;

  /** `<expression>` */
  expression(): Node {
    return this.nested(() => this.#expression());
  }

  #expression(): Node {
    const { peek } = this;
    if (peek === "L") return this.primary();
    if (peek === "T") return this.type();
    if (this.sees("f") && /^f(p|L\d)/.test(this.text.slice(this.at, this.at + 3))) {
      return this.#functionParameter();
    }
    if (/\d/.test(peek) || this.sees("on")) return this.#unresolved();
    if (this.eat("sr")) return this.#scoped();
    if (this.eat("sp")) return { kind: "expansion", of: this.expression() };
    if (this.eat("il")) return { kind: "braces", type: undefined, items: this.#list("E") };
    if (this.eat("tl")) return { kind: "braces", type: this.type(), items: this.#list("E") };
    if (this.eat("cv")) return this.#conversion();
    if (this.eat("tr")) return { kind: "text", text: "throw" };
    if (this.eat("u")) {
      const name = this.unqualified(undefined);
      return { kind: "binary", code: "cl", left: name, right: this.#templateList() };
    }
    return this.#operator(this.take(2));
  }

  #functionParameter(): Node {
    this.next();
    if (this.eat("pT")) return { kind: "text", text: "this" };
    if (this.eat("L")) this.number();
    this.expect("p");
    this.match(/[rVK]+/y);
    const digits = this.match(/\d{1,9}/y);
    this.expect("_");
    return { kind: "argument", index: digits === undefined ? 1 : Number(digits) + 2 };
  }

  #unresolved(): Node {
    this.eat("on");
    const name = this.unqualified(undefined);
    return this.sees("I") ? { kind: "template", name, args: this.templateArguments() } : name;
  }

  /** `sr <type> <unqualified-name>`, or names from the outermost in, an E and the last one. */
  #scoped(): Node {
    const hasType = this.eat("N");
    const hasLevels = hasType || /\d/.test(this.peek);
    let left = hasLevels && !hasType ? this.#unresolved() : this.type();
    if (hasLevels) {
      while (!this.eat("E")) left = { kind: "qualified", left, right: this.#unresolved() };
    }
    const right = this.#unresolved();
    if (!hasLevels || right.kind !== "template") return { kind: "qualified", left, right };
    return { ...right, name: { kind: "qualified", left, right: right.name } };
  }

  #conversion(): Node {
    const type = this.type();
    const of = this.eat("_") ? this.#list("E") : this.expression();
    return { kind: "cast", type, of };
  }

  #list(end: string): Node {
    const items: Node[] = [];
    while (!this.eat(end)) items.push(this.expression());
    return { kind: "list", items };
  }

  #templateList(): Node {
    const items: Node[] = [];
    while (!this.eat("E")) items.push(this.templateArgument());
    return { kind: "list", items };
  }

  #operator(code: string): Node {
    if (code === "gs") return this.#global();
    const known = OPERATORS[code];
    if (!known) this.fail();
    switch (code) {
      case "st":
      case "at":
      case "ti":
        return { kind: "unary", code, of: this.type(), isPostfix: false };
      case "sZ":
        return {
          kind: "unary",
          code,
          of: this.peek === "T" ? this.type() : this.expression(),
          isPostfix: false,
        };
      case "sP":
        return { kind: "unary", code, of: this.#templateList(), isPostfix: false };
      case "pp":
      case "mm":
        return { kind: "unary", code, isPostfix: !this.eat("_"), of: this.expression() };
      case "cl": {
        const left = this.expression();
        return { kind: "binary", code, left, right: this.#list("E") };
      }
      case "dt":
      case "pt":
        return this.#memberAccess(code);
      case "dc":
      case "sc":
      case "rc":
      case "cc":
        return { kind: "binary", code, left: this.type(), right: this.expression() };
      case "fl":
      case "fr":
      case "fL":
      case "fR":
        return this.#fold(code);
      case "nw":
      case "na":
        return this.#new(code);
      case "qu":
        return {
          kind: "ternary",
          parts: [this.expression(), this.expression(), this.expression()],
        };
      default:
        if (known[1] === 1) return { kind: "unary", code, isPostfix: false, of: this.expression() };
        return { kind: "binary", code, left: this.expression(), right: this.expression() };
    }
  }

  #global(): Node {
    return { kind: "unary", code: "gs", isPostfix: false, of: this.expression() };
  }

  #memberAccess(code: string): Node {
    const left = this.expression();
    const right = this.peek === "L" || this.peek === "T" || this.sees("sr")
      ? this.expression()
      : this.#unresolved();
    return { kind: "binary", code, left, right };
  }

  #fold(code: string): Node {
    const by: Node = { kind: "text", text: OPERATORS[this.take(2)]?.[0] ?? this.fail() };
    const of = code === "fl" || code === "fr"
      ? [this.expression()]
      : [this.expression(), this.expression()];
    return { kind: "fold", code, by, of };
  }

  #new(code: string): Node {
    const places = this.#list("_");
    const type = this.type();
    if (this.eat("E")) return { kind: "new", code, parts: [places, type] };
    const initial = this.eat("pi") ? this.#list("E") : this.expression();
    return { kind: "new", code, parts: [places, type, initial] };
  }

  /** `<template-arg>` */
  templateArgument(): Node {
    return this.nested((): Node => {
      if (this.eat("X")) {
        const expression = this.expression();
        this.expect("E");
        return expression;
      }
      if (this.peek === "L") return this.primary();
      if (this.eat("J") || this.eat("I")) {
        const items: Node[] = [];
        while (!this.eat("E")) items.push(this.templateArgument());
        return { kind: "pack", items };
      }
      return this.type();
    });
  }

  /** `<expr-primary>`: a literal, or a function or variable by its mangled name. */
  primary(): Node {
    this.expect("L");
    if (this.eat("_Z") || this.eat("Z")) {
      const named = this.encoding(true);
      this.expect("E");
      return named;
    }
    const type = this.type();
    const value = this.match(/[^E]*/y) ?? "";
    this.expect("E");
    return { kind: "literal", type, value };
  }
}
