/**
 * Why not: whether a function or an address can be traced, graphed, probed, live-patched or called
 * directly in the era at hand, the one reason if it cannot, and what to use instead.
 *
 * Nothing is registered to find out. The answers come from the same records, rules and checks that
 * registering uses, and name what the program's file can tell: symbols, site shapes, and, where the
 * program was built with `-g`, the places at which a function without a symbol was inlined. What the
 * file cannot tell is said to be unknown.
 *
 * What a record is comes from `records.ts`; the command line's `list --why` prints the reports.
 *
 * @module
 */
import { hex } from "../../isa/hex.ts";
import { type InlinedPlace, type Inlines, readInlines } from "../../program/dwarf_inlines.ts";
import type { ElfSymbol } from "../../program/elf.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE } from "../../memory/page.ts";
import { type DynFtrace, FTRACE_FL_DIRECT } from "../../patcher/dyn_ftrace.ts";
import type { Era } from "../era.ts";
import { type FtraceHash, nearestName } from "../ops/filter.ts";
import { FtraceError, type FtraceErrorCode, type FtraceReason } from "../ftrace_error.ts";
import { noReturnReason } from "../ops/records.ts";

/** What one may want of a function. */
export type WhyUse = "trace" | "graph" | "kprobe" | "fprobe" | "livepatch" | "direct";

/** Whether one use is possible, and the reason if not. */
export interface WhyAnswer {
  /** The use. */
  readonly use: WhyUse;
  /** Whether it is possible. */
  readonly possible: boolean;
  /** What that era's kernel answers, if it is not. */
  readonly code?: FtraceErrorCode;
  /** The reason, if it is not, or why it is served another way than by its site. */
  readonly reason?: FtraceReason;
  /** The same in words; of what is possible, how it is done. */
  readonly text: string;
  /** What to use instead; empty if nothing is needed, or helps. */
  readonly instead: string;
}

/** All that can be said of one function or address. */
export interface WhyReport {
  /** The function's name, or what was asked. */
  readonly name: string;
  /** Its address; undefined where there is none. */
  readonly address: bigint | undefined;
  /** What is there, in a line. */
  readonly what: string;
  /** The era in force. */
  readonly era: string;
  /** Places at which debug information says that it is inlined. */
  readonly inlinedAt: readonly InlinedPlace[];
  /** One answer a use, in the order of {@linkcode WhyUse}. */
  readonly answers: readonly WhyAnswer[];
}

/** What {@linkcode createWhy} looks at. */
export interface WhyContext {
  /** The machine: symbols, sites, memory. */
  readonly machine: Machine;
  /** The kernel's ways in force. */
  readonly era: Era;
  /** That kernel to the letter. */
  readonly strict: boolean;
  /** Functions without a site are served too. */
  readonly virtual: boolean;
  /** Everything that can be traced. */
  readonly records: readonly DynFtrace[];
  /** What the function and graph tracers leave out. */
  readonly globalHash: FtraceHash;
  /** Address of `ftrace_caller`. */
  readonly caller: bigint;
  /** A kprobe's warning, or its refusal as a throw; nothing is placed. */
  readonly checkKprobe: (address: bigint) => string | undefined;
  /** Name of the ops that owns a record's ip, if one does. */
  readonly ipOwner: (record: DynFtrace) => string | undefined;
}

/** A refusal in the making. */
interface Refusal {
  readonly code: FtraceErrorCode;
  readonly reason: FtraceReason;
  readonly text: string;
  readonly instead: string;
}

const FLAGS = "-fpatchable-function-entry=8,4 -falign-functions=8";
const USES: readonly WhyUse[] = ["trace", "graph", "kprobe", "fprobe", "livepatch", "direct"];

/**
 * Makes `ftrace.why`: it takes a function's name, `name+offset`, or an address, and gives a report
 * for each function of that name.
 */
