/**
 * Kprobes on functions' entries that ftrace calls, without a breakpoint (`KPROBES_ON_FTRACE`).
 *
 * As in the kernel they share two ops: one of those with a postHandler, which says that it may
 * change the ip, and one of all others.
 *
 * @module
 */
import { createHash, type FtraceHash } from "../ops/filter.ts";
import {
  type AnyFtraceOps,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_SAVE_REGS,
  type FtraceRegistration,
} from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import type { KprobeHits } from "./kprobe_hits.ts";
import type { KprobeTable } from "./kprobe_table.ts";

/** The two ops with which one machine serves kprobes on function entries. */
export class KprobesOnFtrace {
  readonly #shared: readonly SharedOps[];

  /** Starts with neither registered; `core` is to lead calls to `hits`. */
  constructor(core: FunctionCore, table: KprobeTable, hits: KprobeHits) {
    this.#shared = [
      new SharedOps(core, table, hits, "kprobe_ftrace_ops", false),
      new SharedOps(core, table, hits, "kprobe_ipmodify_ops", true),
    ];
  }

  /**
   * Makes both ops trace the armed points that are theirs. @throws {FtraceError} If ftrace refuses.
   */
  update(): void {
    for (const each of this.#shared) each.update();
  }
}

class SharedOps {
  readonly #core: FunctionCore;
  readonly #table: KprobeTable;
  readonly #hits: KprobeHits;
  readonly #ipmodify: boolean;
  readonly #hash: FtraceHash = createHash();
  readonly #ops: AnyFtraceOps;
  #registration: FtraceRegistration | undefined;

  constructor(
    core: FunctionCore,
    table: KprobeTable,
    hits: KprobeHits,
    name: string,
    ipmodify: boolean,
  ) {
    this.#core = core;
    this.#table = table;
    this.#hits = hits;
    this.#ipmodify = ipmodify;
    const flags = FTRACE_OPS_FL_SAVE_REGS | (ipmodify ? FTRACE_OPS_FL_IPMODIFY : 0);
    this.#ops = { name, flags, hash: this.#hash };
  }

  update(): void {
    const next = this.#wanted();
    const { filter } = this.#hash;
    if (next.size === 0) {
      this.#registration?.unregister();
      this.#registration = undefined;
    } else if (this.#registration) {
      if (next.size === filter.size && next.isSubsetOf(filter)) return;
      this.#core.commitHash(this.#hash, "filter", { records: next, waiting: [] });
    } else {
      filter.clear();
      for (const index of next) filter.add(index);
      this.#registration = this.#core.registerInternal(
        this.#ops,
        (call) => this.#hits.serveFtrace(call, this.#ipmodify),
      );
    }
  }

  #wanted(): Set<number> {
    const wanted = this.#table.points.filter(({ armed, place, probes }) =>
      armed && place.record &&
      this.#ipmodify === probes.some(({ kp }) => kp.postHandler !== undefined)
    );
    return new Set(wanted.map(({ place }) => place.record!.index));
  }
}
