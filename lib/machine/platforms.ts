/**
 * The table of platforms: one row each, and the only place that names them.
 *
 * `--machine` and `createMachine` read it. A row says what has to be known before there is a
 * platform: which programs are for it, and where they go. What a platform is, is `platform.ts`.
 *
 * @module
 */
import type { Elf, Segment } from "../program/elf.ts";
import { builtFor } from "../program/built_for.ts";
import { createBare } from "./board/bare.ts";
import { memoryMapOf } from "./board/memory_map.ts";
import { RAM_START } from "./board/ram.ts";
import { VIRT } from "./board/virt.ts";
import { createLinux } from "./linux/linux.ts";
import type { Platform, PlatformContext, PlatformOptions } from "./platform.ts";
import {
  firmwareEntry,
  loadFirmware,
  loadProcess,
  lowestAddress,
  type PlacedProgram,
} from "./program_loader.ts";
import type { BoardLayout } from "./tracing_range.ts";

/** Segment flag: its bytes are executed. */
const PF_X = 1;

/** A kind of platform, before there is one. */
export interface PlatformKind {
  /** Refuses a program that cannot run here. @throws {SyntaxError} Saying why. */
  check(elf: Elf): void;
  /** The mode that harts reset in. */
  readonly mode: "M" | "U";
  /** Where the lowest page of a position-independent program goes that is linked to `lowest`. */
  base(lowest: bigint): bigint;
  /** Where the program's first instruction is, before a bias. */
  entry(elf: Elf): bigint;
  /** What decides where the tracing range lies: the lowest text, or the board. */
  layout(elf: Elf, bias: bigint, options: PlatformOptions): number | BoardLayout;
  /** Makes the platform, and maps what it has; the program is not there yet. */
  create(context: PlatformContext): Platform;
  /** Loads the program. @throws {SyntaxError} If a segment cannot be where it is to be. */
  load(program: PlacedProgram): void;
}

/** The name of a platform, as `--machine` takes it. */
export type PlatformName = "bare" | "linux";

/** Every platform by its name. */
export const PLATFORMS: Readonly<Record<PlatformName, PlatformKind>> = {
  linux: {
    check: refuseDynamic,
    mode: "U",
    base: () => 0x10000n,
    entry: ({ entry }) => entry,
    layout: (elf, bias) => Number(lowestAddress(elf) + bias),
    create: createLinux,
    load: loadProcess,
  },
  bare: {
    check: () => {},
    mode: "M",
    base: (lowest) => lowest >= BigInt(RAM_START) ? lowest : BigInt(RAM_START),
    entry: firmwareEntry,
    layout: boardLayout,
    create: createBare,
    load: loadFirmware,
  },
};

/** All names of platforms. */
export const PLATFORM_NAMES: readonly PlatformName[] = Object.keys(PLATFORMS) as PlatformName[];

/**
 * The platform that a program is for, if nobody says which: what a Linux program's tools leave, or
 * privileged instructions, then whether it speaks by ecall, and last where it is linked.
 *
 * @throws {SyntaxError} If what it has speaks for both.
 */
export function platformFor(elf: Elf): PlatformName {
  const { linux, bare, calls } = builtFor(elf);
  const isHigh = isInRam(elf);
  // Firmware that is not linked to RAM may call a mode above, and a process may ask for SIGILL.
  const ours = linux ?? (calls && !isHigh ? "an ecall" : undefined);
  if (ours !== undefined && bare !== undefined) {
    throw new SyntaxError(
      `Cannot tell what the program is for: it has ${ours}, as Linux programs have, and ${bare}, ` +
        "as firmware has; give --machine linux or --machine bare",
    );
  }
  if (bare !== undefined) return "bare";
  return linux !== undefined || calls || !isHigh ? "linux" : "bare";
}

/** Whether a program is linked where a board has RAM. */
function isInRam({ segments }: Elf): boolean {
  return segments.every(({ address }) => address >= BigInt(RAM_START));
}

/** What firmware's tracing range has to keep clear of, and be in reach of. */
function boardLayout({ segments }: Elf, bias: bigint, options: PlatformOptions): BoardLayout {
  const { devices } = options.board ?? VIRT;
  const regionOf = ({ address, size }: Segment) => ({
    start: Number(address + bias),
    size: Number(size),
  });
  const placed = segments.map(regionOf);
  const texts = segments.filter(({ flags }) => flags & PF_X).map(regionOf);
  const start = Math.min(...(texts.length > 0 ? texts : placed).map((region) => region.start));
  const end = Math.max(
    ...(texts.length > 0 ? texts : placed).map(({ start, size }) => start + size),
  );
  return {
    taken: [...memoryMapOf(options).all, ...devices.flatMap(({ regions }) => regions), ...placed],
    text: { start, size: end - start },
  };
}

function refuseDynamic({ interpreter }: Elf): void {
  if (interpreter === undefined) return;
  throw new SyntaxError(
    `Cannot run a dynamically linked program: it wants ${interpreter}; link it with -static`,
  );
}
