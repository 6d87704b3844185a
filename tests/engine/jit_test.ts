/**
 * The JIT gives what the reference gives: random programs, stopped again and again.
 *
 * What it takes for granted of memory is `jit_memory_test.ts`; long runs are `jit_long_test.ts`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { BLOCK_SIZE } from "../../lib/engine/interpreter/micro_op.ts";
import { readProgram } from "../fixtures/expected.ts";
import { firstDifference, record, type RunRecord } from "./jit_guest.ts";
import { recordProgram } from "./jit_programs.ts";
import { randomPlan } from "./jit_worlds.ts";

/** Programs of each test, and what each may execute. */
const PROGRAMS = 6, MOST = 2_500;

const expected = new Map<number, RunRecord>();
function expectedOf(seed: number): RunRecord {
  let known = expected.get(seed);
  if (!known) expected.set(seed, known = record(randomPlan(seed, MOST), createReference));
  return known;
}

for (const threshold of [0, 1, 40]) {
  Deno.test(`run() of random programs stops at the same states when jitThreshold is ${threshold}`, () => {
    let compiled = 0n, all = 0n;
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const plan = randomPlan(seed, MOST);
      if (threshold === 0 && plan.writesText) continue;
      const actual = record(
        plan,
        (memory, options) => createJit(memory, { ...options, jitThreshold: threshold }),
      );
      const difference = firstDifference(actual, expectedOf(seed));
      assertEquals(difference, undefined, `seed ${seed}`);
      compiled += actual.compiled;
      all += actual.instret;
    }
    assert(compiled > all / 8n, `only ${compiled} of ${all} instructions were compiled`);
  });
}

for (const blocks of [1.4, 3]) {
  Deno.test(`run() of random programs does the same where ${blocks} blocks of code are kept`, () => {
    let compiled = 0n;
    for (let seed = 1; seed <= 2; seed++) {
      const budget = blocks * BLOCK_SIZE;
      const actual = record(
        randomPlan(seed, MOST),
        (memory, options) => createJit(memory, { ...options, jitThreshold: 1 }, budget),
      );
      assertEquals(firstDifference(actual, expectedOf(seed)), undefined, `seed ${seed}`);
      compiled += actual.compiled;
    }
    if (blocks >= 2) assert(compiled > 0n, "nothing was compiled");
  });
}

/** Timers, signals, naps, interrupts in firmware, and two harts that take turns. */
const FIXTURES = [
  { name: "ticks_p84", args: [], harts: 1 },
  { name: "nap_p84", args: [], harts: 1 },
  { name: "irq_nest_p84", args: [], harts: 1 },
  { name: "hello_bare_p84", args: [], harts: 2 },
] as const;

for (const { name, args, harts } of FIXTURES) {
  Deno.test(`run({ limit }) of ${name} stops at the states of the interpreter`, async () => {
    const { bytes } = await readProgram(name);
    const run = { args, env: [], stdin: "" };
    const slices = [1, 2, 7, 100, 1500], stops = 25, most = 15_000n, seed = 1;
    const on = (engine: "interp" | "jit", jitThreshold?: number) =>
      recordProgram({
        ...{ bytes, run, slices, stops, most, seed },
        options: { engine, jitThreshold, ...(harts > 1 ? { harts, seed: 7n } : {}) },
      });
    const expected = await on("interp");
    for (const threshold of [0, 1]) {
      const actual = await on("jit", threshold);
      assertEquals(firstDifference(actual, expected), undefined, `jitThreshold ${threshold}`);
      assert(actual.compiled > 0n, "nothing was compiled");
    }
  });
}
