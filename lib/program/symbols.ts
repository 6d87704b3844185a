/**
 * Names for addresses, and addresses for names.
 *
 * @module
 */
import type { ElfSymbol } from "./elf.ts";

/** A program's symbols, by name and by address, where it was loaded. */
export class SymbolTable {
  /** Functions in order of address, one for each address. */
  readonly functions: readonly ElfSymbol[];
  #ordered: readonly ElfSymbol[];
  readonly #byName = new Map<string, ElfSymbol[]>();

  /** Takes a program's symbols; `bias` is how far it was moved. */
  constructor(symbols: readonly ElfSymbol[], bias = 0n) {
    const moved = symbols
      .filter(({ name, type }) => type !== "tls" && !name.startsWith("$") && !name.startsWith(".L"))
      .map((symbol) => bias === 0n ? symbol : { ...symbol, address: symbol.address + bias });
    for (const symbol of moved) {
      const same = this.#byName.get(symbol.name);
      if (same) same.push(symbol);
      else this.#byName.set(symbol.name, [symbol]);
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

  /** All symbols of that name; the same static function may be there several times. */
  named(name: string): readonly ElfSymbol[] {
    return this.#byName.get(name) ?? [];
  }
}

/**
 * Of aliases the one that people know: a function before a label, `malloc` before `__malloc`
 * whatever their binding, global before local, short before long.
 */
function preference({ type, binding, name }: ElfSymbol): number {
  const kind = type === "func" ? 0 : 1000;
  const rank = binding === "global" ? 0 : binding === "weak" ? 100 : 200;
  return kind + rank + (name.startsWith("_") ? 250 : 0) + Math.min(49, name.length);
}
