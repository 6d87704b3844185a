import { assert } from "@std/assert";
import { ADDRESSES, addressesOfDisposed } from "./disposed_machines.ts";

Deno.test({
  name: "machines that were disposed of hold no memory, though all 300 are kept",
  ignore: Deno.build.os !== "linux" || !Deno.env.get("HARTRACE_LONG"),
  async fn() {
    const most = await addressesOfDisposed(300);
    assert(most >= ADDRESSES, `${most} bytes are less than one machine has`);
    assert(most < 10 * ADDRESSES, `${Math.round(most / 2 ** 30)} GiB are in use`);
  },
});
