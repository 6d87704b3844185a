/**
 * Instructions: assembling, disassembling, and the names of registers.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export { X_NAMES } from "./names.ts";
export type { DisassembleOptions } from "./disasm.ts";
