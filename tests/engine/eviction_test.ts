/**
 * What a hook, stale text and a second hart see when micro-ops are let go all the time: nothing.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Hook } from "../../lib/engine/engine.ts";
import { BLOCK_SIZE } from "../../lib/engine/interpreter/micro_op.ts";
import { createInterpreter } from "../../lib/engine/interpreter/interpreter.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { OVERHEAD, PC } from "../../lib/hart/state.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { CODE, createGuest, describeStop, type Guest, resetGuest, setRegisters } from "./guest.ts";

/** Pages of functions, and how many blocks the interpreter may keep. */
const PAGES = 12, KEPT = 3;
const FUNCTIONS = 0x100000;

/** Calls each page's function, which adds 1 to a0, `a1` times. */
const CALLER = `
again:
  mv s0, s1
  li s2, ${PAGES}
next:
  jalr s0
  add s0, s0, s3
  addi s2, s2, -1
  bnez s2, next
  addi a1, a1, -1
  bnez a1, again
  ebreak
`;

/** The instruction at the start of a page's function, and the place behind it. */
const place = (page: number): number => FUNCTIONS + page * PAGE_SIZE + 64;

function guestOfPages(mode: "U" | "translated"): Guest {
  const guest = createGuest((memory) => createInterpreter(memory, {}, KEPT * BLOCK_SIZE), mode);
  resetGuest(guest);
  const { memory } = guest;
  memory.map(FUNCTIONS, PAGES * PAGE_SIZE, READ | WRITE | EXECUTE);
  memory.poke(CODE, assemble(CALLER, { origin: BigInt(CODE) }).bytes);
  for (let page = 0; page < PAGES; page++) {
    memory.poke(place(page), assemble("addi a0, a0, 1\nret").bytes);
  }
  setRegisters(guest, { s1: BigInt(place(0)), s3: BigInt(PAGE_SIZE) });
  return guest;
}

/** Runs all rounds from the start; gives what a0 has become. */
function rounds(guest: Guest, count: number): bigint {
  guest.hart.pc = BigInt(CODE);
  setRegisters(guest, { a0: 0n, a1: BigInt(count) });
  const stop = guest.engine.run(guest.hart, 1_000_000n);
  assertEquals(describeStop(stop).slice(0, 6), "trap 3");
  return guest.hart.x[10]!;
}

for (const mode of ["U", "translated"] as const) {
  const kind = mode === "U" ? "plain" : "translated";
  Deno.test(`a ${kind} hart that runs more pages than are kept keeps so many`, () => {
    const guest = guestOfPages(mode);
    rounds(guest, 1);
    const before = guest.memory.heap.used;
    assertEquals(rounds(guest, 50), 600n);
    assertEquals(guest.memory.heap.used, before);
    assert(before < 2 ** 26, `${before} bytes are in use`);
  });

  Deno.test(`a ${kind} hart meets a hook each time, also where its page was let go`, () => {
    const guest = guestOfPages(mode);
    let asked = 0;
    const hook = guest.engine.hook(place(5), { host: () => void asked++ });
    assertEquals([rounds(guest, 20), asked], [240n, 20]);
    hook[Symbol.dispose]();
    assertEquals([rounds(guest, 20), asked], [240n, 20], "and not when it has gone");
  });

  Deno.test(`a ${kind} hart runs a thunk each time, also where its page was let go`, () => {
    const guest = guestOfPages(mode);
    const skip: Hook = {
      host(hart) {
        hart.overhead += 1n;
        hart.goToRegister(1);
      },
      emit({ code, host }) {
        code.i32(0).i32(0).access("i64.load", host, OVERHEAD).i64(1n).op("i64.add");
        code.access("i64.store", host, OVERHEAD);
        code.i32(0).i32(0).access("i64.load", host, 0x1000 + 8).access("i64.store", host, PC);
        code.i32(1);
      },
    };
    using _thunk = guest.engine.hook(place(7), skip);
    assertEquals([rounds(guest, 20), guest.hart.overhead], [220n, 20n]);
  });

  Deno.test(`a ${kind} hart executes what it fetched, also where its page was let go`, () => {
    const guest = guestOfPages(mode);
    assertEquals(rounds(guest, 2), 24n);
    guest.memory.poke(place(3), assemble("addi a0, a0, 101").bytes);
    assertEquals(rounds(guest, 2), 24n, "until its fence.i");
    guest.hart.fetched.fence();
    assertEquals(rounds(guest, 2), 224n);
  });
}

Deno.test("harts take turns with few blocks, and each sees its own text", () => {
  const guest = guestOfPages("U");
  const { memory } = guest;
  const other = new Hart(1, memory, "U", "aside");
  rounds(guest, 1);
  other.enter(undefined);
  other.pc = BigInt(CODE);
  memory.poke(place(3), assemble("addi a0, a0, 101").bytes);
  other.x.set([0n, 2n], 10);
  other.x[9] = BigInt(place(0));
  other.x[19] = BigInt(PAGE_SIZE);
  guest.engine.run(other, 1_000_000n);
  assertEquals(other.x[10], 224n, "it fetched the new text");
});
