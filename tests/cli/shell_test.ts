import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { fixture, hartrace, withFile } from "./command_line.ts";

/** Types `lines` at the shell of a program. */
function typed(lines: string, args: readonly string[] = [fixture("sample_p84")]) {
  return hartrace(["shell", ...args], { stdin: lines });
}

Deno.test("shell runs a session on the sample", async (t) => {
  const { code, stdout, stderr } = await typed(`cat available_tracers
echo function_graph > current_tracer
echo '*price*' > set_ftrace_filter; cat set_ftrace_filter
continue until bill && where
step 2
next
run
cat trace | head -8
echo > trace
cat trace
exit 3
`);
  const program = fixture("sample_p84");
  await assertSnapshot(t, { code, stdout, stderr: stderr.replaceAll(program, "PROGRAM") });
});

Deno.test("shell gives the session that the README shows", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const [, session] = /^\$ deno run -A trace\.ts shell -q\n([^]*?)```/m.exec(readme)!;
  const lines = session!.trimEnd().split("\n");
  const prompt = "tracing# ";
  const commands = lines.filter((line) => line.startsWith(prompt));
  assertEquals(commands.length, 7);
  const stdin = commands.map((line) => `${line.slice(prompt.length)}\n`).join("");
  const { stdout, stderr } = await hartrace(["shell", "-q"], { stdin });
  const shown = lines.filter((line) => !line.startsWith(prompt));
  const isError = (line: string) => /^(sh|hartrace): /.test(line);
  const linesOf = (text: string) => text.trimEnd().split("\n");
  assertEquals(linesOf(stdout), shown.filter((line) => !isError(line)));
  const errors = shown.filter(isError);
  assertEquals(linesOf(stderr).length, errors.length);
  linesOf(stderr).forEach((line, k) => assert(line.startsWith(errors[k]!.replace(/…$/, "")), line));
});

Deno.test("shell prints errors as a shell does, with our reason below", async (t) => {
  const { code, stderr } = await typed(`echo nosuch > current_tracer
echo nosuchfunc > set_ftrace_filter
echo 1 > options/nosuch
echo 1 > nosuch
echo 1 > options
echo 1 > available_tracers
cat nosuch
cat options
ls nosuch
cd nosuch
frobnicate
continue until nosuch
step x
echo 'a
`);
  assertEquals(code, 2);
  await assertSnapshot(t, stderr);
});

Deno.test("shell ends with the last command's status", async () => {
  assertEquals((await typed("true\nfalse\n")).code, 1);
  assertEquals((await typed("false\ntrue\n")).code, 0);
  assertEquals((await typed("false\nexit\n")).code, 1);
  assertEquals((await typed("exit 9\necho not reached\n")).stdout, "");
  assertEquals((await typed("run\n", [fixture("hello_bare_p84")])).code, 7);
  assertEquals((await typed("set -e\nfalse\necho not reached\n")).stdout, "");
});

Deno.test("shell gives what ended the guest, and lives on", async () => {
  const { code, stdout, stderr } = await typed("continue\necho $?\nwhere\nstep\n", [
    fixture("fault_p84"),
  ]);
  assertEquals(code, 1);
  assertMatch(stdout, /^139$/m);
  assertMatch(stdout, /has ended with exit code 139/);
  assertStringIncludes(stderr, "was ended by SIGSEGV");
  assertStringIncludes(stderr, "Cannot go on:");
});

Deno.test("shell lets the guest read nothing from a pipe that holds commands", async () => {
  const { stdout } = await typed("run\necho after\n", [fixture("posix_p84"), "stdin"]);
  assertMatch(stdout, /after\n$/);
});

Deno.test("shell stops the guest at Ctrl-C", async () => {
  const { code, stderr } = await hartrace(["shell", fixture("spin_p84")], {
    stdin: "run\necho not reached\n",
    interruptAfter: 1,
  });
  assertEquals(code, 130);
  assertEquals(stderr, "");
});

Deno.test("shell's cat, grep, head, tail and wc work on control files", async () => {
  const { stdout } = await typed(`cat available_filter_functions | grep -c price
cat available_filter_functions | tail -n 1 | wc -l
ls options/funcgraph-c*
cd options
pwd
cat funcgraph-cpu ../tracing_on
cd ../per_cpu/cpu0; ls | grep -c stats; cd; pwd
cat < current_tracer
grep -v nop current_tracer || echo none
cat /sys/kernel/debug/tracing/current_tracer /sys/kernel/tracing/tracing_on
`);
  assertEquals(
    stdout,
    [
      "2",
      "1",
      "options/funcgraph-cpu",
      "/sys/kernel/tracing/options",
      "1",
      "1",
      "1",
      "/sys/kernel/tracing",
      "nop",
      "none",
      "nop",
      "1",
      "",
    ].join("\n"),
  );
});

Deno.test("shell traces the same as run does", async () => {
  const run = await hartrace(["-q", "-p", "function", fixture("calls_p84")]);
  const shell = await typed("echo function > current_tracer\nrun\ncat trace\n", [
    fixture("calls_p84"),
  ]);
  assertEquals(shell.stdout, run.stdout);
});

Deno.test("--tracefs writes control files in order, and current_tracer is the tracer", async () => {
  const plain = await hartrace(["-q", "-p", "function", "-l", "price_of", fixture("sample_p84")]);
  const written = await hartrace([
    "-q",
    "--tracefs",
    "current_tracer=function",
    "--tracefs",
    "set_ftrace_filter=bill",
    "--tracefs",
    "set_ftrace_filter=price_of",
    fixture("sample_p84"),
  ]);
  assertEquals(written, plain);
  const appended = await hartrace([
    "-q",
    "--tracefs=current_tracer=function",
    "--tracefs=set_ftrace_filter=bill",
    "--tracefs=set_ftrace_filter+=price_of",
    fixture("sample_p84"),
  ]);
  assertMatch(appended.stdout, /: bill <-/);
  assertMatch(appended.stdout, /: price_of <-/);
});

Deno.test("--tracefs prints the events of probes under tracer nop", async () => {
  const { stdout } = await hartrace([
    "-q",
    "--tracefs=current_tracer=nop",
    "--tracefs=kprobe_events=p:mine price_of price=%a0",
    "--tracefs=events/kprobes/mine/enable=1",
    fixture("sample_p84"),
  ]);
  assertMatch(stdout, /^# tracer: nop\n/m);
  assertEquals(stdout.match(/: mine: \(price_of\+0x0\/0x\w+\) price=0x/g)?.length, 5);
});

Deno.test("--tracefs says what is wrong with a write", async () => {
  const refused = await hartrace(["--tracefs", "current_tracer=nosuch", fixture("sample_p84")]);
  assertEquals(refused.code, 125);
  assertMatch(refused.stderr, /^hartrace: Cannot write --tracefs "current_tracer=nosuch": EINVAL/);
  const unread = await hartrace(["--tracefs", "current_tracer", fixture("sample_p84")]);
  assertEquals(unread.code, 125);
  assertMatch(unread.stderr, /write --tracefs FILE=TEXT/);
});

Deno.test("shell starts plugins, and takes --set for any tracer", async () => {
  const plugin = `export default { name: "mine", init(ftrace) { ftrace.print("mine is here"); } };`;
  await withFile("mine.ts", plugin, async (path) => {
    const { stdout } = await hartrace(
      ["shell", "--plugin", path, "--set", "fprobe.at=bill", fixture("sample_p84")],
      { stdin: "echo fprobe > current_tracer\nrun\n" },
    );
    assertMatch(stdout, /^mine is here\n/);
    assertMatch(stdout, /^bill\(/m);
    assertEquals(/^price_of\(/m.test(stdout), false);
  });
});

Deno.test("shell's where and regs take the number of a hart", async () => {
  const { stdout, stderr } = await hartrace(
    ["shell", "-q", "--harts", "2", fixture("hello_bare_p84")],
    { stdin: "step 20\nregs 1 | head -1\nwhere 1 | head -1\nregs 2\n" },
  );
  assertMatch(stdout, /\n pc 00000000[0-9a-f]{8} {3}ra /);
  assertMatch(stdout, /\n#0 0x[0-9a-f]+ /);
  assertMatch(stderr, /^sh: regs: 2: no such hart; there are 2$/m);
});
