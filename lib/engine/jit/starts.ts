/**
 * When the JIT starts to compile a function: how often the interpreter looks, and in how many looks it
 * has to be seen there.
 *
 * It stands apart from `jit.ts` because a run that is too short for the JIT does not load that.
 *
 * @module
 */
import type { EngineOptions } from "../engine.ts";

/** Interpreted instructions between two looks, unless the threshold is lower. */
export const PERIOD = 10_000;
/** How often a function has to be seen, unless another threshold is given. */
const SEEN = 2;

/** What `jitThreshold` means. */
export interface Starts {
  /** Interpreted instructions after which a function is compiled, about. */
  readonly threshold: number;
  /** Interpreted instructions between two looks. */
  readonly period: number;
  /** Looks in which a function has to be seen. */
  readonly needed: number;
}

/** When functions are compiled with these options. */
export function startsOf({ jitThreshold }: EngineOptions): Starts {
  const threshold = jitThreshold ?? PERIOD * SEEN;
  const period = Math.max(1, Math.min(PERIOD, Math.floor(threshold / SEEN)));
  return { threshold, period, needed: Math.max(1, Math.round(threshold / period)) };
}
