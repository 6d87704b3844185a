/**
 * What the interpreter tells somebody who compiles code, and asks of it.
 *
 * The interpreter runs without one. What is compiled when is `../jit/`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import type { CodeCache, CodeUnit } from "../code_cache.ts";
import type { Hooks } from "../hooks.ts";
import type { TierStatistics } from "../meter.ts";
import type { Decoder } from "./decoder.ts";
import type { MicroOpSpace } from "./micro_op_space.ts";
import type { ThunkTable } from "./thunk_table.ts";

/** What a tier works with. */
export interface TierParts {
  readonly memory: Memory;
  readonly cache: CodeCache;
  readonly hooks: Hooks;
  readonly thunks: ThunkTable;
  readonly decoder: Decoder;
}

/** Whoever compiles what is interpreted often. */
export interface Tier {
  /** Interpreted instructions between two looks. */
  readonly period: number;
  /** Instructions that compiled code may execute before the host is to be asked again. */
  readonly budget: number;
  /** The interpreter is about to go on at `pc`. */
  arrive(space: MicroOpSpace, pc: number): void;
  /** Looks at where the interpreter is, once in each period. */
  look(space: MicroOpSpace, pc: number): void;
  /** The interpreter came back to the host. */
  cameBack(space: MicroOpSpace): void;
  /** The micro-ops of a page were made anew. */
  pageMade(space: MicroOpSpace, page: number): void;
  /** An instruction was fetched, perhaps anew, and the interpreter has its micro-op. */
  decoded(space: MicroOpSpace, pc: number): void;
  /** A hook came to an address, or went, and micro-ops say so. */
  hookChanged(pc: number): void;
  /** Units are about to go; some may be the tier's. */
  release(units: ReadonlySet<CodeUnit>): void;
  /** What it has compiled, and what that has counted. */
  statistics(): TierStatistics;
}
