/**
 * What the kernel's own tests of its function tracers assert (`tools/testing/selftests/ftrace/test.d`,
 * `ftrace/`), one test each, named after the script.
 *
 * The scripts type at control files; so do these, at a kernel of ours (`selftest_kernel.ts`), in every
 * era. Where a script makes an instance, a user of the interface below does the same.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EraName } from "../../lib/ftrace/era.ts";
import type { FgraphOps } from "../../lib/ftrace/returns/fgraph_ops.ts";
import { ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import { bootKernel, KERNEL_FUNCTIONS, type SelftestKernel } from "./selftest_kernel.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;

/** Registers the test once for each era. */
function selftest(name: string, body: (era: EraName) => void | Promise<void>): void {
  for (const era of ERAS) Deno.test(`${name} (${era})`, () => body(era));
}

/** Writes, and fails if the write is refused. */
async function write(kernel: SelftestKernel, text: string, file: string): Promise<void> {
  assertEquals(await kernel.echo(text, file), "", `echo ${text} > ${file}`);
}

/** Names of leaves in a graph's lines. */
function leaves(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /(\w+)\(\);/.exec(line)?.[1] ?? []);
}

/** Whether each line of the trace names `name`, and at least one does. */
function onlyNames(lines: readonly string[], name: string): void {
  const found = leaves(lines);
  assert(found.length > 0, "nothing was traced");
  assertEquals(found.filter((each) => each !== name), []);
}

/** How many functions are traced now. */
function enabledCount({ ftrace }: SelftestKernel): number {
  return ftrace.records.filter((record) => ftraceRefCount(record) > 0).length;
}

/** The events of the function tracer: who is called. */
function called(lines: readonly string[]): Set<string> {
  return new Set(lines.flatMap((line) => /: (\w+) <-/.exec(line)?.[1] ?? []));
}

selftest("fgraph-filter: only what set_ftrace_filter names is graphed", async (era) => {
  const kernel = bootKernel({ era });
  await write(kernel, "schedule", "set_ftrace_filter");
  await write(kernel, "function_graph", "current_tracer");
  await kernel.run();
  onlyNames(kernel.lines(), "schedule");
});

selftest("fgraph-filter-stack: the same while the stack tracer is on, and after", async (era) => {
  const kernel = bootKernel({ era });
  await write(kernel, "schedule", "set_ftrace_filter");
  await write(kernel, "1", "proc/sys/kernel/stack_tracer_enabled");
  await write(kernel, "function_graph", "current_tracer");
  await kernel.run();
  onlyNames(kernel.lines(), "schedule");
  await write(kernel, "0", "proc/sys/kernel/stack_tracer_enabled");
  await write(kernel, "", "trace");
  await kernel.run();
  onlyNames(kernel.lines(), "schedule");
});

selftest(
  "fgraph-multi: several users of the graph each see the functions of their filter",
  async (era) => {
    const kernel = bootKernel({ era });
    const globs = ["*sched*", "*lock*", "*rcu*", undefined];
    const seen = globs.map(() => new Set<string>());
    const users = globs.map((glob, k): FgraphOps => ({
      ...(glob === undefined ? {} : { filter: [glob] }),
      entryFunc: ({ func }) => {
        seen[k]!.add(kernel.ftrace.symbol(func)!);
        return true;
      },
      retFunc() {},
    }));
    const registrations = users.map((user) => kernel.ftrace.registerFtraceGraph(user));
    await kernel.run();
    globs.forEach((glob, k) => {
      const part = glob?.replaceAll("*", "") ?? "";
      assertEquals(
        [...seen[k]!].sort(),
        KERNEL_FUNCTIONS.filter((name) => name.includes(part)).sort(),
      );
    });
    for (const registration of registrations) registration[Symbol.dispose]();
    assertEquals(enabledCount(kernel), 0);
  },
);

