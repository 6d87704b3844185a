/**
 * Address spaces: the way to guest bytes for everything that is not memory, hart or emitted code.
 *
 * An address has 64 bits, and what it leads to is the space's affair: a flat space (a Linux process,
 * or the physical memory of a bare machine) has every address at that offset of guest memory, a
 * paged one asks a hart's page tables. A fault is a value here, `undefined` or `false`, and then
 * nothing has happened.
 *
 * What instructions access is `lib/hart/translation.ts` and emitted code; where the bytes lie is
 * `memory.ts`.
 *
 * @module
 */
import type { Memory } from "./memory.ts";
import { READ, WRITE } from "./page.ts";

/** Bytes of a word that {@linkcode AddressSpace.readWord} takes. */
export type WordSize = 1 | 2 | 4 | 8;

/** Guest memory by 64-bit address, under the permissions of a process or a hart. */
export interface AddressSpace {
  /** Whether an address is an offset in guest memory, so that what is keyed by it may be a number. */
  readonly isFlat: boolean;
  /** Whether every byte of `length` from `address` on may be accessed so: READ, WRITE, EXECUTE. */
  allows(address: bigint, length: number, permission: number): boolean;
  /** Where bytes that may be read and written lie in guest memory, in one piece; else −1. */
  offset(address: bigint, length: number): number;
  /** A copy of bytes that may be read, or undefined if one of them may not. */
  read(address: bigint, length: number): Uint8Array | undefined;
  /** Writes where all may be written; false if one byte may not, and then writes nothing. */
  write(address: bigint, data: Uint8Array): boolean;
  /** A little-endian word, unsigned, or undefined if it may not be read. */
  readWord(address: bigint, bytes: WordSize): bigint | undefined;
  /** Writes the low `bytes` bytes of `value`; false if they may not be written. */
  writeWord(address: bigint, bytes: WordSize, value: bigint): boolean;
  /** Bytes up to a zero byte, without it, `most` at most; undefined if one may not be read. */
  readString(address: bigint, most: number): Uint8Array | undefined;
  /** A copy of bytes that are there, whatever the permissions; undefined where nothing is mapped. */
  peek(address: bigint, length: number): Uint8Array | undefined;
  /** Writes whatever the permissions, as a loader or a patcher does; false where nothing is. */
  poke(address: bigint, data: Uint8Array): boolean;
}

const SIZE = 2n ** 32n;
const scratch = new DataView(new ArrayBuffer(8));

/** The space in which an address is its offset in guest memory. */
export class FlatSpace implements AddressSpace {
  readonly isFlat = true;
  readonly #memory: Memory;

  /** A space over all 4 GiB of `memory`. */
  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** See {@linkcode AddressSpace.allows}. An address with a bit above 31 set is nobody's. */
  allows(address: bigint, length: number, permission: number): boolean {
    return this.#memory.allows(address, length, permission);
  }

  /** See {@linkcode AddressSpace.offset}. */
  offset(address: bigint, length: number): number {
    if (!this.#memory.allows(address, length, READ | WRITE)) return -1;
    return Number(BigInt.asUintN(64, address));
  }

  /** See {@linkcode AddressSpace.read}. */
  read(address: bigint, length: number): Uint8Array | undefined {
    return this.#memory.read(address, length);
  }

  /** See {@linkcode AddressSpace.write}. */
  write(address: bigint, data: Uint8Array): boolean {
    return this.#memory.write(address, data);
  }

  /** See {@linkcode AddressSpace.readWord}. */
  readWord(address: bigint, bytes: WordSize): bigint | undefined {
    if (!this.#memory.allows(address, bytes, READ)) return undefined;
    const at = Number(BigInt.asUintN(32, address));
    const { view } = this.#memory;
    if (bytes === 8) return view.getBigUint64(at, true);
    if (bytes === 4) return BigInt(view.getUint32(at, true));
    return BigInt(bytes === 2 ? view.getUint16(at, true) : view.getUint8(at));
  }

  /** See {@linkcode AddressSpace.writeWord}. */
  writeWord(address: bigint, bytes: WordSize, value: bigint): boolean {
    if (!this.#memory.allows(address, bytes, WRITE)) return false;
    scratch.setBigUint64(0, BigInt.asUintN(64, value), true);
    return this.#memory.write(address, new Uint8Array(scratch.buffer, 0, bytes));
  }

  /** See {@linkcode AddressSpace.readString}. */
  readString(address: bigint, most: number): Uint8Array | undefined {
    const start = BigInt.asUintN(64, address);
    for (let length = 0; length < most; length++) {
      if (!this.#memory.allows(start + BigInt(length), 1, READ)) return undefined;
      if (this.#memory.bytes[Number(start) + length] === 0) return this.read(start, length);
    }
    return this.read(start, most);
  }

  /** See {@linkcode AddressSpace.peek}. */
  peek(address: bigint, length: number): Uint8Array | undefined {
    const start = BigInt.asUintN(64, address);
    if (start + BigInt(length) > SIZE) return undefined;
    return this.#memory.bytes.slice(Number(start), Number(start) + length);
  }

  /** See {@linkcode AddressSpace.poke}. */
  poke(address: bigint, data: Uint8Array): boolean {
    const start = BigInt.asUintN(64, address);
    if (start + BigInt(data.length) > SIZE) return false;
    this.#memory.poke(Number(start), data);
    return true;
  }
}
