/**
 * Static position-independent programs: traced, listed and explained where they are loaded.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fixture, hartrace } from "./command_line.ts";

/** The functions of a trace and their callers, in order. The two kinds have other startup code. */
function callsIn(stdout: string): readonly string[] {
  const calls = [...stdout.matchAll(/: (\w+) <-(\w+)$/gm)].map(([, name, caller]) => {
    return { name, caller: caller!.startsWith("0x") ? "place" : caller };
  });
  return calls.map(({ name, caller }) => name === "tiny_main" ? name : `${name} <-${caller}`);
}

for (const name of ["sample_pie_p84", "sample_pie_p4"]) {
  const linked = fixture(name.replace("pie_", ""));
  Deno.test(`main() traces ${name} as the program that is linked to its place`, async () => {
    for (const tracer of ["function", "function_graph"]) {
      const of = async (file: string) => await hartrace(["-q", "-p", tracer, file]);
      const [moved, fixed] = [await of(fixture(name)), await of(linked)];
      assertEquals([moved.code, fixed.code], [0, 0]);
      if (tracer === "function") {
        assert(callsIn(moved.stdout).length > 10, moved.stdout);
        assertEquals(callsIn(moved.stdout), callsIn(fixed.stdout));
      } else {
        const names = (text: string) => [...text.matchAll(/\b\w+\(\)/g)].map(([call]) => call);
        assertEquals(names(moved.stdout), names(fixed.stdout));
      }
    }
  });

  Deno.test(`list --why says of a function of ${name} what it says of one that is not moved`, async () => {
    const of = async (file: string) =>
      (await hartrace(["list", "--why", "price_of", file])).stdout.replaceAll(/0x[0-9a-f]+/g, "X");
    const moved = await of(fixture(name));
    assertMatch(moved, /^price_of at X: .*\n {2}yes {2}trace, graph: by its site/);
    assertEquals(moved, await of(linked));
  });
}

Deno.test("main() loads a position-independent program at 0x10000 in every run", async () => {
  const { stdout } = await hartrace(["list", "sites", fixture("sample_pie_p84")]);
  const [, first] = stdout.split("\n");
  assertMatch(first!, /^0x0001[0-9a-f]{4} /);
});
