/**
 * What can be done with one function, use by use: each answer comes from the function that would
 * refuse, asked without registering anything, and is said in words for someone who asks why.
 *
 * Which function or address is meant, and what is there, is `why.ts`.
 *
 * @module
 */
import { EXECUTE } from "../../memory/page.ts";
import type { Machine } from "../../machine/machine.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { hex } from "../../isa/hex.ts";
import type { Era } from "../era.ts";
import { FtraceError, type FtraceErrorCode, type FtraceReason } from "../ftrace_error.ts";
import { checkLivepatchEra } from "../live/livepatch.ts";
import { checkDirectEra, checkNotDirect } from "../ops/direct.ts";
import type { FtraceHash } from "../ops/filter.ts";
import { claimOn, ipTaken, nameOf, type OpsUse } from "../ops/ops_rules.ts";
import { noReturnReason, type VirtualSites } from "../ops/records.ts";
import type { KprobeCheck } from "../probes/kprobe_check.ts";
import { checkFprobeEra } from "../returns/fprobe_register.ts";

/** A way to use a function that `why` answers for. */
export type WhyUse = "trace" | "graph" | "kprobe" | "fprobe" | "livepatch" | "direct";

/** Whether one use is possible, and the reason if not. */
export interface WhyAnswer {
  /** The use of the function that the answer is about. */
  readonly use: WhyUse;
  /** Whether that use is possible. */
  readonly possible: boolean;
  /** The errno that the era's kernel answers, if the use is not possible. */
  readonly code?: FtraceErrorCode;
  /** The rule that refuses the use, or because of which something other than the site serves it. */
  readonly reason?: FtraceReason;
  /** The refusal in words; for a possible use, how it is done. */
  readonly text: string;
  /** What to use instead; empty if nothing is needed, or helps. */
  readonly instead: string;
}

/** Why a use is refused, before it becomes an answer. */
export interface Refusal {
  /** The errno that the era's kernel answers. */
  readonly code: FtraceErrorCode;
  /** Which rule refuses the use. */
  readonly reason: FtraceReason;
  /** The rule that refuses, as a sentence for the user. */
  readonly text: string;
  /** What to use instead; empty if nothing helps. */
  readonly instead: string;
}

/** The machine, era and registrations that {@linkcode FunctionUses} judges by. */
export interface WhyContext {
  /** The machine: symbols, sites, memory. */
  readonly machine: Machine;
  /** The era in force. */
  readonly era: Era;
  /** Whether to refuse what the era's kernel refuses, even where it could be served. */
  readonly strict: boolean;
  /** Which functions without a site are served, too, by hooks of the engine. */
  readonly virtual: VirtualSites;
  /** Everything that can be traced. */
  readonly records: readonly DynFtrace[];
  /** What the function and graph tracers leave out. */
  readonly globalHash: FtraceHash;
  /** Address of `ftrace_caller`. */
  readonly caller: bigint;
  /** How a kprobe would be placed, or its refusal; nothing is placed. */
  readonly checkKprobe: KprobeCheck;
  /** The registered ops that trace a record. */
  readonly usesOf: (record: DynFtrace) => readonly OpsUse[];
}

const FLAGS = "-fpatchable-function-entry=8,4 -falign-functions=8";

/** Answers about the functions of one machine. */
export class FunctionUses {
  readonly #context: WhyContext;
  readonly #release: string;

  /** Answers for the machine and era of `context`. */
  constructor(context: WhyContext) {
    this.#context = context;
    this.#release = `Linux ${context.era.release.split(/[.+-]/).slice(0, 2).join(".")}`;
  }

  /** Whether the function and the graph tracer can have it. */
  traceAnswers(record: DynFtrace | undefined, entry: bigint): WhyAnswer[] {
    const refused = this.#siteRefusal(record, entry) ?? this.#leftOut(record!);
    if (refused) return [answer("trace", refused), answer("graph", refused)];
    const how = this.#howTraced(record!);
    const reason = record!.kind === "virtual" ? record!.reason as FtraceReason : undefined;
    const noReturn = this.#exitRefusal(record!);
    return [
      possible("trace", how, reason),
      noReturn ? answer("graph", noReturn) : possible("graph", how, reason),
    ];
  }

