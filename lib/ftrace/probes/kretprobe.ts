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
import { RA, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import { REGS_FRAME } from "../../trampoline/frame.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import { describe, refusePromise } from "../callbacks.ts";
import { FtraceError } from "../ftrace_error.ts";
import { type Kprobe, probeAddress } from "./kprobe.ts";
import type { Kprobes } from "./kprobes.ts";
import { noReturnReason } from "../ops/records.ts";
import type { Rethook } from "../returns/rethook.ts";

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
  /** Registered, but not armed. */
  readonly disabled?: boolean;
  /** Returns so far. */
  nhit?: number;
  /** Calls that could not be waited for, because the pool was empty or a handler was running. */
  nmissed?: number;
}

/** A call that a kretprobe waits for (`struct kretprobe_instance`). Valid until it has returned. */
export interface KretprobeInstance {
  /** Whose it is. */
  readonly kretprobe: Kretprobe;
  /** Where the function returns to. */
  readonly returnAddress: bigint;
  /** Storage from the entry to the return; null if `dataSize` is 0. */
  readonly data: DataView | null;
  /** The hart. */
  readonly hart: Hart;
}

/** Kretprobes of one machine. */
export interface Kretprobes {
  /** Address of `arch_rethook_trampoline`: what ra holds while a return is waited for. */
  readonly trampoline: bigint;
  /** Places one (`register_kretprobe`). @throws {FtraceError} EINVAL off a function's entry, where its entry cannot be probed, or if it is registered; ENOENT; E2BIG. */
  register(rp: Kretprobe): Disposable;
  /** Takes it away; calls that are waited for end without a word. @throws {FtraceError} EINVAL if it is not registered. */
  unregister(rp: Kretprobe): void;
  /** Arms it. @throws {FtraceError} EINVAL if it is not registered. */
  enable(rp: Kretprobe): void;
  /** Disarms it and keeps it. @throws {FtraceError} EINVAL if it is not registered. */
  disable(rp: Kretprobe): void;
}

