/**
 * What compiled code takes for granted of memory, and what becomes of it when that changes: each
 * case does the same on the reference and on the JIT.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { REGION_INSTRET } from "../../lib/hart/state.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import {
  CODE,
  CONSTANTS,
  createGuest,
  DATA,
  describeStop,
  type Guest,
  NOTHING,
  resetGuest,
  setRegisters,
  TRACING,
} from "./guest.ts";

const A = 0x40000, B = 0x50000, BOTH = READ | WRITE;

/** A guest and what is asked of it. */
class Subject {
  readonly guest: Guest;
  readonly notes: string[] = [];

  constructor(guest: Guest) {
    this.guest = guest;
    resetGuest(guest);
  }

  /** Puts code into memory; the hart fetches it anew. */
  code(source: string, at = CODE): void {
    this.guest.memory.poke(at, assemble(source, { origin: BigInt(at) }).bytes);
    this.guest.hart.fetched.fence();
  }

  /** Runs from the start, or a pc, and notes how it stops, what was counted, and a0. */
  run(registers: Readonly<Record<string, number>> = {}, pc = CODE): void {
    const { hart, engine } = this.guest;
    const values = Object.entries(registers).map(([name, value]) => [name, BigInt(value)]);
    setRegisters(this.guest, Object.fromEntries(values));
    hart.pc = BigInt(pc);
    const before = hart.instret;
    const stop = describeStop(engine.run(hart, before + 100_000n));
    const count = hart.instret - before;
    this.notes.push(`${stop} after ${count}, a0 ${hart.x[10]}, overhead ${hart.overhead}`);
  }

  /** Runs often enough that the code is compiled at any of the thresholds. */
  warm(registers: Readonly<Record<string, number>> = {}, pc = CODE): void {
    for (let k = 0; k < 40; k++) this.run(registers, pc);
  }

  word(address: number): void {
    this.notes.push(`0x${this.guest.memory.view.getBigUint64(address, true).toString(16)}`);
  }
}

/** Reads through a1 what a2 says, several times in a row in one block. */
const READER = `
  li a0, 0
1: ld a3, 0(a1)
  add a0, a0, a3
  addi a1, a1, 8
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`;
/** Writes a2 words through a1. */
const WRITER = `
1: sd a2, 0(a1)
  addi a1, a1, 8
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`;

