/**
 * Puts a program into memory: where it goes, its segments, and what has to be relocated for it.
 *
 * Firmware goes into RAM that is there already; a process gets pages with the permissions that its
 * segments ask for. A static program of either kind may be position-independent.
 *
 * What the file says is read by `lib/program`; what is around the program is the platform's affair.
 *
 * @module
 */
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../memory/page.ts";
import type { Memory } from "../memory/memory.ts";
import type { AddressSpace } from "../memory/space.ts";
import type { Elf, Segment } from "../program/elf.ts";
import type { SymbolTable } from "../program/symbols.ts";
import { RAM_START } from "./board/ram.ts";
import type { MachineTracingRange } from "./tracing_range.ts";

/** Bytes that guest addresses reach. */
const GUEST_SIZE = 2n ** 32n;
/** Segments that begin so close to each other are meant for one memory. */
const NEAR = 0x1000000n;
/** Segment flags: PF_X, PF_W, PF_R. */
const PF_X = 1, PF_W = 2, PF_R = 4;

/** A program and where in guest memory it is to be loaded. */
export interface PlacedProgram {
  /** The ELF file of the program. */
  readonly elf: Elf;
  /** The program's symbols, at the addresses where it is loaded. */
  readonly symbols: SymbolTable;
  /** The load bias: bytes that the program is moved up by. */
  readonly bias: bigint;
  /** Addresses that none of its segments may lie in. */
  readonly tracing: MachineTracingRange;
  /** Guest memory, for its pages and their permissions. */
  readonly memory: Memory;
  /** The address space that the program is loaded into. */
  readonly space: AddressSpace;
}

/** Lowest address of a program's segments, as the file has them. */
export function lowestAddress({ segments }: Elf): bigint {
  return segments.reduce(
    (least, { address }) => address < least ? address : least,
    segments[0]!.address,
  );
}

/**
 * Bytes to move a program up by, so that the lowest page of a position-independent one lies at
 * `base`; any other stays where it was linked.
 */
export function biasOf(elf: Elf, base: bigint): bigint {
  const page = BigInt(PAGE_SIZE);
  return elf.type === "DYN" ? base / page * page - lowestAddress(elf) / page * page : 0n;
}

/** @throws {SyntaxError} If a segment would reach beyond the 4 GiB of guest addresses. */
export function checkReach(elf: Elf, bias: bigint): void {
  for (const { address, size } of elf.segments) {
    const start = address + bias;
    if (start + size <= GUEST_SIZE) continue;
    throw new SyntaxError(
      `Cannot load the segment at 0x${start.toString(16)}: it lies beyond 4 GiB`,
    );
  }
}

/**
 * Loads firmware where its program headers have it physically, and relocates it if it has no code
 * of its own for that. What is to be elsewhere when it runs, its startup code copies.
 *
 * @throws {SyntaxError} If a segment does not lie in memory, or two overlap.
 */
export function loadFirmware(program: PlacedProgram): void {
  const { elf, space, bias, symbols } = program;
  checkOverlap(elf);
  for (const segment of elf.segments) {
    const start = startOf(program, segment);
    const loaded = segment.physical - segment.address + start;
    const isCopied = loaded !== start;
    const size = isCopied ? segment.data.length : Number(segment.size);
    checkMemory(program, loaded, size);
    if (isCopied) checkMemory(program, start, Number(segment.size));
    space.poke(loaded, segment.data);
  }
  // A static PIE relocates itself; a bare one need not have code for that.
  if (bias === 0n || symbols.named("_DYNAMIC").length > 0) return;
  for (const { address, addend } of elf.relatives) space.poke(address + bias, word(addend + bias));
}

/** Where firmware begins: the entry's place in the segment as it is loaded, as on QEMU. */
export function firmwareEntry({ entry, segments }: Elf): bigint {
  const inside = segments.find(({ address, data, flags }) =>
    flags & PF_X && entry >= address && entry < address + BigInt(data.length)
  );
  return inside ? entry - inside.address + inside.physical : entry;
}

