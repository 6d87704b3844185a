/**
 * Linking an object into a program that is already loaded: where its sections go, and its
 * relocations (RISC-V ELF psABI, chapter "Relocations").
 *
 * Nothing is relaxed: R_RISCV_RELAX is no more than permission, and the nops of R_RISCV_ALIGN stay,
 * so code behind them may be less aligned than it asked for; what only a relaxing linker makes
 * (R_RISCV_RVC_LUI, gp-relative) is not known here. A name that the object does not define
 * is the program's.
 *
 * Reading the file is `object_file.ts`; who wants it linked is `lib/ftrace/live/livepatch.ts`.
 *
 * @module
 */
import type { ObjectFile, ObjectSection, ObjectSymbol, Relocation } from "./object_file.ts";
import {
  createField,
  DATA,
  lower,
  R,
  refusal,
  relocationName,
  upper,
  widthOf,
} from "./relocation.ts";

/** A stretch of memory with one kind of permissions. */
export interface LinkedRegion {
  /** Where the region lies in memory. */
  readonly address: bigint;
  /** All bytes of the region. */
  readonly bytes: Uint8Array;
}

/** A symbol of the object, where it was put. */
export interface LinkedSymbol {
  /** Name of the symbol. */
  readonly name: string;
  /** Address of the symbol. */
  readonly address: bigint;
  /** Size of the symbol in bytes; 0 if unknown. */
  readonly size: bigint;
  /** Whether the symbol is a function. */
  readonly isFunction: boolean;
  /** Whether other objects could refer to the symbol. */
  readonly isGlobal: boolean;
}

/** An object that is linked: bytes to write, its symbols and call sites. */
export interface LinkedObject {
  /** The regions to be written to memory. */
  readonly regions: readonly LinkedRegion[];
  /** The symbols that the object defines, at their addresses. */
  readonly symbols: readonly LinkedSymbol[];
  /** Where its call sites begin, as `__patchable_function_entries` lists them. */
  readonly sites: readonly bigint[];
}

/** Where {@linkcode linkObject} gets memory, and the addresses of undefined names. */
export interface LinkOptions {
  /** Takes memory for one kind of sections; gives its address, page-aligned. */
  readonly allocate: (bytes: number, kind: "code" | "constants" | "data") => bigint;
  /** Address of a name that the object does not define. @throws If there is none. */
  readonly resolve: (name: string) => bigint;
}

/**
 * Puts an object's sections into memory and applies its relocations.
 *
 * @throws {SyntaxError} For a relocation that is not known, or that cannot reach its target.
 */
export function linkObject(object: ObjectFile, options: LinkOptions): LinkedObject {
  return new Linker(object, options).link();
}

/** Links one object: lays out its sections and applies its relocations. */
class Linker {
  readonly #object: ObjectFile;
  readonly #options: LinkOptions;
  readonly #layout: Layout;
  /** By address of an auipc, what its upper part belongs to: the distance from there. */
  readonly #distances = new Map<bigint, bigint>();

  constructor(object: ObjectFile, options: LinkOptions) {
    this.#object = object;
    this.#options = options;
    const commons = object.symbols.filter(({ section }) => section === "common");
    const gotSymbols = new Set(
      object.relocations.filter(({ type }) => type === R.GOT_HI20).map(({ symbol }) => symbol),
    );
    this.#layout = layOut(object, commons, [...gotSymbols], options.allocate);
  }

  link(): LinkedObject {
    const { relocations, symbols } = this.#object;
    const { regions, placed, got } = this.#layout;
    for (const [index, slot] of got) {
      slot.view.setBigUint64(0, BigInt.asUintN(64, this.#addressOf(index)), true);
    }
    // A lower part may stand before the upper part that it belongs to.
    const isLow = ({ type }: Relocation) => type === R.PCREL_LO12_I || type === R.PCREL_LO12_S;
    for (const relocation of relocations) if (!isLow(relocation)) this.#apply(relocation);
    for (const relocation of relocations) if (isLow(relocation)) this.#apply(relocation);
    const listed = [...placed.values()].filter(({ name }) =>
      name === "__patchable_function_entries"
    );
    return {
      regions,
      sites: listed.flatMap(({ view, size }) =>
        Array.from({ length: Math.floor(size / 8) }, (_, k) => view.getBigUint64(k * 8, true))
      ),
      symbols: symbols.flatMap((symbol) => {
        const address = this.#definedAt(symbol);
        if (address === undefined || symbol.name === "") return [];
        const { name, size, isFunction, binding } = symbol;
        return [{ name, address, size, isFunction, isGlobal: binding !== "local" }];
      }),
    };
  }

  /** Address of the symbol with an index. */
  #addressOf(index: number): bigint {
    const symbol = this.#object.symbols[index]!;
    const address = this.#definedAt(symbol);
    if (address !== undefined) return address;
    if (symbol.name === "") return 0n;
    return symbol.binding === "weak" ? 0n : this.#options.resolve(symbol.name);
  }

  /** Address of a symbol that the object itself defines. */
  #definedAt(symbol: ObjectSymbol): bigint | undefined {
    if (symbol.section === "absolute") return symbol.value;
    if (symbol.section === "common") return this.#layout.commonAt.get(symbol);
    if (symbol.section === "undefined") return undefined;
    const place = this.#layout.placed.get(symbol.section);
    return place && place.address + symbol.value;
  }

