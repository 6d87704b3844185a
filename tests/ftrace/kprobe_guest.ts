/**
 * The small sample under kprobes, in every way that it can run.
 *
 * @module
 */
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import type { Machine } from "../../lib/machine/machine.ts";
import { traced, type TracedGuest } from "./guest.ts";

/** Every era. */
export const ERAS = ["regs", "args", "preset", "call-ops"] as const;
/** Every engine. */
export const ENGINES = ENGINE_NAMES;
/** A breakpoint of four bytes. */
export const EBREAK = 0x00100073;
/** One of two. */
export const C_EBREAK = 0x9002;

/** Four bytes of guest text. */
export const word = (machine: Machine, address: bigint) =>
  machine.memory.view.getUint32(Number(address), true);
/** Two of them. */
export const half = (machine: Machine, address: bigint) =>
  machine.memory.view.getUint16(Number(address), true);

/** Calls `body` with the sample in every era, on every engine and trampoline path. */
export async function everyWay(
  body: (guest: TracedGuest, where: { era: typeof ERAS[number]; what: string }) => Promise<void>,
): Promise<void> {
  for (const era of ERAS) {
    for (const engine of ENGINES) {
      for (const trampoline of ["guest", "fast"] as const) {
        const guest = await traced("sample_p84", { era, trampoline }, { engine });
        await body(guest, { era, what: `${era} ${engine} ${trampoline}` });
      }
    }
  }
}

/** What the sample prints without probes, and its instructions. */
export async function unprobed(): Promise<{ output: string; instret: bigint }> {
  const guest = await traced("sample_p84");
  await guest.run();
  return { output: guest.output(), instret: guest.machine.harts[0]!.instret };
}
