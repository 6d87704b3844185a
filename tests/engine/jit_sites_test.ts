/**
 * Sites under compiled code: switching one compiles nothing anew and is noticed at the next arrival.
 *
 * That random programs whose sites are switched run as on the reference is in `jit_test.ts`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { CompiledCode } from "../../lib/engine/compiled_code.ts";
import type { EngineMaker } from "../../lib/engine/engines.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { EXECUTE, READ } from "../../lib/memory/page.ts";
import { callPair, NOP4, wordBytes } from "../../lib/patcher/scheme.ts";
import { createFtrace } from "../../lib/ftrace/ftrace.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { readProgram } from "../fixtures/expected.ts";
import { CODE, createGuest, describeStop, type Guest, resetGuest, setRegisters } from "./guest.ts";
import { stateLine } from "./jit_guest.ts";
import { ALIAS, PageTables } from "./jit_paged.ts";
import { createRandom } from "./random.ts";

/**
 * Calls two functions with sites, one of which calls itself, a1 times, and one without a site that
 * does so three times; each counts its entries.
 */
const PROGRAM = `
main:
  mv s0, ra
1: call outer
  li a0, 2
  call bare
  addi a1, a1, -1
  bnez a1, 1b
  mv ra, s0
  ebreak
tracer:
  addi a4, a4, 1
  jr t0
outer:
  .4byte ${NOP4}, ${NOP4}
  addi a2, a2, 1
  addi sp, sp, -16
  sd ra, 0(sp)
  li a0, 5
  call inner
  ld ra, 0(sp)
  addi sp, sp, 16
  ret
inner:
  .4byte ${NOP4}, ${NOP4}
  addi a3, a3, 1
  beqz a0, 1f
  addi a0, a0, -1
  addi sp, sp, -16
  sd ra, 0(sp)
  call inner
  ld ra, 0(sp)
  addi sp, sp, 16
1: ret
bare:
  addi a5, a5, 1
  beqz a0, 1f
  addi a0, a0, -1
  addi sp, sp, -16
  sd ra, 0(sp)
  call bare
  ld ra, 0(sp)
  addi sp, sp, 16
1: ret
end:
`;
const { bytes, symbols } = assemble(PROGRAM, { origin: BigInt(CODE) });
const at = (name: string) => Number(symbols.get(name));
const FUNCTIONS = ["main", "tracer", "outer", "inner", "bare", "end"];
/** How often the recursive function is entered for a call of the other. */
const DEEP = 6;

/** The words of a site, by how it is switched. */
const WORDS = {
  off: () => [NOP4, NOP4],
  preset: (entry: number) => [onWords(entry)[0]!, NOP4],
  on: (entry: number) => onWords(entry),
};
const onWords = (entry: number) => callPair("t0", BigInt(entry), BigInt(at("tracer")));

function functionAt(pc: number) {
  const k = FUNCTIONS.findLastIndex((name) => at(name) <= pc);
  return { low: at(FUNCTIONS[k]!), high: at(FUNCTIONS[k + 1] ?? "end") };
}

type Mode = "U" | "translated";

function makeGuest(make: EngineMaker, mode: Mode = "U"): Guest {
  const guest = createGuest(make, mode);
  resetGuest(guest);
  guest.memory.poke(CODE, bytes);
  return guest;
}

/** Where regions were entered that were compiled, one for each time. */
const compiled = new WeakMap<Guest, number[]>();

function jitGuest(jitThreshold = 2000, mode: Mode = "U"): Guest {
  const entries: number[] = [];
  const onCompiled = ({ entry }: CompiledCode) => void entries.push(entry);
  const options = { jitThreshold, statistics: true, functionAt, onCompiled };
  const guest = makeGuest((memory) => createJit(memory, options), mode);
  compiled.set(guest, entries);
  return guest;
}

/** What is compiled has to be so once, and be there still; both functions behind their sites. */
function assertCompiledOnce(guest: Guest): void {
  const entries = compiled.get(guest)!;
  assertEquals(entries.length, new Set(entries).size, entries.join(" "));
  assertEquals(guest.engine.statistics!()!.regions.dropped, 0);
  for (const name of ["outer", "inner"]) assert(entries.includes(at(name) + 8), name);
}

/** Starts `main` with a count of calls; `a2` to `a5` count from 0. */
function start(guest: Guest, calls: number): void {
  guest.hart.pc = BigInt(CODE);
  setRegisters(guest, { a1: BigInt(calls), a2: 0n, a3: 0n, a4: 0n, a5: 0n, sp: 0x21000n });
}

/** Calls so often, and gives how often each function was entered, and the tracer. */
function run(guest: Guest, calls: number): bigint[] {
  start(guest, calls);
  assert(describeStop(guest.engine.run(guest.hart, 2n ** 40n)).startsWith("trap 3"));
  return [...guest.hart.x.subarray(12, 16)];
}

