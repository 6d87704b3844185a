/**
 * A symbol whose name a compiler mangled, under the name that people write.
 *
 * Most symbols of a program are never shown, so a name is read when it is first asked for. How it
 * is read is `demangle/`.
 *
 * @module
 */
import { demangle, type ReadableName } from "./demangle/demangle.ts";
import type { ElfSymbol } from "./elf.ts";

/** A symbol that shows its name readable, and keeps the one of the file. */
export class ReadableSymbol implements ElfSymbol {
  readonly address: bigint;
  readonly size: bigint;
  readonly type: ElfSymbol["type"];
  readonly binding: ElfSymbol["binding"];
  readonly mangled: string;
  #read: ReadableName | undefined;

  /** Takes the symbol of the file. */
  constructor({ name, address, size, type, binding }: ElfSymbol) {
    this.mangled = name;
    this.address = address;
    this.size = size;
    this.type = type;
    this.binding = binding;
  }

  get name(): string {
    return this.#readable().name;
  }

  get signature(): string {
    return this.#readable().signature;
  }

  /** The whole text, with a result, as `c++filt` prints it. */
  get full(): string {
    return this.#readable().full;
  }

  #readable(): ReadableName {
    const { mangled } = this;
    return this.#read ??= demangle(mangled) ??
      { name: mangled, signature: mangled, full: mangled };
  }
}

/** A function with the names that it has. */
interface NamedFunction {
  readonly name: string;
  readonly mangled?: string | undefined;
  readonly signature?: string | undefined;
}

/**
 * All names that a function may be called by: its own, and where that was mangled the file's, with
 * parameters, and as `c++filt` prints it.
 */
export function namesOf(symbol: NamedFunction): string[] {
  const { mangled, name, signature } = symbol;
  if (mangled === undefined) return [name];
  const names = [mangled, name, signature ?? name];
  return "full" in symbol && typeof symbol.full === "string" ? [...names, symbol.full] : names;
}

/** A name without its white space, in which people and compilers differ. */
export function withoutBlanks(name: string): string {
  return name.replace(/\s+/g, "");
}
