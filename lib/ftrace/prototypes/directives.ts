/**
 * Lines of the preprocessor, as far as a header that nobody preprocessed needs them: line markers,
 * conditions, macros without parameters, `#pragma pack`.
 *
 * A condition is taken as a compiler for RISC-V Linux would that has seen no other file. Where a name
 * is asked for that no file could say (`#ifdef __USE_MISC`), both branches are read, because more
 * declarations do no harm; but inside a declaration only one is, or it would be two halves.
 *
 * Constant expressions are `expression.ts`, words `tokens.ts`.
 *
 * @module
 */
import { evaluateConstant } from "./expression.ts";
import {
  endOfComment,
  endOfLine,
  noTokens,
  pairBrackets,
  pushToken,
  scanToken,
  skipBlanks,
  TOKEN,
  type Tokens,
} from "./tokens.ts";

/** Words of a text, with what the preprocessor's lines say of them. */
export interface SourceText {
  /** The text itself. */
  readonly text: string;
  /** Its words, macros replaced. */
  readonly tokens: Tokens;
  /** The partner of each bracket, or −1. */
  readonly pairs: Int32Array;
  /** `#pragma pack` by the word that it stands before: most bytes of alignment, 0 for all. */
  readonly packs: readonly { readonly token: number; readonly most: number }[];
  /** Where a place in the text is, by its line markers. */
  locate(offset: number): { readonly file: string; readonly line: number };
  /** Offset of a comment that has no end. */
  readonly openComment: number | undefined;
}

/** What gcc for RISC-V Linux defines, as far as headers ask. */
const PREDEFINED: ReadonlyMap<string, string> = new Map([
  ["__riscv", "1"],
  ["__riscv_xlen", "64"],
  ["__linux__", "1"],
  ["__unix__", "1"],
  ["__ELF__", "1"],
  ["__LP64__", "1"],
  ["_LP64", "1"],
  ["__GNUC__", "12"],
  ["__GNUC_MINOR__", "2"],
  ["__STDC__", "1"],
  ["__STDC_VERSION__", "201710"],
  ["__SIZEOF_INT128__", "16"],
  ["__SIZEOF_POINTER__", "8"],
  ["__SIZEOF_LONG__", "8"],
  ["__WORDSIZE", "64"],
  ["__CHAR_UNSIGNED__", "1"],
]);
/** What it never defines. */
const NEVER = new Set(
  ("__cplusplus _WIN32 _WIN64 WIN32 __WIN32__ _MSC_VER __MINGW32__ __CYGWIN__ __APPLE__ __OBJC__ " +
    "__ASSEMBLER__ __ASSEMBLY__ __clang__ __i386__ __x86_64__ __arm__ __aarch64__ __BORLANDC__ " +
    "__TURBOC__ MSDOS OS2 __DOXYGEN__ DOXYGEN").split(" "),
);
/** Words that macros may put into one text: macros that double each other would never end. */
const MOST_EXPANDED = 200_000;
/** How deep macros stand for macros. */
const MOST_NESTED = 100;

/** One `#if` that is open. */
interface Condition {
  /** Whether the lines of this branch are read. */
  live: boolean;
  /** Whether a branch is sure to be the compiler's, so that no further one is. */
  taken: boolean;
  /** Whether what is around it is read. */
  readonly outer: boolean;
  /** Whether the compiler is sure to come here. */
  certain: boolean;
  readonly outerCertain: boolean;
}

/** Takes a text apart into words. `file` is its name until a line marker gives another. */
export function readSource(text: string, file: string): SourceText {
  return new Reader(text, file).read();
}

