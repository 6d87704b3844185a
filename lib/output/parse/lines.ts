/**
 * Reads the line form back: context and event text of one line, or one raw, hex or bin record.
 *
 * Nothing of a line survives but what its fields mean. What a reader cannot see: a text tells only
 * microseconds, so times come back rounded to them; and print events that were not markers look
 * like any named event, so they come back as one.
 *
 * The forms are those of `function_text.ts`.
 *
 * @module
 */
import type { EventCommon, TraceEvent } from "../../ftrace/trace/events.ts";
import { parseLatencyFlags } from "../columns.ts";
import type { MadeUpSymbols } from "./made_up_symbols.ts";

/** An event without the context that all have: time, CPU, task and flags. */
export type EventBody = TraceEvent extends infer Event
  ? Event extends TraceEvent ? Omit<Event, keyof EventCommon>
  : never
  : never;

/** What reading a text needs to remember, and what it finds out on the way. */
export interface LineReader {
  /** The names met so far. */
  readonly symbols: MadeUpSymbols;
  /** Options that a line can only have been printed with (or without), as seen so far. */
  readonly seen: SeenOptions;
}

/** What the lines reveal of the trace options: whether any had such a part. */
export interface SeenOptions {
  /** Some symbol had an offset (`sym-offset`). */
  offset: boolean;
  /** Some symbol had its address (`sym-addr`). */
  address: boolean;
  /** Some function event named the caller (`print-parent`). */
  parent: boolean;
  /** Some function event named no caller. */
  noParent: boolean;
  /** Some time was a plain count, of a clock that does not count seconds. */
  counterClock: boolean;
  /** Some user address was named by its file and offset (`sym-userobj`). */
  userObject: boolean;
}

/** What sym-offset and sym-addr put behind a symbol. */
const PLACE = String.raw`(?:\+0x[0-9a-f]+\/0x[0-9a-f]+)?(?: <[0-9a-f]{16}>)?`;
const SYMBOL = String.raw`[^\s+(:]+(?: \[\w+\])?` + PLACE;
const TASK = String.raw` *(?<comm>\S.*?)-(?<pid>\d+) +`;
const CONTEXT = new RegExp(
  `^${TASK}` + String.raw`(?:\( *(?<tgid>\d+|-+)\) )?\[(?<cpu>\d{3,})\] (?<flags>[^ ]{5})? ` +
    String.raw` *(?<time>\d+)(?:\.(?<micros>\d{6}))?: `,
);
const LATENCY_CONTEXT = new RegExp(
  `^${TASK}` + String.raw`(?<cpu>\d+)(?<flags>[^ \d]\S{4}) +(?<time>\d+)(?:us[ $@*#!+])?: `,
);
const FUNCTION = new RegExp(
  String.raw`^(?<ip>${SYMBOL})(?:\((?<args>.*)\))?(?: <-(?<parent>${SYMBOL}))?` +
    String.raw`(?: \(repeats: (?<count>\d+), last_ts: *(?<last>[\d.]+)\))?$`,
);
/**
 * The same where a name is of C++, Rust or D, in which everything may stand but `: `. Arguments of
 * `func-args` begin with a name and an equals sign, unlike parentheses of the name itself.
 */
