/**
 * `fail --each`: the table of what came of each failure, the same however the runs are dealt out.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { fixture, hartrace, signalled, withFile } from "./command_line.ts";

const PROGRAM = fixture("no_memory_p84");
const EACH = ["fail", "--each", "-j", "1"];
const MALLOC = [...EACH, "--at", "malloc"];

Deno.test("fail --each says what came of each failure, with the callers", async (t) => {
  const { code, stdout, stderr } = await hartrace([...MALLOC, PROGRAM, "twice"]);
  assertEquals([code, stderr], [1, ""]);
  await assertSnapshot(t, stdout);
});

Deno.test("fail --each gives the same table with two jobs", async () => {
  const alone = await hartrace([...MALLOC, PROGRAM]);
  const together = await hartrace([...MALLOC, "-j", "2", PROGRAM]);
  assertEquals(together, alone);
  // The guest's own output is in neither.
  assertEquals(alone.stdout.includes("letters: 5\n"), false);
});

Deno.test("fail --each gives 0 when every failure was handled", async () => {
  const { code, stdout } = await hartrace([...MALLOC, "--caller", "checked", PROGRAM]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "malloc: 1 call (from checked 1)\n");
  assertStringIncludes(stdout, "1 call failed: 1 handled\n");
});

Deno.test("fail --each runs a shard that has no calls, and tells only some of many functions", async () => {
  const how = ["--at", "*", "--return", "0", "--shard", "99/99"];
  const { code, stdout } = await hartrace([...EACH, ...how, PROGRAM]);
  assertEquals(code, 0);
  assertMatch(stdout, /\nshard 99\/99: 0 calls of these\n\nno call to fail\n$/);
  const many = await hartrace([
    ...[...EACH, "--at", "*", "--shard", "999/999", fixture("workloads_p84"), "sort"],
  ]);
  assertMatch(many.stdout, /^(\w+: \d+ calls?\n){1,12}(and \d+ more functions?\n)?unfailed run/);
});

Deno.test("fail --each chooses by globs what the tracer fail does, and says how to see one again", async () => {
  const settings = fixture("settings_p84");
  // malloc has no call site; that its blocks are followed does not make it one of those with one.
  const { code, stderr } = await hartrace([...EACH, "--at", "mallo*", settings]);
  assertEquals(code, 125);
  assertMatch(stderr, /EINVAL: Cannot filter by "mallo\*": no function/);
  const how = ["--at", "* !sum", "--return", "-1", "--seed", "1"];
  const { stdout } = await hartrace([...EACH, ...how, "--caller", "[lp]*", settings]);
  const again = /^see one again: deno run -A trace.ts (.*)$/m.exec(stdout)![1]!;
  const words = [...again.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
  const one = await hartrace(["-q", ...words]);
  const [, call] = /fail.nth=(\d+)/.exec(again)!;
  const [, name, place] = /failed: (\w+) = -1 ← ([\w+]+)/.exec(stdout)!;
  assertStringIncludes(one.stdout, `fail: ${name} from ${place}/`);
  assertStringIncludes(one.stdout, ` returned -1 (call ${call})\n`);
});

Deno.test("fail --each leaves out callers behind !, and takes several functions", async () => {
  const { stdout } = await hartrace([
    ...EACH,
    ...["--at", "malloc count", "--caller", "!unchecked !stubborn", "--return", "0", PROGRAM],
  ]);
  assertStringIncludes(stdout, "malloc: 5 calls (from checked 1, pair 2, count 1, necessary 1)\n");
  assertStringIncludes(stdout, "count: 1 call (from all 1)\n");
  assertStringIncludes(stdout, "\n6 calls failed: 1 leak, 1 exit, 2 output, 2 handled\n");
});

Deno.test("--error-exit is how a program says that it failed, --compare what has to be alike", async () => {
  const judged = async (caller: string, ...options: string[]) => {
    const how = ["--caller", caller, ...options, PROGRAM];
    return /calls? failed: (.*)\n/.exec((await hartrace([...MALLOC, ...how])).stdout)?.[1];
  };
  assertEquals(await judged("necessary", "--error-exit", "2,3"), "1 handled");
  assertEquals(await judged("necessary", "--error-exit", "2"), "1 exit");
  assertEquals(await judged("necessary", "--compare", "stdout,leaks"), "1 handled");
  assertEquals(await judged("count", "--compare", "exit"), "1 handled");
  assertEquals(await judged("pair", "--compare", "exit,stdout"), "2 handled");
  assertEquals(await judged("pair", "--compare", "none"), "2 handled");
});

Deno.test("fail --each sets errno, and notices when the program has none", async () => {
  const how = ["--caller", "checked", "--errno", "EIO", PROGRAM];
  const { code, stderr } = await hartrace([...MALLOC, ...how]);
  assertEquals(code, 0);
  assertMatch(stderr, /^hartrace: \[fail\] Cannot set errno: [^\n]*\n$/);
  // The C library's own failure of malloc: a program that prints strerror(errno) says so.
  const settings = await hartrace([
    ...[...MALLOC, "--caller", "copy", "--compare", "stdout", fixture("settings_p84")],
  ]);
  assertStringIncludes(settings.stdout, '"timeout=30: Cannot allocate memory"');
});

Deno.test("fail --each follows blocks of an allocator that --alloc and --free name", async () => {
  const how = ["--caller", "pair", "--compare", "leaks", "--alloc", "count", "--free", "print"];
  const { stdout } = await hartrace([...MALLOC, ...how, PROGRAM]);
  assertStringIncludes(stdout, "leak     1 block of 24 bytes of malloc from pair+");
});

Deno.test("fail --each gives the guest --stdin anew in each run", async () => {
  await withFile("input", "first line\nsecond line\n", async (path) => {
    const how = ["--at", "read", "--stdin", path, fixture("posix_p84"), "stdin"];
    const { stdout } = await hartrace([...EACH, ...how]);
    assertStringIncludes(stdout, 'not "FIRST LINE"');
    const [, calls] = /^read: (\d+) calls/m.exec(stdout)!;
    assertEquals(Number(calls) > 1, true);
    const piped = ["--at", "read", "--stdin", "-", fixture("posix_p84"), "stdin"];
    const other = await hartrace([...EACH, ...piped], { stdin: "first line\nsecond line\n" });
    assertEquals(other.stdout, stdout);
  });
});

Deno.test("fail --each fails calls of firmware", async (t) => {
  const how = ["-q", "--at", "print*", "--return", "0", fixture("hello_bare_p84")];
  const { code, stdout } = await hartrace([...EACH, ...how]);
  assertEquals(code, 1);
  await assertSnapshot(t, stdout);
});

Deno.test("Ctrl-C before the first failure still prints what is there", async () => {
  const { code, stdout, stderr } = await hartrace([...MALLOC, PROGRAM], { interruptAfter: 1 });
  assertEquals(code, 130);
  assertStringIncludes(stdout, "\n0 of 7 calls failed\n");
  assertEquals(stderr, "hartrace: stopped by Ctrl-C, with 7 of 7 calls left\n");
});

Deno.test("SIGTERM ends a campaign, and the same command goes on from there", async () => {
  await withFile("unused", "", async (path) => {
    const file = `${path}.jsonl`;
    // One of the runs never ends by itself; it is under way when the signal comes, or yet to come.
    const how = ["--limit-insns", "20G", "-o", file, PROGRAM];
    const { code, stdout, stderr } = await signalled([...MALLOC, ...how], "SIGTERM");
    assertEquals(code, 143);
    const [, done] = /(\d) of 7 calls failed: /.exec(stdout)!;
    assertMatch(stderr, /stopped by SIGTERM, with \d of 7 calls left; the same command goes on/);
    const lines = (await Deno.readTextFile(file)).split("\n");
    assertEquals(lines.length, Number(done) + 2);
    const rest = await hartrace([...MALLOC, ...how]);
    assertStringIncludes(
      rest.stdout,
      "\n7 calls failed: 1 crash, 1 hang, 1 leak, 1 exit, 1 output",
    );
    const kept = lines.slice(0, -1);
    assertEquals((await Deno.readTextFile(file)).split("\n").slice(0, kept.length), kept);
  });
});

Deno.test("fail --each says which function is never called, by whatever name", async () => {
  const how = ["--at", "_Znwm calloc", "--shard", "99/99", fixture("exceptions_p84")];
  const { code, stderr } = await hartrace([...EACH, ...how]);
  assertEquals([code, stderr], [0, "hartrace: calloc is never called\n"]);
});

Deno.test("fail --help teaches the command", async (t) => {
  const { code, stdout } = await hartrace(["fail", "--help"]);
  assertEquals(code, 0);
  await assertSnapshot(t, stdout);
});

const REFUSED: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [["fail"], /write fail --each --at GLOB PROGRAM, or fail --merge FILE…/],
  [["fail", "--each", PROGRAM], /--at says of which functions/],
  [["fail", "--each", PROGRAM, "--at", "malloc"], /^hartrace: --at stands behind PROGRAM/],
  [[...EACH, "--at", "mallok", PROGRAM], /EINVAL: Cannot filter by "mallok": no function matches/],
  [
    [...EACH, "--at", "print_hex", PROGRAM],
    /of print_hex: the program makes none without a failure/,
  ],
  [[...MALLOC, "--caller", "nobody", PROGRAM], /from nobody: the program has no such function/],
  [[...MALLOC, "--caller", "print", PROGRAM], /of malloc: the program makes none from print/],
  [[...MALLOC, "--shard", "0/4", PROGRAM], /numbered from 1\/4 to 4\/4/],
  [[...MALLOC, "--shard", "5/4", PROGRAM], /numbered from 1\/4 to 4\/4/],
  [[...MALLOC, "--shard", "1/0", PROGRAM], /there is no shard of none/],
  [[...MALLOC, "--shard", "2", PROGRAM], /write I\/N, as in --shard 2\/16/],
  [[...MALLOC, "-j", "0", PROGRAM], /--jobs "0": it must be a whole number from 1 up/],
  [[...MALLOC, "--compare", "exit,time", PROGRAM], /time is none of exit, stdout, stderr, leaks/],
  [[...MALLOC, "--error-exit", "300", PROGRAM], /300 is no exit code/],
  [[...MALLOC, "--return", "ENOWAY", PROGRAM], /Cannot set --return to "ENOWAY"/],
  [[...MALLOC, "--errno", "ENOWAY", PROGRAM], /Cannot set --errno to "ENOWAY"/],
  [[...MALLOC, "--alloc", "nosuch", PROGRAM], /--alloc nosuch: the program has no such function/],
  [[...MALLOC, "--stdin", "no/such", PROGRAM], /--stdin no\/such: there is no such file/],
  [[...MALLOC, "--allow", ".:rw", PROGRAM], /each run would find what others have written/],
  [[...MALLOC, "--stats", PROGRAM], /Cannot read --stats: there is no such option/],
  [[...MALLOC, "-o", "no/such/file", PROGRAM], /no\/such\/file: its folder does not exist/],
  [[...EACH, "--at", "print", fixture("fault_p84")], /without one the program crashes \(SIGSEGV: /],
  [
    [...EACH, "--at", "turn", "--limit-insns", "1000", fixture("spin_p84")],
    /does not end: not over after 1000 instructions, in .*give it more with --limit-insns/,
  ],
];

for (const [args, message] of REFUSED) {
  Deno.test(`fail refuses ${args.slice(1).join(" ")}`, async () => {
    const { code, stdout, stderr } = await hartrace(args);
    assertEquals([code, stdout], [125, ""]);
    assertMatch(stderr, message);
    assertEquals(stderr.includes("this is a bug"), false);
  });
}
