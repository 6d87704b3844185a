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

/** An engine under test. */
export interface Candidate {
  readonly name: EngineName;
  readonly make: EngineMaker;
}

/** Every engine. */
export const ENGINES: readonly Candidate[] = ENGINE_NAMES.map((name) => ({
  name,
  make: ROWS[name].make,
}));
