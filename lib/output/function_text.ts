/**
 * The line form: one event a line behind task, CPU, flags and time. The function tracer's, and that
 * of every event where the graph tracer has no form of its own.
 *
 * Made as `kernel/trace/trace_output.c` makes it (`trace_print_context`, `trace_print_lat_context`,
 * `trace_fn_trace`, `trace_stack_print`, …), raw, hex and bin included. In the bin form each
 * character of the text is one byte. Which form an event gets is decided in `kernel_text.ts`.
 *
 * @module
 */
import type {
  FunctionRepeatsEvent,
  SyscallEnterEvent,
  TraceEvent,
} from "../ftrace/trace/events.ts";
import {
  findMark,
  formatSeconds,
  latencyFlags,
  symbolText,
  taskName,
  toMicroseconds,
} from "./columns.ts";
import type { KernelTextSettings } from "./kernel_header.ts";
import { formsOf } from "../ftrace/trace/release_forms.ts";

/** What precedes the event's own text, context-info on. `next` is the event after it on any CPU. */
export function contextText(
  event: TraceEvent,
  next: TraceEvent | undefined,
  index: number,
  settings: KernelTextSettings,
): string {
  const { options, symbolizer } = settings;
  if (options["latency-format"]) return latencyContext(event, next, index, settings);
  let text = taskName(symbolizer, event.pid).padStart(16) + `-${event.pid}`.padEnd(8) + " ";
  if (options["record-tgid"]) {
    const tgid = symbolizer.tgid?.(event.pid);
    text += tgid === undefined ? "(-------) " : `(${String(tgid).padStart(7)}) `;
  }
  text += `[${String(event.cpu).padStart(3, "0")}] `;
  if (options["irq-info"]) text += latencyFlags(event);
  return `${text}${timeText(event.time, settings)}: `;
}

/** ` %5lu.%06lu`, or the bare count of a clock that does not count nanoseconds (`trace_print_time`). */
function timeText(time: bigint, settings: KernelTextSettings): string {
  if (settings.clock === "counter") return ` ${time.toString().padStart(12)}`;
  return ` ${formatSeconds(toMicroseconds(time))}`;
}

function latencyContext(
  event: TraceEvent,
  next: TraceEvent | undefined,
  index: number,
  settings: KernelTextSettings,
): string {
  const { options, symbolizer, clock, timeStart = 0n } = settings;
  const comm = taskName(symbolizer, event.pid);
  const inNanoseconds = clock !== "counter";
  const scale = inNanoseconds ? toMicroseconds : (time: bigint) => time;
  const since = scale(event.time - timeStart);
  const delay = scale((next ?? event).time - event.time);
  if (!options.verbose) {
    const task = comm.slice(0, 8).padStart(8) + `-${event.pid}`.padEnd(8);
    const head = `${task} ${String(event.cpu).padStart(3)}${latencyFlags(event)}`;
    const time = ` ${since.toString().padStart(4)}`;
    return inNanoseconds ? `${head}${time}us${findMark(delay * 1000n)}: ` : `${head}${time}: `;
  }
  const depth = (event.preemptCount & 0xf).toString(16).padStart(8, "0");
  const task = `${comm.padStart(16)} ${String(event.pid).padStart(7)}`;
  const head = `${task} ${String(event.cpu).padStart(3)} ${event.flags} ${depth}` +
    ` ${index.toString(16).padStart(8, "0")} `;
  if (!inNanoseconds) {
    return `${head}[${event.time.toString(16).padStart(16, "0")}] ${since} (+${delay}): `;
  }
  const milliseconds = (time: bigint) =>
    `${time / 1000n}.${(time % 1000n).toString().padStart(3, "0")}ms`;
  const now = toMicroseconds(event.time).toString(16).padStart(8, "0");
  return `${head}[${now}] ${milliseconds(since)} (+${milliseconds(delay)}): `;
}

/** The event's own text without a context and without the newline at its end. */
export function eventText(event: TraceEvent, settings: KernelTextSettings): string {
  const { options, symbolizer, release } = settings;
  switch (event.type) {
    case "function": {
      const args = event.args === undefined ? "" : `(${event.args})`;
      return callText(event.ip, event.parentIp, args, settings);
    }
    case "func_repeats": {
      const last = timeText(event.lastTime, settings);
      const call = callText(event.ip, event.parentIp, "", settings);
      return `${call} (repeats: ${event.count}, last_ts:${last})`;
    }
    case "kernel_stack": {
      const callers = event.callers.map((caller) => symbolText(symbolizer, caller, options));
      return ["<stack trace>", ...callers.map((caller) => ` => ${caller}`)].join("\n");
    }
    case "user_stack": {
      const callers = event.callers.map((caller) => ` => ${userAddress(caller, settings)}`);
      return ["<user stack trace>", ...callers].join("\n");
    }
    case "print":
      return `${symbolText(symbolizer, event.ip, options)}: ${printedText(event.text)}`;
    case "raw_data": {
      const bytes = [...event.bytes].map((byte) => ` ${byte.toString(16).padStart(2, "0")}`);
      return `# ${event.id.toString(16)} buf:${bytes.join("")}`;
    }
    case "sys_enter":
      return `sys_${event.name}(${event.args.map((arg) => argumentText(arg, release)).join(", ")})`;
    case "sys_exit":
      return `sys_${event.name} -> 0x${event.returnValue.toString(16)}`;
    case "event":
      return `${event.name}: ${event.text}`;
    case "funcgraph_entry":
    case "funcgraph_exit":
      throw new TypeError(`Cannot print ${event.type} as a line: graph_text.ts prints it`);
  }
}

