/**
 * The registered ops of one machine: who is admitted, and what is kept of each.
 *
 * The list is newest first, as the kernel's is. The ops of a tracer is never written to; flags, slot
 * and hash stand in an entry of ours.
 *
 * What is demanded of an ops is `ops_rules.ts`; what follows from a registration, the update of the
 * sites, is `function_core.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { Era } from "../era.ts";
import { FtraceError } from "../ftrace_error.ts";
import { createHash, fillHash, type FtraceHash } from "./filter.ts";
import { type AnyFtraceOps, FTRACE_OPS_FL_ENABLED, FTRACE_OPS_FL_PERMANENT } from "./ftrace_ops.ts";
import type { OpsDispatch, RegisteredOps } from "./ops_dispatch.ts";
import { checkFlags, checkIpModify } from "./ops_rules.ts";
import type { TracingArea } from "./tracing_area.ts";

/** What {@linkcode OpsRegistry} stands on. */
export interface OpsRegistryParts {
  /** Which kernel's rules hold. */
  readonly era: Era;
  /** Where a slot is taken for each ops. */
  readonly area: TracingArea;
  /** Finds the ops of a slot. */
  readonly dispatch: OpsDispatch;
  /** Everything that can be traced. */
  readonly records: () => readonly DynFtrace[];
}

/** An ops that asks to be registered. */
export interface Candidate {
  /** Whose callbacks they are. */
  readonly ops: AnyFtraceOps;
  /** Whether its callback is one of ours, which needs no trampoline of its own. */
  readonly isStatic: boolean;
  /** Takes the calls. */
  readonly call: RegisteredOps["call"];
  /** Where its sites lead at once, or 0n. */
  readonly directCall: bigint;
  /** Whether `ftrace_enabled` is 1. */
  readonly enabled: boolean;
}

/** Which ops are registered. */
export class OpsRegistry {
  readonly #parts: OpsRegistryParts;
  #registered: readonly RegisteredOps[] = [];
  /** Registrations so far: what orders the users of a record. */
  #count = 0;

  /** Starts with none. */
  constructor(parts: OpsRegistryParts) {
    this.#parts = parts;
  }

  /** All of them, newest first. */
  get all(): readonly RegisteredOps[] {
    return this.#registered;
  }

  /** The one that keeps `ftrace_enabled` at 1, if there is one. */
  get permanent(): RegisteredOps | undefined {
    return this.#registered.find(({ flags }) => flags & FTRACE_OPS_FL_PERMANENT);
  }

  /** What is kept of an ops. @throws {FtraceError} EBUSY if it is not registered. */
  find(ops: AnyFtraceOps): RegisteredOps {
    const entry = this.#registered.find((each) => each.ops === ops);
    if (entry) return entry;
    throw new FtraceError(
      "EBUSY",
      "not-enabled",
      `Cannot change ${ops.name ?? "the ops"}: it is not registered`,
    );
  }

  /** Flags of a registration; those of one that is over say so by lacking ENABLED. */
  flagsOf(entry: RegisteredOps): number {
    return this.#registered.includes(entry)
      ? entry.flags | entry.passing | FTRACE_OPS_FL_ENABLED
      : entry.flags;
  }

  /** Takes an ops in, at the head of the list. @throws {FtraceError} As the kernel; nothing has changed then. */
  admit({ ops, isStatic, call, directCall, enabled }: Candidate): RegisteredOps {
    const { era, area, dispatch, records } = this.#parts;
    const isRegistered = this.#registered.some((each) => each.ops === ops);
    const flags = checkFlags(ops, { era, enabled, isStatic, isRegistered });
    const hash = ops.hash ?? createHash();
    if (!ops.hash) {
      fillHash(hash, ops, records());
    }
    checkIpModify({ ops, flags, hash }, this.#registered, records());
    const entry: RegisteredOps = {
      ops,
      hash,
      flags,
      passing: 0,
      order: this.#count++,
      slot: area.take(flags, directCall),
      directCall,
      call,
      calls: 0,
      next: undefined,
      tables: { filter: undefined, notrace: undefined },
    };
    dispatch.bySlot[entry.slot] = entry;
    this.#registered = [entry, ...this.#registered];
    return entry;
  }

  /** Takes an ops off the list; its slot still leads to it. */
  forget(entry: RegisteredOps): void {
    this.#registered = this.#registered.filter((each) => each !== entry);
  }

  /** Frees the slot of an ops that no site calls any more. */
  release({ slot }: RegisteredOps): void {
    this.#parts.dispatch.bySlot[slot] = undefined;
    this.#parts.area.free(slot);
  }

  /** Those that use a hash, each of which may have it changed to `half`. @throws {FtraceError} EBUSY, EINVAL. */
  usersOf(hash: FtraceHash, half: FtraceHash): readonly RegisteredOps[] {
    const users = this.#registered.filter((each) => each.hash === hash);
    const others = this.#registered.filter((each) => each.hash !== hash);
    for (const { ops, flags } of users) {
      checkIpModify({ ops, flags, hash: half }, others, this.#parts.records());
    }
    return users;
  }

  /** The hash of each; several may share one. */
  get hashes(): readonly FtraceHash[] {
    return this.#registered.map((each) => each.hash);
  }
}
