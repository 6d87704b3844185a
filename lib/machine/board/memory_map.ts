/**
 * The memory of a board: RAM where it begins on every one, and what else it was asked to have.
 *
 * Flash is memory, too: nothing keeps firmware from storing to it.
 *
 * @module
 */
import { PAGE_SIZE } from "../../memory/page.ts";
import type { Region } from "./device.ts";
import { RAM_START } from "./ram.ts";

const MIB = 1024 * 1024, DEFAULT_RAM_MIB = 128;
const ADDRESSES = 2 ** 32;

/** The stretches of memory that a board has, RAM first. */
export interface MemoryMap {
  /** The RAM at 0x80000000, or the stretch that was asked for around that address. */
  readonly ram: Region;
  /** All memory, in the order in which it was asked for, RAM first. */
  readonly all: readonly Region[];
}

/** What of the options decides a board's memory. */
export interface MemoryOptions {
  /** Stretches of memory besides RAM; one that holds 0x80000000 takes the place of it. */
  readonly memoryMap?: readonly Region[] | undefined;
  /** MiB of RAM, from 0x80000000 on. 128 if absent. */
  readonly ramMib?: number | undefined;
}

/**
 * The memory of a board.
 *
 * @throws {RangeError} If a stretch is no whole pages within 4 GiB, or two of them overlap.
 */
export function memoryMapOf({ memoryMap = [], ramMib }: MemoryOptions): MemoryMap {
  memoryMap.forEach(checkPages);
  const holdsStart = ({ start, size }: Region) => start <= RAM_START && RAM_START < start + size;
  const given = memoryMap.find(holdsStart);
  const ram = given ?? { start: RAM_START, size: (ramMib ?? DEFAULT_RAM_MIB) * MIB };
  const all = [ram, ...memoryMap.filter((region) => region !== given)];
  all.forEach((region, k) => {
    const other = all.slice(0, k).find((each) => overlaps(each, region));
    if (other) {
      throw new RangeError(
        `Cannot put memory at ${textOf(region)}: there is memory at ${textOf(other)}`,
      );
    }
  });
  return { ram, all };
}

/** Whether two stretches of addresses have one in common. */
export function overlaps(a: Region, b: Region): boolean {
  return a.start < b.start + b.size && b.start < a.start + a.size;
}

function checkPages(region: Region): void {
  const { start, size } = region;
  const isWhole = [start, size].every((n) => Number.isSafeInteger(n) && n % PAGE_SIZE === 0);
  if (isWhole && size > 0 && start >= 0 && start + size <= ADDRESSES) return;
  throw new RangeError(
    `Cannot put memory at ${
      textOf(region)
    }: it must be whole pages of ${PAGE_SIZE} bytes, within 4 GiB`,
  );
}

/** A stretch as `--memory` takes it. */
function textOf({ start, size }: Region): string {
  return `0x${start.toString(16)},0x${size.toString(16)}`;
}
