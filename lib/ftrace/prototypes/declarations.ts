/**
 * Specifiers and declarators: what stands before a declared name, around it and behind it.
 *
 * Headers are full of words that macros of other files stand for (`LUA_API`, `__THROW`,
 * `OF((int))`), which are passed over here. Those that may be types are `unknown_words.ts`, whole
 * declarations `header.ts`.
 *
 * @module
 */
import {
  ATTRIBUTE_WORDS,
  attributedType,
  type Attributes,
  noAttributes,
  readAttributes,
} from "./attributes.ts";
import { BASIC_WORDS, basicType } from "./basic_types.ts";
import type { Cursor } from "./cursor.ts";
import {
  alignOf,
  type CParameter,
  type CType,
  integerType,
  parameterType,
  pointerTo,
  sizeOf,
} from "./ctype.ts";
import { readConstant, type TypeMeasures } from "./expression.ts";
import { type MemberReader, readOffsetOf, type Records } from "./records.ts";
import type { HeaderScope } from "./scope.ts";
import { type TypeReader, unknownWord } from "./unknown_words.ts";
import { declaredWord, endsName, IGNORED, isMacroWord, TAGGED, TYPEOF } from "./words.ts";

/** What stands before declared names. */
export interface Specifiers {
  /** The type, before pointers and brackets. */
  readonly type: CType;
  /** Whether the names are of types. */
  readonly isTypedef: boolean;
  /** Attributes of all that is declared. */
  readonly attributes: Attributes;
}

/** What a declarator makes of a type, from the type on. */
type Modifier =
  | { readonly kind: "pointer" }
  | { readonly kind: "array"; readonly count: number | undefined }
  | {
    readonly kind: "code";
    readonly parameters: readonly CParameter[];
    readonly variadic: boolean;
  };

/** A name and how it is declared. */
interface Declarator {
  name: string;
  readonly modifiers: Modifier[];
  readonly attributes: Attributes;
}

/** Reads types and names at a cursor. */
export class DeclarationReader implements MemberReader, TypeReader {
  /** Types by name. */
  readonly types: Map<string, CType>;
  readonly #variables: ReadonlyMap<string, CType>;
  readonly #records: Records;
  readonly #cursor: Cursor;
  readonly #packs: readonly { readonly token: number; readonly most: number }[];
  readonly #skipped: (from: number, why: string) => void;

