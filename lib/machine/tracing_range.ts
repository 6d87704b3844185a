/**
 * The tracing range: addresses that belong to tracing and never to the guest.
 *
 * Trampolines, stubs and the structs that literals point at lie here, within reach of an
 * `auipc`/`jalr` pair at every call site. It is mapped for all to see, but nothing of the guest's
 * can be placed in it.
 *

 * Below it lies a stretch for code that tracing adds to the program, such as the functions of a live
 * patch. It runs as the guest's own, counted and timed like it, so it is not part of the range, but
 * the guest cannot place anything there either.
 *
 * What is put here is `lib/ftrace/ops/tracing_area.ts`.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import { PAGE_SIZE } from "../memory/page.ts";

/** A stretch of guest addresses that tracing owns. */
export interface MachineTracingRange {
  /** First address that nothing of the guest's may lie at: the added code's. */
  readonly reserved: number;
  /** First address of the range. */
  readonly start: number;
  /** First address behind the range. */
  readonly end: number;
  /** Takes whole pages for `bytes` bytes, zeroed. @throws {RangeError} When the range is full. */
  allocate(bytes: number, permissions: number): number;
  /** Takes whole pages from the stretch for added code, zeroed. @throws {RangeError} When it is full. */
  allocateCode(bytes: number, permissions: number): number;
}

/** Bytes of the range that trampolines and their data take. */
const SIZE = 0x100000;
/** Bytes of the stretch for added code. */
const CODE_SIZE = 0x100000;
const BARE_START = 0x7ff00000;
const REACH = 2 ** 31;
const MEMORY_SIZE = 2 ** 32;

/** Reserves the range: below a bare machine's RAM, or at the end of what the lowest text reaches. */
export function createTracingRange(
  memory: Memory,
  lowestText: number | undefined,
): MachineTracingRange {
  const reached = Math.min((lowestText ?? 0) + REACH, MEMORY_SIZE);
  const start = lowestText === undefined
    ? BARE_START
    : Math.floor(reached / PAGE_SIZE) * PAGE_SIZE - SIZE;
  const end = start + SIZE;
  const from = (first: number, last: number, what: string) => {
    let next = first;
    return (bytes: number, permissions: number) => {
      const length = Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
      if (next + length > last) {
        throw new RangeError(`Cannot allocate ${bytes} bytes: ${what} is full`);
      }
      const address = next;
      memory.map(address, length, permissions);
      next += length;
      return address;
    };
  };
  const reserved = start - CODE_SIZE;
  return {
    reserved,
    start,
    end,
    allocate: from(start, end, "the tracing range"),
    allocateCode: from(reserved, start, "the range for added code"),
  };
}
