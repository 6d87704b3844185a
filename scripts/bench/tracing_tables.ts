/**
 * Table `tracing`: what tracing and several harts cost, in this process.
 *
 * @module
 */
import type { EngineName } from "../../lib/engine/mod.ts";
import { ERA_NAMES } from "../../lib/ftrace/mod.ts";
import { createFtrace, createMachine, type EraName, type Ftrace } from "../../mod.ts";
import { runHarts } from "../../tests/ftrace/harts_guest.ts";
import { program } from "../../tests/machine/privileged_runtime.ts";
import {
  DISPATCH_ERAS,
  DISPATCHES,
  dispatchInstructions,
  dispatchNanoseconds,
  PUBLISHED,
} from "../dispatch_cost.ts";
import { median, out, progress, ROOT } from "./measure.ts";

const ELF = `${ROOT}tests/fixtures/elf`;

/** What is measured: the engine, and how many times. */
export interface Setup {
  readonly engine: EngineName;
  readonly rounds: number;
}

/** Runs a program of the fixtures in this process. */
async function execute(
  engine: EngineName,
  name: string,
  arg: string,
  prepare: (ftrace: Ftrace) => void = () => {},
): Promise<{ seconds: number; calls: number }> {
  const bytes = await Deno.readFile(`${ELF}/${name}`);
  const machine = createMachine(bytes, { engine, args: [arg], name, stdout() {} });
  const ftrace = createFtrace(machine);
  prepare(ftrace);
  const started = performance.now();
  await machine.run();
  const seconds = (performance.now() - started) / 1000;
  return { seconds, calls: ftrace.core.calls };
}

async function eventCost(
  { engine, rounds }: Setup,
  what: string,
  prepare: (ftrace: Ftrace) => void,
): Promise<void> {
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const off = await execute(engine, "fib_p84", "24");
    const on = await execute(engine, "fib_p84", "24", prepare);
    costs.push((on.seconds - off.seconds) / on.calls * 1e9);
  }
  out(`${what.padEnd(44)} ${median(costs).toFixed(0).padStart(6)} ns a call`);
}

/** What a call costs by era and number of tracers, beside what was published for the kernel change. */
async function dispatchTable(engine: EngineName): Promise<void> {
  const program = await Deno.readFile(`${ELF}/fib_p84`);
  const title = ([own, unrelated]: readonly [number, number]) =>
    unrelated > 0 ? `${own} + ${unrelated} elsewhere` : `${own}`;
  const row = (first: string, cells: readonly string[]) =>
    out(
      first.padEnd(22) + cells.map((cell, k) => cell.padStart(k === cells.length - 1 ? 20 : 9))
        .join(""),
    );
  row("tracers on a function", DISPATCHES.map(title));
  for (const era of DISPATCH_ERAS) {
    const instructions: string[] = [], nanoseconds: string[] = [];
    for (const dispatch of DISPATCHES) {
      instructions.push((await dispatchInstructions(program, era, dispatch)).toFixed(0));
      nanoseconds.push((await dispatchNanoseconds(program, era, dispatch, 3, engine)).toFixed(0));
    }
    row(`${era}, instructions`, instructions);
    row(`${era}, host ns`, nanoseconds);
  }
  for (const [what, { before, after }] of Object.entries(PUBLISHED)) {
    out(`published, ${what}: ${before} ns without CALL_OPS, ${after} ns with it (Spacemit K1)`);
  }
}

/** What switching three sites under four harts costs in an era, for each switch. */
async function switchingCost(era: EraName): Promise<void> {
  const switches = 4000;
  const { ftrace } = await runHarts(switches, { switching: true, seed: 1n, ftrace: { era } });
  const { parks, steps, writes, localFences, remoteFences } = ftrace.core.patcher.statistics;
  const each = (count: number) => (count / switches).toFixed(2);
  out(
    `${era.padEnd(9)} ${each(parks)} parks of all harts, ${
      each(steps)
    } instructions to get there, ` +
      `${each(writes)} words, ${each(localFences)} local and ${each(remoteFences)} remote fence.i`,
  );
}

/** Instructions a second of firmware on one hart, and beside others that take turns with it. */
async function hartsSpeed({ engine, rounds }: Setup): Promise<void> {
  const work = `
    li s0, 0x80400000
    li s1, 3000000
  1:
    andi t0, s1, 1023
    slli t0, t0, 3
    add t0, t0, s0
    ld t1, 0(t0)
    add t1, t1, s1
    sd t1, 0(t0)
    addi s1, s1, -1
    bnez s1, 1b
  `;
  const wait = "csrr t0, mhartid\nbeqz t0, 1f\n2: j 2b\n1:\n";
  const rows = [
    ["firmware in M-mode", program(work), 1],
    ["the same in M-mode beside three harts", program(wait + work), 4],
  ] as const;
  for (const [what, elf, harts] of rows) {
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const machine = createMachine(elf, { engine, machine: "bare", harts, stdout() {} });
      const started = performance.now();
      await machine.run();
      const instret = machine.harts.reduce((sum, hart) => sum + Number(hart.instret), 0);
      rates.push(instret / (performance.now() - started) / 1000);
    }
    out(`${what.padEnd(44)} ${median(rates).toFixed(0).padStart(6)} M instructions/s`);
  }
}

/** Prints what an event costs, what calling tracers costs, and what switching sites costs. */
export async function tracingTable(setup: Setup): Promise<void> {
  out(`tracing: on ${setup.engine}, in this process, medians of ${setup.rounds} runs`);
  out();
  progress("tracing: events");
  await eventCost(setup, "function event, recorded (fast path)", (ftrace) => {
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
  });
  await eventCost(setup, "empty callback in TypeScript (fast path)", (ftrace) => {
    ftrace.registerFtraceFunction({ hit() {} });
  });
  await eventCost(setup, "function_graph, entry and exit (fast path)", (ftrace) => {
    const { entryFunc, retFunc } = ftrace.graph;
    ftrace.registerFtraceGraph({ entryFunc, retFunc });
  });
  out();
  progress("tracing: dispatch");
  await dispatchTable(setup.engine);
  out();
  progress("tracing: harts");
  await hartsSpeed(setup);
  out();
  progress("tracing: switching sites");
  for (const era of ERA_NAMES) await switchingCost(era);
  progress("");
}