function switchTo({ memory, hart }: Guest, how: keyof typeof WORDS, name = "inner"): void {
  memory.poke(at(name), wordBytes(...WORDS[how](at(name))));
  hart.fetched.fence();
}

const inRegions = ({ engine }: Guest) => engine.statistics!()!.instructions.regions;

for (const mode of ["U", "translated"] as const) {
  const kind = mode === "U" ? "plain" : "translated";
  Deno.test(`run() compiles nothing again when a ${kind} hart's site is switched on and off`, () => {
    const guest = jitGuest(2000, mode);
    // Regions grow until they hold what is executed behind the loop.
    for (let warm = 0; warm < 2000; warm++) run(guest, 10);
    const before = new Set(compiled.get(guest)!.splice(0));
    for (const how of ["off", "on", "preset", "on", "off", "preset"] as const) {
      switchTo(guest, how);
      const traced = how === "on" ? 4000 * DEEP : 0;
      assertEquals(run(guest, 4000), [4000n, BigInt(4000 * DEEP), BigInt(traced), 12000n], how);
    }
    assertEquals(compiled.get(guest)!.filter((entry) => before.has(entry)), []);
    for (const name of ["outer", "inner"]) assert(before.has(at(name) + 8), name);
  });

  Deno.test(`run() goes on in compiled code when a ${kind} hart's site has been switched off`, () => {
    const guest = jitGuest(2000, mode);
    run(guest, 4000);
    for (const how of ["on", "off"] as const) {
      switchTo(guest, how);
      run(guest, 40);
    }
    const before = inRegions(guest), { instret } = guest.hart;
    run(guest, 2000);
    const part = (inRegions(guest) - before) / Number(guest.hart.instret - instret);
    assert(part > 0.99, `only ${part} of it was compiled`);
    assertCompiledOnce(guest);
  });
}

for (const [name, counter, calls] of [["inner", 13, DEEP], ["bare", 15, 3]] as const) {
  Deno.test(`hook() of ${name} is asked from the next arrival on when compiled code is on its way`, () => {
    // Calls are inlined where nothing is counted.
    const plain = (jitThreshold: number) =>
      makeGuest((memory) => createJit(memory, { jitThreshold, functionAt }));
    const guests = [0, 1, 2000].flatMap((jitThreshold) =>
      [jitGuest, plain].map((make) => ({ jitThreshold, guest: make(jitThreshold) }))
    );
    for (const { jitThreshold, guest } of guests) {
      run(guest, jitThreshold + 60);
      for (const round of [1, 2, 3]) {
        start(guest, 100);
        const { hart, engine } = guest;
        const entered = () => Number(hart.x[counter]);
        engine.run(hart, hart.instret + BigInt(500 + round));
        let asked = 0;
        const before = entered();
        const hook = engine.hook(at(name), { host: () => void asked++ });
        engine.run(hart, hart.instret + 700n);
        const asks = asked, inside = entered() - before;
        hook[Symbol.dispose]();
        // A stop may lie between the site and what counts.
        assert(inside > 10 && Math.abs(asks - inside) <= 1, `${asks} asked of ${inside}`);
        engine.run(hart, 2n ** 40n);
        assertEquals([asked, entered()], [asks, 100 * calls]);
      }
      if (jitThreshold > 1 && compiled.has(guest)) assertCompiledOnce(guest);
    }
  });
}

Deno.test("run() compiles nothing again when a function without a site is hooked and no more", () => {
  const guest = jitGuest();
  run(guest, 4000);
  let asked = 0;
  for (let round = 0; round < 4; round++) {
    const hook = guest.engine.hook(at("bare"), { host: () => void asked++ });
    assertEquals([run(guest, 1000)[3], asked], [3000n, 3000 * (round + 1)]);
    hook[Symbol.dispose]();
    assertEquals([run(guest, 1000)[3], asked], [3000n, 3000 * (round + 1)]);
  }
  assertCompiledOnce(guest);
  assert(compiled.get(guest)!.includes(at("bare")));
});

Deno.test("a hook that hooks another function is followed by the next call of compiled code", () => {
  const guest = jitGuest();
  run(guest, 60);
  let asked = 0;
  const hooks: Disposable[] = [];
  const { hart, engine } = guest;
  let turn = 0;
  using _outer = engine.hook(at("outer"), {
    host() {
      turn++;
      if (turn === 10) hooks.push(engine.hook(at("inner"), { host: () => void asked++ }));
      if (turn === 15) hooks.pop()![Symbol.dispose]();
    },
  });
  assertEquals(run(guest, 60), [60n, BigInt(60 * DEEP), 0n, 180n]);
  assertEquals([turn, asked], [60, 5 * DEEP]);
  assertEquals(hart.x[12], 60n);
});

