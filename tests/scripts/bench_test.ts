import { assert, assertEquals, assertThrows } from "@std/assert";
import { manyFunctions, touchesMemory } from "../../scripts/bench/growth_guests.ts";
import { slope } from "../../scripts/bench/growth_tables.ts";
import { crossing } from "../../scripts/bench/lengths_table.ts";
import { geometricMean, median, timed } from "../../scripts/bench/measure.ts";
import {
  BENCH_WORKLOADS,
  instructionsPerRound,
  ourCommand,
  qemuCommand,
} from "../../scripts/bench/workloads.ts";
import { chooseWorkloads } from "../../scripts/bench.ts";
import { createMachine } from "../../mod.ts";
import { missingTool } from "../program/elf_oracle.ts";

const noQemu = await missingTool("qemu-riscv64");
const noSystem = await missingTool("qemu-system-riscv64");

const named = (name: string, kind: string) =>
  BENCH_WORKLOADS.find((workload) => workload.name === name && workload.kind === kind)!;

const near = (actual: number, expected: number) =>
  assert(Math.abs(actual - expected) < 1e-9, `${actual}, not ${expected}`);

async function endOf(program: Uint8Array): Promise<{ code: number; instret: number }> {
  using machine = createMachine(program, { stdout() {} });
  const outcome = await machine.run();
  assert(outcome.kind === "exit", outcome.kind);
  return { code: outcome.code, instret: Number(machine.harts[0]!.instret) };
}

async function endOnQemu(program: Uint8Array): Promise<number> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, program, { mode: 0o755 });
    return (await new Deno.Command("qemu-riscv64", { args: [file] }).output()).code;
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("median() and geometricMean() are the middle, and the root of the product", () => {
  assertEquals(median([9, 1, 5]), 5);
  near(geometricMean([2, 8]), 4);
  near(geometricMean([0.5, 2]), 1);
});

Deno.test("slope() is 1 where twice as much takes twice as long, and 2 where it takes four times", () => {
  near(slope([1, 10, 100], [7, 10, 100]), 1);
  near(slope([10, 20], [1, 4]), 2);
});

Deno.test("crossing() is the length from which on ours takes no longer", () => {
  const lengths = [1e6, 1e7, 1e8];
  assertEquals(crossing(lengths, [[1, 2], [3, 2], [3, 3]]), "from 1e+8");
  assertEquals(crossing(lengths, [[1, 2], [1, 2], [1, 2]]), "from 1e+6");
  assertEquals(crossing(lengths, [[1, 2], [1, 2], [2, 1]]), "not up to 1e+8");
});

Deno.test("timed() tells output, exit code, and times of the process", async () => {
  const run = await timed([
    "sh",
    "-c",
    "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; echo $n; exit 3",
  ]);
  assertEquals([run.stdout, run.code], ["20000\n", 3]);
  assert(run.cpu > 0 && run.wall > 0, JSON.stringify(run));
});

Deno.test("chooseWorkloads() takes names, kinds, or names of a kind", () => {
  const chosen = (only?: string) =>
    chooseWorkloads(only).map(({ name, kind }) => `${name} ${kind}`);
  assertEquals(chosen("crc,fib"), ["fib linux", "crc linux"]);
  assertEquals(chosen("sieve,sv39"), ["sieve sv39"]);
  assertEquals(chosen("queens").length, 3);
  assertEquals(chosen("firmware").length, 6);
  assertEquals(chosen(), BENCH_WORKLOADS.map(({ name, kind }) => `${name} ${kind}`));
  assertThrows(() => chosen("crc,sha3"), TypeError, "Cannot measure sha3");
  assertThrows(() => chosen("crc,sv39"), TypeError, "none is of that kind");
});

Deno.test("instructionsPerRound() of each Linux workload tells how long any run is, to a tenth", async () => {
  for (const workload of BENCH_WORKLOADS.filter(({ kind }) => kind === "linux")) {
    const few = await instructionsPerRound(workload, 4);
    const more = await instructionsPerRound(workload, 9);
    assert(few > 10_000 && few < 1e6, `${workload.name}: ${few}`);
    assert(Math.abs(more / few - 1) < 0.1, `${workload.name}: ${few}, ${more}`);
  }
});

for (
  const [name, kind, missing] of [
    ["json", "linux", noQemu],
    ["matmul", "linux", noQemu],
    ["quicksort", "firmware", noSystem],
    ["quicksort", "sv39", noSystem],
  ] as const
) {
  Deno.test({
    name: `ourCommand() of ${name} (${kind}) prints what qemuCommand() prints`,
    ignore: missing,
    async fn() {
      const workload = named(name, kind);
      const ours = await timed(ourCommand(workload, "interp", 3));
      const theirs = await timed(qemuCommand(workload, 3));
      assertEquals([ours.stdout, ours.code], [theirs.stdout, theirs.code]);
      assert(ours.stdout.length > 3);
    },
  });
}

Deno.test("manyFunctions() calls as many functions as often as it says", async () => {
  const each = async (called: number, rounds: number) =>
    (await endOf(manyFunctions(3000, called, rounds))).instret;
  const [one, two] = [await each(3000, 1), await each(3000, 2)];
  assert(two - one > 3000 * 12 && two - one < 3000 * 15, `${two - one}`);
  assert(await each(100, 30) < two);
});

Deno.test({
  name: "programs made for growth tables end under QEMU as here",
  ignore: noQemu,
  async fn() {
    const functions = manyFunctions(5000, 5000, 3);
    assertEquals((await endOf(functions)).code, await endOnQemu(functions));
    assertEquals((await endOf(touchesMemory(64))).code, 0);
    assertEquals(await endOnQemu(touchesMemory(64)), 0);
  },
});
