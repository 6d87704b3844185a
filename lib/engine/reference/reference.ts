/**
 * The reference engine: executes one instruction at a time by its definition, on bigints.
 *
 * It is the oracle of the other engines and does for them what they decline; speed is not its
 * purpose, though instructions are decoded only once.
 *
 * What an instruction does is `evaluator.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { PAGE_FAULT } from "../../hart/translation.ts";
import type { Trap } from "../../hart/trap.ts";
import { collect } from "../../isa/collect.ts";
import { Cause } from "../../isa/sem.ts";
import { FETCH_FAULT } from "../../memory/fetch_cache.ts";
import { EXECUTE, PAGE_SIZE } from "../../memory/page.ts";
import type { Memory } from "../../memory/memory.ts";
import type { BreakTest, Engine, Hook, Stop } from "../engine.ts";
import { Evaluator } from "./evaluator.ts";
import { FAR, type Placed, TRAPPED } from "./in_flight.ts";
import { Hooks } from "../hooks.ts";

/** Pages of decoded instructions that one hart keeps, of 16 KiB and more each. */
const MOST_PAGES = 2048;

/** One hart's decoded instructions, and what executes them. */
class Executor {
  readonly #hart: Hart;
  readonly #evaluator: Evaluator;
  /** Decoded instructions by page, then by halfword in the page. */
  readonly #pages = new Map<number, (Placed | undefined)[]>();
  /** Where addresses are translated: decoded instructions by physical page, then by halfword. */
  readonly #translated = new Map<number, (Placed | undefined)[]>();
  /** The page last executed from. */
  #page = -1;
  #halves: (Placed | undefined)[] = [];

  constructor(hart: Hart) {
    this.#hart = hart;
    this.#evaluator = new Evaluator(hart);
    hart.fetched.onDrop((pc) => {
      const page = Math.floor(pc / PAGE_SIZE), half = (pc % PAGE_SIZE) / 2;
      for (const pages of [this.#pages, this.#translated]) {
        const halves = pages.get(page);
        if (halves) halves[half] = undefined;
      }
    });
  }

  /** Executes instructions up to a count of the hart's: see {@linkcode Engine.run}. */
  run(until: bigint, hooks: Hooks): Stop {
    const hart = this.#hart;
    while (hart.instret < until) {
      if (hart.attention) return { kind: "attention" };
      const answer = hooks.ask(hart);
      if (answer === "stop") return { kind: "stopped" };
      if (answer === "moved") continue;
      const trap = this.#execute(Number(until - hart.instret), hooks);
      if (trap) return { kind: "trap", trap };
    }
    return { kind: "limit" };
  }

  /** Executes what is left of the tracing range: see {@linkcode Engine.leaveTracingRange}. */
  leaveTracingRange(hooks: Hooks): Stop | undefined {
    const hart = this.#hart;
    while (hart.isTracing) {
      const answer = hooks.ask(hart);
      if (answer === "stop") return { kind: "stopped" };
      const stop = answer === "moved" ? undefined : this.step();
      if (stop) return stop;
    }
    return undefined;
  }

  /** Executes one instruction and asks no hook: see {@linkcode Engine.step}. */
  step(): Stop | undefined {
    const trap = this.#execute(0);
    return trap && { kind: "trap", trap };
  }

  /** Executes given bits in place of memory's: see {@linkcode Engine.executeBits}. */
  executeBits(bits: number): Stop | undefined {
    const hart = this.#hart;
    const placed = this.#place(hart.pc, bits, hart.isTracing);
    const next = this.#evaluator.execute(placed);
    if (next === TRAPPED) return { kind: "trap", trap: this.#evaluator.trapped! };
    hart.retire(placed.tracing);
    hart.pc = next === FAR ? this.#evaluator.far : BigInt(next);
    return undefined;
  }

  #isTracing(pc: number): boolean {
    return this.#hart.memory.isTracing(pc);
  }

  #execute(budget: number, hooks?: Hooks): Trap | undefined {
    return this.#hart.flat
      ? this.#executeFlat(budget, hooks)
      : this.#executeAnywhere(budget, hooks);
  }

