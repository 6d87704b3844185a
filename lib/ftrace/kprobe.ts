/**
 * kprobes: where an era allows one, and why not where it does not.
 *
 * The kernel answers `-EINVAL` and no more to a probe on an ftrace site, because without full
 * `pt_regs` (ARGS) ftrace cannot serve it and the site's words are not its to overwrite. Which
 * offsets that concerns turned round when the site became one word (`kernel/kprobes.c
 * check_ftrace_location`); the table of each era is in `era.ts`.
 *
 * An accepted probe is served by a hook of the engine: the guest's text stays as it is.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import type { DynFtrace } from "../patcher/dyn_ftrace.ts";
import { FtraceError } from "./ftrace_error.ts";

/** A probe on one instruction (`struct kprobe`). */
export interface Kprobe {
  /** `symbol`, `symbol+offset`, or an address. */
  readonly at: string | bigint;
  /** Before the instruction is executed. */
  preHandler?: (kp: Kprobe, hart: Hart) => void;
  /** Hits that were not served. */
  nmissed?: number;
}

/** What an era says to a probe at an offset into a site: nothing, or a refusal. */
export interface KprobeVerdict {
  /** The errno, or undefined if the probe is taken. */
  readonly code?: "EINVAL" | "EILSEQ";
  /** What happens to a probe that is taken, if that is not simply that it works. */
  readonly warning?: string;
}

/** Verdicts by offset from the function's entry, for the eight bytes of a site. */
export type KprobeRules = Readonly<Record<number, KprobeVerdict>>;

/**
 * Says whether a probe may be placed at `address`; gives a warning if it may, but will not last.
 *
 * @param record The record whose site covers the address, if one does.
 * @param boundary Whether an instruction starts at the address.
 * @throws {FtraceError} EINVAL on the slot that ftrace owns, EILSEQ inside an instruction.
 */
export function checkKprobe(
  address: bigint,
  record: DynFtrace | undefined,
  rules: KprobeRules,
  era: string,
  boundary: boolean,
): string | undefined {
  const place = `0x${address.toString(16)}`;
  const offset = record ? Number(address - record.entry) : -1;
  const verdict = offset >= 0 && offset < 8 ? rules[offset] : undefined;
  if ((address & 1n) !== 0n || verdict?.code === "EILSEQ" || !boundary) {
    throw new FtraceError(
      "EILSEQ",
      "not-instruction-boundary",
      `Cannot place a kprobe at ${place}: it is not an instruction boundary`,
      "the address of an instruction",
    );
  }
  if (verdict?.code === "EINVAL") {
    throw new FtraceError(
      "EINVAL",
      "on-ftrace-slot",
      `Cannot place a kprobe at ${record!.name}+${offset} (${place}): it is the word that ftrace ` +
        `switches, and era ${era} saves no full pt_regs, so ftrace cannot serve a kprobe there`,
      `fprobe on ${record!.name}, or a kprobe at ${record!.name}+8`,
    );
  }
  return verdict?.warning;
}
