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
import { EXECUTE } from "../../memory/page.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { type InlinedPlace, type Inlines, readInlines } from "../../program/dwarf_inlines.ts";
import type { ElfSymbol } from "../../program/elf.ts";
import { nearestName } from "../ops/filter.ts";
import {
  answer,
  FunctionUses,
  type Refusal,
  type WhyAnswer,
  type WhyContext,
  type WhyUse,
} from "./function_uses.ts";

/** All that can be said of one function or address. */
export interface WhyReport {
  /** The function's name; what was asked for if there is no such function. */
  readonly name: string;
  /** The function's address; undefined where there is none. */
  readonly address: bigint | undefined;
  /** What kind of place the address is, in one line. */
  readonly what: string;
  /** Name of the era whose rules the answers follow. */
  readonly era: string;
  /** Places at which debug information says that it is inlined. */
  readonly inlinedAt: readonly InlinedPlace[];
  /** One answer a use, in the order of {@linkcode WhyUse}. */
  readonly answers: readonly WhyAnswer[];
}

const USES: readonly WhyUse[] = ["trace", "graph", "kprobe", "fprobe", "livepatch", "direct"];

/**
 * Makes `ftrace.why`: it takes a function's name, `name+offset`, or an address, and gives a report
 * for each function of that name.
 */
export function createWhy(context: WhyContext): (what: string | bigint) => readonly WhyReport[] {
  const reports = new WhyReports(context);
  return (what) => reports.of(what);
}

/** Finds out what is meant, and puts the answers together. */
class WhyReports {
  readonly #context: WhyContext;
  readonly #uses: FunctionUses;
  readonly #byEntry: ReadonlyMap<bigint, DynFtrace>;
  /** Read once somebody asks; the program may have none. */
  #read: { readonly inlines: Inlines | undefined } | undefined;

  constructor(context: WhyContext) {
    this.#context = context;
    this.#uses = new FunctionUses(context);
    this.#byEntry = new Map(context.records.map((record) => [record.entry, record]));
  }

