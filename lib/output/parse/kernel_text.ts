/**
 * Reads a `trace` or `trace_pipe` text of a kernel back into events and settings.
 *
 * The events are those of `lib/ftrace/trace/events.ts` and hold no text but what is text in the event
 * itself; `printKernelText(parsed.events, parsed.settings)` makes the same characters again. Options
 * come back as far as the text shows them: one that changed nothing in it is at its default.
 *
 * Limits: no irq arrows (no RISC-V kernel prints any), no verbose latency lines, and a delay mark of
 * latency-format that rounding to microseconds moved by one is not restored.
 *
 * @module
 */
import type {
  GraphExitEvent,
  LostEvents,
  StackEvent,
  TraceEvent,
  UserStackEvent,
} from "../../ftrace/trace/events.ts";
import type { KernelTextSettings } from "../kernel_header.ts";
import { createMadeUpSymbols } from "./made_up_symbols.ts";
import { GraphReader, type GraphShown } from "./graph_lines.ts";
import { parseHeader } from "./header.ts";
import {
  type ContextForm,
  type LineReader,
  parseBareLine,
  parseBinBody,
  parseLine,
  parseSymbol,
  parseUserAddress,
  type SeenOptions,
} from "./lines.ts";
import type { TraceOptions } from "../../ftrace/trace/trace_options.ts";

/** A trace as read back from its text. */
export interface ParsedTrace {
  /** The events, in the order of the text. */
  readonly events: readonly (TraceEvent | LostEvents)[];
  /** What else the text shows; its symbolizer knows the names that the events' addresses stand for. */
  readonly settings: KernelTextSettings;
  /** Whether there were `#` lines on top. */
  readonly header: boolean;
}

