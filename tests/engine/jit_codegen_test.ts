/**
 * Guests that write code: what the JIT makes of code that changes, and how often.
 *
 * That it runs as on the reference is in `jit_memory_test.ts` and `jit_test.ts`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { createMachine } from "../../lib/machine/machine.ts";
import { manyFunctions } from "../../scripts/bench/growth_guests.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { REGION_INSTRET } from "../../lib/hart/state.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { CODE, createGuest, DATA, describeStop, resetGuest } from "./guest.ts";

/** Where guests write code. */
const MADE = 0x40000;

/** What a run came to. */
interface Ran {
  /** Modules that were instantiated. */
  readonly instances: number;
  /** The part of all instructions that compiled code executed. */
  readonly compiled: number;
}

/** Runs a program on a JIT to its ebreak. */
function run(source: string, jitThreshold: number): Ran {
  const guest = createGuest((memory) => createJit(memory, { jitThreshold }));
  resetGuest(guest);
  const { memory, hart, engine } = guest;
  memory.map(MADE, PAGE_SIZE, READ | WRITE | EXECUTE);
  memory.poke(CODE, assemble(source, { origin: BigInt(CODE) }).bytes);
  hart.pc = BigInt(CODE);
  const { Instance } = WebAssembly;
  let instances = 0;
  WebAssembly.Instance = new Proxy(Instance, {
    construct: (target, args) => (instances++, Reflect.construct(target, args)),
  });
  try {
    const stop = describeStop(engine.run(hart, 100_000_000n));
    assert(stop.includes("trap 3"), stop);
  } finally {
    WebAssembly.Instance = Instance;
  }
  const compiled = Number(memory.hostView.getBigUint64(REGION_INSTRET, true));
  return { instances, compiled: compiled / Number(hart.instret) };
}

/** Writes `addi a0, a0, a1; addi a2, a2, -1; bnez a2, …; ret` to a0's page, and calls it for s2 turns, s4 times. */
const WRITES_LOOP = `
  lui s0, ${MADE / PAGE_SIZE}
again:
  slli a1, s1, 20
  lui a4, 0x50
  addi a4, a4, 0x513
  or a1, a1, a4
  sw a1, 0(s0)
  lui a4, 0xfff60
  addi a4, a4, 0x613
  sw a4, 4(s0)
  lui a4, 0xfe062
  addi a4, a4, -0x31d
  sw a4, 8(s0)
  li a4, 0x8067
  sw a4, 12(s0)
  fence.i
  mv s3, s4
1: mv a2, s2
  jalr s0
  addi s3, s3, -1
  bnez s3, 1b
  addi s1, s1, -1
  bnez s1, again
  ebreak`;

const turns = (times: number, each: number, calls = 1) =>
  `li s1, ${times}\nli s2, ${each}\nli s4, ${calls}\n${WRITES_LOOP}`;

Deno.test("run() compiles code ever more seldom when it is written anew all the time", () => {
  const few = run(turns(40, 1000), 400), many = run(turns(1200, 1000), 400);
  assert(few.instances >= 3, JSON.stringify(few));
  assert(many.instances < few.instances + 25, JSON.stringify([few, many]));
});

Deno.test("run() compiles no more when compiled code often calls what is written anew", () => {
  const few = run(turns(40, 10, 100), 400), many = run(turns(1200, 10, 100), 400);
  assert(few.instances >= 3, JSON.stringify(few));
  assert(many.instances < few.instances + 25, JSON.stringify([few, many]));
});

Deno.test("run() compiles each function when it runs long enough until the next is written", () => {
  const { instances, compiled } = run(turns(20, 100_000), 400);
  assert(instances > 20, `${instances}`);
  assert(compiled > 0.9, `${compiled}`);
});

Deno.test("run() keeps who writes code compiled when what it writes is fetched", () => {
  const { instances, compiled } = run(turns(3000, 2), 400);
  assert(instances < 25, `${instances}`);
  assert(compiled > 0.1, `${compiled}`);
});

Deno.test("run() compiles one region for a loop when no symbol says where it is", () => {
  const body = Array.from({ length: 12 }, (_, k) => `addi a${k % 3}, a${k % 3}, ${k}`).join("\n");
  const source = `li s0, 20000\n1: ${body}\naddi s0, s0, -1\nbnez s0, 1b\nebreak`;
  const { instances, compiled } = run(source, 400);
  const once = run("li s0, 20000\n1: addi s0, s0, -1\nbnez s0, 1b\nebreak", 400);
  assertEquals(instances, once.instances);
  assert(compiled > 0.95, `${compiled}`);
});

Deno.test("run() fetches what was stored when data lies beside code that was written", () => {
  // The page is text, data, and text again; a1 counts what is read back wrongly.
  const { compiled } = run(
    `
  lui s0, ${MADE / PAGE_SIZE}
  lui s3, ${DATA / PAGE_SIZE}
  li s1, 400
  li a1, 0
again:
  lui a4, 0x8
  addi a4, a4, 0x067
  sw a4, 0(s0)
  fence.i
  jalr s0
  li a2, 100
1: sd a2, 64(s0)
  sd a2, 0(s3)
  ld a3, 64(s0)
  sub a3, a3, a2
  snez a3, a3
  add a1, a1, a3
  addi a2, a2, -1
  bnez a2, 1b
  addi s1, s1, -1
  bnez s1, again
  beqz a1, 2f
  .zero 4
2: ebreak`,
    400,
  );
  assert(compiled > 0.8, `${compiled}`);
});

Deno.test("run() compiles a part of many functions when each is called a few times", async () => {
  // Any threshold has the JIT there from the first instruction on; this is the usual one.
  const options = { engine: "jit", jitThreshold: 20_000, stdout() {} } as const;
  using machine = createMachine(manyFunctions(4000, 4000, 40), options);
  const { Instance } = WebAssembly;
  let instances = 0;
  WebAssembly.Instance = new Proxy(Instance, {
    construct: (target, args) => (instances++, Reflect.construct(target, args)),
  });
  try {
    assertEquals((await machine.run()).kind, "exit");
  } finally {
    WebAssembly.Instance = Instance;
  }
  assert(instances > 100 && instances < 1000, `${instances}`);
});
