/**
 * Instructions: assembling, disassembling, decoding, ISA strings, and extensions of one's own.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export { assemble, type AssembleOptions, type Assembly } from "./asm.ts";
export { Isa, RV64 } from "./decode.ts";
export { disassemble, type DisassembleOptions } from "./disasm.ts";
export {
  compress,
  type Compressed,
  define,
  type Definition,
  type Entry,
  type Instruction,
  type Pattern,
  type Run,
} from "./encoding.ts";
export { type Extension, extension } from "./extension.ts";
export { hex } from "./hex.ts";
export { ALL_EXTENSIONS, type Decoder, parseIsaString, restrictIsa } from "./isa_string.ts";
export { F_NAMES, fNumber, X_NAMES, xNumber } from "./names.ts";
export { EXTENSIONS } from "./rv64.ts";
export {
  type Access,
  type Alu,
  type AluOperation,
  type AmoOperation,
  Cause,
  type CsrUpdate,
  type Field,
  type Format,
  type Fpu,
  type IntegerType,
  type Meaning,
  type Sem,
} from "./sem.ts";
