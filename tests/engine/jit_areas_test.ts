/**
 * Compiled code behind page tables: what it finds of pages that lie beside each other or apart, what
 * it marks in the tables, and that it goes on behind a page that the TLB does not have.
 *
 * Each case does the same on the reference and on the JIT, to the instruction and to the bit of the
 * tables.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Engine } from "../../lib/engine/engine.ts";
import type { EngineMaker } from "../../lib/engine/engines.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { Mstatus } from "../../lib/hart/privilege.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { DATA_ENTRY } from "../../lib/memory/tlb.ts";
import { describeStop } from "./guest.ts";
import { hash } from "./jit_guest.ts";
import { LeafTables } from "./leaf_tables.ts";

/** Virtual and physical address of the code, of tables, and of data that is mapped as cases want it. */
const CODE = 0x10000, TABLES = 0x1000000, DATA = 0x40000000, FRAMES = 0x2000000;
/** Pages of tables, and frames. */
const TABLE_COUNT = 24, FRAME_COUNT = 4096;
/** Bits of an entry: valid and readable, writable, executable, for users, accessed, dirty. */
const R = 3, W = 4, X = 8, U = 16, A = 64, D = 128;
/** mstatus.SUM: the supervisor reaches what is for users. */
const { SUM } = Mstatus;

/** A hart in S-mode, and what its engine is asked to do. */
class Paged {
  readonly memory: Memory = new Memory();
  readonly hart: Hart;
  readonly engine: Engine;
  readonly notes: string[] = [];
  readonly #tables: LeafTables;

  constructor(make: EngineMaker) {
    const { memory } = this;
    memory.placeTracing(0x7ff00000, 0x7ff01000);
    memory.map(CODE, 2 * PAGE_SIZE, READ | WRITE | EXECUTE);
    memory.map(TABLES, TABLE_COUNT * PAGE_SIZE, READ | WRITE);
    memory.map(FRAMES, FRAME_COUNT * PAGE_SIZE, READ | WRITE);
    for (let k = 0; k < FRAME_COUNT * PAGE_SIZE; k += 512) {
      memory.view.setUint32(FRAMES + k, Math.imul(k / 512 + 1, 0x9e3779b1), true);
    }
    this.hart = new Hart(0, memory, "M");
    this.#tables = new LeafTables(memory, TABLES);
    const { csrs } = this.hart;
    csrs.write(0x3b0, -1n);
    csrs.write(0x3a0, 0x1fn);
    csrs.write(0x180, 8n << 60n | BigInt(TABLES / PAGE_SIZE));
    for (const at of [CODE, CODE + PAGE_SIZE]) this.entry(at, at, R | W | X | A | D);
    this.hart.mode = "S";
    this.hart.system!.changed();
    this.engine = make(memory);
  }

  /** Makes a leaf; nothing is fenced. */
  entry(virtual: number, physical: number, flags: number): void {
    const leaf = flags === 0 ? 0n : BigInt(physical / PAGE_SIZE) << 10n | BigInt(flags);
    this.#tables.set(virtual, leaf);
  }

  /** Maps pages of data to frames, by number, and makes the hart notice. */
  map(frames: readonly number[], flags = R | W | A | D, first = 0): void {
    frames.forEach((frame, k) =>
      this.entry(DATA + (first + k) * PAGE_SIZE, FRAMES + frame * PAGE_SIZE, flags)
    );
    this.fence();
  }

  fence(): void {
    this.hart.system!.translation.fence(undefined, undefined);
  }

  sum(on: boolean): void {
    const system = this.hart.system!;
    system.mstatus = on ? system.mstatus | SUM : system.mstatus & ~SUM;
    system.changed();
  }

  code(source: string): void {
    this.memory.poke(CODE, assemble(source, { origin: BigInt(CODE) }).bytes);
    this.hart.fetched.fence();
  }

  /** Runs from the start and notes all that it came to. */
  run(registers: Readonly<Record<number, number>>): void {
    const { hart, engine, memory } = this;
    for (const [register, value] of Object.entries(registers)) {
      hart.x[Number(register)] = BigInt(value);
    }
    hart.pc = BigInt(CODE);
    const before = hart.instret;
    const stop = describeStop(engine.run(hart, before + 400_000n));
    const { bytes } = memory;
    const tables = hash(bytes.subarray(TABLES, TABLES + TABLE_COUNT * PAGE_SIZE));
    const data = hash(bytes.subarray(FRAMES, FRAMES + 64 * PAGE_SIZE));
    const x = [10, 11, 12, 13].map((register) => hart.x[register]);
    this.notes.push(`${stop} after ${hart.instret - before}, ${x}, ${tables}, ${data}`);
  }

