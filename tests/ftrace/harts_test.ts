/**
 * Several harts under ftrace: what each did is in its own ring, tracing changes nothing of what they
 * do, and switching sites under them is safe exactly where the era's scheme makes it so.
 *
 * @module
 */
import type { EngineName } from "../../lib/engine/engines.ts";
import { assert, assertEquals } from "@std/assert";
import { createFtrace } from "../../lib/ftrace/ftrace.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { readProgram } from "../fixtures/expected.ts";
import { callEvents, eventLines, graph } from "./guest.ts";
import { HARTS, hartsProgram, interruptedProgram, runHarts } from "./harts_guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const EXIT = { kind: "exit", code: 0 } as const;

/** Instructions of each hart, and where it is. */
const stateOf = (run: Awaited<ReturnType<typeof runHarts>>) =>
  run.machine.harts.map(({ instret, pc, x }) => [instret, pc, ...x]);

Deno.test("several harts do the same with a seed on both engines, traced or not", async () => {
  const plain = await runHarts(40, { engine: "ref", seed: 7n });
  assertEquals(plain.outcome, EXIT);
  const fast = await runHarts(40, { engine: "interp", seed: 7n });
  assertEquals(stateOf(fast), stateOf(plain));
  const other = await runHarts(40, { engine: "interp", seed: 8n });
  assert(String(stateOf(other)) !== String(stateOf(plain)), "another seed is another schedule");
  const machine = createMachine(hartsProgram(40), { machine: "bare", harts: HARTS, seed: 7n });
  const ftrace = createFtrace(machine);
  ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
  assertEquals(await machine.run(), EXIT);
  assertEquals(
    machine.harts.map(({ instret }) => instret),
    plain.machine.harts.map((h) => h.instret),
  );
});

for (const era of ERAS) {
  Deno.test(`sites switched under four harts lose no call and go nowhere wild in era ${era}`, async () => {
    const runs = [];
    for (
      const [engine, trampoline] of [["interp", "fast"], ["ref", "fast"], [
        "interp",
        "guest",
      ]] as const
    ) {
      const run = await runHarts(200, {
        engine,
        switching: true,
        seed: 3n,
        ftrace: { era, trampoline },
      });
      const { ftrace, outcome, counts, switched } = run;
      assertEquals(outcome, EXIT, "every hart's functions gave what they should");
      assertEquals(switched, 100);
      const rings = Array.from({ length: HARTS }, (_, hart) => ftrace.buffer.statistics(hart));
      const stored = rings.reduce((sum, { written }) => sum + written, 0);
      assertEquals(stored, ftrace.core.calls - 200, "each call that was not tick's has its event");
      assertEquals(rings.map(({ overrun }) => overrun), [0, 0, 0, 0]);
      assert(rings.every(({ written }) => written > 0) && counts.every((count) => count > 0));
      runs.push(eventLines(ftrace));
    }
    assertEquals(runs[1], runs[0], "the engines agree");
    assertEquals(runs[2], runs[0], "the real trampolines agree");
  });
}

for (const era of ["regs", "args"] as const) {
  Deno.test(`--no-park lets a hart run an old word and a new one in era ${era}, and says so`, async () => {
    const { outcome, warnings, machine } = await runHarts(2000, {
      switching: true,
      parkDisabled: true,
      seed: 1n,
      ftrace: { era },
    });
    assert(outcome.kind !== "exit" || outcome.code !== 0, "the run goes wrong");
    const [hart, at] = /^hart (\d) was at 0x(\w+), between two words/.exec(warnings[0]!)!.slice(1);
    const site = machine.sites.find(({ entry }) => BigInt(`0x${at}`) - entry === 4n);
    assert(site, `${at} is a site's second word`);
    assert(Number(hart) > 0, "hart 0 is the one that switches");
    assert(warnings[0]!.includes("a torn pair (--no-park, --seed 1)"));
  });
}