  #apply({ section, offset, type, symbol, addend }: Relocation): void {
    const place = this.#layout.placed.get(section)!;
    const at = place.address + BigInt(offset);
    const target = () => this.#addressOf(symbol) + addend;
    const name = this.#object.symbols[symbol]!.name;
    const what = `${relocationName(type)} at ${place.name}+0x${offset.toString(16)}`;
    if (offset + widthOf(type) > place.size) throw refusal(what, "it reaches past its section");
    const field = createField(place.view, offset, `${what} (${name})`);
    switch (type) {
      case R.NONE:
      case R.RELAX:
      case R.ALIGN:
        return;
      case R[32]:
        return field.word(32, target());
      case R[64]:
        return field.set(64, target());
      case R["32_PCREL"]:
        return field.set(32, target() - at);
      case R.BRANCH:
      case R.JAL:
        return field.immediate(target() - at);
      case R.RVC_BRANCH:
      case R.RVC_JUMP:
        return field.compressed(target() - at);
      case R.CALL:
      case R.CALL_PLT: {
        const distance = target() - at;
        field.immediate(upper(distance));
        return field.after(4).immediate(lower(distance));
      }
      case R.PCREL_HI20:
      case R.GOT_HI20: {
        const to = type === R.GOT_HI20 ? this.#layout.got.get(symbol)!.address : target();
        this.#distances.set(at, to - at);
        return field.immediate(upper(to - at));
      }
      case R.PCREL_LO12_I:
      case R.PCREL_LO12_S: {
        const distance = this.#distances.get(this.#addressOf(symbol));
        if (distance === undefined) throw refusal(what, "there is no upper part where it says");
        return field.immediate(lower(distance));
      }
      case R.HI20:
        return field.immediate(upper(target()));
      case R.LO12_I:
      case R.LO12_S:
        return field.immediate(lower(target()));
      default: {
        const [bits, how] = DATA[type] ?? [];
        if (bits === undefined) {
          throw refusal(what, "it is not known here; compile with -fno-pic and without TLS or LTO");
        }
        return field.change(bits, how!, target());
      }
    }
  }
}

/** A section, or a slot of the table of addresses, with its place. */
interface Placed {
  readonly name: string;
  readonly address: bigint;
  readonly size: number;
  readonly view: DataView;
}

/** Where an object's sections, its table of addresses and its common symbols were placed. */
interface Layout {
  readonly regions: readonly LinkedRegion[];
  /** The placed sections by their index in the object. */
  readonly placed: ReadonlyMap<number, Placed>;
  /** Slots of the table of addresses, by index of their symbol. */
  readonly got: ReadonlyMap<number, Placed>;
  readonly commonAt: ReadonlyMap<ObjectSymbol, bigint>;
}

function layOut(
  object: ObjectFile,
  commons: readonly ObjectSymbol[],
  gotSymbols: readonly number[],
  allocate: LinkOptions["allocate"],
): Layout {
  const regions: LinkedRegion[] = [];
  const placed = new Map<number, Placed>();
  const got = new Map<number, Placed>();
  const commonAt = new Map<ObjectSymbol, bigint>();
  const kindOf = ({ executable, writable }: ObjectSection) =>
    executable ? "code" : writable ? "data" : "constants";
  for (const kind of ["code", "constants", "data"] as const) {
    let size = 0;
    const take = (bytes: number, align: number) => {
      const offset = Math.ceil(size / align) * align;
      size = offset + bytes;
      return offset;
    };
    const mine = object.sections.filter((section) => kindOf(section) === kind)
      .map((section) => ({ section, offset: take(section.size, section.align) }));
    const slots = kind === "constants"
      ? gotSymbols.map((symbol) => ({ symbol, offset: take(8, 8) }))
      : [];
    const shared = kind === "data"
      ? commons.map((symbol) => ({
        symbol,
        offset: take(Number(symbol.size), Math.min(4096, Number(symbol.value)) || 1),
      }))
      : [];
    if (size === 0) continue;
    const bytes = new Uint8Array(size);
    const address = allocate(size, kind);
    regions.push({ address, bytes });
    const at = (name: string, offset: number, length: number): Placed => ({
      name,
      address: address + BigInt(offset),
      size: length,
      view: new DataView(bytes.buffer, offset, length),
    });
    for (const { section, offset } of mine) {
      bytes.set(section.data, offset);
      placed.set(section.index, at(section.name, offset, section.size));
    }
    for (const { symbol, offset } of slots) got.set(symbol, at(".got", offset, 8));
    for (const { symbol, offset } of shared) commonAt.set(symbol, address + BigInt(offset));
  }
  return { regions, placed, got, commonAt };
}
