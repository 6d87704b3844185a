/**
 * A place in the words of C text, from which declarations and expressions are read.
 *
 * @module
 */
import { TOKEN, type Tokens } from "./tokens.ts";

/** What is wrong with the declaration that is being read; it is skipped. */
export class DeclarationFault extends Error {
  /** Name of the class. */
  override readonly name = "DeclarationFault";
}

/** How deep declarations and expressions are read; no header comes near. */
const MOST_NESTED = 200;

/** A place in words, moving forward. */
export class Cursor {
  /** Index of the next word. */
  at = 0;
  /** Index behind the last word that is read. */
  end: number;
  readonly #texts: readonly string[];
  readonly #kinds: readonly number[];
  readonly #pairs: Int32Array;
  #nested = 0;

  /** Stands before the first of `tokens`, whose brackets have `pairs`. */
  constructor(tokens: Tokens, pairs: Int32Array) {
    this.#texts = tokens.texts;
    this.#kinds = tokens.kinds;
    this.#pairs = pairs;
    this.end = tokens.texts.length;
  }

  /** The next word; empty at the end. */
  get text(): string {
    return this.at < this.end ? this.#texts[this.at]! : "";
  }

  /** Whether all words have been read. */
  get atEnd(): boolean {
    return this.at >= this.end;
  }

  /** The word `n` behind the next; empty beyond the end. */
  peek(n: number): string {
    const at = this.at + n;
    return at < this.end ? this.#texts[at]! : "";
  }

  /** Whether the word `n` behind the next is a name. */
  isName(n = 0): boolean {
    const at = this.at + n;
    return at < this.end && this.#kinds[at] === TOKEN.name;
  }

  /** What the next word is, one of {@linkcode TOKEN}; undefined at the end. */
  get kind(): number | undefined {
    return this.atEnd ? undefined : this.#kinds[this.at];
  }

  /** Whether `text` comes next; if so, it is taken. */
  take(text: string): boolean {
    if (this.text !== text || this.kind === TOKEN.string) return false;
    this.at++;
    return true;
  }

  /** Takes the next word. */
  next(): string {
    const { text } = this;
    this.at++;
    return text;
  }

  /** Takes `text`. @throws {DeclarationFault} If something else comes. */
  expect(text: string): void {
    if (!this.take(text)) this.refuse(`"${text}" is missing`);
  }

  /** Index of the partner of the bracket `n` behind the next word, −1 without one. */
  partner(n = 0): number {
    const found = this.#pairs[this.at + n] ?? -1;
    return found < this.end ? found : -1;
  }

  /** Passes a bracket and all up to its partner. @throws {DeclarationFault} Without a partner. */
  skipGroup(): void {
    const close = this.partner();
    if (close < 0) this.refuse(`"${this.text}" is not closed`);
    this.at = close + 1;
  }

  /** Reads something that may hold more of its kind. @throws {DeclarationFault} If it never ends. */
  nested<T>(read: () => T): T {
    if (this.#nested >= MOST_NESTED) this.refuse("it is nested too deeply");
    this.#nested++;
    try {
      return read();
    } finally {
      this.#nested--;
    }
  }

  /** Ends the reading. @throws {DeclarationFault} Always. */
  refuse(why: string): never {
    throw new DeclarationFault(why);
  }
}
