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

Deno.test("--prototypes follows #include beside a header and in folders, and -v names what is missing", async () => {
  const header = '#include "own.h"\n#include <given.h>\n#include <nowhere.h>\nAPI(number);\n' +
    "#ifdef UNKNOWN\nint f(what);\n#endif\n";
  await withFile("settings.h", header, async (path) => {
    await Deno.writeTextFile(
      path.replace("settings.h", "own.h"),
      "#define API(name) word name(str)\n",
    );
    await withFile("given.h", "typedef long word;\ntypedef const char *str;\n", async (given) => {
      const folder = given.slice(0, -"/given.h".length);
      const options = ["-p", "args", "--prototypes", folder, "--prototypes", path];
      const { stdout, stderr } = await hartrace([...options, SETTINGS]);
      assertMatch(stdout, /^number\("30"\) = 30$/m, stderr);
      assertEquals(/skipped|not found/.test(stderr), false, stderr);
      const verbose = await hartrace(["-v", ...options, SETTINGS]);
      assertMatch(verbose.stderr, /settings\.h:6: skipped "int f\(what\)"/);
      assertMatch(
        verbose.stderr,
        /headers that were not found: <nowhere\.h> \(.*settings\.h:3\); --prototypes DIR says where/,
      );
      // Where something is passed over, what is missing may be why.
      const without = await hartrace(["-p", "args", "--prototypes", path, SETTINGS]);
      assertMatch(without.stderr, /not found: <given\.h> .*, <nowhere\.h> /);
    });
  });
});

Deno.test("args.of and args.file know the types of --prototypes", async () => {
  await withFile("types.h", "typedef long word;\n#define TEXT const char *\n", async (types) => {
    const of = "args.of=word number(TEXT text)";
    const options = ["-q", "-p", "args", "--prototypes", types];
    const { stdout, stderr } = await hartrace([...options, "--set", of, SETTINGS]);
    assertMatch(stdout, /^number\(text="30"\) = 30$/m, stderr);
    await withFile("settings.h", "word number(TEXT);\n", async (path) => {
      const { stdout, stderr } = await hartrace([
        ...options,
        "--set",
        `args.file=${path}`,
        SETTINGS,
      ]);
      assertMatch(stdout, /^number\("30"\) = 30$/m, stderr);
    });
  });
});
