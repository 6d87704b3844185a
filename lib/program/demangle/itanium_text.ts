/**
 * The text of a C++ name, as binutils' `c++filt` prints it.
 *
 * A declarator is written around what it declares, as in C, so each type has a left and a right
 * half. Template parameters are replaced by their arguments here, since a conversion may name one
 * before its arguments are known; and a pack is written once an argument.
 *
 * Expressions are printed by the class built on this one, `itanium_expression_text.ts`.
 *
 * @module
 */
import type { Encoding, FunctionType, Node } from "./itanium_nodes.ts";
import { Unreadable } from "./mangled_text.ts";

/** What a name is printed with. */
export interface TextOptions {
  /** Whether `std::string` of the old ABI and the like are written in full. */
  readonly isVerbose: boolean;
}

/** Characters of the longest text; a mangled name of a hundred bytes can stand for a gigabyte. */
const LONGEST = 1 << 16;
/** Parts of a tree that are printed at most: empty packs take no text, and go on as well. */
const MOST_PARTS = 1 << 17;
const DEEPEST = 1000;

type Of<Kind extends Node["kind"]> = Extract<Node, { readonly kind: Kind }>;

/** Writes the text of trees, one after another. */
export abstract class TypeWriter {
  /** What has been written. */
  protected out = "";
  /** Which item of a pack is being written. */
  protected packIndex: number | undefined;
  readonly #options: TextOptions;
  #inLambda = false;
  #parts = 0;
  #depth = 0;

  /** Starts with nothing. */
  constructor(options: TextOptions) {
    this.#options = options;
  }

  /** Writes an expression. */
  protected abstract writeExpression(node: Node): void;

  /** The text of a whole name. @throws {Unreadable} If it is too long, or names what is not there. */
  text(node: Node): string {
    this.out = "";
    this.write(node);
    return this.out;
  }

  /** Writes a node, both halves of it. */
  protected write(node: Node): void {
    this.left(node);
    this.right(node);
  }

  /** Adds text. */
  protected put(text: string): void {
    this.out += text;
    if (this.out.length > LONGEST) throw new Unreadable();
  }

  /** Runs `write` one level deeper. */
  #within(write: () => void): void {
    if (++this.#parts > MOST_PARTS || ++this.#depth > DEEPEST) throw new Unreadable();
    write();
    this.#depth--;
  }

  /**
   * Writes items with commas; an item that is an empty pack takes its comma along. Gives whether
   * the last one did, which c++filt takes for a blank.
   */
  protected list(items: readonly Node[]): boolean {
    let dropped = false;
    items.forEach((item, index) => {
      const before = this.out;
      if (index > 0) this.put(", ");
      const start = this.out.length;
      this.write(item);
      dropped = index > 0 && this.out.length === start;
      if (dropped) this.out = before;
    });
    return dropped;
  }

  /** What a template parameter stands for where it is written; other nodes are themselves. */
  protected resolve(node: Node): Node {
    let found = node;
    for (let steps = 0; found.kind === "parameter" && !this.#inLambda; steps++) {
      if (steps > DEEPEST) throw new Unreadable();
      const argument: Node | undefined = found.scope.args?.[found.index];
      if (!argument) throw new Unreadable();
      if (argument.kind !== "pack" || this.packIndex === undefined) found = argument;
      else found = argument.items[this.packIndex] ?? this.#missing();
    }
    return found;
  }