for (const era of ["preset", "call-ops"] as const) {
  Deno.test(`--no-park changes nothing in era ${era}`, async () => {
    const parked = await runHarts(200, { switching: true, seed: 1n, ftrace: { era } });
    const free = await runHarts(200, {
      switching: true,
      seed: 1n,
      parkDisabled: true,
      ftrace: { era },
    });
    assertEquals(free.outcome, EXIT);
    assertEquals(free.warnings, []);
    assertEquals(eventLines(free.ftrace), eventLines(parked.ftrace));
  });
}

Deno.test("the graph tracer keeps a stack for each hart", async () => {
  const machine = createMachine(hartsProgram(30), { machine: "bare", harts: HARTS, seed: 5n });
  const ftrace = createFtrace(machine);
  graph(ftrace);
  assertEquals(await machine.run(), EXIT);
  const events = [...ftrace.events()];
  for (let hart = 0; hart < HARTS; hart++) {
    const open: bigint[] = [];
    for (const event of events) {
      if (event.cpu !== hart) continue;
      assertEquals(event.pid, hart + 1);
      if (event.type === "funcgraph_entry") {
        assertEquals(event.depth, open.length);
        open.push(event.func);
      } else if (event.type === "funcgraph_exit") assertEquals(open.pop(), event.func);
    }
    assert(open.length <= 2, "what is open is what the hart was in at the end");
  }
  assert(callEvents(ftrace).filter(({ name }) => name === "leaf").length > 100);
});

for (const era of ERAS) {
  Deno.test(`tracing moves no interrupt in era ${era}, and none comes inside a site or a trampoline`, async () => {
    const states: string[] = [];
    const traces: (readonly string[])[] = [];
    for (const how of ["off", "function", "graph"] as const) {
      for (
        const [engine, trampoline] of [["ref", "fast"], ["interp", "fast"], [
          "interp",
          "guest",
        ]] as const
      ) {
        const machine = createMachine(interruptedProgram(400), { machine: "bare", engine });
        const ftrace = createFtrace(machine, { era, trampoline });
        if (how === "function") ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
        if (how === "graph") graph(ftrace);
        assertEquals(await machine.run({ limit: 100_000n }), EXIT);
        const { instret, x } = machine.harts[0]!;
        states.push(`${instret} ${x[22]} ${x[23]}`);
        if (how === "function") traces.push(eventLines(ftrace));
      }
    }
    assertEquals(new Set(states).size, 1, states.join("\n"));
    assertEquals([traces[1], traces[2]], [traces[0], traces[0]]);
  });
}

/** Runs firmware as it is, or in S-mode with the same addresses through Sv39; gives all that shows. */
async function firmwareRun(name: string, translated: boolean, engine: EngineName) {
  let printed = "";
  const machine = createMachine((await readProgram(name)).bytes, {
    machine: "bare",
    engine,
    stdout: (data) => void (printed += new TextDecoder().decode(data)),
  });
  const hart = machine.harts[0]!;
  const ftrace = createFtrace(machine, { trampoline: "guest" });
  graph(ftrace);
  // Its first instructions are about machine mode.
  await machine.run({ limit: 10n });
  if (translated) {
    const root = 0x87000000;
    // One leaf of 1 GiB over all of RAM, readable, writable, executable, accessed and dirty.
    machine.memory.view.setBigUint64(root + 16, 0x80000000n >> 2n | 0xcfn, true);
    hart.csrs.write(0x3b0, -1n);
    hart.csrs.write(0x3a0, 0x1fn);
    hart.csrs.write(0x180, 8n << 60n | BigInt(root >>> 12));
    hart.mode = "S";
    hart.system!.changed();
  }
  const outcome = await machine.run({ limit: 3_000_000n });
  return { outcome, printed, instret: hart.instret, x: [...hart.x], events: eventLines(ftrace) };
}

for (const name of ["fib_bare_p84", "hello_bare_p84"]) {
  Deno.test(`tracing ${name} through page tables gives what it gives without`, async () => {
    const plain = await firmwareRun(name, false, "interp");
    assert(plain.events.length > 10);
    assertEquals(await firmwareRun(name, true, "interp"), plain);
    if (name !== "fib_bare_p84") assertEquals(await firmwareRun(name, true, "ref"), plain);
  });
}