  /**
   * Executes the instruction at pc, and more of them until `budget` instructions have counted as the
   * guest's, there is a hook, or one traps: then nothing of that one has happened. In between, pc is
   * held here, as a number.
   */
  #executeFlat(budget: number, hooks?: Hooks): Trap | undefined {
    const hart = this.#hart;
    if (hart.pc >= 2n ** 32n) return { cause: Cause.FetchFault, value: hart.pc, pc: hart.pc };
    const evaluator = this.#evaluator;
    let pc = Number(hart.pc);
    let trap: Trap | undefined;
    let remaining = budget;
    do {
      const placed = this.#at(pc);
      if ("cause" in placed) {
        trap = placed;
        break;
      }
      const next = evaluator.execute(placed);
      if (next === TRAPPED) {
        trap = evaluator.trapped;
        break;
      }
      hart.retire(placed.tracing);
      if (!placed.tracing) remaining--;
      if (next === FAR) {
        hart.pc = evaluator.far;
        return undefined;
      }
      pc = next;
    } while (remaining > 0 && hart.flat && !hart.attention && hooks?.at(pc) === undefined);
    hart.pc = BigInt(pc);
    return trap;
  }

  /** Executes instructions as {@linkcode Executor.#executeFlat} does, where addresses are translated. */
  #executeAnywhere(budget: number, hooks?: Hooks): Trap | undefined {
    const hart = this.#hart;
    const evaluator = this.#evaluator;
    let remaining = budget;
    do {
      const placed = this.#translatedAt(hart.pc);
      if ("cause" in placed) return placed;
      const next = evaluator.execute(placed);
      if (next === TRAPPED) return evaluator.trapped;
      hart.retire(placed.tracing);
      if (!placed.tracing) remaining--;
      hart.pc = next === FAR ? evaluator.far : BigInt(next);
    } while (
      remaining > 0 && !hart.flat && !hart.attention && hooks?.at(hart.pcNumber) === undefined
    );
    return undefined;
  }

  /** The instruction at `pc`, or why there is none. */
  #at(pc: number): Placed | Trap {
    const page = Math.floor(pc / PAGE_SIZE);
    if (page !== this.#page) {
      this.#page = page;
      this.#halves = halvesOf(this.#pages, page);
    }
    const half = (pc % PAGE_SIZE) / 2;
    const known = this.#halves[half];
    if (known) return known;
    const placed = this.#fetch(pc);
    if (!("cause" in placed)) this.#halves[half] = placed;
    return placed;
  }

  #fetch(at: number): Placed | Trap {
    const pc = BigInt(at);
    if (at % 2 !== 0) return { cause: Cause.FetchMisaligned, value: pc, pc };
    const bits = this.#hart.fetched.fetch(at);
    if (bits < 0) {
      const value = bits === FETCH_FAULT ? pc : pc + 2n;
      return { cause: Cause.FetchFault, value, pc };
    }
    return this.#place(pc, bits, this.#isTracing(at));
  }

  #translatedAt(pc: bigint): Placed | Trap {
    if (this.#hart.isTracing) return this.#at(Number(pc));
    const { fetched, system } = this.#hart;
    const { translation } = system!;
    const physical = this.#translate(pc);
    if (typeof physical !== "number") return physical;
    const halves = halvesOf(this.#translated, Math.floor(physical / PAGE_SIZE));
    const half = (physical % PAGE_SIZE) / 2;
    const known = halves[half];
    if (known?.pc === pc) return known;
    const wide = (fetched.firstHalf(physical) & 3) === 3;
    const last = half === PAGE_SIZE / 2 - 1;
    if (wide && (last || translation.tlb.fetch(translation.fetchBank, pc) < 0)) {
      // The second half may be elsewhere, or not to be executed.
      const second = this.#translate(BigInt.asUintN(64, pc + 2n), pc);
      if (typeof second !== "number") return second;
      return this.#place(pc, fetched.fetchSplit(physical, second), false);
    }
    const placed = this.#place(pc, fetched.fetch(physical), false);
    return translation.tlb.fetch(translation.fetchBank, pc) < 0 ? placed : halves[half] = placed;
  }

  /** Where the halfword at `address` of the instruction at `pc` is. */
  #translate(address: bigint, pc = address): number | Trap {
    const trap = (cause: Cause): Trap => ({ cause, value: address, pc });
    if (address % 2n !== 0n) return trap(Cause.FetchMisaligned);
    const { system, memory } = this.#hart;
    const physical = system!.translation.fetch(BigInt.asIntN(64, address));
    if (physical === PAGE_FAULT) return trap(Cause.FetchPageFault);
    if (physical < 0 || !memory.allows(BigInt(physical), 2, EXECUTE)) return trap(Cause.FetchFault);
    return physical;
  }

  #place(pc: bigint, bits: number, tracing: boolean): Placed {
    const instruction = this.#hart.isa.decode(bits);
    const { definition, word, length, imm } = instruction;
    const rounds = definition.pattern.runs.some(({ field }) => field === "rm");
    const { readsF, writesF } = collect(definition, word);
    const link = BigInt.asUintN(64, pc + BigInt(length));
    return {
      instruction,
      pc,
      next: link < 2n ** 32n ? Number(link) : FAR,
      link,
      imm: BigInt(imm),
      raw: BigInt(length === 4 ? bits : bits & 0xffff),
      rounding: rounds ? (word >>> 12) & 7 : -1,
      floats: readsF.size + writesF.size > 0,
      tracing,
    };
  }
}

function halvesOf(
  pages: Map<number, (Placed | undefined)[]>,
  page: number,
): (Placed | undefined)[] {
  let halves = pages.get(page);
  if (!halves) {
    // What was decoded can be decoded again: the words are in the fetch cache.
    if (pages.size >= MOST_PAGES) pages.clear();
    pages.set(page, halves = new Array(PAGE_SIZE / 2).fill(undefined));
  }
  return halves;
}

/** Makes a reference engine for harts on `memory`. */
export function createReference(_memory: Memory): Engine {
  const executors = new Map<Hart, Executor>();
  const hooks = new Hooks();
  const executorOf = (hart: Hart): Executor => {
    let executor = executors.get(hart);
    if (!executor) executors.set(hart, executor = new Executor(hart));
    return executor;
  };
  return {
    name: "ref",
    run: (hart: Hart, until: bigint): Stop => executorOf(hart).run(until, hooks),
    leaveTracingRange: (hart: Hart): Stop | undefined => executorOf(hart).leaveTracingRange(hooks),
    step: (hart: Hart): Stop | undefined => executorOf(hart).step(),
    executeBits: (hart: Hart, bits: number): Stop | undefined => executorOf(hart).executeBits(bits),
    hook: (pc: number, hook: Hook): Disposable => hooks.add(pc, hook),
    breakAt: (pc: number, test: BreakTest): Disposable => hooks.breakAt(pc, test),
  };
}
