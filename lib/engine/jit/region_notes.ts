/**
 * What is noted while a region is written, for who looks at it: which code stands for what, and why it
 * is left.
 *
 * Nobody looks in a plain run: then there are no notes, and the code is as if this file were not
 * there.
 *
 * Exits are counted by `region_counters.ts`; marks are shown by `../compiled_text.ts`.
 *
 * @module
 */
import type { Code } from "../../wasm/code.ts";
import type { CodeMark } from "../compiled_code.ts";
import type { ExitReason } from "../statistics.ts";
import { RegionLocal } from "./region_frame.ts";

/** What notes are taken with. */
export interface NotesParts {
  readonly code: Code;
  /** Why code that is left at an address is left there. */
  reasonAt(pc: number): ExitReason;
  /** Writes code that counts an exit; absent if none are counted. */
  readonly count: ((code: Code, reason: ExitReason) => void) | undefined;
}

/** The notes of one region. */
export class RegionNotes {
  readonly marks: CodeMark[] = [];
  readonly #parts: NotesParts;

  /** No note yet. */
  constructor(parts: NotesParts) {
    this.#parts = parts;
  }

  /** What is written from here on stands for `what`. */
  mark(what: CodeMark["what"]): void {
    this.marks.push({ at: this.#parts.code.length, what });
  }

  /** The region is left here. */
  left(reason: ExitReason): void {
    this.#parts.count?.(this.#parts.code, reason);
  }

  /** The region is left here, at `pc`. */
  leftAt(pc: number): void {
    if (this.#parts.count) this.left(this.#parts.reasonAt(pc));
  }

  /**
   * The region is left behind a call, with the pc on the stack: here if that is `next`, as the callee
   * was left otherwise if it is not.
   */
  leftBehind(next: number): void {
    const { code, count } = this.#parts;
    if (!count) return;
    code.tee(RegionLocal.target).i64(BigInt(next)).op("i64.eq").if();
    this.leftAt(next);
    code.op("end").get(RegionLocal.target);
  }
}