for (const mode of ["U", "translated"] as const) {
  for (const how of ["off", "preset", "on"] as const) {
    Deno.test(`run({ limit }) stops in and around a site that is ${how} in ${mode} as the reference does`, () => {
      const slices = [1, 2, 3, 5, 7, 11, 13, 17, 29, 64];
      const states = (guest: Guest) => {
        switchTo(guest, how);
        switchTo(guest, how, "outer");
        run(guest, 60);
        start(guest, 30);
        const lines: string[] = [];
        for (let k = 0;; k++) {
          const slice = slices[k % slices.length]!;
          const stop = guest.engine.run(guest.hart, guest.hart.instret + BigInt(slice));
          lines.push(stateLine(guest.hart));
          if (stop.kind === "trap") {
            return lines;
          }
        }
      };
      const expected = states(makeGuest(createReference, mode));
      for (const jitThreshold of [0, 1, 40]) {
        assertEquals(
          states(jitGuest(jitThreshold, mode)),
          expected,
          `jitThreshold ${jitThreshold}`,
        );
        const plain = makeGuest((memory) => createJit(memory, { jitThreshold, functionAt }), mode);
        assertEquals(states(plain), expected, `jitThreshold ${jitThreshold} without statistics`);
      }
    });
  }
}

Deno.test("run() does what the site says that is mapped now when another one was open at its address", () => {
  const callee = 0x40000, other = 0x41000;
  const guest = createGuest((memory) => createJit(memory, { jitThreshold: 400 }), "M");
  const { hart, memory, engine } = guest;
  const tables = new PageTables(hart, "S", createRandom(1));
  const write = (address: number, source: string) =>
    memory.poke(tables.physical(address), assemble(source, { origin: BigInt(address) }).bytes);
  write(
    CODE,
    `1: jal ra, .+${
      callee - CODE
    }\naddi a1, a1, -1\nbnez a1, 1b\nebreak\n.balign 64\naddi a4, a4, 1\njr t0`,
  );
  const on = callPair("t0", BigInt(callee), BigInt(CODE + 64));
  write(callee, `.4byte ${NOP4}, ${NOP4}\naddi a0, a0, 1\nret`);
  write(other, `.4byte ${on.join(", ")}\naddi a0, a0, 2\nret`);
  // Each page keeps a name of its own.
  const names = [callee + ALIAS, other];
  tables.alias(names[0]!, callee);
  for (const page of [CODE, callee]) tables.protect(page, READ | EXECUTE);
  for (const [turn, which] of [0, 1, 0, 1, 1, 0].entries()) {
    tables.alias(callee, names[which]!);
    tables.protect(callee, READ | EXECUTE);
    setRegisters(guest, { a0: 0n, a1: 500n, a4: 0n });
    hart.pc = BigInt(CODE);
    assert(describeStop(engine.run(hart, 2n ** 40n)).startsWith("trap 3"));
    assertEquals([hart.x[10], hart.x[14]], which === 0 ? [500n, 0n] : [1000n, 500n], `${turn}`);
  }
});

Deno.test("statistics() counts the words of a site for its function", () => {
  const guest = jitGuest(1);
  run(guest, 200);
  const { functions, instructions } = guest.engine.statistics!()!;
  assertEquals(functions.reduce((sum, each) => sum + each.instructions, 0), instructions.regions);
  assertEquals(functions.map(({ address }) => address).includes(at("inner")), true);
});

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
for (
  const [era, virtual] of [...ERAS.map((era) => [era, false] as const), ["args", true] as const]
) {
  const kind = virtual ? "virtual sites" : `sites of era ${era}`;
  Deno.test(`run({ limit }) keeps what is compiled when ${kind} are switched in between`, async () => {
    const { bytes } = await readProgram("bench_rbtree_p84");
    const trace = async (engine: "interp" | "jit") => {
      using machine = createMachine(bytes, {
        ...{ engine, engineStatistics: true, jitThreshold: 20_000, args: ["20"], stdout() {} },
      });
      const ftrace = createFtrace(machine, { era, virtual });
      const run = (slice: bigint) => machine.run({ limit: machine.harts[0]!.instret + slice });
      await run(1_000_000n);
      let calls = 0;
      const seen: number[] = [];
      let dropped = 0;
      const switched = <T>(change: () => T): T => {
        const before = machine.engine.statistics!()!.regions.dropped;
        const result = change();
        dropped += machine.engine.statistics!()!.regions.dropped - before;
        return result;
      };
      for (const slice of [50_001n, 20_002n, 30_003n]) {
        const counting = { name: "count", func: () => void calls++ };
        const ops = switched(() => ftrace.registerFtraceFunction(counting));
        await run(slice);
        switched(() => ops[Symbol.dispose]());
        await run(200_000n);
        seen.push(calls);
      }
      const end = await run(10n ** 9n);
      return { seen, end, dropped, compiled: machine.engine.statistics!()!.regions.compiled };
    };
    const expected = await trace("interp"), { seen, end, compiled, dropped } = await trace("jit");
    assertEquals([seen, end], [expected.seen, expected.end]);
    assert(seen[0]! > 100 && compiled > 10, `${seen[0]} calls, ${compiled} regions`);
    assertEquals(dropped, 0);
  });
}