  /** Reads at `cursor`; `skipped` is told of members that are passed over. */
  constructor(
    { types, variables, records }: HeaderScope,
    cursor: Cursor,
    packs: readonly { readonly token: number; readonly most: number }[],
    skipped: (from: number, why: string) => void,
  ) {
    [this.types, this.#variables, this.#records] = [types, variables, records];
    this.#cursor = cursor;
    this.#packs = packs;
    this.#skipped = skipped;
  }

  /** See {@linkcode MemberReader.skipped}. */
  skipped(from: number, why: string): void {
    this.#skipped(from, why);
  }

  /** See {@linkcode MemberReader.packed}. */
  get packed(): number {
    const { at } = this.#cursor;
    return this.#packs.findLast(({ token }) => token <= at)?.most ?? 0;
  }

  /** See {@linkcode MemberReader.constant}. */
  constant(name: string): bigint | undefined {
    return this.#records.constant(name);
  }

  /** Whether a type begins at the cursor. */
  beginsType(): boolean {
    const { text } = this.#cursor;
    return this.#cursor.isName() && this.isTypeWord(text) ||
      text === "[" && this.#cursor.peek(1) === "[";
  }

  /** See {@linkcode MemberReader.measures}. */
  measures(): TypeMeasures {
    const type = this.typeName();
    return {
      size: sizeOf(type),
      align: alignOf(type),
      signed: type.kind === "integer" || type.kind === "enum"
        ? type.signed
        : type.kind === "pointer"
        ? false
        : undefined,
    };
  }

  /** See {@linkcode MemberReader.offsetOf}. */
  offsetOf(): bigint | undefined {
    return readOffsetOf(this.#cursor, () => this.typeName());
  }

  /** Reads a type without a name. */
  typeName(): CType {
    const { type, attributes } = this.specifiers();
    return this.declared(type, attributes).type;
  }

  /** Reads what stands before names. */
  specifiers(): Specifiers {
    return this.#cursor.nested(() => this.#specifiers());
  }

  #specifiers(): Specifiers {
    const cursor = this.#cursor;
    const attributes = noAttributes();
    const words: string[] = [];
    let type: CType | undefined;
    let isTypedef = false;
    for (;;) {
      if (readAttributes(cursor, attributes, this)) continue;
      if (!cursor.isName()) break;
      const { text } = cursor;
      if (IGNORED.has(text)) {
        cursor.next();
        if (text === "extern" && cursor.text.startsWith('"')) cursor.next();
      } else if (text === "typedef") {
        cursor.next();
        isTypedef = true;
      } else if (text === "_Atomic" && cursor.peek(1) !== "(") cursor.next();
      else if (type) break;
      else if (BASIC_WORDS.has(text) || (text === "complex" && words.length > 0)) {
        words.push(cursor.next());
      } else if (text === "_BitInt") type = this.#bitInt(!words.includes("unsigned"));
      else if (words.length > 0) break;
      else {
        const found = this.#typeWord(text);
        if (found === "none") break;
        if (found !== "passed") type = found;
      }
    }
    type ??= words.length > 0 ? basicType(words) : undefined;
    return { type: type ?? this.#implicitInt(), isTypedef, attributes };
  }

  /** A declaration without a type is one of a function, as it was before 1999. */
  #implicitInt(): CType {
    const cursor = this.#cursor;
    const isDefined = cursor.isName() && cursor.peek(1) === "(" && cursor.partner(1) >= 0;
    if (!isDefined) {
      cursor.refuse(cursor.atEnd ? "a type is missing" : `${cursor.text} begins no declaration`);
    }
    return { kind: "unknown", name: "what it returns" };
  }

  /** Takes a type of several words or a name. */
  #typeWord(text: string): CType | "none" | "passed" {
    const cursor = this.#cursor;
    if (text === "enum") {
      cursor.next();
      return this.#records.enumeration(cursor, this);
    }
    if (text === "struct" || text === "union") {
      cursor.next();
      return this.#records.struct(text, cursor, this);
    }
    if (TYPEOF.has(text) || text === "_Atomic") return this.#typeOf();
    const known = this.types.get(text);
    if (known) {
      cursor.next();
      return known;
    }
    return unknownWord(cursor, this);
  }

