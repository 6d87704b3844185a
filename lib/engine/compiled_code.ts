/**
 * Compiled code as whoever reads it gets it, and why there is none.
 *
 * How it is made is `jit/`; its text is `compiled_text.ts`.
 *
 * @module
 */
import type { ValueType } from "../wasm/code.ts";

/** A region that was compiled. */
export interface CompiledCode {
  /** Where it is entered. */
  readonly entry: number;
  /** Its function, as symbols have it; without symbols it begins at `entry`. */
  readonly function: { readonly low: number; readonly high: number };
  /** The guest's instructions in it by address: 32 bits, or 16 if compressed. */
  readonly instructions: ReadonlyMap<number, number>;
  /** Bytes of its WASM module. */
  readonly bytes: number;
  /** The code of its function, without the final `end`. */
  readonly code: Uint8Array;
  /** The function's parameters and locals. */
  readonly locals: readonly CompiledLocal[];
  /** Names of the module's functions, by number. */
  readonly functions: readonly string[];
  /** What the code stands for, in its order. */
  readonly marks: readonly CodeMark[];
}

/** A local of a compiled function. */
export interface CompiledLocal {
  /** A register of the guest's, or what it is for; `v` and a number for intermediate values. */
  readonly name: string;
  /** Its type, as the binary format has it. */
  readonly type: ValueType;
}

/** What a stretch of code stands for. */
export interface CodeMark {
  /** Where it begins in the code, in bytes. */
  readonly at: number;
  /** The address of a guest instruction, or what else it is, in words. */
  readonly what: number | string;
}

/** Why a function is not compiled. */
export type Uncompiled =
  /** Its first instruction was not executed. */
  | { readonly reason: "unfetched" }
  /** A tracer, probe or breakpoint waits at its first instruction. */
  | { readonly reason: "hook" }
  /** Its first instruction is always the reference's. */
  | { readonly reason: "reference" }
  /** It was compiled, and dropped as its code, a hook or memory changed. */
  | { readonly reason: "dropped" }
  /**
   * It did not take long enough: of one look in `period` interpreted instructions `seen` found it
   * since it was last considered, and `needed` are needed.
   */
  | {
    readonly reason: "cold";
    readonly seen: number;
    readonly needed: number;
    readonly period: number;
  };
