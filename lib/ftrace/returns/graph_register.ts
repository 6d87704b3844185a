/**
 * Registering with the graph tracer: its users share one ops of the function core, which is there
 * while there is a user.
 *
 * What a user does at a call is `fgraph.ts`.
 *
 * @module
 */
import { createHash, type FtraceHash, updateSet } from "../ops/filter.ts";
import { describe } from "../callbacks.ts";
import { FtraceError } from "../ftrace_error.ts";
import { FTRACE_OPS_FL_GRAPH, type FtraceOps, type FtraceRegistration } from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import type { Fgraph, FgraphOps } from "./fgraph.ts";
import type { ReturnHooks } from "./return_hooks.ts";

/** The users of one machine's graph tracer. */
export class GraphRegister {
  readonly #core: FunctionCore;
  readonly #returns: ReturnHooks;
  readonly #graph: Fgraph;
  readonly #report: (line: string) => void;
  readonly #ops: FtraceOps;
  #registration: FtraceRegistration | undefined;

  /** Starts without users; `report` takes a line about one that threw. */
  constructor(core: FunctionCore, returns: ReturnHooks, report: (line: string) => void) {
    this.#core = core;
    this.#returns = returns;
    this.#graph = returns.graph;
    this.#report = report;
    this.#ops = { name: "graph_ops", flags: FTRACE_OPS_FL_GRAPH, hash: this.#graph.hash };
  }

  /**
   * Adds a user (`register_ftrace_graph`); disposing removes it.
   *
   * @throws {FtraceError} EBUSY if it is registered, ENOSPC, EINVAL if a pattern matches nothing.
   * @throws {TypeError} If it has no handler.
   */
  register(gops: FgraphOps): Disposable {
    if (!gops.entryFunc && !gops.retFunc) {
      throw new TypeError("Cannot register the graph ops: it has neither entryFunc nor retFunc");
    }
    this.add(gops, gops.hash ?? this.#hashOf(gops));
    let done = false;
    return {
      [Symbol.dispose]: () => {
        if (!done) this.unregister(gops);
        done = true;
      },
    };
  }

  /** Adds a user with a hash that its owner keeps. @throws {FtraceError} See {@linkcode register}. */
  add(gops: FgraphOps, hash: FtraceHash): void {
    this.#graph.add(gops, hash, (site, error) => {
      this.reportThrow(gops.name ?? "fgraph", site, error);
      this.unregister(gops);
    });
    try {
      this.update();
    } catch (error) {
      this.#graph.remove(gops);
      throw error;
    }
  }

  /** Removes a user. @throws {FtraceError} EINVAL if it is not registered. */
  unregister(gops: FgraphOps): void {
    if (!this.#graph.remove(gops)) {
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
    const { count } = this.#graph;
    this.#graph.unite();
    if (count > 0 && !this.#registration) {
      this.#returns.watchUnwinders(this.#core.hooks);
      this.#registration = this.#core.registerInternal(
        this.#ops,
        (call) => this.#graph.enter(call.hart, call.record, call.ip, call.sp, call.fregs),
      );
    } else if (count === 0 && this.#registration) {
      this.#registration.unregister();
      this.#registration = undefined;
    } else {
      this.#core.update();
    }
  }

  /** Says that a handler of `who` threw at the function of a record. */
  reportThrow(who: string, site: number, error: unknown): void {
    const name = this.#core.records[site]?.name ?? "a function";
    this.#report(`[${who}] Cannot trace ${name}: ${describe(error)}; it is unregistered`);
  }

  #hashOf({ filter, notrace }: FgraphOps): FtraceHash {
    const hash = createHash();
    if (filter) updateSet(hash.filter, filter, this.#core.records);
    if (notrace) updateSet(hash.notrace, notrace, this.#core.records);
    return hash;
  }
}
