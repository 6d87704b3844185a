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
 *
 * @throws {SyntaxError} If a segment would reach beyond the 4 GiB of guest addresses.
 */
export function biasOf(elf: Elf, base: bigint): bigint {
  const page = BigInt(PAGE_SIZE);
  const bias = elf.type === "DYN" ? base - lowestAddress(elf) / page * page : 0n;
  for (const { address, size } of elf.segments) {
    const start = address + bias;
    if (start + size <= GUEST_SIZE) continue;
    throw new SyntaxError(
      `Cannot load the segment at 0x${start.toString(16)}: it lies beyond 4 GiB`,
    );
  }
  return bias;
}

/**
 * Loads firmware into RAM, and relocates it if it has no code of its own for that.
 *
 * @throws {SyntaxError} If a segment does not lie in RAM.
 */
export function loadFirmware(program: PlacedProgram): void {
  const { elf, space, bias, symbols } = program;
  for (const segment of elf.segments) {
    const start = startOf(program, segment);
    if (!space.allows(start, Number(segment.size), READ)) {
      throw new SyntaxError(
        `Cannot load the segment at 0x${start.toString(16)}: a bare machine has RAM from 0x${
          RAM_START.toString(16)
        } on`,
      );
    }
    space.poke(start, segment.data);
  }
  // A static PIE relocates itself; a bare one need not have code for that.
  if (bias === 0n || symbols.named("_DYNAMIC").length > 0) return;
  for (const { address, addend } of elf.relatives) space.poke(address + bias, word(addend + bias));
}

/**
 * Loads a process's program: maps the pages of its segments and fills them.
 *
 * @throws {SyntaxError} If a segment lies in the tracing range.
 */
export function loadProcess(program: PlacedProgram): void {
  for (const segment of program.elf.segments) {
    const start = startOf(program, segment);
    mapSegment(program.memory, Number(start), segment);
    program.space.poke(start, segment.data);
  }
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

function mapSegment(memory: Memory, start: number, { size, flags }: Segment): void {
  const permissions = (flags & PF_R ? READ : 0) | (flags & PF_W ? WRITE : 0) |
    (flags & PF_X ? EXECUTE : 0);
  const first = Math.floor(start / PAGE_SIZE) * PAGE_SIZE;
  const last = Math.ceil((start + Number(size)) / PAGE_SIZE) * PAGE_SIZE;
  for (let page = first; page < last; page += PAGE_SIZE) {
    // Two segments may share a page; it then has what both of them need.
    const there = memory.permissions[page / PAGE_SIZE]!;
    if (there === 0) memory.map(page, PAGE_SIZE, permissions);
    else memory.protect(page, PAGE_SIZE, there | permissions);
  }
}

/** The bytes of a 64-bit word, little-endian. */
function word(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}
