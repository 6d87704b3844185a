/**
 * The JIT as machines have it: the interpreter, which loads what compiles when a run turns out to be
 * long enough for that to pay.
 *
 * Loading takes about 10 ms, in which a guest is interpreted to its end that executes a few million
 * instructions. Whoever counts, reads compiled code or says when to compile has it from the first
 * instruction on.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { DEFAULT_BUDGET } from "../code_cache.ts";
import type { Uncompiled } from "../compiled_code.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { engineOf, Interpreter } from "../interpreter/interpreter.ts";
import { Meter } from "../meter.ts";
import type { Jit } from "./jit.ts";
import { startsOf } from "./starts.ts";

/** Instructions behind which the run is long. */
const LONG = 100_000n;

/** Makes a JIT for harts on `memory`, which keeps `budget` bytes of translated code at most. */
export function createLateJit(
  memory: Memory,
  options: EngineOptions = {},
  budget: number = DEFAULT_BUDGET,
): Engine {
  const { statistics, onCompiled, jitThreshold, functionAt } = options;
  const atOnce = statistics || onCompiled !== undefined || jitThreshold !== undefined;
  const meter = statistics ? new Meter() : undefined;
  const interpreter = new Interpreter(memory, budget, meter);
  let jit: Jit | undefined;
  const load = async () => {
    const { Jit } = await import("./jit.ts");
    if (!jit) interpreter.addTier((parts) => jit = new Jit(parts, options, meter));
  };
  const { needed, period } = startsOf(options);
  const whyNotYet = (pc: number): Uncompiled => {
    const obstacle = interpreter.obstacleAt(functionAt?.(pc)?.low ?? pc);
    return obstacle ? { reason: obstacle } : { reason: "cold", seen: 0, needed, period };
  };
  return {
    ...engineOf("jit", interpreter),
    prepare: (executed) => jit || (!atOnce && executed < LONG) ? undefined : load(),
    whyNotCompiled: (pc) => jit ? jit.whyNot(pc, interpreter.guestSpaces()) : whyNotYet(pc),
  };
}
