/**
 * Program files and what is read from them: ELF, symbols, call sites, stack frames.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export {
  type Elf,
  type ElfSymbol,
  parseElf,
  type RawImage,
  type Section,
  type Segment,
} from "./elf.ts";
export { imageProgram, withImages } from "./raw_image.ts";
export { foreignFile, isRaw } from "./foreign_file.ts";
export type { StackFrame, StackHart, StackStart, Unwinder } from "./unwinder.ts";
export { SymbolTable } from "./symbols.ts";
export type { SiteSource } from "./sites.ts";
export type { InlinedPlace } from "./dwarf_inlines.ts";
