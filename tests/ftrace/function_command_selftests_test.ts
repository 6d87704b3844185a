/**
 * What the kernel's own tests of function commands assert (`tools/testing/selftests/ftrace/test.d`,
 * `ftrace/func_event_triggers`, `func_set_ftrace_file`, `func_traceonoff_triggers`), step by step, in
 * every era.
 *
 * Where a script sleeps, the kernel of ours runs for a while.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EngineName } from "../../lib/engine/engines.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import { bootKernel, KERNEL_FUNCTIONS, type SelftestKernel, WAYS } from "./selftest_kernel.ts";

const FILTER = "set_ftrace_filter";
const ALL = "#### all functions enabled ####";

/** A kernel whose scheduler is an event, and writes that have to be taken. */
function boot(era: EraName, engine: EngineName) {
  const kernel = bootKernel({ era }, { engine });
  const { ftrace } = kernel;
  const event = ftrace.defineEvent({
    ...{ system: "sched", name: "sched_switch", enabled: false },
    fields: { n: "int" },
  });
  // The event occurs with each call of schedule(), behind what was typed at set_ftrace_filter.
  ftrace.registerFprobe({ exitHandler: () => event.emit({ n: 1 }) }, "pick_next");
  const written = async (text: string, file: string, append: boolean) =>
    assertEquals(await (append ? kernel.append : kernel.echo)(text, file), "", `${text} ${file}`);
  return {
    ...kernel,
    write: (text: string, file = FILTER) => written(text, file, false),
    append: (text: string, file = FILTER) => written(text, file, true),
    /** Entries of set_ftrace_filter that name a probe. */
    probes: () => entries(kernel).filter((line) => line.includes(":")),
  };
}

/** Lines of set_ftrace_filter. */
function entries({ cat }: Pick<SelftestKernel, "cat">): string[] {
  return cat(FILTER).trimEnd().split("\n");
}

for (const [era, engine] of WAYS) {
  for (
    const [enable, from, on, off] of [["enable", "0", "1*", "0*"], ["disable", "1", "0*", "1*"]]
  ) {
    Deno.test(`func_event_triggers: ${enable}_event acts each time, or three times (${era}, ${engine})`, async () => {
      const { write, append, run, cat, lines } = boot(era, engine);
      const file = "events/sched/sched_switch/enable";
      assertEquals(lines(), []);
      await write(from!, file);
      await run();
      assertEquals(cat(file), `${from}\n`);
      await write(`schedule:${enable}_event:sched:sched_switch`);
      for (let time = 0; time < 5; time++) {
        await run();
        assertEquals(cat(file), `${on}\n`);
        await write(from!, file);
      }
      await run();
      assertEquals(cat(file), `${on}\n`);
      await append(`!schedule:${enable}_event:sched:sched_switch`);
      await write(from!, file);
      await run();
      assertEquals(cat(file), `${from}\n`);
      await write(`schedule:${enable}_event:sched:sched_switch:3`);
      for (let time = 0; time < 3; time++) {
        await run();
        assertEquals(cat(file), `${on}\n`);
        await write(from!, file);
      }
      await run();
      assertEquals(cat(file), `${off}\n`);
      await append(`!schedule:${enable}_event:sched:sched_switch:0`);
      assertEquals(entries({ cat }), [ALL]);
    });
  }

  Deno.test(`func_set_ftrace_file: the file has functions, then probes, after each write (${era}, ${engine})`, async () => {
    const { write, append, cat } = boot(era, engine);
    const off = (name: string) => `${name}:traceoff:unlimited`;
    const first = "schedule", second = "sched_rule";
    const has = (...expected: readonly string[]) =>
      assertEquals(entries({ cat }).sort(), [...expected].sort());
    has(ALL);
    await write(`${first}:traceoff`);
    has(ALL, off(first));
    await write(first);
    has(first, off(first));
    await append(second);
    has(first, second, off(first));
    await append(`${second}:traceoff`);
    has(first, second, off(first), off(second));
    await write(first);
    has(first, off(first), off(second));
    await write("");
    has(ALL, off(first), off(second));
    // As the helper of the scripts resets it.
    for (const name of [first, second]) await write(`!${name}:traceoff`);
    has(ALL);
    await write(first);
    has(first);
    await append(second);
    has(first, second);
  });

  Deno.test(`func_set_ftrace_file: globs take probes away (${era}, ${engine})`, async () => {
    const { write, append, probes } = boot(era, engine);
    let expected = KERNEL_FUNCTIONS.filter((name) => name.includes("lock"));
    const compare = () =>
      assertEquals(probes().sort(), expected.map((name) => `${name}:traceoff:unlimited`).sort());
    await write("*lock*:traceoff");
    compare();
    const removals = [
      ["*try*lock", /try.*lock$/],
      ["m*lock", /^m.*lock$/],
      ["c*unlock*", /^c.*unlock/],
      ["*", /^/],
    ] as const;
    for (const [glob, expression] of removals) {
      await append(`!${glob}:traceoff`);
      const left = expected.filter((name) => !expression.test(name));
      assert(left.length < expected.length, glob);
      expected = left;
      compare();
    }
    assertEquals(expected, []);
  });

  Deno.test(`func_traceonoff_triggers: the trace stops, starts, and stops three times (${era}, ${engine})`, async () => {
    const { write, append, run, cat, lines, probes } = boot(era, engine);
    await write("0", "tracing_on");
    await write("", "trace");
    assertEquals(lines(), []);
    await write("1", "events/sched/enable");
    await write("1", "tracing_on");
    await run();
    assert(lines().length > 0);

    await write("schedule:traceoff");
    assertEquals(probes().length, 1);
    await run();
    const stopped = cat("trace");
    await run();
    assertEquals(cat("trace"), stopped);
    assertEquals(cat("tracing_on"), "0\n");
    await write("", "trace");
    assertEquals(lines(), []);
    await append("!schedule:traceoff");
    assertEquals(probes(), []);
    assertEquals(cat("tracing_on"), "0\n");

    await write("schedule:traceon");
    assertEquals(probes().length, 1);
    await run();
    assert(lines().length > 0);
    assertEquals(cat("tracing_on"), "1\n");
    await append("!schedule:traceon");
    assertEquals(probes(), []);

    await write("schedule:traceoff:3");
    for (let left = 2; left >= 0; left--) {
      await run();
      assertEquals(cat("tracing_on"), "0\n");
      assertEquals(probes(), [`schedule:traceoff:count=${left}`]);
      await write("1", "tracing_on");
    }
    await run();
    assertEquals(cat("tracing_on"), "1\n");
    await write("!schedule:traceoff:0");
    assertEquals(probes(), []);
    await write("0", "events/enable");
  });

  Deno.test(`func-filter-stacktrace: a probe is listed as unlimited and writes stacks (${era}, ${engine})`, async () => {
    const { append, run, cat } = boot(era, engine);
    await append("kernel_clone:stacktrace");
    assertMatch(cat(FILTER), /^kernel_clone:stacktrace:unlimited$/m);
    await run();
    assertMatch(cat("trace"), /<stack trace>/);
  });

  Deno.test(`a counted probe is not taken away by its word alone (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    assertEquals(await kernel.echo("schedule:traceoff:3", FILTER), "");
    assertEquals(await kernel.echo("!schedule:traceoff", FILTER), "ENODEV");
  });
}
