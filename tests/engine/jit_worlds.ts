/**
 * What a random program of `cfg_program.ts` lives in: memory of its own at every kind of edge, and
 * somebody who changes permissions, text, hooks and breakpoints whenever it stops.
 *
 * @module
 */
import { PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { callPair, wordBytes } from "../../lib/patcher/scheme.ts";
import { CFG_CODE, CFG_NOP, cfgProgram } from "./cfg_program.ts";
import { FUZZ_CLASSES, type FuzzClass } from "./fuzz_pieces.ts";
import type { Mapped, RunningGuest, RunPlan } from "./jit_guest.ts";
import { ALIAS } from "./jit_paged.ts";
import { createRandom, type Random } from "./random.ts";

/** First page of the program's memory, unless that is at an end of the guest's. */
const BASE = 0x300000;
const BOTH = READ | WRITE;

const row = (...permissions: readonly number[]): Mapped[] =>
  permissions.map((each, k) => ({ start: BASE + k * PAGE_SIZE, pages: 1, permissions: each }));

/** Where x8 points, and what is mapped there. */
const WORLDS: readonly { readonly arena: number; readonly mapped: readonly Mapped[] }[] = [
  { arena: BASE + 0x1800, mapped: row(BOTH, BOTH, BOTH) },
  { arena: BASE + 0x1000, mapped: row(BOTH) },
  { arena: BASE + 0x1000, mapped: row(BOTH, READ) },
  { arena: BASE + 0x1000, mapped: row(READ, BOTH) },
  { arena: BASE + 0x1000, mapped: row(WRITE, BOTH) },
  { arena: BASE + 0x10, mapped: row(BOTH, BOTH) },
  { arena: 0xfffffe00, mapped: [{ start: 0xfffff000, pages: 1, permissions: BOTH }] },
  { arena: 0x200, mapped: [{ start: 0, pages: 1, permissions: BOTH }] },
];

const KINDS: readonly (readonly FuzzClass[])[] = [
  ["integer"],
  ["memory"],
  ["float", "memory"],
  FUZZ_CLASSES.filter((kind) => kind !== "selfmod" && kind !== "mixed"),
  ["control", "compressed", "atomic"],
  ["selfmod", "integer", "control"],
];

/** A program, its memory and how it is stopped: the same for the same seed. */
export function randomPlan(seed: number, most: number): RunPlan {
  const random = createRandom(seed);
  const { arena, mapped } = random.pick(WORLDS);
  const kinds = random.pick(KINDS);
  const functions = random.pick([1, 2, 4, 8]), blocks = random.pick([2, 4, 8, 12]);
  const fuel = random.pick([50, 300, 1000]);
  const program = cfgProgram({ functions, blocks, fuel, arena, kinds }, random);
  return {
    program,
    mapped,
    writesText: kinds.includes("selfmod"),
    seed,
    mode: random.pick(["U", "M", "S", "paged U"]),
    aligned: random.below(4) === 0,
    slices: random.pick([[1, 2, 3, 5, 17, 100], [1000, 3000, 7], [100000, 500]]),
    most,
    ...(random.below(2) === 0 ? {} : { meddle: meddler() }),
  };
}

/** Makes somebody who does one thing to the guest whenever it stops. */
function meddler(): (guest: RunningGuest, random: Random) => void {
  const guests = new WeakMap<RunningGuest, Meddler>();
  return (guest, random) => {
    let meddler = guests.get(guest);
    if (!meddler) guests.set(guest, meddler = new Meddler(guest, random));
    meddler.act();
  };
}

class Meddler {
  readonly #guest: RunningGuest;
  readonly #random: Random;
  readonly #places: Disposable[] = [];
  /** How often any hook or breakpoint was asked: part of what the guest sees. */
  #asked = 0;

  constructor(guest: RunningGuest, random: Random) {
    this.#guest = guest;
    this.#random = random;
  }

  act(): void {
    const { hart: { fetched } } = this.#guest;
    switch (this.#random.below(7)) {
      case 0:
      case 1:
        return this.#protect();
      case 2:
        return this.#hook();
      case 3: {
        const at = this.#random.below(Math.max(1, this.#places.length));
        return this.#places.splice(at, 1)[0]?.[Symbol.dispose]();
      }
      case 4:
        return this.#random.below(2) === 0 ? this.#switchSite() : this.#switchFunction();
      case 5:
        return this.#moveToAlias();
      default:
        return fetched.drop();
    }
  }

  /** Changes a page of memory to play with, or one beside it. */
  #protect(): void {
    const { memory, hart, program, tables } = this.#guest;
    const random = this.#random;
    const page = Math.floor(program.arena / PAGE_SIZE) - 1 + random.below(3);
    const start = page * PAGE_SIZE;
    if (page < 0 || start >= 2 ** 32) return;
    const permissions = random.pick([0, READ, WRITE, BOTH, BOTH, BOTH, BOTH]);
    if (tables) return tables.protect(start, permissions);
    if (random.below(8) === 0) memory.map(start, PAGE_SIZE, permissions);
    else memory.protect(start, PAGE_SIZE, permissions);
    if (random.below(2) === 0) hart.fetched.drop(start, start + PAGE_SIZE);
  }

  /** Goes on in the same page of code at its other address. */
  #moveToAlias(): void {
    const { hart, tables } = this.#guest;
    const pc = hart.pcNumber;
    if (tables) hart.pc = BigInt(pc >= ALIAS ? pc - ALIAS : pc + ALIAS);
  }

  #address(): number {
    return Number(this.#random.pick(this.#guest.program.assembly.instructions).address);
  }

  /** Puts a hook or a breakpoint at an instruction, unless there is one. */
  #hook(): void {
    const { engine } = this.#guest;
    const pc = this.#address();
    const count = () => ++this.#asked;
    try {
      this.#places.push(
        this.#random.pick([
          () => engine.breakAt(pc, () => count() % 3 === 0),
          () => engine.hook(pc, { host: (hart) => void (hart.x[10] = BigInt(count())) }),
          () => engine.hook(pc, { host: () => count() % 2 === 0 ? "stop" : undefined }),
          () => engine.hook(pc, { host: () => void count(), emit: ({ code }) => void code.i32(0) }),
        ])(),
      );
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** Switches the site that a function begins with, if it does: off, off with t0 set, or on. */
  #switchFunction(): void {
    const { memory, hart, physical, program: { bounds, assembly } } = this.#guest;
    const entry = this.#random.pick(bounds.slice(1, -1));
    if (new Set([0, 3, 4, 7].map((at) => Math.floor((entry + at) / PAGE_SIZE))).size > 1) return;
    const at = physical(entry);
    const [first, second] = [0, 4].map((word) => memory.view.getUint32(at + word, true));
    const [auipc, jalr] = callPair("t0", BigInt(entry), assembly.symbols.get("tracer")!);
    if (![CFG_NOP, auipc].includes(first!) || ![CFG_NOP, jalr].includes(second!)) return;
    const words = this.#random.pick([[CFG_NOP, CFG_NOP], [auipc, CFG_NOP], [auipc, jalr]]);
    memory.poke(at, wordBytes(...words));
    hart.fetched.fence();
  }

  /** Makes an instruction a nop of its length, or what it was before, as a patcher does. */
  #switchSite(): void {
    const { memory, hart, program, physical } = this.#guest;
    const virtual = this.#address();
    const at = physical(virtual);
    const half = memory.view.getUint16(at, true);
    const length = (half & 3) === 3 ? 4 : 2;
    const nop = new Uint8Array(length === 4 ? [0x13, 0, 0, 0] : [1, 0]);
    const isNop = nop.every((byte, k) => memory.bytes[at + k] === byte);
    const before = program.assembly.bytes.subarray(virtual - CFG_CODE, virtual - CFG_CODE + length);
    if (at % PAGE_SIZE === PAGE_SIZE - 2 && length === 4) return;
    memory.poke(at, isNop ? before : nop);
    hart.fetched.fence();
  }
}
