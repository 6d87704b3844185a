/**
 * Instructions of four bytes that begin in one page and end in another, where page tables have the
 * last word on which one that is.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { EngineMaker } from "../../lib/engine/engines.ts";
import type { Hart } from "../../lib/hart/hart.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { ENGINES } from "./engines.ts";
import { createGuest, describeStop, type Guest } from "./guest.ts";
import { LeafTables } from "./leaf_tables.ts";

/** Where the code is for the hart; the instruction begins two bytes before the second page. */
const CODE = 0x10000, NEXT = CODE + PAGE_SIZE, ACROSS = NEXT - 2;
/** The same first page at another address, with another one behind it. */
const ALIAS = 0x50000;
/** Physical pages: the first one, the second, and others in its place; all of them apart. */
const FIRST = 0x200000, SECOND = 0x205000, THIRD = 0x207000;
/** What lies behind the first page in physical memory, and is nobody's second one. */
const DECOY = FIRST + PAGE_SIZE;
const TABLES = 0x400000;
const READABLE = 0x43, EXECUTABLE = 0x4b;

/** A hart in S-mode, behind page tables. */
class Paged {
  readonly guest: Guest;
  readonly #tables: LeafTables;

  constructor(make: EngineMaker) {
    this.guest = createGuest(make, "M");
    const { memory, hart } = this.guest;
    memory.map(0x200000, 0x10000, READ | WRITE | EXECUTE);
    memory.map(TABLES, 0x10000, READ | WRITE);
    this.#tables = new LeafTables(memory, TABLES);
    const system = hart.system!;
    system.pmp.writeAddress(0, -1n);
    system.pmp.writeConfig(0, 0x1fn);
    hart.csrs.write(0x180, 8n << 60n | BigInt(TABLES / PAGE_SIZE));
    hart.mode = "S";
    system.changed();
    this.map(CODE, FIRST);
    this.map(NEXT, SECOND);
  }

  get hart(): Hart {
    return this.guest.hart;
  }

  /** Maps a page, by tables of three levels. The TLB is left as it is. */
  map(address: number, physical: number, flags = EXECUTABLE): void {
    const entry = flags === 0 ? 0n : BigInt(physical / PAGE_SIZE) << 10n | BigInt(flags);
    this.#tables.set(address, entry);
  }

  /** sfence.vma of all addresses. */
  flush(): void {
    this.hart.system!.translation.fence(undefined, undefined);
  }

  /** Puts code across the end of the first page; each half goes to the page given for it. */
  write(source: string, origin: number, second = SECOND): void {
    const { bytes } = assemble(source, { origin: BigInt(origin) });
    const split = NEXT - origin;
    this.guest.memory.poke(FIRST + origin - CODE, bytes.subarray(0, split));
    this.guest.memory.poke(second, bytes.subarray(split));
  }

  /** Makes `addi a0, a0, k` of the instruction by its second half only. */
  add(k: number, second = SECOND): void {
    this.guest.memory.poke(second, new Uint8Array(new Uint16Array([k << 4 | 5]).buffer));
  }

  /** Runs from `pc` on with a0 = 0 and a1 = `count`. */
  run(count: number, pc = LOOP): string {
    this.hart.x[10] = 0n;
    this.hart.x[11] = BigInt(count);
    this.hart.pc = BigInt(pc);
    return describeStop(this.guest.engine.run(this.hart, this.hart.instret + 100_000n));
  }

  /** How much a loop adds in one round. */
  added(pc = LOOP): number {
    const stop = this.run(100, pc);
    assertEquals(stop, `trap 3 value 0x${(pc + 16).toString(16)} at 0x${(pc + 16).toString(16)}`);
    return Number(this.hart.x[10]!) / 100;
  }
}

const LOOP = ACROSS - 8;
/** Adds to a0, by the instruction that lies across, as often as a1 says. */
const SOURCE = "loop: addi a1, a1, -1\nnop\naddi a0, a0, 1\nbnez a1, loop\nebreak";

function paged(make: EngineMaker): Paged {
  const guest = new Paged(make);
  guest.write(SOURCE, LOOP);
  guest.write(SOURCE, LOOP, THIRD);
  guest.add(3, THIRD);
  guest.write(SOURCE, LOOP, DECOY);
  guest.add(7, DECOY);
  return guest;
}

