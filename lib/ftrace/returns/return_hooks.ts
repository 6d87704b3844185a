/**
 * Returns that are caught, by the graph tracer and for kretprobes, on one machine.
 *
 * Both may have hooked one return, in either order, and a tail call again on top of that: of all that
 * was replaced in ra at an entry's sp, the real address is what is no hook. Each asks the other
 * through here, and so does whoever walks the guest's stack.
 *
 * The two kinds of frames are `fgraph.ts` and `rethook.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { HookTable } from "../ops/hook_table.ts";
import { addressKey } from "../ops/record_table.ts";
import { noReturnReason } from "../ops/records.ts";
import type { ServedCall } from "../ops/served_call.ts";
import { Fgraph } from "./fgraph.ts";
import { createRethook, type Rethook } from "./rethook.ts";
import type { ShadowLimit } from "./shadow_room.ts";
import { hookUnwinders } from "./unwinders.ts";

/** What {@linkcode ReturnHooks} needs of its surroundings. */
export interface ReturnHooksParts {
  /** The machine. */
  readonly machine: Machine;
  /** Address of `return_to_handler`. */
  readonly returnToHandler: bigint;
  /** The call that tracers are served with. */
  readonly served: ServedCall;
  /** Which limits a task's shadow stack has. */
  readonly limit: ShadowLimit;
  /** How many users of the graph tracer there may be. */
  readonly users: number;
}

/** The hooked returns of one machine. */
export class ReturnHooks {
  /** Those of the graph tracer. */
  readonly graph: Fgraph;
  /** Those of kretprobes. */
  readonly rethook: Rethook;
  readonly #machine: Machine;
  readonly #returnToHandler: bigint;
  #unwinders: Disposable | undefined;

  /** Starts with no return hooked, and shows the machine's unwinder the real ones from now on. */
  constructor({ machine, returnToHandler, served, limit, users }: ReturnHooksParts) {
    this.#machine = machine;
    this.#returnToHandler = returnToHandler;
    const realReturn = (hart: Hart, value: bigint, sp: number) => this.realReturn(hart, value, sp);
    /** By index of the record: asked at each call. */
    const returnable: boolean[] = [];
    this.graph = new Fgraph({
      returnToHandler,
      served,
      limit,
      users,
      stackIdentity: (hart, sp) => machine.stackIdentity(hart, sp),
      returnable: (record) => returnable[record.index] ??= noReturnReason(record) === undefined,
      pid: () => machine.pid,
      behindRethook: (hart, value, sp) => this.rethook.behind(hart, value, sp),
      realReturn,
    });
    this.rethook = createRethook({
      machine,
      leadsTo: (hart, value, sp, target) => this.graph.behind(hart, value, sp) === target,
      realReturn,
    });
    machine.unwinder.realReturn = (hart, value, sp) => this.realReturn(hart, value, addressKey(sp));
  }

  /** The real return address behind hooks of both kinds, of a value found in ra at an entry with this sp. */
  realReturn(hart: Hart, value: bigint, sp: number): bigint {
    if (!this.#isHook(value)) return value;
    const replaced = [...this.graph.returnsAt(hart, sp), ...this.rethook.returnsAt(hart, sp)];
    return replaced.findLast((each) => !this.#isHook(each)) ?? value;
  }

  /** A hart came back to `return_to_handler`; gives where it goes on. */
  leave(hart: Hart, sp: number, fregs: FtraceRegs): bigint {
    return this.graph.leave(hart, sp, fregs);
  }

  /**
   * Hooks the program's unwinders, before the first return is. Open calls come back through their
   * hooks after the last user has gone, so this stays.
   */
  watchUnwinders(hooks: HookTable): void {
    this.#unwinders ??= hookUnwinders(this.#machine, hooks, (hart) => {
      // What the graph tracer puts back may be the kretprobes' hook.
      this.graph.beginUnwinding(hart);
      this.rethook.beginUnwinding(hart);
    }, (hart) => {
      this.rethook.endUnwinding(hart);
      this.graph.endUnwinding(hart);
    });
  }

  #isHook(address: bigint): boolean {
    return address === this.#returnToHandler || address === this.rethook.trampoline;
  }
}
