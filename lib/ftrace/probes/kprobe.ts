/**
 * What a kprobe is: its handlers, where it is, and what an era says to one on a site.
 *
 * A probe is its owner's object: it is read at each hit and never written to, so it may be frozen.
 * Its counts are its registration's.
 *
 * Where a probe may be is `kprobe_check.ts`; how it is placed and served is `kprobes.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import { FtraceError } from "../ftrace_error.ts";

/** A probe on one instruction (`struct kprobe`). */
export interface Kprobe {
  /** `symbol`, `symbol+offset`, or an address. */
  readonly at: string | bigint;
  /**
   * Before the instruction is executed, with the hart's registers; what is written there counts. A
   * result other than 0 says that `regs.epc` was set and the hart goes on there, without the
   * instruction and without `postHandler`; otherwise a changed epc is lost, as in the kernel.
   */
  preHandler?: (kp: Kprobe, regs: PtRegs, hart: Hart) => number | boolean | void;
  /** After the instruction was executed. */
  postHandler?: (kp: Kprobe, regs: PtRegs, hart: Hart) => void;
  /** Leaves the probe unarmed when it is registered (`KPROBE_FLAG_DISABLED`); `kprobes.enable()` arms it. */
  readonly disabled?: boolean;
}

/** A probe that is registered, or was. */
export interface KprobeRegistration extends Disposable {
  /** How often the probe was hit so far. */
  readonly nhit: number;
  /** Hits that were not served, because a probe's handler was running on the hart. */
  readonly nmissed: number;
  /** Whether it is registered and not armed: disabled, or one of its handlers has thrown. */
  readonly disabled: boolean;
}

/** What an era says to a probe at an offset into a site: nothing, or a refusal. */
export interface KprobeVerdict {
  /** The errno, or undefined if the probe is taken. */
  readonly code?: "EINVAL" | "EILSEQ";
  /** What happens to a probe that is taken, if that is not simply that it works. */
  readonly warning?: string;
  /** The probe needs no breakpoint: ftrace calls it (`KPROBES_ON_FTRACE`). */
  readonly onFtrace?: boolean;
}

/** Verdicts by offset from the function's entry, for the eight bytes of a site. */
export type KprobeRules = Readonly<Record<number, KprobeVerdict>>;

/** How an accepted probe is to be placed. */
export interface ProbePlace {
  /** Address of the probed instruction. */
  readonly address: bigint;
  /** Bits of the instruction; 16 of them if it is compressed. */
  readonly bits: number;
  /** Bytes of the instruction. */
  readonly length: 2 | 4;
  /** Whether it is simulated at its own address: its effect depends on pc. */
  readonly simulated: boolean;
  /** The record whose ftrace callback serves the probe, if one does. */
  readonly record: DynFtrace | undefined;
  /** What will become of the probe, if it does not simply work. */
  readonly warning: string | undefined;
}

/**
 * The address that `symbol`, `symbol+offset` or `0x…` names.
 *
 * @throws {FtraceError} ENOENT for an unknown symbol.
 */
export function probeAddress(
  text: string,
  lookup: (name: string) => bigint | undefined,
): bigint {
  const [name, offset = "0"] = text.split("+") as [string, string?];
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(offset)) {
    throw new SyntaxError(`Cannot read the probe "${text}": the offset behind + is not a number`);
  }
  const base = /^0x[0-9a-f]+$/i.test(name) ? BigInt(name) : lookup(name);
  if (base === undefined) {
    throw new FtraceError(
      "ENOENT",
      "no-match",
      `Cannot place a kprobe at ${text}: there is no symbol ${name}`,
    );
  }
  return base + BigInt(offset);
}