export function createWhy(context: WhyContext): (what: string | bigint) => readonly WhyReport[] {
  const { machine, era, strict, virtual, records } = context;
  const { symbols } = machine;
  const byEntry = new Map(records.map((record) => [record.entry, record]));
  const release = `Linux ${era.release.split(/[.+-]/).slice(0, 2).join(".")}`;
  let read: { readonly inlines: Inlines | undefined } | undefined;
  const inlines = () => (read ??= { inlines: readInlines(machine.elf, machine.bias) }).inlines;
  const placesOf = (name: string) => inlines()?.get(name.split(".")[0]!) ?? [];
  const place = (address: bigint) => {
    const found = symbols.at(address);
    return found ? `${found.symbol.name}+0x${found.offset.toString(16)}` : hex(address, 8);
  };
  const answer = (use: WhyUse, refusal: Refusal): WhyAnswer => ({
    use,
    possible: false,
    ...refusal,
  });
  const possible = (use: WhyUse, text: string, reason?: FtraceReason): WhyAnswer => ({
    use,
    possible: true,
    ...(reason ? { reason } : {}),
    text,
    instead: "",
  });

  /** Why no site of `record` can be switched, in words. */
  const shapeText = (record: DynFtrace): { text: string; instead: string } => {
    const { entry, before, after, name, reason } = record;
    switch (reason as FtraceReason | undefined) {
      case "site-too-small":
        return {
          text: `its site has ${after} bytes of nop from the entry on, and a call takes 8`,
          instead: `a build with ${FLAGS}`,
        };
      case "misaligned":
        return {
          text: `its entry ${hex(entry, 8)} is no multiple of ${era.scheme.literal ? 8 : 4}, so ` +
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
            hex(context.caller, 8)
          }`,
          instead: "a program whose text lies within 2 GiB",
        };
      case "no-symbol":
        return {
          text: `its site at ${hex(entry, 8)} lies in no function that has a symbol (${name})`,
          instead: "a program that is not stripped (no -s)",
        };
      default:
        return {
          text: machine.sites.length === 0
            ? "it has no call site, and nothing in this program has: it was compiled without them"
            : "it has no call site: it was compiled without the flag, or is marked " +
              "patchable_function_entry(0), the kernel's notrace",
          instead: `a build with ${FLAGS}`,
        };
    }
  };

  /** Why tracing cannot have the function at all, or undefined if it can. */
  const siteRefusal = (record: DynFtrace | undefined, entry: bigint): Refusal | undefined => {
    if (record && record.kind !== "disabled") return undefined;
    const draft = record ?? { ...NO_RECORD, entry };
    const { text, instead } = shapeText(draft);
    const served = strict && draft.reason !== "no-site" && draft.reason !== "no-symbol"
      ? "a run without --strict, which serves it as a virtual site"
      : !record && !virtual
      ? "--virtual, which hooks it by its symbol"
      : "";
    return {
      code: "EINVAL",
      reason: draft.reason as FtraceReason,
      text,
      instead: served ? `${served}, or ${instead}` : instead,
    };
  };

  const howTraced = (record: DynFtrace): string => {
    if (record.kind === "patched") {
      return era.scheme.parks
        ? `by its site: the two words at ${hex(record.ip, 8)}, changed while harts are parked`
        : `by its site: the word at ${hex(record.ip, 8)}, changed by one store`;
    }
    const { text } = shapeText(record);
    return `by a hook of the engine, guest text untouched, as ${text}; ${release} would not (--strict)`;
  };

  const traceAnswers = (record: DynFtrace | undefined, entry: bigint): WhyAnswer[] => {
    const refused = siteRefusal(record, entry) ?? leftOut(record!);
    if (refused) return [answer("trace", refused), answer("graph", refused)];
    const how = howTraced(record!);
    const reason = record!.kind === "virtual" ? record!.reason as FtraceReason : undefined;
    const noReturn = returnRefusal(record!);
    return [
      possible("trace", how, reason),
      noReturn ? answer("graph", noReturn) : possible("graph", how, reason),
    ];
  };

  const leftOut = ({ index, name }: DynFtrace): Refusal | undefined => {
    const { filter, notrace } = context.globalHash;
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
  };

  const returnRefusal = (record: DynFtrace): Refusal | undefined => {
    switch (noReturnReason(record)) {
      case "returns-twice":
        return {
          code: "EINVAL",
          reason: "returns-twice",
          text: "it returns a second time to the same place, when its frame is long gone",
          instead: "the function tracer, which needs its entry only",
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
  };

  const fprobeAnswer = (record: DynFtrace | undefined, entry: bigint): WhyAnswer => {
    const refused = siteRefusal(record, entry);
    // A kernel says ENOENT to an address that is no ftrace location.
    if (refused) return answer("fprobe", { ...refused, code: "ENOENT" });
    if (!era.hasFprobe && strict) {
      return answer("fprobe", {
        code: "EOPNOTSUPP",
        reason: "not-supported-by-era",
        text: `${release} has no fprobe on RISC-V; it came with ftrace_regs in 6.14`,
        instead: "--era call-ops, or a run without --strict",
      });
    }
    const noReturn = returnRefusal(record!);
    if (noReturn) {
      return possible("fprobe", `its entry, but no exit: ${noReturn.text}`, noReturn.reason);
    }
    const how = era.hasFprobe ? "entry and exit" : "entry and exit, as from Linux 6.14 on";
    const reason = record!.kind === "virtual" ? record!.reason as FtraceReason : undefined;
    return possible("fprobe", how, reason);
  };

  const kprobeAnswer = (address: bigint): WhyAnswer => {
    if (!machine.space.allows(address, 2, EXECUTE)) {
      return answer("kprobe", {
        code: "EINVAL",
        reason: "not-text",
        text: `there is no code at ${hex(address, 8)}`,
        instead: "the address of an instruction",
      });
    }
    try {
      const warning = context.checkKprobe(address);
      const known = symbols.at(address) !== undefined;
      return possible(
        "kprobe",
        warning ??
          (known
            ? "an instruction starts there"
            : "taken, but no symbol tells where instructions start: that it is one is not known"),
      );
    } catch (error) {
      if (!(error instanceof FtraceError)) throw error;
      const { code, reason, instead } = error;
      return answer("kprobe", { code, reason, text: sentence(error), instead });
    }
  };

  const livepatchAnswer = (record: DynFtrace | undefined, entry: bigint): WhyAnswer => {
    if (strict) {
      return answer("livepatch", {
        code: "EOPNOTSUPP",
        reason: "not-supported-by-era",
        text: `${release} does not select HAVE_LIVEPATCH on RISC-V`,
        instead: "a run without --strict: IPMODIFY is there, which is all that live patching needs",
      });
    }
    const refused = siteRefusal(record, entry);
    if (refused) return answer("livepatch", refused);
    if (noReturnReason(record!) === "link-in-t0") {
      return answer("livepatch", { ...returnRefusal(record!)!, instead: "a kprobe" });
    }
    const owner = context.ipOwner(record!);
    if (owner !== undefined) {
      return answer("livepatch", {
        code: "EBUSY",
        reason: "already-ipmodify",
        text: `${owner} has FTRACE_OPS_FL_IPMODIFY on it, and one ops may`,
        instead: "one IPMODIFY ops for both",
      });
    }
    if ((record!.flags & FTRACE_FL_DIRECT) !== 0) {
      return answer("livepatch", {
        code: "EBUSY",
        reason: "already-direct",
        text: "a direct call is attached to it",
        instead: "another function, or the direct call alone",
      });
    }
    return possible("livepatch", "through an IPMODIFY ops: no other has its ip");
  };

  const directAnswer = (record: DynFtrace | undefined, entry: bigint): WhyAnswer => {
    if (!era.hasDirectCalls) {
      return answer("direct", {
        code: "ENODEV",
        reason: "not-supported-by-era",
        text: "one jalr reaches 2 KiB around ftrace_caller, and there is no pointer to ops",
        instead: "an IPMODIFY ops, or --era call-ops",
      });
    }
    const refused = siteRefusal(record, entry);
    if (refused) return answer("direct", refused);
    if (record!.kind !== "patched") {
      const { text, instead } = shapeText(record!);
      return answer("direct", {
        code: "EINVAL",
        reason: record!.reason as FtraceReason,
        text: `a virtual site has no words to point elsewhere: ${text}`,
        instead: `an IPMODIFY ops, or ${instead}`,
      });
    }
    if ((record!.flags & FTRACE_FL_DIRECT) !== 0) {
      return answer("direct", {
        code: "EBUSY",
        reason: "already-direct",
        text: "another direct call is attached to it",
        instead: "an ops, which shares the site with it",
      });
    }
    const owner = context.ipOwner(record!);
    if (owner !== undefined) {
      return answer("direct", {
        code: "EBUSY",
        reason: "already-ipmodify",
        text: `${owner} has FTRACE_OPS_FL_IPMODIFY on it`,
        instead: "that ops, for both",
      });
    }
    return possible(
      "direct",
      era.opsLiteral ? "through the pointer to its ops, at any distance" : "by its two words",
    );
  };

  /** A report of `name`, about which everything is refused for one reason. */
  const allRefused = (
    name: string,
    address: bigint | undefined,
    what: string,
    refusal: Refusal,
    kprobe?: WhyAnswer,
    inlinedAt: readonly InlinedPlace[] = [],
  ): WhyReport => ({
    name,
    address,
    what,
    era: era.name,
    inlinedAt,
    answers: USES.map((use) => {
      if (use === "kprobe") return kprobe ?? answer(use, { ...refusal, code: "ENOENT" });
      return answer(use, use === "fprobe" ? { ...refusal, code: "ENOENT" } : refusal);
    }),
  });

  const ofFunction = (symbol: ElfSymbol, asked: string): WhyReport => {
    const record = byEntry.get(symbol.address);
    const entry = symbol.address;
    const [trace, graph] = traceAnswers(record, entry);
    const inlinedAt = placesOf(asked);
    return {
      name: asked,
      address: entry,
      what: functionText(symbol, record, asked) +
        (inlinedAt.length > 0
          ? `; also inlined at ${placesText(inlinedAt)}, where it has no site`
          : ""),
      era: era.name,
      inlinedAt,
      answers: [
        trace!,
        graph!,
        kprobeAnswer(entry),
        fprobeAnswer(record, entry),
        livepatchAnswer(record, entry),
        directAnswer(record, entry),
      ],
    };
  };

  const functionText = ({ size, name }: ElfSymbol, record: DynFtrace | undefined, asked: string) =>
    [
      size > 0n ? `a function of ${size} bytes` : "a function",
      ...(name === asked ? [] : [`that is also called ${name}`]),
      ...(record && record.after + record.before > 0
        ? [`with ${record.before} bytes of nop before its entry and ${record.after} from there on`]
        : ["without a call site"]),
    ].join(" ");

  const placesText = (places: readonly InlinedPlace[]) => {
    const shown = places.slice(0, 8).map(({ address, line }) =>
      place(address) + (line > 0 ? ` (line ${line})` : "")
    );
    const more = places.length - shown.length;
    return shown.join(", ") + (more > 0 ? ` and ${more} more places` : "");
  };

  /** Of a name that no symbol has: what else the file knows of it. */
  const ofNobody = (name: string): WhyReport => {
    const clones = symbols.functions.filter((each) => each.name.startsWith(`${name}.`));
    const known = inlines();
    const places = placesOf(name);
    if (clones.length > 0) {
      const names = clones.map((each) => each.name).join(", ");
      return allRefused(name, undefined, "no symbol; the compiler made clones of it", {
        code: "EINVAL",
        reason: "no-symbol",
        text: `the compiler kept no function of that name, only clones of it: ${names}`,
        instead: `${names}, or __attribute__((noipa)) on it`,
      });
    }
    if (places.length > 0) {
      return allRefused(
        name,
        undefined,
        "no symbol; debug information knows where it went",
        {
          code: "EINVAL",
          reason: "inlined",
          text: `it is inlined everywhere: ${placesText(places)}`,
          instead: `__attribute__((noinline)) on it, or a kprobe at ${hex(places[0]!.address, 8)}`,
        },
        undefined,
        places,
      );
    }
    if (known?.has(name)) {
      return allRefused(name, undefined, "no symbol; debug information has it without code", {
        code: "EINVAL",
        reason: "no-symbol",
        text: "it was compiled, but left no code: nobody calls it, or it was folded away",
        instead: "__attribute__((used, noinline)) on it",
      });
    }
    const near = nearestName(name, records.map((record) => record.name)) ??
      nearestName(name, symbols.functions.map((each) => each.name));
    const unknown = symbols.functions.length === 0
      ? "the program has no function symbols: it is stripped"
      : known
      ? "neither a symbol nor the debug information has that name"
      : "no symbol has that name; if it was inlined, only debug information (-g) could tell where";
    return allRefused(name, undefined, "no symbol", {
      code: "EINVAL",
      reason: "no-symbol",
      text: unknown,
      instead: near ?? (symbols.functions.length === 0 ? "a program that is not stripped" : ""),
    });
  };

  const ofAddress = (address: bigint, asked: string): WhyReport => {
    const covering = records.find(({ entry, before, after }) =>
      address >= entry - BigInt(before) && address < entry + BigInt(Math.min(after, 8))
    );
    const found = symbols.at(covering?.entry ?? address);
    const owner = found?.symbol;
    if (!machine.space.allows(address, 2, EXECUTE)) {
      return allRefused(asked, address, "no code", {
        code: "EINVAL",
        reason: "not-text",
        text: `there is no code at ${hex(address, 8)}`,
        instead: "the address of a function",
      }, kprobeAnswer(address));
    }
    if (owner && (address === owner.address || covering)) {
      // A site belongs to its function, whichever of its words is asked for; a kprobe is exact.
      const report = ofFunction(owner, owner.name);
      return {
        ...report,
        what: address === owner.address
          ? report.what
          : `${place(address)}, in the site of ${report.what}`,
        answers: report.answers.map((each) => each.use === "kprobe" ? kprobeAnswer(address) : each),
      };
    }
    if (!owner) {
      return allRefused(asked, address, "code that no symbol covers", {
        code: "EINVAL",
        reason: "no-symbol",
        text: `no symbol covers ${hex(address, 8)}`,
        instead: "a program that is not stripped (no -s)",
      }, kprobeAnswer(address));
    }
    return allRefused(asked, address, place(address), {
      code: "EINVAL",
      reason: "not-entry",
      text: `it is ${found!.offset} bytes into ${owner.name}, and sites are at entries`,
      instead: owner.name,
    }, kprobeAnswer(address));
  };

  return (what) => {
    if (typeof what === "bigint") return [ofAddress(what, hex(what, 8))];
    const [, base = what, offset] = /^(.+?)\+(0x[\da-f]+|\d+)$/i.exec(what) ?? [];
    if (/^0x[\da-f]+$/i.test(base)) {
      return [ofAddress(BigInt(base) + BigInt(offset ?? 0), what)];
    }
    const all = symbols.named(base);
    const functions = all.filter(({ type }) => type === "func" || type === "notype");
    if (functions.length > 0) {
      return functions.map((symbol) =>
        offset === undefined || BigInt(offset) === 0n
          ? ofFunction(symbol, base)
          : ofAddress(symbol.address + BigInt(offset), what)
      );
    }
    if (all.length > 0) {
      return [allRefused(base, all[0]!.address, "data", {
        code: "EINVAL",
        reason: "not-text",
        text: `${base} is an object of ${all[0]!.size} bytes, no function`,
        instead: "",
      }, kprobeAnswer(all[0]!.address))];
    }
    return [ofNobody(base)];
  };
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
