/**
 * A Linux process's address space: which pages are mapped, brk, mmap and their relatives.
 *
 * Page permissions alone cannot tell a PROT_NONE page from a hole, so the mapped pages are kept
 * here; permissions are `lib/memory`'s. Everything lies below 4 GiB, and the tracing range is never
 * given out.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import type { Memory } from "../../memory/memory.ts";
import { EEXIST, EFAULT, EINVAL, ENOMEM, EPERM } from "../files/errno.ts";
import type { MachineTracingRange } from "../tracing_range.ts";

/** Where the stack ends; a page above it stays free. */
export const STACK_TOP = 0xfffff000;
/** Bytes of the stack: the usual RLIMIT_STACK. */
export const STACK_SIZE = 8 * 1024 * 1024;
/** Mappings are given out from here down: a gap of 1 MiB keeps the stack apart. */
const MMAP_TOP = STACK_TOP - STACK_SIZE - 0x100000;
/** Nothing is mapped below: what a null pointer leads to. */
const LEAST_ADDRESS = 0x10000;
const SPACE = 2 ** 32;

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_TYPE = 0x0f;
const MAP_FIXED = 0x10;
const MAP_FIXED_NOREPLACE = 0x100000;
const MREMAP_MAYMOVE = 1;

/** See the module. Addresses are numbers below 2³²; every call gives an address, 0 or a negated errno. */
export class Mappings {
  readonly #memory: Memory;
  readonly #tracing: MachineTracingRange;
  readonly #harts: readonly Hart[];
  readonly #warnOnce: (line: string) => void;
  /** 1 for each mapped page. */
  readonly #mapped = new Uint8Array(SPACE / PAGE_SIZE);
  /** Which mapping each mapped page belongs to: they are numbered as they are made. */
  readonly #mapping = new Uint32Array(SPACE / PAGE_SIZE);
  /** Mappings whose pages began with a file's bytes. */
  readonly #withFile = new Set<number>();
  #mappings = 0;
  #heap = 0;
  #brkStart = 0;
  #brk = 0;

  /** Starts with nothing mapped. */
  constructor(
    memory: Memory,
    tracing: MachineTracingRange,
    harts: readonly Hart[],
    warnOnce: (line: string) => void,
  ) {
    this.#memory = memory;
    this.#tracing = tracing;
    this.#harts = harts;
    this.#warnOnce = warnOnce;
  }

