/**
 * C text with its preprocessor's lines: line markers, conditions, macros, included headers,
 * `#pragma pack`. What comes out is words, as a compiler would get them, each with its place.
 *
 * Nothing is an error: an unknown line is passed over, a header that is not found is told, a macro's
 * call without an end stays as it is written.
 *
 * Which branches are read is `conditions.ts`, how names are replaced `expansion.ts`, words
 * `tokens.ts`.
 *
 * @module
 */
import { CONDITIONAL, type ConditionHost, Conditions } from "./conditions.ts";
import { Expansion, type WordSource } from "./expansion.ts";
import { type HeaderFiles, Includes } from "./includes.ts";
import { type Macro, type MacroWord, macroWordsOf, readDefine, wordsOf } from "./macros.ts";
import { countWhile, type Place, Places } from "./places.ts";
import {
  endOfComment,
  endOfLine,
  noTokens,
  openComment,
  pairBrackets,
  pushToken,
  scanToken,
  skipBlanks,
  TOKEN,
  type Tokens,
} from "./tokens.ts";

/** Words of a text, with what the preprocessor's lines say of them. */
export interface SourceText {
  /** Its words, macros replaced and headers included. */
  readonly tokens: Tokens;
  /** The partner of each bracket, or −1. */
  readonly pairs: Int32Array;
  /** `#pragma pack` by the word that it stands before: most bytes of alignment, 0 for all. */
  readonly packs: readonly { readonly token: number; readonly most: number }[];
  /** Whether the compiler is sure to read a word: no name that nobody knows was asked for. */
  isSure(token: number): boolean;
  /** The first word behind a word of which that is not as it is of that one. */
  sureUpTo(token: number): number;
  /** Where an offset of a word is. */
  locate(offset: number): Place;
  /** Comments that have no end: their offsets, and the words that they stand before. */
  readonly openComments: readonly { readonly offset: number; readonly token: number }[];
  /** Headers that were not found, as they are written, and the offsets of the lines that ask. */
  readonly missing: readonly { readonly written: string; readonly offset: number }[];
}

/** How deep headers include headers, as in gcc. */
const MOST_INCLUDED = 200;
/** Characters of all headers that are read: one that includes itself twice would never end. */
const MOST_CHARACTERS = 1 << 26;

/**
 * Takes a text apart into words.
 *
 * @param file Its name until a line marker gives another.
 * @param macros Macros that are defined; those of the text are added.
 */
export function readSource(
  text: string,
  file: string,
  macros: Map<string, Macro>,
  files?: HeaderFiles,
): SourceText {
  return new Reader(macros, files).read(text, file);
}

class Reader implements ConditionHost {
  readonly macros: Map<string, Macro>;
  readonly expansion: Expansion;
  readonly #includes: Includes;
  readonly #conditions = new Conditions(this);
  readonly #tokens = noTokens();
  readonly #places = new Places();
  readonly #packs: { token: number; most: number }[] = [];
  readonly #packStack: number[] = [];
  readonly #openComments: { offset: number; token: number }[] = [];
  readonly #missing: { written: string; offset: number }[] = [];
  /** Headers that are read once only. */
  readonly #once = new Set<string>();
  /** Words at which it changes whether the compiler is sure to read; it is, to begin with. */
  readonly #changes: number[] = [];
  /** The text that is being read, and where it begins. */
  #text = "";
  #base = 0;
  #included = 0;
  #characters = 0;
  /** Whether the arguments of a macro are being read. */
  #inCall = false;
  /** Open brackets and braces at the end of the words so far, those of `extern "C" {` left out. */
  #depth = 0;

  constructor(macros: Map<string, Macro>, files: HeaderFiles | undefined) {
    this.macros = macros;
    this.expansion = new Expansion(macros);
    this.#includes = new Includes(files);
  }

  read(text: string, file: string): SourceText {
    this.#file(text, file);
    const changes = this.#changes;
    const changed = (token: number) => countWhile(changes.length, (n) => changes[n]! <= token);
    return {
      tokens: this.#tokens,
      pairs: pairBrackets(this.#tokens),
      packs: this.#packs,
      isSure: (token) => changed(token) % 2 === 0,
      sureUpTo: (token) => changes[changed(token)] ?? this.#tokens.texts.length,
      locate: (offset) => this.#places.locate(offset),
      openComments: this.#openComments,
      missing: this.#missing,
    };
  }

  /** Reads a text from its beginning to its end. */
  #file(text: string, file: string): void {
    const [outerText, outerBase] = [this.#text, this.#base];
    this.#text = text;
    this.#base = this.#places.add(text, file);
    this.#conditions.inFile(() => {
      for (let at = this.#skipBlanks(0); at < text.length; at = this.#skipBlanks(at)) {
        at = beginsDirective(text, at) ? this.#directive(at) : this.#word(at);
      }
    });
    this.#noteCertainty();
    [this.#text, this.#base] = [outerText, outerBase];
  }

