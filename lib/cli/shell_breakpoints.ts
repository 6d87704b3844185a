/**
 * The breakpoints of a session, and the places where a command such as `finish` wants to come out.
 *
 * They are the engine's (`breakAt`), so that neither the guest nor a tracer notices them.
 *
 * @module
 */
import type { Engine, Hart } from "../engine/mod.ts";
import type { Expression } from "./shell_expression.ts";

/** A place where the guest stops, as `info breakpoints` lists it. */
export interface Breakpoint {
  /** The number that commands name it by. */
  readonly number: number;
  /** Address of the instruction that it stops before. */
  readonly address: bigint;
  /** Whether it goes when it is hit. */
  readonly temporary: boolean;
  /** Whether it stops the guest at all. */
  enabled: boolean;
  /** What must not be 0 for it to count. */
  condition: Expression | undefined;
  /** How many of the next hits do not stop. */
  ignore: number;
  /** How often it was hit while its condition held. */
  hits: number;
}

/** Why the guest has stopped. */
export interface StopReason {
  /** The hart that stopped. */
  readonly hart: Hart;
  /** The breakpoint; undefined for a goal. */
  readonly breakpoint: Breakpoint | undefined;
  /** Why a condition has no value, for which the guest stops, too. */
  readonly failure: string | undefined;
}

/** Breakpoints of one machine. */
export class Breakpoints {
  readonly #engine: Engine;
  readonly #holds: (condition: Expression, hart: Hart) => boolean;
  readonly #stop: () => void;
  readonly #all: Breakpoint[] = [];
  readonly #goals = new Map<bigint, (hart: Hart) => boolean>();
  readonly #placed = new Map<bigint, Disposable>();
  /** Where harts stood when they were let go: they do not stop there at once. */
  #left = new Map<Hart, { readonly pc: bigint; readonly instret: bigint }>();
  #reason: StopReason | undefined;
  #next = 1;

  /** `holds` evaluates a condition for a hart, `stop` ends the run. */
  constructor(
    engine: Engine,
    holds: (condition: Expression, hart: Hart) => boolean,
    stop: () => void,
  ) {
    this.#engine = engine;
    this.#holds = holds;
    this.#stop = stop;
  }

  /** All of them, in the order in which they were set. */
  get all(): readonly Breakpoint[] {
    return this.#all;
  }

  /** Sets one. */
  add(address: bigint, temporary: boolean, condition: Expression | undefined): Breakpoint {
    const number = this.#next++;
    const made = { number, address, temporary, condition, enabled: true, ignore: 0, hits: 0 };
    this.#all.push(made);
    this.#place(address);
    return made;
  }

  /** Takes one away. */
  delete(breakpoint: Breakpoint): void {
    this.#all.splice(this.#all.indexOf(breakpoint), 1);
    this.#clean(breakpoint.address);
  }

  /** Also stops a hart that comes to `address` if `wanted`, until the result is disposed. */
  goal(address: bigint, wanted: (hart: Hart) => boolean): Disposable {
    this.#goals.set(address, wanted);
    this.#place(address);
    return {
      [Symbol.dispose]: () => {
        this.#goals.delete(address);
        this.#clean(address);
      },
    };
  }

  /** To be called before harts go on. */
  leave(harts: readonly Hart[]): void {
    this.#left = new Map(harts.map((hart) => [hart, { pc: hart.pc, instret: hart.instret }]));
    this.#reason = undefined;
  }

  /** Why the last run stopped, if it did here. */
  get reason(): StopReason | undefined {
    return this.#reason;
  }

  #place(address: bigint): void {
    if (this.#placed.has(address)) return;
    const place = this.#engine.breakAt(Number(address), (hart) => this.#arrive(hart, address));
    this.#placed.set(address, place);
  }

  #clean(address: bigint): void {
    if (this.#goals.has(address) || this.#all.some((each) => each.address === address)) return;
    this.#placed.get(address)?.[Symbol.dispose]();
    this.#placed.delete(address);
  }

  #arrive(hart: Hart, address: bigint): boolean {
    const left = this.#left.get(hart);
    if (left?.pc === address && left.instret === hart.instret) return false;
    let reason: StopReason | undefined;
    for (const breakpoint of this.#all.filter((each) => each.address === address)) {
      const hit = this.#hit(breakpoint, hart);
      if (hit !== false) reason ??= { hart, breakpoint, failure: hit };
    }
    if (this.#goals.get(address)?.(hart)) {
      reason ??= { hart, breakpoint: undefined, failure: undefined };
    }
    if (!reason) return false;
    if (reason.breakpoint?.temporary) this.delete(reason.breakpoint);
    this.#reason = reason;
    this.#stop();
    return true;
  }

  /** False if it does not stop; else undefined, or why its condition has no value. */
  #hit(breakpoint: Breakpoint, hart: Hart): false | string | undefined {
    if (!breakpoint.enabled) return false;
    try {
      if (breakpoint.condition && !this.#holds(breakpoint.condition, hart)) return false;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return error.message;
    }
    breakpoint.hits++;
    if (breakpoint.ignore === 0) return undefined;
    breakpoint.ignore--;
    return false;
  }
}
