import { assert, assertEquals, assertMatch } from "@std/assert";
import { createFtrace } from "../../lib/ftrace/ftrace.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { readProgram } from "../fixtures/expected.ts";
import { filesOf, KERNELS, TRACERS, truth, withFiles } from "./guest.ts";

Deno.test("buffer_size_kb reads whole sub-buffers, as the kernels did", async () => {
  const { echo, cat } = await withFiles("sample_p84");
  assertEquals(cat("per_cpu/cpu0/buffer_size_kb"), "7\n");
  for (const [written, read] of [[3, 7], [8, 11], [100, 103], [1408, 1410], [1, 7]]) {
    assertEquals(await echo(`${written}`, "buffer_size_kb"), "");
    assertEquals(cat("buffer_size_kb"), `${read}\n`);
    assertEquals(cat("buffer_total_size_kb"), `${read}\n`);
    assertEquals(cat("per_cpu/cpu0/buffer_size_kb"), `${read}\n`);
  }
  assertEquals(await echo("0", "buffer_size_kb"), "EINVAL");
  assertEquals(await echo("x", "buffer_size_kb"), "EINVAL");
  assertEquals(await echo("99999999999", "buffer_size_kb"), "ENOMEM");
  assertEquals(cat("buffer_size_kb"), "7\n");
});

Deno.test("buffer_size_kb reads full once a tracer needs it", async () => {
  const { echo, cat } = await withFiles("sample_p84");
  assertEquals(cat("buffer_size_kb"), "7 (expanded: 1408)\n");
  assertEquals(await echo("nop", "current_tracer"), "");
  assertEquals(cat("buffer_size_kb"), "1410\n");
});

Deno.test("trace_pipe gives each event once, without a header", async () => {
  const { machine, echo, cat } = await withFiles("sample_p84");
  await echo("function", "current_tracer");
  await machine.run({ limit: 200n });
  const trace = cat("trace").split("\n").filter((line) => !line.startsWith("#")).join("\n");
  assertEquals(cat("trace_pipe"), trace);
  assertEquals(cat("trace_pipe"), "");
  assertEquals(/ <-/.test(cat("trace")), false);
  assertMatch(cat("per_cpu/cpu0/stats"), /^read events: [1-9]/m);
  await machine.run({ limit: 400n });
  assertMatch(cat("per_cpu/cpu0/trace_pipe"), / <-/);
  assertEquals(cat("trace_pipe"), "");
});

Deno.test("trace is emptied by > and not by >>", async () => {
  const { machine, tracefs, echo, append, cat } = await withFiles("sample_p84");
  await echo("function", "current_tracer");
  await machine.run({ limit: 200n });
  const before = cat("trace");
  await append("", "trace");
  assertEquals(cat("trace"), before);
  await tracefs.write("trace", "");
  assertEquals(/ <-/.test(cat("trace")), false);
  await machine.run({ limit: 400n });
  await echo("", "per_cpu/cpu0/trace");
  assertEquals(/ <-/.test(cat("trace")), false);
});

Deno.test("tracing_on and tracing_cpumask stop and start recording", async () => {
  const { machine, echo, cat } = await withFiles("sample_p84");
  await echo("function", "current_tracer");
  assertEquals(await echo("0", "tracing_on"), "");
  await machine.run({ limit: 200n });
  assertEquals(/ <-/.test(cat("trace")), false);
  assertEquals(await echo("17", "tracing_on"), "");
  assertEquals(cat("tracing_on"), "1\n");
  assertEquals(await echo("0", "tracing_cpumask"), "");
  await machine.run({ limit: 300n });
  assertEquals(/ <-/.test(cat("trace")), false);
  assertEquals(await echo("00000000,00000001", "tracing_cpumask"), "");
  await machine.run({ limit: 400n });
  assertEquals(/ <-/.test(cat("trace")), true);
  assertEquals(await echo("2", "tracing_cpumask"), "EOVERFLOW");
  assertEquals(await echo("g", "tracing_cpumask"), "EINVAL");
  assertEquals(await echo("1,", "tracing_cpumask"), "EINVAL");
});

for (const [release, era] of KERNELS) {
  Deno.test(`trace_clock reads for each clock as that of Linux ${release}`, async () => {
    const { echo, cat } = await withFiles("sample_p84", { era });
    const captured = (await truth(release, "clocks")).split(/^== /m).slice(1);
    assertEquals(captured.length, 8);
    for (const part of captured) {
      const [name, line] = part.split("\n");
      assertEquals(await echo(name!, "trace_clock"), "");
      assertEquals(cat("trace_clock"), `${line}\n`);
    }
    assertEquals(await echo("nosuch", "trace_clock"), "EINVAL");
  });
}

