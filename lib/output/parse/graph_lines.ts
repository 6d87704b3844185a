/**
 * Reads the graph form back: one outline line becomes an entry, an exit, both (a leaf) or a comment.
 *
 * Where the text has less than the events, the printer's own rules say what must have been there: a
 * brace without a name closes the last function entered at its depth, a task is the one named by
 * the next switch block, a duration without its last digits is the smallest with its mark. Times
 * that no column shows are made up from the durations.
 *
 * The forms are those of `graph_text.ts`.
 *
 * @module
 */
import type { EventCommon, TraceEvent } from "../../ftrace/trace/events.ts";
import { findMark, parseLatencyFlags } from "../columns.ts";
import { type LineReader, MARKER, parseEventText, parseSeconds, parseSymbol } from "./lines.ts";
import { CHECKED_DEPTH, DEEPEST_OUTLINE } from "../graph_text.ts";
import type { TraceOptions } from "../../ftrace/trace/trace_options.ts";

/** What the lines reveal of the graph tracer's options. */
export interface GraphShown {
  /** A brace was named though the name was not needed. */
  named: boolean;
  /** A duration above 10 µs had no mark. */
  unmarked: boolean;
  /** A returned value was printed. */
  retval: boolean;
  /** An error was printed in hex. */
  retvalHex: boolean;
  /** A return address was printed. */
  retaddr: boolean;
  /** Width of the CPU column. */
  cpuWidth: number;
}

const NAME = String.raw`[^\s(]+(?: \[\w+\])?`;
const RETURNED = String.raw`(?: (?:ret)?= ?(?<returned>-?\w+))?`;
const UNWOUND = String.raw`(?<unwound> {2}\/\* unwound \*\/)?`;
const TARGET = String.raw`(?: <-(?<target>\S.*?(?: <\w+>)?))?`;
const LEAF = new RegExp(
  `^(?<name>${NAME})\\((?<args>.*)\\);(?: /\\*${TARGET}${RETURNED} \\*/)?${UNWOUND}$`,
);
const ENTRY = new RegExp(`^(?<name>${NAME})\\((?<args>.*)\\) \\{(?: /\\*${TARGET} \\*/)?$`);
const EXIT = new RegExp(`^\\}(?: /\\* (?<name>${NAME})${RETURNED} \\*/)?${UNWOUND}$`);
/** A leaf whose name is of C++, Rust or D, and may have blanks and parentheses. */
const READABLE_LEAF = new RegExp(
  `^(?<name>[^ /}].*?)\\((?<args>(?:\\w+=.*)?)\\);(?: /\\*${TARGET}${RETURNED} \\*/)?${UNWOUND}$`,
);
const READABLE_ENTRY = new RegExp(
  `^(?<name>[^ /}].*?)\\((?<args>(?:\\w+=.*)?)\\) \\{(?: /\\*${TARGET} \\*/)?$`,
);
const READABLE_EXIT = new RegExp(`^\\}(?: /\\* (?<name>\\S.*?)${RETURNED} \\*/)?${UNWOUND}$`);
const RULE = ` ${"-".repeat(42)}`;
const COMMENT = /^\/\* (.*) \*\/$/;
// A task's name has 15 bytes; with no end to it, a line of arrows would be looked at once for each.
const COMM = String.raw`\S.{0,63}?`;
const SWITCH_TASKS = new RegExp(
  String.raw`^ *(\d+)\) +(${COMM})-(\d+) +=> +(${COMM})-(\d+) *$`,
);
const SWITCHES = new RegExp(SWITCH_TASKS.source, "gm");

type Groups = Readonly<Record<string, string | undefined>>;

/** Reads lines of the graph form, one after another. */
export class GraphReader {
  /** Options that the lines show. */
  readonly shown: GraphShown = {
    named: false,
    unmarked: false,
    retval: false,
    retvalHex: false,
    retaddr: false,
    cpuWidth: 1,
  };
  readonly #reader: LineReader;
  readonly #line: RegExp;
  /** The task of each CPU. */
  readonly #pids: Map<number, number>;
  /** The function that is open at each depth, by CPU. */
  readonly #entered = new Map<number, Map<number, bigint>>();
  /** The last event of each CPU. */
  readonly #previous = new Map<number, TraceEvent>();
  #clock = 0n;
  #expected: "outline" | "tasks" | "rule" | "blank" = "outline";