  /** Runs often enough that the code is compiled at any of the thresholds. */
  warm(registers: Readonly<Record<number, number>>, times = 40): void {
    for (let k = 0; k < times; k++) this.run(registers);
  }
}

const [a1, a2, a4, sp] = [11, 12, 14, 2];

/** Goes through memory from a1 on, a2 times by a4 bytes, with accesses that are asked for at once. */
const RECORDS = `
  li a0, 0
1: ld a3, 0(a1)
  add a0, a0, a3
  lw a3, 20(a1)
  add a0, a0, a3
  sd a0, 8(a1)
  lbu a3, 31(a1)
  add a0, a0, a3
  add a1, a1, a4
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`;
/** Reads a2 words, a4 bytes apart. */
const READER = `
  li a0, 0
1: ld a3, 0(a1)
  add a0, a0, a3
  add a1, a1, a4
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`;
/** A function with a frame, called a2 times. */
const FRAMES_OF = `
  li a0, 0
  mv a5, ra
1: call 2f
  addi a2, a2, -1
  bnez a2, 1b
  ebreak
2: addi sp, sp, -64
  sd a0, 56(sp)
  sd a2, 0(sp)
  addi a0, a0, 3
  ld a3, 56(sp)
  add a0, a0, a3
  ld a2, 0(sp)
  addi sp, sp, 64
  ret`;

const upTo = (count: number) => Array.from({ length: count }, (_, k) => k);

