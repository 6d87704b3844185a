import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { TracefsError } from "../../lib/tracefs/errno.ts";
import { KERNELS, truth, withFiles } from "./guest.ts";
import { contradictions } from "./site_check.ts";

/** Files whose text at boot does not depend on what is traced. */
const AT_BOOT = [
  "dynamic_events",
  "enabled_functions",
  "error_log",
  "kprobe_events",
  "set_event",
  "set_event_pid",
  "snapshot",
  "touched_functions",
  "uprobe_events",
  "buffer_percent",
  "buffer_size_kb",
  "buffer_subbuf_size_kb",
  "buffer_total_size_kb",
  "saved_cmdlines_size",
  "timestamp_mode",
  "trace_clock",
  "tracing_cpumask",
  "tracing_thresh",
  "dynamic_events",
  "error_log",
  "kprobe_events",
  "uprobe_events",
  "current_tracer",
  "max_graph_depth",
  "set_ftrace_filter",
  "set_ftrace_notrace",
  "set_ftrace_pid",
  "set_graph_function",
  "set_graph_notrace",
  "stack_max_size",
  "stack_trace",
  "stack_trace_filter",
  "trace",
  "trace_options",
  "tracing_on",
];

for (const [release, era] of KERNELS) {
  for (const name of AT_BOOT) {
    Deno.test(`${name} reads as that of Linux ${release} after boot`, async () => {
      const { cat } = await withFiles("sample_p84", { era });
      assertEquals(cat(name), await truth(release, `initial.${name}`));
    });
  }

  Deno.test(`available_tracers has those of Linux ${release} that trace functions`, async () => {
    const { cat } = await withFiles("sample_p84", { era });
    const captured = (await truth(release, "initial.available_tracers")).trimEnd().split(" ");
    const here = cat("available_tracers").trimEnd().split(" ");
    // Of block devices there are none to trace; the order is the captured one.
    assertEquals(captured, ["blk", "function_graph", "function", "nop"]);
    assertEquals(here.filter((name) => captured.includes(name)), captured.slice(1));
  });

  Deno.test(`stack_trace has the form that Linux ${release} printed`, async () => {
    const { machine, echo, cat } = await withFiles("sample_p84", { era });
    await echo("1", "/proc/sys/kernel/stack_tracer_enabled");
    await machine.run();
    const captured = await truth(release, "stack_trace");
    for (
      const [text, size] of [
        [captured, await truth(release, "stack_max_size")],
        [cat("stack_trace"), cat("stack_max_size")],
      ] as const
    ) {
      const [title, bar, ...rows] = text.trimEnd().split("\n");
      assertEquals(title, `        Depth    Size   Location    (${rows.length} entries)`);
      assertEquals(bar, "        -----    ----   --------");
      const frames = rows.map((row, k) => {
        const [, number, depth, frame] =
          /^([ \d]{3})\) ([ \d]{8}) {3}([ \d]{5}) {3}\S+\+0x[0-9a-f]+\/0x[0-9a-f]+/.exec(row) ?? [];
        assertEquals(Number(number), k, row);
        return { depth: Number(depth), frame: Number(frame) };
      });
      assertEquals(`${frames[0]!.depth}\n`, size);
      frames.forEach(({ depth, frame }, k) =>
        assertEquals(frame, depth - (frames[k + 1]?.depth ?? 0))
      );
    }
  });

  Deno.test(`options/ has the options of Linux ${release} with their values`, async () => {
    const { tracefs, cat } = await withFiles("sample_p84", { era, strict: true });
    const captured = (await truth(release, "options.list")).trimEnd().split("\n");
    // Of the block tracer, which has nothing to trace here.
    const expected = captured.filter((line) => !line.startsWith("options/blk_"));
    assertEquals(captured.length - expected.length, 3);
    const listed = tracefs.list("options").map((name) =>
      `options/${name} ${cat(`options/${name}`).trimEnd()}`
    );
    assertEquals(listed, expected);
  });
}