Deno.test("trace_marker writes text, trace_marker_raw bytes, unless markers is off", async () => {
  const { tracefs, echo, cat } = await withFiles("sample_p84");
  assertEquals(await echo("hello", "trace_marker"), "");
  await tracefs.write("trace_marker", "two\nlines");
  await tracefs.write("trace_marker_raw", "\x34\x12\0\0ab\xff");
  assertMatch(cat("trace"), /: tracing_mark_write: hello\n/);
  assertMatch(cat("trace"), /: tracing_mark_write: two\nlines\n/);
  assertMatch(cat("trace"), /: # 1234 buf: 61 62 ff 00\n/);
  assertEquals(await echo("ab", "trace_marker_raw"), "EINVAL");
  assertEquals(cat("trace_marker"), "EINVAL");
  await echo("nomarkers", "trace_options");
  assertEquals(await echo("no", "trace_marker"), "EINVAL");
  assertEquals(await echo("abcd", "trace_marker_raw"), "EINVAL");
  assertEquals(/: no\n/.test(cat("trace")), false);
});

Deno.test("trace_marker_raw fills whole words, up to 6.17 with room for the number twice", async () => {
  for (const [era, short, long] of [["args", 12, 16], ["call-ops", 4, 12]] as const) {
    const { tracefs, cat } = await withFiles("sample_p84", { era });
    await tracefs.write("trace_marker_raw", "\x01\0\0\0a");
    await tracefs.write("trace_marker_raw", "\x02\0\0\0abcdefghi");
    const rows = [...cat("trace").matchAll(/: # \d buf:((?: \w\w)+)\n/g)];
    assertEquals(rows.map(([, bytes]) => bytes!.length / 3), [short, long]);
  }
});

Deno.test("trace_marker writes what no event has room for as several, at whole characters", async () => {
  const { echo, cat } = await withFiles("sample_p84");
  const written = async (text: string) => {
    await echo("", "trace");
    assertEquals(await echo(text, "trace_marker"), "");
    return [...cat("trace").matchAll(/tracing_mark_write: (.*)$/gm)].map(([, part]) =>
      part!.length
    );
  };
  // A sub-buffer of 4 KiB less its header, the event's, and the text's end.
  assertEquals(await written("x".repeat(5000)), [4054, 946]);
  assertEquals(await written("ä".repeat(2028)), [2027, 1]);
  await echo("8", "buffer_subbuf_size_kb");
  assertEquals(await written("x".repeat(5000)), [4096, 904]);
});

Deno.test("tracing_thresh leaves ends of long calls only", async () => {
  const { machine, ftrace, echo, cat } = await withFiles("calls_p84");
  assertEquals(await echo("1", "tracing_thresh"), "");
  assertEquals(cat("tracing_thresh"), "1\n");
  await echo("function_graph", "current_tracer");
  await machine.run();
  const lines = cat("trace").split("\n").slice(4, -1);
  assert(lines.length > 0);
  for (const line of lines) assertMatch(line, /} \/\* \w+ \*\/$/);
  assertEquals([...ftrace.events()].every(({ type }) => type === "funcgraph_exit"), true);
});

Deno.test("small settings take what the kernel takes", async () => {
  const { echo, cat } = await withFiles("sample_p84");
  for (
    const [file, text, errno, read] of [
      ["buffer_percent", "100", "", "100"],
      ["buffer_percent", "101", "EINVAL", "100"],
      ["buffer_subbuf_size_kb", "8", "", "8"],
      ["buffer_subbuf_size_kb", "5", "", "8"],
      ["buffer_subbuf_size_kb", "1", "", "4"],
      ["buffer_subbuf_size_kb", "0", "EINVAL", "4"],
      ["saved_cmdlines_size", "128", "", "128"],
      ["saved_cmdlines_size", "0", "EINVAL", "128"],
      ["saved_cmdlines_size", "40000", "EINVAL", "128"],
    ] as const
  ) {
    assertEquals(await echo(text, file), errno, `${text} > ${file}`);
    assertEquals(cat(file), `${read}\n`, file);
  }
});

Deno.test("free_buffer empties the buffer, and with disable_on_free stops recording", async () => {
  const { machine, echo, cat } = await withFiles("sample_p84");
  await echo("function", "current_tracer");
  await machine.run({ limit: 200n });
  await echo("", "free_buffer");
  assertEquals(cat("buffer_size_kb"), "7\n");
  assertEquals(/ <-/.test(cat("trace")), false);
  assertEquals(cat("tracing_on"), "1\n");
  await echo("1", "options/disable_on_free");
  await echo("", "free_buffer");
  assertEquals(cat("tracing_on"), "0\n");
});

Deno.test("saved_cmdlines and saved_tgids name the task", async () => {
  const { machine, echo, cat } = await withFiles("sample_p84");
  assertEquals(cat("saved_cmdlines"), `${machine.pid} ${machine.comm}\n`);
  assertEquals(cat("saved_tgids"), "");
  await echo("record-tgid", "trace_options");
  assertEquals(cat("saved_tgids"), `${machine.pid} ${machine.pid}\n`);
});

for (const [release, era] of KERNELS) {
  Deno.test(`snapshot reads before, after and at boot as that of Linux ${release}`, async () => {
    const { machine, echo, cat } = await withFiles("sample_p84", { era });
    assertEquals(cat("snapshot"), await truth(release, "initial.snapshot"));
    const perCpu = (await truth(release, "per_cpu.cpu0")).split(/^== /m)
      .find((part) => part.startsWith("per_cpu/cpu0/snapshot\n"))!;
    assertEquals(cat("per_cpu/cpu0/snapshot"), perCpu.slice(perCpu.indexOf("\n") + 1));
    await echo("function", "current_tracer");
    assertEquals(cat("snapshot"), await truth(release, "snapshot.before"));
    await machine.run({ limit: 200n });
    const trace = cat("trace");
    assertEquals(await echo("1", "snapshot"), "");
    assertEquals(cat("snapshot"), trace);
    assertEquals(cat("per_cpu/cpu0/snapshot"), trace);
    // The capture shows the live buffer after the exchange: a header with nothing below.
    const counts = /entries-written: 0\/0/;
    assertMatch(await truth(release, "snapshot.trace.after"), counts);
    assertEquals(cat("trace"), await truth(release, "snapshot.trace.after"));
  });

  Deno.test(`per_cpu/cpu0 has the files of Linux ${release}, without the binary ones`, async () => {
    const { tracefs } = await withFiles("sample_p84", { era });
    const listed = (await truth(release, "per_cpu.ls")).trimEnd().split("\n").slice(4);
    assertEquals(tracefs.list("per_cpu"), ["cpu0"]);
    assertEquals(tracefs.list("per_cpu/cpu0"), listed.filter((name) => !name.endsWith("_raw")));
  });
}

Deno.test("snapshot is freed by 0 and emptied by 2; one hart's is only emptied", async () => {
  const { machine, echo, cat } = await withFiles("sample_p84");
  await echo("function", "current_tracer");
  await machine.run({ limit: 200n });
  await echo("1", "snapshot");
  assertEquals(await echo("0", "per_cpu/cpu0/snapshot"), "EINVAL");
  assertEquals(await echo("1", "per_cpu/cpu0/snapshot"), "EINVAL");
  assertEquals(await echo("2", "per_cpu/cpu0/snapshot"), "");
  assertMatch(cat("snapshot"), /Snapshot is allocated/);
  assertEquals(await echo("0", "snapshot"), "");
  assertMatch(cat("snapshot"), /Snapshot is freed/);
  assertEquals(await echo("x", "snapshot"), "EINVAL");
});

Deno.test("files of several harts: sizes, masks, tasks, a folder for each", async () => {
  const { bytes } = await readProgram("hello_bare_p84");
  const machine = createMachine(bytes, { stdout: () => {}, harts: 2 });
  const tracefs = createTracefs(createFtrace(machine), { tracers: TRACERS });
  const { echo, cat } = filesOf(tracefs);
  assertEquals(tracefs.list("per_cpu"), ["cpu0", "cpu1"]);
  assertEquals(cat("buffer_total_size_kb"), "14 (expanded: 2816)\n");
  assertEquals(cat("tracing_cpumask"), "3\n");
  assertEquals(cat("saved_cmdlines"), "1 hart0\n2 hart1\n");
  assertEquals(await echo("64", "per_cpu/cpu1/buffer_size_kb"), "");
  assertEquals(cat("buffer_size_kb"), "X\n");
  assertEquals(cat("per_cpu/cpu0/buffer_size_kb"), "1410\n");
  assertEquals(cat("per_cpu/cpu1/buffer_size_kb"), "67\n");
  assertEquals(await echo("4", "tracing_cpumask"), "EOVERFLOW");
  assertEquals(await echo("2", "tracing_cpumask"), "");
  await echo("function", "current_tracer");
  await machine.run();
  assertMatch(cat("per_cpu/cpu0/stats"), /^entries: 0\n/);
});
