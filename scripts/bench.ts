/**
 * `deno task bench`: how fast it is, beside qemu-riscv64 in the same run.
 *
 * Runs are interleaved (ours, QEMU's, ours, …) and medians are printed, because a shared machine
 * changes its speed from minute to minute; the machine and the versions stand above the figures.
 *
 * @module
 */
import { createFtrace, createMachine, type EraName, type Ftrace } from "../mod.ts";
import { ERA_NAMES } from "../lib/ftrace/mod.ts";
import { runHarts } from "../tests/ftrace/harts_guest.ts";
import { inMode, program } from "../tests/machine/privileged_programs.ts";
import {
  DISPATCH_ERAS,
  DISPATCHES,
  dispatchInstructions,
  dispatchNanoseconds,
  PUBLISHED,
} from "./dispatch_cost.ts";

const ROUNDS = 7;
const ROOT = new URL("..", import.meta.url).pathname;
const ELF = `${ROOT}tests/fixtures/elf`;

const encoder = new TextEncoder();
const out = (line = "") => void Deno.stdout.writeSync(encoder.encode(`${line}\n`));

/** The middle one of some values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

async function textOf(command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(command, { args, stdin: "null" }).output();
    return new TextDecoder().decode(stdout).split("\n")[0]!.trim();
  } catch {
    return "";
  }
}

/** Runs a program of the fixtures in this process. */
async function execute(
  name: string,
  arg: string,
  prepare: (ftrace: Ftrace) => void = () => {},
): Promise<{ seconds: number; instret: number; calls: number }> {
  const bytes = await Deno.readFile(`${ELF}/${name}`);
  const machine = createMachine(bytes, { args: [arg], name, stdout: () => {} });
  const ftrace = createFtrace(machine);
  prepare(ftrace);
  const started = performance.now();
  await machine.run();
  const seconds = (performance.now() - started) / 1000;
  return { seconds, instret: Number(machine.harts[0]!.instret), calls: ftrace.core.calls };
}

/** Seconds that a whole process takes. */
async function processTime(command: string, ...args: string[]): Promise<number> {
  const started = performance.now();
  await new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null" }).output();
  return (performance.now() - started) / 1000;
}

async function speed(name: string, arg: string, small: string, qemu: boolean): Promise<void> {
  const ours: number[] = [], theirs: number[] = [];
  let instructions = 0;
  await execute(name, small);
  for (let round = 0; round < ROUNDS; round++) {
    const { seconds, instret } = await execute(name, arg);
    instructions = instret;
    ours.push(seconds);
    if (!qemu) continue;
    // A short run's time is QEMU's start, which is no part of its speed.
    const whole = await processTime("qemu-riscv64", `${ELF}/${name}`, arg);
    theirs.push(whole - await processTime("qemu-riscv64", `${ELF}/${name}`, small));
  }
  const rate = (seconds: readonly number[]) => (instructions / median(seconds) / 1e6).toFixed(0);
  const beside = qemu ? `   qemu-riscv64 ${rate(theirs).padStart(6)} M/s` : "";
  out(`${name.padEnd(12)} interpreter ${rate(ours).padStart(6)} M instructions/s${beside}`);
}

async function eventCost(what: string, prepare: (ftrace: Ftrace) => void): Promise<void> {
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const off = await execute("fib_p84", "24");
    const on = await execute("fib_p84", "24", prepare);
    costs.push((on.seconds - off.seconds) / on.calls * 1e9);
  }
  out(`${what.padEnd(44)} ${median(costs).toFixed(0).padStart(6)} ns a call`);
}

/** What a call costs by era and number of tracers, beside what was published for the kernel change. */
async function dispatchTable(): Promise<void> {
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
      nanoseconds.push((await dispatchNanoseconds(program, era, dispatch, 3)).toFixed(0));
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

/** Instructions a second of firmware, with physical addresses and through page tables, and of harts. */
async function firmwareSpeed(): Promise<void> {
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
  const translated = `
    li t0, 0x80100000
    li t1, 0x200000cf
    sd t1, 16(t0)
    li t1, ${8n << 60n | 0x80100n}
    csrw satp, t1
    la s11, finish
  `;
  const wait = "csrr t0, mhartid\nbeqz t0, 1f\n2: j 2b\n1:\n";
  const rows = [
    ["firmware in M-mode", program(work), 1],
    ["the same in S-mode through Sv39", program(translated + inMode("S", work)), 1],
    ["the same in M-mode beside three harts", program(wait + work), 4],
  ] as const;
  for (const [what, elf, harts] of rows) {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const machine = createMachine(elf, { machine: "bare", harts, stdout() {} });
      const started = performance.now();
      await machine.run();
      const instret = machine.harts.reduce((sum, hart) => sum + Number(hart.instret), 0);
      rates.push(instret / (performance.now() - started) / 1000);
    }
    out(`${what.padEnd(44)} ${median(rates).toFixed(0).padStart(6)} M instructions/s`);
  }
}

/** Milliseconds from the start of a process to the end of a guest of 12 instructions, and its memory. */
async function startup(): Promise<void> {
  const script = `
    const { createMachine } = await import("${ROOT}mod.ts");
    const bytes = await Deno.readFile("${ELF}/sample_p84");
    const machine = createMachine(bytes, { stdout() {} });
    await machine.run({ limit: 1n });
    const first = Date.now();
    await machine.run();
    console.log(first, Deno.memoryUsage().rss);
  `;
  const times: number[] = [], memory: number[] = [];
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, script);
  for (let round = 0; round < ROUNDS; round++) {
    const started = Date.now();
    const [first, rss] = (await textOf(Deno.execPath(), "run", "-A", "--no-check", file)).split(
      " ",
    );
    times.push(Number(first) - started);
    memory.push(Number(rss) / 2 ** 20);
  }
  await Deno.remove(file);
  out(`process start to first guest instruction ${median(times).toFixed(0).padStart(10)} ms`);
  out(`resident memory after a small program ${median(memory).toFixed(0).padStart(13)} MiB`);
}

if (import.meta.main) {
  const cpu = (await textOf("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2")) ||
    "?";
  const qemu = await textOf("qemu-riscv64", "--version");
  out(
    `${cpu}, ${navigator.hardwareConcurrency} cores; Deno ${Deno.version.deno}, V8 ${Deno.version.v8}`,
  );
  out(qemu || "qemu-riscv64 is not installed: nothing to compare with");
  out(`medians of ${ROUNDS} interleaved runs`);
  out();
  await speed("sieve_p84", "4000", "1", qemu !== "");
  await speed("fib_p84", "32", "2", qemu !== "");
  out();
  await eventCost("function event, recorded (fast path)", (ftrace) => {
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
  });
  await eventCost("empty callback in TypeScript (fast path)", (ftrace) => {
    ftrace.registerFtraceFunction({ hit() {} });
  });
  await eventCost("function_graph, entry and exit (fast path)", (ftrace) => {
    const { entryFunc, retFunc } = ftrace.graph;
    ftrace.registerFtraceGraph({ entryFunc, retFunc });
  });
  out();
  await dispatchTable();
  out();
  await firmwareSpeed();
  out();
  for (const era of ERA_NAMES) await switchingCost(era);
  out();
  await startup();
}
