/**
 * The engines that are compared: the reference first, which the others must equal.
 *
 * @module
 */
import { ENGINE_NAMES, type EngineMaker, ENGINES as ROWS } from "../../lib/engine/engines.ts";

/** An engine under test. */
export interface Candidate {
  readonly name: string;
  readonly make: EngineMaker;
}

/** Every engine, and the JIT when it compiles whatever it comes to. */
export const ENGINES: readonly Candidate[] = [
  ...ENGINE_NAMES.map((name) => ({ name, make: ROWS[name].make })),
  { name: "jit at once", make: (memory) => ROWS.jit.make(memory, { jitThreshold: 0 }) },
];
