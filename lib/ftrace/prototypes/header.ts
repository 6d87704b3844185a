/**
 * Prototypes in a header, or in anything else that is C: what a preprocessor made of it, a source
 * with its functions' bodies.
 *
 * What cannot be read is passed over and told, with the file and line that line markers give it;
 * everything else is read all the same. What prototypes make of registers is `call_values.ts`.
 *
 * @module
 */
import { type Attributes, readAttributes } from "./attributes.ts";
import { Cursor, DeclarationFault } from "./cursor.ts";
import {
  type CCode,
  type CParameter,
  type CType,
  integerType,
  parameterType,
  sizeOf,
  whyUnsized,
} from "./ctype.ts";
import { DeclarationReader } from "./declarations.ts";
import { readSource, type SourceText } from "./directives.ts";
import type { HeaderFiles } from "./includes.ts";
import { HeaderScope } from "./scope.ts";
import { TOKEN } from "./tokens.ts";

/** The C prototype of a function, parsed. */
export interface Prototype {
  /** Name of the function's symbol. */
  readonly name: string;
  /** Type of the return value. */
  readonly returns: CType;
  /** The function's parameters; the name is empty where the prototype gives none. */
  readonly parameters: readonly CParameter[];
  /** Whether more arguments may follow. */
  readonly variadic: boolean;
}

/** A declaration that was passed over. */
export interface SkippedDeclaration {
  /** Name of the file, from line markers if there are any. */
  readonly file: string;
  /** Its line there, from 1. */
  readonly line: number;
  /** The declaration, or how it begins. */
  readonly text: string;
  /** What is wrong with it. */
  readonly reason: string;
  /** Whether the compiler is sure to come to it, or only if a name is defined that nobody knows. */
  readonly sure: boolean;
}

/** What a header declares. */
export interface Header {
  /** Its prototypes; of two with a name the last. */
  readonly prototypes: readonly Prototype[];
  /** What could not be read, in order. */
  readonly skipped: readonly SkippedDeclaration[];
  /** Headers that it includes and that were not found, each once, by the line that asks first. */
  readonly missing: readonly MissingHeader[];
}

/** A header that was not found. */
export interface MissingHeader {
  /** Its name as it is written, with quotes or angles. */
  readonly name: string;
  /** Name of the file that includes it. */
  readonly file: string;
  /** Its line there, from 1. */
  readonly line: number;
}

/** Most characters of a declaration that are shown of one that was passed over. */
const MOST_SHOWN = 72;

/**
 * Reads the prototypes in C text, with the types that they need. Never throws.
 *
 * @param file Path of the text, for what is passed over and for what it includes; line markers in it
 * give others.
 * @param files Where headers are that it includes; without, none are found.
 *
 * @example
 * ```ts
 * import { parseHeader } from "./header.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { prototypes, skipped } = parseHeader("int add(int a, int b); int g(what x);", "g.h");
 * assertEquals(prototypes.map(({ name }) => name), ["add"]);
 * assertEquals(skipped[0]!.line, 1);
 * ```
 */
export function parseHeader(text: string, file = "prototypes", files?: HeaderFiles): Header {
  return readHeader(text, file, files, new HeaderScope());
}

/** Does what {@linkcode parseHeader} does, with what others declared before, to which this adds. */
export function readHeader(
  text: string,
  file: string | undefined,
  files: HeaderFiles | undefined,
  scope: HeaderScope,
): Header {
  return new HeaderReader(readSource(text, file ?? "prototypes", scope.macros, files), scope)
    .read();
}

/**
 * Reads prototypes that a person wrote, with the enums and typedefs that they need.
 *
 * @example
 * ```ts
 * import { parsePrototypes } from "./header.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [add] = parsePrototypes("int add(int a, int b);");
 * assertEquals(add!.parameters.map(({ name }) => name), ["a", "b"]);
 * ```
 *
 * @throws {SyntaxError} For the first declaration that cannot be read, naming it.
 */
export function parsePrototypes(text: string): readonly Prototype[] {
  const { prototypes, skipped } = parseHeader(text);
  const [first] = skipped;
  if (first) {
    throw new SyntaxError(`Cannot read the prototype "${first.text}": ${first.reason}`);
  }
  return prototypes;
}

/** What was passed over as a line: `prog.h:12: skipped "int f(what x)": what is no type …`. */
export function skippedText({ file, line, text, reason }: SkippedDeclaration): string {
  return `${file}:${line}: skipped "${text}": ${reason}`;
}

/** A function that was declared, and where. */
interface Declared {
  readonly prototype: Prototype;
  readonly from: number;
}

