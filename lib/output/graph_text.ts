/**
 * The graph form: calls as a nested outline with their durations, other events as comments in it.
 *
 * Made as `kernel/trace/trace_functions_graph.c` makes it. What a reader cannot see: whether an
 * entry is a leaf is only known from the next event of the same CPU, which the caller looks up; and
 * a closing brace is named if the entry it closes is not the last one seen at its depth, so each CPU
 * remembers one function a depth (up to 50, where the kernel stops).
 *
 * Two forms are ours. Beyond {@linkcode DEEPEST_OUTLINE} a number stands for more blanks, so that a
 * deep recursion gives no lines of kilobytes. The line of an exit that was `unwound` (longjmp,
 * exception) ends in two blanks and the comment `unwound`, behind whatever the kernel prints: one
 * blank would be a function's name.
 *
 * @module
 */
import type {
  GraphEntryEvent,
  GraphExitEvent,
  Symbolizer,
  TraceEvent,
} from "../ftrace/trace/events.ts";
import {
  findMark,
  formatSeconds,
  functionName,
  latencyFlags,
  symbolText,
  taskName,
} from "./columns.ts";
import { eventText, printedText } from "./function_text.ts";
import type { KernelTextSettings } from "./kernel_header.ts";
import { formsOf } from "../ftrace/trace/release_forms.ts";

/** What the printer remembers of one CPU. */
interface CpuState {
  lastPid: number | undefined;
  /** Depth in the outline; comments are indented one deeper. */
  depth: number;
  /** The function entered last at each depth and not left. */
  readonly entered: (bigint | undefined)[];
  /** Depth of the interrupt being left out, with funcgraph-irqs off. */
  hiddenFrom: number | undefined;
}

/** What the printer remembers, by CPU. */
export type GraphState = Map<number, CpuState>;

/** Depth from which the kernel no longer checks what a closing brace closes (`FTRACE_RETFUNC_DEPTH`). */
export const CHECKED_DEPTH = 50;
/** Depth up to which the outline is drawn: a kernel's shadow stack has room for about a hundred calls. */
export const DEEPEST_OUTLINE = 128;
const NO_DURATION = "              |  ";
const PROCESS_WIDTH = 14;
const RULE = ` ${"-".repeat(42)}\n`;

/** Whether `next`, the following event of the same CPU, makes `entry` a leaf. */
export function isLeaf(
  entry: GraphEntryEvent,
  next: TraceEvent | undefined,
): next is GraphExitEvent {
  return next?.type === "funcgraph_exit" && next.pid === entry.pid && next.func === entry.func;
}

/**
 * One event, with all the lines it causes; "" if it is left out. `exit` is given if the event is a
 * leaf's entry, and is then printed too.
 */
export function graphText(
  event: TraceEvent,
  exit: GraphExitEvent | undefined,
  state: GraphState,
  settings: KernelTextSettings,
): string {
  let cpu = state.get(event.cpu);
  if (!cpu) {
    cpu = { lastPid: undefined, depth: 0, entered: [], hiddenFrom: undefined };
    state.set(event.cpu, cpu);
  }
  if (isHidden(event, cpu, settings)) return "";
  switch (event.type) {
    case "funcgraph_entry":
      return entryText(event, exit, cpu, settings);
    case "funcgraph_exit":
      return exitText(event, cpu, settings);
    default:
      return commentText(event, cpu, settings);
  }
}

function entryText(
  event: GraphEntryEvent,
  exit: GraphExitEvent | undefined,
  cpu: CpuState,
  settings: KernelTextSettings,
): string {
  cpu.depth = exit ? event.depth - 1 : event.depth;
  if (event.depth < CHECKED_DEPTH) cpu.entered[event.depth] = exit ? undefined : event.func;
  const head = switchText(event, cpu, settings) + interruptText(event, "==========>", settings) +
    prologue(event, settings);
  const indent = indentation(event.depth);
  const call = `${functionName(settings.symbolizer, event.func)}(${event.args ?? ""})`;
  const target = settings.options["funcgraph-retaddr"] ? returnAddress(event, settings) : "";
  if (!exit) {
    const comment = target && ` /*${target} */`;
    return `${head}${durationCell(undefined, settings)}${indent}${call} {${comment}\n`;
  }
  const notes = target + returnedText(exit, settings);
  const comment = notes && ` /*${notes} */`;
  return `${head}${durationCell(exit, settings)}${indent}${call};${comment}${unwound(exit)}\n` +
    interruptText(exit, "<==========", settings);
}

function exitText(event: GraphExitEvent, cpu: CpuState, settings: KernelTextSettings): string {
  const { options, symbolizer } = settings;
  cpu.depth = event.depth - 1;
  let matches = true;
  if (event.depth < CHECKED_DEPTH) {
    matches = cpu.entered[event.depth] === event.func;
    cpu.entered[event.depth] = undefined;
  }
  const returned = returnedText(event, settings);
  const named = !matches || options["funcgraph-tail"] || options["funcgraph-retval"];
  const comment = named ? ` /* ${functionName(symbolizer, event.func)}${returned} */` : "";
  const overrun = options["funcgraph-overrun"] ? ` (Overruns: ${event.overrun})\n` : "";
  return switchText(event, cpu, settings) + prologue(event, settings) +
    durationCell(event, settings) + indentation(event.depth) +
    `}${comment}${unwound(event)}\n` + overrun +
    interruptText(event, "<==========", settings);
}

function commentText(event: TraceEvent, cpu: CpuState, settings: KernelTextSettings): string {
  const indent = cpu.depth > 0 ? indentation(cpu.depth + 1) : "";
  const text = event.type === "print" ? printedText(event.text) : eventText(event, settings);
  return switchText(event, cpu, settings) + prologue(event, settings) +
    durationCell(undefined, settings) + `${indent}/* ${text} */\n`;
}

