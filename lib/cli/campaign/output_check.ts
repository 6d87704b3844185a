/**
 * Whether a run prints what the unfailed run printed, told while it prints: nothing is kept but the
 * line in which the two part.
 *
 * @module
 */

/** Where two outputs part. */
export interface OutputDifference {
  /** The line in which they do, from 1. */
  readonly line: number;
  /** That line in the unfailed run; null if its output has ended. */
  readonly unfailed: string | null;
  /** That line in the failed run; null if its output has ended. */
  readonly failed: string | null;
}

const LINE_FEED = 10;
/** Most bytes of a line that are kept. */
const MOST = 120;
/** Most bytes of a line that are shown of what both outputs have in common. */
const MOST_BEFORE = 40;

/** Compares an output with an expected one, piece by piece. */
export class OutputCheck {
  readonly #expected: Uint8Array;
  #position = 0;
  /** From where the outputs part on, the other output up to the end of its line. */
  #rest: number[] | undefined;

  /** Expects these bytes. */
  constructor(expected: Uint8Array) {
    this.#expected = expected;
  }

  /** Takes the next piece of the output. */
  add(data: Uint8Array): void {
    let at = 0;
    if (!this.#rest) {
      while (at < data.length && data[at] === this.#expected[this.#position]) {
        at++;
        this.#position++;
      }
      if (at < data.length) this.#rest = [];
    }
    for (const rest = this.#rest; rest && at < data.length && rest.length <= MOST; at++) {
      if (rest.at(-1) === LINE_FEED) return;
      rest.push(data[at]!);
    }
  }

  /** Where the outputs part, now that this one has ended; undefined if they are the same. */
  end(): OutputDifference | undefined {
    const expected = this.#expected;
    if (!this.#rest && this.#position === expected.length) return undefined;
    const at = this.#position;
    const lineStart = at === 0 ? 0 : expected.lastIndexOf(LINE_FEED, at - 1) + 1;
    const start = Math.max(lineStart, at - MOST_BEFORE);
    const end = expected.indexOf(LINE_FEED, at);
    const head = start > lineStart ? "…" : "";
    const unfailed = head + textOf(expected.subarray(start, end < 0 ? expected.length : end + 1));
    const rest = Uint8Array.from([...expected.subarray(start, at), ...this.#rest ?? []]);
    const failed = head + textOf(rest);
    const [one, other] = [unfailed, failed].map((text) => text.replace(/\n$/, ""));
    const isLineEnd = one === other;
    const line = expected.subarray(0, at).filter((byte) => byte === LINE_FEED).length + 1;
    return {
      line,
      unfailed: unfailed === "" ? null : isLineEnd ? unfailed : one!,
      failed: failed === "" ? null : isLineEnd ? failed : other!,
    };
  }
}

/** A line as text, cut where it becomes too long. */
function textOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text;
}
