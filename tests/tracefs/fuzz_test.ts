import { assert, assertEquals } from "@std/assert";
import { type EraName, ERAS } from "../../lib/ftrace/era.ts";
import { FTRACE_FL_ENABLED } from "../../lib/patcher/dyn_ftrace.ts";
import { traced } from "../ftrace/guest.ts";
import { fuzzEra } from "./fuzz_guests.ts";
import { contradictions } from "./site_check.ts";

for (const era of Object.keys(ERAS) as EraName[]) {
  Deno.test(`1,000 random writes to control files leave every site as its record says, era ${era}`, async () => {
    const { writes, refused, checks, instructions, spoilt } = await fuzzEra(era, 1, 1000);
    assertEquals(writes, 1000);
    assert(refused > 100 && refused < 900, `${refused} refused`);
    assert(checks >= 40, `${checks} checks`);
    assert(spoilt <= 10, `${spoilt} guests given up`);
    assert(instructions > 50_000n, `${instructions} instructions`);
  });
}

Deno.test("contradictions() sees a site that denies its record", async () => {
  for (const era of Object.keys(ERAS) as EraName[]) {
    const { ftrace, machine } = await traced("calls_p84", { era });
    assertEquals(contradictions(ftrace), []);
    const { entry } = ftrace.records[3]!;
    const word = machine.memory.view.getUint32(Number(entry) + 4, true);
    machine.memory.poke(Number(entry) + 4, Uint8Array.of(0x13, 0x10, 0, 0));
    assertEquals(contradictions(ftrace).length, 1, era);
    machine.memory.view.setUint32(Number(entry) + 4, word, true);
    ftrace.records[3]!.flags |= FTRACE_FL_ENABLED;
    assert(contradictions(ftrace).length > 0, era);
  }
});
