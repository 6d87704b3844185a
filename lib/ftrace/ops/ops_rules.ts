/**
 * What the kernel demands of an ops before it takes it in, and how it will be called.
 *
 * Pure rules (`kernel/trace/ftrace.c __register_ftrace_function`, `__ftrace_hash_update_ipmodify`,
 * `ftrace_ops_get_func`); who keeps the list of ops is `function_core.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { Era } from "../era.ts";
import { type FtraceHash, hashAllows, isEmptyHash } from "./filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import {
  type AnyFtraceOps,
  FTRACE_OPS_FL_DELETED,
  FTRACE_OPS_FL_DIRECT,
  FTRACE_OPS_FL_DYNAMIC,
  FTRACE_OPS_FL_ENABLED,
  FTRACE_OPS_FL_INITIALIZED,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_PERMANENT,
  FTRACE_OPS_FL_RCU,
  FTRACE_OPS_FL_RECURSION,
  FTRACE_OPS_FL_SAVE_REGS,
  FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED,
  FTRACE_OPS_FL_STUB,
} from "./ftrace_ops.ts";
import type { Dispatch } from "./tracing_area.ts";

/** What the rules look at in a registered ops. */
export interface OpsUse {
  /** The ops itself, its owner's object. */
  readonly ops: AnyFtraceOps;
  /** The functions that the ops traces. */
  readonly hash: FtraceHash;
  /** The ops' flags with those that the core has set. */
  readonly flags: number;
}

/** The state of the core at which a registration is judged. */
export interface OpsState {
  /** The era whose rules apply. */
  readonly era: Era;
  /** `kernel.ftrace_enabled`. */
  readonly enabled: boolean;
  /** Whether the ops is one of the kernel's own; any other is DYNAMIC. */
  readonly isStatic: boolean;
  /** Whether this very ops is registered already. */
  readonly isRegistered: boolean;
}

/** The flags an ops is registered with. @throws {FtraceError} EINVAL or EBUSY. */
export function checkFlags(
  ops: AnyFtraceOps,
  { era, enabled, isStatic, isRegistered }: OpsState,
): number {
  const who = ops.name ?? "the ops";
  let flags = (ops.flags ?? 0) | FTRACE_OPS_FL_INITIALIZED;
  if (flags & FTRACE_OPS_FL_DELETED) {
    throw new FtraceError("EINVAL", "deleted", `Cannot register ${who}: it is being deleted`);
  }
  if (isRegistered || flags & FTRACE_OPS_FL_ENABLED) {
    throw new FtraceError("EBUSY", "already-enabled", `Cannot register ${who}: it is registered`);
  }
  if (flags & FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED) flags |= FTRACE_OPS_FL_SAVE_REGS;
  else if ((flags & FTRACE_OPS_FL_SAVE_REGS) !== 0 && !era.savesRegs) {
    throw new FtraceError(
      "EINVAL",
      "no-regs",
      `Cannot register ${who} with SAVE_REGS: era ${era.name} saves arguments, not full pt_regs`,
      "fregs.argument(n), SAVE_REGS_IF_SUPPORTED or --era regs",
    );
  }
  if (flags & FTRACE_OPS_FL_PERMANENT && !enabled) {
    throw new FtraceError(
      "EBUSY",
      "ftrace-disabled",
      `Cannot register ${who} with PERMANENT while ftrace_enabled is 0`,
      "ftrace_enabled = 1 first",
    );
  }
  return isStatic ? flags : flags | FTRACE_OPS_FL_DYNAMIC;
}

/**
 * That at most one user of a site changes its ip, and never one that traces everything.
 *
 * @throws {FtraceError} EINVAL without a filter; EBUSY if `others` has one that does so already, or a
 * direct call on a function whose ip is to be changed.
 */
export function checkIpModify(
  { ops, flags, hash }: OpsUse,
  others: readonly OpsUse[],
  records: readonly DynFtrace[],
): void {
  if (!claimOn([{ flags }])) return;
  const who = ops.name ?? "the ops";
  if (isEmptyHash(hash, "filter")) {
    throw new FtraceError(
      "EINVAL",
      "empty-filter",
      `Cannot let ${who} modify the ip of every function`,
      "a filter that names the functions",
    );
  }
  const owners = others.filter((each) => claimOn([each]));
  if (owners.length === 0) return;
  for (const index of hash.filter) {
    const owner = owners.find((each) => hashAllows(each.hash, index));
    if (owner && hashAllows(hash, index)) throw ipTaken(records[index]!.name, owner);
  }
}

/** The one of a record's ops that changes its ip, or calls something directly; undefined if none does. */
export function claimOn<T extends Pick<OpsUse, "flags">>(users: readonly T[]): T | undefined {
  return users.find(({ flags }) => flags & (FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_DIRECT));
}

/** The refusal of the ip of a function that `owner` has already. */
export function ipTaken(name: string, owner: OpsUse): FtraceError {
  const isDirect = (owner.flags & FTRACE_OPS_FL_DIRECT) !== 0;
  return new FtraceError(
    "EBUSY",
    isDirect ? "already-direct" : "already-ipmodify",
    `Cannot take the ip of ${name}: ${nameOf(owner)} ${
      isDirect ? "calls something directly there" : "has it"
    }`,
    isDirect ? "another function, or the direct call alone" : "one IPMODIFY ops for both",
  );
}

/** What an ops is called in a message. */
export function nameOf({ ops }: Pick<OpsUse, "ops">): string {
  return ops.name ?? "another ops";
}

/** Whether a site of this one ops is to save all registers. */
export function wantsRegs(flags: number): boolean {
  return (flags & FTRACE_OPS_FL_SAVE_REGS) !== 0;
}

/**
 * How the only ops of a site (CALL_OPS) or of the machine is called: by itself, through the
 * recursion lock, or through the list (`ftrace_ops_get_func`, `ftrace_ops_get_list_func`).
 */
export function dispatchOf(flags: number, literals: boolean): Dispatch {
  const assisted = (flags & (FTRACE_OPS_FL_RECURSION | FTRACE_OPS_FL_RCU)) !== 0;
  if (flags & FTRACE_OPS_FL_STUB) return "list";
  // A literal can name an ops only where nothing has to stand between.
  if (literals) return assisted ? "list" : "direct";
  if (flags & (FTRACE_OPS_FL_DYNAMIC | FTRACE_OPS_FL_RCU)) return "list";
  return assisted ? "assist" : "direct";
}
