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
import { firstDifference, record, type RunRecord } from "./jit_guest.ts";
import { randomPlan } from "./jit_worlds.ts";

/** Programs of each test, and what each may execute. */
const PROGRAMS = 14, MOST = 4_000;

const expected = new Map<number, RunRecord>();
function expectedOf(seed: number): RunRecord {
  let known = expected.get(seed);
  if (!known) expected.set(seed, known = record(randomPlan(seed, MOST), createReference));
  return known;
}

for (const threshold of [0, 1, 500]) {
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
    assert(compiled > all / 4n, `only ${compiled} of ${all} instructions were compiled`);
  });
}