class HeaderReader {
  readonly #source: SourceText;
  readonly #cursor: Cursor;
  readonly #reader: DeclarationReader;
  readonly #scope: HeaderScope;
  readonly #functions = new Map<string, Declared>();
  /** Names of types and functions that the compiler is sure to see declared. */
  readonly #sure = new Set<string>();
  readonly #skipped: (SkippedDeclaration & { readonly at: number })[] = [];
  /** Index of the first word of what is being read. */
  #from = 0;
  /** `extern "C" {` that are open. */
  #linkages = 0;

  constructor(source: SourceText, scope: HeaderScope) {
    this.#source = source;
    this.#scope = scope;
    this.#cursor = new Cursor(source.tokens, source.pairs);
    this.#reader = new DeclarationReader(
      scope,
      this.#cursor,
      source.packs,
      (from, why) => this.#skip(from, why),
    );
  }

  read(): Header {
    const cursor = this.#cursor;
    const { length } = this.#source.tokens.texts;
    while (cursor.at < length) {
      this.#from = cursor.at;
      // Nothing leads from a branch that may not be the compiler's into what surely is.
      cursor.end = this.#source.isSure(cursor.at) ? length : this.#source.sureUpTo(cursor.at);
      try {
        this.#external();
      } catch (error) {
        if (!(error instanceof DeclarationFault)) throw error;
        this.#skip(this.#from, error.message);
        this.#recover();
      }
    }
    for (const { offset, token } of this.#source.openComments) {
      this.#skipAt(token, offset, "/*", "a comment has no end");
    }
    const prototypes = [...this.#functions.values()].flatMap((each) => this.#whole(each));
    const skipped = this.#skipped.sort((a, b) => a.at - b.at)
      .map(({ file, line, text, reason, sure }) => ({ file, line, text, reason, sure }));
    return { prototypes, skipped, missing: this.#missing() };
  }

  #missing(): MissingHeader[] {
    const first = new Map<string, number>();
    for (const { written, offset } of this.#source.missing) {
      if (!first.has(written)) first.set(written, offset);
    }
    return [...first].map(([name, offset]) => ({ name, ...this.#source.locate(offset) }));
  }

  #skip(index: number, reason: string): void {
    const { texts, offsets } = this.#source.tokens;
    const from = Math.min(index, offsets.length - 1);
    const end = this.#endOf(from);
    let text = "";
    for (let at = from; at < end && text.length <= MOST_SHOWN; at++) {
      const isApart = at > from && offsets[at]! > offsets[at - 1]! + texts[at - 1]!.length;
      text += `${isApart || (at > from && offsets[at] === offsets[at - 1]) ? " " : ""}${texts[at]}`;
    }
    if (text.length > MOST_SHOWN) text = `${text.slice(0, MOST_SHOWN)}…`;
    this.#skipAt(from, offsets[from] ?? 0, text.replace(/\s*;$/, ""), reason);
  }

  #skipAt(at: number, offset: number, text: string, reason: string): void {
    const sure = this.#source.isSure(at);
    this.#skipped.push({ at, ...this.#source.locate(offset), text, reason, sure });
  }

  /** A declaration that is read, whatever comes of it. */
  #external(): void {
    const cursor = this.#cursor;
    if (cursor.take(";")) return;
    if (cursor.text === "}" && this.#linkages > 0) {
      cursor.next();
      this.#linkages--;
    } else if (this.#opensLinkage()) this.#linkages++;
    else if (/^(_Static_assert|static_assert|asm|__asm__|__asm)$/.test(cursor.text)) {
      cursor.next();
      while (cursor.isName()) cursor.next();
      cursor.skipGroup();
      cursor.take(";");
    } else this.#declaration();
  }

  /** Takes `extern "C" {`, which a word such as `__BEGIN_DECLS` may precede. */
  #opensLinkage(): boolean {
    const cursor = this.#cursor;
    const n = cursor.text !== "extern" && cursor.peek(1) === "extern" ? 1 : 0;
    const opens = cursor.peek(n) === "extern" && cursor.peek(n + 1).startsWith('"') &&
      cursor.peek(n + 2) === "{";
    if (opens) cursor.at += n + 3;
    return opens;
  }

  #declaration(): void {
    const cursor = this.#cursor;
    const { type: base, isTypedef, attributes } = this.#reader.specifiers();
    if (cursor.atEnd || cursor.take(";")) {
      // Words of macros may be all there is at the end: G_END_DECLS.
      if (
        base.kind !== "struct" && base.kind !== "union" && base.kind !== "enum" &&
        base.kind !== "unknown"
      ) cursor.refuse("a name is missing");
      return;
    }
    for (;;) {
      const { name, type, attributes: own } = this.#reader.declared(base, attributes);
      readAttributes(cursor, own, this.#reader);
      const isLast = this.#define(name, type, isTypedef, own);
      if (isLast || cursor.atEnd || cursor.take(";")) return;
      if (cursor.take("=")) {
        this.#skipInitialiser();
        if (cursor.atEnd || cursor.take(";")) return;
      }
      if (!cursor.take(",")) cursor.refuse("there is something left over behind it");
    }
  }

  /** Takes note of a name; true if it was a function with its body. */
  #define(
    name: string,
    type: CType,
    isTypedef: boolean,
    { symbol, align }: Attributes,
  ): boolean {
    const cursor = this.#cursor;
    if (name === "") cursor.refuse(isTypedef ? "the typedef has no name" : "a name is missing");
    if (isTypedef) {
      if (!this.#counts(`typedef ${name}`)) return false;
      const plain = type.kind === "integer" && type.text === "spelled"
        ? integerType(type.bytes, type.signed)
        : type;
      this.#reader.types.set(name, align === undefined ? plain : { ...plain, align });
      return false;
    }
    if (type.kind !== "code") {
      this.#scope.variables.set(name, type);
      return false;
    }
    const parameters = this.#oldStyle(type);
    const hasBody = cursor.text === "{";
    if (type.returns.kind === "unknown" && type.returns.name === "what it returns") {
      if (!hasBody) cursor.refuse(`${name} is declared without a type`);
      type = { ...type, returns: integerType(4, true) };
    }
    const prototype: Prototype = {
      name: symbol ?? name,
      returns: type.returns,
      parameters: parameters ?? type.parameters,
      variadic: type.variadic,
    };
    if (this.#counts(prototype.name)) {
      this.#functions.set(prototype.name, { prototype, from: this.#from });
      this.#scope.variables.set(name, type);
    }
    if (hasBody) cursor.skipGroup();
    return hasBody;
  }

  /** Whether what is being read declares a name, or only a branch that may not be the compiler's. */
  #counts(name: string): boolean {
    const isSure = this.#source.isSure(this.#from);
    if (isSure) this.#sure.add(name);
    return isSure || !this.#sure.has(name);
  }

  /** Parameters that are declared behind their list, as in `int f(a, b) char *b; {`. */
  #oldStyle({ parameters }: CCode): CParameter[] | undefined {
    const cursor = this.#cursor;
    const isOld = parameters.length > 0 &&
      parameters.every(({ name, type }) => name === "" && type.kind === "unknown");
    if (!isOld || (cursor.text !== "{" && !cursor.isName())) return undefined;
    const types = new Map<string, CType>();
    while (cursor.isName()) {
      const { type: base, attributes } = this.#reader.specifiers();
      do {
        const { name, type } = this.#reader.declared(base, attributes);
        // What is passed of a float is a double.
        const promoted: CType = type.kind === "float" && type.bytes === 4
          ? { kind: "float", bytes: 8 }
          : parameterType(type);
        types.set(name, promoted);
      } while (cursor.take(","));
      cursor.expect(";");
    }
    return parameters.map(({ type }) => {
      const { name } = type as Extract<CType, { kind: "unknown" }>;
      return { name, type: types.get(name) ?? integerType(4, true) };
    });
  }

  #skipInitialiser(): void {
    const cursor = this.#cursor;
    while (!cursor.atEnd && !/^[,;}]$/.test(cursor.text)) {
      if (/^[([{]$/.test(cursor.text) && cursor.kind === TOKEN.punctuation) cursor.skipGroup();
      else cursor.next();
    }
  }

  /** Goes behind the declaration that could not be read. */
  #recover(): void {
    const cursor = this.#cursor;
    cursor.at = Math.max(Math.min(this.#endOf(this.#from), cursor.end), this.#from + 1);
  }

  /** Index behind the declaration that begins at a word, as far as brackets tell. */
  #endOf(from: number): number {
    const { tokens: { texts, kinds }, pairs } = this.#source;
    for (let at = from; at < texts.length; at++) {
      if (kinds[at] !== TOKEN.punctuation) continue;
      const text = texts[at]!;
      if (text === ";") return at + 1;
      if (text === "}") return at + 1;
      const pair = pairs[at]!;
      if (pair < at) continue;
      const isBody = text === "{" &&
        (texts[at - 1] === ")" || !/^[\w;,*[(=]/.test(texts[pair + 1] ?? ""));
      at = pair;
      if (isBody) return at + 1;
    }
    return texts.length;
  }

  /** The prototype, if every value that it passes has a size. */
  #whole({ prototype, from }: Declared): Prototype[] {
    const { returns, parameters } = prototype;
    const types = returns.kind === "void" ? [] : [returns];
    for (const type of [...types, ...parameters.map(({ type }) => type)]) {
      if (sizeOf(type) !== undefined) continue;
      this.#skip(from, whyUnsized(type));
      return [];
    }
    return [prototype];
  }
}
