/**
 * The compiled thunks of hooks, by number, where the interpreter's function calls them.
 *
 * What a thunk is, is `../thunk.ts`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import type { Hook } from "../engine.ts";
import { compileThunk } from "../thunk.ts";

/** Thunks of one memory. */
export class ThunkTable {
  /** The table that emitted code calls through. */
  readonly table: WebAssembly.Table = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
  readonly #memory: Memory;
  readonly #numbers = new Map<Hook, number>();

  /** An empty table. */
  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The number of a hook's thunk at `pc`, which is compiled when it is first asked for. */
  numberOf(pc: number, hook: Hook, emit: NonNullable<Hook["emit"]>): number {
    let number = this.#numbers.get(hook);
    if (number === undefined) {
      number = this.table.grow(1);
      const compiled = compileThunk(this.#memory, pc, (thunk) => emit.call(hook, thunk));
      this.table.set(number, compiled);
      this.#numbers.set(hook, number);
    }
    return number;
  }
}