  /** Whether an fprobe can be on the function. */
  fprobeAnswer(record: DynFtrace | undefined, entry: bigint): WhyAnswer {
    const refused = this.#siteRefusal(record, entry);
    // A kernel says ENOENT to an address that is no ftrace location.
    if (refused) return answer("fprobe", { ...refused, code: "ENOENT" });
    const older = checkFprobeEra(this.#context.era, this.#context.strict);
    if (older) {
      return answer("fprobe", {
        ...codeOf(older),
        text: `${this.#release} has no fprobe on RISC-V: it lost it with full registers in 6.10`,
        instead: "--era call-ops or regs, or a run without --strict",
      });
    }
    const noReturn = this.#exitRefusal(record!);
    if (noReturn) {
      return possible("fprobe", `its entry, but no exit: ${noReturn.text}`, noReturn.reason);
    }
    const how = this.#context.era.hasFprobe
      ? "entry and exit"
      : "entry and exit, as from Linux 6.14 on";
    const reason = record!.kind === "virtual" ? record!.reason as FtraceReason : undefined;
    return possible("fprobe", how, reason);
  }

  /** Whether a kprobe can be at an address. */
  kprobeAnswer(address: bigint): WhyAnswer {
    if (!this.#context.machine.space.allows(address, 2, EXECUTE)) {
      return answer("kprobe", {
        code: "EINVAL",
        reason: "not-text",
        text: `there is no code at ${hex(address, 8)}`,
        instead: "the address of an instruction",
      });
    }
    const verdict = this.#context.checkKprobe(address);
    if (verdict instanceof FtraceError) {
      const { code, reason, instead } = verdict;
      return answer("kprobe", { code, reason, text: sentence(verdict), instead });
    }
    const known = this.#context.machine.symbols.at(address) !== undefined;
    return possible(
      "kprobe",
      verdict.warning ??
        (known
          ? "an instruction starts there"
          : "taken, but no symbol tells where instructions start: that it is one is not known"),
    );
  }

  /** Whether live patching can replace the function. */
  livepatchAnswer(record: DynFtrace | undefined, entry: bigint): WhyAnswer {
    const unselected = checkLivepatchEra("the function", this.#context.strict);
    if (unselected) {
      return answer("livepatch", {
        ...codeOf(unselected),
        text: `${this.#release} does not select HAVE_LIVEPATCH on RISC-V`,
        instead: "a run without --strict: IPMODIFY is there, which is all that live patching needs",
      });
    }
    const refused = this.#siteRefusal(record, entry);
    if (refused) return answer("livepatch", refused);
    const noReturn = noReturnReason(record!);
    if (noReturn === "link-in-t0" || noReturn === "interrupt-handler") {
      return answer("livepatch", { ...this.#returnRefusal(record!)!, instead: "a kprobe" });
    }
    const claim = claimOn(this.#context.usesOf(record!));
    if (claim) {
      const refusal = codeOf(ipTaken(record!.name, claim));
      return answer(
        "livepatch",
        refusal.reason === "already-direct"
          ? {
            ...refusal,
            text: "a direct call is attached to it",
            instead: "another function, or the direct call alone",
          }
          : {
            ...refusal,
            text: `${nameOf(claim)} has FTRACE_OPS_FL_IPMODIFY on it, and one ops may`,
            instead: "one IPMODIFY ops for both",
          },
      );
    }
    return possible("livepatch", "through an IPMODIFY ops: no other has its ip");
  }

  /** Whether the function's site can make a direct call. */
  directAnswer(record: DynFtrace | undefined, entry: bigint): WhyAnswer {
    const unreachable = checkDirectEra(this.#context.era);
    if (unreachable) {
      return answer("direct", {
        ...codeOf(unreachable),
        text: "one jalr reaches 2 KiB around ftrace_caller, and there is no pointer to ops",
        instead: "an IPMODIFY ops, or --era call-ops",
      });
    }
    const refused = this.#siteRefusal(record, entry);
    if (refused) return answer("direct", refused);
    if (record!.kind !== "patched") {
      const { text, instead } = this.#shapeText(record!);
      return answer("direct", {
        code: "EINVAL",
        reason: record!.reason as FtraceReason,
        text: `a virtual site has no words to point elsewhere: ${text}`,
        instead: `an IPMODIFY ops, or ${instead}`,
      });
    }
    const attached = checkNotDirect(record!);
    if (attached) {
      return answer("direct", {
        ...codeOf(attached),
        text: "another direct call is attached to it",
        instead: "an ops, which shares the site with it",
      });
    }
    const claim = claimOn(this.#context.usesOf(record!));
    if (claim) {
      return answer("direct", {
        ...codeOf(ipTaken(record!.name, claim)),
        text: `${nameOf(claim)} has FTRACE_OPS_FL_IPMODIFY on it`,
        instead: "that ops, for both",
      });
    }
    return possible(
      "direct",
      this.#context.era.opsLiteral
        ? "through the pointer to its ops, at any distance"
        : "by its two words",
    );
  }

  /** Why no site of `record` can be switched, in words. */
  #shapeText(record: DynFtrace): { text: string; instead: string } {
    const { entry, before, after, name, reason } = record;
    switch (reason as FtraceReason | undefined) {
      case "site-too-small":
        return {
          text: `its site has ${after} bytes of nop from the entry on, and a call takes 8`,
          instead: `a build with ${FLAGS}`,
        };
      case "misaligned":
        return {
          text:
            `its entry ${hex(entry, 8)} is no multiple of ${
              this.#context.era.scheme.literal ? 8 : 4
            }, so ` +
            "the word to switch could not be stored, or fetched, in one piece",
          instead: "a build with -falign-functions=8, or an era of two words (--era args)",
        };
      case "no-literal":
        return {
          text: `its site has ${before} bytes before the entry, and the pointer to its ops takes 8`,
          instead: `a build with ${FLAGS}, or an era without the pointer (--era preset)`,
        };
      case "out-of-reach":
        return {
          text: `auipc and jalr at ${hex(entry, 8)} do not reach ftrace_caller at ${
            hex(this.#context.caller, 8)
          }`,
          instead: "a program whose text lies within 2 GiB",
        };
      case "interrupt-handler":
        return {
          text:
            "a trap leads to it and mret or sret leaves it, so that at its entry every register, t0 " +
            "included, is the interrupted code's",
          instead: "a function that it calls",
        };
      case "t0-live":
        return {
          text: "it reads t0 before writing it, so that no call at its entry can be linked in t0",
          instead: "a kprobe",
        };
      case "no-symbol":
        return {
          text: `its site at ${hex(entry, 8)} lies in no function that has a symbol (${name})`,
          instead: "a program that is not stripped (no -s)",
        };
      default:
        return {
          text: this.#context.machine.sites.length === 0
            ? "it has no call site, and nothing in this program has: it was compiled without them"
            : "it has no call site: it was compiled without the flag, or is marked " +
              "patchable_function_entry(0), the kernel's notrace",
          instead: `a build with ${FLAGS}`,
        };
    }
  }

  /** Why tracing cannot have the function at all, or undefined if it can. */
  #siteRefusal(record: DynFtrace | undefined, entry: bigint): Refusal | undefined {
    if (record && record.kind !== "disabled") return undefined;
    const draft = record ?? { ...NO_RECORD, entry };
    const { text, instead } = this.#shapeText(draft);
    const served =
      this.#context.strict && draft.reason !== "no-site" && draft.reason !== "no-symbol"
        ? "a run without --strict, which serves it as a virtual site"
        : !record && this.#context.virtual !== "all"
        ? "--virtual, which hooks it by its symbol"
        : "";
    return {
      code: "EINVAL",
      reason: draft.reason as FtraceReason,
      text,
      instead: served ? `${served}, or ${instead}` : instead,
    };
  }

  #howTraced(record: DynFtrace): string {
    if (record.kind === "patched") {
      return this.#context.era.scheme.parks
        ? `by its site: the two words at ${hex(record.ip, 8)}, changed while harts are parked`
        : `by its site: the word at ${hex(record.ip, 8)}, changed by one store`;
    }
    const { text } = this.#shapeText(record);
    return `by a hook of the engine, guest text untouched, as ${text}; ${this.#release} would not (--strict)`;
  }

  #leftOut({ index, name }: DynFtrace): Refusal | undefined {
    const { filter, notrace } = this.#context.globalHash;
    if (notrace.has(index)) {
      return {
        code: "EINVAL",
        reason: "notrace",
        text: "it is in set_ftrace_notrace, which wins over every filter",
        instead: `'!${name}' written to set_ftrace_notrace, or an ops of its own`,
      };
    }
    if (filter.size > 0 && !filter.has(index)) {
      return {
        code: "EINVAL",
        reason: "not-in-filter",
        text: `set_ftrace_filter names ${filter.size} functions, and it is none of them`,
        instead: `-l ${name} as well, or an ops of its own`,
      };
    }
    return undefined;
  }

  /** Why nobody can see how a call of the function ends; a handler's end is its mret or sret. */
  #exitRefusal(record: DynFtrace): Refusal | undefined {
    return record.reason === "interrupt-handler" ? undefined : this.#returnRefusal(record);
  }

  #returnRefusal(record: DynFtrace): Refusal | undefined {
    switch (noReturnReason(record)) {
      case "returns-twice":
        return {
          code: "EINVAL",
          reason: "returns-twice",
          text: "it returns a second time to the same place, when its frame is long gone",
          instead: "the function tracer, which needs its entry only",
        };
      case "interrupt-handler":
        return {
          code: "EINVAL",
          reason: "interrupt-handler",
          text: "it is entered by a trap and left by mret or sret: no ra leads out of it",
          instead: "the graph tracer or an fprobe, which see the mret or sret",
        };
      case "link-in-t0":
        return {
          code: "EINVAL",
          reason: "link-in-t0",
          text: "ra is not its way back (it is linked in t0, or entered by no call)",
          instead: "the function tracer, which needs its entry only",
        };
      default:
        return undefined;
    }
  }
}

/** Makes the answer that a use is refused. */
export function answer(use: WhyUse, refusal: Refusal): WhyAnswer {
  return { use, possible: false, ...refusal };
}

function possible(use: WhyUse, text: string, reason?: FtraceReason): WhyAnswer {
  return { use, possible: true, ...(reason ? { reason } : {}), text, instead: "" };
}

function codeOf({ code, reason }: FtraceError): Pick<Refusal, "code" | "reason"> {
  return { code, reason };
}

const NO_RECORD: DynFtrace = {
  index: -1,
  ip: 0n,
  entry: 0n,
  before: 0,
  after: 0,
  name: "",
  kind: "disabled",
  reason: "no-site",
  flags: 0,
};

/** What a refusal says behind "Cannot …: ", without errno and replacement, which stand apart. */
function sentence({ message, instead }: FtraceError): string {
  const text = instead ? message.slice(0, message.lastIndexOf("; use ")) : message;
  return text.replace(/^[A-Z0-9]+: Cannot .*?: /, "");
}
