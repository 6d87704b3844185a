/**
 * What the engine tells at the end of a run: `--engine-stats`, and the code of `--dump-wat`.
 *
 * Both go to stderr, as stdout is the guest's and the trace's.
 *
 * @module
 */
import { globMatch, type Machine, type MachineOptions } from "../../mod.ts";
import {
  type CompiledCode,
  compiledText,
  type EngineStatistics,
  EXIT_REASONS,
  type ExitReason,
  type Uncompiled,
} from "../engine/mod.ts";
import { splitNames } from "../ftrace/mod.ts";
import type { CliArguments } from "./arguments.ts";
import { type CliHost, printError, say } from "./host.ts";

/** Functions in the table of `--engine-stats`. */
const MOST_FUNCTIONS = 12;

/** How a line of `--engine-stats` puts a reason. */
const EXIT_TEXTS: Readonly<Record<ExitReason, string>> = {
  returned: "returned to code that is not compiled",
  limit: "had executed as much as they were given",
  declined: "left an instruction to the reference, as it might trap or be inexact",
  reference: "came to an instruction that is always the reference's (ecall, CSRs …)",
  uncompiled: "called a function that is not compiled",
  unknownTarget: "followed a pointer to where no region begins",
  unfetched: "came to code that had not run when they were compiled",
  hook: "came to where a tracer, probe or breakpoint waits",
  outside: "came to code of another function, or beyond the size of a region",
  depth: "had calls nested too deep",
  floats: "found the float unit off, or unwritten so far",
  moved: "lay elsewhere than when they were compiled, or the TLB forgot where",
};

/** Collects what was compiled, and says what was asked for. */
export class EngineReport {
  readonly #counts: boolean;
  readonly #names: readonly string[];
  readonly #compiled = new Map<number, { code: CompiledCode; times: number }>();
  #started = 0;

  /** What `--engine-stats` and `--dump-wat` of a command line ask for. */
  constructor({ switches, lists }: CliArguments) {
    this.#counts = switches.has("engine-stats");
    this.#names = (lists["dump-wat"] ?? []).flatMap((text) => splitNames(text, ","));
  }

  /** What the machine is to be made with. */
  options(): Pick<MachineOptions, "engineStatistics" | "onCompiled"> {
    return {
      ...this.#counts ? { engineStatistics: true } : {},
      ...this.#names.length > 0 ? { onCompiled: (code) => this.#keep(code) } : {},
    };
  }