/** A user address: by its object with sym-userobj, else as it is (`seq_print_user_ip`). */
function userAddress(address: bigint, { options, symbolizer }: KernelTextSettings): string {
  const object = options["sym-userobj"] ? symbolizer.object?.(address) : undefined;
  const place = object ? `${object.path}[+0x${object.offset.toString(16)}]` : "";
  if (object && !options["sym-addr"]) return place;
  return `${place} <${address.toString(16).padStart(16, "0")}>`;
}

/** Text of a marker; the newline that ends it in the buffer is the line's, not the text's. */
export function printedText(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

function callText(
  ip: bigint,
  parentIp: bigint,
  args: string,
  { options, symbolizer }: KernelTextSettings,
): string {
  const callee = symbolText(symbolizer, ip, options) + args;
  if (!options["print-parent"] || parentIp === 0n) return callee;
  return `${callee} <-${symbolText(symbolizer, parentIp, options)}`;
}

function argumentText({ name, value }: SyscallEnterEvent["args"][number], release: string): string {
  const prefix = value >= 10n && formsOf(release).marksHexArguments ? "0x" : "";
  return `${name}: ${prefix}${value.toString(16)}`;
}

/** One event in the raw form, with its newline (`print_raw_fmt`). */
export function rawText(event: TraceEvent, settings: KernelTextSettings): string {
  const context = settings.options["context-info"]
    ? `${event.pid} ${event.cpu} ${event.time} `
    : "";
  switch (event.type) {
    case "function":
      return `${context}${event.ip.toString(16)} ${event.parentIp.toString(16)}\n`;
    case "func_repeats":
      return `${context}${event.ip} ${event.parentIp} ${event.count} ${sinceLast(event)}\n`;
    case "print":
      return `${context}# ${event.ip.toString(16)} ${printedText(event.text)}\n`;
    default:
      return `${context}${typeText(event, settings)}`;
  }
}

/** One event in the hex form, with its newline (`print_hex_fmt`). */
export function hexText(event: TraceEvent, settings: KernelTextSettings): string {
  const group = (value: bigint | number, digits: number) =>
    `${value.toString(16).padStart(digits, "0")} `;
  const context = settings.options["context-info"]
    ? group(event.pid, 8) + group(event.cpu, 8) + group(event.time, 16)
    : "";
  if (event.type !== "function") return `${context}${typeText(event, settings)}\n`;
  return `${context}${group(event.ip, 16)}${group(event.parentIp, 16)}\n`;
}

/** One event in the bin form: little-endian fields, nothing between them (`print_bin_fmt`). */
export function binText(event: TraceEvent, settings: KernelTextSettings): string {
  const context = settings.options["context-info"]
    ? bytesOf(event.pid, 4) + bytesOf(event.cpu, 4) + bytesOf(event.time, 8)
    : "";
  if (event.type !== "function") return `${context}${typeText(event, settings)}`;
  return `${context}${bytesOf(event.ip, 8)}${bytesOf(event.parentIp, 8)}`;
}

function bytesOf(value: bigint | number, length: number): string {
  let text = "";
  for (let rest = BigInt(value), at = 0; at < length; at++, rest >>= 8n) {
    text += String.fromCharCode(Number(rest & 0xffn));
  }
  return text;
}

function sinceLast({ time, lastTime }: FunctionRepeatsEvent): bigint {
  return time - lastTime;
}

/** Numbers of the built-in event types (`kernel/trace/trace.h trace_type`). */
export const EVENT_TYPES: Readonly<Record<string, number>> = {
  function: 1,
  kernel_stack: 4,
  print: 5,
  funcgraph_exit: 10,
  funcgraph_entry: 11,
};

/** The number of repeated functions, which moved when a type was added before it. */
export function repeatsType(release: string): number {
  return formsOf(release).hasRetaddrEntry ? 20 : 19;
}

/** The number of user stacks, which moved with it. */
function userStackType(release: string): number {
  return formsOf(release).hasRetaddrEntry ? 13 : 12;
}

/** What a type says that has no such form (`trace_nop_print`); a name stands for a type of no fixed number. */
function typeText(event: TraceEvent, { release }: KernelTextSettings): string {
  const type = event.type === "func_repeats"
    ? repeatsType(release)
    : event.type === "event"
    ? event.description?.id
    : event.type === "user_stack"
    ? userStackType(release)
    : EVENT_TYPES[event.type];
  return `type: ${type ?? ("name" in event ? event.name : event.type)}\n`;
}
