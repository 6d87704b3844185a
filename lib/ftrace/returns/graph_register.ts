/**
 * Registering with the graph tracer: its users share one ops of the function core, which is there
 * while there is a user.
 *
 * What is done with a call is `fgraph.ts`.
 *
 * @module
 */
import type { Machine } from "../../machine/machine.ts";
import { describe } from "../callbacks.ts";
import { FtraceError } from "../ftrace_error.ts";
import { createHash, fillHash, type FtraceHash } from "../ops/filter.ts";
import {
  type AnyFtraceOps,
  FTRACE_OPS_FL_GRAPH,
  FTRACE_OPS_FL_SAVE_REGS,
  type FtraceRegistration,
} from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import type { Fgraph } from "./fgraph.ts";
import type { FgraphOps } from "./fgraph_ops.ts";
import type { GraphUser } from "./graph_users.ts";
import type { ReturnHooks } from "./return_hooks.ts";
import { hookContextSwitches } from "./stack_switches.ts";
import { hookUnwinders } from "./unwinders.ts";

/** What {@linkcode GraphRegister} stands on. */
export interface GraphRegisterParts {
  /** The machine whose calls are traced. */
  readonly machine: Machine;
  /** Calls the shared ops. */
  readonly core: FunctionCore;
  /** Shows unwinders of the program the real return addresses. */
  readonly hooks: ReturnHooks;
  /** Serves the calls. */
  readonly fgraph: Fgraph;
  /** Takes a line about a handler that threw. */
  readonly report: (line: string) => void;
}

/** Who uses the graph tracer of one machine. */
export class GraphRegister {
  readonly #machine: Machine;
  readonly #core: FunctionCore;
  readonly #hooks: ReturnHooks;
  readonly #fgraph: Fgraph;
  readonly #report: (line: string) => void;
  #registration: { readonly of: FtraceRegistration; readonly savesRegs: boolean } | undefined;
  #unwinders: Disposable | undefined;
  #switches: Disposable | undefined;

  /** Starts without users. */
  constructor({ machine, core, hooks, fgraph, report }: GraphRegisterParts) {
    this.#machine = machine;
    this.#core = core;
    this.#hooks = hooks;
    this.#fgraph = fgraph;
    this.#report = report;
  }

  /**
   * Adds a user (`register_ftrace_graph`). Disposing ends this registration, and no later one.
   *
   * @throws {FtraceError} EBUSY if it is registered, ENOSPC if there are sixteen, EINVAL if a pattern
   *   matches nothing.
   * @throws {TypeError} If it has no handler.
   */
  register(gops: FgraphOps): Disposable {
    if (!gops.entryFunc && !gops.retFunc) {
      throw new TypeError("Cannot register the graph ops: it has neither entryFunc nor retFunc");
    }
    const user = this.add(gops, gops.hash ?? this.#hashOf(gops));
    return {
      [Symbol.dispose]: () => {
        if (this.#fgraph.users.has(user)) this.unregister(gops);
      },
    };
  }

  /**
   * Adds a user with a hash of its own, and gives the registration. `byRethook` is said of one that
   * the kernel serves by rethooks.
   *
   * @throws {FtraceError} EBUSY, ENOSPC; what the core refuses.
   */
  add(gops: FgraphOps, hash: FtraceHash, byRethook = false): GraphUser {
    const user: GraphUser = {
      gops,
      hash,
      byRethook,
      failed: (site, error) => {
        this.reportThrow(gops.name ?? "fgraph", site, error);
        if (this.#fgraph.users.has(user)) this.unregister(gops);
      },
    };
    this.#fgraph.users.add(user);
    try {
      this.update();
    } catch (error) {
      this.#fgraph.remove(gops);
      throw error;
    }
    return user;
  }

  /** Removes a user. @throws {FtraceError} EINVAL if it is not registered. */
  unregister(gops: FgraphOps): void {
    if (!this.#fgraph.remove(gops)) {
      throw new FtraceError(
        "EINVAL",
        "not-enabled",
        "Cannot unregister the graph ops: it is not registered",
      );
    }
    this.update();
  }

  /** Lets sites follow what the users trace together. */
  update(): void {
    const { users } = this.#fgraph;
    users.unite();
    const { savesRegs } = users;
    const isWanted = users.count > 0;
    if (this.#registration && !(isWanted && this.#registration.savesRegs === savesRegs)) {
      this.#registration.of.unregister();
      this.#registration = undefined;
    }
    if (!isWanted || this.#registration) {
      this.#core.update();
      return;
    }
    this.watchStacks();
    this.#registration = { of: this.#registerShared(savesRegs), savesRegs };
  }

  #registerShared(savesRegs: boolean): FtraceRegistration {
    const flags = FTRACE_OPS_FL_GRAPH | (savesRegs ? FTRACE_OPS_FL_SAVE_REGS : 0);
    const ops: AnyFtraceOps = { name: "graph_ops", flags, hash: this.#fgraph.users.hash };
    return this.#core.registerInternal(
      ops,
      (call) => this.#fgraph.enter(call.hart, call.record, call.ip, call.sp, call.fregs),
    );
  }

  /**
   * Hooks the program's unwinders, and where it changes its stack or returns from traps, before the
   * first return is hooked. Open calls come back through their hooks after the last user has gone,
   * so this stays.
   */
  watchStacks(): void {
    const { hooks } = this.#core;
    this.#unwinders ??= hookUnwinders(this.#machine, hooks, this.#hooks);
    this.#switches ??= hookContextSwitches(this.#machine, hooks, {
      switched: (hart, from, to, isJump) => this.#hooks.switched(hart, from, to, isJump),
      trapReturn: (hart) =>
        this.#fgraph.leaveHandler(hart, (use) => this.#core.showRegisters(hart, use, false)),
    });
  }

  /** Reports that a handler of `who` threw at the record with the index `site`. */
  reportThrow(who: string, site: number, error: unknown): void {
    const name = this.#core.records[site]?.name ?? "a function";
    this.#report(`[${who}] Cannot trace ${name}: ${describe(error)}; it is unregistered`);
  }

  #hashOf({ filter, notrace }: FgraphOps): FtraceHash {
    const hash = createHash();
    fillHash(hash, { filter, notrace }, this.#core.records);
    return hash;
  }
}