const CASES: Readonly<Record<string, (guest: Paged) => void>> = {
  "takes its second half from the page that is mapped behind it"(guest) {
    assertEquals(guest.added(), 1);
    assertEquals(guest.hart.fetched.peek(FIRST + PAGE_SIZE - 2), undefined);
  },
  "sees another second page behind sfence.vma"(guest) {
    assertEquals(guest.added(), 1);
    guest.map(NEXT, THIRD);
    guest.flush();
    assertEquals(guest.added(), 3);
    guest.map(NEXT, SECOND);
    guest.flush();
    assertEquals(guest.added(), 1);
  },
  "has the second half of each address at which its first one is"(guest) {
    guest.map(ALIAS, FIRST);
    guest.map(ALIAS + PAGE_SIZE, THIRD);
    for (let times = 0; times < 3; times++) {
      assertEquals(guest.added(), 1);
      assertEquals(guest.added(LOOP - CODE + ALIAS), 3);
    }
  },
  "is as it was fetched until fence.i when its second half changes"(guest) {
    assertEquals(guest.added(), 1);
    guest.add(5);
    assertEquals(guest.added(), 1);
    guest.hart.fetched.fence();
    assertEquals(guest.added(), 5);
    guest.add(6);
    guest.hart.fetched.fence();
    assertEquals(guest.added(), 6);
  },
  "is as it was fetched until fence.i when its first half changes"(guest) {
    assertEquals(guest.added(), 1);
    // c.addi a0, 2
    guest.guest.memory.poke(FIRST + PAGE_SIZE - 2, new Uint8Array([0x09, 0x05]));
    // c.nop, where the second half was
    guest.guest.memory.poke(SECOND, new Uint8Array([0x01, 0x00]));
    assertEquals(guest.added(), 1);
    guest.hart.fetched.fence();
    assertEquals(guest.added(), 2);
  },
  "faults when its second page is gone, or not to be executed"(guest) {
    assertEquals(guest.added(), 1);
    for (const flags of [0, READABLE]) {
      guest.map(NEXT, SECOND, flags);
      guest.flush();
      assertEquals(guest.run(1), "trap 12 value 0x11000 at 0x10ffe");
      assertEquals(guest.hart.x[10], 0n);
    }
    guest.map(NEXT, SECOND);
    guest.flush();
    assertEquals(guest.added(), 1);
  },
  "faults when PMP has its second page"(guest) {
    assertEquals(guest.added(), 1);
    const { csrs } = guest.hart;
    guest.hart.mode = "M";
    csrs.write(0x3b1, -1n);
    csrs.write(0x3b0, BigInt(SECOND) >> 2n | 511n);
    csrs.write(0x3a0, 0x1f19n);
    guest.hart.mode = "S";
    guest.hart.system!.changed();
    assertEquals(guest.run(1), "trap 1 value 0x11000 at 0x10ffe");
  },
  "meets a hook at it each time, and executes it behind"(guest) {
    assertEquals(guest.added(), 1);
    let asked = 0;
    const hook = guest.guest.engine.hook(ACROSS, { host: () => void asked++ });
    assertEquals([guest.added(), asked], [1, 100]);
    hook[Symbol.dispose]();
    assertEquals([guest.added(), asked], [1, 100]);
  },
  "stops before and behind it where the limit is"(guest) {
    const { hart, guest: { engine } } = guest;
    guest.added();
    hart.pc = BigInt(LOOP);
    hart.x[11] = 10n;
    for (const pc of [LOOP + 4, ACROSS, NEXT + 2, LOOP]) {
      assertEquals(engine.run(hart, hart.instret + 1n).kind, "limit");
      assertEquals(hart.pc, BigInt(pc));
    }
  },
  "jumps, branches and links from where it is"(guest) {
    const results: string[] = [];
    for (
      const line of [
        "auipc a0, 1",
        "jal a0, target",
        "beq zero, zero, target",
        "bne zero, zero, target",
        "jalr a0, 0(a2)",
        "j back",
        "lw a0, 0(a3)",
        "ecall",
      ]
    ) {
      guest.write(`back: ebreak\nnop\n${line}\nebreak\ntarget: ebreak`, LOOP);
      guest.hart.fetched.drop();
      guest.hart.x[12] = BigInt(NEXT + 2 + 4);
      guest.hart.x[13] = 0x90000n;
      for (let times = 0; times < 2; times++) {
        guest.hart.x[10] = 0n;
        guest.hart.pc = BigInt(LOOP + 4);
        const stop = describeStop(guest.guest.engine.run(guest.hart, guest.hart.instret + 100n));
        results.push(`${line}: ${stop.split(" ").at(-1)} ${guest.hart.x[10]!.toString(16)}`);
      }
    }
    const twice = (text: string) => [text, text];
    assertEquals(results, [
      ...twice("auipc a0, 1: 0x11002 11ffe"),
      ...twice("jal a0, target: 0x11006 11002"),
      ...twice("beq zero, zero, target: 0x11006 0"),
      ...twice("bne zero, zero, target: 0x11002 0"),
      ...twice("jalr a0, 0(a2): 0x11006 11002"),
      ...twice("j back: 0x10ff6 0"),
      ...twice("lw a0, 0(a3): 0x10ffe 0"),
      ...twice("ecall: 0x10ffe 0"),
    ]);
  },
};

for (const { name, make } of ENGINES) {
  for (const [what, check] of Object.entries(CASES)) {
    Deno.test(`an instruction across two pages on ${name} ${what}`, () => check(paged(make)));
  }
}