/** Text of a trace file's bytes: UTF-8, or one character a byte if it is of the bin form. */
export function decodeKernelText(bytes: Uint8Array): string {
  if (!bytes.includes(0)) return new TextDecoder().decode(bytes);
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/**
 * Reads `text`. `release` is the kernel it is from; a latency banner knows better.
 *
 * @throws {SyntaxError} If a line is of no form that the kernel prints; it says which.
 */
export function parseKernelText(text: string, release = "7.2"): ParsedTrace {
  const { settings, present, body } = parseHeader(text, release);
  const symbols = createMadeUpSymbols();
  const seen: SeenOptions = {
    offset: false,
    address: false,
    parent: false,
    noParent: false,
    counterClock: false,
    userObject: false,
  };
  const reader: LineReader = { symbols, seen };
  const finish = (
    events: readonly (TraceEvent | LostEvents)[],
    changes: Partial<KernelTextSettings>,
  ): ParsedTrace => ({
    events,
    settings: { ...settings, symbolizer: symbols.symbolizer, ...changes },
    header: present,
  });

  const binary = parseBinBody(body);
  if (binary) return finish(binary, { options: { ...settings.options, bin: true } });
  const context: ContextForm = !settings.options["context-info"]
    ? "none"
    : settings.options["latency-format"]
    ? "latency"
    : "line";
  const graph = settings.tracer === "function_graph"
    ? new GraphReader(body, settings.options, reader)
    : undefined;
  const read = readBody(body, reader, context, graph);
  return finish(read.events, {
    ...(seen.counterClock ? { clock: "counter" as const } : {}),
    ...(graph && settings.latency === undefined ? graphCpus(read.events, graph.shown) : {}),
    ...(graph && read.startLines > 0 ? someLost(read.events) : {}),
    options: {
      ...settings.options,
      ...optionsSeen(read, seen, settings),
      ...(graph ? graphOptions(graph.shown) : {}),
    },
  });
}

/** The events of a text, and the options that its lines reveal. */
interface Body {
  readonly events: readonly (TraceEvent | LostEvents)[];
  readonly bare: "raw" | "hex" | undefined;
  readonly overruns: boolean;
  /** Lines that say where a CPU's buffer starts. */
  readonly startLines: number;
}

function readBody(
  body: string,
  reader: LineReader,
  context: ContextForm,
  graph: GraphReader | undefined,
): Body {
  const events: (TraceEvent | LostEvents)[] = [];
  let bare: "raw" | "hex" | undefined;
  let overruns = false;
  let startLines = 0;
  /** The stack that is being read, and its callers so far. */
  let stack:
    | { readonly event: StackEvent | UserStackEvent; readonly callers: bigint[] }
    | undefined;
  const lines = body.split("\n");
  if (lines.pop() !== "") throw new SyntaxError("Cannot read trace: its last line has no end");
  for (const line of lines) {
    const last = events.at(-1);
    const lost = /^CPU:(\d+) \[LOST (?:(\d+) )?EVENTS\]$/.exec(line);
    if (lost) {
      events.push({ type: "lost", cpu: Number(lost[1]), count: Number(lost[2] ?? -1) });
      continue;
    }
    if (/^##### CPU \d+ buffer started ####$/.test(line)) {
      startLines++;
      continue;
    }
    if (line.startsWith(" => ") && (last?.type === "kernel_stack" || last?.type === "user_stack")) {
      // Its own list, so that a caller costs no copy of those before it.
      if (last !== stack?.event) {
        const callers: bigint[] = [];
        stack = { event: { ...last, callers }, callers };
        events[events.length - 1] = stack.event;
      }
      const read = last.type === "kernel_stack" ? parseSymbol : parseUserAddress;
      stack!.callers.push(read(line.slice(4), reader));
      continue;
    }
    const overrun = /^ \(Overruns: (\d+)\)$/.exec(line);
    if (overrun && last?.type === "funcgraph_exit") {
      overruns = true;
      const event: GraphExitEvent = { ...last, overrun: Number(overrun[1]) };
      events[events.length - 1] = event;
      continue;
    }
    const outlined = graph?.parse(line);
    if (outlined) {
      events.push(...outlined);
      continue;
    }
    const record = parseBareLine(line);
    if (record) {
      bare = record.form;
      events.push(record.event);
      continue;
    }
    if (last?.type === "print" && context === "line" && !looksLikeEvent(line)) {
      // A marker may hold newlines.
      events[events.length - 1] = { ...last, text: `${last.text}\n${line}` };
      continue;
    }
    events.push(parseLine(line, reader, context));
  }
  graph?.end();
  return { events, bare, overruns, startLines };
}

/** Whether a task and behind it a CPU stand in a line, as in those of events. */
function looksLikeEvent(line: string): boolean {
  const task = /^ *\S.*?-\d+ /.exec(line);
  return task !== null && /\[\d+\] /.test(line.slice(task.index + task[0].length - 1));
}

/** The options that lines show; functions without a parent tell of print-parent only if all are. */
function optionsSeen(
  { events, bare, overruns, startLines }: Body,
  seen: SeenOptions,
  settings: Omit<KernelTextSettings, "symbolizer">,
): Partial<TraceOptions> {
  const lostOld = settings.entriesWritten > settings.entriesInBuffer;
  const cpus = new Set(events.map(({ cpu }) => cpu));
  const lines = settings.tracer !== "function_graph" && bare === undefined;
  return {
    "sym-offset": seen.offset,
    "sym-addr": seen.address,
    "sym-userobj": seen.userObject,
    "print-parent": seen.parent || !seen.noParent,
    "funcgraph-overrun": overruns,
    annotate: !(lines && lostOld && cpus.size > 1 && startLines === 0),
    ...(bare === undefined ? {} : { [bare]: true }),
  };
}

function graphOptions(shown: GraphShown): Partial<TraceOptions> {
  return {
    "funcgraph-overhead": !shown.unmarked,
    "funcgraph-tail": shown.named && !shown.retval,
    "funcgraph-retval": shown.retval,
    "funcgraph-retval-hex": shown.retvalHex,
    "funcgraph-retaddr": shown.retaddr,
  };
}

/** Counts for a graph, whose header has none, that lost events: how many, nothing tells. */
function someLost({ length }: readonly unknown[]) {
  return { entriesInBuffer: length, entriesWritten: length + 1 };
}

/** The CPUs there must be, at least, for a column of that width with those numbers in it. */
function graphCpus(events: readonly (TraceEvent | LostEvents)[], { cpuWidth }: GraphShown) {
  const cpus = 1 + events.reduce((highest, { cpu }) => Math.max(highest, cpu), 0);
  return { cpus, possibleCpus: Math.max(cpus, cpuWidth > 1 ? 10 ** (cpuWidth - 1) + 1 : 1) };
}