Deno.test("createTracefs() gives one tree under all the names of its root", async () => {
  const { tracefs } = await withFiles("sample_p84");
  for (const root of ["", "/", "/sys/kernel/tracing/", "/sys/kernel/debug/tracing/", "./a/../"]) {
    assertEquals(tracefs.read(`${root}current_tracer`), "nop\n", root);
    assertEquals(tracefs.kind(`${root}options`), "directory", root);
  }
  assertEquals(tracefs.kind("/proc/sys/kernel/stack_tracer_enabled"), "file");
  assertEquals(tracefs.kind("nosuch"), undefined);
  assertEquals(tracefs.list().includes("proc"), false);
  assert(tracefs.list("per_cpu").includes("cpu0"));
  for (const path of tracefs.paths()) assertEquals(tracefs.kind(path), "file", path);
});

Deno.test("createTracefs() refuses at open what is not there or is a directory", async () => {
  const { tracefs, echo, cat } = await withFiles("sample_p84");
  assertEquals(cat("nosuch"), "ENOENT");
  assertEquals(await echo("1", "nosuch"), "EACCES");
  assertEquals(await echo("1", "options/nosuch"), "EACCES");
  assertEquals(cat("options"), "EISDIR");
  assertEquals(await echo("1", "options"), "EISDIR");
  assertEquals(await echo("1", "available_tracers"), "EINVAL");
  assertThrows(() => tracefs.list("current_tracer"), TracefsError, "ENOTDIR");
  assertThrows(() => tracefs.list("nosuch"), TracefsError, "ENOENT");
  const refused = await assertRejects(() => tracefs.write("nosuch", "1"), TracefsError);
  assertEquals([refused.call, refused.words], ["open", "Permission denied"]);
});

Deno.test("current_tracer starts and stops tracers, and empties the buffer", async () => {
  const { machine, tracefs, echo, cat } = await withFiles("sample_p84");
  assertEquals(await echo("function", "current_tracer"), "");
  await machine.run({ limit: 100n });
  assert(/: \w+ <-/.test(cat("trace")));
  assertEquals(await echo("function", "current_tracer"), "");
  assert(/: \w+ <-/.test(cat("trace")));
  assertEquals(await echo("nosuch", "current_tracer"), "EINVAL");
  assertEquals(cat("current_tracer"), "function\n");
  assertEquals(await echo("function_graph", "current_tracer"), "");
  assertEquals(cat("trace").split("\n").length, 5);
  await machine.run({ limit: 200n });
  assert(/\|\s+\w+\(/.test(cat("trace")));
  assertEquals(await echo("nop", "current_tracer"), "");
  await machine.run({ limit: 300n });
  assertEquals(/ <-|\(\)/.test(cat("trace")), false);
  await tracefs[Symbol.asyncDispose]();
});

Deno.test("trace_options takes the current tracer's options, options/ takes all", async () => {
  const { echo, cat } = await withFiles("sample_p84");
  assertEquals(await echo("sym-offset", "trace_options"), "");
  assertEquals(cat("options/sym-offset"), "1\n");
  assertEquals(await echo("nosym-offset", "trace_options"), "");
  assertEquals(cat("options/sym-offset"), "0\n");
  assertEquals(await echo("funcgraph-tail", "trace_options"), "EINVAL");
  assertEquals(await echo("1", "options/funcgraph-tail"), "");
  assertEquals(await echo("2", "options/funcgraph-tail"), "EINVAL");
  assertEquals(await echo("nosuch", "trace_options"), "EINVAL");
  assertEquals(await echo("test_nop_accept", "trace_options"), "");
  assertEquals(await echo("test_nop_refuse", "trace_options"), "EINVAL");
  assert(cat("trace_options").endsWith("\ntest_nop_accept\nnotest_nop_refuse\n"));
  assertEquals(await echo("function_graph", "current_tracer"), "");
  assert(cat("trace_options").includes("\nfuncgraph-tail\n"));
  assertEquals(cat("trace_options").includes("test_nop"), false);
});

Deno.test("numbers are read as the kernel reads them", async () => {
  const { echo, cat } = await withFiles("sample_p84");
  for (
    const [text, errno] of [
      ["5", ""],
      ["+5", ""],
      [" 5", "EINVAL"],
      ["5 ", "EINVAL"],
      ["5x", "EINVAL"],
      ["0x5", "EINVAL"],
      ["-5", "EINVAL"],
      ["99999999999999999999", "ERANGE"],
      ["", "EINVAL"],
    ] as const
  ) {
    assertEquals(await echo(text, "max_graph_depth"), errno, text);
    assertEquals(cat("max_graph_depth"), "5\n");
  }
});

Deno.test("stack_trace and trace_stat/ are the stack tracer's and the profiler's results", async () => {
  const { machine, echo, cat } = await withFiles("sample_p84");
  assertEquals(await echo("1", "/proc/sys/kernel/stack_tracer_enabled"), "");
  assertEquals(await echo("1", "function_profile_enabled"), "");
  await machine.run();
  assertEquals(
    cat("stack_trace").split("\n").slice(0, 4).join("\n"),
    `        Depth    Size   Location    (5 entries)
        -----    ----   --------
  0)      144      48   print_number+0x0/0x48
  1)       96      32   print_bill+0x26/0x4a`,
  );
  assertEquals(cat("stack_max_size"), "144\n");
  assert(/^ {2}price_of {22}\s+5 {4}0\.020 us/m.test(cat("trace_stat/function0")));
  assertEquals(await echo("0", "stack_max_size"), "");
  assertEquals(cat("stack_max_size"), "0\n");
  assertEquals(await echo("12", "stack_max_size"), "EINVAL");
});

Deno.test("stack_trace_filter is a filter of the stack tracer's own", async () => {
  const { machine, ftrace, echo, cat } = await withFiles("sample_p84");
  assertEquals(await echo("1", "/proc/sys/kernel/stack_tracer_enabled"), "");
  assertEquals(await echo("bill", "stack_trace_filter"), "");
  assertEquals(cat("set_ftrace_filter"), "#### all functions enabled ####\n");
  const traced = ftrace.records.filter(({ flags }) => (flags & 0xff) > 0).map(({ name }) => name);
  assertEquals(traced, ["bill"]);
  await machine.run();
  assert(cat("stack_trace").includes("bill+0x0"));
  assertEquals(cat("stack_trace").includes("print_number"), false);
  // The frames are those of the whole stack.
  assertMatch(
    cat("stack_trace"),
    /0\) +64 +32 +bill\+0x0.*\n.*1\) +32 +16 +program.*\n.*tiny_main/,
  );
});

