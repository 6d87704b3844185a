/**
 * The address space that a hart with privileged modes sees: its loads' mode, page tables and PMP.
 *
 * Looking at it from outside leaves no trace: no entry of a page table is marked as accessed, and
 * the TLB keeps nothing of it. Pages lie apart, so bytes are gathered page by page.
 *
 * Where a page lies is `translation.ts`; a user's process has a `FlatSpace`.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import { PAGE_SIZE, READ, WRITE } from "../memory/page.ts";
import { type AddressSpace, FlatSpace, type WordSize } from "../memory/space.ts";

/** The translation that a {@linkcode HartSpace} asks for each page. */
export interface Lookup {
  /** Where the byte at an address lies in guest memory, or −1 if it may not be accessed so. */
  peek(address: bigint, access: number): number;
}

/** The bytes of an access that lie in one page. */
interface Piece {
  /** Offset in guest memory. */
  readonly at: number;
  readonly length: number;
}

/** Guest memory by one hart's virtual addresses. */
export class HartSpace implements AddressSpace {
  readonly isFlat = false;
  readonly #lookup: Lookup;
  readonly #flat: FlatSpace;

  /** A space over `memory` whose pages lie where `lookup` says. */
  constructor(memory: Memory, lookup: Lookup) {
    this.#flat = new FlatSpace(memory);
    this.#lookup = lookup;
  }

  /** See {@linkcode AddressSpace.allows}. */
  allows(address: bigint, length: number, permission: number): boolean {
    return this.#pieces(address, length, permission) !== undefined;
  }

  /** See {@linkcode AddressSpace.offset}. */
  offset(address: bigint, length: number): number {
    const pieces = this.#pieces(address, length, READ | WRITE);
    if (!pieces || pieces.length === 0) return -1;
    const [first] = pieces;
    let end = first!.at;
    for (const { at, length: bytes } of pieces) {
      if (at !== end) return -1;
      end += bytes;
    }
    return first!.at;
  }

  /** See {@linkcode AddressSpace.read}. */
  read(address: bigint, length: number): Uint8Array | undefined {
    return this.#gather(this.#pieces(address, length, READ), length);
  }

  /** See {@linkcode AddressSpace.write}. */
  write(address: bigint, data: Uint8Array): boolean {
    const pieces = this.#pieces(address, data.length, WRITE);
    return pieces !== undefined && this.#scatter(pieces, data);
  }

  /** See {@linkcode AddressSpace.readWord}. */
  readWord(address: bigint, bytes: WordSize): bigint | undefined {
    const data = this.read(address, bytes);
    return data?.reduceRight((word, byte) => word << 8n | BigInt(byte), 0n);
  }

  /** See {@linkcode AddressSpace.writeWord}. */
  writeWord(address: bigint, bytes: WordSize, value: bigint): boolean {
    const word = Uint8Array.from(
      { length: bytes },
      (_, k) => Number(value >> BigInt(8 * k) & 255n),
    );
    return this.write(address, word);
  }

  /** See {@linkcode AddressSpace.readString}. */
  readString(address: bigint, most: number): Uint8Array | undefined {
    const found: number[] = [];
    for (let at = address; found.length < most;) {
      const rest = PAGE_SIZE - Number(BigInt.asUintN(12, at));
      const part = this.read(at, Math.min(rest, most - found.length));
      if (!part) return undefined;
      const end = part.indexOf(0);
      found.push(...end < 0 ? part : part.subarray(0, end));
      if (end >= 0) break;
      at += BigInt(part.length);
    }
    return new Uint8Array(found);
  }

  /** See {@linkcode AddressSpace.peek}. */
  peek(address: bigint, length: number): Uint8Array | undefined {
    return this.#gather(this.#pieces(address, length, 0), length);
  }

  /** See {@linkcode AddressSpace.poke}. */
  poke(address: bigint, data: Uint8Array): boolean {
    const pieces = this.#pieces(address, data.length, 0);
    if (!pieces) return false;
    let done = 0;
    for (const { at, length } of pieces) {
      this.#flat.poke(BigInt(at), data.subarray(done, done + length));
      done += length;
    }
    return true;
  }

  /** Where bytes lie, page by page, if all may be accessed so. */
  #pieces(address: bigint, length: number, access: number): readonly Piece[] | undefined {
    const pieces: Piece[] = [];
    for (let done = 0; done < length;) {
      const here = BigInt.asUintN(64, address + BigInt(done));
      const within = Number(here & BigInt(PAGE_SIZE - 1));
      const bytes = Math.min(length - done, PAGE_SIZE - within);
      const at = this.#lookup.peek(here, access);
      if (at < 0 || !this.#flat.allows(BigInt(at), bytes, access)) return undefined;
      pieces.push({ at, length: bytes });
      done += bytes;
    }
    return pieces;
  }

  #gather(pieces: readonly Piece[] | undefined, length: number): Uint8Array | undefined {
    if (!pieces) return undefined;
    const bytes = new Uint8Array(length);
    let done = 0;
    for (const { at, length: part } of pieces) {
      bytes.set(this.#flat.peek(BigInt(at), part)!, done);
      done += part;
    }
    return bytes;
  }

  #scatter(pieces: readonly Piece[], data: Uint8Array): boolean {
    let done = 0;
    for (const { at, length } of pieces) {
      if (!this.#flat.write(BigInt(at), data.subarray(done, done + length))) return false;
      done += length;
    }
    return true;
  }
}
