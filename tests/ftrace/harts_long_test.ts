/**
 * Tracing turned on and off 10,000 times under four harts, in every era.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { HARTS, runHarts } from "./harts_guest.ts";

const LONG = Deno.env.get("HARTRACE_LONG") !== undefined;
const SWITCHES = 10_000;

for (const era of ["regs", "args", "preset", "call-ops"] as const) {
  Deno.test({
    name: `10,000 switches under four harts lose no call and go nowhere wild in era ${era}`,
    ignore: !LONG,
    async fn() {
      const { ftrace, outcome, switched } = await runHarts(2 * SWITCHES, {
        switching: true,
        seed: 11n,
        ftrace: { era, bufferKib: 16_384 },
      });
      assertEquals(outcome, { kind: "exit", code: 0 });
      assertEquals(switched, SWITCHES);
      let stored = 0;
      for (let hart = 0; hart < HARTS; hart++) {
        const { written, overrun } = ftrace.buffer.statistics(hart);
        assertEquals(overrun, 0);
        stored += written;
      }
      assertEquals(stored, ftrace.core.calls - 2 * SWITCHES);
      const { parks, steps } = ftrace.core.patcher.statistics;
      if (era === "regs" || era === "args") assert(parks >= 2 * SWITCHES && steps > 0);
      else assertEquals([parks, steps], [0, 0]);
    },
  });
}
