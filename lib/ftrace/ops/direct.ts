/**
 * Direct calls: a function's site calls guest code by itself, without `ftrace_caller`.
 *
 * Up to 6.15 the site's pair is pointed at the direct trampoline; with CALL_OPS the literal names an
 * ops whose `direct_call` the trampoline jumps to at once. Where tracers share the site, it goes
 * through the list, the ops puts the address into the frame's slot of t1, and `ftrace_caller`
 * leaves through it (`kernel/trace/ftrace.c register_ftrace_direct`, `call_direct_funcs`).
 *
 * A direct trampoline finds the resume address in t0 and the caller in ra, keeps every register that
 * a function's entry needs, and ends with `jr t0`, or with `ret` in place of the function.
 *
 * @module
 */
import { FTRACE_FL_DIRECT } from "../../patcher/dyn_ftrace.ts";
import { pairReaches } from "../../patcher/scheme.ts";
import type { Era } from "../era.ts";
import { createHash, hashAllows, isEmptyHash, updateSet } from "./filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import { FTRACE_OPS_FL_DIRECT, FTRACE_OPS_FL_SAVE_REGS, type FtraceOps } from "./ftrace_ops.ts";
import type { FunctionCore } from "./function_core.ts";

/** Code assembled into the tracing range. */
export interface TracingCode {
  /** Its first instruction. */
  readonly address: bigint;
  /** Its labels, those of the trampolines, and what it was given. */
  readonly symbols: ReadonlyMap<string, bigint>;
}

/** The direct-call interface; part of `Ftrace`. */
export interface DirectCalls {
  /**
   * Has the functions of `ops.filter` call `address` at their entry (`register_ftrace_direct`).
   *
   * @throws {FtraceError} ENODEV where the era has none; EINVAL for an ops that has a callback, is
   * registered or traces everything, or a site that cannot reach `address`; EBUSY if a function has
   * a direct call or an IPMODIFY ops already.
   */
  registerFtraceDirect(ops: FtraceOps, address: bigint): Disposable;
  /** Takes it back. @throws {FtraceError} EINVAL if it is not registered, ENODEV. */
  unregisterFtraceDirect(ops: FtraceOps, address: bigint): void;
  /** Leads the same functions elsewhere. @throws {FtraceError} EINVAL if it is not registered, ENODEV. */
  modifyFtraceDirect(ops: FtraceOps, address: bigint): void;
  /**
   * Assembles code into the tracing range, such as a direct trampoline. It may name the labels of
   * the trampolines (`ftrace_stub`, …) and `symbols`; what it retires is overhead, not the guest's.
   *
   * @throws {SyntaxError} If the text is malformed, {RangeError} if the range is full.
   */
  assembleTracingCode(
    source: string,
    symbols?: Readonly<Record<string, bigint>>,
  ): TracingCode;
}

/** Makes the interface of one machine. */
export function createDirectCalls(core: FunctionCore, era: Era): DirectCalls {
  const { records } = core;
  const inForce = new Map<FtraceOps, { address: bigint; readonly given: number | undefined }>();
  const refuse = (what: string, reason: ConstructorParameters<typeof FtraceError>[1], way = "") =>
    new FtraceError("EINVAL", reason, `Cannot call directly: ${what}`, way);
  const checkEra = () => {
    if (era.hasDirectCalls) return;
    throw new FtraceError(
      "ENODEV",
      "not-supported-by-era",
      `Cannot call directly: in era ${era.name} a site reaches no further than ftrace_caller`,
      "--era call-ops, where the ops in the literal names the target",
    );
  };
  const find = (ops: FtraceOps) => {
    checkEra();
    const found = inForce.get(ops);
    if (!found) throw refuse(`${ops.name ?? "the ops"} is not registered`, "not-enabled");
    return found;
  };
  const checkReach = (ops: FtraceOps, address: bigint) => {
    const hash = ops.hash!;
    for (const record of records) {
      if (!hashAllows(hash, record.index)) continue;
      const { name, kind, entry } = record;
      if (kind !== "patched") {
        throw refuse(`${name} has no site that could`, "no-site", "a function with a call site");
      }
      if (!era.opsLiteral && !pairReaches(entry, address)) {
        throw refuse(`0x${address.toString(16)} is out of reach of ${name}`, "out-of-reach");
      }
    }
  };
  /** Takes the ops out; it gets back the flags it came with. */
  const remove = (ops: FtraceOps) => {
    const given = inForce.get(ops)?.given;
    core.unregister(ops);
    inForce.delete(ops);
    if (given === undefined) delete ops.flags;
    else ops.flags = given;
  };

  return {
    registerFtraceDirect(ops, address) {
      checkEra();
      if (ops.func || ops.hit) {
        throw refuse(
          "the ops has a callback of its own",
          "bad-syntax",
          "an ops with a filter only",
        );
      }
      if (inForce.has(ops)) throw refuse("the ops is registered", "already-enabled");
      if (!ops.hash) {
        const hash = createHash();
        if (ops.filter) updateSet(hash.filter, ops.filter, records);
        if (ops.notrace) updateSet(hash.notrace, ops.notrace, records);
        ops.hash = hash;
      }
      if (isEmptyHash(ops.hash, "filter")) {
        throw refuse("the ops names no functions", "empty-filter", "a filter that names them");
      }
      const { hash } = ops;
      const taken = records.find(({ flags, index }) =>
        flags & FTRACE_FL_DIRECT && hashAllows(hash, index)
      );
      if (taken) {
        throw new FtraceError(
          "EBUSY",
          "already-direct",
          `Cannot call directly: ${taken.name} has a direct call`,
          "modifyFtraceDirect of the ops that has it",
        );
      }
      checkReach(ops, address);
      const target = { address, given: ops.flags };
      // Only the trampoline that saves all registers has a slot for t1 in that era.
      ops.flags = FTRACE_OPS_FL_DIRECT | (era.savesRegs ? FTRACE_OPS_FL_SAVE_REGS : 0);
      try {
        core.registerInternal(ops, ({ fregs }) => fregs.directTramp = target.address, address);
      } catch (error) {
        if (target.given === undefined) delete ops.flags;
        else ops.flags = target.given;
        throw error;
      }
      inForce.set(ops, target);
      return {
        [Symbol.dispose]() {
          if (inForce.get(ops) === target && !core.disabled) remove(ops);
        },
      };
    },
    unregisterFtraceDirect(ops) {
      find(ops);
      remove(ops);
    },
    modifyFtraceDirect(ops, address) {
      const found = find(ops);
      checkReach(ops, address);
      core.redirect(ops, address);
      found.address = address;
    },
    assembleTracingCode: (source, symbols) => core.area.assemble(source, symbols),
  };
}
