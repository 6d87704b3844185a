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
import type { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import { RV64 } from "../isa/decode.ts";
import { Cause } from "../isa/sem.ts";
import { FETCH_FAULT } from "../memory/fetch_cache.ts";
import { type Memory, PAGE_SIZE } from "../memory/memory.ts";
import type { Engine, Hook, Stop, TracingRange } from "./engine.ts";
import { Evaluator, FAR, type Placed, TRAPPED } from "./evaluator.ts";
import { Hooks } from "./hooks.ts";

/** One hart's decoded instructions, and what executes them. */
class Executor {
  readonly #hart: Hart;
  readonly #tracing: TracingRange;
  readonly #evaluator: Evaluator;
  /** By page, then by halfword in the page. */
  readonly #pages = new Map<number, (Placed | undefined)[]>();
  /** The page last executed from. */
  #page = -1;
  #halves: (Placed | undefined)[] = [];

  constructor(hart: Hart, tracing: TracingRange) {
    this.#hart = hart;
    this.#tracing = tracing;
    this.#evaluator = new Evaluator(hart);
    hart.fetched.onDrop((page) => {
      this.#pages.delete(page);
      this.#page = -1;
    });
  }

  /** As {@linkcode Engine.run}. */
  run(until: bigint, hooks: Hooks): Stop {
    const hart = this.#hart;
    while (hart.instret < until) {
      const answer = hooks.ask(hart);
      if (answer === "stop") return { kind: "stopped" };
      if (answer === "moved") continue;
      const trap = this.#execute(Number(until - hart.instret), hooks);
      if (trap) return { kind: "trap", trap };
    }
    return { kind: "limit" };
  }

  /** As {@linkcode Engine.step}. */
  step(): Stop | undefined {
    const trap = this.#execute(0);
    return trap && { kind: "trap", trap };
  }

  /** As {@linkcode Engine.simulate}. */
  simulate(bits: number): Stop | undefined {
    const hart = this.#hart;
    const placed = this.#placedOf(hart.pcNumber, bits);
    const next = this.#evaluator.execute(placed);
    if (next === TRAPPED) return { kind: "trap", trap: this.#evaluator.trapped! };
    hart.retire(placed.tracing);
    hart.pc = next === FAR ? this.#evaluator.far : BigInt(next);
    return undefined;
  }

  /**
   * Executes the instruction at pc, and more of them until `budget` instructions have counted as the
   * guest's, there is a hook, or one traps: then nothing of that one has happened. In between, pc is
   * held here, as a number.
   */
  #execute(budget: number, hooks?: Hooks): Trap | undefined {
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
    } while (remaining > 0 && hooks?.at(pc) === undefined);
    hart.pc = BigInt(pc);
    return trap;
  }

  /** The instruction at `pc`, or why there is none. */
  #at(pc: number): Placed | Trap {
    const page = Math.floor(pc / PAGE_SIZE);
    if (page !== this.#page) {
      this.#page = page;
      this.#halves = this.#pages.get(page) ?? new Array(PAGE_SIZE / 2).fill(undefined);
      this.#pages.set(page, this.#halves);
    }
    const half = (pc % PAGE_SIZE) / 2;
    return this.#halves[half] ?? this.#place(pc, half);
  }

  #place(at: number, half: number): Placed | Trap {
    const pc = BigInt(at);
    if (at % 2 !== 0) return { cause: Cause.FetchMisaligned, value: pc, pc };
    const bits = this.#hart.fetched.fetch(at);
    if (bits < 0) {
      const value = bits === FETCH_FAULT ? pc : pc + 2n;
      return { cause: Cause.FetchFault, value, pc };
    }
    const placed = this.#placedOf(at, bits);
    this.#halves[half] = placed;
    return placed;
  }

  #placedOf(at: number, bits: number): Placed {
    const instruction = RV64.decode(bits);
    const { definition, word, length, imm } = instruction;
    const rounds = definition.pattern.runs.some(({ field }) => field === "rm");
    return {
      instruction,
      pc: BigInt(at),
      next: at + length,
      imm: BigInt(imm),
      raw: BigInt(length === 4 ? bits : bits & 0xffff),
      rounding: rounds ? (word >>> 12) & 7 : -1,
      tracing: at >= this.#tracing.start && at < this.#tracing.end,
    };
  }
}

/** Makes a reference engine for harts on `memory`. */
export function createReference(_memory: Memory, tracing: TracingRange): Engine {
  const executors = new Map<Hart, Executor>();
  const hooks = new Hooks();
  const executorOf = (hart: Hart): Executor => {
    let executor = executors.get(hart);
    if (!executor) executors.set(hart, executor = new Executor(hart, tracing));
    return executor;
  };
  return {
    name: "ref",
    run: (hart: Hart, until: bigint): Stop => executorOf(hart).run(until, hooks),
    step: (hart: Hart): Stop | undefined => executorOf(hart).step(),
    simulate: (hart: Hart, bits: number): Stop | undefined => executorOf(hart).simulate(bits),
    hook: (pc: number, hook: Hook): Disposable => hooks.add(pc, hook),
  };
}