/** @throws {SyntaxError} If there is no memory, saying what would make it. */
function checkMemory({ space, elf, bias }: PlacedProgram, start: bigint, size: number): void {
  if (size === 0 || space.allows(start, size, READ)) return;
  const page = BigInt(PAGE_SIZE);
  const end = start + BigInt(size);
  const near = elf.segments.flatMap(({ address, physical, data, size }) => [
    { from: address + bias, to: address + bias + size },
    { from: physical + bias, to: physical + bias + BigInt(data.length) },
  ]).filter(({ from, to }) => from >= start && from - start < NEAR && to > end);
  const last = near.reduce((most, { to }) => to > most ? to : most, end);
  const first = start / page * page;
  const whole = (last - first + page - 1n) / page * page;
  throw new SyntaxError(
    `Cannot load the segment at ${hex(start)}: a bare machine has RAM from ${
      hex(BigInt(RAM_START))
    } on; give it memory there with --memory ${hex(first)},${hex(whole)}, or more`,
  );
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** @throws {SyntaxError} If two segments overlap. */
function checkOverlap({ segments }: Elf): void {
  const loaded = segments.map(({ address, physical, data, size }) => ({
    start: physical,
    end: physical + (address === physical ? size : BigInt(data.length)),
  }));
  const sorted = loaded.filter(({ start, end }) => end > start)
    .sort((a, b) => a.start < b.start ? -1 : 1);
  sorted.forEach(({ start, end }, k) => {
    const next = sorted[k + 1];
    if (!next || end <= next.start) return;
    throw new SyntaxError(
      `Cannot load firmware: its segments at ${hex(start)} and ${hex(next.start)} overlap`,
    );
  });
}

/**
 * Loads a process's program as Linux maps it (`fs/binfmt_elf.c elf_load`): whole pages of the file,
 * a later segment over an earlier one, then pages of zeros, which can always be written.
 *
 * @throws {SyntaxError} If a segment lies in the tracing range, or not in its page as in the file's.
 */
export function loadProcess(program: PlacedProgram): void {
  for (const segment of program.elf.segments) mapSegment(program, segment);
}

/** Where a segment goes. @throws {SyntaxError} If it overlaps the tracing range. */
function startOf({ bias, tracing }: PlacedProgram, { address, size }: Segment): bigint {
  const start = address + bias;
  if (start < tracing.end && start + size > tracing.reserved) {
    throw new SyntaxError(
      `Cannot load the segment at 0x${start.toString(16)}: it overlaps the tracing range`,
    );
  }
  return start;
}

function mapSegment(program: PlacedProgram, segment: Segment): void {
  const { memory, space, elf } = program;
  const { offset, data, size, flags } = segment;
  const start = Number(startOf(program, segment));
  const inPage = start % PAGE_SIZE;
  const permissions = permissionsOf(flags);
  const first = start - inPage;
  const fileEnd = data.length === 0 ? first : pageEnd(start + data.length);
  if (data.length > 0) {
    if (offset % PAGE_SIZE !== inPage) {
      throw new SyntaxError(
        `Cannot load the segment at 0x${start.toString(16)}: Linux maps pages of the file, and ` +
          `p_offset 0x${offset.toString(16)} is not where p_vaddr is in its page`,
      );
    }
    const pages = new Uint8Array(fileEnd - first);
    pages.set(elf.bytes.subarray(offset - inPage, offset - inPage + pages.length));
    // What is behind the data in its last page is the file's, unless zeros can be written there.
    if (size > data.length && permissions & WRITE) pages.fill(0, inPage + data.length);
    mapOver(memory, first, fileEnd, permissions);
    space.poke(BigInt(first), pages);
  }
  const end = pageEnd(start + Number(size));
  if (end <= fileEnd) return;
  mapOver(memory, fileEnd, end, READ | WRITE | (flags & PF_X ? EXECUTE : 0));
  space.poke(BigInt(fileEnd), new Uint8Array(end - fileEnd));
}

const pageEnd = (address: number): number => Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;

/** RISC-V pages that can be written can be read; those that can only be executed cannot. */
function permissionsOf(flags: number): number {
  return (flags & (PF_R | PF_W) ? READ : 0) | (flags & PF_W ? WRITE : 0) |
    (flags & PF_X ? EXECUTE : 0);
}

/** Maps pages that may be there already. */
function mapOver(memory: Memory, from: number, end: number, permissions: number): void {
  for (let page = from; page < end; page += PAGE_SIZE) {
    if (memory.permissions[page / PAGE_SIZE] === 0) memory.map(page, PAGE_SIZE, permissions);
    else memory.protect(page, PAGE_SIZE, permissions);
  }
}

/** The bytes of a 64-bit word, little-endian. */
function word(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}
