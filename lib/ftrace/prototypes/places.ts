/**
 * Which file and line a word is from, where one text includes others.
 *
 * Every text that is read has a range of offsets of its own, so that one number says where a word
 * is; line markers in a text give it other names.
 *
 * @module
 */

/** Where a word is. */
export interface Place {
  /** Name of the file. */
  readonly file: string;
  /** Line in it, from 1. */
  readonly line: number;
}

/** A text, or a part of one behind a line marker. */
interface Stretch {
  /** Offset that it begins at. */
  readonly offset: number;
  /** File and line of that. */
  readonly file: string;
  readonly line: number;
  /** The text that it is in, and where that begins. */
  readonly text: string;
  readonly base: number;
}

/** Places of all texts that are read. */
export class Places {
  readonly #texts: Stretch[] = [];
  /** Line markers by the offset that their text begins at. */
  readonly #markers = new Map<number, Stretch[]>();
  /** Where lines end in texts, once somebody asks for a line there. */
  readonly #newlines = new Map<number, readonly number[]>();
  #end = 0;

  /** Adds a text; gives the offset of its first character. */
  add(text: string, file: string): number {
    const base = this.#end;
    this.#texts.push({ offset: base, file, line: 1, text, base });
    // One more, so that the end of a text is in it.
    this.#end += text.length + 1;
    return base;
  }

  /** Says that what follows `offset` in the last text at `base` is `line` of `file`. */
  mark(base: number, offset: number, file: string | undefined, line: number): void {
    const markers = this.#markers.get(base) ?? [];
    this.#markers.set(base, markers);
    const { text } = this.#textAt(base);
    markers.push({ offset, file: file ?? this.fileAt(base), line, text, base });
  }

  /** Name of the file at the last line marker of the text at `base`. */
  fileAt(base: number): string {
    return (this.#markers.get(base)?.at(-1) ?? this.#textAt(base)).file;
  }

  /** Where an offset is. */
  locate(offset: number): Place {
    const whole = this.#textAt(offset);
    const markers = this.#markers.get(whole.base) ?? [];
    const stretch = markers[countUpTo(markers, offset) - 1] ?? whole;
    let newlines = this.#newlines.get(whole.base);
    if (!newlines) {
      newlines = newlinesOf(whole.text);
      this.#newlines.set(whole.base, newlines);
    }
    const lines = countBelow(newlines, offset - whole.base) -
      countBelow(newlines, stretch.offset - whole.base);
    return { file: stretch.file, line: stretch.line + lines };
  }

  #textAt(offset: number): Stretch {
    return this.#texts[countUpTo(this.#texts, offset) - 1]!;
  }
}

/** How many of the stretches, which ascend, begin at an offset or before. */
function countUpTo(stretches: readonly Stretch[], offset: number): number {
  return countWhile(stretches.length, (n) => stretches[n]!.offset <= offset);
}

/** How many of the numbers, which ascend, are below `limit`. */
function countBelow(numbers: readonly number[], limit: number): number {
  return countWhile(numbers.length, (n) => numbers[n]! < limit);
}

/** How many of `count` things hold, of which none does behind one that does not. */
export function countWhile(count: number, holds: (n: number) => boolean): number {
  let low = 0;
  for (let high = count; low < high;) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function newlinesOf(text: string): readonly number[] {
  const offsets: number[] = [];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) offsets.push(at);
  return offsets;
}