Deno.test("an era followed to the letter has no profiler, as Debian's kernels", async () => {
  const { tracefs } = await withFiles("sample_p84", { strict: true });
  assertEquals(tracefs.kind("function_profile_enabled"), undefined);
  assertEquals(tracefs.kind("trace_stat"), undefined);
  assertEquals(tracefs.kind("stack_trace"), "file");
});

Deno.test("ftrace_enabled 0 turns every site off and keeps the tracer; 1 turns them on", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] as const) {
    const { machine, ftrace, echo, cat } = await withFiles("sample_p84", { era });
    await echo("function", "current_tracer");
    const traced = cat("enabled_functions");
    assert(traced.length > 0);
    assertEquals(await echo("0", "/proc/sys/kernel/ftrace_enabled"), "");
    assertEquals(cat("enabled_functions"), "");
    assertEquals(cat("current_tracer"), "function\n");
    assertEquals(contradictions(ftrace, true), []);
    await machine.run({ limit: 200n });
    assertEquals(/ <-/.test(cat("trace")), false);
    assertEquals(await echo("1", "/proc/sys/kernel/ftrace_enabled"), "");
    assertEquals(cat("enabled_functions"), traced);
    assertEquals(contradictions(ftrace), []);
    await machine.run({ limit: 600n });
    assertEquals(/ <-/.test(cat("trace")), true);
  }
});

Deno.test("createTracefs() gives functions that stand by themselves", async () => {
  const { tracefs } = await withFiles("sample_p84");
  const { read, write, list, kind, paths } = tracefs;
  await write("tracing_on", "0");
  assertEquals(read("tracing_on"), "0\n");
  assertEquals(kind("tracing_on"), "file");
  assert(list("").includes("tracing_on") && paths().includes("tracing_on"));
});