  /**
   * Takes over what the loader has mapped: segments from an address up to another one. The heap begins
   * behind the last of them.
   */
  adoptProgram(segments: readonly (readonly [start: number, end: number])[]): void {
    const program = ++this.#mappings;
    this.#withFile.add(program);
    for (const [start, end] of segments) {
      for (let page = Math.floor(start / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
        if (!this.#memory.permissions[page]) continue;
        this.#mapped[page] = 1;
        this.#mapping[page] = program;
      }
    }
    this.#heap = ++this.#mappings;
    this.#brkStart = this.#brk = pageUp(Math.max(...segments.map(([, end]) => end)));
  }

  /** Maps pages of zeros at a fixed place, as a mapping of their own unless `mapping` is given. */
  place(
    address: number,
    length: number,
    permissions: number,
    mapping: number = ++this.#mappings,
  ): number {
    const first = address / PAGE_SIZE, last = first + pageUp(length) / PAGE_SIZE;
    this.#memory.map(address, length, permissions);
    this.#mapped.fill(1, first, last);
    this.#mapping.fill(mapping, first, last);
    return mapping;
  }

  /** Whether a page is mapped, with whatever permissions: SEGV_ACCERR or SEGV_MAPERR. */
  isMapped(address: bigint): boolean {
    return address < BigInt(SPACE) && this.#mapped[Math.floor(Number(address) / PAGE_SIZE)] === 1;
  }

  /** `brk`: the new end of the heap, or the old one if it cannot be there. */
  brk(wanted: bigint): number {
    if (wanted < BigInt(this.#brkStart) || wanted >= BigInt(MMAP_TOP)) return this.#brk;
    const from = pageUp(this.#brk), to = pageUp(Number(wanted));
    if (to > from) {
      if (!this.#isFree(from, to)) return this.#brk;
      this.place(from, to - from, READ | WRITE, this.#heap);
    } else if (to < from) this.#release(to, from);
    this.#brk = Number(wanted);
    return this.#brk;
  }

  /** `mmap` of zeros, or of what `fill` puts there before permissions are taken away. */
  mmap(
    address: bigint,
    length: bigint,
    protection: number,
    flags: number,
    fill?: (at: number) => void,
  ): number {
    const type = flags & MAP_TYPE;
    if (length <= 0n || type < 1 || type > 3 || (address % 4096n !== 0n && isFixed(flags))) {
      return -EINVAL;
    }
    const size = this.#sizeOf(length);
    if (size === undefined) return -ENOMEM;
    let at: number | undefined;
    if (isFixed(flags)) {
      if (address + BigInt(size) > BigInt(SPACE)) return this.#refuseHigh();
      if (address < BigInt(LEAST_ADDRESS)) return -EPERM;
      at = Number(address);
      if (this.#touchesTracing(at, at + size)) return -ENOMEM;
      if (flags & MAP_FIXED_NOREPLACE && !this.#isFree(at, at + size)) return -EEXIST;
      this.#release(at, at + size);
    } else at = this.#choose(address, size);
    if (at === undefined) return -ENOMEM;
    const mapping = this.place(at, size, permissionsOf(protection));
    if (fill) {
      this.#withFile.add(mapping);
      fill(at);
    }
    if (protection & PROT_EXEC) this.#dropFetched(at, at + size);
    return at;
  }

  /** `munmap`. */
  munmap(address: bigint, length: bigint): number {
    if (address % 4096n !== 0n || length <= 0n) return -EINVAL;
    const end = address + BigInt(this.#sizeOf(length) ?? SPACE);
    if (end > BigInt(SPACE)) return -EINVAL;
    if (this.#touchesTracing(Number(address), Number(end))) return -EINVAL;
    this.#release(Number(address), Number(end));
    return 0;
  }

  /** `mprotect`: ENOMEM where a page is not mapped. */
  mprotect(address: bigint, length: bigint, protection: number): number {
    if (address % 4096n !== 0n) return -EINVAL;
    const start = Number(address), end = start + pageUp(Number(length));
    if (end > SPACE || this.#touchesTracing(start, end)) return -ENOMEM;
    for (let page = start / PAGE_SIZE; page < end / PAGE_SIZE; page++) {
      if (!this.#mapped[page]) return -ENOMEM;
    }
    this.#memory.protect(start, end - start, permissionsOf(protection));
    // Giving execute permission flushes, and so must taking it away: the page can no longer be fetched.
    this.#dropFetched(start, end);
    return 0;
  }

  /** `mremap` of private memory: in place, or moved if that is allowed. */
  mremap(address: bigint, oldLength: bigint, newLength: bigint, flags: number): number {
    const oldSize = this.#sizeOf(oldLength), newSize = this.#sizeOf(newLength);
    if (newSize === undefined) return -ENOMEM;
    // Neither a place of the guest's choice nor a second mapping of the same memory is offered.
    if (flags & ~MREMAP_MAYMOVE || address % 4096n !== 0n || !oldSize || newSize === 0) {
      return -EINVAL;
    }
    const start = Number(address);
    const first = start / PAGE_SIZE, last = first + oldSize / PAGE_SIZE;
    if (start + oldSize > SPACE || this.#mapped.subarray(first, last).includes(0)) return -EFAULT;
    const permissions = this.#memory.permissions[first]!;
    const mapping = this.#mapping[first]!;
    if (newSize <= oldSize) {
      this.#release(start + newSize, start + oldSize);
      return start;
    }
    if (start + newSize <= MMAP_TOP && this.#isFree(start + oldSize, start + newSize)) {
      this.place(start + oldSize, newSize - oldSize, permissions, mapping);
      return start;
    }
    const moved = flags & MREMAP_MAYMOVE ? this.#choose(0n, newSize) : undefined;
    if (moved === undefined) return -ENOMEM;
    this.place(moved, newSize, permissions, mapping);
    this.#memory.poke(moved, this.#memory.bytes.subarray(start, start + oldSize));
    this.#release(start, start + oldSize);
    if (permissions & EXECUTE) this.#dropFetched(moved, moved + newSize);
    return moved;
  }

  /** `madvise(MADV_DONTNEED)`: anonymous pages become zeros; what a file gave stays. */
  discard(address: bigint, length: bigint): number {
    if (address % 4096n !== 0n) return -EINVAL;
    if (address + length > BigInt(SPACE)) return -ENOMEM;
    const start = Number(address), end = start + pageUp(Number(length));
    let result = 0;
    for (let at = start; at < end; at += PAGE_SIZE) {
      const page = at / PAGE_SIZE;
      if (!this.#mapped[page]) result = -ENOMEM;
      else if (!this.#withFile.has(this.#mapping[page]!)) {
        this.#memory.map(at, PAGE_SIZE, this.#memory.permissions[page]!);
      }
    }
    this.#dropFetched(start, end);
    return result;
  }

  /** Number of the mapping that an address lies in, to tell one stack from another; 0 is none. */
  mappingAt(address: number): number {
    const page = Math.floor(address / PAGE_SIZE);
    return this.#mapped[page] ? this.#mapping[page]! : 0;
  }

  #sizeOf(length: bigint): number | undefined {
    if (length >= BigInt(SPACE)) {
      this.#refuseHigh();
      return undefined;
    }
    return pageUp(Number(length));
  }

  #refuseHigh(): number {
    this.#warnOnce("mmap above 4 GiB: ENOMEM; the guest's address space ends there");
    return -ENOMEM;
  }

  #touchesTracing(start: number, end: number): boolean {
    return start < this.#tracing.end && end > this.#tracing.reserved;
  }

  #isFree(start: number, end: number): boolean {
    if (this.#touchesTracing(start, end)) return false;
    const used = this.#mapped.indexOf(1, start / PAGE_SIZE);
    return used < 0 || used * PAGE_SIZE >= end;
  }

  /** The hint if it is free, else the highest free stretch. */
  #choose(hint: bigint, size: number): number | undefined {
    const wanted = pageUp(Number(hint));
    if (
      hint >= BigInt(LEAST_ADDRESS) && wanted + size <= MMAP_TOP &&
      this.#isFree(wanted, wanted + size)
    ) return wanted;
    for (let end = MMAP_TOP; end - size >= LEAST_ADDRESS;) {
      const start = end - size;
      if (this.#touchesTracing(start, end)) {
        end = this.#tracing.reserved;
        continue;
      }
      const last = this.#mapped.lastIndexOf(1, end / PAGE_SIZE - 1);
      if (last * PAGE_SIZE < start) return start;
      // Mappings lie close to each other, a hundred thousand pages in one piece.
      end = (this.#mapped.lastIndexOf(0, last) + 1) * PAGE_SIZE;
    }
    return undefined;
  }

  #release(start: number, end: number): void {
    if (end <= start) return;
    this.#memory.unmap(start, end - start);
    this.#mapped.fill(0, start / PAGE_SIZE, end / PAGE_SIZE);
    this.#dropFetched(start, end);
  }

  #dropFetched(start: number, end: number): void {
    for (const hart of this.#harts) hart.fetched.drop(start, end);
  }
}

function isFixed(flags: number): boolean {
  return (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0;
}

function pageUp(address: number): number {
  return Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
}

/** Page permissions as of riscv's protection_map: what can be written can be read. */
function permissionsOf(protection: number): number {
  return (protection & (PROT_READ | PROT_WRITE) ? READ : 0) |
    (protection & PROT_WRITE ? WRITE : 0) | (protection & PROT_EXEC ? EXECUTE : 0);
}
