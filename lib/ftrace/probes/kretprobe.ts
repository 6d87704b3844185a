/**
 * kretprobes: a probe on a function's return, which hooks ra from a kprobe at its entry.
 *
 * A call that is waited for takes an instance from the probe's pool of `maxactive`; a call that finds
 * the pool empty is missed. Where an era refuses a kprobe at the entry it refuses the kretprobe, too
 * (`kernel/kprobes.c register_kretprobe`).
 *
 * How the return is caught is `rethook.ts`.
 *
 * @module
 */
import { bindMethods } from "../bound.ts";
import { RA, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import { REGS_FRAME } from "../../trampoline/frame.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import { describe, refusePromise } from "../callbacks.ts";
import { FtraceError, throwRefusal } from "../ftrace_error.ts";
import { type Kprobe, probeAddress } from "./kprobe.ts";
import type { Kprobes } from "./kprobes.ts";
import { addressKey } from "../ops/record_table.ts";
import { EntryLiveness } from "../ops/entry_liveness.ts";
import { type NoReturnReason, noReturnReason } from "../ops/records.ts";
import type { Rethook, RethookNode } from "../returns/rethook.ts";

/** Most bytes that an instance carries from the entry to the return (`KRETPROBE_MAX_DATA_SIZE`). */
export const KRETPROBE_MAX_DATA_SIZE = 4096;

/** A probe on a function's return (`struct kretprobe`). */
export interface Kretprobe {
  /** The function: its name or its address. */
  readonly at: string | bigint;
  /** At the entry; a result other than 0 says that this call's return is of no interest. */
  entryHandler?: (ri: KretprobeInstance, regs: PtRegs) => number | boolean | void;
  /** At the return: `regs.x(10)` is the result, and what is written there is what the caller gets. */
  handler?: (ri: KretprobeInstance, regs: PtRegs) => void;
  /** Most calls that are waited for at a time; the greater of 10 and two a hart by default. */
  readonly maxactive?: number;
  /** Bytes that each instance carries from the entry to the return, up to 4096. */
  readonly dataSize?: number;
  /** Leaves the probe unarmed when it is registered; `kretprobes.enable()` arms it. */
  readonly disabled?: boolean;
}

/** A kretprobe that is registered, or was. Its owner's object is never written to. */
export interface KretprobeRegistration extends Disposable {
  /** How many returns the handler was told of so far. */
  readonly nhit: number;
  /** Calls that could not be waited for, because the pool was empty or a handler was running. */
  readonly nmissed: number;
}

/** A call that a kretprobe waits for (`struct kretprobe_instance`). Valid until it has returned. */
export interface KretprobeInstance {
  /** The kretprobe that waits for the call. */
  readonly kretprobe: Kretprobe;
  /** Where the function returns to. */
  readonly returnAddress: bigint;
  /** Storage from the entry to the return; null if `dataSize` is 0. */
  readonly data: DataView | null;
  /** The hart that makes the call. */
  readonly hart: Hart;
}

/** What {@linkcode Kretprobes} stands on. */
export interface KretprobesContext {
  /** The machine whose functions are probed. */
  readonly machine: Machine;
  /** Where entries are probed. */
  readonly kprobes: Kprobes;
  /** Where returns are hooked. */
  readonly rethook: Rethook;
  /** Called before the first return can be hooked. */
  readonly prepare: () => void;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
}

/** Why a function's return cannot be caught, by the reason of the refusal. */
const NO_RETURN: Readonly<Record<NoReturnReason, string>> = {
  "returns-twice": "it returns a second time to the same place",
  "link-in-t0": "ra does not hold its return address",
  "interrupt-handler": "it is entered by a trap and left by mret or sret",
};

/** Kretprobes of one machine. */
export class Kretprobes {
  readonly #context: KretprobesContext;
  readonly #registered = new Map<Kretprobe, ReturnProbe>();
  /** Registrations of probes, the last one of each, also when it is over. */
  readonly #registrations = new WeakMap<Kretprobe, KretprobeRegistration>();

  /** Starts without probes. */
  constructor(context: KretprobesContext) {
    bindMethods(this);
    this.#context = context;
  }

  /** Address of `arch_rethook_trampoline`: what ra holds while a return is waited for. */
  get trampoline(): bigint {
    return this.#context.rethook.trampoline;
  }

  /**
   * How a probe on the entry of a function's return would be refused, or undefined if it would not:
   * EINVAL off a function's entry, where the entry cannot be probed, or if it is registered; E2BIG.
   *
   * @throws {FtraceError} ENOENT for an unknown symbol.
   */
  verdict(rp: Kretprobe): FtraceError | undefined {
    if (this.#registered.has(rp)) {
      return this.#refusal("EINVAL", "already-enabled", rp, "it is registered");
    }
    const found = this.#context.machine.symbols.at(this.#addressOf(rp));
    if (found?.offset !== 0n) {
      const instead = found ? `a kretprobe on ${found.symbol.name}` : "a function";
      const why = "a return probe's address must be a function's entry";
      return this.#refusal("EINVAL", "not-entry", rp, why, instead);
    }
    const { name } = found.symbol;
    const reason = new EntryLiveness(this.#context.machine.space).liveLink(found.symbol.address);
    const noReturn = noReturnReason({ name, kind: "virtual", reason });
    if (noReturn) {
      return this.#refusal("EINVAL", noReturn, rp, NO_RETURN[noReturn], "a kprobe on its entry");
    }
    if ((rp.dataSize ?? 0) > KRETPROBE_MAX_DATA_SIZE) {
      const why = `an instance carries ${KRETPROBE_MAX_DATA_SIZE} bytes at most`;
      return this.#refusal("E2BIG", "too-many", rp, why, "a Map of one's own");
    }
    const verdict = this.#context.kprobes.verdict(found.symbol.address);
    if (!(verdict instanceof FtraceError)) return undefined;
    if (verdict.reason !== "on-ftrace-slot") return verdict;
    const why = "it takes a kprobe at the entry, which is ftrace's own in this era";
    const instead = `fprobe on ${name} with an exitHandler`;
    return this.#refusal("EINVAL", "on-ftrace-slot", rp, why, instead);
  }

  /**
   * Places a probe (`register_kretprobe`); disposing takes it away.
   *
   * @throws {FtraceError} What {@linkcode Kretprobes.verdict} gives; ENOENT for an unknown symbol.
   */
  register(rp: Kretprobe): KretprobeRegistration {
    throwRefusal(this.verdict(rp));
    const { machine, rethook, kprobes, prepare } = this.#context;
    const probe: ReturnProbe = new ReturnProbe(rp, this.#addressOf(rp), {
      rethook,
      kprobes,
      harts: machine.harts.length,
      isRegistered: () => this.#registered.get(rp) === probe,
      failed: (error) => this.#failed(probe, error),
    });
    prepare();
    this.#registered.set(rp, probe);
    try {
      kprobes.register(probe.kp, "r");
    } catch (error) {
      this.#registered.delete(rp);
      throw error;
    }
    return this.#registration(probe);
  }

  /** Takes it away; calls that are waited for end without a word. @throws {FtraceError} EINVAL if it is not registered. */
  unregister(rp: Kretprobe): void {
    this.#context.kprobes.unregister(this.#probe(rp, "unregister").kp);
    this.#registered.delete(rp);
  }

  /** Arms it. @throws {FtraceError} EINVAL if it is not registered. */
  enable(rp: Kretprobe): void {
    this.#context.kprobes.enable(this.#probe(rp, "enable").kp);
  }

  /** Disarms it and keeps it. @throws {FtraceError} EINVAL if it is not registered. */
  disable(rp: Kretprobe): void {
    this.#context.kprobes.disable(this.#probe(rp, "disable").kp);
  }

  /** Counts of a probe that is registered, or was; undefined if it never was. */
  of(rp: Kretprobe): KretprobeRegistration | undefined {
    return this.#registrations.get(rp);
  }

  #registration(probe: ReturnProbe): KretprobeRegistration {
    const registration: KretprobeRegistration = {
      get nhit() {
        return probe.nhit;
      },
      get nmissed() {
        return probe.nmissed;
      },
      [Symbol.dispose]: () => {
        if (this.#registered.get(probe.rp) === probe) this.unregister(probe.rp);
      },
    };
    this.#registrations.set(probe.rp, registration);
    return registration;
  }

  #failed(probe: ReturnProbe, error: unknown): void {
    const { rp } = probe;
    this.#context.report(
      `[kretprobe] Cannot serve ${this.#nameOf(rp)}: ${describe(error)}; it is unregistered`,
    );
    if (this.#registered.get(rp) === probe) this.unregister(rp);
  }

  #probe(rp: Kretprobe, what: string): ReturnProbe {
    const probe = this.#registered.get(rp);
    if (probe) return probe;
    const message = `Cannot ${what} the kretprobe at ${this.#nameOf(rp)}: it is not registered`;
    throw new FtraceError("EINVAL", "not-enabled", message);
  }

  #addressOf({ at }: Kretprobe): bigint {
    const { symbols } = this.#context.machine;
    return typeof at === "bigint"
      ? at
      : probeAddress(at, (name) => symbols.called(name)[0]?.address);
  }

  #nameOf({ at }: Kretprobe): string {
    if (typeof at === "string") return at;
    const found = this.#context.machine.symbols.at(at);
    return found?.offset === 0n ? found.symbol.name : `0x${at.toString(16)}`;
  }

  #refusal(
    code: "EINVAL" | "E2BIG",
    reason: FtraceError["reason"],
    rp: Kretprobe,
    why: string,
    instead = "",
  ): FtraceError {
    const message = `Cannot place a kretprobe at ${this.#nameOf(rp)}: ${why}`;
    return new FtraceError(code, reason, message, instead);
  }
}