  #skipBlanks(from: number): number {
    const text = this.#text;
    const at = skipBlanks(text, from);
    const open = at === text.length ? openComment(text, from) : undefined;
    if (open !== undefined) {
      this.#openComments.push({ offset: this.#base + open, token: this.#tokens.texts.length });
    }
    return at;
  }

  #word(at: number): number {
    const tokens = this.#tokens;
    const before = tokens.texts.length;
    const end = scanToken(this.#text, at, tokens);
    const offset = tokens.offsets[before]! += this.#base;
    const kind = tokens.kinds[before];
    const text = tokens.texts[before]!;
    if (kind === TOKEN.punctuation) this.#count(text, before);
    if (kind !== TOKEN.name || !(text === "_Pragma" || this.macros.has(text))) return end;
    tokens.texts.length = tokens.kinds.length = tokens.offsets.length = before;
    return this.#expand(text, offset, end);
  }

  /** Replaces a name; gives where its arguments end. */
  #expand(name: string, offset: number, end: number): number {
    const source = new TextWords(
      this.#text,
      end,
      (at) => this.#directive(at, true),
      () => this.#conditions.mark(),
    );
    this.#inCall = true;
    const words = this.expansion.name(name, source);
    this.#inCall = false;
    this.#noteCertainty();
    for (let k = 0; k < words.length; k++) {
      const { text, kind } = words[k]!;
      const pragma = text === "_Pragma" ? words[k + 2] : undefined;
      if (pragma?.kind === TOKEN.string && words[k + 3]?.text === ")") {
        this.#pragma(pragma.text.slice(1, -1).replaceAll(/\\(.)/g, "$1"));
        k += 3;
        continue;
      }
      pushToken(this.#tokens, text, kind, offset);
      if (kind === TOKEN.punctuation) this.#count(text, this.#tokens.texts.length - 1);
    }
    return source.at;
  }

  #count(text: string, at: number): void {
    if (text === "(" || text === "[") this.#depth++;
    else if (text === "{") {
      const opensLinkage = this.#tokens.kinds[at - 1] === TOKEN.string &&
        this.#tokens.texts[at - 2] === "extern";
      if (!opensLinkage) this.#depth++;
    } else if ((text === ")" || text === "]" || text === "}") && this.#depth > 0) this.#depth--;
  }

  /** See {@linkcode ConditionHost.isInside}. */
  get isInside(): boolean {
    const { texts } = this.#tokens;
    const ends = (text: string | undefined) => text === undefined || /^[;}{]$/.test(text);
    // A word such as __BEGIN_DECLS stands by itself.
    const marks = /^(__\w+|[A-Z]\w*_DECLS)$/.test(texts.at(-1) ?? "") && ends(texts.at(-2));
    return this.#inCall || this.#depth > 0 || !(ends(texts.at(-1)) || marks);
  }

  /** See {@linkcode ConditionHost.hasHeader}. */
  hasHeader(written: string, isNext: boolean): boolean {
    return this.#includes.find(written, this.#places.fileAt(this.#base), isNext) !== undefined;
  }

  /** Notes at the word that comes next if its certainty is another than the last one's. */
  #noteCertainty(): void {
    const was = this.#changes.length % 2 === 0;
    if (was !== this.#conditions.isCertain) this.#changes.push(this.#tokens.texts.length);
  }

  /** Reads the line of the preprocessor at `at`; gives where the next live one begins. */
  #directive(at: number, onlyConditions = false): number {
    let end = this.#line(at, onlyConditions);
    while (!this.#conditions.isLive) {
      const next = nextDirective(this.#text, end);
      if (next === undefined) {
        end = this.#text.length;
        break;
      }
      end = this.#line(next, onlyConditions);
    }
    if (!onlyConditions) this.#noteCertainty();
    return end;
  }

  /** Reads one line; gives where it ends. */
  #line(at: number, onlyConditions: boolean): number {
    const end = endOfDirective(this.#text, at);
    const line = this.#text.slice(at + 1, end).replaceAll(/\\\r?\n/g, "  ");
    const [, word = "", rest = ""] = /^\s*(\w*)([^]*)$/.exec(line)!;
    if (CONDITIONAL.has(word)) this.#conditions.read(word, rest);
    else if (this.#conditions.isLive && !onlyConditions) this.#ordinary(word, rest, at, end);
    return end;
  }

  #ordinary(word: string, rest: string, at: number, end: number): void {
    if (word === "line" || /^\d+$/.test(word)) {
      this.#mark(word === "line" ? rest : word + rest, end);
    } else if (!this.#conditions.isCertain) return;
    else if (word === "define") this.#define(rest);
    else if (word === "undef") this.macros.delete(/[\w$\u0080-\uffff]+/.exec(rest)?.[0] ?? "");
    else if (word === "pragma") this.#pragma(rest);
    else if (/^include(_next)?$/.test(word)) this.#include(word, rest, this.#base + at);
  }

  #mark(rest: string, end: number): void {
    const [, line, , file] = /^\s*(\d+)(\s+"((?:[^"\\]|\\.)*)")?/.exec(rest) ?? [];
    if (line === undefined) return;
    const name = file?.replaceAll(/\\(.)/g, "$1");
    this.#places.mark(this.#base, this.#base + end + 1, name, Number(line));
  }

  #define(rest: string): void {
    const defined = readDefine(rest);
    if (defined) this.macros.set(defined.name, defined.macro);
  }

  #pragma(rest: string): void {
    const words = wordsOf(rest).texts;
    if (words[0] === "once") this.#once.add(this.#places.fileAt(this.#base));
    if (words[0] !== "pack") return;
    let most = this.#packs.at(-1)?.most ?? 0;
    if (words.includes("push")) this.#packStack.push(most);
    const number = words.find((word) => /^\d/.test(word));
    if (number !== undefined) most = Number(number);
    else if (words.includes("pop")) most = this.#packStack.pop() ?? 0;
    else if (!words.includes("push")) most = 0;
    this.#packs.push({ token: this.#tokens.texts.length, most });
  }

  #include(word: string, rest: string, offset: number): void {
    const written = headerName(rest) ?? headerName(
      this.expansion.line(macroWordsOf(rest), false).map(({ text, spaced }) =>
        (spaced ? " " : "") + text
      ).join(""),
    );
    if (written === undefined) return;
    const from = this.#places.fileAt(this.#base);
    const isBounded = this.#included < MOST_INCLUDED && this.#characters < MOST_CHARACTERS;
    const found = isBounded
      ? this.#includes.find(written, from, word === "include_next")
      : undefined;
    if (!found) this.#missing.push({ written, offset });
    else if (!this.#once.has(found.path)) {
      this.#characters += found.text.length + 1;
      this.#included++;
      this.#file(found.text, found.path);
      this.#included--;
    }
  }
}