const CASES: Readonly<Record<string, (subject: Paged) => void>> = {
  "pages in one row, and their ends"(subject) {
    subject.map(upTo(8));
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA, [a2]: 900, [a4]: 32 });
    subject.run({ [a1]: DATA + 4, [a2]: 1000, [a4]: 31 });
    subject.run({ [a1]: DATA + 7 * PAGE_SIZE, [a2]: 200, [a4]: 32 });
    subject.run({ [a1]: DATA + 20, [a2]: 60, [a4]: -8 });
  },
  "pages that are apart, between which records lie"(subject) {
    subject.map([7, 3, 4, 1, 9, 2, 8, 0]);
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA + 8, [a2]: 1000, [a4]: 24 });
    subject.run({ [a1]: DATA + 4, [a2]: 1000, [a4]: 31 });
    for (let k = 1; k < 8; k++) {
      subject.warm({ [a1]: DATA + k * PAGE_SIZE - 16, [a2]: 400, [a4]: 0 }, 3);
    }
  },
  "a record whose last byte is in a page apart"(subject) {
    subject.map([7, 3]);
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA, [a2]: 100, [a4]: 32 });
    subject.run({ [a1]: DATA + PAGE_SIZE - 31, [a2]: 3, [a4]: 0 });
    subject.run({ [a1]: DATA + PAGE_SIZE - 32, [a2]: 3, [a4]: 1 });
  },
  "pages in the other order, and each twice"(subject) {
    subject.map([7, 6, 5, 4, 4, 5, 6, 7]);
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA, [a2]: 900, [a4]: 32 });
    subject.run({ [a1]: DATA + 4, [a2]: 1000, [a4]: 31 });
  },
  "a page between others that is mapped elsewhere, or taken away"(subject) {
    subject.code(RECORDS);
    for (const middle of [1, 5, 1, 9]) {
      subject.map([0, middle, 2]);
      subject.warm({ [a1]: DATA, [a2]: 380, [a4]: 32 }, 12);
      subject.entry(DATA + PAGE_SIZE, 0, 0);
      subject.fence();
      subject.warm({ [a1]: DATA, [a2]: 380, [a4]: 32 }, 3);
    }
  },
  "one page fenced"(subject) {
    subject.map(upTo(4));
    subject.code(READER);
    subject.warm({ [a1]: DATA, [a2]: 1000, [a4]: 16 });
    subject.entry(DATA + PAGE_SIZE, FRAMES + 20 * PAGE_SIZE, R | A);
    subject.hart.system!.translation.fence(BigInt(DATA + PAGE_SIZE), undefined);
    subject.warm({ [a1]: DATA, [a2]: 1000, [a4]: 16 }, 3);
  },
  "entries that are marked as they are accessed"(subject) {
    subject.code(RECORDS);
    subject.warm({ [a1]: CODE, [a2]: 40, [a4]: 0 });
    for (const flags of [R | W, R | W | A, R, R | A]) {
      subject.map(upTo(6), flags);
      subject.run({ [a1]: DATA + 2 * PAGE_SIZE - 24, [a2]: 3, [a4]: 0 });
      subject.run({ [a1]: DATA + 8, [a2]: 700, [a4]: 24 });
    }
    subject.code(READER);
    subject.map(upTo(6), R | W);
    subject.warm({ [a1]: DATA, [a2]: 100, [a4]: 64 }, 20);
    subject.run({ [a1]: DATA, [a2]: 600, [a4]: 40 });
    subject.hart.system!.menvcfg = 0n;
    subject.map(upTo(6), R | W);
    subject.run({ [a1]: DATA, [a2]: 600, [a4]: 40 });
  },
  "a stack in pages apart, and one that is only read"(subject) {
    subject.map([5, 3, 9, 1]);
    subject.code(FRAMES_OF);
    for (const at of [PAGE_SIZE * 2, PAGE_SIZE + 32, 2 * PAGE_SIZE + 8, PAGE_SIZE + 60]) {
      subject.warm({ [sp]: DATA + at, [a2]: 300 }, 8);
    }
    subject.code(`
  li a0, 0
1: ld a3, 8(sp)
  add a0, a0, a3
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`);
    subject.warm({ [sp]: DATA, [a2]: 300 }, 8);
    for (const flags of [R | W, R | W | A, R | A]) {
      subject.map([5], flags);
      subject.warm({ [sp]: DATA, [a2]: 300 }, 3);
    }
  },
  "the end of physical memory, behind which its start is mapped"(subject) {
    const last = 2 ** 32 - PAGE_SIZE;
    subject.memory.map(last, PAGE_SIZE, READ | WRITE);
    subject.memory.map(0, PAGE_SIZE, READ | WRITE);
    subject.entry(DATA, last, R | W | A | D);
    subject.entry(DATA + PAGE_SIZE, 0, R | W | A | D);
    subject.fence();
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA, [a2]: 250, [a4]: 32 });
    for (const before of [4, 24, 28, 12, 2]) {
      subject.run({ [a1]: DATA + PAGE_SIZE - before, [a2]: 30, [a4]: 0 });
    }
  },
  "addresses that no page table has"(subject) {
    subject.map(upTo(2));
    subject.code(READER);
    subject.warm({ [a1]: DATA, [a2]: 500, [a4]: 8 });
    for (const beyond of [2 ** 39, 2 ** 62, -(2 ** 38) - PAGE_SIZE, 2 ** 38, 2 ** 32]) {
      subject.run({ [a1]: beyond, [a2]: 5, [a4]: 8 });
      subject.run({ [a1]: DATA + beyond, [a2]: 5, [a4]: 8 });
    }
  },
  "rights that come and go with SUM"(subject) {
    subject.map(upTo(3), R | W | U | A | D);
    subject.code(RECORDS);
    for (const on of [true, false, true, true, false]) {
      subject.sum(on);
      subject.warm({ [a1]: DATA, [a2]: 300, [a4]: 32 }, 12);
    }
  },
  "stores that somebody is told of"(subject) {
    subject.map(upTo(4));
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA, [a2]: 500, [a4]: 32 });
    const told: number[] = [];
    const page = FRAMES / PAGE_SIZE + 1;
    const watch = subject.memory.watch.watchStores(page, (address) => void told.push(address));
    subject.run({ [a1]: DATA, [a2]: 500, [a4]: 32 });
    watch[Symbol.dispose]();
    subject.run({ [a1]: DATA, [a2]: 500, [a4]: 32 });
    subject.notes.push(`told of ${told.length}: ${told.slice(0, 3)}`);
  },
  "a table that somebody watches while its entries are marked"(subject) {
    subject.map(upTo(600), R | W);
    subject.code(READER);
    subject.warm({ [a1]: DATA, [a2]: 100, [a4]: 0 });
    const told: string[] = [];
    const { hart } = subject;
    // Who is told is to find the hart where it is.
    const tables = upTo(TABLE_COUNT).map((k) =>
      subject.memory.watch.watchStores(
        TABLES / PAGE_SIZE + k,
        (at) => void told.push(`${at} at ${hart.pc}, ${hart.instret}`),
      )
    );
    subject.run({ [a1]: DATA, [a2]: 500, [a4]: PAGE_SIZE });
    for (const each of tables) each[Symbol.dispose]();
    subject.notes.push(`told of ${told.length}: ${told.slice(0, 3)}`);
  },
  "misaligned accesses that trap before anything is marked"(subject) {
    subject.hart.trapsMisaligned = true;
    subject.code(READER);
    subject.map([0, 1], R);
    subject.warm({ [a1]: DATA, [a2]: 100, [a4]: 8 });
    subject.map(upTo(4), R | W);
    subject.run({ [a1]: DATA + PAGE_SIZE + 4, [a2]: 5, [a4]: 8 });
    subject.run({ [a1]: DATA + 2 * PAGE_SIZE, [a2]: 5, [a4]: 9 });
    subject.code(`
  li a0, 0
1: amoadd.d a3, a2, (a1)
  addi a2, a2, -1
  bnez a2, 1b
  ebreak`);
    subject.warm({ [a1]: DATA, [a2]: 100 });
    subject.run({ [a1]: DATA + 3 * PAGE_SIZE + 4, [a2]: 5 });
  },
  "more pages than the TLB has room for"(subject) {
    subject.map(upTo(FRAME_COUNT), R | W);
    subject.code(RECORDS);
    subject.warm({ [a1]: DATA, [a2]: 3000, [a4]: PAGE_SIZE + 8 }, 2);
    subject.warm({ [a1]: DATA + 4, [a2]: 3000, [a4]: PAGE_SIZE }, 2);
  },
};

