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
import { CHECKED_DEPTH } from "../graph_text.ts";
import type { TraceOptions } from "../../ftrace/trace/trace_options.ts";

/** Reads lines of the graph form, one after another. */
export interface GraphReader {
  /** The events of a line, or undefined if it has not this form. */
  parse(line: string): readonly TraceEvent[] | undefined;
  /** Ends the body. @throws {SyntaxError} If it ends inside a switch block. */
  end(): void;
  /** Options that the lines show. */
  readonly shown: GraphShown;
}

/** What the lines show of the options. */
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
const TARGET = String.raw`(?: <-(?<target>\S+(?: <\w+>)?))?`;
const LEAF = new RegExp(
  `^(?<name>${NAME})\\((?<args>.*)\\);(?: /\\*${TARGET}${RETURNED} \\*/)?${UNWOUND}$`,
);
const ENTRY = new RegExp(`^(?<name>${NAME})\\((?<args>.*)\\) \\{(?: /\\*${TARGET} \\*/)?$`);
const EXIT = new RegExp(`^\\}(?: /\\* (?<name>${NAME})${RETURNED} \\*/)?${UNWOUND}$`);
const RULE = ` ${"-".repeat(42)}`;
const COMMENT = /^\/\* (.*) \*\/$/;
const SWITCH_TASKS = /^ *(\d+)\) +(\S.*?)-(\d+) +=> +(\S.*?)-(\d+) *$/;
const SWITCHES = new RegExp(SWITCH_TASKS.source, "gm");

/** Starts reading a body whose header showed `options`. */
export function createGraphReader(
  body: string,
  options: TraceOptions,
  reader: LineReader,
): GraphReader {
  const { symbols } = reader;
  const line = linePattern(options);
  const pids = firstTasks(body);
  const entered = new Map<number, Map<number, bigint>>();
  const shown: GraphShown = {
    named: false,
    unmarked: false,
    retval: false,
    retvalHex: false,
    retaddr: false,
    cpuWidth: 1,
  };
  /** The last event of each CPU. */
  const previous = new Map<number, TraceEvent>();
  let clock = 0n;
  let expected: "outline" | "tasks" | "rule" | "blank" = "outline";

  /** Takes the lines of a switch block, in their order. */
  const readSwitch = (text: string): boolean => {
    switch (expected) {
      case "outline":
        if (text !== RULE) return false;
        expected = "tasks";
        return true;
      case "tasks": {
        const tasks = SWITCH_TASKS.exec(text);
        if (!tasks) return false;
        symbols.nameTask(Number(tasks[3]), tasks[2]!);
        symbols.nameTask(Number(tasks[5]), tasks[4]!);
        pids.set(Number(tasks[1]), Number(tasks[5]));
        expected = "rule";
        return true;
      }
      case "rule":
        expected = "blank";
        return text === RULE;
      case "blank":
        expected = "outline";
        return text === "";
    }
  };

  const readCommon = (groups: Readonly<Record<string, string | undefined>>): EventCommon => {
    const { time, cpu: number = "0", comm, pid, flags } = groups;
    if (time !== undefined) clock = parseSeconds(time);
    const cpu = Number(number);
    shown.cpuWidth = Math.max(shown.cpuWidth, number.length);
    if (pid !== undefined) {
      symbols.nameTask(Number(pid), comm!);
      pids.set(cpu, Number(pid));
    }
    const state = flags === undefined ? { flags: 0, preemptCount: 0 } : parseLatencyFlags(flags);
    return { time: clock, cpu, pid: pids.get(cpu) ?? -1, ...state };
  };

  const readExit = (
    func: bigint,
    depth: number,
    common: EventCommon,
    groups: Readonly<Record<string, string | undefined>>,
    duration: bigint,
  ): TraceEvent => {
    const { returned, unwound } = groups;
    if (returned !== undefined) shown.retval = true;
    const returnValue = returned === undefined ? {} : { returnValue: parseReturned(returned) };
    if (returned?.startsWith("0x") && isErrorNumber(BigInt(returned))) shown.retvalHex = true;
    clock = clock + duration;
    const times = { callTime: clock - duration, returnTime: clock };
    return {
      ...common,
      type: "funcgraph_exit",
      func,
      depth,
      ...times,
      overrun: 0,
      ...returnValue,
      ...(unwound === undefined ? {} : { unwound: true }),
    };
  };

  /** A return address, which has its offset whatever sym-offset says. */
  const readTarget = (text: string): bigint => {
    const { offset } = reader.seen;
    const address = parseSymbol(text, reader);
    reader.seen.offset = offset;
    return address;
  };

  const readOutline = (
    text: string,
    depth: number,
    common: EventCommon,
    duration: bigint,
  ): readonly TraceEvent[] | undefined => {
    const open = entered.get(common.cpu) ?? new Map<number, bigint>();
    entered.set(common.cpu, open);
    const comment = COMMENT.exec(text)?.[1];
    if (comment !== undefined) return [{ ...common, ...parseComment(comment, reader) }];
    const closing = EXIT.exec(text)?.groups;
    if (closing) {
      // Where the kernel names no brace, one right behind another function's entry closes neither.
      const before = previous.get(common.cpu);
      const other = depth >= CHECKED_DEPTH && before?.type === "funcgraph_entry" &&
        before.depth === depth;
      const last = other ? undefined : open.get(depth);
      const func = closing["name"] === undefined ? last : parseSymbol(closing["name"], reader);
      if (closing["name"] !== undefined && func === last) shown.named = true;
      open.delete(depth);
      return [readExit(func ?? 0n, depth, common, closing, duration)];
    }
    const opening = (ENTRY.exec(text) ?? LEAF.exec(text))?.groups;
    if (!opening) return undefined;
    const { name, args, target } = opening;
    const func = parseSymbol(name!, reader);
    if (target !== undefined) shown.retaddr = true;
    const entry: TraceEvent = {
      ...common,
      type: "funcgraph_entry",
      func,
      depth,
      ...(args === "" ? {} : { args }),
      ...(target === undefined ? {} : { retaddr: readTarget(target) }),
    };
    if (text.includes(") {")) {
      open.set(depth, func);
      return [entry];
    }
    open.delete(depth);
    return [entry, readExit(func, depth, common, opening, duration)];
  };

  return {
    shown,
    end: () => {
      if (expected === "outline") return;
      throw new SyntaxError("Cannot read trace: its last task switch is cut off");
    },
    parse: (text) => {
      if (readSwitch(text)) return [];
      const groups = line.exec(text)?.groups;
      if (!groups) return undefined;
      const { mark = " ", duration, indent = "", rest } = groups;
      const nanoseconds = duration === undefined ? 0n : parseDuration(duration, mark);
      if (mark === " " && findMark(nanoseconds) !== " ") shown.unmarked = true;
      const depth = indent.length >> 1;
      const common = readCommon(groups);
      const events = readOutline(rest!, depth, common, nanoseconds);
      const last = events?.at(-1);
      if (last) previous.set(common.cpu, last);
      return events;
    },
  };
}

/** What a line is made of, by the columns its header shows. */
function linePattern(options: TraceOptions): RegExp {
  const columns = options["context-info"]
    ? [
      options["funcgraph-abstime"] ? String.raw` *(?<time>\d+\.\d{6}) \|  ` : "",
      options["funcgraph-cpu"] ? String.raw` (?<cpu> *\d+)\) ` : "",
      options["funcgraph-proc"] ? String.raw` *(?<comm>\S.*?)-(?<pid>\d+) * \| ` : "",
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
