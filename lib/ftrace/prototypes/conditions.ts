/**
 * `#if` and its kin: which lines are read.
 *
 * A condition is taken as a compiler for RISC-V Linux would that was given no `-D`. Where a name is
 * asked for that no file could say (`#ifdef __USE_MISC`), both branches are read, because more
 * declarations do no harm; but inside a declaration only one is, or it would be two halves.
 *
 * @module
 */
import { evaluateConstant } from "./expression.ts";
import type { Expansion } from "./expansion.ts";
import { type Macro, type MacroWord, macroWordsOf } from "./macros.ts";
import { COMPILER_QUESTIONS, GCC_ATTRIBUTES, GCC_BUILTINS, NEVER_DEFINED } from "./predefined.ts";
import { noTokens, pushToken, TOKEN, type Tokens } from "./tokens.ts";

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

/** What conditions ask of who reads the lines. */
export interface ConditionHost {
  /** Macros that are defined. */
  readonly macros: ReadonlyMap<string, Macro>;
  /** Replaces them. */
  readonly expansion: Expansion;
  /** Whether the words so far end in the middle of a declaration. */
  readonly isInside: boolean;
  /** Whether there is a header of that name, written with its quotes or angles. */
  hasHeader(written: string, isNext: boolean): boolean;
}

/** Words of lines that this reads. */
export const CONDITIONAL: ReadonlySet<string> = new Set(
  ["if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else"].concat(["endif"]),
);

/** The conditions that are open. */
export class Conditions {
  readonly #host: ConditionHost;
  #open: Condition[] = [];
  /** How many are of the files around the one that is read. */
  #floor = 0;

  /** Asks `host`. */
  constructor(host: ConditionHost) {
    this.#host = host;
  }

  /** Whether lines are read. */
  get isLive(): boolean {
    return this.#open.at(-1)?.live ?? true;
  }

  /** Whether the compiler is sure to read them. */
  get isCertain(): boolean {
    return this.#open.at(-1)?.certain ?? true;
  }

  /** Reads a file, which closes what it opens; what it leaves open ends with it. */
  inFile(read: () => void): void {
    const floor = this.#floor;
    this.#floor = this.#open.length;
    read();
    this.#open.length = this.#floor;
    this.#floor = floor;
  }

  /** A way back to what is open now. */
  mark(): () => void {
    const open = this.#open.map((each) => ({ ...each }));
    return () => this.#open = open;
  }

  /** Reads the rest of a line that begins with one of {@linkcode CONDITIONAL}. */
  read(word: string, rest: string): void {
    if (word === "endif") {
      if (this.#open.length > this.#floor) this.#open.pop();
      return;
    }
    if (word.startsWith("if")) {
      const { isLive: outer, isCertain: outerCertain } = this;
      this.#open.push({ live: false, taken: false, outer, outerCertain, certain: false });
    }
    const condition = this.#open.length > this.#floor ? this.#open.at(-1) : undefined;
    if (!condition) return;
    const value = !condition.outer || condition.taken
      ? false
      : word === "else" || this.#isTrue(word.replace(/^el/, ""), rest);
    const asUndefined = value === undefined && this.#host.isInside ? false : value;
    condition.live = asUndefined !== false;
    condition.certain = asUndefined === true && condition.outerCertain;
    if (asUndefined === true) condition.taken = true;
  }

  /** Whether a condition holds; undefined if it does not, but could with what nobody can know. */
  #isTrue(word: string, rest: string): boolean | undefined {
    const line = word === "ifdef"
      ? `defined ${rest}`
      : word === "ifndef"
      ? `!defined ${rest}`
      : rest;
    const asked = this.#answered(macroWordsOf(line));
    const words = this.#answered(this.#host.expansion.line(asked, true));
    const isTrue = evaluateConstant(numbers(words, true));
    if (isTrue !== undefined && isTrue !== 0n) return true;
    return evaluateConstant(numbers(words, false)) === 0n ? false : undefined;
  }

  /** Puts answers for `defined NAME` and `__has_include(…)`; what nobody can know stays a name. */
  #answered(words: readonly MacroWord[]): MacroWord[] {
    const to: MacroWord[] = [];
    for (let k = 0; k < words.length; k++) {
      const { text, kind } = words[k]!;
      const isQuestion = COMPILER_QUESTIONS.has(text);
      if (kind !== TOKEN.name || (text !== "defined" && !isQuestion)) to.push(words[k]!);
      else if (text === "defined") {
        const isWrapped = words[k + 1]?.text === "(";
        k += isWrapped ? 2 : 1;
        const name = words[k]?.text ?? "";
        if (isWrapped && words[k + 1]?.text === ")") k++;
        to.push(this.#isDefined(name));
      } else {
        const close = endOfCall(words, k);
        to.push(close === k ? number(1) : this.#compilerHas(text, words.slice(k + 2, close)));
        k = close;
      }
    }
    return to;
  }

  #isDefined(name: string): MacroWord {
    if (this.#host.macros.has(name) || COMPILER_QUESTIONS.has(name)) return number(1);
    return NEVER_DEFINED.has(name) ? number(0) : UNKNOWN;
  }

  #compilerHas(question: string, words: readonly MacroWord[]): MacroWord {
    const written = words.map(({ text }) => text).join("");
    if (question.startsWith("__has_include")) {
      const has = this.#host.hasHeader(written, question === "__has_include_next");
      return has ? number(1) : UNKNOWN;
    }
    const has = question === "__has_builtin"
      ? GCC_BUILTINS.test(written)
      : question === "__has_attribute" && GCC_ATTRIBUTES.has(written.replaceAll(/^__|__$/g, ""));
    return number(has ? 1 : 0);
  }
}

/** A name that could be anything. */
const UNKNOWN: MacroWord = { text: "unknown", kind: TOKEN.name, spaced: true };

function number(value: number): MacroWord {
  return { text: `${value}`, kind: TOKEN.number, spaced: true };
}

/** Words of a condition to be evaluated: for names that say nothing 0, or nothing that is known. */
function numbers(words: readonly MacroWord[], isSure: boolean): Tokens {
  const to = noTokens();
  for (let k = 0; k < words.length; k++) {
    const { text, kind } = words[k]!;
    if (kind !== TOKEN.name) {
      pushToken(to, text, kind, 0);
      continue;
    }
    const isZero = isSure || NEVER_DEFINED.has(text);
    k = endOfCall(words, k);
    pushToken(to, isZero ? "0" : UNKNOWN.text, isZero ? TOKEN.number : TOKEN.name, 0);
  }
  return to;
}

/** Index of the word that ends `name(…)`, if it is one. */
function endOfCall(words: readonly MacroWord[], at: number): number {
  if (words[at + 1]?.text !== "(") return at;
  let open = 0;
  for (let k = at + 1; k < words.length; k++) {
    if (words[k]!.text === "(") open++;
    else if (words[k]!.text === ")" && --open === 0) return k;
  }
  return words.length - 1;
}
