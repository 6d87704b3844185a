/**
 * A mangled name while it is read, and how far reading it may go.
 *
 * A name is whatever a file says it is, so each reader counts its depth and its output. What cannot
 * be read is thrown as {@linkcode Unreadable}, which `demangle.ts` catches: such a name is shown raw.
 *
 * @module
 */

/** Thrown inside this folder where a name is not what its beginning says. */
export class Unreadable extends Error {}

/** How deep a name may nest; deeper ones are made by nobody. */
const DEEPEST = 256;

/** A name and the place that reading it has come to. */
export class MangledText {
  /** The whole name. */
  readonly text: string;
  /** Where the next character is. */
  at: number;
  #depth = 0;

  /** Starts at character `at` of `text`. */
  constructor(text: string, at = 0) {
    this.text = text;
    this.at = at;
  }

  /** The next character; empty at the end. */
  get peek(): string {
    return this.text.charAt(this.at);
  }

  /** Whether all has been read. */
  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Whether `text` comes next. */
  sees(text: string): boolean {
    return this.text.startsWith(text, this.at);
  }

  /** Takes `text` if it comes next. */
  eat(text: string): boolean {
    if (!this.sees(text)) return false;
    this.at += text.length;
    return true;
  }

  /** Takes `text`. @throws {Unreadable} If something else comes next. */
  expect(text: string): void {
    if (!this.eat(text)) this.fail();
  }

  /** Takes the next character. @throws {Unreadable} At the end. */
  next(): string {
    if (this.atEnd) this.fail();
    return this.text.charAt(this.at++);
  }

  /** Takes `count` characters. @throws {Unreadable} If there are fewer. */
  take(count: number): string {
    if (count > this.text.length - this.at) this.fail();
    this.at += count;
    return this.text.slice(this.at - count, this.at);
  }

  /** Takes what `pattern`, which is sticky, matches; undefined if it does not. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** Takes a decimal number. @throws {Unreadable} If there is none, or one longer than any name. */
  number(): number {
    const digits = this.match(/\d{1,9}/y);
    return digits === undefined ? this.fail() : Number(digits);
  }

  /** Reads something that is inside what is being read. @throws {Unreadable} If that is too deep. */
  nested<Result>(read: () => Result): Result {
    if (++this.#depth > DEEPEST) this.fail();
    const result = read();
    this.#depth--;
    return result;
  }

  /** Gives the name up. @throws {Unreadable} Always. */
  fail(): never {
    throw new Unreadable();
  }
}
