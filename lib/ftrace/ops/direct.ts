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
import { type DynFtrace, FTRACE_FL_DIRECT } from "../../patcher/dyn_ftrace.ts";
import { pairReaches } from "../../patcher/scheme.ts";
import type { Era } from "../era.ts";
import { createHash, fillHash, type FtraceHash, hashAllows, isEmptyHash } from "./filter.ts";
import { FtraceError, type FtraceReason, throwRefusal } from "../ftrace_error.ts";
import { type AnyFtraceOps, FTRACE_OPS_FL_DIRECT, FTRACE_OPS_FL_SAVE_REGS } from "./ftrace_ops.ts";
import type { FunctionCore } from "./function_core.ts";

/** Code assembled into the tracing range. */
export interface TracingCode {
  /** Address of the code's first instruction. */
  readonly address: bigint;
  /** Addresses by name: the code's labels, the trampolines', and the `symbols` it was given. */
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
  registerFtraceDirect(ops: AnyFtraceOps, address: bigint): Disposable;
  /** Takes the direct call back. @throws {FtraceError} EINVAL if it is not registered, ENODEV. */
  unregisterFtraceDirect(ops: AnyFtraceOps, address: bigint): void;
  /** Leads the same functions elsewhere. @throws {FtraceError} EINVAL if it is not registered, ENODEV. */
  modifyFtraceDirect(ops: AnyFtraceOps, address: bigint): void;
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

/** A registered direct call: its ops, the functions it serves and where their sites lead. */
interface DirectCall {
  /** The ops registered with the core in place of the caller's, which is not written to. */
  readonly inner: AnyFtraceOps;
  /** The functions whose sites make the direct call. */
  readonly hash: FtraceHash;
  /** Address that the sites call. */
  address: bigint;
}

/** Makes the interface of one machine. */
export function createDirectCalls(core: FunctionCore, era: Era): DirectCalls {
  const calls = new RegisteredDirectCalls(core, era);
  return {
    registerFtraceDirect: (ops, address) => calls.register(ops, address),
    unregisterFtraceDirect: (ops) => calls.unregister(ops),
    modifyFtraceDirect: (ops, address) => calls.modify(ops, address),
    assembleTracingCode: (source, symbols) => core.area.assemble(source, symbols),
  };
}

/** The direct calls of one machine. */
class RegisteredDirectCalls {
  readonly #core: FunctionCore;
  readonly #era: Era;
  readonly #inForce = new Map<AnyFtraceOps, DirectCall>();

  constructor(core: FunctionCore, era: Era) {
    this.#core = core;
    this.#era = era;
  }

  register(ops: AnyFtraceOps, address: bigint): Disposable {
    throwRefusal(checkDirectEra(this.#era));
    if (ops.func || ops.hit) {
      throw refuse("the ops has a callback of its own", "bad-syntax", "an ops with a filter only");
    }
    if (this.#inForce.has(ops)) throw refuse("the ops is registered", "already-enabled");
    const hash = ops.hash ?? this.#hashOf(ops);
    if (isEmptyHash(hash, "filter")) {
      throw refuse("the ops names no functions", "empty-filter", "a filter that names them");
    }
    this.#checkNotTaken(hash);
    this.#checkReach(hash, address);
    // Only the trampoline that saves all registers has a slot for t1 in that era.
    const flags = FTRACE_OPS_FL_DIRECT | (this.#era.savesRegs ? FTRACE_OPS_FL_SAVE_REGS : 0);
    const { name } = ops;
    const inner: AnyFtraceOps = { ...(name === undefined ? {} : { name }), hash, flags };
    const call: DirectCall = { inner, hash, address };
    this.#core.registerInternal(inner, ({ fregs }) => fregs.directTramp = call.address, address);
    this.#inForce.set(ops, call);
    return {
      [Symbol.dispose]: () => {
        if (this.#inForce.get(ops) === call && !this.#core.disabled) this.#remove(ops, call);
      },
    };
  }

  unregister(ops: AnyFtraceOps): void {
    this.#remove(ops, this.#find(ops));
  }

  modify(ops: AnyFtraceOps, address: bigint): void {
    const call = this.#find(ops);
    this.#checkReach(call.hash, address);
    this.#core.redirect(call.inner, address);
    call.address = address;
  }

  #remove(ops: AnyFtraceOps, { inner }: DirectCall): void {
    this.#core.unregister(inner);
    this.#inForce.delete(ops);
  }

  #find(ops: AnyFtraceOps): DirectCall {
    throwRefusal(checkDirectEra(this.#era));
    const found = this.#inForce.get(ops);
    if (!found) throw refuse(`${ops.name ?? "the ops"} is not registered`, "not-enabled");
    return found;
  }

  #hashOf({ filter, notrace }: AnyFtraceOps): FtraceHash {
    const hash = createHash();
    fillHash(hash, { filter, notrace }, this.#core.records);
    return hash;
  }

  /** The records that a hash with a filter lets through. */
  #recordsOf(hash: FtraceHash): DynFtrace[] {
    return [...hash.filter].sort((a, b) => a - b).filter((index) => hashAllows(hash, index))
      .map((index) => this.#core.records[index]!);
  }

  #checkNotTaken(hash: FtraceHash): void {
    const taken = this.#recordsOf(hash).find(({ flags }) => flags & FTRACE_FL_DIRECT);
    if (taken) throwRefusal(checkNotDirect(taken));
  }

  #checkReach(hash: FtraceHash, address: bigint): void {
    for (const record of this.#recordsOf(hash)) {
      const { name, kind, entry } = record;
      if (kind !== "patched") {
        throw refuse(`${name} has no site that could`, "no-site", "a function with a call site");
      }
      if (!this.#era.opsLiteral && !pairReaches(entry, address)) {
        throw refuse(`0x${address.toString(16)} is out of reach of ${name}`, "out-of-reach");
      }
    }
  }
}

/** That the era has direct calls at all: the refusal if it has none. */
export function checkDirectEra(era: Era): FtraceError | undefined {
  return era.hasDirectCalls ? undefined : new FtraceError(
    "ENODEV",
    "not-supported-by-era",
    `Cannot call directly: in era ${era.name} a site reaches no further than ftrace_caller`,
    "--era call-ops, where the ops in the literal names the target",
  );
}

/** That nothing is called directly at a record: the refusal if something is. */
export function checkNotDirect({ flags, name }: DynFtrace): FtraceError | undefined {
  return (flags & FTRACE_FL_DIRECT) === 0 ? undefined : new FtraceError(
    "EBUSY",
    "already-direct",
    `Cannot call directly: ${name} has a direct call`,
    "modifyFtraceDirect of the ops that has it",
  );
}

function refuse(what: string, reason: FtraceReason, instead = ""): FtraceError {
  return new FtraceError("EINVAL", reason, `Cannot call directly: ${what}`, instead);
}