selftest(
  "fgraph-multi-filter: what is enabled is the union of all filters, and goes with them",
  (era) => {
    const kernel = bootKernel({ era });
    const start = enabledCount(kernel);
    const countOf = (...patterns: readonly { filter?: string[]; notrace?: string[] }[]) => {
      const registrations = patterns.map((pattern) =>
        kernel.ftrace.registerFtraceGraph({ ...pattern, entryFunc: () => true })
      );
      const count = enabledCount(kernel);
      for (const registration of registrations) registration[Symbol.dispose]();
      assertEquals(enabledCount(kernel), start);
      return count;
    };
    const matching = (...parts: string[]) =>
      KERNEL_FUNCTIONS.filter((name) => parts.some((part) => name.includes(part))).length;
    const sched = { filter: ["*sched*"] }, lock = { filter: ["*lock*"] };
    assertEquals(countOf(sched), matching("sched"));
    assertEquals(countOf(lock), matching("lock"));
    assertEquals(countOf(sched, lock), matching("sched", "lock"));
    const noSched = { notrace: ["*sched*"] };
    assertEquals(countOf(noSched), KERNEL_FUNCTIONS.length - matching("sched"));
    assertEquals(countOf(noSched, sched), KERNEL_FUNCTIONS.length);
    assertEquals(
      countOf({ filter: ["*sched*"], notrace: ["schedule"] }, lock),
      matching("sched", "lock") - 1,
    );
  },
);

selftest(
  "fgraph-profiler: the profiler starts and ends while the graph tracer runs",
  async (era) => {
    const kernel = bootKernel({ era });
    await write(kernel, "function_graph", "current_tracer");
    await write(kernel, "1", "function_profile_enabled");
    await kernel.run();
    assert(leaves(kernel.lines()).length > 0);
    assertMatch(kernel.cat("trace_stat/function0"), /rcu_note/);
    await write(kernel, "0", "function_profile_enabled");
    await write(kernel, "nop", "current_tracer");
    assertEquals(enabledCount(kernel), 0);
  },
);

for (const era of ["args", "call-ops"] as const) {
  Deno.test(`fgraph-retval: a failing write shows its errno, in decimal and in hexadecimal (${era})`, async () => {
    const kernel = bootKernel({ era });
    await write(kernel, "vfs_write", "set_ftrace_filter");
    await write(kernel, "function_graph", "current_tracer");
    await write(kernel, "1", "options/funcgraph-retval");
    await kernel.run();
    assertMatch(kernel.lines()[0]!, /vfs_write.*=\s*-5/);
    await write(kernel, "1", "options/funcgraph-retval-hex");
    assertMatch(kernel.lines()[0]!, /vfs_write.*=\s*0x[f]*fffffffb/);
  });
}

selftest("func-filter-glob: set_ftrace_filter has what the glob matches", async (era) => {
  const kernel = bootKernel({ era });
  const available = kernel.cat("available_filter_functions").trimEnd().split("\n");
  assertEquals(available.length, KERNEL_FUNCTIONS.length);
  const globs: readonly (readonly [string, RegExp])[] = [
    ["*schedule", /schedule$/],
    ["*schedule*", /schedule/],
    ["schedule*", /^schedule/],
    ["*pin*lock", /pin.*lock$/],
    ["mutex*try*", /^mutex.*try/],
    ["sch*ule", /^sch.*ule$/],
    ["[Ss]y[Ss]_*", /^[Ss]y[Ss]_/],
    ["sch?dule", /^sch.dule$/],
  ];
  for (const [glob, expression] of globs) {
    await write(kernel, glob, "set_ftrace_filter");
    const expected = available.filter((name) => expression.test(name));
    assert(expected.length > 0, glob);
    assertEquals(kernel.cat("set_ftrace_filter").trimEnd().split("\n"), expected, glob);
  }
  await write(kernel, "", "set_ftrace_filter");
  assertEquals(kernel.cat("set_ftrace_filter"), "#### all functions enabled ####\n");
});

selftest("func-filter-pid: only the task in set_ftrace_pid is traced", async (era) => {
  const kernel = bootKernel({ era });
  const pid = String(kernel.machine.pid);
  await write(kernel, pid, "set_ftrace_pid");
  await write(kernel, "function", "current_tracer");
  await kernel.run();
  assert(kernel.lines().length > 0);
  await write(kernel, String(kernel.machine.pid + 1000), "set_ftrace_pid");
  await write(kernel, "", "trace");
  await kernel.run();
  assertEquals(kernel.lines(), []);
  await write(kernel, "", "set_ftrace_pid");
  assertEquals(kernel.cat("set_ftrace_pid"), "no pid\n");
  await kernel.run();
  assert(kernel.lines().length > 0);
});

