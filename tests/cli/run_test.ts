import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { parseKernelText } from "../../lib/output/parse/kernel_text.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { assertSnapshot } from "@std/testing/snapshot";
import { fixture, hartrace, signalled, withFile } from "./command_line.ts";

const SAMPLE = fixture("sample_p84");
const lastLine = (text: string) => text.trimEnd().split("\n").at(-1) ?? "";

Deno.test("main() traces the embedded sample when it gets no arguments", async (t) => {
  const { code, stdout, stderr } = await hartrace([]);
  assertEquals(code, 0);
  await assertSnapshot(t, stdout);
  assertMatch(stderr, /to trace your own program/);
  assertMatch(stderr, /-fpatchable-function-entry/);
});

Deno.test("main() prints the function tracer's text", async (t) => {
  const { stdout } = await hartrace(["-p", "function", "-l", "*coin*", "-l", "bill", SAMPLE]);
  await assertSnapshot(t, stdout);
});

Deno.test("main() prints statistics of the trampolines really executed", async (t) => {
  const { stderr } = await hartrace(["--stats", SAMPLE]);
  await assertSnapshot(t, stderr);
});

Deno.test("main() teaches with --help", async (t) => {
  const { code, stdout } = await hartrace(["--help"]);
  assertEquals(code, 0);
  await assertSnapshot(t, stdout);
});

for (const what of ["functions", "sites"]) {
  Deno.test(`main() lists ${what} of a program`, async (t) => {
    const { code, stdout } = await hartrace(["list", what, fixture("mixed")]);
    assertEquals(code, 0);
    await assertSnapshot(t, stdout);
  });
}
for (const what of ["plugins", "options"]) {
  Deno.test(`main() lists ${what}`, async (t) => {
    const { code, stdout } = await hartrace(["list", what]);
    assertEquals(code, 0);
    await assertSnapshot(t, stdout);
  });
}

Deno.test("main() prints the same trace in every era, on both paths and both engines", async () => {
  const traces = new Set<string>();
  for (const era of ["regs", "args", "preset", "call-ops"]) {
    for (const trampoline of ["guest", "fast"]) {
      for (const engine of ENGINE_NAMES) {
        const choices = ["--era", era, "--trampoline", trampoline, "--engine", engine];
        traces.add((await hartrace([...choices, SAMPLE])).stdout);
      }
    }
  }
  assertEquals(traces.size, 1);
});