class Reader {
  readonly #text: string;
  readonly #tokens = noTokens();
  readonly #markers: { offset: number; line: number; file: string }[];
  readonly #packs: { token: number; most: number }[] = [];
  readonly #packStack: number[] = [];
  readonly #macros = new Map<string, Tokens>();
  readonly #conditions: Condition[] = [];
  /** Open brackets and braces at the end of the words so far, those of `extern "C" {` left out. */
  #depth = 0;
  #expanded = 0;
  #openComment: number | undefined;
  /** Where lines end, once somebody asks for a line. */
  #newlines: readonly number[] | undefined;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#markers = [{ offset: 0, line: 1, file }];
    for (const [name, value] of PREDEFINED) {
      this.#macros.set(name, { texts: [value], kinds: [TOKEN.number], offsets: [0] });
    }
  }

  read(): SourceText {
    const text = this.#text;
    for (let at = this.#skipBlanks(0); at < text.length; at = this.#skipBlanks(at)) {
      if (text[at] === "#" && this.#beginsLine(at)) at = this.#directive(at);
      else at = this.#word(at);
    }
    return {
      text,
      tokens: this.#tokens,
      pairs: pairBrackets(this.#tokens),
      packs: this.#packs,
      locate: (offset) => this.#locate(offset),
      openComment: this.#openComment,
    };
  }

  #skipBlanks(from: number): number {
    const at = skipBlanks(this.#text, from);
    if (at === this.#text.length && at > from && this.#openComment === undefined) {
      const begins = this.#text.lastIndexOf("/*");
      const isOpen = begins >= from && this.#text.indexOf("*/", begins + 2) < 0;
      if (isOpen) this.#openComment = this.#text.indexOf("/*", lastEnd(this.#text, from));
    }
    return at;
  }

  #beginsLine(at: number): boolean {
    let before = at - 1;
    while (before >= 0 && /[^\S\n]/.test(this.#text[before]!)) before--;
    return before < 0 || this.#text[before] === "\n" || this.#text.endsWith("*/", before + 1);
  }

  #word(at: number): number {
    const tokens = this.#tokens;
    const before = tokens.texts.length;
    const end = scanToken(this.#text, at, tokens);
    const kind = tokens.kinds[before];
    const text = tokens.texts[before]!;
    if (kind === TOKEN.name) {
      const macro = this.#macros.get(text);
      if (macro) {
        tokens.texts.length = tokens.kinds.length = tokens.offsets.length = before;
        this.#expand(text, at, new Set());
      }
    } else if (kind === TOKEN.punctuation) this.#count(text, before);
    return end;
  }

  #count(text: string, at: number): void {
    if (text === "(" || text === "[") this.#depth++;
    else if (text === "{") {
      const opensLinkage = this.#tokens.kinds[at - 1] === TOKEN.string &&
        this.#tokens.texts[at - 2] === "extern";
      if (!opensLinkage) this.#depth++;
    } else if ((text === ")" || text === "]" || text === "}") && this.#depth > 0) this.#depth--;
  }

  /** Whether the words so far end in the middle of a declaration. */
  get #isInside(): boolean {
    const { texts } = this.#tokens;
    const ends = (text: string | undefined) => text === undefined || /^[;}{]$/.test(text);
    // A word such as __BEGIN_DECLS stands by itself.
    const marks = /^(__\w+|[A-Z]\w*_DECLS)$/.test(texts.at(-1) ?? "") && ends(texts.at(-2));
    return this.#depth > 0 || !(ends(texts.at(-1)) || marks);
  }

  #expand(name: string, offset: number, inside: Set<string>): void {
    const macro = this.#macros.get(name);
    const bounded = inside.size < MOST_NESTED && this.#expanded < MOST_EXPANDED;
    if (!macro || inside.has(name) || !bounded) {
      pushToken(this.#tokens, name, TOKEN.name, offset);
      return;
    }
    inside.add(name);
    this.#expanded += macro.texts.length;
    for (const [k, text] of macro.texts.entries()) {
      const kind = macro.kinds[k]!;
      if (kind === TOKEN.name) this.#expand(text, offset, inside);
      else {
        pushToken(this.#tokens, text, kind, offset);
        if (kind === TOKEN.punctuation) this.#count(text, this.#tokens.texts.length - 1);
      }
    }
    inside.delete(name);
  }

  /** Reads the line of the preprocessor at `at`; gives where the next live one begins. */
  #directive(at: number): number {
    let end = this.#line(at);
    while (!this.#isLive) {
      const next = nextDirective(this.#text, end);
      if (next === undefined) return this.#text.length;
      end = this.#line(next);
    }
    return end;
  }

  get #isLive(): boolean {
    return this.#conditions.at(-1)?.live ?? true;
  }

  /** Reads one line; gives where it ends. */
  #line(at: number): number {
    const end = endOfDirective(this.#text, at);
    const line = this.#text.slice(at + 1, end).replaceAll(/\\\r?\n/g, "  ");
    const [, word = "", rest = ""] = /^\s*(\w*)([^]*)$/.exec(line)!;
    if (CONDITIONAL.has(word)) this.#condition(word, rest);
    else if (this.#isLive) this.#ordinary(word, rest, end);
    return end;
  }

  #ordinary(word: string, rest: string, end: number): void {
    const certain = this.#conditions.at(-1)?.certain ?? true;
    if (word === "line" || /^\d+$/.test(word)) {
      const [, line, , file] = /^\s*(\d+)(\s+"((?:[^"\\]|\\.)*)")?/.exec(
        word === "line" ? rest : word + rest,
      ) ?? [];
      if (line === undefined) return;
      const name = file?.replaceAll(/\\(.)/g, "$1") ?? this.#markers.at(-1)!.file;
      this.#markers.push({ offset: end + 1, line: Number(line), file: name });
    } else if (word === "define" && certain) this.#define(rest);
    else if (word === "undef") this.#macros.delete(rest.trim());
    else if (word === "pragma") this.#pragma(rest);
  }

  #define(rest: string): void {
    const [, name, parameters, body = ""] = /^\s+([\w$]+)(\(?)([^]*)$/.exec(rest) ?? [];
    if (name === undefined) return;
    // One with parameters hides another, but is left where it is used.
    if (parameters) this.#macros.delete(name);
    else this.#macros.set(name, wordsOf(body));
  }

  #pragma(rest: string): void {
    const words = wordsOf(rest).texts;
    if (words[0] !== "pack") return;
    let most = this.#packs.at(-1)?.most ?? 0;
    if (words.includes("push")) this.#packStack.push(most);
    const number = words.find((word) => /^\d/.test(word));
    if (number !== undefined) most = Number(number);
    else if (words.includes("pop")) most = this.#packStack.pop() ?? 0;
    else if (!words.includes("push")) most = 0;
    this.#packs.push({ token: this.#tokens.texts.length, most });
  }

  #condition(word: string, rest: string): void {
    if (word === "endif") return void this.#conditions.pop();
    if (word.startsWith("if")) {
      const outer = this.#isLive;
      const outerCertain = this.#conditions.at(-1)?.certain ?? true;
      this.#conditions.push({ live: false, taken: false, outer, outerCertain, certain: false });
    }
    const condition = this.#conditions.at(-1);
    if (!condition) return;
    const value = !condition.outer || condition.taken
      ? false
      : word === "else" || this.#isTrue(word.replace(/^el/, ""), rest);
    const asUndefined = value === undefined && this.#isInside ? false : value;
    condition.live = asUndefined !== false;
    condition.certain = asUndefined === true && condition.outerCertain;
    if (asUndefined === true) condition.taken = true;
    else if (asUndefined === undefined) condition.certain = false;
  }

  /** Whether a condition holds; undefined if it does not, but could with what nobody can know. */
  #isTrue(word: string, rest: string): boolean | undefined {
    const words = wordsOf(
      word === "ifdef" ? `defined ${rest}` : word === "ifndef" ? `!defined ${rest}` : rest,
    );
    const known = { all: true };
    const value = evaluateConstant(this.#resolved(words, known, 0));
    if (value !== undefined && value !== 0n) return true;
    return known.all && value !== undefined ? false : undefined;
  }

  /** The words of a condition with numbers for names. */
  #resolved({ texts, kinds, offsets }: Tokens, known: { all: boolean }, depth: number): Tokens {
    const to = noTokens();
    for (let k = 0; k < texts.length; k++) {
      const name = texts[k]!;
      if (kinds[k] !== TOKEN.name) pushToken(to, name, kinds[k]!, offsets[k]!);
      else if (name === "defined") {
        if (texts[k + 1] === "(") k++;
        const asked = texts[++k] ?? "";
        if (texts[k + 1] === ")" && texts[k - 1] === "(") k++;
        pushToken(to, this.#isDefined(asked, known) ? "1" : "0", TOKEN.number, 0);
      } else if (this.#macros.has(name) && depth < MOST_NESTED && this.#expanded < MOST_EXPANDED) {
        const macro = this.#macros.get(name)!;
        this.#expanded += macro.texts.length + 1;
        const inner = this.#resolved(macro, known, depth + 1);
        for (const [n, text] of inner.texts.entries()) pushToken(to, text, inner.kinds[n]!, 0);
      } else {
        if (!NEVER.has(name)) known.all = false;
        k = endOfCall(texts, k);
        pushToken(to, "0", TOKEN.number, 0);
      }
    }
    return to;
  }

  #isDefined(name: string, known: { all: boolean }): boolean {
    if (this.#macros.has(name)) return true;
    if (!NEVER.has(name)) known.all = false;
    return false;
  }

  #locate(offset: number): { readonly file: string; readonly line: number } {
    const markers = this.#markers;
    let low = 0;
    for (let high = markers.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1;
      if (markers[middle]!.offset <= offset) low = middle;
      else high = middle - 1;
    }
    const { file, line, offset: begins } = markers[low]!;
    this.#newlines ??= offsetsOf(this.#text, "\n");
    return {
      file,
      line: line + countBelow(this.#newlines, offset) - countBelow(this.#newlines, begins),
    };
  }
}