  #missing(): never {
    throw new Unreadable();
  }

  /** Writes what stands in front of the name that a type declares. */
  protected left(node: Node): void {
    this.#within(() => this.#left(node));
  }

  #left(node: Node): void {
    switch (node.kind) {
      case "builtin":
      case "text":
        return this.put(node.text);
      case "parameter":
      case "pack": {
        const argument = this.resolve(node);
        if (argument.kind === "parameter") return this.put(`auto:${argument.index + 1}`);
        if (argument.kind === "pack") return void this.list(argument.items);
        return this.left(argument);
      }
      case "function":
        if (node.result) this.left(node.result);
        if (node.result) this.put(" ");
        return;
      case "pointer":
        return this.#pointerLeft(node);
      case "qualifier": {
        this.left(node.of);
        if (this.#isFunction(node.of)) return;
        return this.#hasQualifier(node.of, node.text) ? undefined : this.put(node.text);
      }
      case "member": {
        this.left(node.of);
        this.put(this.#wraps(node.of) ? this.#opening() : " ");
        this.write(node.class);
        return this.put("::*");
      }
      case "array":
        return this.left(node.of);
      case "vector":
        this.left(node.of);
        this.put(" __vector(");
        this.write(node.size);
        return this.put(")");
      case "decltype":
        this.put("decltype (");
        this.write(node.of);
        return this.put(")");
      case "expansion":
        return this.#expansion(node);
      case "noexcept":
      case "throws":
        return this.#exceptions(node);
      default:
        return this.#name(node);
    }
  }

  /** Whether a qualifier is there already, so that it says nothing. */
  #hasQualifier(node: Node, text: string): boolean {
    let inner = this.resolve(node);
    while (inner.kind === "qualifier") {
      if (inner.text === text) return true;
      inner = this.resolve(inner.of);
    }
    return false;
  }

  #isFunction(node: Node): boolean {
    const inner = this.resolve(node);
    return inner.kind === "function" || (inner.kind === "qualifier" && this.#isFunction(inner.of));
  }

  /** Whether a declarator around a type needs parentheses. */
  #wraps(node: Node): boolean {
    const inner = this.resolve(node);
    if (inner.kind === "qualifier") return this.#wraps(inner.of);
    return inner.kind === "function" || inner.kind === "array";
  }

  #opening(): string {
    return /[ (*&]$/.test(this.out) ? "(" : " (";
  }

  /** What a reference or pointer is to, and with what mark: of two references one is left. */
  #collapsed(node: Of<"pointer">): { readonly mark: string; readonly to: Node } {
    let { mark } = node;
    let to = this.resolve(node.to);
    while (mark !== "*" && to.kind === "pointer" && to.mark !== "*") {
      if (to.mark === "&") mark = "&";
      to = this.resolve(to.to);
    }
    return { mark, to: to.kind === "pack" ? node.to : to };
  }

  #pointerLeft(node: Of<"pointer">): void {
    const { mark, to } = this.#collapsed(node);
    this.left(to);
    if (this.#wraps(to)) this.put(this.#opening());
    this.put(mark);
  }

  /** Writes what stands behind the name that a type declares. */
  protected right(node: Node): void {
    this.#within(() => this.#right(node));
  }

  #right(node: Node): void {
    switch (node.kind) {
      case "parameter":
      case "pack": {
        const argument = this.resolve(node);
        if (argument.kind === "pack" || argument.kind === "parameter") return;
        return this.right(argument);
      }
      case "function":
        return this.signature(node);
      case "pointer": {
        const { to } = this.#collapsed(node);
        if (this.#wraps(to)) this.put(")");
        return this.right(to);
      }
      case "member":
        if (this.#wraps(node.of)) this.put(")");
        return this.right(node.of);
      case "qualifier":
        this.right(node.of);
        if (this.#isFunction(node.of)) this.put(node.text);
        return;
      case "array":
        this.put(this.out.endsWith("]") ? "[" : " [");
        if (node.size) this.write(node.size);
        this.put("]");
        return this.right(node.of);
    }
  }

  /** Writes parameters, and what stands behind them. */
  protected signature({ result, parameters, qualifiers }: FunctionType): void {
    this.put("(");
    this.list(parameters);
    this.put(")");
    for (const each of qualifiers) {
      this.put(" ");
      this.write(each);
    }
    if (result) this.right(result);
  }

  #exceptions(node: Of<"noexcept"> | Of<"throws">): void {
    if (node.kind === "throws") {
      this.put("throw(");
      this.list(node.types);
      return this.put(")");
    }
    this.put("noexcept");
    if (!node.of) return;
    this.put("(");
    this.write(node.of);
    this.put(")");
  }

  /** A pattern, once for each item of the pack that it names. */
  #expansion({ of }: Of<"expansion">): void {
    const pack = this.findPack(of, 0);
    if (!pack) {
      this.write(of);
      return this.put("...");
    }
    const outer = this.packIndex;
    let isFirst = true;
    for (let index = 0; index < pack.length; index++) {
      this.packIndex = index;
      if (!isFirst) this.put(", ");
      isFirst = false;
      this.write(of);
    }
    this.packIndex = outer;
  }

  /** The items of the first pack in a pattern. */
  protected findPack(node: Node, depth: number): readonly Node[] | undefined {
    if (depth > 64) throw new Unreadable();
    if (node.kind === "parameter") {
      if (this.#inLambda) return undefined;
      const argument = node.scope.args?.[node.index];
      return argument?.kind === "pack" ? argument.items : undefined;
    }
    if (node.kind === "pack") return node.items;
    if (node.kind === "lambda" || node.kind === "name") return undefined;
    for (const value of Object.values(node)) {
      for (const part of Array.isArray(value) ? value : [value]) {
        if (typeof part !== "object" || part === null || !("kind" in part)) continue;
        const found = this.findPack(part as Node, depth + 1);
        if (found) return found;
      }
    }
    return undefined;
  }

  // ---- names

  #name(node: Node): void {
    switch (node.kind) {
      case "name":
        return this.put(this.#options.isVerbose ? node.full ?? node.text : node.text);
      case "qualified":
      case "local":
        this.write(node.kind === "local" ? node.function : node.left);
        this.put("::");
        return this.write(node.kind === "local" ? node.entity : node.right);
      case "template":
        this.write(node.name);
        return this.templateArguments(node.args);
      case "tagged":
        this.write(node.name);
        return this.put(`[abi:${node.tag}]`);
      case "structor":
        if (node.isDestructor) this.put("~");
        return this.#baseName(node.of);
      case "operator": {
        const text = node.text.trimEnd();
        return this.put(/^[a-z]/.test(text) ? `operator ${text}` : `operator${text}`);
      }
      case "literal_operator":
        this.put('operator"" ');
        return this.write(node.name);
      case "conversion":
        this.put("operator ");
        return this.write(node.type);
      case "binding":
        this.put("[");
        this.list(node.names);
        return this.put("]");
      case "lambda":
        return this.#lambda(node);
      case "special":
        this.put(node.text);
        this.write(node.of);
        if (!node.more) return;
        this.put(node.more.text);
        return this.write(node.more.of);
      case "encoding":
        return this.#encoding(node);
      default:
        return this.writeExpression(node);
    }
  }

  /** Writes <…>, with a blank between two closing brackets. */
  protected templateArguments(args: readonly Node[]): void {
    if (this.out.endsWith("<")) this.put(" ");
    this.put("<");
    const dropped = this.list(args);
    this.put(this.out.endsWith(">") && !dropped ? " >" : ">");
  }

  #encoding({ name, type, qualifiers }: Encoding): void {
    const { result } = type;
    if (result) {
      this.left(result);
      if (!/[ (*&]$/.test(this.out) || !this.#wrapsInside(result)) this.put(" ");
    }
    this.write(name);
    this.signature({ ...type, result: undefined });
    this.put(qualifiers);
    if (result) this.right(result);
  }

  #wrapsInside(node: Node): boolean {
    const inner = this.resolve(node);
    if (inner.kind === "qualifier") return this.#wrapsInside(inner.of);
    if (inner.kind === "member") return this.#wraps(inner.of);
    return inner.kind === "pointer" && (this.#wraps(inner.to) || this.#wrapsInside(inner.to));
  }

  /** A lambda, whose template parameters are those that it calls auto. */
  #lambda({ parameters, number }: Of<"lambda">): void {
    const outer = this.#inLambda;
    this.#inLambda = true;
    this.put("{lambda(");
    this.list(parameters);
    this.put(`)#${number}}`);
    this.#inLambda = outer;
  }

  /** A class's own name, as its constructors have it. */
  #baseName(node: Node): void {
    switch (node.kind) {
      case "qualified":
        return this.#baseName(node.right);
      case "local":
        return this.#baseName(node.entity);
      case "template":
      case "tagged":
        return this.#baseName(node.name);
      case "name": {
        const plain = (node.full ?? node.text).replace(/<.*/, "");
        return this.put(plain.slice(plain.lastIndexOf(":") + 1));
      }
      case "parameter":
        return this.#baseName(this.resolve(node));
      default:
        return this.write(node);
    }
  }
}
