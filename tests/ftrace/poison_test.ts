/**
 * The live-register table of `ftrace_caller`, proved on programs: what is dead at an entry may hold
 * anything afterwards, and what is live may not.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import { staticChainFunctions } from "../../lib/ftrace/explain/static_chain.ts";
import { ENTRY_REGISTERS } from "../../lib/trampoline/poison.ts";
import { readProgram } from "../fixtures/expected.ts";
import { THOROUGH } from "../thorough.ts";
import { eventLines, graph, traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const PATHS = ["guest", "fast"] as const;
const DEAD = ["t0", "t1", "t3", "t4", "t5", "t6"];
const LIVE = ENTRY_REGISTERS.filter(({ live }) => live === true).flatMap(({ names }) => names);
const FLOATS = ENTRY_REGISTERS.filter(({ live }) => live === "floats").flatMap(({ names }) =>
  names
);

/** Fails if a run did what it does when it is right. */
function assertDiffers(found: string, right: string, where = ""): void {
  assert(found !== right, `${where}: nothing broke`);
}

/** What a run does with every function traced: what it prints, and how it ends. */
async function outcome(
  program: string,
  args: readonly string[],
  options: FtraceOptions,
  notrace: readonly string[] = [],
): Promise<string> {
  const guest = await traced(program, options, { args });
  guest.ftrace.registerFtraceFunction({ hit() {}, notrace });
  const { machine } = guest;
  const ending = await machine.run({ limit: 20_000_000n });
  const { kind } = ending;
  return `${guest.output()}${kind === "exit" ? `exit ${ending.code}` : kind}`;
}

/** What a fixture's run is to print, and how it is to end. */
async function expected(program: string, args: readonly string[]): Promise<string> {
  const { runs } = await readProgram(program);
  const run = runs.find((each) => each.args.join() === args.join())!;
  return `${run.stdout}exit ${run.code}`;
}

type Runs = readonly (readonly [string, readonly string[]])[];

const SHORT: Runs = [
  ["registers_p84", []],
  ["registers_p84", ["chain"]],
  ["registers_p84", ["floats"]],
  ["sample_p84", []],
];
/** On the real trampolines. The fast path is compared with them below. */
const ALL: Runs = [
  ...SHORT,
  ["calls_p84", []],
  ["exceptions_p84", []],
  ["posix_p84", ["sort"]],
  ["posix_p84", ["contexts"]],
];

for (const era of ERAS) {
  for (
    const [trampoline, programs] of [
      ["guest", THOROUGH || era === "args" || era === "call-ops" ? ALL : SHORT],
      ["fast", SHORT],
    ] as const
  ) {
    Deno.test(`poisoning t0, t1 and t3-t6 changes nothing in any program (${era}, ${trampoline})`, async () => {
      for (const [program, args] of programs) {
        const options = { era, trampoline, poison: DEAD };
        const where = `${program} ${args.join(" ")}`;
        assertEquals(await outcome(program, args, options), await expected(program, args), where);
      }
    });

    Deno.test(`poisoning t2 breaks the functions that take a static chain, and no others (${era}, ${trampoline})`, async () => {
      const options = { era, trampoline, poison: ["t2"] };
      const chain = await outcome("registers_p84", ["chain"], options);
      assertDiffers(chain, await expected("registers_p84", ["chain"]));
      for (const [program, args] of programs) {
        const { machine } = await traced(program);
        const chains = staticChainFunctions(machine).map(({ name }) => name);
        const notrace = chains.filter((name) => !name.startsWith("_"));
        const where = `${program} ${args.join(" ")}`;
        const found = await outcome(program, args, options, notrace);
        assertEquals(found, await expected(program, args), where);
      }
    });
  }

  Deno.test(`the fast path poisons as the trampoline does: same registers, counts and events (${era})`, async () => {
    const states = [];
    for (const trampoline of PATHS) {
      const guest = await traced("sample_p84", { era, trampoline, poison: [...DEAD, "t2", "fa0"] });
      const { ftrace, machine } = guest;
      const seen: string[] = [];
      ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
      graph(ftrace);
      ftrace.registerFtraceFunction({ filter: ["price_of"], hit() {} });
      const hart = machine.harts[0]!;
      // Behind the site of each function, where its own code begins.
      for (const { entry } of ftrace.records) {
        ftrace.core.hooks.add(
          Number(entry) + 8,
          (at) => void seen.push([...at.x, ...at.f].join()),
        );
      }
      await guest.run();
      states.push({
        registers: [...hart.x, ...hart.f],
        seen,
        instret: hart.instret,
        overhead: hart.overhead,
        events: eventLines(ftrace),
      });
    }
    assert(states[0]!.seen.length > 40);
    assertEquals(states[1], states[0]);
  });
}

for (const register of LIVE) {
  Deno.test(`poisoning ${register} breaks a program, so it is live at an entry`, async () => {
    const right = await expected("registers_p84", []);
    for (const era of ERAS) {
      const options = { era, poison: [register] };
      assertDiffers(await outcome("registers_p84", [], options), right, era);
    }
    const real = { trampoline: "guest", poison: [register] } as const;
    assertDiffers(await outcome("registers_p84", [], real), right);
  });
}

for (const register of FLOATS) {
  Deno.test(`${register} is kept by no trampoline: who passes floats loses it, who passes none does not care`, async () => {
    const options = { poison: [register] };
    const plain = await outcome("registers_p84", [], options);
    assertEquals(plain, await expected("registers_p84", []));
    const floats = await outcome("registers_p84", ["floats"], options);
    assertDiffers(floats, await expected("registers_p84", ["floats"]));
  });
}

Deno.test("a virtual site poisons, too", async () => {
  const options = { virtual: true, poison: ["a0"] };
  const broken = await outcome("sample_without_sites", [], options);
  assertDiffers(broken, await expected("sample_without_sites", []));
  const dead = { virtual: true, poison: DEAD };
  assertEquals(
    await outcome("sample_without_sites", [], dead),
    await expected("sample_without_sites", []),
  );
});

Deno.test("staticChainFunctions() names the nested functions of registers.c and calls.c, and nothing else", async () => {
  const names = async (program: string) =>
    staticChainFunctions((await traced(program)).machine).map(({ name }) => name).sort();
  assertEquals(await names("registers_p84"), ["add.0"]);
  for (const program of ["calls_p4", "calls_p84", "calls_p4a2"]) {
    assertEquals(await names(program), ["nested_direct.1", "nested_pointer.0"]);
  }
  for (const program of ["exceptions_p84", "posix_p84", "sample_p84", "hello_bare_p84"]) {
    assertEquals(await names(program), []);
  }
});
