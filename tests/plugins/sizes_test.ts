import { assertEquals } from "@std/assert";

const FOLDER = new URL("../../plugins/", import.meta.url);

Deno.test("every plugin has at most 150 lines and imports the public API alone", async () => {
  let count = 0;
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (!name.endsWith(".ts")) continue;
    count++;
    const text = await Deno.readTextFile(new URL(name, FOLDER));
    assertEquals(text.trimEnd().split("\n").length <= 150, true, `${name} is too long`);
    for (const [, from] of text.matchAll(/from "([^"]+)"/g)) {
      assertEquals(from === "../mod.ts" || from!.startsWith("@std/"), true, `${name}: ${from}`);
    }
  }
  assertEquals(count >= 10, true);
});
