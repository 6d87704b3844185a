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
import type { FgraphOps } from "../../lib/ftrace/returns/fgraph_ops.ts";
import type { MachineOptions } from "../../lib/machine/machine.ts";
import { ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import { bootKernel, KERNEL_FUNCTIONS, type SelftestKernel, WAYS } from "./selftest_kernel.ts";

type Boot = (options?: MachineOptions) => SelftestKernel;

/** Registers the test once for each era and engine; it gets what boots the kernel. */
function selftest(name: string, body: (boot: Boot) => void | Promise<void>): void {
  for (const [era, engine] of WAYS) {
    const boot: Boot = (options) => bootKernel({ era }, { engine, ...options });
    Deno.test(`${name} (${era}, ${engine})`, () => body(boot));
  }
}

/** Writes, and fails if the write is refused. */
async function write(kernel: SelftestKernel, text: string, file: string): Promise<void> {
  assertEquals(await kernel.echo(text, file), "", `echo ${text} > ${file}`);
}

/** Names of leaves in a graph's lines. */
function leaves(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /(\w+)\(\);/.exec(line)?.[1] ?? []);
}

/** Each call in a graph names `name`, and there is one. */
function onlyNames(lines: readonly string[], name: string): void {
  const found = lines.flatMap((line) => /(\w+)\(\)/.exec(line)?.[1] ?? []);
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

selftest("fgraph-filter: only what set_ftrace_filter names is graphed", async (boot) => {
  const kernel = boot();
  await write(kernel, "schedule", "set_ftrace_filter");
  await write(kernel, "function_graph", "current_tracer");
  await kernel.run();
  onlyNames(kernel.lines(), "schedule");
});

selftest("fgraph-filter-stack: the same while the stack tracer is on, and after", async (boot) => {
  const kernel = boot();
  await write(kernel, "schedule", "set_ftrace_filter");
  await write(kernel, "function_graph", "current_tracer");
  await write(kernel, "1", "proc/sys/kernel/stack_tracer_enabled");
  await write(kernel, "", "trace");
  await kernel.run();
  onlyNames(kernel.lines(), "schedule");
  await write(kernel, "0", "proc/sys/kernel/stack_tracer_enabled");
  await write(kernel, "", "trace");
  await kernel.run();
  onlyNames(kernel.lines(), "schedule");
});

selftest(
  "fgraph-multi: the tracer and several users of the graph each see the functions of their filter",
  async (boot) => {
    const kernel = boot();
    await write(kernel, "*sched*", "set_ftrace_filter");
    await write(kernel, "function_graph", "current_tracer");
    await kernel.run();
    const traced = () =>
      kernel.lines().filter((line) => /[{;]/.test(line)).map((line) => /(\w+)\(\)/.exec(line)![1]!);
    const onlySched = () => {
      assert(traced().length > 0);
      assertEquals(traced().filter((name) => !name.includes("sched")), []);
    };
    onlySched();
    const globs = ["*lock*", "*rcu*", undefined];
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
    onlySched();
    await write(kernel, "nop", "current_tracer");
    for (const registration of registrations) registration[Symbol.dispose]();
    assertEquals(enabledCount(kernel), 0);
  },
);

selftest(
  "fgraph-profiler: the profiler starts and ends while the graph tracer runs",
  async (boot) => {
    const kernel = boot();
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

selftest(
  "fgraph-retval: a failing write shows its errno, in decimal and in hexadecimal",
  async (boot) => {
    const kernel = boot();
    await write(kernel, "vfs_write", "set_ftrace_filter");
    await write(kernel, String(kernel.machine.pid), "set_ftrace_pid");
    await write(kernel, "function_graph", "current_tracer");
    await write(kernel, "1", "options/funcgraph-retval");
    await kernel.run();
    await write(kernel, "0", "options/funcgraph-retval-hex");
    assertMatch(kernel.lines()[0]!, /vfs_write.*= ?-5 /);
    await write(kernel, "1", "options/funcgraph-retval-hex");
    assertMatch(kernel.lines()[0]!, /vfs_write.*= ?0x[f]*fffffffb /);
  },
);

selftest("func-filter-glob: set_ftrace_filter has what the glob matches", async (boot) => {
  const kernel = boot();
  const available = kernel.cat("available_filter_functions").trimEnd().split("\n");
  assertEquals(available.length, KERNEL_FUNCTIONS.length);
  const globs: readonly (readonly [string, RegExp])[] = [
    ["*schedule", /schedule$/],
    ["*schedule*", /schedule/],
    ["schedule*", /^schedule/],
    ["*pin*lock", /pin.*lock$/],
    ["mutex*try*", /^mutex.*try/],
    ["mutex*unl*", /^mutex.*unl/],
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

selftest("func_profile_stat: trace_stat changes while profiling, and not after", async (boot) => {
  const kernel = boot();
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
  "fgraph-multi-filter: what is enabled is the union of two filters, less what each leaves out",
  (boot) => {
    const kernel = boot();
    const listed = () =>
      kernel.cat("enabled_functions").split("\n").filter((line) => line !== "")
        .map((line) => line.split(" ")[0]!).sort();
    const named = (expression: RegExp, except: RegExp) =>
      KERNEL_FUNCTIONS.filter((name) => expression.test(name) && !except.test(name));
    const union = (...lists: readonly (readonly string[])[]) => [...new Set(lists.flat())].sort();
    const graph = (filter: string | undefined, notrace: string) =>
      kernel.ftrace.registerFtraceGraph({
        ...(filter === undefined ? {} : { filter: [filter] }),
        ...{ notrace: [notrace], entryFunc: () => true },
      });
    const none = listed();
    assertEquals(none, []);
    const sched = named(/sched/, /time/), lock = named(/lock/, /clock/);
    assert(KERNEL_FUNCTIONS.some((name) => /sched.*time/.test(name)));
    assert(KERNEL_FUNCTIONS.some((name) => /clock/.test(name)));
    const first = graph("*sched*", "*time*");
    assertEquals(listed(), union(sched));
    const second = graph("*lock*", "*clock*");
    assertEquals(listed(), union(sched, lock));
    first[Symbol.dispose]();
    assertEquals(listed(), union(lock));
    second[Symbol.dispose]();
    assertEquals(listed(), none);
    const again = graph("*lock*", "*clock*");
    assertEquals(listed(), union(lock));
    const other = graph("*sched*", "*time*");
    assertEquals(listed(), union(sched, lock));
    again[Symbol.dispose]();
    assertEquals(listed(), union(sched));
    other[Symbol.dispose]();
    assertEquals(listed(), none);
    const all = [graph(undefined, "*locks*"), graph(undefined, "*clock*")];
    // Only what both leave out is left out.
    assertEquals(
      listed(),
      union(KERNEL_FUNCTIONS.filter((name) => !/clock/.test(name) || !/locks/.test(name))),
    );
    for (const each of all) each[Symbol.dispose]();
    assertEquals(listed(), none);
  },
);

/** What both pid scripts set up: two functions, a tracer, children left alone. */
async function prepareForPids(kernel: SelftestKernel, tracer: string): Promise<void> {
  await write(kernel, "0", "tracing_on");
  await write(kernel, "sys_*", "set_ftrace_filter");
  assertEquals(await kernel.append("kernel_clone", "set_ftrace_filter"), "");
  await write(kernel, tracer, "current_tracer");
  await write(kernel, "nofunction-fork", "trace_options");
  await write(kernel, "1", "options/funcgraph-proc");
}

/** Lines of the trace after a while, and of these how many are of the task. */
async function counted(kernel: SelftestKernel): Promise<{ all: number; own: number }> {
  await write(kernel, "1", "tracing_on");
  await kernel.run();
  await write(kernel, "0", "tracing_on");
  const lines = kernel.lines().filter((line) => /clone|sys_/.test(line));
  const own = RegExp(`-${kernel.machine.pid}\\b`);
  await write(kernel, "", "trace");
  return { all: lines.length, own: lines.filter((line) => own.test(line)).length };
}

for (const tracer of ["function", "function_graph"]) {
  selftest(
    `func-filter-pid: only the task in set_ftrace_pid is traced by ${tracer}`,
    async (boot) => {
      const kernel = boot();
      await prepareForPids(kernel, tracer);
      await write(kernel, String(kernel.machine.pid), "set_ftrace_pid");
      const task = await counted(kernel);
      assert(task.own > 0);
      assertEquals(task.own, task.all);
      await write(kernel, "function-fork", "trace_options");
      assert((await counted(kernel)).own > 0);
      await write(kernel, String(kernel.machine.pid + 1000), "set_ftrace_pid");
      assertEquals((await counted(kernel)).all, 0);
      await write(kernel, "", "set_ftrace_pid");
      assertEquals(kernel.cat("set_ftrace_pid"), "no pid\n");
      assert((await counted(kernel)).own > 0);
    },
  );
}

selftest(
  "func-filter-notrace-pid: the task in it is not traced, whatever the other file says",
  async (boot) => {
    const kernel = boot();
    await prepareForPids(kernel, "function");
    await write(kernel, String(kernel.machine.pid), "set_ftrace_notrace_pid");
    assertEquals((await counted(kernel)).all, 0);
    await write(kernel, "function-fork", "trace_options");
    await write(kernel, String(kernel.machine.pid), "set_ftrace_pid");
    assertEquals((await counted(kernel)).all, 0);
    await write(kernel, "", "set_ftrace_notrace_pid");
    assert((await counted(kernel)).own > 0);
  },
);

selftest("func_cpumask: only CPUs of tracing_cpumask record", async (boot) => {
  const kernel = boot({ harts: 2 });
  const both = kernel.cat("tracing_cpumask");
  await write(kernel, "0", "tracing_on");
  await write(kernel, "2", "tracing_cpumask");
  assertEquals(kernel.cat("tracing_cpumask"), "2\n");
  await write(kernel, "function", "current_tracer");
  const cpus = async () => {
    await write(kernel, "1", "tracing_on");
    await kernel.run();
    await write(kernel, "0", "tracing_on");
    return [...new Set(kernel.lines().map((line) => /\[\d+\]/.exec(line)![0]))].sort();
  };
  assertEquals(await cpus(), ["[001]"]);
  await write(kernel, both.trim(), "tracing_cpumask");
  assertEquals(await cpus(), ["[000]", "[001]"]);
});

selftest(
  "func_profiler: filters follow while the function tracer outlives the profiler",
  async (boot) => {
    const kernel = boot();
    await write(kernel, "function", "current_tracer");
    await write(kernel, "1", "function_profile_enabled");
    await kernel.run();
    await write(kernel, "*schedule", "set_ftrace_filter");
    await write(kernel, "", "trace");
    await write(kernel, "0", "function_profile_enabled");
    await kernel.run();
    assertEquals([...called(kernel.lines())].sort(), ["preempt_schedule", "schedule"]);
    await write(kernel, "", "set_ftrace_filter");
    await write(kernel, "", "trace");
    await kernel.run();
    assert(called(kernel.lines()).size > 2);
  },
);

selftest(
  "func_stack_tracer: with a filter the deepest stack ends in one of its functions",
  async (boot) => {
    const kernel = boot();
    const enabled = "proc/sys/kernel/stack_tracer_enabled";
    const tops = async (times: number) => {
      await write(kernel, "0", "stack_max_size");
      await write(kernel, "1", enabled);
      const rows: string[] = [];
      for (let time = 0; time < times; time++) {
        await kernel.run();
        rows.push(kernel.cat("stack_trace").split("\n").find((line) => line.startsWith("  0)"))!);
      }
      await write(kernel, "0", enabled);
      return rows;
    };
    await write(kernel, "", "stack_trace_filter");
    assert((await tops(10)).some((row) => !/lock/.test(row)));
    await write(kernel, "*lock*", "stack_trace_filter");
    const listed = kernel.cat("stack_trace_filter").trimEnd().split("\n");
    assertEquals(listed.filter((line) => !line.includes("lock")), []);
    // RISC-V kernels fail here: their row 0 is the trampoline.
    for (const row of await tops(10)) assertMatch(row, /lock/);
  },
);

selftest(
  "tracing-error-log: a wrong filter is one entry, its caret at the column",
  async (boot) => {
    const kernel = boot();
    kernel.ftrace.defineEvent({ name: "kill", system: "signal", fields: { sig: "s32" } });
    const filter = "((sig >= 10 && sig < 15) || dsig == 17) && comm != bash";
    assertEquals(await kernel.echo(filter, "events/signal/kill/filter"), "EINVAL");
    const [head, text, caret] = kernel.cat("error_log").trimEnd().split("\n");
    assertMatch(head!, /event filter parse error: error: /);
    assertEquals(text, `  Command: ${filter}`);
    // Behind the field that is not there, as the script has it.
    assertEquals(caret!.indexOf("^"), text!.indexOf("== 17"));
    await write(kernel, "", "error_log");
    assertEquals(kernel.cat("error_log"), "");
  },
);
