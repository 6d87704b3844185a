/**
 * Files of results of `fail --each`: shards that are put together, and files that are gone on with.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { THOROUGH } from "../thorough.ts";
import { fixture, hartrace } from "./command_line.ts";
import { withFolder } from "../folder.ts";

const PROGRAM = fixture("no_memory_p84");
const MALLOC = ["fail", "--each", "-j", "1", "--at", "malloc"];

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !THOROUGH, fn });
}

test("fail --merge prints of all shards what the whole campaign prints", () =>
  withFolder(async (folder) => {
    const files = [1, 2, 3].map((shard) => join(folder, `${shard}.jsonl`));
    for (const [at, file] of files.entries()) {
      const { stdout } = await hartrace([...MALLOC, "--shard", `${at + 1}/3`, "-o", file, PROGRAM]);
      const own = at === 0 ? 3 : 2;
      assertStringIncludes(stdout, `shard ${at + 1}/3: ${own} calls of these\n`);
      assertStringIncludes(stdout, `\n${own} calls failed: `);
    }
    const whole = await hartrace([...MALLOC, PROGRAM]);
    const merge = (...more: string[]) => hartrace(["fail", "--merge", ...more]);
    // In any order, and one of them twice.
    assertEquals(await merge(files[2]!, files[0]!, files[1]!, files[0]!), whole);
    const anew = await hartrace([
      ...["fail", "--compare", "stdout", "--error-exit", "3", "--merge", ...files],
    ]);
    assertStringIncludes(anew.stdout, "7 calls failed: 1 crash, 1 hang, 1 output, 4 handled\n");

    const missing = await merge(files[0]!, files[2]!);
    assertEquals([missing.code, missing.stdout], [125, ""]);
    assertMatch(
      missing.stderr,
      /2 of 7 calls are missing: there is no file of shard 2\/3; run these/,
    );
    const lines = (await Deno.readTextFile(files[1]!)).trimEnd().split("\n");
    await Deno.writeTextFile(files[1]!, `${lines[0]}\n${lines[1]!.slice(0, 50)}`);
    const cut = await merge(...files);
    assertMatch(
      cut.stderr,
      /2 of 7 .*2\.jsonl has not 2 of the 2 calls .*its last line is cut off/,
    );
    await Deno.writeTextFile(files[1]!, [lines[0], lines[1], "{nonsense", ""].join("\n"));
    assertMatch((await merge(...files)).stderr, /Cannot read .*2\.jsonl: line 3: it is no JSON/);
    await Deno.writeTextFile(
      files[1]!,
      [lines[0], lines[1]!.replace("crash", "boom"), "{}", ""].join("\n"),
    );
    assertMatch((await merge(...files)).stderr, /2\.jsonl: line 3: it is no result of a call/);
    await Deno.writeTextFile(files[1]!, [lines[0], lines[1], lines[1], ""].join("\n"));
    assertMatch((await merge(...files)).stderr, /2\.jsonl: line 3: call 2 is there already/);
    const foreign = lines[1]!.replace('"call":2', '"call":3');
    await Deno.writeTextFile(files[1]!, [lines[0], foreign, ""].join("\n"));
    assertMatch((await merge(...files)).stderr, /line 2: call 3 is not one of shard 2\/3/);
    await Deno.writeTextFile(files[1]!, '{"a":1}\n');
    assertMatch((await merge(...files)).stderr, /2\.jsonl: it is no file of results/);
    assertMatch((await merge(join(folder, "no"))).stderr, /no: there is no such file/);
    const wrong = await hartrace(["fail", "--at", "malloc", "--merge", files[0]!]);
    assertMatch(wrong.stderr, /Cannot merge with --at: only --compare and --error-exit/);
  }));

test("fail --merge refuses shards of different campaigns, and says what differs", () =>
  withFolder(async (folder) => {
    const one = join(folder, "one"), other = join(folder, "other");
    await hartrace([...MALLOC, "--shard", "1/2", "-o", one, PROGRAM]);
    const difference = async (...words: string[]) => {
      await Deno.remove(other).catch(() => {});
      await hartrace([...MALLOC, "--shard", "2/2", "-o", other, ...words]);
      const { code, stderr } = await hartrace(["fail", "--merge", one, other]);
      assertEquals(code, 125);
      return stderr.replaceAll(folder, "");
    };
    assertMatch(await difference(PROGRAM, "twice"), /different campaigns: its arguments: \[\] and/);
    assertMatch(await difference("--errno", "EIO", PROGRAM), /--errno: "" and "EIO"/);
    assertMatch(await difference("--caller", "pair", PROGRAM), /--caller: \[\] and \["pair"\]/);
    const changed = join(folder, "changed");
    const bytes = await Deno.readFile(PROGRAM);
    // What follows the ELF header's flags names no byte that runs.
    await Deno.writeFile(changed, Uint8Array.from([...bytes, 0]));
    assertMatch(await difference(changed), /the program \(sha256\): "[0-9a-f]{64}" and/);
  }));

test("fail --each -o goes on with a file, and drops a last line that was cut off", () =>
  withFolder(async (folder) => {
    const file = join(folder, "results.jsonl");
    const whole = await hartrace([...MALLOC, "-o", file, PROGRAM]);
    const text = await Deno.readTextFile(file);
    const lines = text.split("\n");
    assertEquals(lines.length, 1 + 7 + 1);
    // The first result says something else, so that it shows whether it is run again.
    lines[1] = lines[1]!.replace("SIGSEGV", "SIGTEST");
    await Deno.writeTextFile(file, `${lines.slice(0, 3).join("\n")}\n${lines[3]!.slice(0, 40)}`);
    const again = await hartrace([...MALLOC, "-j", "2", "-o", file, PROGRAM]);
    assertEquals(again.stdout, whole.stdout.replaceAll("SIGSEGV", "SIGTEST"));
    assertStringIncludes(
      again.stderr,
      "results.jsonl has 2 results already; its last line was cut off",
    );
    const after = (await Deno.readTextFile(file)).split("\n");
    assertEquals(after.slice(0, 3), lines.slice(0, 3));
    assertEquals(after.slice(3).sort(), lines.slice(3).sort());
    // Nothing is left to be run.
    assertEquals((await hartrace([...MALLOC, "-q", "-o", file, PROGRAM])).stdout, again.stdout);

    const other = await hartrace([...MALLOC, "-o", file, PROGRAM, "twice"]);
    assertEquals([other.code, other.stdout], [125, ""]);
    assertMatch(other.stderr, /it is of another campaign: its arguments: \[\] and \["twice"\]/);
    const shard = await hartrace([...MALLOC, "--shard", "1/2", "-o", file, PROGRAM]);
    assertMatch(shard.stderr, /another campaign: --shard: 1\/1 and 1\/2/);
    await Deno.writeTextFile(file, "a trace of another kind\n");
    const trace = await hartrace([...MALLOC, "-o", file, PROGRAM]);
    assertMatch(trace.stderr, /Cannot read .*results\.jsonl: line 1: it is no JSON/);
    assertEquals(await Deno.readTextFile(file), "a trace of another kind\n");
  }));

Deno.test({
  name: "fail --each ends and says so when results cannot be written, and prints those it has",
  ignore: !THOROUGH || Deno.build.os !== "linux",
  fn: async () => {
    const { code, stdout, stderr } = await hartrace([...MALLOC, "-o", "/dev/full", PROGRAM]);
    assertEquals(code, 125);
    assertMatch(stderr, /Cannot write results to \/dev\/full: .*[Nn]o space left/);
    assertEquals(stdout.includes("this is a bug"), false);
  },
});
