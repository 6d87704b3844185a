/**
 * The JIT gives what the reference and the interpreter give: many random programs, and every
 * fixture, at every threshold and with small code caches.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { BLOCK_SIZE } from "../../lib/engine/interpreter/micro_op.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { readExpected, readProgram } from "../fixtures/expected.ts";
import { firstDifference, record } from "./jit_guest.ts";
import { recordProgram } from "./jit_programs.ts";
import { randomPlan } from "./jit_worlds.ts";
import { THOROUGH } from "../thorough.ts";

/** Random programs, in tests of so many. */
const TESTS = 20, EACH = 20, MOST = 20_000;

for (let test = 0; test < TESTS; test++) {
  const first = 1_000_000 + test * EACH;
  Deno.test({
    name:
      `run() of random programs stops at the same states at any jitThreshold: from seed ${first}`,
    ignore: !THOROUGH,
    fn() {
      let compiled = 0n;
      for (let seed = first; seed < first + EACH; seed++) {
        const plan = randomPlan(seed, MOST);
        const expected = record(plan, createReference);
        for (const jitThreshold of [0, 1, 500, undefined]) {
          if (jitThreshold === 0 && plan.writesText) continue;
          const actual = record(
            plan,
            (memory, options) => createJit(memory, { ...options, jitThreshold }),
          );
          const difference = firstDifference(actual, expected);
          assertEquals(difference, undefined, `seed ${seed}, jitThreshold ${jitThreshold}`);
          compiled += actual.compiled;
        }
      }
      assert(compiled > 100_000n, `only ${compiled} instructions were compiled`);
    },
  });
}

for (const blocks of [0.5, 1.4, 2, 4, 8, 16]) {
  Deno.test({
    name: `run() of random programs does the same where ${blocks} blocks of code are kept`,
    ignore: !THOROUGH,
    fn() {
      for (let seed = 1; seed <= 12; seed++) {
        const plan = randomPlan(seed, 4_000);
        const expected = record(plan, createReference);
        for (const jitThreshold of [1, 500]) {
          const actual = record(
            plan,
            (memory, options) =>
              createJit(memory, { ...options, jitThreshold }, blocks * BLOCK_SIZE),
          );
          const difference = firstDifference(actual, expected);
          assertEquals(difference, undefined, `seed ${seed}, jitThreshold ${jitThreshold}`);
        }
      }
    },
  });
}

const { programs } = await readExpected();
for (const { name, machine, runs } of programs) {
  for (const run of runs) {
    Deno.test({
      name: `run({ limit }) of ${name} ${
        run.args.join(" ")
      } stops at the states of the interpreter`,
      ignore: !THOROUGH,
      async fn() {
        const { bytes } = await readProgram(name);
        const slices = [1, 2, 7, 100, 5000, 30000], stops = 150, most = 20_000_000n, seed = 1;
        for (const harts of machine === "bare" ? [1, 3] : [1]) {
          const on = (engine: "interp" | "jit", jitThreshold?: number) =>
            recordProgram({
              ...{ bytes, run, slices, stops, most, seed },
              options: {
                ...{ engine, jitThreshold, harts, seed: 7n },
                ...(machine === "bare" ? { semihosting: "privileged" } : {}),
              },
            });
          const expected = await on("interp");
          for (const threshold of [0, 1, 500, undefined]) {
            const actual = await on("jit", threshold);
            const where = `jitThreshold ${threshold}, ${harts} harts`;
            assertEquals(firstDifference(actual, expected), undefined, where);
            if (threshold === 0) assert(actual.compiled > 0n, `${where}: nothing was compiled`);
          }
        }
      },
    });
  }
}
