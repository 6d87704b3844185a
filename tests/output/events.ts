/**
 * Short ways to write events and settings, for the printer's tests.
 *
 * @module
 */
import type {
  FunctionEvent,
  GraphEntryEvent,
  GraphExitEvent,
  LostEvents,
  PrintEvent,
  Symbolizer,
  TraceEvent,
} from "../../lib/ftrace/trace/events.ts";
import type { KernelTextSettings } from "../../lib/output/kernel_header.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { type TraceOptions, traceOptions } from "../../lib/ftrace/trace/trace_options.ts";

/** Functions of 256 bytes each, from 0x1000 on, in this order. */
const NAMES = [
  "outer",
  "leaf",
  "mid",
  "timer_irq",
  "next",
  "open_it",
  "sys_open",
  "tracing_mark_write",
];

/** Address of a function, or inside it. */
export function at(name: string, offset = 0): bigint {
  const index = NAMES.indexOf(name);
  if (index < 0) throw new RangeError(`Cannot find function ${name}`);
  return BigInt(0x1000 + index * 0x100 + offset);
}

const COMMS: Readonly<Record<number, string>> = { 41: "demo", 77: "kworker/1" };

export const symbolizer: Symbolizer = {
  symbol(address) {
    const name = NAMES[Number((address - 0x1000n) >> 8n)];
    return name === undefined ? undefined : { name, address: at(name), size: 0x100n };
  },
  comm: (pid) => COMMS[pid],
  tgid: (pid) => pid === 77 ? 40 : undefined,
};

/** Fields of an event that a test may set, with pid 41 on CPU 0 at 12 s as default. */
export interface Common {
  readonly time?: bigint;
  readonly cpu?: number;
  readonly pid?: number;
  readonly flags?: number;
  readonly preemptCount?: number;
}

const common = { time: 12_000_000_000n, cpu: 0, pid: 41, flags: 0, preemptCount: 0 };

export function call(ip: bigint, parentIp: bigint, fields: Common = {}): FunctionEvent {
  return { ...common, type: "function", ip, parentIp, ...fields };
}

export function enter(
  name: string,
  depth: number,
  fields: Partial<GraphEntryEvent> = {},
): TraceEvent {
  return { ...common, type: "funcgraph_entry", func: at(name), depth, ...fields };
}

export function leave(
  name: string,
  depth: number,
  duration: bigint,
  fields: Partial<GraphExitEvent> = {},
): TraceEvent {
  const callTime = common.time;
  const returnTime = callTime + duration;
  const own = { func: at(name), depth, callTime, returnTime, overrun: 0 };
  return { ...common, type: "funcgraph_exit", ...own, ...fields };
}

export function mark(text: string, fields: Common = {}): PrintEvent {
  return { ...common, type: "print", ip: at("tracing_mark_write"), text, ...fields };
}

/** Prints `events` without a header. */
export function print(
  events: Iterable<TraceEvent | LostEvents>,
  tracer: string,
  options: Partial<TraceOptions> = {},
  settings: Partial<KernelTextSettings> = {},
): string {
  return [...printKernelText(events, settingsOf(tracer, options, settings), { header: false })]
    .join("");
}

/** Settings of a trace with one CPU and nothing lost. */
export function settingsOf(
  tracer: string,
  options: Partial<TraceOptions> = {},
  settings: Partial<KernelTextSettings> = {},
): KernelTextSettings {
  return {
    tracer,
    options: traceOptions(options),
    symbolizer,
    cpus: 1,
    entriesInBuffer: 3,
    entriesWritten: 3,
    release: "7.2",
    ...settings,
  };
}
