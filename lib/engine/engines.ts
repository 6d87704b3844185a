/**
 * The table of engines: one row each, and the only place that names them.
 *
 * `--engine`, machines and the tests that compare engines read it; what an engine is, is
 * `engine.ts`.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import type { Engine } from "./engine.ts";
import { createInterpreter } from "./interpreter/interpreter.ts";
import { createReference } from "./reference/reference.ts";

/** Makes an engine for the harts of one memory. */
export type EngineMaker = (memory: Memory) => Engine;

/** Every engine by its name, the oracle of the others first. */
export const ENGINES = {
  ref: createReference,
  interp: createInterpreter,
} as const satisfies Readonly<Record<string, EngineMaker>>;

/** The name of an engine, as `--engine` takes it. */
export type EngineName = keyof typeof ENGINES;

/** All names, the oracle's first. */
export const ENGINE_NAMES: readonly EngineName[] = Object.keys(ENGINES) as EngineName[];

/** The one that runs unless another is asked for. */
export const DEFAULT_ENGINE: EngineName = "interp";
