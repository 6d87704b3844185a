/**
 * The engines that are compared: the reference first, which the others must equal.
 *
 * @module
 */
import {
  ENGINE_NAMES,
  type EngineMaker,
  type EngineName,
  ENGINES as ROWS,
} from "../../lib/engine/engines.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import type { MachineOptions } from "../../lib/machine/machine.ts";

/** An engine under test. */
export interface Candidate {
  readonly name: string;
  readonly make: EngineMaker;
}

/**
 * Every engine, and the JIT when it compiles whatever it comes to. The JIT is the whole one: that of
 * machines loads itself between slices, which nobody makes here.
 */
export const ENGINES: readonly Candidate[] = [
  ...ENGINE_NAMES.map((name) => ({ name, make: name === "jit" ? createJit : ROWS[name].make })),
  { name: "jit at once", make: (memory) => createJit(memory, { jitThreshold: 0 }) },
];

/** An engine of a machine, or the JIT when it compiles whatever it comes to. */
export type MachineEngine = EngineName | "jit at once";

/** All of them, the reference first. */
export const MACHINE_ENGINES: readonly MachineEngine[] = [...ENGINE_NAMES, "jit at once"];

/** What to give a machine that is to have an engine. */
export function engineOptions(
  engine: MachineEngine,
): Pick<MachineOptions, "engine" | "jitThreshold"> {
  return engine === "jit at once" ? { engine: "jit", jitThreshold: 0 } : { engine };
}
