import { assertEquals, assertMatch } from "@std/assert";
import { fixture, hartrace, withFile } from "./command_line.ts";

const SETTINGS = fixture("settings_p84");

Deno.test("--prototypes tells what it passed over, once, and -p args shows the rest", async () => {
  const header = "#define API\nAPI long (number) (const char *text);\nwhat classify(char *line);\n";
  await withFile("settings.h", header, async (path) => {
    const { stdout, stderr } = await hartrace(["-p", "args", "--prototypes", path, SETTINGS]);
    assertMatch(stdout, /^number\(text="30"\) = 30$/m);
    const lines = stderr.split("\n").filter((line) => line.includes("skipped"));
    assertEquals(lines, [
      `hartrace: ${path}:3: skipped "what classify(char *line)": ` +
      "what is no type that is known; declare it with typedef",
    ]);
    const quiet = await hartrace(["-q", "-p", "args", "--prototypes", path, SETTINGS]);
    assertEquals(quiet.stderr, "");
  });
});

Deno.test("--prototypes lets a file know the types of those before it", async () => {
  await withFile("types.h", "typedef long what;\n", async (types) => {
    await withFile("settings.h", "what number(const char *);\n", async (path) => {
      const { stdout, stderr } = await hartrace(
        ["-q", "-p", "args", "--prototypes", types, "--prototypes", path, SETTINGS],
      );
      assertMatch(stdout, /^number\("30"\) = 30$/m, stderr);
    });
  });
});

Deno.test("funcgraph-args says what it needs where no prototype is known", async () => {
  const without = await hartrace(["-O", "funcgraph-args", SETTINGS]);
  const needs = "trace option funcgraph-args: arguments are shown of functions whose prototypes " +
    "are known; ";
  assertEquals(without.stderr.split(needs).length, 2, without.stderr);
  assertMatch(without.stderr, /give a header by --prototypes FILE, or \(\) stays empty/);
  assertMatch(without.stdout, /number\(\);/);
  await withFile("other.h", "int nobody(void);\n", async (path) => {
    const { stderr } = await hartrace(["-O", "funcgraph-args", "--prototypes", path, SETTINGS]);
    assertMatch(stderr, /of those in --prototypes none is of a function here/);
  });
  await withFile("settings.h", "long number(const char *text);\n", async (path) => {
    const { stdout, stderr } = await hartrace(
      ["-O", "funcgraph-args", "--prototypes", path, SETTINGS],
    );
    assertMatch(stdout, /number\(text=0x[0-9a-f]+\);/);
    assertEquals(stderr.includes("trace option"), false);
  });
});
