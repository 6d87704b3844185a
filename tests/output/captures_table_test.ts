import { assert, assertEquals } from "@std/assert";
import { captureNames, KERNELS } from "./captures.ts";

const folder = new URL("../", import.meta.url);

/** The rows of the table in `tests/README.md`: patterns of files, and the tests that read them. */
function readTable(): readonly { readonly patterns: RegExp[]; readonly tests: string[] }[] {
  const text = Deno.readTextFileSync(new URL("README.md", folder));
  const [, section] = /^## The captured files$([^]*?)^## /m.exec(text)!;
  const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
  return section!.split("\n").filter((line) => line.startsWith("| `")).map((line) => {
    const [, files, tests] = line.split(" | ").length > 1 ? ["", ...line.split(" | ")] : [];
    const patterns = names(files!).map((name) =>
      new RegExp(`^${name.replaceAll(".", "\\.").replaceAll("*", ".*")}$`)
    );
    return { patterns, tests: names(tests!) };
  });
}

Deno.test("the table of captured files names each of them and the tests that read it", async () => {
  const rows = readTable();
  assert(rows.length > 15);
  const used = new Set<number>();
  for (const kernel of KERNELS) {
    for (const name of captureNames(kernel)) {
      const row = rows.findIndex(({ patterns }) => patterns.some((pattern) => pattern.test(name)));
      assert(row >= 0 && rows[row]!.tests.length > 0, `${kernel}/${name} is in no row with a test`);
      used.add(row);
    }
  }
  for (const [index, { tests, patterns }] of rows.entries()) {
    assertEquals(used.has(index), tests.length > 0, `row of ${patterns[0]}`);
    for (const test of tests) assert((await Deno.stat(new URL(test, folder))).isFile, test);
  }
});