selftest(
  "func-filter-notrace-pid: the task in it is not traced, whatever the other file says",
  async (era) => {
    const kernel = bootKernel({ era });
    const pid = String(kernel.machine.pid);
    await write(kernel, pid, "set_ftrace_notrace_pid");
    await write(kernel, "function", "current_tracer");
    await kernel.run();
    assertEquals(kernel.lines(), []);
    await write(kernel, pid, "set_ftrace_pid");
    await kernel.run();
    assertEquals(kernel.lines(), []);
    await write(kernel, "", "set_ftrace_notrace_pid");
    await kernel.run();
    assert(kernel.lines().length > 0);
  },
);

selftest("func_cpumask: only CPUs of tracing_cpumask record", async (era) => {
  const kernel = bootKernel({ era });
  await write(kernel, "function", "current_tracer");
  await write(kernel, "0", "tracing_cpumask");
  await kernel.run();
  assertEquals(kernel.lines(), []);
  await write(kernel, "1", "tracing_cpumask");
  await kernel.run();
  const lines = kernel.lines();
  assert(lines.length > 0);
  assertEquals(lines.filter((line) => !line.includes("[000]")), []);
});

selftest("func_profile_stat: trace_stat changes while profiling, and not after", async (era) => {
  const kernel = bootKernel({ era });
  const stat = () => kernel.cat("trace_stat/function0");
  await write(kernel, "1", "function_profile_enabled");
  await kernel.run();
  const first = stat();
  await kernel.run();
  assert(stat() !== first);
  await write(kernel, "0", "function_profile_enabled");
  const last = stat();
  await kernel.run();
  assertEquals(stat(), last);
});

selftest(
  "func_profiler: function tracer and profiler coexist, and filters follow when it is off",
  async (era) => {
    const kernel = bootKernel({ era });
    await write(kernel, "function", "current_tracer");
    await write(kernel, "1", "function_profile_enabled");
    await write(kernel, "schedule", "set_ftrace_filter");
    await kernel.run();
    assertEquals(called(kernel.lines().filter((line) => line.includes("schedule <-"))).size, 1);
    await write(kernel, "0", "function_profile_enabled");
    await write(kernel, "nop", "current_tracer");
    await write(kernel, "function", "current_tracer");
    await kernel.run();
    assertEquals([...called(kernel.lines())], ["schedule"]);
    await write(kernel, "rcu_note", "set_ftrace_filter");
    await write(kernel, "", "trace");
    await kernel.run();
    assertEquals([...called(kernel.lines())], ["rcu_note"]);
  },
);

selftest(
  "func_stack_tracer: with a filter the deepest stack ends in one of its functions",
  async (era) => {
    const kernel = bootKernel({ era });
    await write(kernel, "*lock*", "stack_trace_filter");
    await write(kernel, "1", "proc/sys/kernel/stack_tracer_enabled");
    await kernel.run();
    await write(kernel, "0", "proc/sys/kernel/stack_tracer_enabled");
    // RISC-V kernels fail here: their row 0 is the trampoline.
    assertMatch(kernel.cat("stack_trace"), /^ {2}0\).*lock/m);
  },
);

selftest(
  "func-filter-stacktrace: a probe is listed as unlimited and writes stacks",
  async (era) => {
    const kernel = bootKernel({ era });
    await write(kernel, "kernel_clone:stacktrace", "set_ftrace_filter");
    assertMatch(kernel.cat("set_ftrace_filter"), /^kernel_clone:stacktrace:unlimited$/m);
    await kernel.run();
    assertMatch(kernel.cat("trace"), /<stack trace>/);
  },
);

selftest("tracing-error-log: a wrong filter is one entry, its caret at the column", async (era) => {
  const kernel = bootKernel({ era });
  kernel.ftrace.defineEvent({ name: "kill", system: "signal", fields: { sig: "s32" } });
  const filter = "((sig >= 10 && sig < 15) || dsig == 17) && comm != bash";
  assertEquals(await kernel.echo(filter, "events/signal/kill/filter"), "EINVAL");
  const [, text, caret] = kernel.cat("error_log").trimEnd().split("\n");
  assert(text!.endsWith(filter));
  // Behind the field that is not there, as the script has it.
  assertEquals(caret!.indexOf("^"), text!.indexOf("== 17"));
  await write(kernel, "", "error_log");
  assertEquals(kernel.cat("error_log"), "");
});
