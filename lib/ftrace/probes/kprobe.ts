/**
 * Where a kprobe may be placed: the checks of `register_kprobe`, in its order, with the reason in
 * words and what to use instead.
 *
 * The kernel answers `-EINVAL` and no more to a probe on an ftrace site, because without full
 * `pt_regs` (ARGS) ftrace cannot serve it and the site's words are not its to overwrite. Which
 * offsets that concerns turned round when the site became one word (`kernel/kprobes.c
 * check_ftrace_location`); the table of each era is in `era.ts`.
 *
 * How an accepted probe is placed and served is `kprobes.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { collect } from "../../isa/collect.ts";
import { RV64 } from "../../isa/decode.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE } from "../../memory/page.ts";
import { type DynFtrace, FTRACE_FL_ENABLED } from "../../patcher/dyn_ftrace.ts";
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
  /** Registered, but not armed (`KPROBE_FLAG_DISABLED`); {@linkcode Kprobes.enable} arms it. */
  disabled?: boolean;
  /** Hits so far. */
  nhit?: number;
  /** Hits that were not served, because a probe's handler was running on the hart. */
  nmissed?: number;
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
  /** Address of the instruction. */
  readonly address: bigint;
  /** Its bits; 16 of them if it is compressed. */
  readonly bits: number;
  /** Bytes. */
  readonly length: 2 | 4;
  /** Whether it is simulated at its own address: its effect depends on pc. */
  readonly simulated: boolean;
  /** The record whose ftrace callback serves the probe, if one does. */
  readonly record: DynFtrace | undefined;
  /** What will become of the probe, if it does not simply work. */
  readonly warning: string | undefined;
}

/** The bounds of code that must not be probed, where a kernel has them (`arch/riscv` and `kernel/kprobes.c`). */
const BLACKLISTED_SECTIONS = [
  ["__kprobes_text_start", "__kprobes_text_end"],
  ["__noinstr_text_start", "__noinstr_text_end"],
  ["__entry_text_start", "__entry_text_end"],
  ["__irqentry_text_start", "__irqentry_text_end"],
] as const;

/** Opcodes that are never probed: SYSTEM, with ebreak, ecall and CSRs, and MISC-MEM, the fences. */
const REJECTED: readonly number[] = [0x73, 0x0f];

/** Says how, or that not, a probe may be placed at an address. */
export type KprobeCheck = (address: bigint) => ProbePlace;

/**
 * Makes the check of one machine. It throws an `FtraceError`: EINVAL on the slot that ftrace owns,
 * outside functions, on the blacklist and on instructions that cannot be stepped; EILSEQ inside an
 * instruction.
 */
export function createKprobeCheck(
  machine: Machine,
  rules: KprobeRules,
  era: string,
  records: readonly DynFtrace[],
): KprobeCheck {
  const { space, symbols } = machine;
  const isBlacklisted = createBlacklist(machine);
  const bitsAt = (address: number): number => {
    // Text need not be readable.
    const bytes = space.peek(BigInt(address), 4)!;
    const word = bytes.reduceRight((bits, byte) => (bits << 8) | byte, 0) >>> 0;
    return (word & 3) === 3 ? word : word & 0xffff;
  };
  const siteOf = (address: bigint) =>
    records.find(({ entry, kind }) =>
      kind === "patched" && address >= entry && address < entry + 8n
    );

  return (address) => {
    const record = siteOf(address);
    const covering = symbols.at(address);
    const offset = record ? Number(address - record.entry) : -1;
    const place = covering
      ? `${covering.symbol.name}+${covering.offset} (0x${address.toString(16)})`
      : `0x${address.toString(16)}`;
    const refuse = (
      code: "EINVAL" | "EILSEQ",
      reason: FtraceError["reason"],
      why: string,
      instead: string,
    ) => new FtraceError(code, reason, `Cannot place a kprobe at ${place}: ${why}`, instead);
    const verdict = rules[offset];
    if (verdict?.code === "EINVAL") {
      throw refuse(
        "EINVAL",
        "on-ftrace-slot",
        `it is the word that ftrace switches, and era ${era} saves no full pt_regs, so ftrace ` +
          "cannot serve a kprobe there",
        `fprobe on ${record!.name}, or a kprobe at ${record!.name}+8`,
      );
    }
    const executable = address < 2n ** 32n - 4n &&
      space.allows(address, 1, EXECUTE);
    const isOurs = address >= BigInt(machine.tracing.start) &&
      address < BigInt(machine.tracing.end);
    if (!covering || !executable || isOurs) {
      throw isOurs
        ? refuse("EINVAL", "blacklisted", "the code there is tracing's own", "a guest function")
        : refuse("EINVAL", "not-text", "no function is there", "an instruction of a function");
    }
    if (isBlacklisted(address)) {
      throw refuse(
        "EINVAL",
        "blacklisted",
        `${covering.symbol.name} is on the program's kprobe blacklist`,
        "a function that calls it",
      );
    }
    let at = Number(covering.symbol.address);
    while (at < Number(address)) at += (bitsAt(at) & 3) === 3 ? 4 : 2;
    if (at !== Number(address)) {
      throw refuse(
        "EILSEQ",
        "not-instruction-boundary",
        "it is not an instruction boundary",
        "the address of an instruction",
      );
    }
    const bits = bitsAt(at);
    const { definition, word, length } = RV64.decode(bits);
    if (REJECTED.includes(word & 0x7f) && definition.name !== "illegal") {
      throw refuse(
        "EINVAL",
        "on-reject-list",
        `${definition.name} cannot be stepped: it is a SYSTEM or fence instruction`,
        "the instruction before or after it",
      );
    }
    const onFtrace = verdict?.onFtrace ?? false;
    const switched = (record?.flags ?? 0) & FTRACE_FL_ENABLED;
    return {
      address,
      bits,
      length,
      simulated: collect(definition, word).flow !== "next" || definition.name === "auipc",
      record: onFtrace ? record : undefined,
      warning: verdict?.warning && switched
        ? "ftrace's jalr is there now: it is simulated at each hit, but as soon as the function is " +
          "no longer traced the probe is lost, and taking it out then puts the jalr back"
        : verdict?.warning,
    };
  };
}

/** Functions that the program itself asks not to probe, as Linux marks them. */
function createBlacklist({ symbols, space }: Machine): (address: bigint) => boolean {
  const addressOf = (name: string) => symbols.named(name)[0]?.address;
  const ranges = BLACKLISTED_SECTIONS.flatMap(([from, to]) => {
    const start = addressOf(from), end = addressOf(to);
    return start === undefined || end === undefined ? [] : [{ start, end }];
  });
  const first = addressOf("__start_kprobe_blacklist");
  const last = addressOf("__stop_kprobe_blacklist");
  if (first !== undefined && last !== undefined) {
    for (let at = first; at + 8n <= last; at += 8n) {
      const start = space.readWord(at, 8);
      if (start === undefined) break;
      const size = symbols.at(start)?.symbol.size ?? 1n;
      ranges.push({ start, end: start + size });
    }
  }
  return (address) => ranges.some(({ start, end }) => address >= start && address < end);
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