const READABLE_FUNCTION = new RegExp(
  String.raw`^(?=(?!.*: )|[^:]*::)(?<ip>(?:(?!: ).)+?)(?:\((?<args>\w+=.*)?\)(?<!operator\(\)))?` +
    String.raw`(?: <-(?<parent>(?:(?!: ).)+?))?` +
    String.raw`(?: \(repeats: (?<count>\d+), last_ts: *(?<last>[\d.]+)\))?$`,
);
/** What names of those languages have, and no other text of an event begins with. */
const READABLE = /^[^\s:]*::|^[^:]*<-.*::|^operator\b|^<|^[^:]*\(anonymous namespace\)::|^[\w.]+</;
/** The function that writes markers, and so the name in front of them. */
export const MARKER = "tracing_mark_write";
const MARKED = new RegExp(`^(${MARKER}${PLACE}): (.*)$`);
const SYSCALL_ARGUMENTS = /^(?:\w+: (?:0x)?[0-9a-f]+(?:, |$))*$/;
const RAW = /^(?:(\d+) (\d+) (\d+) )?([0-9a-f]+) ([0-9a-f]+)$/;
const HEX = /^(?:([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{16}) )?([0-9a-f]{16}) ([0-9a-f]{16}) $/;

/** The context of an event that the text gives none for. */
const NOWHERE: EventCommon = { time: 0n, cpu: 0, pid: -1, flags: 0, preemptCount: 0 };

/**
 * Reads one line, with its context if it has one.
 *
 * @throws {SyntaxError} If it is none.
 */
export function parseLine(line: string, reader: LineReader, context: ContextForm): TraceEvent {
  if (context === "none") return { ...parseEventText(line, reader), ...NOWHERE };
  const match = (context === "latency" ? LATENCY_CONTEXT : CONTEXT).exec(line);
  if (!match) throw new SyntaxError(`Cannot read trace line "${line}": it has no task and time`);
  const { comm, pid, tgid, cpu, flags, time, micros } = match.groups!;
  const { symbols, seen } = reader;
  symbols.nameTask(Number(pid), comm!);
  if (tgid !== undefined && !tgid.startsWith("-")) symbols.groupTask(Number(pid), Number(tgid));
  if (context === "line" && micros === undefined) seen.counterClock = true;
  const scale = context === "latency" ? 1000n : 1n;
  return {
    ...parseEventText(line.slice(match[0].length), reader),
    time: micros === undefined ? BigInt(time!) * scale : parseSeconds(`${time}.${micros}`),
    cpu: Number(cpu),
    pid: Number(pid),
    ...(flags === undefined ? { flags: 0, preemptCount: 0 } : parseLatencyFlags(flags)),
  };
}

/** What stands before an event's text. */
export type ContextForm = "line" | "latency" | "none";

/**
 * Reads what stands for a user address in a user stack: its object, itself, or both.
 *
 * @throws {SyntaxError} If it is neither.
 */
export function parseUserAddress(text: string, { symbols, seen }: LineReader): bigint {
  const [whole, path, offset, hex] =
    /^(?:(.+)\[\+0x([0-9a-f]+)\])?(?: <([0-9a-f]{16})>)?$/.exec(text) ?? [];
  if (whole === undefined || whole === "") {
    throw new SyntaxError(`Cannot read the user address "${text}"`);
  }
  const address = hex === undefined ? undefined : BigInt(`0x${hex}`);
  if (path === undefined) return address!;
  seen.userObject = true;
  return symbols.userAddress(path, BigInt(`0x${offset}`), address);
}

/** Reads seconds such as `12.000345` as nanoseconds. */
export function parseSeconds(text: string): bigint {
  return BigInt(text.replace(".", "")) * 1000n;
}

/**
 * Reads an event's own text. A stack comes back without its callers, which are on the next lines.
 *
 * @throws {SyntaxError} If it is no event's.
 */
export function parseEventText(text: string, { symbols, seen }: LineReader): EventBody {
  if (text === "<stack trace>") return { type: "kernel_stack", callers: [] };
  if (text === "<user stack trace>") return { type: "user_stack", callers: [] };
  const left = /^sys_(\w+) -> 0x([0-9a-f]+)$/.exec(text);
  if (left) return { type: "sys_exit", name: left[1]!, returnValue: BigInt(`0x${left[2]}`) };
  const entered = /^sys_(\w+)\((.*)\)$/.exec(text);
  if (entered && SYSCALL_ARGUMENTS.test(entered[2]!)) {
    return { type: "sys_enter", name: entered[1]!, args: parseArguments(entered[2]!) };
  }
  const call = (FUNCTION.exec(text) ?? readableFunction(text))?.groups;
  if (call) {
    const ip = parseSymbol(call["ip"]!, { symbols, seen });
    if (call["parent"] === undefined) seen.noParent = true;
    else seen.parent = true;
    const parentIp = call["parent"] ? parseSymbol(call["parent"], { symbols, seen }) : 0n;
    if (call["count"] === undefined) {
      const { args } = call;
      return { type: "function", ip, parentIp, ...(args === undefined ? {} : { args }) };
    }
    const lastTime = parseSeconds(call["last"]!);
    return { type: "func_repeats", ip, parentIp, count: Number(call["count"]), lastTime };
  }
  const marker = MARKED.exec(text);
  if (marker) {
    return { type: "print", ip: parseSymbol(marker[1]!, { symbols, seen }), text: marker[2]! };
  }
  const named = /^([^\s:]+): (.*)$/.exec(text);
  if (named) return { type: "event", name: named[1]!, text: named[2]! };
  throw new SyntaxError(`Cannot read event "${text}": it is of no known form`);
}

function readableFunction(text: string): RegExpExecArray | undefined {
  return READABLE.test(text) ? READABLE_FUNCTION.exec(text) ?? undefined : undefined;
}

function parseArguments(
  text: string,
): readonly { readonly name: string; readonly value: bigint }[] {
  if (text === "") return [];
  return text.split(", ").map((argument) => {
    const [name, value] = argument.split(": ");
    return { name: name!, value: BigInt(`0x${value!.replace("0x", "")}`) };
  });
}

/** The address of a symbol printed with or without offset and address. */
export function parseSymbol(text: string, { symbols, seen }: LineReader): bigint {
  const parts = /^(.*?)(?:\+0x([0-9a-f]+)\/0x([0-9a-f]+))?(?: <([0-9a-f]{16})>)?$/.exec(text)!;
  const [, name, offset, size, address] = parts;
  if (offset !== undefined) seen.offset = true;
  if (address !== undefined) seen.address = true;
  if (name === "0") return 0n;
  if (/^0x[0-9a-f]+$/.test(name!)) return BigInt(name!);
  const hex = (digits: string | undefined) =>
    digits === undefined ? undefined : BigInt(`0x${digits}`);
  return symbols.address(name!, { offset: hex(offset), size: hex(size), address: hex(address) });
}

/** A record of the raw or hex form and which it is, or undefined if `line` is neither. */
export function parseBareLine(
  line: string,
): { readonly form: "raw" | "hex"; readonly event: TraceEvent } | undefined {
  for (const [form, pattern, prefix] of [["hex", HEX, "0x"], ["raw", RAW, ""]] as const) {
    const match = pattern.exec(line);
    if (!match) continue;
    const [, pid, cpu, time, ip, parent] = match;
    const number = (text: string | undefined) => BigInt(text === undefined ? 0 : prefix + text);
    const context = pid === undefined
      ? NOWHERE
      : { ...NOWHERE, pid: Number(number(pid)), cpu: Number(number(cpu)), time: number(time) };
    const call = { ip: BigInt(`0x${ip}`), parentIp: BigInt(`0x${parent}`) };
    return { form, event: { type: "function", ...call, ...context } };
  }
  return undefined;
}

const BIN_RECORD = 32;

/** The records of a bin body, one byte a character; undefined if it is none. */
export function parseBinBody(body: string): readonly TraceEvent[] | undefined {
  if (!body.includes("\0") || body.length % BIN_RECORD !== 0) return undefined;
  const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const events: TraceEvent[] = [];
  for (let at = 0; at < bytes.length; at += BIN_RECORD) {
    events.push({
      ...NOWHERE,
      type: "function",
      pid: view.getInt32(at, true),
      cpu: view.getInt32(at + 4, true),
      time: view.getBigUint64(at + 8, true),
      ip: view.getBigUint64(at + 16, true),
      parentIp: view.getBigUint64(at + 24, true),
    });
  }
  return events;
}
