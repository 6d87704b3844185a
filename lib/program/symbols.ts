/**
 * Names for addresses, and addresses for names.
 *
 * @module
 */
import { looksMangled } from "./demangle/demangle.ts";
import type { ElfSymbol } from "./elf.ts";
import { namesOf, ReadableSymbol, withoutBlanks } from "./readable_symbol.ts";

/** How a program's symbols are shown. */
export interface SymbolOptions {
  /** Shows mangled names of C++, Rust and D as people write them. */
  readonly demangle?: boolean;
}

/** A program's symbols, by name and by address, where it was loaded. */
export class SymbolTable {
  /** Functions in order of address, one for each address. */
  readonly functions: readonly ElfSymbol[];
  #ordered: readonly ElfSymbol[];
  readonly #byName = new Map<string, ElfSymbol[]>();

  /** Mangled symbols by their readable names, without blanks; made when one is first asked for. */
  #byReadable: Map<string, ElfSymbol[]> | undefined;

  /** Takes a program's symbols; `bias` is how far it was moved. */
  constructor(symbols: readonly ElfSymbol[], bias = 0n, { demangle = false }: SymbolOptions = {}) {
    const readable = (symbol: ElfSymbol) =>
      demangle && looksMangled(symbol.name) ? new ReadableSymbol(symbol) : symbol;
    const moved = symbols
      .filter(({ name, type }) => type !== "tls" && !name.startsWith("$") && !name.startsWith(".L"))
      .map((symbol) => bias === 0n ? symbol : { ...symbol, address: symbol.address + bias })
      .map(readable);
    for (const symbol of moved) {
      const name = rawName(symbol);
      const same = this.#byName.get(name);
      if (same) same.push(symbol);
      else this.#byName.set(name, [symbol]);
    }
    const code = moved.filter(({ type }) => type === "func" || type === "notype");
    code.sort((a, b) =>
      a.address === b.address ? preference(a) - preference(b) : a.address < b.address ? -1 : 1
    );
    this.#ordered = code.filter((symbol, k) => k === 0 || code[k - 1]!.address !== symbol.address);
    this.functions = this.#ordered.filter(({ type }) => type === "func");
  }

  /**
   * Names code that was added to the program, for {@linkcode at} and {@linkcode next}; what a name
   * stands for stays as it was.
   */
  add(symbols: readonly ElfSymbol[]): void {
    this.#ordered = [...this.#ordered, ...symbols].sort((a, b) => a.address < b.address ? -1 : 1);
  }

  /** The symbol that covers `address`, and how far into it that is. */
  at(address: bigint): { readonly symbol: ElfSymbol; readonly offset: bigint } | undefined {
    const behind = this.#firstBehind(address);
    const symbol = this.#ordered[behind - 1];
    if (!symbol) return undefined;
    const offset = address - symbol.address;
    // A symbol without a size reaches to the next one.
    if (symbol.size > 0n && offset >= symbol.size) return undefined;
    if (symbol.size === 0n && behind === this.#ordered.length && offset > 0x10000n) {
      return undefined;
    }
    return { symbol, offset };
  }

  /** Where a symbol ends; one without a size reaches to the next one, if there is any. */
  endOf({ address, size }: ElfSymbol): bigint | undefined {
    return size > 0n ? address + size : this.next(address)?.address;
  }

  /** The first symbol that begins behind `address`. */
  next(address: bigint): ElfSymbol | undefined {
    return this.#ordered[this.#firstBehind(address)];
  }

  /** Index of the first symbol that begins behind `address`. */
  #firstBehind(address: bigint): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ordered[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** All symbols of that name in the file; the same static function may be there several times. */
  named(name: string): readonly ElfSymbol[] {
    return this.#byName.get(name) ?? [];
  }

  /**
   * All symbols that a person may call by that name: the file's, or else the readable one, or that
   * with its parameters, white space aside. The first of these reads every mangled name.
   */
  called(name: string): readonly ElfSymbol[] {
    const exact = this.named(name);
    if (exact.length > 0) return exact;
    this.#byReadable ??= this.#readNames();
    return this.#byReadable.get(withoutBlanks(name)) ?? [];
  }

  #readNames(): Map<string, ElfSymbol[]> {
    const found = new Map<string, ElfSymbol[]>();
    for (const symbol of this.#byName.values().flatMap((same) => same)) {
      if (!(symbol instanceof ReadableSymbol)) continue;
      for (const name of new Set(namesOf(symbol).map(withoutBlanks))) {
        const same = found.get(name);
        if (same) same.push(symbol);
        else found.set(name, [symbol]);
      }
    }
    return found;
  }
}

/** The name in the file; a readable one is not read for it. */
function rawName(symbol: ElfSymbol): string {
  return symbol.mangled ?? symbol.name;
}

/**
 * Of aliases the one that people know: a function before a label, `malloc` before `__malloc`
 * whatever their binding, global before local, short before long.
 */
function preference(symbol: ElfSymbol): number {
  const { type, binding } = symbol;
  const name = rawName(symbol);
  const kind = type === "func" ? 0 : 1000;
  const rank = binding === "global" ? 0 : binding === "weak" ? 100 : 200;
  return kind + rank + (name.startsWith("_") ? 250 : 0) + Math.min(49, name.length);
}
