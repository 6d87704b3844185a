/**
 * What the kernel's own tests of the trace's files, of events and of filters assert
 * (`tools/testing/selftests/ftrace/test.d`, `00basic/`, `event/`, `filter/`), in every era, each named
 * after its script.
 *
 * Where a script waits for the scheduler, the events that it watches are emitted.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { TracefsError } from "../../lib/tracefs/errno.ts";
import { bootKernel } from "../ftrace/selftest_kernel.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const SWITCH = "events/sched/sched_switch", FREE = "events/kmem/kmem_cache_free";

/** A kernel with events of a scheduler and an allocator. */
function boot(era: (typeof ERAS)[number]) {
  const kernel = bootKernel({ era });
  const { ftrace, echo } = kernel;
  const sched = ["sched_switch", "sched_process_fork", "sched_process_exit"].map((name) =>
    ftrace.defineEvent({ system: "sched", name, fields: { n: "int" }, enabled: false })
  );
  const free = ftrace.defineEvent({
    ...{ system: "kmem", name: "kmem_cache_free", enabled: false },
    fields: { call_site: "unsigned long" },
    print: "call_site=%pS",
  });
  return {
    ...kernel,
    async write(text: string, file: string): Promise<void> {
      assertEquals(await echo(text, file), "", `${text} > ${file}`);
    },
    /** Every event occurs; `kmem_cache_free` from two functions. */
    occur(): void {
      for (const event of sched) event.emit({ n: 1 });
      for (const name of ["schedule", "vfs_write"]) {
        free.emit({ call_site: ftrace.lookup(name)! + 4n });
      }
    },
    /** Texts of the markers in the trace. */
    marked: () => kernel.lines().map((line) => line.replace(/^.*tracing_mark_write: /, "")),
    /** Events in the trace, without their fields. */
    events(): string[] {
      return [...new Set(kernel.lines().map((line) => /: (\w+):/.exec(line)![1]!))].sort();
    },
  };
}

