/**
 * Extensions of the ISA: a name, what it brings along, and its instructions.
 *
 * An instruction carries the names of the extensions that have it; of several, one is enough. So
 * decoder, assembler, disassembler, ISA strings, misa and what Linux tells a program all follow from
 * a file of definitions and its line in `rv64.ts`.
 *
 * @module
 */
import type { Compressed, Entry } from "./encoding.ts";

/** An extension of the ISA, or a name for several of them. */
export interface Extension {
  /** Its name in an ISA string, in small letters. */
  readonly name: string;
  /** Names of the extensions that it brings along. */
  readonly implies: readonly string[];
  /**
   * Which harts have it: every one, those without an ISA string and those whose string names it, or
   * only the last. A `shorthand` is written in a string but is no extension a hart has.
   */
  readonly present: "always" | "by-default" | "named" | "shorthand";
  /** The extension in whose place it is there. */
  readonly replaces: string | undefined;
  /** Its bits in `RISCV_HWPROBE_KEY_IMA_EXT_0` (arch/riscv/include/uapi/asm/hwprobe.h). */
  readonly hwprobe: readonly number[];
  /** 32-bit instructions of the extension. */
  readonly entries: readonly Entry[];
  /** 16-bit instructions of the extension. */
  readonly compressed: readonly Compressed[];
}

/** An extension with what differs from an empty one that a hart has by default. */
export function extension(
  name: string,
  parts: Partial<Omit<Extension, "name">> = {},
): Extension {
  const { entries = [], compressed = [] } = parts;
  return {
    implies: [],
    present: "by-default",
    replaces: undefined,
    hwprobe: [],
    ...parts,
    name,
    entries: entries.map((entry) => alsoIn(name, entry)),
    compressed: compressed.map((entry) => alsoIn(name, entry)),
  };
}

/** An instruction that the extension called `name` has too. */
export function alsoIn<T extends { readonly extensions: readonly string[] }>(
  name: string,
  entry: T,
): T {
  return { ...entry, extensions: [...entry.extensions, name] };
}