for (const [what, check] of Object.entries(CASES)) {
  Deno.test(`compiled code behind page tables does as the reference: ${what}`, () => {
    const expected = new Paged(createReference);
    check(expected);
    for (const jitThreshold of [0, 1, 40]) {
      const subject = new Paged((memory) => createJit(memory, { jitThreshold, statistics: true }));
      check(subject);
      assertEquals(subject.notes, expected.notes, `jitThreshold ${jitThreshold}`);
      const { instructions } = subject.engine.statistics!()!;
      assert(instructions.regions > 0, `jitThreshold ${jitThreshold}: nothing was compiled`);
    }
  });
}

/** A subject on a JIT that counts, and how often compiled code left something to the reference. */
function counted(): { subject: Paged; declined: () => number } {
  const subject = new Paged((memory) => createJit(memory, { jitThreshold: 0, statistics: true }));
  return { subject, declined: () => subject.engine.statistics!()!.exits.declined };
}

Deno.test("compiled code goes on behind pages that the TLB does not have", () => {
  const { subject, declined } = counted();
  const pages = DATA_ENTRY.count * 3;
  subject.map(upTo(pages), R | W);
  subject.code(READER);
  subject.warm({ [a1]: DATA, [a2]: pages, [a4]: PAGE_SIZE }, 4);
  assert(declined() < 20, `${declined()} accesses of ${4 * pages} were left to the reference`);
});

Deno.test("compiled code asks for each access by itself where pages lie apart", () => {
  const { subject, declined } = counted();
  subject.map([7, 3]);
  subject.code(RECORDS);
  subject.warm({ [a1]: DATA + PAGE_SIZE - 16, [a2]: 1000, [a4]: 0 }, 20);
  const before = declined();
  assert(before > 100, `only ${before} accesses were left to the reference`);
  subject.warm({ [a1]: DATA + PAGE_SIZE - 16, [a2]: 1000, [a4]: 0 }, 20);
  const after = declined() - before;
  assert(after <= 20, `${after} accesses of 80000 were left to the reference later`);
});

Deno.test("compiled code is not left between pages that lie in one row", () => {
  const { subject, declined } = counted();
  subject.map(upTo(16));
  subject.code(RECORDS);
  subject.warm({ [a1]: DATA, [a2]: 2000, [a4]: 24 }, 2);
  const before = declined();
  subject.warm({ [a1]: DATA, [a2]: 2000, [a4]: 24 }, 20);
  assertEquals(declined(), before);
});
