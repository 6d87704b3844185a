/**
 * What the kernel's own tests of hist triggers assert (`tools/testing/selftests/ftrace/test.d/trigger`,
 * `trigger-hist`, `-hist-mod`, `-multihist`, `-trace-marker-hist`, `-trace-marker-snapshot`), in every
 * era, each named after its script.
 *
 * Where a script forks ten times, the event that it watches is emitted ten times. The modifier
 * `.syscall` of hist-mod is not there, and is refused.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { bootKernel } from "./selftest_kernel.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const FORK = "events/sched/sched_process_fork", KMALLOC = "events/kmem/kmalloc";
const EXIT = "events/sched/sched_process_exit", PRINT = "events/ftrace/print";
const TIMES = 10;

/** A kernel with the events of the scripts. */
function boot(era: (typeof ERAS)[number]) {
  const kernel = bootKernel({ era });
  const { ftrace, echo, append, cat } = kernel;
  const define = ftrace.defineEvent;
  const fork = define({
    ...{ system: "sched", name: "sched_process_fork", enabled: false },
    fields: { parent_comm: "string", parent_pid: "pid_t", child_pid: "pid_t" },
  });
  const exit = define({
    ...{ system: "sched", name: "sched_process_exit", enabled: false },
    fields: { pid: "pid_t" },
  });
  const kmalloc = define({
    ...{ system: "kmem", name: "kmalloc", enabled: false },
    fields: { call_site: "unsigned long", bytes_req: "size_t" },
  });
  let pid = 100;
  return {
    ...kernel,
    /** Writes triggers that have to be taken. */
    async set(event: string, ...texts: readonly string[]): Promise<void> {
      for (const text of texts) assertEquals(await append(text, `${event}/trigger`), "", text);
    },
    /** Ten children, from the highest pid down, each with memory, which end. */
    fork(): void {
      for (let k = TIMES; k > 0; k--) {
        fork.emit({ parent_comm: "firmware", parent_pid: 4660, child_pid: pid + k });
        kmalloc.emit({ call_site: ftrace.lookup("kernel_clone")! + 4n, bytes_req: 8n * BigInt(k) });
        exit.emit({ pid: pid + k });
      }
      pid += TIMES;
    },
    hist: (event: string) => cat(`${event}/hist`),
    async reset(event: string): Promise<void> {
      const lines = cat(`${event}/trigger`).split("\n").filter((line) => /^[^#]/.test(line));
      for (const line of lines) {
        const text = line.replace(/ \[\w+\]$/, "");
        assertEquals(await append(`!${text}`, `${event}/trigger`), "", text);
      }
      assertMatch(cat(`${event}/trigger`), /^# Available triggers:/);
    },
    mark: (text: string) => echo(text, "trace_marker"),
  };
}

for (const era of ERAS) {
  Deno.test(`trigger-hist: keys of each kind, two at once, sorted (${era})`, async () => {
    const { set, fork, hist, reset } = boot(era);
    await set(FORK, "hist:keys=parent_pid:vals=child_pid");
    fork();
    assertMatch(hist(FORK), /^\{ parent_pid: +4660 \} hitcount: +10 {2}child_pid: +1055$/m);
    await reset(FORK);
    await set(FORK, "hist:keys=parent_pid,child_pid");
    fork();
    assertMatch(hist(FORK), /^\{ parent_pid:.*, child_pid:.*\}/m);
    await reset(FORK);
    await set(FORK, "hist:keys=parent_comm");
    fork();
    assertMatch(hist(FORK), /parent_comm: firmware/);
    await reset(FORK);
    await set(KMALLOC, "hist:keys=call_site.sym");
    fork();
    assertMatch(hist(KMALLOC), /\{ call_site: \[[0-9a-f]+\] kernel_clone *\}/);
    await reset(KMALLOC);
    await set(KMALLOC, "hist:keys=call_site.sym-offset");
    fork();
    assertMatch(hist(KMALLOC), /\{ call_site: \[[0-9a-f]+\] kernel_clone\+0x4\//);
    await reset(KMALLOC);
    await set(FORK, "hist:keys=parent_pid,child_pid:sort=child_pid.ascending");
    fork();
    const pids = [...hist(FORK).matchAll(/child_pid: *(\d+)/g)].map(([, pid]) => Number(pid));
    assertEquals(pids, [...pids].sort((a, b) => a - b));
    assertEquals(pids.length, TIMES);
    await reset(FORK);
  });

  Deno.test(`trigger-hist-mod: execname, hex and log2 print as they say (${era})`, async () => {
    const { set, fork, hist, reset, append } = boot(era);
    await set(FORK, "hist:keys=common_pid.execname");
    fork();
    assertMatch(hist(FORK), /common_pid: hart0 /);
    await reset(FORK);
    await set(FORK, "hist:keys=parent_pid.hex");
    fork();
    assertMatch(hist(FORK), /parent_pid: 1234 /);
    await reset(FORK);
    assertEquals(await append("hist:keys=child_pid.syscall", `${FORK}/trigger`), "EINVAL");
    await set(KMALLOC, "hist:keys=bytes_req.log2");
    fork();
    assertMatch(hist(KMALLOC), /bytes_req: ~ 2\^\d/);
  });

  Deno.test(`trigger-multihist: several at one event, one at several events (${era})`, async () => {
    const { set, fork, hist, reset, cat } = boot(era);
    await set(FORK, "hist:keys=parent_pid:vals=child_pid", "hist:keys=parent_comm:vals=child_pid");
    fork();
    assertMatch(hist(FORK), /parent_pid: +4660 .*child_pid/);
    assertMatch(hist(FORK), /parent_comm: firmware/);
    await reset(FORK);
    await set(FORK, "hist:name=test_hist:keys=common_pid");
    fork();
    assertMatch(hist(FORK), /test_hist/);
    assertEquals(
      cat(`${FORK}/trigger`),
      "hist:name=test_hist:keys=common_pid:vals=hitcount:sort=hitcount:size=2048 [active]\n",
    );
    await set(EXIT, "hist:name=test_hist:keys=common_pid");
    fork();
    assertMatch(hist(EXIT), /test_hist/);
    assertMatch(hist(EXIT), /hitcount: +30$/m);
    assertEquals(hist(EXIT), hist(FORK));
  });

  Deno.test(`trigger-trace-marker-hist: each marker is counted (${era})`, async () => {
    const { set, mark, hist } = boot(era);
    await set(PRINT, "hist:keys=common_pid");
    for (let k = 0; k < TIMES; k++) assertEquals(await mark("hello"), "");
    assertMatch(hist(PRINT), /hitcount: *10$/m);
  });

  Deno.test(`triggers of markers see the text without its line's end, and leave the marker (${era})`, async () => {
    const { set, tracefs, cat, lines } = boot(era);
    await set(PRINT, 'traceoff if buf == "end"');
    await tracefs.write("trace_marker", "start");
    assertEquals(cat("tracing_on"), "1\n");
    await tracefs.write("trace_marker", "end");
    assertEquals(cat("tracing_on"), "0\n");
    assertEquals(lines().map((line) => line.split(": ").at(-1)), ["start", "end"]);
    await set(PRINT, "!traceoff", "traceon");
    await tracefs.write("trace_marker", "lost").catch(() => {});
    assertEquals(cat("tracing_on"), "0\n");
  });

  Deno.test(`trigger-trace-marker-snapshot: each marker exchanges the buffers (${era})`, async () => {
    const { set, mark, cat } = boot(era);
    await set(PRINT, "snapshot");
    assertMatch(cat("snapshot"), /Snapshot is allocated/);
    for (let k = 1; k <= TIMES; k++) assertEquals(await mark(`hello >${k}<`), "");
    const marked = (file: string) =>
      cat(file).split("\n").filter((line) => /^[^#]/.test(line)).map((line) =>
        Number(/>(\d+)</.exec(line)![1])
      );
    assertEquals(marked("trace"), [1, 3, 5, 7, 9]);
    assertEquals(marked("snapshot"), [2, 4, 6, 8, 10]);
  });

  Deno.test(`a named histogram lives as long as an event has it, and has one set of fields (${era})`, async () => {
    const { set, fork, hist, append, cat } = boot(era);
    const named = "hist:name=shared:keys=common_pid";
    await set(FORK, named);
    fork();
    assertEquals(await append(named, `${FORK}/trigger`), "EEXIST");
    assertEquals(await append("hist:name=shared:keys=common_cpu", `${EXIT}/trigger`), "EINVAL");
    assertMatch(
      cat("error_log"),
      /: error: Named hist trigger doesn't match existing named trigger \(includes variables\)\n {2}Command: hist:name=shared:keys=common_cpu\n {16}\^\n$/,
    );
    await set(EXIT, `${named}:pause`);
    assertMatch(cat(`${EXIT}/trigger`), /\[paused\]/);
    await set(FORK, `!${named}`);
    fork();
    assertMatch(hist(EXIT), /hitcount: +10$/m);
    await set(EXIT, `${named}:clear`);
    assertMatch(hist(EXIT), /Hits: 0\n/);
    // Without its name it is another.
    await set(EXIT, "hist:keys=common_pid", `!${named}`);
    assert(!cat(`${EXIT}/trigger`).includes("name="));
    await set(FORK, "hist:name=shared:keys=common_cpu");
  });

  Deno.test(`common_timestamp is by the clock of its histogram, which becomes the trace's (${era})`, async () => {
    const { set, fork, hist, append, cat, run } = boot(era);
    await run();
    await set(FORK, "hist:keys=common_timestamp.usecs");
    assertMatch(cat("trace_clock"), /\[global\]/);
    fork();
    const [, micros] = /common_timestamp: +(\d+) /.exec(hist(FORK))!;
    await set(EXIT, "hist:keys=common_timestamp:clock=mono");
    assertMatch(cat("trace_clock"), /\[mono\]/);
    fork();
    const [, nanos] = /common_timestamp: +(\d+) /.exec(hist(EXIT))!;
    assertEquals(BigInt(micros!), (BigInt(nanos!) + 500n) / 1000n);
    assertEquals(
      await append("hist:keys=common_timestamp:clock=sun", `${KMALLOC}/trigger`),
      "EINVAL",
    );
    assertMatch(cat("error_log"), /Couldn't set trace_clock\n.*\n {44}\^\n$/);
  });
}