/** The text behind a macro's name. */
class TextWords implements WordSource {
  /** Where the next word is looked for. */
  at: number;
  readonly #text: string;
  readonly #directive: (at: number) => number;
  readonly #mark: () => () => void;
  readonly #scanned = noTokens();
  #from = 0;
  /** Undoes what lines among the words did. */
  #undo: (() => void) | undefined;

  constructor(
    text: string,
    at: number,
    directive: (at: number) => number,
    mark: () => () => void,
  ) {
    this.#text = text;
    this.at = at;
    this.#directive = directive;
    this.#mark = mark;
  }

  opens(): boolean {
    this.#from = this.at;
    this.#undo = undefined;
    return this.#text[skipBlanks(this.#text, this.at)] === "(";
  }

  next(): MacroWord | undefined {
    let at = skipBlanks(this.#text, this.at);
    while (beginsDirective(this.#text, at)) {
      this.#undo ??= this.#mark();
      at = skipBlanks(this.#text, this.#directive(at));
    }
    if (at >= this.#text.length) return undefined;
    const spaced = at > this.at;
    const { texts, kinds, offsets } = this.#scanned;
    texts.length = kinds.length = offsets.length = 0;
    this.at = scanToken(this.#text, at, this.#scanned);
    return { text: texts[0]!, kind: kinds[0]!, spaced };
  }

  restore(): void {
    this.at = this.#from;
    this.#undo?.();
  }
}

/** The name of a header with its quotes or angles. */
function headerName(rest: string): string | undefined {
  return /^\s*("[^"]+"|<[^>]+>)/.exec(rest)?.[1];
}

/** Whether a `#` at `at` is the first of its line. */
function beginsDirective(text: string, at: number): boolean {
  if (text[at] !== "#") return false;
  let before = at - 1;
  while (before >= 0 && /[^\S\n]/.test(text[before]!)) before--;
  return before < 0 || text[before] === "\n" || text.endsWith("*/", before + 1);
}

/** Where the line of a directive ends; a comment may go on over lines. */
function endOfDirective(text: string, at: number): number {
  let end = endOfLine(text, at);
  for (;;) {
    const rest = text.slice(at, end);
    const begins = rest.indexOf("/*");
    const line = rest.indexOf("//");
    if (begins < 0 || (line >= 0 && line < begins)) return end;
    at = endOfComment(text, at + begins);
    if (at > end) end = endOfLine(text, at);
  }
}

/** The next line of the preprocessor from `from` on. */
function nextDirective(text: string, from: number): number | undefined {
  for (let at = text.indexOf("#", from); at >= 0; at = text.indexOf("#", at + 1)) {
    let before = at - 1;
    while (before >= 0 && /[^\S\n]/.test(text[before]!)) before--;
    if (before < 0 || text[before] === "\n") return at;
  }
  return undefined;
}
