import type { Memory } from "../memory/memory.ts";
import type { Engine, TracingRange } from "./engine.ts";
import { createReference } from "./reference.ts";
export function createInterpreter(memory: Memory, tracing: TracingRange): Engine {
  return createReference(memory, tracing);
}
