import { assert, assertEquals } from "@std/assert";
import { type EraName, ERAS } from "../../lib/ftrace/era.ts";
import { fuzzEra } from "./fuzz_guests.ts";

for (const era of Object.keys(ERAS) as EraName[]) {
  Deno.test({
    name:
      `25,000 random writes to control files leave every site as its record says, era ${era} (long)`,
    ignore: !Deno.env.get("HARTRACE_LONG"),
    async fn() {
      const { writes, checks, spoilt } = await fuzzEra(era, 2, 25_000);
      assertEquals(writes, 25_000);
      assert(checks > 1000, `${checks} checks`);
      assert(spoilt < 250, `${spoilt} guests given up`);
    },
  });
}
