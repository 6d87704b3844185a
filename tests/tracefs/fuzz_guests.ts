/**
 * The guests whose control files are written at random: one of every era, with an event of its own.
 *
 * @module
 */
import type { EraName } from "../../lib/ftrace/era.ts";
import { fuzzControlFiles, type FuzzFigures } from "./fuzz.ts";
import { TRACERS } from "./guest.ts";
import { traced } from "../ftrace/guest.ts";

/** Writes `count` times to guests of an era. @throws {Error} If anything is as it must not be. */
export function fuzzEra(era: EraName, seed: number, count: number): Promise<FuzzFigures> {
  let made = 0;
  return fuzzControlFiles(
    async () => {
      // Every other one goes through the real trampolines.
      const guest = await traced("calls_p84", {
        era,
        trampoline: made++ % 2 === 0 ? "fast" : "guest",
        bufferKib: 16,
      });
      guest.ftrace.defineEvent({
        name: "fuzz",
        fields: { value: "u64", who: "string" },
        enabled: false,
      });
      return guest;
    },
    TRACERS,
    seed,
    count,
  );
}