  /** Starts reading a body whose header showed `options`. */
  constructor(body: string, options: TraceOptions, reader: LineReader) {
    this.#reader = reader;
    this.#line = linePattern(options);
    this.#pids = firstTasks(body);
  }

  /** The events of a line, or undefined if it has not this form. */
  parse(text: string): readonly TraceEvent[] | undefined {
    if (this.#readSwitch(text)) return [];
    const groups = this.#line.exec(text)?.groups;
    if (!groups) return undefined;
    const { mark = " ", duration, indent = "" } = groups;
    const { depth, rest } = outlineOf(indent, groups["rest"]!);
    const nanoseconds = duration === undefined ? 0n : parseDuration(duration, mark);
    if (mark === " " && findMark(nanoseconds) !== " ") this.shown.unmarked = true;
    const common = this.#readCommon(groups);
    const events = this.#readOutline(rest, depth, common, nanoseconds);
    const last = events?.at(-1);
    if (last) this.#previous.set(common.cpu, last);
    return events;
  }

  /** Ends the body. @throws {SyntaxError} If it ends inside a switch block. */
  end(): void {
    if (this.#expected === "outline") return;
    throw new SyntaxError("Cannot read trace: its last task switch is cut off");
  }

  /** Takes the lines of a switch block, in their order. */
  #readSwitch(text: string): boolean {
    switch (this.#expected) {
      case "outline":
        if (text !== RULE) return false;
        this.#expected = "tasks";
        return true;
      case "tasks": {
        const tasks = SWITCH_TASKS.exec(text);
        if (!tasks) return false;
        const { symbols } = this.#reader;
        symbols.nameTask(Number(tasks[3]), tasks[2]!);
        symbols.nameTask(Number(tasks[5]), tasks[4]!);
        this.#pids.set(Number(tasks[1]), Number(tasks[5]));
        this.#expected = "rule";
        return true;
      }
      case "rule":
        this.#expected = "blank";
        return text === RULE;
      case "blank":
        this.#expected = "outline";
        return text === "";
    }
  }

  #readCommon({ time, cpu: number = "0", comm, pid, flags }: Groups): EventCommon {
    if (time !== undefined) this.#clock = parseSeconds(time);
    const cpu = Number(number);
    this.shown.cpuWidth = Math.max(this.shown.cpuWidth, number.length);
    if (pid !== undefined) {
      this.#reader.symbols.nameTask(Number(pid), comm!);
      this.#pids.set(cpu, Number(pid));
    }
    const state = flags === undefined ? { flags: 0, preemptCount: 0 } : parseLatencyFlags(flags);
    return { time: this.#clock, cpu, pid: this.#pids.get(cpu) ?? -1, ...state };
  }

  #readOutline(
    text: string,
    depth: number,
    common: EventCommon,
    duration: bigint,
  ): readonly TraceEvent[] | undefined {
    const open = this.#entered.get(common.cpu) ?? new Map<number, bigint>();
    this.#entered.set(common.cpu, open);
    const comment = COMMENT.exec(text)?.[1];
    if (comment !== undefined) return [{ ...common, ...parseComment(comment, this.#reader) }];
    const closing = (EXIT.exec(text) ?? READABLE_EXIT.exec(text))?.groups;
    if (closing) {
      const func = this.#closed(closing, depth, common.cpu, open);
      return [this.#readExit(func, depth, common, closing, duration)];
    }
    const opening = (ENTRY.exec(text) ?? LEAF.exec(text) ?? READABLE_ENTRY.exec(text) ??
      READABLE_LEAF.exec(text))?.groups;
    if (!opening) return undefined;
    const { name, args, target } = opening;
    const func = parseSymbol(name!, this.#reader);
    if (target !== undefined) this.shown.retaddr = true;
    const entry: TraceEvent = {
      ...common,
      type: "funcgraph_entry",
      func,
      depth,
      ...(args === "" ? {} : { args }),
      ...(target === undefined ? {} : { retaddr: this.#readTarget(target) }),
    };
    if (/\) \{(?: \/\*.*)?$/.test(text)) {
      open.set(depth, func);
      return [entry];
    }
    open.delete(depth);
    return [entry, this.#readExit(func, depth, common, opening, duration)];
  }

  /** The function that a brace closes; 0 if nothing tells. */
  #closed({ name }: Groups, depth: number, cpu: number, open: Map<number, bigint>): bigint {
    // Where the kernel names no brace, one right behind another function's entry closes neither.
    const before = this.#previous.get(cpu);
    const other = depth >= CHECKED_DEPTH && before?.type === "funcgraph_entry" &&
      before.depth === depth;
    const last = other ? undefined : open.get(depth);
    open.delete(depth);
    if (name === undefined) return last ?? 0n;
    const func = parseSymbol(name, this.#reader);
    if (func === last) this.shown.named = true;
    return func;
  }

  #readExit(
    func: bigint,
    depth: number,
    common: EventCommon,
    { returned, unwound }: Groups,
    duration: bigint,
  ): TraceEvent {
    if (returned !== undefined) this.shown.retval = true;
    if (returned?.startsWith("0x") && isErrorNumber(BigInt(returned))) this.shown.retvalHex = true;
    const callTime = this.#clock;
    this.#clock = callTime + duration;
    return {
      ...common,
      type: "funcgraph_exit",
      func,
      depth,
      callTime,
      returnTime: this.#clock,
      overrun: 0,
      ...(returned === undefined ? {} : { returnValue: parseReturned(returned) }),
      ...(unwound === undefined ? {} : { unwound: true }),
    };
  }

  /** A return address, which has its offset whatever sym-offset says. */
  #readTarget(text: string): bigint {
    const { seen } = this.#reader;
    const { offset } = seen;
    const address = parseSymbol(text, this.#reader);
    seen.offset = offset;
    return address;
  }
}

/** What a line is made of, by the columns its header shows. */
function linePattern(options: TraceOptions): RegExp {
  const columns = options["context-info"]
    ? [
      options["funcgraph-abstime"] ? String.raw` *(?<time>\d+\.\d{6}) \|  ` : "",
      options["funcgraph-cpu"] ? String.raw` (?<cpu> *\d+)\) ` : "",
      options["funcgraph-proc"] ? String.raw` *(?<comm>${COMM})-(?<pid>\d+) * \| ` : "",
      options["latency-format"] ? String.raw` (?<flags>\S{5}) \| ` : "",
      options["funcgraph-duration"]
        ? String.raw`(?:(?<mark>[ +!#*@$]) (?<duration>\d+(?:\.\d+)?) us +\|| {14}\|)  `
        : "",
    ]
    : [];
  return new RegExp(String.raw`^${columns.join("")}(?<indent> *)(?<rest>[^ ].*)$`);
}

/** The task each CPU begins with: the one that its first switch block switches from. */
function firstTasks(body: string): Map<number, number> {
  const pids = new Map<number, number>();
  for (const [, cpu, , pid] of body.matchAll(SWITCHES)) {
    if (!pids.has(Number(cpu))) pids.set(Number(cpu), Number(pid));
  }
  return pids;
}

/** Nanoseconds of a printed duration: the digits cut off are as small as its mark allows. */
function parseDuration(text: string, mark: string): bigint {
  const [whole, decimals = ""] = text.split(".");
  const nanoseconds = BigInt(whole! + decimals.padEnd(3, "0"));
  return mark !== " " && findMark(nanoseconds) !== mark ? nanoseconds + 1n : nanoseconds;
}

function parseReturned(text: string): bigint {
  return BigInt.asUintN(64, BigInt(text));
}

function isErrorNumber(value: bigint): boolean {
  const signed = BigInt.asIntN(value >> 32n === 0n ? 32 : 64, value);
  return signed < 0n && signed >= -4095n;
}

/** A comment's event: a marker has no name in front of it. */
function parseComment(text: string, reader: LineReader) {
  const named = /^(?:[\w.-]+: |sys_\w+(?: -> |\())/.test(text);
  if (named) return parseEventText(text, reader);
  return { type: "print", ip: reader.symbols.address(MARKER), text } as const;
}

/** The depth that blanks, or beyond the outline a number, give what follows them. */
function outlineOf(indent: string, text: string): { depth: number; rest: string } {
  const deep = indent.length >> 1 === DEEPEST_OUTLINE && /^\/\* (\d+) deep \*\/ (?=\S)/.exec(text);
  return deep
    ? { depth: Number(deep[1]), rest: text.slice(deep[0].length) }
    : { depth: indent.length >> 1, rest: text };
}
