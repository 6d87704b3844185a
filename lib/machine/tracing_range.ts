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
import { overlaps } from "./board/memory_map.ts";
import type { Region } from "./board/device.ts";
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

/** What a board has where the range cannot be, and the program that has to reach it. */
export interface BoardLayout {
  /** Memory, devices, and what the program has. */
  readonly taken: readonly Region[];
  /** The program's text. */
  readonly text: Region;
}

/**
 * Reserves the range: at the end of what the lowest text reaches, or on a board below RAM, or where
 * next to that nothing is.
 *
 * @throws {RangeError} If the board leaves no room for it within reach of the text.
 */
export function createTracingRange(
  memory: Memory,
  where: number | BoardLayout,
): MachineTracingRange {
  const start = typeof where === "number"
    ? Math.floor(Math.min(where + REACH, MEMORY_SIZE) / PAGE_SIZE) * PAGE_SIZE - SIZE
    : freeStart(where);
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

/** The free place that is nearest to the usual one and within reach of all text. */
function freeStart({ taken, text }: BoardLayout): number {
  for (let away = 0; away < MEMORY_SIZE; away += SIZE) {
    for (const start of [BARE_START - away, BARE_START + away]) {
      const whole = { start: start - CODE_SIZE, size: CODE_SIZE + SIZE };
      if (whole.start <= 0 || start + SIZE > MEMORY_SIZE) continue;
      const reach = Math.max(start + SIZE - text.start, text.start + text.size - whole.start);
      if (reach <= REACH && !taken.some((region) => overlaps(region, whole))) return start;
    }
  }
  throw new RangeError(
    "Cannot place the tracing range: within 2 GiB of the program's text, memory and devices leave " +
      "nowhere 2 MiB free; give less --memory",
  );
}
