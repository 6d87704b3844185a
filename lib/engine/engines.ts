/**
 * The table of engines: one row each, and the only place that names them.
 *
 * `--engine`, machines and the tests that compare engines read it; what an engine is, is
 * `engine.ts`.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { createInterpreter } from "./interpreter/interpreter.ts";
import { createLateJit } from "./jit/late_jit.ts";
import { createReference } from "./reference/reference.ts";

/** Makes an engine for the harts of one memory. */
export type EngineMaker = (memory: Memory, options?: EngineOptions) => Engine;

/** What an engine is, as the table says it. */
export interface EngineRow {
  /** Makes it. */
  readonly make: EngineMaker;
  /** What it is, in a few words behind "the". */
  readonly title: string;
}

/** Every engine by its name, the oracle of the others first. */
export const ENGINES = {
  ref: { make: (memory: Memory): Engine => createReference(memory), title: "reference" },
  interp: {
    make: (memory: Memory, options?: EngineOptions): Engine => createInterpreter(memory, options),
    title: "WASM interpreter",
  },
  jit: {
    make: (memory: Memory, options?: EngineOptions): Engine => createLateJit(memory, options),
    title: "JIT",
  },
} as const satisfies Readonly<Record<string, EngineRow>>;

/** The name of an engine, as `--engine` takes it. */
export type EngineName = keyof typeof ENGINES;

/** Names of all engines, the oracle's first. */
export const ENGINE_NAMES: readonly EngineName[] = Object.keys(ENGINES) as EngineName[];

/** The engine that runs unless another is asked for. */
export const DEFAULT_ENGINE: EngineName = "jit";
