import { assertEquals, assertThrows } from "@std/assert";
import { ERA_NAMES, ERAS } from "../../lib/ftrace/era.ts";
import { formsOf } from "../../lib/ftrace/trace/release_forms.ts";

Deno.test("formsOf() has each form from its release on, and nothing else compares releases", () => {
  const since = (release: string) =>
    Object.entries(formsOf(release)).filter(([, has]) => has).map(([form]) => form);
  assertEquals(since("6.12.107+deb13-riscv64"), []);
  assertEquals(since("6.13.0"), ["keepsTimesOnStack", "spellsRet", "hasRetaddrEntry"]);
  assertEquals(since("6.18.1").includes("marksHexArguments"), true);
  assertEquals(since("7.2.13").length, Object.keys(formsOf("7.2.13")).length);
  assertThrows(() => formsOf("next"), SyntaxError, 'Cannot read release "next"');
});

Deno.test("ERAS has a row for each name, with the forms of its release", () => {
  assertEquals(Object.keys(ERAS), [...ERA_NAMES]);
  for (const name of ERA_NAMES) {
    assertEquals(ERAS[name].name, name);
    assertEquals(ERAS[name].forms, formsOf(ERAS[name].release));
  }
});
