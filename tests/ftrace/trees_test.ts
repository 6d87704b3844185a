import { DEFAULT_ENGINE, ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { assert, assertEquals } from "@std/assert";
import {
  buildCallTree,
  formatCallTree,
  keepNames,
  namesIn,
  parseCallTree,
} from "../fixtures/call_tree.ts";
import { readProgram } from "../fixtures/expected.ts";
import { THOROUGH } from "../thorough.ts";
import { callEvents, eventLines, graph, traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const PATHS = ["guest", "fast"] as const;
const ENGINES = ENGINE_NAMES;

const golden = async (name: string) =>
  parseCallTree(await Deno.readTextFile(new URL(`../fixtures/${name}.tree`, import.meta.url)));
const calls = await golden("calls");
const exceptions = await golden("exceptions");

for (const name of ["calls_p4", "calls_p84", "calls_p4a2", "exceptions_p4", "exceptions_p84"]) {
  const expected = name.startsWith("calls") ? calls : exceptions;
  for (const era of ERAS) {
    for (const trampoline of PATHS) {
      for (const engine of THOROUGH || era === "call-ops" ? ENGINES : [DEFAULT_ENGINE]) {
        Deno.test(`the graph of ${name} is the tree that the instrumented build gives (${era}, ${trampoline}, ${engine})`, async () => {
          const { runs } = await readProgram(name);
          const options = { era, trampoline, bufferKib: 16384 };
          const guest = await traced(name, options, { engine });
          graph(guest.ftrace);
          const outcome = await guest.run();
          assertEquals(guest.output(), runs[0]!.stdout);
          assertEquals(outcome, { kind: "exit", code: runs[0]!.code });
          assertEquals(guest.reports.filter((line) => line.includes("Cannot")), []);
          const tree = keepNames(buildCallTree(callEvents(guest.ftrace)), namesIn(expected));
          assertEquals(formatCallTree(tree), formatCallTree(expected));
        });
      }
    }
  }
}

Deno.test("every era, path and engine gives the same events at the same times (calls_p84)", async () => {
  for (const tracer of ["graph", "function"]) {
    let first: { lines: string[]; instret: bigint } | undefined;
    for (const era of ERAS) {
      for (const trampoline of PATHS) {
        for (const engine of ENGINES) {
          const guest = await traced("calls_p84", { era, trampoline, bufferKib: 16384 }, {
            engine,
          });
          const { ftrace } = guest;
          if (tracer === "graph") graph(ftrace);
          else ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
          await guest.run();
          const found = { lines: eventLines(ftrace), instret: guest.machine.harts[0]!.instret };
          first ??= found;
          assertEquals(found.lines.length > 100, true);
          assertEquals(found, first, `${tracer} ${era} ${trampoline} ${engine}`);
        }
      }
    }
  }
});

Deno.test("tracing leaves the guest's own instruction count as it is", async () => {
  const counts = new Set<bigint>();
  for (const tracer of ["none", "graph"]) {
    const guest = await traced("calls_p84");
    if (tracer === "graph") graph(guest.ftrace);
    await guest.run();
    counts.add(guest.machine.harts[0]!.instret);
  }
  assertEquals(counts.size, 1);
});

Deno.test("chargeTracing lets tracing cost time, the same on both paths", async () => {
  const traces: string[][] = [];
  for (const trampoline of PATHS) {
    const guest = await traced("sample_p84", { trampoline }, { chargeTracing: true });
    graph(guest.ftrace);
    await guest.run();
    traces.push(eventLines(guest.ftrace));
  }
  assertEquals(traces[0], traces[1]);
  const free = await traced("sample_p84");
  graph(free.ftrace);
  await free.run();
  assert(eventLines(free.ftrace).join() !== traces[0]!.join());
});

for (const trampoline of PATHS) {
  Deno.test(`backtrace() in the guest sees no return_to_handler while it is graph-traced (${trampoline})`, async () => {
    const { runs } = await readProgram("backtrace_p84");
    const guest = await traced("backtrace_p84", { trampoline });
    graph(guest.ftrace);
    const outcome = await guest.run();
    assertEquals(guest.output(), runs[0]!.stdout);
    assertEquals(outcome, { kind: "exit", code: runs[0]!.code });
  });
}

Deno.test("two runs of one program give the same trace", async () => {
  const traces: string[][] = [];
  for (let run = 0; run < 2; run++) {
    const guest = await traced("exceptions_p84", { bufferKib: 16384 });
    graph(guest.ftrace);
    await guest.run();
    traces.push(eventLines(guest.ftrace));
  }
  assertEquals(traces[0], traces[1]);
});