/** Programs that do not end by themselves, and how the last line must put it. */
const ENDINGS: readonly [name: string, args: readonly string[], code: number, says: RegExp][] = [
  [
    "fault_p84",
    [],
    139,
    /SIGSEGV \(exit code 139\): store access fault at 0xdead0010 in store_wild\+/,
  ],
  ["wild_jump_p84", [], 139, /instruction access fault at 0xdead0000/],
  ["recurse_p84", ["-p", "nop"], 139, /SIGSEGV .* in recurse\+/],
  ["fault_bare_p84", [], 139, /trap that it does not handle .* in store_wild\+/],
  ["spin_p84", ["--limit-insns", "5000"], 124, /stopped after 5000 instructions/],
];
for (const [name, options, code, says] of ENDINGS) {
  Deno.test(`main() ends ${name} with exit code ${code} and says why in the last line`, async () => {
    const result = await hartrace([...options, fixture(name)]);
    assertEquals(result.code, code);
    assertMatch(lastLine(result.stderr), says);
    if (code === 139) assertMatch(result.stderr, /#0 0x[0-9a-f]+ /);
  });
}

Deno.test("main() names every caller of a fault, though the graph tracer hides where they return to", async () => {
  const { stderr } = await hartrace(["-q", fixture("fault_p84")]);
  const names = [...stderr.matchAll(/#\d+ 0x[0-9a-f]+ (\w+)\+/g)].map(([, name]) => name);
  // program() has left by a tail call to outer().
  assertEquals(names, ["store_wild", "inner", "outer", "tiny_main", "_start"]);
});

Deno.test("main() ends a deep recursion under function_graph and still prints the trace", async () => {
  const { code, stdout } = await hartrace(["-b", "64", fixture("recurse_p84")]);
  assertEquals(code, 139);
  assertMatch(stdout, /recurse\(/);
});

Deno.test("main() gives the guest's exit code and passes arguments behind PROGRAM on", async () => {
  const { code, stdout } = await hartrace(["-p", "nop", fixture("fib_p84"), "10", "-p"]);
  assertEquals([code, stdout], [0, "55\n"]);
  assertEquals((await hartrace(["-p", "nop", "--", fixture("hello_bare_p84")])).code, 7);
});

Deno.test("main() writes the trace to -o and leaves the guest's output alone", () =>
  withFile("trace.txt", "", async (path) => {
    const plain = await hartrace([SAMPLE]);
    const { code, stdout } = await hartrace(["-o", path, "-b", "1", SAMPLE]);
    const trace = await Deno.readTextFile(path);
    assertEquals(code, 0);
    assertEquals(stdout + trace, plain.stdout, "a buffer of 1 KiB loses nothing with -o");
  }));

Deno.test("main() says how many events a small buffer lost", async () => {
  const { stdout, stderr } = await hartrace(["-p", "function", "-b", "1", "--stats", SAMPLE]);
  assertStringIncludes(stdout, "entries-in-buffer/entries-written: 32/45");
  assertMatch(stderr, /events +45 written, 13 lost/);
});

Deno.test("main() ends the guest at Ctrl-C with 130 and prints the trace", async () => {
  const { code, stdout, stderr } = await hartrace(["-p", "function", fixture("spin_p84")], {
    interruptAfter: 1,
  });
  assertEquals(code, 130);
  assertMatch(stdout, /# tracer: function/);
  assertMatch(lastLine(stderr), /stopped by Ctrl-C/);
});

Deno.test("main() stops quietly when nobody reads its output any more", async () => {
  const { code, stdout } = await hartrace([SAMPLE], { closeAfter: 40 });
  assertEquals(code, 141);
  assert(stdout.length <= 40);
});

Deno.test("main() writes a bare program's signature", () =>
  withFile("signature", "", async (path) => {
    const { code } = await hartrace(["-p", "nop", "--signature", path, fixture("hello_bare_p84")]);
    assertEquals(code, 7);
    assertMatch(await Deno.readTextFile(path), /^([0-9a-f]{16}\n)*$/);
  }));

Deno.test("trace.ts says so when stdout is full, and keeps a trace that goes to -o", () =>
  withFile("trace.txt", "", async (path) => {
    const trace = fromFileUrl(new URL("../../trace.ts", import.meta.url));
    const command = `"${Deno.execPath()}" run -A "${trace}" -o "${path}" "${SAMPLE}" > /dev/full`;
    const { code, stderr } = await new Deno.Command("sh", { args: ["-c", command] }).output();
    assertEquals(code, 125);
    assertMatch(
      lastLine(new TextDecoder().decode(stderr)),
      /Cannot write to stdout: No space left/,
    );
    assertMatch(await Deno.readTextFile(path), /# tracer: function_graph/);
  }));

Deno.test("trace.ts ends the guest at a real Ctrl-C and prints the trace", async () => {
  const args = ["-p", "function", fixture("spin_p84")];
  const { code, stdout, stderr } = await signalled(args, "SIGINT");
  assertEquals(code, 130);
  assertMatch(stdout, /turn <-program/);
  assertMatch(lastLine(stderr), /stopped by Ctrl-C/);
});

Deno.test("--livepatch puts an object's functions in place of the program's, and says which", async () => {
  const patch = fixture("shop_first.o");
  const args = ["--livepatch", patch, "-p", "nop", fixture("sample_p84")];
  const { code, stdout, stderr } = await hartrace(args);
  assertEquals(code, 0);
  assertMatch(stdout, /total 1357, .*\nhalf off today\ntotal 1178, /);
  assertMatch(stderr, /^hartrace: livepatch shop_first replaces .*tenth_off/m);
  const broken = await hartrace(["--livepatch", fixture("shop_broken.o"), fixture("sample_p84")]);
  assertEquals(broken.code, 125);
  assertMatch(broken.stderr, /ENOENT: Cannot link shop_broken: nobody defines nobody_has_this/);
  const missing = await hartrace(["--livepatch", "nosuch.o", fixture("sample_p84")]);
  assertMatch(missing.stderr, /Cannot read the livepatch nosuch\.o: there is no such file/);
});

Deno.test("trace.ts ends a trace whose file is full with a message and 125, and prints none of it", async () => {
  const trace = fromFileUrl(new URL("../../trace.ts", import.meta.url));
  const args = ["run", "-A", trace, "-p", "function", "-o", "/dev/full", fixture("calls_p84")];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const lines = new TextDecoder().decode(stderr);
  assertEquals(code, 125, lines);
  assertMatch(lastLine(lines), /Cannot write the trace to \/dev\/full: No space left.*free some/);
  assert(!lines.includes("Ctrl-C"), lines);
  assert(!/<-|# tracer/.test(new TextDecoder().decode(stdout)));
});

Deno.test("trace.ts leaves a trace that can be read when it is killed", () =>
  withFile("trace.txt", "", async (path) => {
    const trace = fromFileUrl(new URL("../../trace.ts", import.meta.url));
    const args = ["run", "-A", trace, "-p", "function", "-o", path, fixture("spin_p84")];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" })
      .spawn();
    // It never ends by itself; its file grows meanwhile.
    let size = 0;
    for (let tries = 0; tries < 600 && size < 50_000; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      size = (await Deno.stat(path)).size;
    }
    child.kill("SIGKILL");
    await child.status;
    assert(size >= 50_000, `${size}`);
    const text = await Deno.readTextFile(path);
    // The last line may be cut off where the process died.
    const { events, settings } = parseKernelText(text.slice(0, text.lastIndexOf("\n") + 1));
    assertEquals(settings.tracer, "function");
    assert(events.length > 500);
  }));
