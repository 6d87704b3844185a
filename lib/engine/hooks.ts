/**
 * The hooks of an engine, by address, and the one order in which every engine asks them.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { PAGE_SIZE } from "../memory/page.ts";
import type { Hook } from "./engine.ts";

/** Where a hook asked to stop: the next run goes on behind the question. */
interface Answered {
  readonly hart: Hart;
  readonly pc: number;
  readonly retired: bigint;
}

/** Hooks by pc. */
export class Hooks {
  readonly #hooks = new Map<number, Hook>();
  readonly #pages = new Map<number, Set<number>>();
  readonly #changed: (pc: number) => void;
  #answered: Answered | undefined;

  /** @param changed Told the pc whenever a hook comes or goes. */
  constructor(changed: (pc: number) => void = () => {}) {
    this.#changed = changed;
  }

  /** How many addresses have a hook. */
  get size(): number {
    return this.#hooks.size;
  }

  /** The hooked addresses, by page. */
  get pages(): ReadonlyMap<number, ReadonlySet<number>> {
    return this.#pages;
  }

  /** The hook at an address, or undefined. */
  at(pc: number): Hook | undefined {
    return this.#hooks.get(pc);
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
    this.#hooks.set(pc, hook);
    const page = Math.floor(pc / PAGE_SIZE);
    const here = this.#pages.get(page) ?? new Set();
    this.#pages.set(page, here.add(pc));
    this.#changed(pc);
    return {
      [Symbol.dispose]: () => {
        if (this.#hooks.get(pc) !== hook) return;
        this.#hooks.delete(pc);
        if (here.delete(pc) && here.size === 0) this.#pages.delete(page);
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
    if (this.#hooks.size === 0) return "execute";
    const pc = hart.pcNumber;
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

  /** Whether the hook stopped the hart here when it was last asked, and nothing happened since. */
  #takeAnswer(hart: Hart, pc: number): boolean {
    const answered = this.#answered;
    if (answered === undefined) return false;
    this.#answered = undefined;
    return answered.hart === hart && answered.pc === pc &&
      answered.retired === hart.instret + hart.overhead;
  }
}
