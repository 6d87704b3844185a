import { assertEquals } from "@std/assert";
import { hartrace, withFile } from "../cli/command_line.ts";
import { HARTS, hartsProgram, runHarts } from "../ftrace/harts_guest.ts";

/** What a tracer prints on firmware of several harts. */
async function output(args: readonly string[]): Promise<string> {
  let text = "";
  await withFile("harts", hartsProgram(10), async (path) => {
    const machine = ["-q", "--machine", "bare", "--harts", `${HARTS}`];
    const { code, stdout, stderr } = await hartrace([...machine, ...args, path]);
    assertEquals([code, stderr], [0, ""]);
    text = stdout;
  });
  return text;
}

Deno.test("function_profile has a table for each hart, with the calls that the hart made", async () => {
  const text = await output(["-p", "function_profile"]);
  const hits = text.split(/^# hart \d\n/m).slice(1)
    .map((table) => Number(/^ {2}leaf +(\d+) /m.exec(table)![1]));
  const { counts } = await runHarts(10, {});
  assertEquals(hits, counts);
});

Deno.test("args says which hart makes a call, and nests each hart's by themselves", async () => {
  const prototypes = "args.of=long leaf(long a); long middle(long a)";
  const lines = (await output(["-p", "args", "--set", prototypes])).trimEnd().split("\n");
  for (let hart = 0; hart < HARTS; hart++) {
    const own = lines.filter((line) => line.startsWith(`${hart}) `)).map((line) => line.slice(3));
    assertEquals(own.slice(0, 4), [
      "middle(a=0) {",
      "  leaf(a=0) = 3",
      "  leaf(a=3) = 6",
      "} = 7 /* middle */",
    ]);
    assertEquals(own.length % 4, 0);
  }
});

Deno.test("watch filters by the hart that calls, also on the other harts", async () => {
  const text = await output(["-p", "watch", "--set", "watch.when=a0 == 21 && cpu == 2"]);
  const found = text.split("\n").filter((line) => line.includes(": watch: "));
  assertEquals(found.map((line) => line.replace(/ +\d\.\d+: /, " ")), [
    "           hart2-3       [002] ..... watch: leaf(21, 0x87e00000) <-0x80000128",
  ]);
});

Deno.test("stack measures each hart from the top of its own stack", async () => {
  const text = await output(["-p", "stack"]);
  assertEquals(text.split("\n").slice(2), ["  0)       16      16   middle+0x0/0x10", ""]);
});
