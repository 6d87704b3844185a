import { assert, assertEquals } from "@std/assert";
import { DISPATCH_ERAS, dispatchInstructions } from "../../scripts/dispatch_cost.ts";
import { readProgram } from "../fixtures/expected.ts";

Deno.test("dispatchInstructions() has the shape of the published figures: flat in call-ops, a line before", async () => {
  const { bytes } = await readProgram("fib_p84");
  for (const era of DISPATCH_ERAS) {
    const cost = (own: number, unrelated = 0) => dispatchInstructions(bytes, era, [own, unrelated]);
    const [none, one, two, ten, hundred] = [
      await cost(0),
      await cost(1),
      await cost(2),
      await cost(10),
      await cost(100),
    ];
    const crowded = await cost(1, 200);
    assertEquals(none, 0, era);
    const each = (ten - two) / 8;
    assertEquals(Math.round(hundred - ten), Math.round(90 * each), era);
    if (era === "call-ops") {
      assertEquals(crowded, one);
      // A second tracer is where the list begins.
      assert(two > one + 2 * each, `${one}, ${two}`);
    } else {
      assertEquals(two - one, each, era);
      assert(crowded > 20 * one, `${era}: ${one}, then ${crowded}`);
    }
  }
});
