/**
 * What engines say of where a run went: the figures add up, and counting changes nothing else.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createMachine, type MachineOptions } from "../../mod.ts";
import type { CompiledCode } from "../../lib/engine/compiled_code.ts";
import { compiledText } from "../../lib/engine/compiled_text.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { EXIT_REASONS } from "../../lib/engine/statistics.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { programFile } from "../fixtures/expected.ts";
import { PROGRAMS } from "../machine/privileged_programs.ts";
import { CODE, createGuest, resetGuest } from "./guest.ts";

/** Runs a fixture; gives what it printed and counted. */
function runFixture(name: string, options: MachineOptions) {
  return runProgram(Deno.readFileSync(programFile(name)), options);
}

async function runProgram(program: Uint8Array, options: MachineOptions) {
  const decoder = new TextDecoder();
  let printed = "";
  using machine = createMachine(program, {
    stdout: (data) => void (printed += decoder.decode(data)),
    ...options,
  });
  const started = performance.now();
  const { kind } = await machine.run();
  const took = performance.now() - started;
  const { instret } = machine.harts[0]!;
  return { printed, kind, instret, took, statistics: machine.engine.statistics?.() };
}

const COUNTED = ["sample_p84", "fib_p84", "bench_rbtree_p84", "bench_nbody_p84", "trap_bare_p84"];
for (const name of COUNTED) {
  for (const jitThreshold of [1, 20_000]) {
    Deno.test(`statistics() adds up, and changes nothing, when ${name} compiles at ${jitThreshold}`, async () => {
      const plain = await runFixture(name, { jitThreshold });
      const counted = await runFixture(name, { jitThreshold, engineStatistics: true });
      assertEquals(plain.statistics, undefined);
      const { printed, kind, instret, statistics } = counted;
      assertEquals([printed, kind, instret], [plain.printed, plain.kind, plain.instret]);
      const { regions, instructions, exits, functions, milliseconds } = statistics!;
      const { interpreter, reference } = instructions;
      assertEquals(instructions.regions + interpreter + reference, Number(instret));
      assert(interpreter >= 0 && reference > 0);
      const own = functions.reduce((sum, each) => sum + each.instructions, 0);
      assertEquals(own, instructions.regions);
      assertEquals(EXIT_REASONS.reduce((sum, reason) => sum + exits[reason], 0), regions.entered);
      assert(EXIT_REASONS.every((reason) => exits[reason] >= 0), JSON.stringify(exits));
      const times = Object.values(milliseconds);
      assert(times.every((each) => each >= 0), JSON.stringify(milliseconds));
      const measured = times.reduce((sum, each) => sum + each, 0);
      assert(measured <= counted.took, `${JSON.stringify(milliseconds)} in ${counted.took} ms`);
      assertEquals(instructions.regions > 0, regions.compiled > 0);
    });
  }
}

/** Of the privileged programs one without, and one behind page tables. */
for (const name of ["delegation", "pages"]) {
  Deno.test(`statistics() adds up, and changes nothing, in privileged program ${name}`, async () => {
    const program = PROGRAMS[name]!();
    const plain = await runProgram(program, { jitThreshold: 1 });
    const counted = await runProgram(program, { jitThreshold: 1, engineStatistics: true });
    const { printed, kind, instret, statistics } = counted;
    assertEquals([printed, kind, instret], [plain.printed, plain.kind, plain.instret]);
    const { regions, instructions, exits, functions } = statistics!;
    const own = functions.reduce((sum, each) => sum + each.instructions, 0);
    assertEquals(own, instructions.regions);
    assert(instructions.regions > 0 && instructions.interpreter >= 0);
    assertEquals(EXIT_REASONS.reduce((sum, reason) => sum + exits[reason], 0), regions.entered);
    assert(EXIT_REASONS.every((reason) => exits[reason] >= 0), JSON.stringify(exits));
  });
}

Deno.test("statistics() counts for the interpreter alone when nothing is compiled", async () => {
  const { instret, statistics } = await runFixture("sample_p84", {
    engine: "interp",
    engineStatistics: true,
  });
  const { regions, instructions, functions } = statistics!;
  const none = { compiled: 0, dropped: 0, instructions: 0, bytes: 0, entered: 0 };
  assertEquals([regions, functions], [none, []]);
  assertEquals(instructions.interpreter + instructions.reference, Number(instret));
  assert(instructions.interpreter > instructions.reference);
});

