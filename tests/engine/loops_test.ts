import { assert, assertEquals } from "@std/assert";
import { HandlerTable } from "../../lib/engine/interpreter/handler_table.ts";
import { loopRows, loopSplit } from "../../lib/engine/interpreter/loops.ts";
import { FIRST_PLAN, Handler } from "../../lib/engine/interpreter/micro_op.ts";
import { Plans } from "../../lib/engine/plan/plans.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { LOOP_BYTES, loopBytesText } from "../../scripts/emit_loops.ts";

Deno.test("loop_bytes.json is what the emitter writes when it is asked now", () => {
  const same = Deno.readTextFileSync(LOOP_BYTES) === loopBytesText();
  assert(same, "loop_bytes.json is out of date: run deno task loops");
});

Deno.test("loopRows() gives handlers of an instruction's own plan when plans are recorded", () => {
  const plans = new Plans();
  const table = new HandlerTable(plans);
  assertEquals(loopSplit(), table.split);
  let served = 0;
  for (const definition of RV64.definitions) {
    const { match, runs } = definition.pattern;
    // The fields that make variants: rm, or the lowest bits of a CSR.
    const shift = runs.some(({ field }) => field === "csr") ? 20 : 12;
    const varies = runs.some(({ field }) => field === "csr" || field === "rm");
    for (let variant = 0; variant < (varies ? 8 : 1); variant++) {
      const word = (match | (variant << shift)) >>> 0;
      const plan = plans.of({ definition, word });
      const { flow, asks, numbers } = loopRows().of({ definition, word });
      if (plan.flow === "leave") {
        assert(numbers.every((number) => number === Handler.leave), definition.name);
        continue;
      }
      served++;
      assertEquals({ flow, asks }, { flow: plan.flow, asks: plan.asks }, definition.name);
      numbers.forEach((number, at) => {
        const handler = table.planned[number - FIRST_PLAN]!;
        assert(handler.plan === plan, definition.name);
        const isCompressed = RV64.compressed.some(({ expansion }) =>
          expansion.split(" ")[0] === definition.name
        );
        assertEquals(handler.length, at < 2 && isCompressed ? 2 : 4, definition.name);
        const isTargeted = flow === "branch" || flow === "jump";
        assertEquals(handler.near, !isTargeted || at % 2 === 0, definition.name);
      });
    }
  }
  assert(served > 200);
});
