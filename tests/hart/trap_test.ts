import { assertEquals } from "@std/assert";
import { causeName } from "../../lib/hart/trap.ts";

Deno.test("causeName() names the causes of the specification, the host call, and any other by number", () => {
  assertEquals(causeName(7), "store access fault");
  assertEquals(causeName(24), "host call");
  assertEquals(causeName(10), "cause 10");
});