for (const era of ERAS) {
  Deno.test(`basic1 to basic4: files, tracers, clocks and events are there (${era})`, async () => {
    const { tracefs, cat, write } = boot(era);
    for (const file of ["README", "trace", "tracing_on", "trace_pipe"]) {
      assertEquals(tracefs.kind(file), "file", file);
    }
    for (const tracer of cat("available_tracers").trim().split(" ")) {
      await write(tracer, "current_tracer");
      assertEquals(cat("current_tracer"), `${tracer}\n`);
    }
    await write("nop", "current_tracer");
    for (const clock of cat("trace_clock").trim().replaceAll(/[[\]]/g, "").split(" ")) {
      await write(clock, "trace_clock");
      assert(cat("trace_clock").includes(`[${clock}]`), clock);
    }
    await write("local", "trace_clock");
    assertEquals(["available_events", "set_event"].map((file) => tracefs.kind(file)), [
      "file",
      "file",
    ]);
    assertEquals(tracefs.kind("events"), "directory");
    assertMatch(cat("available_events"), /^sched:/m);
  });

  Deno.test(`ringbuffer_size: all rings, or one, are halved, doubled and restored (${era})`, async () => {
    const { cat, write } = boot(era);
    for (const folder of ["", "per_cpu/cpu0/"]) {
      const file = `${folder}buffer_size_kb`;
      const first = parseInt(cat(file));
      for (const size of [first >> 1, first * 2, first]) {
        await write(String(size), file);
        assert(parseInt(cat(file)) >= size, file);
      }
    }
  });

  Deno.test(`ringbuffer_subbuf_size: a sub-buffer is as large as asked, and all of a long text is there (${era})`, async () => {
    const { cat, write, marked } = boot(era);
    const first = cat("buffer_subbuf_size_kb").trim();
    for (const kib of [4, 8, 16, 32]) {
      await write(String(kib), "buffer_subbuf_size_kb");
      const number = (expression: RegExp, file: string) => Number(expression.exec(cat(file))![1]);
      const size = number(/data.*size:(\d+)/, "events/header_page");
      const offset = number(/data.*offset:(\d+)/, "events/header_page");
      assert(size >= kib * 1024 - offset);
      const text = "X".repeat(size);
      await write("", "trace");
      await write(text, "trace_marker");
      assert(marked().length > 1);
      assertEquals(marked().join(""), text);
    }
    await write(first, "buffer_subbuf_size_kb");
  });

  Deno.test(`trace_marker: a text that fills a sub-buffer is one line, a longer one is broken (${era})`, async () => {
    const { cat, write, tracefs, marked } = boot(era);
    const number = (expression: RegExp, file: string) => Number(expression.exec(cat(file))![1]);
    const size = number(/data.*size:(\d+)/, "events/header_page");
    const bits = ["type_len", "time_delta", "array"].map((name) =>
      number(RegExp(`${name} *:[^0-9]*(\\d+)`), "events/header_event")
    );
    const header = Math.ceil(bits.reduce((sum, each) => sum + each) / 8);
    const meta = header + number(/buf.*offset:(\d+)/, "events/ftrace/print/format");
    // Less the end of the line and of the string, which the file adds.
    for (const [length, broken] of [[size - meta - 2, false], [size - 2, true]] as const) {
      const text = "X".repeat(length);
      await write("", "trace");
      await tracefs.write("trace_marker", text);
      assertEquals(marked().length > 1, broken);
      assertEquals(marked().join(""), text);
    }
  });

  Deno.test(`trace_marker_raw: a number is wanted, too much is refused, data is in whole words (${era})`, async () => {
    const { cat, tracefs, write, ftrace } = boot(era);
    const size = Number(/data.*size:(\d+)/.exec(cat("events/header_page"))![1]);
    const raw = (id: number, length: number) => {
      const bytes = [0, 8, 16, 24].map((shift) => String.fromCharCode(id >>> shift & 0xff));
      return tracefs.write("trace_marker_raw", bytes.join("") + "X".repeat(length));
    };
    await assertRejects(() => tracefs.write("trace_marker_raw", "abc"), TracefsError, "EINVAL");
    await assertRejects(() => raw(0xdeadbeef, size), TracefsError, "EINVAL");
    const ids = [1, 101, 1001].flatMap((first) => Array.from({ length: 10 }, (_, k) => first + k));
    for (const id of ids) await raw(id, id);
    await write("stop", "trace_marker");
    const rows = cat("trace_pipe").split("\n").filter((line) => line.includes(": # "));
    const found = rows.map((row) => /: # ([0-9a-f]+) buf: (.*)$/.exec(row)!);
    assertEquals(found.map(([, id]) => parseInt(id!, 16)), ids);
    // The script is newer than 6.17, up to which there is room for more.
    if (!ftrace.era.forms.countsRawNumberOnce) return;
    for (const [, id, items] of found) {
      assertEquals(items!.split(" ").length, 4 * Math.ceil(parseInt(id!, 16) / 4));
    }
  });

  Deno.test(`snapshot, snapshot1: taking one leaves tracing as it was, on or off or masked (${era})`, async () => {
    const { cat, write, tracefs } = boot(era);
    for (const on of ["0", "1"]) {
      await write(on, "tracing_on");
      await write("1", "snapshot");
      if (on === "0") assertMatch(cat("snapshot"), /Snapshot is allocated/);
      assertEquals(cat("tracing_on"), `${on}\n`);
    }
    const mask = cat("tracing_cpumask").trim();
    await write("0", "tracing_cpumask");
    await write("1", "snapshot");
    await write(mask, "tracing_cpumask");
    await write("1", "tracing_on");
    await tracefs.write("trace_marker", "test input 1");
    assertMatch(cat("trace"), /test input 1/);
  });

  Deno.test(`trace_pipe: trace leaves events, trace_pipe takes them (${era})`, async () => {
    const { cat, tracefs } = boot(era);
    await tracefs.write("trace_marker", "test input 1");
    for (let time = 0; time < 2; time++) assertMatch(cat("trace"), /test input 1/);
    assertMatch(cat("trace_pipe").split("\n")[0]!, /test input 1/);
    assert(!cat("trace").includes("test input 1"));
  });

  Deno.test(`event-enable, subsystem-enable, toplevel-enable: one event, a system's, all (${era})`, async () => {
    const { write, occur, events, tracefs } = boot(era);
    const one = ["sched_switch"];
    const sched = ["sched_process_exit", "sched_process_fork", "sched_switch"];
    const all = ["kmem_cache_free", ...sched];
    const seen = async (on: () => Promise<void>) => {
      await tracefs.write("set_event", "\n");
      await write("", "trace");
      await on();
      occur();
      return events();
    };
    const levels = [
      ["sched:sched_switch", `${SWITCH}/enable`, one],
      ["sched:*", "events/sched/enable", sched],
      ["*:*", "events/enable", all],
    ] as const;
    for (const [name, file, expected] of levels) {
      assertEquals(await seen(() => write(name, "set_event")), expected, name);
      assertEquals(await seen(() => write("1", file)), expected, file);
      assertEquals(await seen(() => write("0", file)), [], file);
    }
  });

  Deno.test(`event-pid: events of a task in set_event_pid occur, no others (${era})`, async () => {
    const { cat, write, occur, events, machine, tracefs } = boot(era);
    const reset = async () => {
      await tracefs.write("set_event", "\n");
      await write("", "set_event_pid");
      await write("0", "options/event-fork");
      await write("", "trace");
    };
    const one = ["sched_switch"], pid = String(machine.pid), other = `${machine.pid + 1000}`;
    await write("0", "options/event-fork");
    await write("1", `${SWITCH}/enable`);
    occur();
    assertEquals(events(), one);
    for (
      const [task, fork, expected] of [[pid, "0", one], [other, "0", []], [pid, "1", one]] as const
    ) {
      await reset();
      await write(task, "set_event_pid");
      assert(cat("set_event_pid").includes(task));
      await write(fork, "options/event-fork");
      await write("sched:sched_switch", "set_event");
      occur();
      assertEquals(events(), [...expected], `${task} ${fork}`);
    }
  });

  Deno.test(`event-no-pid: events of a task in set_event_notrace_pid do not occur (${era})`, async () => {
    const { cat, write, occur, events, machine } = boot(era);
    const pid = String(machine.pid), other = `${machine.pid + 1000}`;
    for (const fork of ["0", "1"]) {
      for (const [task, isSeen] of [[pid, false], [other, true], ["", true]] as const) {
        await write("0", "events/enable");
        await write("", "trace");
        await write(task, "set_event_notrace_pid");
        assertEquals(cat("set_event_notrace_pid"), task && `${task}\n`);
        await write(fork, "options/event-fork");
        await write("1", "events/sched/enable");
        occur();
        assertEquals(events().length > 0, isSeen, `${task} ${fork}`);
      }
    }
  });

  Deno.test(`event-filter-function: a function by its name or an address in it (${era})`, async () => {
    const { write, occur, lines, ftrace } = boot(era);
    await write("1", `${FREE}/enable`);
    const address = ftrace.lookup("schedule")!.toString(16);
    for (const operand of ["schedule", `0x${address}`]) {
      await write("", "trace");
      await write(`call_site.function == ${operand}`, `${FREE}/filter`);
      occur();
      assertEquals(lines().length, 1);
      assertMatch(lines()[0]!, /call_site=schedule\+/);
    }
    await write("0", `${FREE}/filter`);
    await write("", "trace");
    occur();
    assertEquals(lines().length, 2);
  });

  Deno.test(`event-filter-incomplete: a filter that ends in an operator is refused (${era})`, async () => {
    const { tracefs, write } = boot(era);
    const bases = [
      "common_pid == 1",
      "common_pid == 1 || common_pid == 2",
      "common_pid == 1 && common_pid == 2",
      "!(common_pid == 1 || common_pid == 2)",
    ];
    for (const base of bases) {
      await tracefs.write(`${SWITCH}/filter`, base);
      for (const tail of ["&&", "||", "&& !", "|| !", "&& !! ", "|| !! "]) {
        const refused = await tracefs.write(`${SWITCH}/filter`, `${base} ${tail}`)
          .then(() => false, () => true);
        assert(refused, `${base} ${tail}`);
      }
    }
    await write("0", `${SWITCH}/filter`);
  });
}