/** What {@linkcode createKretprobes} needs. */
export interface KretprobesContext {
  /** The machine. */
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

/** Makes the kretprobes of one machine, none of them placed. */
export function createKretprobes(context: KretprobesContext): Kretprobes {
  const { machine, kprobes, rethook, report } = context;
  const { symbols } = machine;
  const registered = new Map<Kretprobe, Kprobe>();
  const lookup = (name: string) => symbols.named(name)[0]?.address;

  const placeName = ({ at }: Kretprobe) => {
    if (typeof at === "string") return at;
    const found = symbols.at(at);
    return found?.offset === 0n ? found.symbol.name : `0x${at.toString(16)}`;
  };
  const refuse = (
    code: "EINVAL" | "E2BIG",
    reason: FtraceError["reason"],
    rp: Kretprobe,
    why: string,
    instead = "",
  ) =>
    new FtraceError(code, reason, `Cannot place a kretprobe at ${placeName(rp)}: ${why}`, instead);

  const checked = (rp: Kretprobe): bigint => {
    if (registered.has(rp)) throw refuse("EINVAL", "already-enabled", rp, "it is registered");
    const address = typeof rp.at === "bigint" ? rp.at : probeAddress(rp.at, lookup);
    const found = symbols.at(address);
    if (found?.offset !== 0n) {
      throw refuse(
        "EINVAL",
        "not-entry",
        rp,
        "a return probe's address must be a function's entry",
        found ? `a kretprobe on ${found.symbol.name}` : "a function",
      );
    }
    const noReturn = noReturnReason({ name: found.symbol.name, kind: "virtual" });
    if (noReturn) {
      const why = noReturn === "returns-twice"
        ? "it returns a second time to the same place"
        : "ra does not hold its return address";
      throw refuse("EINVAL", noReturn, rp, why, "a kprobe on its entry");
    }
    if ((rp.dataSize ?? 0) > KRETPROBE_MAX_DATA_SIZE) {
      throw refuse(
        "E2BIG",
        "too-many",
        rp,
        `an instance carries ${KRETPROBE_MAX_DATA_SIZE} bytes at most`,
        "a Map of one's own",
      );
    }
    try {
      kprobes.check(address);
    } catch (error) {
      if (!(error instanceof FtraceError) || error.reason !== "on-ftrace-slot") throw error;
      throw refuse(
        "EINVAL",
        "on-ftrace-slot",
        rp,
        "it takes a kprobe at the entry, which is ftrace's own in this era",
        `fprobe on ${found.symbol.name} with an exitHandler`,
      );
    }
    return address;
  };

  const place = (rp: Kretprobe): Kprobe => {
    const at = checked(rp);
    const dataSize = rp.dataSize ?? 0;
    let free = rp.maxactive && rp.maxactive > 0
      ? rp.maxactive
      : Math.max(10, 2 * machine.harts.length);
    const call = <T>(body: () => T): T | undefined => {
      try {
        return refusePromise(body());
      } catch (error) {
        report(`[kretprobe] Cannot serve ${placeName(rp)}: ${describe(error)}; it is unregistered`);
        if (registered.get(rp) === kp) unregister(rp);
        return undefined;
      }
    };
    const onEntry = (regs: PtRegs, hart: Hart) => {
      if (free === 0) {
        rp.nmissed = (rp.nmissed ?? 0) + 1;
        return;
      }
      // On ftrace, sp is saved as it is below the frame.
      const frame = kprobes.isOnFtrace(kp) ? REGS_FRAME.size : 0;
      const sp = Number(BigInt.asIntN(64, regs.x(SP))) + frame;
      const ri: KretprobeInstance = {
        kretprobe: rp,
        returnAddress: regs.x(RA),
        data: dataSize > 0 ? new DataView(new ArrayBuffer(dataSize)) : null,
        hart,
      };
      if (rp.entryHandler && call(() => rp.entryHandler!(ri, regs))) return;
      if (registered.get(rp) !== kp) return;
      free--;
      rethook.hook(hart, sp, regs, {
        onReturn(atReturn) {
          if (registered.get(rp) !== kp || kp.disabled) return;
          rp.nhit = (rp.nhit ?? 0) + 1;
          kprobes.whileBusy(hart, () => call(() => rp.handler?.(ri, atReturn)));
        },
        release: () => void free++,
      });
    };
    const kp: Kprobe = {
      at,
      disabled: rp.disabled ?? false,
      preHandler: (_kp, regs, hart) => onEntry(regs, hart),
      get nmissed() {
        return rp.nmissed ?? 0;
      },
      set nmissed(count) {
        rp.nmissed = count;
      },
    };
    return kp;
  };

  const unregister = (rp: Kretprobe) => {
    kprobes.unregister(kprobeOf(rp, "unregister"));
    registered.delete(rp);
  };
  const kprobeOf = (rp: Kretprobe, what: string): Kprobe => {
    const kp = registered.get(rp);
    if (kp) return kp;
    const message = `Cannot ${what} the kretprobe at ${placeName(rp)}: it is not registered`;
    throw new FtraceError("EINVAL", "not-enabled", message);
  };

  return {
    trampoline: rethook.trampoline,
    register(rp) {
      const kp = place(rp);
      context.prepare();
      rp.nhit ??= 0;
      rp.nmissed ??= 0;
      registered.set(rp, kp);
      try {
        kprobes.register(kp, "r");
      } catch (error) {
        registered.delete(rp);
        throw error;
      }
      return {
        [Symbol.dispose]() {
          if (registered.get(rp) === kp) unregister(rp);
        },
      };
    },
    unregister,
    enable: (rp) => kprobes.enable(kprobeOf(rp, "enable")),
    disable: (rp) => kprobes.disable(kprobeOf(rp, "disable")),
  };
}