/** Two functions that go on in each other for ever. */
const BACK_AND_FORTH = `
first:
  addi a0, a0, 1
  j second
  nop
  nop
second:
  addi a1, a1, 1
  j first
`;
const SECOND = CODE + 16;

Deno.test("statistics() leaves no frame behind when functions go on in each other", () => {
  const functionAt = (pc: number) =>
    pc < SECOND ? { low: CODE, high: SECOND } : { low: SECOND, high: SECOND + 8 };
  const guest = createGuest((memory) =>
    createJit(memory, { jitThreshold: 0, statistics: true, functionAt })
  );
  resetGuest(guest);
  const { engine, hart, memory } = guest;
  const { bytes } = assemble(BACK_AND_FORTH, { origin: BigInt(CODE), compress: false });
  memory.poke(CODE, bytes);
  hart.pc = BigInt(CODE);
  const count = 2_000_000;
  assertEquals(engine.run(hart, BigInt(count)).kind, "limit");
  assertEquals([hart.x[10], hart.x[11]], [BigInt(count / 4), BigInt(count / 4)]);
  const { functions, exits, instructions } = engine.statistics!()!;
  // The last ones are fewer than a region's shortest way.
  assert(instructions.regions > count - 8);
  assertEquals(functions.map(({ address }) => address), [CODE, SECOND]);
  assert(exits.depth > 0, "a tail call ends somewhere");
});

Deno.test("onCompiled() gives code whose text has every instruction of the guest's", async () => {
  const compiled: CompiledCode[] = [];
  await runFixture("fib_p84", { jitThreshold: 1, onCompiled: (code) => void compiled.push(code) });
  const widest = compiled.reduce((a, b) => b.instructions.size > a.instructions.size ? b : a);
  const text = compiledText(widest);
  for (const pc of widest.instructions.keys()) {
    assertStringIncludes(text, `;; ${pc.toString(16)}: `);
  }
  assert(widest.entry >= widest.function.low && widest.entry < widest.function.high);
});

Deno.test("whyNotCompiled() says what keeps a function interpreted", async () => {
  using machine = createMachine(Deno.readFileSync(programFile("sample_p84")));
  const { engine, symbols } = machine;
  const at = (name: string) => Number(symbols.called(name)[0]!.address);
  assertEquals(engine.whyNotCompiled!(at("bill")), { reason: "unfetched" });
  await machine.run();
  const cold = { reason: "cold", seen: 0, needed: 2, period: 10_000 } as const;
  assertEquals(engine.whyNotCompiled!(at("bill")), cold);
  using _hook = engine.hook(at("bill"), { host() {} });
  assertEquals(engine.whyNotCompiled!(at("bill")), { reason: "hook" });
});

/** Two loops, the first of them long; the second calls what executes far more than it does. */
const TWO_LOOPS = `
  li s1, 1000
1:
  li t0, 20000
2:
  addi t0, t0, -1
  bnez t0, 2b
  li s2, 200
3:
  call work
  addi s2, s2, -1
  bnez s2, 3b
  addi s1, s1, -1
  bnez s1, 1b
  ebreak
work:
  li t1, 1000
4:
  addi t1, t1, -1
  bnez t1, 4b
  ret`;

Deno.test("run() finds what is interpreted where that is one instruction between two regions", async () => {
  // A loop is entered in its middle here, and a function's last instruction is fetched late.
  const args = ["1000"];
  const run = await runFixture("bench_lz_p84", { args, engineStatistics: true });
  const { entered } = run.statistics!.regions;
  assert(entered < 100_000, `entered ${entered} times in ${run.instret} instructions`);
});

Deno.test("run() finds the little that is still interpreted between long stays in compiled code", () => {
  const guest = createGuest((memory) => createJit(memory, { statistics: true }));
  resetGuest(guest);
  guest.memory.poke(CODE, assemble(TWO_LOOPS, { origin: BigInt(CODE) }).bytes);
  assertEquals(guest.engine.run(guest.hart, 10n ** 9n).kind, "trap");
  const { entered } = guest.engine.statistics!()!.regions;
  // Each of the 200,000 calls is one entry as long as the loop around them is interpreted.
  assert(entered < 100_000, `entered ${entered} times`);
});
