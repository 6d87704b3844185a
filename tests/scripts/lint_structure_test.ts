import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import plugin from "../../scripts/lint_structure.ts";

/** What the plugin says about a file of this project with the given text. */
function messages(path: string, source: string): string[] {
  const file = fromFileUrl(new URL(`../../${path}`, import.meta.url));
  return Deno.lint.runPlugin(plugin, file, source).map(({ message }) => message);
}

const lines = (count: number) => Array.from({ length: count }, (_, k) => `  f(${k});`).join("\n");
const tooLong = (name: string, count: number) =>
  `the body of ${name} has ${count} lines; 80 are the most`;

Deno.test("no-circle reports a file that imports itself by way of others, types too", () => {
  const circle =
    "imports form a circle: lib/isa/encoding.ts → lib/isa/decode.ts → lib/isa/encoding.ts";
  for (
    const source of [
      `import { RV64 } from "./decode.ts";`,
      `import type { Isa } from "./decode.ts";`,
      `export { RV64 } from "./decode.ts";`,
      `await import("./decode.ts");`,
    ]
  ) assertEquals(messages("lib/isa/encoding.ts", source), [circle], source);
  assertEquals(messages("lib/isa/sem.ts", `import { assemble } from "./asm.ts";`).length, 1);
  assertEquals(messages("lib/isa/sem.ts", `import "./sem.ts";`), [
    "imports form a circle: lib/isa/sem.ts → lib/isa/sem.ts",
  ]);
});

Deno.test("no-circle lets pass what leads nowhere back, and imports in comments", () => {
  assertEquals(messages("lib/isa/asm.ts", `import { RV64 } from "./decode.ts";`), []);
  // decode.ts of the disk has the import of asm.ts in an example at most.
  assertEquals(messages("lib/isa/asm.ts", `// import { x } from "./asm.ts";`), []);
  assertEquals(messages("lib/isa/encoding.ts", `import "./no_such_file.ts";`), []);
  assertEquals(messages("tests/isa/encoding.ts", `import "./encoding.ts";`), []);
});

Deno.test("short-body reports functions, methods, constructors and closures of over 80 lines", () => {
  const cases: readonly (readonly [before: string, after: string, name: string])[] = [
    ["function make() {", "}", "make"],
    ["export default function () {", "}", "anonymous"],
    ["const make = () => {", "};", "make"],
    ["class A { constructor() {", "} }", "constructor"],
    ["class A { #run() {", "} }", "#run"],
    ["const a = { run() {", "} };", "run"],
    ["each(() => {", "});", "anonymous"],
  ];
  for (const [before, after, name] of cases) {
    const source = (count: number) => `${before}\n${lines(count)}\n${after}\n`;
    assertEquals(messages("lib/isa/a.ts", source(80)), [], before);
    assertEquals(messages("plugins/a.ts", source(81)), [tooLong(name, 81)], before);
    assertEquals(messages("scripts/a.ts", source(81)), [], before);
  }
});

Deno.test("short-body counts a closure's lines for the function around it, a table's as one", () => {
  const closure = `function make() {\n  return () => {\n${lines(79)}\n  };\n}\n`;
  assertEquals(messages("lib/isa/a.ts", closure), [tooLong("make", 81)]);
  const table = `function make() {\n  const t = [\n${
    lines(200).replaceAll("f(", "(").replaceAll(";", ",")
  }\n  ];\n${lines(79)}\n}\n`;
  assertEquals(messages("lib/isa/a.ts", table), []);
  const methods = `function make() {\n  return {\n    a() {\n${lines(79)}\n    },\n  };\n}\n`;
  assertEquals(messages("lib/isa/a.ts", methods), [tooLong("make", 83)]);
});

Deno.test("host-door reports Deno and node: in code, not in comments, outside host and cli", () => {
  const source = `// Deno.cwd()\nexport const cwd: Deno.FileInfo | string = Deno.cwd();\n`;
  const expected = "Deno is for lib/host and lib/cli";
  assertEquals(messages("lib/memory/a.ts", source), [expected, expected]);
  assertEquals(messages("lib/host/a.ts", source), []);
  assertEquals(messages("lib/cli/a.ts", source), []);
  assertEquals(messages("plugins/a.ts", source), []);
  assertEquals(messages("lib/memory/a.ts", `import fs from "node:fs";`), [
    "node: is for lib/host and lib/cli",
  ]);
  assertEquals(messages("lib/memory/a.ts", `await import("node:fs");`), [
    "node: is for lib/host and lib/cli",
  ]);
  assertEquals(messages("lib/memory/a.ts", `export const text = "Deno.cwd() of node:fs";`), []);
});

Deno.test("telling-name reports files that are called after nothing", () => {
  for (const name of ["utils.ts", "types.ts", "helpers.ts", "common.ts", "misc.ts", "index.ts"]) {
    assertEquals(messages(`lib/isa/${name}`, "export {};"), [
      `${name} does not say what is in it; name the file for that`,
    ]);
  }
  assertEquals(messages("lib/isa/field_types.ts", "export {};"), []);
});

Deno.test("short-file reports a file of more than 500 lines", () => {
  assertEquals(messages("lib/isa/long.ts", `${lines(500)}\n`), []);
  assertEquals(messages("lib/isa/long.ts", `${lines(501)}\n`), [
    "long.ts has 501 lines; 500 are the most",
  ]);
});
