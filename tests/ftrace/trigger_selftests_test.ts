/**
 * What the kernel's own tests of triggers assert (`tools/testing/selftests/ftrace/test.d/trigger`),
 * line by line, each named after its script.
 *
 * Where a script forks, the event that it watches is emitted; `reset_trigger` takes each trigger away
 * by its own text, as the script's helper does.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { bootKernel } from "./selftest_kernel.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const FORK = "events/sched/sched_process_fork";
const SWITCH = "events/sched/sched_switch";

/** The files of a kernel with the events of the scripts. */
function bootWithEvents(era: (typeof ERAS)[number]) {
  const { ftrace, echo, append, cat } = bootKernel({ era });
  const fork = ftrace.defineEvent({
    ...{ system: "sched", name: "sched_process_fork", enabled: false },
    fields: {
      parent_comm: "string",
      parent_pid: "pid_t",
      child_comm: "string",
      child_pid: "pid_t",
    },
  });
  ftrace.defineEvent({
    system: "sched",
    name: "sched_switch",
    fields: { n: "int" },
    enabled: false,
  });
  ftrace.defineEvent({
    ...{ system: "kmem", name: "kmalloc", enabled: false },
    fields: { bytes_req: "size_t", bytes_alloc: "size_t" },
  });
  // What each script looks for first.
  const offered = cat(`${FORK}/trigger`);
  for (const name of ["enable_event", "snapshot", "stacktrace"]) assert(offered.includes(name));
  const trigger = (text: string) => echo(text, `${FORK}/trigger`);
  return {
    ...{ echo, append, cat, trigger },
    forked: () => fork.emit({ parent_comm: "sh", parent_pid: 1, child_comm: "sh", child_pid: 2 }),
    /** Writes what has to be taken, or refused. */
    async takes(...texts: readonly string[]): Promise<void> {
      for (const text of texts) assertEquals(await trigger(text), "", text);
    },
    async refuses(...texts: readonly string[]): Promise<void> {
      for (const text of texts) assertMatch(await trigger(text), /^E/, text);
    },
    async reset(): Promise<void> {
      const lines = cat(`${FORK}/trigger`).split("\n").filter((line) => /^[^#]/.test(line));
      for (const line of lines) {
        const text = line.replace(/:(unlimited|count=\d+)/, "").replace(/ \[\w+\]$/, "");
        assertEquals(await append(`!${text}`, `${FORK}/trigger`), "", text);
      }
      assertMatch(cat(`${FORK}/trigger`), /^# Available triggers:/);
    },
  };
}

for (const era of ERAS) {
  Deno.test(`trigger-traceonoff: traceoff and traceon act, and are one type (${era})`, async () => {
    const { echo, cat, forked, takes, refuses, reset } = bootWithEvents(era);
    await echo("1", "tracing_on");
    await takes("traceoff");
    forked();
    assertEquals(cat("tracing_on"), "0\n");
    await reset();
    await echo("0", "tracing_on");
    await takes("traceon");
    forked();
    assertEquals(cat("tracing_on"), "1\n");
    await reset();
    await refuses("traceoff:badparam", "traceoff+0", "traceoff:", "traceon:-1");
    await takes("traceon");
    await refuses("traceon", "traceoff");
    await takes("!traceoff");
    await takes("traceoff");
    await reset();
  });

  Deno.test(`trigger-eventonoff: an event switches another one softly (${era})`, async () => {
    const { echo, cat, forked, takes, refuses, reset } = bootWithEvents(era);
    assertMatch(cat(`${FORK}/trigger`), /enable_event/);
    await echo("0", `${SWITCH}/enable`);
    await takes("enable_event:sched:sched_switch");
    forked();
    assertEquals(cat(`${SWITCH}/enable`), "1*\n");
    await reset();
    await echo("1", `${SWITCH}/enable`);
    await takes("disable_event:sched:sched_switch");
    forked();
    assertEquals(cat(`${SWITCH}/enable`), "0*\n");
    await reset();
    await refuses(
      "enable_event:nogroup:noevent",
      "disable_event+1",
      "enable_event:sched:sched_switch:",
    );
    await takes("enable_event:sched:sched_switch");
    await refuses("enable_event:sched:sched_switch", "disable_event:sched:sched_switch");
    await reset();
  });

  Deno.test(`trigger-snapshot: a snapshot is taken when its event occurs (${era})`, async () => {
    const { echo, cat, forked, takes, refuses, reset } = bootWithEvents(era);
    assertMatch(cat(`${FORK}/trigger`), /snapshot/);
    await echo("0", "snapshot");
    await echo("1", `${FORK}/enable`);
    forked();
    await takes("snapshot:1");
    forked();
    assert(cat("snapshot").includes("sched_process_fork"));
    await reset();
    await echo("0", "snapshot");
    await echo("0", `${FORK}/enable`);
    await refuses("snapshot+1");
    await takes("snapshot");
    await refuses("snapshot");
    await reset();
  });

  Deno.test(`trigger-stacktrace: a stack is written when its event occurs (${era})`, async () => {
    const { echo, cat, forked, takes, refuses, reset } = bootWithEvents(era);
    assertMatch(cat(`${FORK}/trigger`), /stacktrace/);
    await echo("0", "trace");
    assertEquals(await echo("0", "options/stacktrace"), "");
    await takes("stacktrace");
    forked();
    assert(cat("trace").includes("<stack trace>"));
    await reset();
    await refuses("stacktrace:foo");
    await takes("stacktrace");
    await refuses("stacktrace");
    await reset();
  });

  Deno.test(`trigger-filter: a condition lets a trigger act or not (${era})`, async () => {
    const { echo, cat, forked, takes, refuses, reset } = bootWithEvents(era);
    await echo("1", "tracing_on");
    await takes("traceoff if child_pid == 0");
    forked();
    assertEquals(cat("tracing_on"), "1\n");
    await reset();
    await refuses("traceoff if a", "traceoff if common_pid=0", "traceoff if common_pid==b");
    await takes("traceoff if common_pid == 0", "!traceoff");
    await refuses("traceoff if common_pid == child_pid");
    await takes("traceoff if common_pid <= 0", "!traceoff", "traceoff if common_pid >= 0");
    await takes("!traceoff", "traceoff if parent_pid >= 0 && child_pid >= 0", "!traceoff");
    await takes("traceoff if parent_pid >= 0 || child_pid >= 0", "!traceoff");
    await reset();
  });

  Deno.test(`trigger-hist-syntax-errors: each line is refused with its caret and text (${era})`, async () => {
    const { echo, append, cat } = bootWithEvents(era);
    const start = "hist:keys=common_pid:vals=bytes_req";
    const lines = [
      [`${start}:sort=common_pid,^junk`, "Sort field must be a key or a val"],
      [`${start}:^sort=`, "Empty assignment"],
      [`${start}:^sort=common_pid,`, "Empty sort field"],
      [`${start}:sort=common_pid.^junk`, "Invalid sort modifier"],
      [
        `${start},bytes_alloc:^sort=common_pid,bytes_req,bytes_alloc`,
        "Too many sort fields (Max = 2)",
      ],
    ] as const;
    for (const [marked, text] of lines) {
      const command = marked.replace("^", "");
      await echo("", "error_log");
      assertEquals(await append(command, "events/kmem/kmalloc/trigger"), "EINVAL", command);
      assertEquals(
        cat("error_log").replace(/^\[ *[\d.]+\] /, ""),
        `hist:kmem:kmalloc: error: ${text}\n  Command: ${command}\n${
          " ".repeat(11 + marked.indexOf("^"))
        }^\n`,
      );
    }
  });

  Deno.test(`a trigger file that is opened anew loses its histograms alone (${era})`, async () => {
    const { append, cat, trigger } = bootWithEvents(era);
    await append("traceoff:3", `${FORK}/trigger`);
    await append("hist:keys=child_pid", `${FORK}/trigger`);
    assertEquals(await trigger("stacktrace"), "");
    assertEquals(
      cat(`${FORK}/trigger`).split("\n").filter((line) => /^[^#]/.test(line)).sort(),
      ["stacktrace:unlimited", "traceoff:count=3"],
    );
  });
}
