import { assertEquals, assertThrows } from "@std/assert";
import type { FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { dumpText } from "../../lib/output/dump_text.ts";
import { readCaptureText } from "../output/captures.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";
import { traceLines } from "./trace_lines.ts";

/** Firmware of functions with these names; each in `calls` is called, in order. */
function guest(names: readonly string[], calls: readonly string[], options: FtraceOptions = {}) {
  const program = makeFirmware(
    names.map((name) => ({ name })),
    calls.map((name) => `call f${names.indexOf(name)}`).join("\n"),
  );
  const made = tracedFirmware(program, options);
  const file = made.ftrace.filterFiles.files.set_ftrace_filter;
  return {
    ...made,
    echo: (text: string) => file.write(text),
    append: (text: string) => file.write(text, { append: true }),
    cat: () => file.read().split("\n").slice(0, -1),
    /** The probes alone. */
    probes: () => file.read().split("\n").filter((line) => /:/.test(line)),
  };
}

const codeOf = (body: () => unknown) => assertThrows(body, FtraceError).code;

for (const kernel of ["6.12", "7.2"] as const) {
  Deno.test(`function commands do what those of Linux ${kernel} did in filter_behaviour`, async () => {
    const steps = [
      ...readCaptureText(kernel, "filter_behaviour").matchAll(
        /^--- echo '(\w+:\w+[\w:]*)' > set_ftrace_filter\n(?:sh: .*\n)?rc=(\d) count=(\d+) : (.*)$/gm,
      ),
    ].map(([, text, failed, count, shown]) => ({ text: text!, failed, count, shown }));
    assertEquals(steps.length, 8);
    for (let last = 0; last < steps.length; last++) {
      // The kernel's function was called often between two steps; here it is, after the last.
      const { ftrace, machine, echo, cat } = guest(["vfs_read"], Array(9).fill("vfs_read"), {
        dump() {},
      });
      const event = { system: "sched", name: "sched_switch", fields: {}, enabled: false };
      ftrace.defineEvent(event);
      let failed = "0";
      for (const { text } of steps.slice(0, last + 1)) {
        failed = "0";
        try {
          echo(text);
        } catch (error) {
          if (!(error instanceof FtraceError) || error.code !== "EINVAL") throw error;
          failed = "1";
        }
      }
      await machine.run();
      const lines = cat();
      const { text, count, shown, failed: expected } = steps[last]!;
      assertEquals(
        [failed, String(lines.filter((line) => !line.startsWith("#")).length)],
        [expected, count],
        text,
      );
      assertEquals(lines.slice(0, 4).map((line) => `${line}|`).join(""), shown, text);
    }
  });
}

Deno.test("a probe is taken away by the words that set it: with a count by :0, without one by none", () => {
  const { echo, append, probes } = guest(["a"], []);
  echo("a:traceoff:5");
  append("a:traceoff");
  assertEquals(codeOf(() => append("!a:traceon")), "ENODEV");
  assertEquals(codeOf(() => append("!a:traceon:0")), "ENODEV");
  assertEquals(probes(), ["a:traceoff:unlimited", "a:traceoff:count=5"]);
  append("!a:traceoff");
  assertEquals(codeOf(() => append("!a:traceoff")), "ENODEV");
  assertEquals(probes(), ["a:traceoff:count=5"]);
  append("!a:traceoff:0");
  assertEquals(probes(), []);
});

Deno.test("removing by a glob leaves exactly the difference, and truncating leaves probes", () => {
  const names = ["mutex_lock", "mutex_trylock", "spin_lock", "spin_trylock", "wait"];
  const { echo, append, cat, probes } = guest(names, []);
  echo("*lock:traceoff");
  append("mutex_*");
  assertEquals(cat(), [
    "mutex_lock",
    "mutex_trylock",
    ...names.slice(0, 4).map((name) => `${name}:traceoff:unlimited`),
  ]);
  append("!*try*lock:traceoff");
  assertEquals(probes(), ["mutex_lock:traceoff:unlimited", "spin_lock:traceoff:unlimited"]);
  echo("");
  assertEquals(cat()[0], "#### all functions enabled ####");
  assertEquals(probes().length, 2);
});

Deno.test("set_ftrace_filter refuses commands as the kernel: unknown, no number, no event, nothing new", () => {
  const { ftrace, append } = guest(["a", "b"], []);
  ftrace.defineEvent({ name: "e", fields: {}, enabled: false });
  append("a:traceoff");
  for (
    const text of [
      "a:nosuch",
      "a:traceoff:x",
      "a:traceoff:-1",
      "nosuch:traceoff",
      "a:traceoff",
      "a:enable_event",
      "a:enable_event:hartrace",
      "a:enable_event:hartrace:nosuch",
      "a:enable_event:ftrace:function",
      "a:enable_event:hartrace:e:",
    ]
  ) assertEquals([text, codeOf(() => append(text))], [text, "EINVAL"]);
  append("*:traceoff"); // b is new
  assertEquals(codeOf(() => append("*:traceoff")), "EINVAL");
  const { files } = ftrace.filterFiles;
  assertEquals(codeOf(() => files.set_ftrace_notrace.write("a:traceon")), "EINVAL");
});

Deno.test("each type of probe is one dynamic ops on all its functions", () => {
  const { ftrace, append } = guest(["a", "b"], []);
  append("a:traceoff");
  append("b:traceoff");
  append("b:traceoff:3");
  const users = (name: string) =>
    ftrace.core.opsOf(ftrace.records.find((record) => record.name === name)!);
  assertEquals([users("a").length, users("b").length], [1, 2]);
  assertEquals(users("b").every(({ flags = 0 }) => flags & ftrace.flags.DYNAMIC), true);
  append("!b:traceoff");
  append("!b:traceoff:0");
  append("!a:traceoff");
  assertEquals([users("a").length, users("b").length], [0, 0]);
});

Deno.test("traceoff and traceon stop and start recording, as often as their counts say", async () => {
  // As func_traceonoff_triggers: off at `stop`, on at `go`, three times.
  const calls = Array.from({ length: 5 }, () => ["work", "stop", "work", "go"]).flat();
  for (const count of ["", ":3"]) {
    const { ftrace, machine, append, probes } = guest(["work", "stop", "go"], calls);
    append(`stop:traceoff${count}`);
    append(`go:traceon${count}`);
    ftrace.registerFtraceFunction({ filter: ["work"], func: ftrace.functionTraceCall });
    await machine.run();
    // Once both are spent, every call is recorded.
    assertEquals([...ftrace.events()].length, count === "" ? 5 : 3 + 4, count);
    assertEquals(
      probes(),
      count === ""
        ? ["go:traceon:unlimited", "stop:traceoff:unlimited"]
        : ["go:traceon:count=0", "stop:traceoff:count=0"],
    );
  }
});

Deno.test("a count goes down only where the state changes, and is each function's own", async () => {
  const { machine, append, probes, ftrace } = guest(["a", "b"], ["a", "a", "b"]);
  append("*:traceoff:3");
  await machine.run();
  assertEquals(ftrace.buffer.on, false);
  assertEquals(probes(), ["a:traceoff:count=2", "b:traceoff:count=3"]);
});

Deno.test("stacktrace writes a stack at each hit, also with no tracer", async () => {
  // As func-filter-stacktrace.
  const { ftrace, machine, append, probes } = guest(["fork"], ["fork", "fork"]);
  append("fork:stacktrace");
  assertEquals(probes(), ["fork:stacktrace:unlimited"]);
  await machine.run();
  const lines = traceLines(ftrace, "nop").map((line) => line.replace(/^.*?: /, ""));
  assertEquals(lines, [
    "<stack trace>",
    " => fork",
    " => _start",
    "<stack trace>",
    " => fork",
    " => _start",
  ]);
});

Deno.test("enable_event and disable_event switch an event softly, exactly as often as counted", async () => {
  // As func_event_triggers.
  const { ftrace, machine, append, probes } = guest(
    ["go", "stop", "work"],
    Array.from({ length: 4 }, () => ["work", "go", "work", "stop"]).flat(),
  );
  const event = ftrace.defineEvent({ name: "e", fields: { n: "u32" }, enabled: false });
  const states: string[] = [];
  let n = 0;
  ftrace.registerFtraceFunction({
    filter: ["work"],
    func() {
      states.push(event.file.enableText);
      event.emit({ n: n++ });
    },
  });
  append("go:enable_event:hartrace:e:3");
  append("stop:disable_event:hartrace:e");
  assertEquals(event.file.enableText, "0*");
  await machine.run();
  assertEquals(states, ["0*", "1*", "0*", "1*", "0*", "1*", "0*", "0*"]);
  const texts = [...ftrace.events()].map((each) => each.type === "event" && each.text);
  assertEquals(texts, ["n=1", "n=3", "n=5"]);
  assertEquals(probes(), [
    "stop:disable_event:hartrace:e:unlimited",
    "go:enable_event:hartrace:e:count=0",
  ]);
  append("!stop:disable_event:hartrace:e");
  append("!go:enable_event:hartrace:e:0");
  assertEquals(event.file.enableText, "0");
});

Deno.test("snapshot exchanges the buffers at each hit, and makes room when it is set", async () => {
  const { ftrace, machine, append } = guest(["work", "shot"], ["work", "shot", "work", "work"]);
  assertEquals(ftrace.snapshot.state, "freed");
  append("shot:snapshot:1");
  assertEquals(ftrace.snapshot.state, "allocated");
  ftrace.registerFtraceFunction({ filter: ["work"], func: ftrace.functionTraceCall });
  await machine.run();
  const count = (events: Iterable<unknown>) => [...events].length;
  assertEquals([count(ftrace.snapshot.buffer!.all()), count(ftrace.buffer.all())], [1, 2]);
});

Deno.test("dump prints the buffer once and stops recording; cpudump one hart's", async () => {
  for (const command of ["dump", "cpudump"]) {
    const printed: string[] = [];
    const { ftrace, machine, append, probes } = guest(
      ["work", "bad"],
      ["work", "bad", "work", "bad"],
      {
        dump: (ftrace, hart) =>
          void printed.push(`${hart}\n`, ...dumpText(ftrace, "function", hart)),
      },
    );
    append(`bad:${command}`);
    ftrace.registerFtraceFunction({ filter: ["work"], func: ftrace.functionTraceCall });
    await machine.run();
    assertEquals(ftrace.buffer.on, false);
    const lines = printed.join("").split("\n").map((line) => line.replace(/^.*?: (?=work)/, ""));
    assertEquals(lines, [
      command === "dump" ? "undefined" : "0",
      "Dumping ftrace buffer:",
      "---------------------------------",
      "work <-_start",
      "---------------------------------",
      "",
    ]);
    assertEquals(probes(), [`bad:${command}:${command === "dump" ? "count=0" : "unlimited"}`]);
    append(`!bad:${command}`);
    assertEquals(probes(), []);
  }
});