  #typeOf(): CType {
    const cursor = this.#cursor;
    const word = cursor.next();
    const close = cursor.partner();
    cursor.expect("(");
    if (close < 0) cursor.refuse('"(" is not closed');
    const type = this.beginsType() ? this.typeName() : this.#typeOfExpression(close);
    if (cursor.at !== close) cursor.refuse(`what is in ${word} is no type`);
    cursor.next();
    return type;
  }

  /** The type of a name, a number or a sizeof; other expressions have one that nobody knows. */
  #typeOfExpression(close: number): CType {
    const cursor = this.#cursor;
    const { text } = cursor;
    const isOne = cursor.at + 1 === close;
    cursor.at = close;
    if (/^(sizeof|_Alignof|__alignof__)$/.test(text)) return integerType(8, false);
    if (isOne && /^\d+$/.test(text)) return integerType(4, true);
    return (isOne ? this.#variables.get(text) : undefined) ?? { kind: "unknown", name: "typeof" };
  }

  /** `_BitInt(37)`; its sign may stand before it or behind. */
  #bitInt(signed: boolean): CType {
    const cursor = this.#cursor;
    cursor.next();
    cursor.expect("(");
    const bits = Number(readConstant(cursor, this) ?? 0n);
    cursor.expect(")");
    const bytes = [1, 2, 4, 8, 16].find((each) => bits <= 8 * each);
    if (bytes === undefined || bits < 1) return { kind: "unknown", name: `_BitInt(${bits})` };
    const isUnsigned = cursor.take("unsigned") || !signed;
    return integerType(bytes, !isUnsigned);
  }

  /** See {@linkcode TypeReader.isTypeWord}. */
  isTypeWord(text: string): boolean {
    return BASIC_WORDS.has(text) || TAGGED.has(text) || IGNORED.has(text) || TYPEOF.has(text) ||
      ATTRIBUTE_WORDS.has(text) || text === "typedef" || text === "_Atomic" ||
      text === "_BitInt" || this.types.has(text);
  }

  /** Reads one name, or none, and what it makes of `base`. */
  declared(
    base: CType,
    around: Attributes,
  ): { readonly name: string; readonly type: CType; readonly attributes: Attributes } {
    const { name, modifiers, attributes } = this.#declarator();
    const own: Attributes = {
      ...attributes,
      packed: attributes.packed || around.packed,
      align: attributes.align ?? around.align,
      mode: attributes.mode ?? around.mode,
      vector: attributes.vector ?? around.vector,
    };
    let type = attributedType(base, { ...own, align: undefined });
    for (const modifier of modifiers) {
      if (modifier.kind === "pointer") type = pointerTo(type);
      else if (modifier.kind === "array") type = { kind: "array", of: type, count: modifier.count };
      else type = { ...modifier, returns: type };
    }
    return { name, type, attributes: own };
  }

  #declarator(): Declarator {
    return this.#cursor.nested(() => {
      const cursor = this.#cursor;
      const attributes = noAttributes();
      const modifiers: Modifier[] = [];
      for (;;) {
        if (cursor.take("*") || cursor.take("^")) modifiers.push({ kind: "pointer" });
        else if (IGNORED.has(cursor.text) || cursor.text === "_Atomic") cursor.next();
        else if (cursor.isName() && cursor.peek(1) === "*") cursor.next();
        else if (!readAttributes(cursor, attributes, this)) break;
      }
      const { name, inner, macro } = this.#direct();
      const suffixes: Modifier[] = macro ? [macro] : [];
      this.#suffixes(suffixes, attributes);
      modifiers.push(...suffixes.reverse());
      if (inner) {
        modifiers.push(...inner.modifiers);
        for (const key of Object.keys(attributes) as (keyof Attributes)[]) {
          if (!attributes[key]) Object.assign(attributes, { [key]: inner.attributes[key] });
        }
        if (inner.name !== "") return { name: inner.name, modifiers, attributes };
      }
      return { name, modifiers, attributes };
    });
  }

  /** The name, or a declarator in parentheses. */
  #direct(): {
    readonly name: string;
    readonly inner?: Declarator;
    readonly macro?: Modifier;
  } {
    const cursor = this.#cursor;
    if (cursor.text === "(") {
      const close = cursor.partner();
      if (close < 0) cursor.refuse('")" is missing');
      cursor.next();
      const isParameters = /^(\)|\.\.\.)$/.test(cursor.peek(0)) ||
        (this.beginsType() && !ATTRIBUTE_WORDS.has(cursor.text) && !IGNORED.has(cursor.text));
      if (isParameters) {
        cursor.at--;
        return { name: "" };
      }
      const inner = this.#declarator();
      if (cursor.at !== close) cursor.refuse('")" is missing');
      cursor.next();
      return { name: "", inner };
    }
    if (!cursor.isName()) return { name: "" };
    return this.#name();
  }

  /** The declared one of several words. */
  #name(): { readonly name: string; readonly macro?: Modifier } {
    const cursor = this.#cursor;
    let count = 0;
    while (cursor.isName(count) && !endsName(cursor.peek(count))) count++;
    if (count === 0) return { name: "" };
    const words = Array.from({ length: count }, (_, n) => cursor.peek(n));
    const chosen = declaredWord(
      words,
      (n) => cursor.peek(n + 1) === "(" && cursor.peek(n + 2) !== "(",
    );
    cursor.at += chosen + 1;
    const name = words[chosen]!;
    const close = cursor.partner();
    if (cursor.text !== "(" || close < 0) return { name };
    const behind = close + 1 - cursor.at;
    const leadsOn = isMacroWord(name) && cursor.isName(behind) && !endsName(cursor.peek(behind)) &&
      !isMacroWord(cursor.peek(behind)) && cursor.peek(behind + 1) === "(";
    if (leadsOn) {
      // ALLOC_SIZE(n) name
      cursor.at = close + 1;
      return this.#name();
    }
    // BZ_API(name)(…)
    const isName = cursor.isName(1);
    if (
      isName && close === cursor.at + 2 && cursor.peek(3) === "(" &&
      !this.isTypeWord(cursor.peek(1))
    ) {
      cursor.next();
      const inner = cursor.next();
      cursor.next();
      return { name: inner };
    }
    // __REDIRECT (name, (…), symbol)
    const isRedirected = isName && cursor.peek(2) === "," && cursor.peek(3) === "(";
    return isRedirected ? this.#redirected(close) : { name };
  }

  #redirected(close: number): { readonly name: string; readonly macro: Modifier } {
    const cursor = this.#cursor;
    const name = cursor.peek(1);
    cursor.at += 3;
    const macro = this.#parameters();
    const symbol = cursor.take(",") && cursor.isName() && cursor.at + 1 === close
      ? cursor.next()
      : name;
    cursor.at = close + 1;
    return { name: symbol, macro };
  }

  /** Reads brackets, parameters, and words of macros behind a name. */
  #suffixes(to: Modifier[], attributes: Attributes): void {
    const cursor = this.#cursor;
    for (;;) {
      const isCode = to.some(({ kind }) => kind === "code");
      if (readAttributes(cursor, attributes, this)) continue;
      if (cursor.text === "[") to.push(this.#array());
      else if (cursor.text === "(") to.push(this.#parameters());
      else if (!cursor.isName() || this.beginsType()) return;
      else if (cursor.peek(1) !== "(") cursor.next();
      else {
        cursor.next();
        const isWrapped = !isCode && cursor.peek(1) === "(" &&
          cursor.partner(1) + 1 === cursor.partner();
        if (isWrapped) {
          cursor.next();
          to.push(this.#parameters());
          cursor.expect(")");
        } else cursor.skipGroup();
      }
    }
  }

  #array(): Modifier {
    const cursor = this.#cursor;
    const close = cursor.partner();
    if (close < 0) cursor.refuse('"]" is missing');
    cursor.next();
    while (IGNORED.has(cursor.text)) cursor.next();
    let count: bigint | undefined;
    if (cursor.at < close && !(cursor.text === "*" && cursor.at + 1 === close)) {
      count = readConstant(cursor, this);
      if (cursor.at !== close) count = undefined;
    }
    cursor.at = close + 1;
    const isKnown = count !== undefined && count >= 0n && count <= 0x7fffffffn;
    return { kind: "array", count: isKnown ? Number(count) : undefined };
  }

  #parameters(): Modifier {
    const cursor = this.#cursor;
    const close = cursor.partner();
    if (close < 0) cursor.refuse('")" is missing');
    cursor.next();
    const parameters: CParameter[] = [];
    let variadic = false;
    while (cursor.at < close) {
      if (cursor.take("...")) variadic = true;
      else {
        const { type: base, attributes } = this.specifiers();
        const { name, type } = this.declared(base, attributes);
        parameters.push({ name, type: parameterType(type) });
      }
      if (!cursor.take(",") && cursor.at !== close) cursor.refuse('")" is missing');
    }
    cursor.at = close + 1;
    const isVoid = parameters.length === 1 && parameters[0]!.type.kind === "void";
    if (!isVoid && parameters.some(({ type }) => type.kind === "void")) {
      cursor.refuse("void is no type of a parameter");
    }
    return { kind: "code", parameters: isVoid ? [] : parameters, variadic };
  }
}