const CONDITIONAL = new Set(
  ["if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else"].concat(["endif"]),
);

function offsetsOf(text: string, character: string): readonly number[] {
  const offsets: number[] = [];
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) {
    offsets.push(at);
  }
  return offsets;
}

/** How many of the numbers, which ascend, are below `limit`. */
function countBelow(numbers: readonly number[], limit: number): number {
  let low = 0;
  for (let high = numbers.length; low < high;) {
    const middle = (low + high) >> 1;
    if (numbers[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Behind the last comment that has an end, from `from` on. */
function lastEnd(text: string, from: number): number {
  return Math.max(from, text.lastIndexOf("*/") + 2);
}

/** The words of a piece of a line. */
function wordsOf(text: string): Tokens {
  const tokens = noTokens();
  for (let at = skipBlanks(text, 0); at < text.length; at = skipBlanks(text, at)) {
    at = scanToken(text, at, tokens);
  }
  return tokens;
}

/** Index of the word that ends `name(…)`, if it is one. */
function endOfCall(texts: readonly string[], at: number): number {
  if (texts[at + 1] !== "(") return at;
  let open = 0;
  for (let k = at + 1; k < texts.length; k++) {
    if (texts[k] === "(") open++;
    else if (texts[k] === ")" && --open === 0) return k;
  }
  return texts.length - 1;
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
