import { assert, assertEquals } from "@std/assert";
import { createFtrace } from "../../lib/ftrace/ftrace.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { buildWorld, readWrites, worldNames } from "./filter_world.ts";
import { filesOf, KERNELS, TRACERS, truth } from "./guest.ts";

/** The control files of a guest with a kernel's functions, whose `vfs_read` is called all the time. */
async function world(release: string, era: "args" | "call-ops") {
  const capture = await truth(release, "filter_behaviour");
  const vfs = (await truth(release, "graph.filter_vfs.enabled_functions")).split("\n")
    .flatMap((line) => /^(\S+) \(/.exec(line)?.[1] ?? []);
  const machine = createMachine(buildWorld(worldNames(capture, vfs), ["vfs_read"]));
  const dumped: string[] = [];
  const ftrace = createFtrace(machine, { era, report: (line) => void dumped.push(line) });
  ftrace.defineEvent({
    system: "sched",
    name: "sched_switch",
    fields: { prev_comm: "char[16]", prev_pid: "pid_t" },
    enabled: false,
  });
  const tracefs = createTracefs(ftrace, { tracers: TRACERS });
  /** Lets `vfs_read` be called some times, as the shell that wrote the capture did. */
  const run = async () => {
    const outcome = await machine.run({ limit: machine.harts[0]!.instret + 400n });
    assertEquals(outcome.kind, "limit");
  };
  return { capture, ftrace, run, ...filesOf(tracefs) };
}

/** The lines of a part of a capture. */
function part(capture: string, from: string, to?: string): readonly string[] {
  const start = capture.indexOf(`--- ${from}\n`) + from.length + 5;
  const text = capture.slice(start, to === undefined ? undefined : capture.indexOf(`--- ${to}\n`));
  return text.trimEnd().split("\n");
}

for (const [release, era] of KERNELS) {
  Deno.test(`every write of filter_behaviour gives what Linux ${release} gave, with as many functions`, async () => {
    const { capture, ftrace, run, echo, append, cat } = await world(release, era);
    assertEquals(ftrace.records.length, release === "6.12" ? 37830 : 41845);
    const lines = (file: string) => cat(file).split("\n").slice(0, -1);
    const writes = readWrites(capture);
    assertEquals(writes.length, 40);
    for (const { text, file, count, refused, shown } of writes) {
      const errno = await echo(text, file);
      await run();
      const now = lines(file);
      const what = `echo '${text}' > ${file}`;
      assertEquals(errno, refused ? "EINVAL" : "", what);
      assertEquals(now.filter((line) => !line.startsWith("#")).length, count, what);
      // A graph file is printed in the order of a hash of the kernel's addresses.
      if (file.startsWith("set_graph")) {
        for (const name of shown) assert(now.includes(name), what);
      } else assertEquals(now.slice(0, 4), shown, what);
      if (file !== "set_ftrace_filter") await echo("", file);
    }
    // Probes outlive every write of a filter; here they would be listed below the functions.
    for (const probe of lines("set_ftrace_filter").filter((line) => !line.startsWith("#"))) {
      const [name, command, ...rest] = probe.split(":");
      const counted = rest.at(-1) !== "unlimited";
      const event = rest.length > 1 ? `:${rest.slice(0, -1).join(":")}` : "";
      const removal = `!${name}:${command}${event}${counted ? ":0" : ""}`;
      assertEquals(await append(removal, "set_ftrace_filter"), "", removal);
    }
    assertEquals(lines("set_ftrace_filter"), ["#### all functions enabled ####"]);

    const count = () => `${lines("set_ftrace_filter").length}`;
    const found: string[] = [];
    await echo("vfs_*", "set_ftrace_filter");
    found.push(count());
    await append("!vfs_read", "set_ftrace_filter");
    found.push(count());
    await append("vfs_read", "set_ftrace_filter");
    found.push(count());
    await echo("ksys_read", "set_ftrace_filter");
    found.push(...lines("set_ftrace_filter"));
    await append("!ksys_read", "set_ftrace_filter");
    found.push(...lines("set_ftrace_filter"));
    assertEquals(found, part(capture, "append/!", "order of output"));
    await echo("ksys_read vfs_write vfs_read", "set_ftrace_filter");
    assertEquals(lines("set_ftrace_filter"), part(capture, "order of output", "notrace"));
    await echo("vfs_*", "set_ftrace_notrace");
    assertEquals(
      lines("set_ftrace_notrace").slice(0, 3),
      part(capture, "notrace", "graph function"),
    );
  });

  Deno.test(`current_tracer, set_ftrace_pid and trace_options answer as Linux ${release} did`, async () => {
    const { capture, echo, cat } = await world(release, era);
    const tracers = part(capture, "tracers", "max_graph_depth/pid/etc")
      .flatMap((line) => {
        const [, name, failed, now] = /^(\w+) rc=(\d) now (\w+)$/.exec(line) ?? [];
        return name === undefined ? [] : [{ name, failed: failed === "1", now }];
      });
    assertEquals(tracers.length, 11);
    for (const { name, failed, now } of tracers) {
      const errno = await echo(name, "current_tracer");
      // There are no block devices to trace; the captured kernels have that tracer.
      const absent = name === "blk";
      assertEquals(errno, failed || absent ? "EINVAL" : "", name);
      assertEquals(cat("current_tracer"), `${now === "blk" ? "nop" : now}\n`, name);
    }
    const pids = part(capture, "max_graph_depth/pid/etc", "trace_options")
      .flatMap((line) => {
        const [, text, failed, now] = /^(\S+) rc=(\d) (.+?) ?$/.exec(line) ?? [];
        return text === undefined ? [] : [{ text, failed: failed === "1", now }];
      });
    assertEquals(pids.length, 4);
    for (const { text, failed, now } of pids) {
      assertEquals(await echo(text, "set_ftrace_pid"), failed ? "EINVAL" : "", text);
      assertEquals(cat("set_ftrace_pid"), `${now}\n`, text);
    }
    const refusals = part(capture, "trace_options");
    assertEquals(refusals.length, 6);
    for (
      const [text, file] of [
        ["nosuchoption", "trace_options"],
        ["nosuchclock", "trace_clock"],
        ["0", "buffer_size_kb"],
      ] as const
    ) {
      assertEquals(await echo(text, file), "EINVAL", file);
    }
  });
}