  /**
   * The run begins.
   *
   * @throws {RangeError} If a name is no function's.
   */
  begin(host: CliHost, machine: Machine): void {
    this.#started = host.now();
    for (const name of this.#names) functionsOf(machine, name);
  }

  /** The run is over. Gives what prints the report, of how things are now. */
  end(host: CliHost, machine: Machine): () => void {
    const took = host.now() - this.#started;
    const statistics = machine.engine.statistics?.();
    const places = new Set(this.#names.flatMap((name) => functionsOf(machine, name)));
    const dumps = [...places].map((address) => this.#dump(machine, address));
    return () => {
      for (const dump of dumps) printError(host, dump);
      if (statistics) say(host, statisticsText(statistics, machine, took));
    };
  }

  #keep(code: CompiledCode): void {
    const times = (this.#compiled.get(code.entry)?.times ?? 0) + 1;
    this.#compiled.set(code.entry, { code, times });
  }

  #dump(machine: Machine, address: number): string {
    const name = nameOf(machine, address) ?? address.toString(16);
    const regions = [...this.#compiled.values()]
      .filter(({ code }) => code.function.low === address)
      .sort((a, b) => a.code.entry - b.code.entry);
    const why = machine.engine.whyNotCompiled?.(address);
    if (regions.length === 0) return `;; ${name} is not compiled: ${whyText(why)}\n`;
    const symbol = (at: bigint) => placeOf(machine, Number(at));
    return regions.map(({ code, times }) => {
      const { entry, instructions, bytes } = code;
      const again = times === 1 ? "" : `, compiled ${times} times`;
      const head = `;; ${placeOf(machine, entry)}: ${instructions.size} instructions in ` +
        `${bytes} bytes of WASM${again}`;
      return `${head}\n${compiledText(code, symbol)}\n`;
    }).join("");
  }
}

/** Where the functions begin that a name or glob means. @throws {RangeError} If it means none. */
function functionsOf({ symbols }: Machine, name: string): readonly number[] {
  const isGlob = /[*?[]/.test(name);
  const found = isGlob
    ? symbols.functions.filter((each) => globMatch(name, each.name))
    : symbols.called(name).filter(({ type }) => type === "func" || type === "notype");
  if (found.length > 0) return [...new Set(found.map(({ address }) => Number(address)))];
  throw new RangeError(`Cannot dump "${name}": there is no such function; list functions has all`);
}

function nameOf({ symbols }: Machine, address: number): string | undefined {
  return symbols.at(BigInt(address))?.symbol.name;
}

/** A place as the guest's disassembly names it. */
function placeOf({ symbols }: Machine, address: number): string {
  const found = symbols.at(BigInt(address));
  if (!found) return `0x${address.toString(16)}`;
  const { name, address: start } = found.symbol;
  return `${name}+0x${(address - Number(start)).toString(16)}`;
}

function whyText(why: Uncompiled | undefined): string {
  switch (why?.reason) {
    case "unfetched":
      return "it was not executed";
    case "hook":
      return "a tracer, probe or breakpoint waits at its first instruction";
    case "reference":
      return "its first instruction is one that the reference executes";
    case "dropped":
      return "it was, and its code, a hook or memory has changed since";
    case "cold":
      return `of one look in ${why.period} interpreted instructions ${why.seen} found it, ` +
        `${why.needed} are needed (--jit-threshold N asks for less)`;
    default:
      return "it is part of another function's code";
  }
}

/** Formats the figures of an engine (`--engine-stats`), which ran for `took` milliseconds. */
export function statisticsText(
  statistics: EngineStatistics,
  machine: Machine,
  took: number,
): string {
  const { regions, instructions, milliseconds } = statistics;
  const all = instructions.regions + instructions.interpreter + instructions.reference;
  const { writing, compiling } = milliseconds;
  const times = {
    "in regions": milliseconds.regions,
    "interpreted": milliseconds.interpreter,
    "one by one": milliseconds.reference,
    "compiling": writing + compiling,
  };
  const rest = Math.max(0, took - Object.values(times).reduce((sum, each) => sum + each, 0));
  return [
    `engine      ${machine.engine.name}`,
    `compiled    ${regions.compiled} regions, ${regions.dropped} dropped: ${regions.instructions} ` +
    `instructions in ${regions.bytes} bytes of WASM`,
    `instret     ${
      sharesText({
        "in regions": instructions.regions,
        "interpreted": instructions.interpreter,
        "one by one": instructions.reference,
      }, all)
    } of ${all}`,
    `host time   ${sharesText({ ...times, "elsewhere": rest }, took)} of ${took.toFixed(0)} ms`,
    ...regions.entered > 0 ? [`entered     ${regions.entered} times by the interpreter`] : [],
    ...exitLines(statistics),
    ...functionLines(statistics, machine),
  ].join("\n");
}

function sharesText(parts: Readonly<Record<string, number>>, all: number): string {
  return Object.entries(parts).map(([name, part]) => `${name} ${share(part, all)}`).join(", ");
}

function share(part: number, all: number): string {
  return `${(all === 0 ? 0 : 100 * part / all).toFixed(1)}%`;
}

function exitLines({ exits }: EngineStatistics): string[] {
  return EXIT_REASONS.filter((reason) => exits[reason] > 0)
    .sort((a, b) => exits[b] - exits[a])
    .map((reason) => `${String(exits[reason]).padStart(12)}  ${EXIT_TEXTS[reason]}`);
}

function functionLines({ functions, instructions }: EngineStatistics, machine: Machine): string[] {
  if (functions.length === 0) return [];
  const shown = functions.slice(0, MOST_FUNCTIONS);
  const left = functions.length - shown.length;
  return [
    "in regions         calls  instructions   share  function",
    ...shown.map((each) => {
      const counts = `${String(each.calls).padStart(24)}${String(each.instructions).padStart(14)}`;
      const part = share(each.instructions, instructions.regions).padStart(8);
      return `${counts}${part}  ${nameOf(machine, each.address) ?? placeOf(machine, each.address)}`;
    }),
    ...left > 0 ? [`${" ".repeat(48)}and ${left} more`] : [],
  ];
}
