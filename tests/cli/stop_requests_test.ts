import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { fixture, hartrace, signalled, withFile } from "./command_line.ts";

const SPIN = fixture("spin_p84");
const lastLine = (text: string) => text.trimEnd().split("\n").at(-1)!;

/** A tracer that records calls, and fails by an error of ours when `turn` is called the 50th time. */
const FAILING = `
export default {
  name: "failing",
  prints: "function",
  init(ftrace) {
    let calls = 0;
    ftrace.machine.engine.hook(Number(ftrace.lookup("turn")), {
      host() {
        if (++calls === 50) throw new RangeError("Cannot go on: the 50th call");
      },
    });
    return ftrace.registerFtraceFunction({ name: "failing", func: ftrace.functionTraceCall });
  },
};
`;

Deno.test("main() ends the guest at SIGTERM with 143 and prints the trace", async () => {
  const { code, stdout, stderr } = await hartrace(["-p", "function", SPIN], {
    interruptAfter: 1,
    signals: ["SIGTERM"],
  });
  assertEquals(code, 143);
  assertMatch(stdout, /put_text <-program/);
  assertMatch(lastLine(stderr), /stopped by SIGTERM/);
});

Deno.test("main() ends at once at a second Ctrl-C, and says how many events are missing", async () => {
  // Both are sent while the trace is printed, a piece after the other.
  let code: number | undefined;
  let said = "";
  await hartrace(["-p", "function", fixture("fib_p84"), "18"], {
    interruptAfter: 1000,
    signals: ["SIGINT", "SIGINT"],
    onExit: (given, stderr) => [code, said] = [given, lastLine(stderr)],
  });
  assertEquals(code, 130);
  const [, missing] = /Ctrl-C again: ended at once, without (\d+) events of the trace/.exec(said)!;
  assert(Number(missing) > 1000, missing);
});

Deno.test("main() prints and keeps the trace when an error of ours ends the run", () =>
  withFile("failing.js", FAILING, async (plugin) => {
    const shown = await hartrace(["-q", "--plugin", plugin, "-p", "failing", SPIN]);
    assertEquals(shown.code, 125);
    assertEquals(shown.stdout.match(/turn <-program/g)!.length, 49);
    assertMatch(shown.stderr, /Cannot go on: the 50th call/);
    await withFile("trace.txt", "", async (path) => {
      const { code } = await hartrace([
        "-q",
        "--plugin",
        plugin,
        "-p",
        "failing",
        "-o",
        path,
        SPIN,
      ]);
      assertEquals(code, 125);
      assertEquals((await Deno.readTextFile(path)).match(/turn <-program/g)!.length, 49);
    });
  }));

Deno.test("trace.ts ends a guest at a real SIGTERM and leaves the whole trace", () =>
  withFile("trace.txt", "", async (path) => {
    const { code, stderr } = await signalled(["-p", "function", "-o", path, SPIN], "SIGTERM");
    assertEquals(code, 143);
    assertMatch(lastLine(stderr), /stopped by SIGTERM/);
    const text = await Deno.readTextFile(path);
    const [, stored] = /entries-in-buffer\/entries-written: (\d+)\//.exec(text)!;
    assertEquals(text.match(/<-/g)!.length, Number(stored));
  }));

Deno.test("trace.ts ends at SIGHUP with 129 and leaves the trace", () =>
  withFile("trace.txt", "", async (path) => {
    const { code, stderr } = await signalled(["-p", "function", "-o", path, SPIN], "SIGHUP");
    assertEquals(code, 129);
    assertMatch(lastLine(stderr), /stopped by SIGHUP/);
    assertMatch(await Deno.readTextFile(path), /<-/);
  }));

Deno.test("trace.ts lives on at SIGHUP where it was started to, as nohup does", async () => {
  const trace = fromFileUrl(new URL("../../trace.ts", import.meta.url));
  const child = new Deno.Command("sh", {
    args: ["-c", `trap '' HUP; exec "$0" run -A "$1" -q -p nop "$2"`, Deno.execPath(), trace, SPIN],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  child.kill("SIGHUP");
  child.kill("SIGTERM");
  assertEquals((await child.output()).code, 143);
});