/** What a registered kretprobe needs. */
interface ReturnProbeParts {
  readonly rethook: Rethook;
  readonly kprobes: Kprobes;
  /** How many harts there are. */
  readonly harts: number;
  readonly isRegistered: () => boolean;
  readonly failed: (error: unknown) => void;
}

/** A registered kretprobe: the kprobe at its entry, its pool and its counts. */
class ReturnProbe {
  readonly rp: Kretprobe;
  readonly kp: Kprobe;
  nhit = 0;
  #emptyPool = 0;
  /** Instances that are left in the pool. */
  #free: number;
  readonly #dataSize: number;
  readonly #parts: ReturnProbeParts;

  constructor(rp: Kretprobe, at: bigint, parts: ReturnProbeParts) {
    const { maxactive = 0, dataSize = 0, disabled = false } = rp;
    this.rp = rp;
    this.#parts = parts;
    this.#dataSize = dataSize;
    this.#free = maxactive > 0 ? maxactive : Math.max(10, 2 * parts.harts);
    this.kp = { at, disabled, preHandler: (_kp, regs, hart) => this.#enter(regs, hart) };
  }

  get nmissed(): number {
    return this.#emptyPool + (this.#parts.kprobes.of(this.kp)?.nmissed ?? 0);
  }

  #enter(regs: PtRegs, hart: Hart): void {
    const { rp, kp } = this;
    const { kprobes, rethook } = this.#parts;
    if (this.#free === 0) {
      this.#emptyPool++;
      return;
    }
    // On ftrace, sp is saved as it is below the frame.
    const frame = kprobes.isOnFtrace(kp) ? REGS_FRAME.size : 0;
    const sp = addressKey(regs.x(SP)) + frame;
    const ri: KretprobeInstance = {
      kretprobe: rp,
      returnAddress: regs.x(RA),
      data: this.#dataSize > 0 ? new DataView(new ArrayBuffer(this.#dataSize)) : null,
      hart,
    };
    if (rp.entryHandler && this.#call(() => rp.entryHandler!(ri, regs))) return;
    if (!this.#parts.isRegistered()) return;
    this.#free--;
    rethook.hook(hart, sp, regs, this.#node(ri));
  }

  #node(ri: KretprobeInstance): RethookNode {
    const { kprobes, isRegistered } = this.#parts;
    return {
      onReturn: (regs) => {
        if (!isRegistered() || kprobes.of(this.kp)!.disabled) return;
        this.nhit++;
        kprobes.whileBusy(ri.hart, () => this.#call(() => this.rp.handler?.(ri, regs)));
      },
      release: () => void this.#free++,
    };
  }

  /** Runs a handler; one that throws ends the probe. */
  #call<T>(body: () => T): T | undefined {
    try {
      return refusePromise(body());
    } catch (error) {
      this.#parts.failed(error);
      return undefined;
    }
  }
}
