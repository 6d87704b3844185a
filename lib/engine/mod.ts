/**
 * Harts, their memory, and the engines that run them.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export type { Device } from "../memory/bus.ts";
export { Memory } from "../memory/memory.ts";
export type { WordSize } from "../memory/space.ts";
export type { Pmp } from "../memory/pmp.ts";
export type { Tlb, Translated } from "../memory/tlb.ts";
export { FetchCache } from "../memory/fetch_cache.ts";
export { Hart } from "../hart/hart.ts";
export type { Mode } from "../hart/privilege.ts";
export type { CountedHart } from "../hart/counters.ts";
export type { CsrHart } from "../hart/csr.ts";
export type { PrivilegedHart } from "../hart/system.ts";
export type { TranslatedHart, TranslationRegisters } from "../hart/translation.ts";
export type { Counters } from "../hart/counters.ts";
export type { System } from "../hart/system.ts";
export type { Translation } from "../hart/translation.ts";
export type { Csrs } from "../hart/csr.ts";
export { causeName, type Trap } from "../hart/trap.ts";
export type { BreakTest, Engine, EngineOptions, Hook, Stop } from "./engine.ts";
export {
  type EngineStatistics,
  EXIT_REASONS,
  type ExitReason,
  type FunctionStatistics,
} from "./statistics.ts";
export type { CodeMark, CompiledCode, CompiledLocal, Uncompiled } from "./compiled_code.ts";
export { type CodeSymbolizer, compiledText } from "./compiled_text.ts";
export {
  DEFAULT_ENGINE,
  ENGINE_NAMES,
  type EngineMaker,
  type EngineName,
  type EngineRow,
  ENGINES,
} from "./engines.ts";
export { compileThunk, type ThunkWriter } from "./thunk.ts";
export {
  Code,
  LANE,
  MEMORY,
  type MemoryName,
  PLAIN,
  type PlainName,
  type ValueType,
} from "../wasm/code.ts";
export type { Bus } from "../memory/bus.ts";
export type { HostHeap } from "../memory/host_heap.ts";
export type { StoreWatch } from "../memory/store_watch.ts";
