/**
 * The tracing range: addresses that belong to tracing and never to the guest.
 *
 * Trampolines, stubs and the structs that literals point at lie here, within reach of an
 * `auipc`/`jalr` pair at every call site. It is mapped for all to see, but nothing of the guest's
 * can be placed in it.
 *
 * What is put here is `lib/ftrace/tracing_area.ts`.
 *
 * @module
 */
import { type Memory, PAGE_SIZE } from "../memory/memory.ts";

/** A stretch of guest addresses that tracing owns. */
export interface MachineTracingRange {
  /** First address. */
  readonly start: number;
  /** Address behind the last. */
  readonly end: number;
  /** Takes whole pages for `bytes` bytes, zeroed. @throws {RangeError} When the range is full. */
  allocate(bytes: number, permissions: number): number;
}

/** Bytes of the range. */
const SIZE = 0x100000;
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
  let next = start;
  return {
    start,
    end,
    allocate(bytes, permissions) {
      const length = Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
      if (next + length > end) {
        throw new RangeError(`Cannot allocate ${bytes} bytes: the tracing range is full`);
      }
      const address = next;
      memory.map(address, length, permissions);
      next += length;
      return address;
    },
  };
}
