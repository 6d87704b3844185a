/**
 * The hooks and breakpoints of an engine, by address, and the one order in which every engine asks
 * them: first whether a person wants to stop there, which no hook may notice, then the hook.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { PAGE_SIZE } from "../memory/page.ts";
import type { BreakTest, Hook } from "./engine.ts";

/** Where a hook asked to stop: the next run goes on behind the question. */
interface Answered {
  readonly hart: Hart;
  readonly pc: number;
  readonly retired: bigint;
}

/** Makes engines ask at an address that has a breakpoint and perhaps no hook. */
const ASKED: Hook = { host() {} };

/** Hooks and breakpoints by pc. */
export class Hooks {
  readonly #hooks = new Map<number, Hook>();
  readonly #breaks = new Map<number, BreakTest>();
  /** Where each hart was last asked whether to stop, and its count of instructions then. */
  readonly #broken = new Map<Hart, { readonly pc: number; readonly instret: bigint }>();
  readonly #pages = new Map<number, Set<number>>();
  readonly #changed: (pc: number) => void;
  #answered: Answered | undefined;

  /** @param changed Told the pc whenever a hook comes or goes. */
  constructor(changed: (pc: number) => void = () => {}) {
    this.#changed = changed;
  }

  /** The addresses at which to ask, by page. */
  get pages(): ReadonlyMap<number, ReadonlySet<number>> {
    return this.#pages;
  }

  /** The hook at an address, or undefined; one that does nothing where there is a breakpoint. */
  at(pc: number): Hook | undefined {
    return this.#breaks.has(pc) ? ASKED : this.#hooks.get(pc);
  }

  /**
   * Adds a hook until it is disposed of.
   *
   * @throws {RangeError} If there is one at `pc` already.
   */
  add(pc: number, hook: Hook): Disposable {
    if (this.#hooks.has(pc)) {
      throw new RangeError(`Cannot hook 0x${pc.toString(16)}: there is a hook already`);
    }
    return this.#place(this.#hooks, pc, hook);
  }

  /**
   * Adds a breakpoint until it is disposed of: `test` is asked before any hook, once for each arrival,
   * and what it stops goes on with the hook.
   *
   * @throws {RangeError} If there is one at `pc` already.
   */
  breakAt(pc: number, test: BreakTest): Disposable {
    if (this.#breaks.has(pc)) {
      throw new RangeError(`Cannot break at 0x${pc.toString(16)}: there is a breakpoint already`);
    }
    return this.#place(this.#breaks, pc, test);
  }

  #place<T>(table: Map<number, T>, pc: number, entry: T): Disposable {
    table.set(pc, entry);
    const page = Math.floor(pc / PAGE_SIZE);
    this.#pages.set(page, (this.#pages.get(page) ?? new Set()).add(pc));
    this.#changed(pc);
    return {
      [Symbol.dispose]: () => {
        if (table.get(pc) !== entry) return;
        table.delete(pc);
        const here = this.#pages.get(page);
        if (!this.at(pc) && here?.delete(pc) && here.size === 0) this.#pages.delete(page);
        this.#changed(pc);
      },
    };
  }

  /**
   * Asks the hook at `hart.pc`, once for each arrival there.
   *
   * @returns `"execute"`: the instruction at `hart.pc` is to be executed; `"moved"`: the hook has
   * set another pc, where the hart arrives now; `"stop"`.
   */
  ask(hart: Hart): "execute" | "moved" | "stop" {
    if (this.#pages.size === 0) return "execute";
    const pc = hart.pcNumber;
    if (this.#breaks.size > 0 && this.#stopsAt(hart, pc)) return "stop";
    if (this.#takeAnswer(hart, pc)) return "execute";
    const hook = this.#hooks.get(pc);
    // A page that the guest maps over the tracing range is its own.
    if (hook === undefined || hart.memory.isTracing(pc) && !hart.isTracing) return "execute";
    if (hook.host(hart) === "stop") {
      if (hart.pcNumber === pc) {
        this.#answered = { hart, pc, retired: hart.instret + hart.overhead };
      }
      return "stop";
    }
    return hart.pcNumber === pc ? "execute" : "moved";
  }

  /** Whether a breakpoint stops the hart, which a hook may lead away and back before it goes on. */
  #stopsAt(hart: Hart, pc: number): boolean {
    const test = this.#breaks.get(pc);
    if (test === undefined || hart.memory.isTracing(pc) && !hart.isTracing) return false;
    const { instret } = hart;
    const asked = this.#broken.get(hart);
    if (asked?.pc === pc && asked.instret === instret) return false;
    this.#broken.set(hart, { pc, instret });
    return test(hart);
  }

  /** Whether the hook stopped the hart here when it was last asked, and nothing happened since. */
  #takeAnswer(hart: Hart, pc: number): boolean {
    const answered = this.#answered;
    if (answered === undefined) return false;
    this.#answered = undefined;
    return answered.hart === hart && answered.pc === pc &&
      answered.retired === hart.instret + hart.overhead;
  }
}
