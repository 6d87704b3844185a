/**
 * The table of platforms: one row each, and the only place that names them.
 *
 * `--machine` and `createMachine` read it. A row says what has to be known before there is a
 * platform: which programs are for it, and where they go. What a platform is, is `platform.ts`.
 *
 * @module
 */
import type { Elf } from "../program/elf.ts";
import { createBare } from "./board/bare.ts";
import { RAM_START } from "./board/ram.ts";
import { createLinux } from "./linux/linux.ts";
import type { Platform, PlatformContext } from "./platform.ts";
import { loadFirmware, loadProcess, type PlacedProgram } from "./program_loader.ts";

/** A kind of platform, before there is one. */
export interface PlatformKind {
  /** Whether a program is for this platform, if nobody says which; rows are asked in order. */
  claims(elf: Elf): boolean;
  /** Refuses a program that cannot run here. @throws {SyntaxError} Saying why. */
  check(elf: Elf): void;
  /** The mode that harts reset in. */
  readonly mode: "M" | "U";
  /** Where the lowest page of a position-independent program goes. */
  readonly base: bigint;
  /** Whether the tracing range lies just below RAM, else as high as the program's text reaches. */
  readonly tracingBelowRam: boolean;
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
    claims: (elf) => !isFirmware(elf),
    check: refuseDynamic,
    mode: "U",
    base: 0x10000n,
    tracingBelowRam: false,
    create: createLinux,
    load: loadProcess,
  },
  bare: {
    claims: isFirmware,
    check: () => {},
    mode: "M",
    base: BigInt(RAM_START),
    tracingBelowRam: true,
    create: createBare,
    load: loadFirmware,
  },
};

/** All names of platforms, in the order in which they are asked whether a program is theirs. */
export const PLATFORM_NAMES: readonly PlatformName[] = Object.keys(PLATFORMS) as PlatformName[];

/** The platform that a program is for. */
export function platformFor(elf: Elf): PlatformName {
  return PLATFORM_NAMES.find((name) => PLATFORMS[name].claims(elf))!;
}

/** Whether a program is linked where a board has RAM. */
function isFirmware({ type, segments }: Elf): boolean {
  return type === "EXEC" && segments.every(({ address }) => address >= BigInt(RAM_START));
}

function refuseDynamic({ interpreter }: Elf): void {
  if (interpreter === undefined) return;
  throw new SyntaxError(
    `Cannot run a dynamically linked program: it wants ${interpreter}; link it with -static`,
  );
}
