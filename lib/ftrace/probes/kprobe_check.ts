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
import { collect } from "../../isa/collect.ts";
import { RV64 } from "../../isa/decode.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE } from "../../memory/page.ts";
import { type DynFtrace, FTRACE_FL_ENABLED } from "../../patcher/dyn_ftrace.ts";
import type { SymbolTable } from "../../program/symbols.ts";
import { FtraceError } from "../ftrace_error.ts";
import type { KprobeRules, KprobeVerdict, ProbePlace } from "./kprobe.ts";

/** The bounds of code that must not be probed, where a kernel has them (`arch/riscv` and `kernel/kprobes.c`). */
const BLACKLISTED_SECTIONS = [
  ["__kprobes_text_start", "__kprobes_text_end"],
  ["__noinstr_text_start", "__noinstr_text_end"],
  ["__entry_text_start", "__entry_text_end"],
  ["__irqentry_text_start", "__irqentry_text_end"],
] as const;

/** Opcodes that are never probed: SYSTEM, with ebreak, ecall and CSRs, and MISC-MEM, the fences. */
const REJECTED: readonly number[] = [0x73, 0x0f];

/**
 * Says how a probe may be placed at an address, or gives the refusal: EINVAL on the slot that ftrace
 * owns, outside functions, on the blacklist and on instructions that cannot be stepped; EILSEQ inside
 * an instruction. Nothing is placed.
 */
export type KprobeCheck = (address: bigint) => ProbePlace | FtraceError;

/** Makes the check of one machine, under the rules of the era of that name. */
export function createKprobeCheck(
  machine: Machine,
  rules: KprobeRules,
  era: string,
  records: readonly DynFtrace[],
): KprobeCheck {
  const checker = new KprobeChecker(machine, rules, era, records);
  return (address) => checker.check(address);
}

/** A symbol, and how far into it an address is. */
type LocatedSymbol = NonNullable<ReturnType<SymbolTable["at"]>>;

/** A refusal without the place. */
interface Refusal {
  readonly code: "EINVAL" | "EILSEQ";
  readonly reason: FtraceError["reason"];
  readonly why: string;
  readonly instead: string;
}

class KprobeChecker {
  readonly #machine: Machine;
  readonly #rules: KprobeRules;
  readonly #era: string;
  readonly #records: readonly DynFtrace[];
  readonly #isBlacklisted: (address: bigint) => boolean;

  constructor(machine: Machine, rules: KprobeRules, era: string, records: readonly DynFtrace[]) {
    this.#machine = machine;
    this.#rules = rules;
    this.#era = era;
    this.#records = records;
    this.#isBlacklisted = createBlacklist(machine);
  }

  check(address: bigint): ProbePlace | FtraceError {
    const record = this.#records.find(({ entry, kind }) =>
      kind === "patched" && address >= entry && address < entry + 8n
    );
    const verdict = record && this.#rules[Number(address - record.entry)];
    const covering = this.#machine.symbols.at(address);
    const refusal = this.#refuseSite(record, verdict) ?? this.#refuseText(address, covering) ??
      this.#refuseInstruction(address, covering!);
    if (!refusal) return this.#place(address, record, verdict);
    const place = covering
      ? `${covering.symbol.name}+${covering.offset} (0x${address.toString(16)})`
      : `0x${address.toString(16)}`;
    const { code, reason, why, instead } = refusal;
    return new FtraceError(code, reason, `Cannot place a kprobe at ${place}: ${why}`, instead);
  }

  #refuseSite(
    record: DynFtrace | undefined,
    verdict: KprobeVerdict | undefined,
  ): Refusal | undefined {
    if (!record || verdict?.code !== "EINVAL") return undefined;
    return {
      code: "EINVAL",
      reason: "on-ftrace-slot",
      why: `it is the word that ftrace switches, and era ${this.#era} saves no full pt_regs, so ` +
        "ftrace cannot serve a kprobe there",
      instead: `fprobe on ${record.name}, or a kprobe at ${record.name}+8`,
    };
  }

  #refuseText(address: bigint, covering: LocatedSymbol | undefined): Refusal | undefined {
    const { tracing, space } = this.#machine;
    if (address >= BigInt(tracing.start) && address < BigInt(tracing.end)) {
      return {
        code: "EINVAL",
        reason: "blacklisted",
        why: "the code there is tracing's own",
        instead: "a guest function",
      };
    }
    const isExecutable = address < 2n ** 32n - 4n && space.allows(address, 1, EXECUTE);
    if (!covering || !isExecutable) {
      return {
        code: "EINVAL",
        reason: "not-text",
        why: "no function is there",
        instead: "an instruction of a function",
      };
    }
    if (!this.#isBlacklisted(address)) return undefined;
    return {
      code: "EINVAL",
      reason: "blacklisted",
      why: `${covering.symbol.name} is on the program's kprobe blacklist`,
      instead: "a function that calls it",
    };
  }

  #refuseInstruction(address: bigint, { symbol }: LocatedSymbol): Refusal | undefined {
    let at = symbol.address;
    while (at < address) at += (this.#bitsAt(at) & 3) === 3 ? 4n : 2n;
    if (at !== address) {
      return {
        code: "EILSEQ",
        reason: "not-instruction-boundary",
        why: "it is not an instruction boundary",
        instead: "the address of an instruction",
      };
    }
    const { definition, word } = RV64.decode(this.#bitsAt(address));
    if (!REJECTED.includes(word & 0x7f) || definition.name === "illegal") return undefined;
    return {
      code: "EINVAL",
      reason: "on-reject-list",
      why: `${definition.name} cannot be stepped: it is a SYSTEM or fence instruction`,
      instead: "the instruction before or after it",
    };
  }

  #place(
    address: bigint,
    record: DynFtrace | undefined,
    verdict: KprobeVerdict | undefined,
  ): ProbePlace {
    const bits = this.#bitsAt(address);
    const { definition, word, length } = RV64.decode(bits);
    const isSwitched = ((record?.flags ?? 0) & FTRACE_FL_ENABLED) !== 0;
    return {
      address,
      bits,
      length,
      simulated: collect(definition, word).flow !== "next" || definition.name === "auipc",
      record: verdict?.onFtrace ? record : undefined,
      warning: verdict?.warning && isSwitched
        ? "ftrace's jalr is there now: it is simulated at each hit, but as soon as the function is " +
          "no longer traced the probe is lost, and taking it out then puts the jalr back"
        : verdict?.warning,
    };
  }

  #bitsAt(address: bigint): number {
    // Text need not be readable.
    const bytes = this.#machine.space.peek(address, 4)!;
    const word = bytes.reduceRight((bits, byte) => (bits << 8) | byte, 0) >>> 0;
    return (word & 3) === 3 ? word : word & 0xffff;
  }
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
