/**
 * Makes the harts of a machine as its options say.
 *
 * What a hart is, is `lib/hart`; how several of them take turns, `schedule.ts`.
 *
 * @module
 */
import { Hart } from "../hart/hart.ts";
import { parseIsaString } from "../isa/isa_string.ts";
import type { Memory } from "../memory/memory.ts";

/** How many harts a machine has, and of what kind. */
export interface HartOptions {
  /** Bare: the number of harts; 1 if absent. */
  readonly harts?: number | undefined;
  /** Bare: the extensions of the harts, as an ISA string; all that are known if absent. */
  readonly isa?: string | undefined;
  /** Bare: misaligned loads and stores work (the default), or trap. */
  readonly misaligned?: "work" | "trap" | undefined;
  /** Whether instructions of trampolines count as the guest's time. */
  readonly chargeTracing?: boolean | undefined;
}

/** The most harts that the CLINT and the rings have room for. */
const MOST_HARTS = 16;

/**
 * Makes harts that reset in `mode`: M for a board's, U for the one of a process.
 *
 * @throws {RangeError} If there cannot be so many, or not with these extensions.
 * @throws {SyntaxError} If the ISA string is malformed.
 */
export function createHarts(memory: Memory, mode: "M" | "U", options: HartOptions): Hart[] {
  const { harts: count = 1, isa, misaligned, chargeTracing = false } = options;
  if (!(Number.isInteger(count) && count >= 1 && count <= MOST_HARTS)) {
    throw new RangeError(`Cannot make ${count} harts: 1 to ${MOST_HARTS} are possible`);
  }
  if (count > 1 && mode === "U") {
    throw new RangeError(`Cannot make ${count} harts: a Linux program has one`);
  }
  if (isa !== undefined && mode === "U") {
    throw new RangeError(
      `Cannot be ${isa}: a Linux program has what its kernel says, RV64GC and more`,
    );
  }
  const extensions = isa === undefined ? undefined : parseIsaString(isa);
  return Array.from({ length: count }, (_, id) => {
    const hart = new Hart(id, memory, mode, count === 1 ? "running" : "aside");
    hart.chargeTracing = chargeTracing;
    if (extensions) hart.extensions = extensions;
    hart.trapsMisaligned = misaligned === "trap";
    return hart;
  });
}