  /** The reports on a name, `name+offset` or an address. */
  of(what: string | bigint): readonly WhyReport[] {
    if (typeof what === "bigint") return [this.#ofAddress(what, hex(what, 8))];
    const [, base = what, offset] = /^(.+?)\+(0x[\da-f]+|\d+)$/i.exec(what) ?? [];
    if (/^0x[\da-f]+$/i.test(base)) {
      return [this.#ofAddress(BigInt(base) + BigInt(offset ?? 0), what)];
    }
    const all = this.#context.machine.symbols.called(base);
    const functions = all.filter(({ type }) => type === "func" || type === "notype");
    if (functions.length > 0) {
      return functions.map((symbol) =>
        offset === undefined || BigInt(offset) === 0n
          ? this.#ofFunction(symbol, base)
          : this.#ofAddress(symbol.address + BigInt(offset), what)
      );
    }
    if (all.length > 0) {
      return [this.#allRefused(base, all[0]!.address, "data", {
        code: "EINVAL",
        reason: "not-text",
        text: `${base} is an object of ${all[0]!.size} bytes, no function`,
        instead: "",
      }, this.#uses.kprobeAnswer(all[0]!.address))];
    }
    return [this.#ofNobody(base)];
  }

  #ofFunction(symbol: ElfSymbol, asked: string): WhyReport {
    const record = this.#byEntry.get(symbol.address);
    const entry = symbol.address;
    const [trace, graph] = this.#uses.traceAnswers(record, entry);
    const inlinedAt = this.#placesOf(asked);
    return {
      name: asked,
      address: entry,
      what: functionText(symbol, record, asked) +
        (inlinedAt.length > 0
          ? `; also inlined at ${this.#placesText(inlinedAt)}, where it has no site`
          : ""),
      era: this.#context.era.name,
      inlinedAt,
      answers: [
        trace!,
        graph!,
        this.#uses.kprobeAnswer(entry),
        this.#uses.fprobeAnswer(record, entry),
        this.#uses.livepatchAnswer(record, entry),
        this.#uses.directAnswer(record, entry),
      ],
    };
  }

  /** Of a name that no symbol has: what else the file knows of it. */
  #ofNobody(name: string): WhyReport {
    const clones = this.#context.machine.symbols.functions.filter((each) =>
      each.name.startsWith(`${name}.`)
    );
    const known = this.#inlines();
    const places = this.#placesOf(name);
    if (clones.length > 0) {
      const names = clones.map((each) => each.name).join(", ");
      return this.#allRefused(name, undefined, "no symbol; the compiler made clones of it", {
        code: "EINVAL",
        reason: "no-symbol",
        text: `the compiler kept no function of that name, only clones of it: ${names}`,
        instead: `${names}, or __attribute__((noipa)) on it`,
      });
    }
    if (places.length > 0) {
      return this.#allRefused(
        name,
        undefined,
        "no symbol; debug information knows where it went",
        {
          code: "EINVAL",
          reason: "inlined",
          text: `it is inlined everywhere: ${this.#placesText(places)}`,
          instead: `__attribute__((noinline)) on it, or a kprobe at ${hex(places[0]!.address, 8)}`,
        },
        undefined,
        places,
      );
    }
    if (known?.has(name)) {
      return this.#allRefused(name, undefined, "no symbol; debug information has it without code", {
        code: "EINVAL",
        reason: "no-symbol",
        text: "it was compiled, but left no code: nobody calls it, or it was folded away",
        instead: "__attribute__((used, noinline)) on it",
      });
    }
    const near = nearestName(name, this.#context.records.map((record) => record.name)) ??
      nearestName(name, this.#context.machine.symbols.functions.map((each) => each.name));
    const unknown = this.#context.machine.symbols.functions.length === 0
      ? "the program has no function symbols: it is stripped"
      : known
      ? "neither a symbol nor the debug information has that name"
      : "no symbol has that name; if it was inlined, only debug information (-g) could tell where";
    return this.#allRefused(name, undefined, "no symbol", {
      code: "EINVAL",
      reason: "no-symbol",
      text: unknown,
      instead: near ??
        (this.#context.machine.symbols.functions.length === 0
          ? "a program that is not stripped"
          : ""),
    });
  }

  #ofAddress(address: bigint, asked: string): WhyReport {
    const covering = this.#context.records.find(({ entry, before, after }) =>
      address >= entry - BigInt(before) && address < entry + BigInt(Math.min(after, 8))
    );
    const found = this.#context.machine.symbols.at(covering?.entry ?? address);
    const owner = found?.symbol;
    if (!this.#context.machine.space.allows(address, 2, EXECUTE)) {
      return this.#allRefused(asked, address, "no code", {
        code: "EINVAL",
        reason: "not-text",
        text: `there is no code at ${hex(address, 8)}`,
        instead: "the address of a function",
      }, this.#uses.kprobeAnswer(address));
    }
    if (owner && (address === owner.address || covering)) {
      // A site belongs to its function, whichever of its words is asked for; a kprobe is exact.
      const report = this.#ofFunction(owner, owner.name);
      return {
        ...report,
        what: address === owner.address
          ? report.what
          : `${this.#place(address)}, in the site of ${report.what}`,
        answers: report.answers.map((each) =>
          each.use === "kprobe" ? this.#uses.kprobeAnswer(address) : each
        ),
      };
    }
    if (!owner) {
      return this.#allRefused(asked, address, "code that no symbol covers", {
        code: "EINVAL",
        reason: "no-symbol",
        text: `no symbol covers ${hex(address, 8)}`,
        instead: "a program that is not stripped (no -s)",
      }, this.#uses.kprobeAnswer(address));
    }
    return this.#allRefused(asked, address, this.#place(address), {
      code: "EINVAL",
      reason: "not-entry",
      text: `it is ${found!.offset} bytes into ${owner.name}, and sites are at entries`,
      instead: owner.name,
    }, this.#uses.kprobeAnswer(address));
  }

  #placesText(places: readonly InlinedPlace[]): string {
    const shown = places.slice(0, 8).map(({ address, line }) =>
      this.#place(address) + (line > 0 ? ` (line ${line})` : "")
    );
    const more = places.length - shown.length;
    return shown.join(", ") + (more > 0 ? ` and ${more} more places` : "");
  }

  /** A report of `name`, about which everything is refused for one reason. */
  #allRefused(
    name: string,
    address: bigint | undefined,
    what: string,
    refusal: Refusal,
    kprobe?: WhyAnswer,
    inlinedAt: readonly InlinedPlace[] = [],
  ): WhyReport {
    return {
      name,
      address,
      what,
      era: this.#context.era.name,
      inlinedAt,
      answers: USES.map((use) => {
        if (use === "kprobe") return kprobe ?? answer(use, { ...refusal, code: "ENOENT" });
        return answer(use, use === "fprobe" ? { ...refusal, code: "ENOENT" } : refusal);
      }),
    };
  }

  #inlines(): Inlines | undefined {
    const { elf, bias } = this.#context.machine;
    return (this.#read ??= { inlines: readInlines(elf, bias) }).inlines;
  }

  #placesOf(name: string): readonly InlinedPlace[] {
    return this.#inlines()?.get(name.split(".")[0]!) ?? [];
  }

  #place(address: bigint): string {
    const found = this.#context.machine.symbols.at(address);
    return found ? `${found.symbol.name}+0x${found.offset.toString(16)}` : hex(address, 8);
  }
}

function functionText(
  { size, name }: ElfSymbol,
  record: DynFtrace | undefined,
  asked: string,
): string {
  return [
    size > 0n ? `a function of ${size} bytes` : "a function",
    ...(name === asked ? [] : [`that is also called ${name}`]),
    ...(record && record.after + record.before > 0
      ? [`with ${record.before} bytes of nop before its entry and ${record.after} from there on`]
      : ["without a call site"]),
  ].join(" ");
}