/** The blanks before a call. Deeper than any kernel's stack of calls can be, the depth is a number. */
function indentation(depth: number): string {
  if (depth <= DEEPEST_OUTLINE) return "  ".repeat(depth);
  return `${"  ".repeat(DEEPEST_OUTLINE)}/* ${depth} deep */ `;
}

/** The block that says which task follows which on a CPU (`verif_pid`); none before the first. */
function switchText(event: TraceEvent, cpu: CpuState, settings: KernelTextSettings): string {
  const before = cpu.lastPid;
  cpu.lastPid = event.pid;
  if (before === undefined || before === event.pid) return "";
  const { symbolizer } = settings;
  const tasks = `${processText(before, symbolizer)} => ${processText(event.pid, symbolizer)}`;
  return `${RULE}${cpuColumn(event.cpu, settings)}${tasks}\n${RULE}\n`;
}

/** The columns before the duration (`print_graph_prologue`). */
function prologue(event: TraceEvent, settings: KernelTextSettings): string {
  const { options, symbolizer } = settings;
  if (!options["context-info"]) return "";
  let text = "";
  if (options["funcgraph-abstime"]) text += `${formatSeconds(event.time / 1000n)} |  `;
  if (options["funcgraph-cpu"]) text += cpuColumn(event.cpu, settings);
  if (options["funcgraph-proc"]) text += `${processText(event.pid, symbolizer)} | `;
  if (options["latency-format"]) text += ` ${latencyFlags(event)} | `;
  return text;
}

function cpuColumn(cpu: number, { cpus, possibleCpus = cpus }: KernelTextSettings): string {
  const width = String(Math.max(0, possibleCpus - 1)).length;
  return ` ${String(cpu).padStart(width)}) `;
}

/** Seven characters of the task's name and its pid, centred in 14 (`print_graph_proc`). */
export function processText(pid: number, symbolizer: Symbolizer): string {
  const text = `${taskName(symbolizer, pid).slice(0, 7)}-${pid}`;
  const spaces = Math.max(0, PROCESS_WIDTH - text.length);
  return " ".repeat(spaces >> 1) + text + " ".repeat(spaces - (spaces >> 1));
}

/** Mark, number, unit and bar of an exit, or as many blanks (`print_graph_duration`). */
function durationCell(exit: GraphExitEvent | undefined, { options }: KernelTextSettings): string {
  if (!options["funcgraph-duration"] || !options["context-info"]) return "";
  if (!exit) return NO_DURATION;
  const duration = exit.returnTime - exit.callTime;
  const mark = options["funcgraph-overhead"] ? findMark(duration) : " ";
  return `${mark} ${durationText(duration)}|  `;
}

/** A duration in microseconds with as many decimals as fit seven digits (`trace_print_graph_duration`). */
export function durationText(nanoseconds: bigint): string {
  let number = (nanoseconds / 1000n).toString();
  if (number.length < 7) {
    const decimals = (nanoseconds % 1000n).toString().padStart(3, "0");
    number += `.${decimals.slice(0, Math.min(3, 7 - number.length))}`;
  }
  return `${number} us ${" ".repeat(Math.max(0, 8 - number.length))}`;
}

function returnAddress(
  event: GraphEntryEvent,
  { symbolizer, options }: KernelTextSettings,
): string {
  if (event.retaddr === undefined) return "";
  const always = { "sym-offset": true, "sym-addr": options["sym-addr"] };
  return ` <-${symbolText(symbolizer, event.retaddr, always)}`;
}

/** ` ret=0x1`, or in decimal if it is an error number (`print_graph_retval`). */
function returnedText(exit: GraphExitEvent, { options, release }: KernelTextSettings): string {
  const value = exit.returnValue;
  if (!options["funcgraph-retval"] || value === undefined) return "";
  const name = formsOf(release).spellsRet ? " ret=" : " = ";
  // A negative int is as often zero-extended as sign-extended.
  const error = BigInt.asIntN(value >> 32n === 0n ? 32 : 64, value);
  const isError = error < 0n && error >= -4095n && !options["funcgraph-retval-hex"];
  return name + (isError ? error.toString() : `0x${value.toString(16)}`);
}

function unwound(exit: GraphExitEvent): string {
  return exit.unwound ? "  /* unwound */" : "";
}

function isInterruptEntry(func: bigint, { interruptEntries }: KernelTextSettings): boolean {
  return interruptEntries?.has(func) ?? false;
}

/** The arrow where an interrupt begins or ends (`print_graph_irq`). */
function interruptText(
  event: GraphEntryEvent | GraphExitEvent,
  arrow: string,
  settings: KernelTextSettings,
): string {
  if (!isInterruptEntry(event.func, settings)) return "";
  const { options } = settings;
  const cell = options["funcgraph-duration"] && options["context-info"];
  return `${prologue(event, settings)}${cell ? `  ${arrow} |` : arrow}\n`;
}

/** Whether the event is inside an interrupt that funcgraph-irqs leaves out; tells `cpu` where it ends. */
function isHidden(event: TraceEvent, cpu: CpuState, settings: KernelTextSettings): boolean {
  if (settings.options["funcgraph-irqs"]) return false;
  if (event.type === "funcgraph_entry") {
    if (cpu.hiddenFrom === undefined && isInterruptEntry(event.func, settings)) {
      cpu.hiddenFrom = event.depth;
    }
    return cpu.hiddenFrom !== undefined;
  }
  if (event.type !== "funcgraph_exit" || cpu.hiddenFrom === undefined) return false;
  if (event.depth <= cpu.hiddenFrom) cpu.hiddenFrom = undefined;
  return true;
}
