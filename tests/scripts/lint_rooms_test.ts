import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import rooms from "../../scripts/lint_rooms.ts";

/** What the plugin says about a file of this project with the given text. */
function messages(path: string, source: string): string[] {
  const file = fromFileUrl(new URL(`../../${path}`, import.meta.url));
  return Deno.lint.runPlugin(rooms, file, source).map(({ message }) => message);
}

Deno.test("one-way reports an import against the map", () => {
  assertEquals(messages("lib/isa/asm.ts", `import { Memory } from "../memory/memory.ts";`), [
    "lib/isa must not import lib/memory",
  ]);
  assertEquals(messages("lib/patcher/patcher.ts", `import "../machine/elf.ts";`), [
    "lib/patcher must not import lib/machine",
  ]);
});

Deno.test("one-way reports types, exports and import() as it reports an import", () => {
  const expected = ["lib/hart must not import lib/engine"];
  for (
    const source of [
      `import type { Engine } from "../engine/engine.ts";`,
      `export * from "../engine/engine.ts";`,
      `export { createReference } from "../engine/reference.ts";`,
      `await import("../engine/engine.ts");`,
    ]
  ) {
    assertEquals(messages("lib/hart/hart.ts", source), expected, source);
  }
});

Deno.test("one-way lets a plugin import mod.ts and @std and nothing else of ours", () => {
  assertEquals(messages("plugins/function.ts", `import type { Tracer } from "../mod.ts";`), []);
  assertEquals(messages("plugins/function.ts", `import { sprintf } from "@std/fmt/printf";`), []);
  assertEquals(messages("plugins/function.ts", `import { x } from "../lib/ftrace/fgraph.ts";`), [
    "plugins must not import lib/ftrace",
  ]);
});

Deno.test("one-way takes the package's own name for mod.ts", () => {
  const source = `import type { Tracer } from "@hartrace/hartrace";`;
  assertEquals(messages("lib/cli/run.ts", source), []);
  assertEquals(messages("lib/cli/run.ts", `import "../engine/mod.ts";`), []);
  assertEquals(messages("lib/cli/run.ts", `import "../engine/engine.ts";`), [
    "lib/cli must not import lib/engine",
  ]);
  assertEquals(messages("lib/ftrace/tracer.ts", source), ["lib/ftrace must not import mod.ts"]);
});

Deno.test("one-way reports what is for tests in a file that is shipped", () => {
  const source = `import { assert } from "@std/assert";`;
  assertEquals(messages("lib/isa/asm.ts", source), [
    "lib/isa must not import @std/assert, which is for tests",
  ]);
  assertEquals(messages("trace.ts", source), [
    "trace.ts must not import @std/assert, which is for tests",
  ]);
  assertEquals(messages("tests/isa/asm_test.ts", source), []);
});

Deno.test("one-way reports a folder under lib that is on no map", () => {
  assertEquals(messages("lib/helpers/text.ts", "export const x = 1;"), [
    "lib/helpers is not on the map of the rooms",
  ]);
});

Deno.test("one-way leaves scripts and tests alone", () => {
  assertEquals(messages("scripts/a.ts", `import "../lib/engine/engine.ts";`), []);
  assertEquals(messages("tests/isa/a_test.ts", `import "../../lib/ftrace/returns/fgraph.ts";`), []);
});