const CASES: Readonly<Record<string, (subject: Subject) => void>> = {
  "a page that is gone, for a loop that reads"(subject) {
    const { memory } = subject.guest;
    memory.map(A, 3 * PAGE_SIZE, BOTH);
    subject.code(READER);
    subject.warm({ a1: A, a2: 600 });
    for (const [page, permissions] of [[1, 0], [1, READ], [2, WRITE], [0, EXECUTE], [2, 0]]) {
      memory.protect(A + page! * PAGE_SIZE, PAGE_SIZE, permissions!);
      subject.run({ a1: A, a2: 1200 });
      subject.run({ a1: A + PAGE_SIZE - 4, a2: 600 });
      subject.run({ a1: A + 2 * PAGE_SIZE, a2: 40 });
    }
  },
  "a page that is gone, for a loop that writes"(subject) {
    const { memory } = subject.guest;
    memory.map(A, 3 * PAGE_SIZE, BOTH);
    subject.code(WRITER);
    subject.warm({ a1: A, a2: 600 });
    for (const [page, permissions] of [[1, READ], [1, BOTH], [2, WRITE], [0, READ], [2, 0]]) {
      memory.protect(A + page! * PAGE_SIZE, PAGE_SIZE, permissions!);
      subject.run({ a1: A, a2: 1200 });
      subject.run({ a1: A + PAGE_SIZE - 4, a2: 600 });
      subject.word(A + PAGE_SIZE - 8);
      subject.word(A + PAGE_SIZE);
    }
  },
  "each of several pages that one access was expected in"(subject) {
    const { memory } = subject.guest;
    memory.map(A, PAGE_SIZE, BOTH);
    memory.map(B, PAGE_SIZE, BOTH);
    subject.code(`
  li a2, 9
1: ld a0, 0(a1)
  lui a1, ${B / PAGE_SIZE}
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`);
    subject.warm({ a1: A });
    memory.unmap(A, PAGE_SIZE);
    subject.run({ a1: A });
    memory.map(A, PAGE_SIZE, BOTH);
    subject.warm({ a1: A });
    memory.unmap(B, PAGE_SIZE);
    subject.run({ a1: A });
  },
  "addresses that are constants"(subject) {
    const { memory } = subject.guest;
    memory.map(A, PAGE_SIZE, BOTH);
    subject.code(`
  lui a1, ${A / PAGE_SIZE}
  ld a0, 8(a1)
  addi a0, a0, 1
  sd a0, 8(a1)
  ld a3, 16(zero)
  ebreak`);
    subject.warm();
    memory.map(0, PAGE_SIZE, BOTH);
    subject.warm();
    memory.protect(A, PAGE_SIZE, READ);
    subject.run();
    memory.unmap(0, PAGE_SIZE);
    memory.protect(A, PAGE_SIZE, BOTH);
    subject.run();
    memory.unmap(A, PAGE_SIZE);
    subject.run();
  },
  "ends of what is mapped, by every byte"(subject) {
    subject.code(`
  ld a0, -8(a1)
  lw a3, 0(a1)
  lh a4, 4(a1)
  lb a5, 6(a1)
  ld a6, 7(a1)
  ebreak`);
    for (const edge of [DATA, CONSTANTS, CONSTANTS + PAGE_SIZE, NOTHING]) {
      for (let k = -20; k <= 20; k++) subject.run({ a1: edge + k });
    }
  },
  "addresses around 0 and 4 GiB, and with bits above"(subject) {
    const { memory } = subject.guest;
    memory.map(0, PAGE_SIZE, BOTH);
    memory.map(2 ** 32 - PAGE_SIZE, PAGE_SIZE, BOTH);
    subject.code(`
  ld a0, 0(a1)
  ld a0, 16(a1)
  sd a1, 8(a1)
  ebreak`);
    for (const at of [0, 2 ** 32 - PAGE_SIZE]) {
      subject.warm({ a1: at });
      for (let k = 0; k < 40; k++) subject.run({ a1: at + k - 20 });
      for (let k = 0; k < 40; k++) subject.run({ a1: at + PAGE_SIZE - 20 + k });
    }
    subject.run({ a1: 2 ** 32 + 64 });
    subject.run({ a1: -(2 ** 32) + 64 });
    subject.run({ a1: 2 ** 33 - PAGE_SIZE });
  },
  "text that is stored to, and fetched again"(subject) {
    subject.code(`
  li a0, 0
  la a3, 2f
  ld a4, 0(a3)
1: sw a1, 0(a3)
  fence.i
2: addi a0, a0, 1
  addi a2, a2, -1
  bnez a2, 2b
  sd a4, 0(a3)
  fence.i
  ebreak`);
    subject.warm({ a1: 0x00250513, a2: 5 });
    subject.run({ a1: 0x00350513, a2: 5 });
    subject.run({ a1: 0x00150513, a2: 5 });
    // Without a fence.i the old text goes on.
    subject.code("la a3, 2f\nsw a1, 0(a3)\n2: addi a0, a0, 1\nebreak");
    subject.warm({ a1: 0x00150513, a0: 0 });
    for (const a1 of [0x00750513, 0x00850513]) subject.run({ a1, a0: 0 });
    subject.guest.hart.fetched.fence();
    subject.run({ a1: 0x00850513, a0: 0 });
  },
  "a small JIT of the guest's, which writes a function and calls it"(subject) {
    subject.guest.memory.map(A, 2 * PAGE_SIZE, BOTH | EXECUTE);
    subject.code(`
  mv s3, ra
  li a0, 0
  lui s0, ${A / PAGE_SIZE}
  li s1, 60
1: slli a3, s1, 20
  lui a4, 0x50
  addi a4, a4, 0x513
  or a3, a3, a4
  sw a3, 0(s0)
  li a4, 0x8067
  sw a4, 4(s0)
  fence.i
  jalr s0
  jalr s0
  addi s0, s0, 4
  addi s1, s1, -1
  bnez s1, 1b
  ebreak`);
    for (let k = 0; k < 6; k++) subject.run();
    subject.word(A);
  },
  "data beside text on one page"(subject) {
    const { memory } = subject.guest;
    memory.map(A, PAGE_SIZE, BOTH | EXECUTE);
    subject.code(WRITER, A);
    subject.warm({ a1: A + 0x800, a2: 50 }, A);
    subject.word(A + 0x800);
    subject.code("li a0, 5\nebreak", A + 0x800);
    subject.run({}, A + 0x800);
    subject.run({ a1: A + 0x7f0, a2: 2 }, A);
    subject.run({}, A + 0x800);
    subject.run({ a1: A + 0x7f8, a2: 3 }, A);
    subject.guest.hart.fetched.fence();
    subject.run({}, A + 0x800);
  },
  "code whose page may no longer be executed, or is other code's"(subject) {
    const { memory, hart } = subject.guest;
    memory.map(A, PAGE_SIZE, READ | EXECUTE);
    memory.map(B, PAGE_SIZE, READ | EXECUTE);
    subject.code("1: addi a0, a0, 3\naddi a2, a2, -1\nbnez a2, 1b\nret", A);
    subject.code(`mv s3, ra\nlui a3, ${A / PAGE_SIZE}\njalr a3\naddi a0, a0, 100\nebreak`);
    subject.warm({ a0: 0, a2: 10 });
    memory.protect(A, PAGE_SIZE, READ);
    hart.fetched.drop(A, A + PAGE_SIZE);
    subject.run({ a0: 0, a2: 10 });
    memory.map(A, PAGE_SIZE, READ | EXECUTE);
    subject.code("addi a0, a0, 7\nret", A);
    hart.fetched.drop(A, A + PAGE_SIZE);
    subject.run({ a0: 0, a2: 10 });
    memory.unmap(A, PAGE_SIZE);
    hart.fetched.drop(A, A + PAGE_SIZE);
    subject.run({ a0: 0, a2: 10 });
  },
  "a page where stores are told of"(subject) {
    const { memory } = subject.guest;
    const told: number[] = [];
    memory.map(A, 2 * PAGE_SIZE, BOTH);
    subject.code(WRITER);
    subject.warm({ a1: A + PAGE_SIZE - 64, a2: 16 });
    const watch = memory.watch.watchStores(A / PAGE_SIZE + 1, (address) => void told.push(address));
    subject.run({ a1: A + PAGE_SIZE - 64, a2: 16 });
    subject.notes.push(told.map((each) => each.toString(16)).join());
    assertEquals(told.length, 8);
    watch[Symbol.dispose]();
    subject.warm({ a1: A + PAGE_SIZE - 64, a2: 16 });
    assertEquals(told.length, 8);
  },
  "a device"(subject) {
    const asked: string[] = [];
    subject.guest.memory.bus.attach({
      start: A,
      end: A + 0x100,
      read: (offset, bytes) => BigInt(asked.push(`read ${offset} ${bytes}`)),
      write: (offset, bytes, value) => asked.push(`write ${offset} ${bytes} ${value}`) > 0,
    });
    subject.code(`
  li a0, 0
1: lw a3, 4(a1)
  add a0, a0, a3
  sw a0, 8(a1)
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`);
    subject.warm({ a1: DATA, a2: 9 });
    subject.run({ a1: A, a2: 9 });
    subject.warm({ a1: DATA, a2: 9 });
    subject.notes.push(...asked);
    assertEquals(asked.length, 18);
  },
  "a reservation, with stores in between and behind"(subject) {
    subject.code(`
  li a0, 0
1: lr.d a3, (a1)
  addi a3, a3, 1
  sc.d a4, a3, (a1)
  add a0, a0, a4
  lr.d a3, (a1)
  sd a3, 0(a5)
  sc.d a4, a3, (a1)
  slli a0, a0, 1
  add a0, a0, a4
  amoadd.d a3, a2, (a1)
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`);
    subject.warm({ a1: DATA + 64, a5: DATA + 72, a2: 12 });
    subject.run({ a1: DATA + 64, a5: DATA + 64, a2: 12 });
    subject.run({ a1: DATA + 4, a5: DATA + 64, a2: 12 });
    subject.run({ a1: CONSTANTS, a5: DATA + 64, a2: 12 });
    subject.word(DATA + 64);
  },
  "code right before the tracing range"(subject) {
    subject.guest.memory.map(TRACING - PAGE_SIZE, PAGE_SIZE, READ | EXECUTE);
    const at = TRACING - 20;
    subject.code(
      `
  li a2, 9
2: addi a2, a2, -1
  bnez a2, 2b
  addi a0, a0, 1
  j 1f
  .zero 64
1: addi a0, a0, 5
  ret`,
      at,
    );
    subject.code("ebreak");
    subject.warm({ ra: CODE, a0: 0 }, at);
  },
};

/** A case on the reference. */
function expectedOf(check: (subject: Subject) => void): readonly string[] {
  const subject = new Subject(createGuest(createReference));
  check(subject);
  return subject.notes;
}

for (const [what, check] of Object.entries(CASES)) {
  Deno.test(`compiled code notices as the reference does: ${what}`, () => {
    const expected = expectedOf(check);
    for (const jitThreshold of [0, 1, 40]) {
      const guest = createGuest((memory) => createJit(memory, { jitThreshold }));
      const subject = new Subject(guest);
      check(subject);
      const compiled = guest.memory.hostView.getBigInt64(REGION_INSTRET, true);
      assertEquals(subject.notes, expected, `jitThreshold ${jitThreshold}`);
      assert(compiled > 0n, `jitThreshold ${jitThreshold}: nothing was compiled`);
    }
  });
}
