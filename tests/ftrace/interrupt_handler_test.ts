import { assert, assertEquals } from "@std/assert";
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import { callEvents, eventLines, graph, openCalls, traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] satisfies EraName[];

/** The first words of the function `handler`, where its site is. */
function siteWords({ machine, ftrace }: Awaited<ReturnType<typeof traced>>): number[] {
  const entry = Number(ftrace.lookup("handler"));
  return [0, 4].map((offset) => machine.memory.view.getUint32(entry + offset, true));
}

for (const era of ERAS) {
  for (const trampoline of ["guest", "fast"] as const) {
    for (const engine of ENGINE_NAMES) {
      Deno.test(`an interrupt handler's site stays nops while it is traced, and the guest runs as it does untraced (${era}, ${trampoline}, ${engine})`, async () => {
        const plain = await traced("trap_bare_p84", { era, trampoline }, { engine });
        const nops = siteWords(plain);
        const ending = await plain.run();
        for (const tracer of ["function", "graph"]) {
          const guest = await traced("trap_bare_p84", { era, trampoline }, { engine });
          const { ftrace, machine } = guest;
          if (tracer === "graph") graph(ftrace);
          else ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
          assertEquals(siteWords(guest), nops);
          assertEquals(await guest.run(), ending);
          assertEquals(siteWords(guest), nops);
          assertEquals(guest.output(), plain.output());
          assertEquals(machine.harts[0]!.instret, plain.machine.harts[0]!.instret);
          const lines = eventLines(ftrace);
          // Five traps, one after the other: none is inside another.
          const handled = lines.filter((line) => /(ip|func)=handler /.test(line));
          assertEquals(handled.length, tracer === "graph" ? 10 : 5);
          if (tracer === "graph") {
            assertEquals(openCalls(callEvents(ftrace)), ["tiny_main", "leave"]);
            const depths = lines.map((line) => Number(/ depth=(-?\d+)/.exec(line)![1]));
            assert(Math.max(...depths) < 6 && Math.min(...depths) >= 0, lines.join("\n"));
          }
        }
      });
    }
  }

  Deno.test(`why() names an interrupt handler, and strict tracing leaves it out (${era})`, async () => {
    const { ftrace } = await traced("trap_bare_p84", { era });
    const record = ftrace.records.find(({ name }) => name === "handler")!;
    assertEquals([record.kind, record.reason], ["virtual", "interrupt-handler"]);
    const others = ftrace.records.filter(({ reason }) => reason === "interrupt-handler");
    assertEquals(others, [record]);
    const answers = ftrace.why("handler")[0]!.answers;
    const of = (use: string) => answers.find((each) => each.use === use)!;
    assertEquals([of("trace").possible, of("trace").reason], [true, "interrupt-handler"]);
    assertEquals([of("graph").possible, of("graph").reason], [true, "interrupt-handler"]);
    const strict = await traced("trap_bare_p84", { era, strict: true });
    assertEquals(strict.ftrace.records.find(({ name }) => name === "handler")!.kind, "disabled");
  });
}

Deno.test("what an exit handler writes at an interrupt handler's end is not the interrupted code's", async () => {
  const guest = await traced("irq_nest_p84");
  let ends = 0;
  guest.ftrace.registerFtraceGraph({
    filter: ["timer", "software", "exception"],
    entryFunc: () => true,
    retFunc(_exit, fregs) {
      ends++;
      fregs!.returnValue = 0x1234n;
    },
  });
  await guest.run();
  assert(ends > 100);
  assertEquals(guest.output(), await untracedOutput("irq_nest_p84"));
});

async function untracedOutput(name: string): Promise<string> {
  const guest = await traced(name);
  await guest.run();
  return guest.output();
}

Deno.test("functions that take something in t0 are named, and no function of an ordinary program is taken for an interrupt handler", async () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    calls_p84: ["__syscall_set_errno", "_dl_runtime_resolve"],
    exceptions_p84: ["__syscall_set_errno", "_dl_runtime_resolve"],
    posix_p84: ["__syscall_set_errno", "_dl_runtime_resolve"],
    registers_p84: ["__syscall_set_errno", "_dl_runtime_resolve"],
    hello_bare_p84: [],
  };
  for (const [name, names] of Object.entries(expected)) {
    const { ftrace } = await traced(name, { virtual: true });
    const reasons = new Map(ftrace.records.map(({ name, reason }) => [name, reason]));
    const live = [...reasons].filter(([, reason]) => reason === "t0-live").map(([name]) => name);
    assertEquals(live, names, name);
    assert(![...reasons.values()].includes("interrupt-handler"), name);
  }
});
