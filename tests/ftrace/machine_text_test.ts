import { assertEquals } from "@std/assert";
import { ERA_NAMES } from "../../lib/ftrace/era.ts";
import { makeManyFunctions, tracedFirmware } from "./made_guest.ts";

const SITES = 50;

for (const era of ERA_NAMES) {
  Deno.test(`together() fences once for all sites of an update, in era ${era}`, () => {
    const { machine, ftrace } = tracedFirmware(makeManyFunctions(SITES), { era });
    using _ = machine;
    const [hart] = machine.harts;
    let fences = 0;
    const { fetched } = hart!;
    const fence = fetched.fence.bind(fetched);
    fetched.fence = () => {
      fences++;
      fence();
    };
    const fencesFor = (change: () => void) => {
      fences = 0;
      change();
      return fences;
    };
    // Another may be of the label in ftrace_caller that says whom it calls.
    let unregister = () => {};
    const one = fencesFor(() => {
      const all = ftrace.registerFtraceFunction({ func() {}, filter: ["fn_0"] });
      unregister = () => all.unregister();
    });
    fencesFor(unregister);
    const all = fencesFor(() => void ftrace.registerFtraceFunction({ func() {} }));
    assertEquals(all, one);
    const site = machine.space.peek(0x80000000n + 8n + BigInt((SITES - 1) * 32), 8)!;
    assertEquals(site.every((byte, k) => byte === [1, 0][k % 2]), false);
  });
}
