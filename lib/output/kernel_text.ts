/**
 * The printer of the kernel's text: events in, the `trace` file out, to the character.
 *
 * It streams, with one delay: a graph entry is printed when the next event of its CPU is known
 * (leaf or not), and a latency-format line when the next event of any CPU is. Until then what
 * follows waits in a queue.
 *
 * The forms themselves are `kernel_header.ts`, `function_text.ts` and `graph_text.ts`; the way back
 * is `parse_kernel_text.ts`.
 *
 * @module
 */
import type { GraphExitEvent, LostEvents, TraceEvent } from "../ftrace/trace/events.ts";
import { binText, contextText, eventText, hexText, printedText, rawText } from "./function_text.ts";
import { type GraphState, graphText, isLeaf } from "./graph_text.ts";
import { kernelHeader, type KernelTextSettings } from "./kernel_header.ts";

/** Formats a trace event by event, as the kernel's `trace` file shows it. */
export interface KernelText {
  /** The `#` lines. A reader of `trace_pipe` sees none. */
  header(): string;
  /** Takes the next event and gives the text that is now certain, often of earlier events. */
  event(event: TraceEvent | LostEvents): string;
  /** Gives the text that still waited for a later event. */
  end(): string;
}

/**
 * Starts printing a trace.
 *
 * With the bin option each character of the text below the header is one byte: write it with
 * {@linkcode encodeKernelText}.
 */
export function createKernelText(settings: KernelTextSettings): KernelText {
  const queue = createQueue();
  const printer = createPrinter(settings);
  const drain = (ended: boolean): string => {
    let text = "";
    for (let head = queue.head(); head; head = queue.head()) {
      const wants = printer.wants(head);
      const next = wants === undefined ? undefined : queue.after(wants, head.cpu);
      if (wants !== undefined && next === undefined && !ended) break;
      queue.shift();
      text += printer.print(head, next, () => queue.remove(next));
    }
    return text;
  };
  return {
    header: () => kernelHeader(settings),
    event: (event) => {
      queue.push(event);
      return drain(false);
    },
    end: () => drain(true) + printer.end(),
  };
}

/** Prints a whole trace, in pieces. `header` false leaves out the `#` lines, as `trace_pipe` does. */
export function* printKernelText(
  events: Iterable<TraceEvent | LostEvents>,
  settings: KernelTextSettings,
  { header = true }: { readonly header?: boolean } = {},
): Generator<string> {
  const text = createKernelText(settings);
  if (header) yield text.header();
  for (const event of events) {
    const piece = text.event(event);
    if (piece !== "") yield piece;
  }
  yield text.end();
}

/** Bytes of a printed text: UTF-8, or with the bin option one byte a character. */
export function encodeKernelText(text: string, { options }: KernelTextSettings): Uint8Array {
  if (!options.bin) return new TextEncoder().encode(text);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

type Item = TraceEvent | LostEvents;
/** Which later event decides how an event is printed. */
type Wanted = "same CPU" | "any CPU";

/** What waits to be printed. */
interface Queue {
  push(item: Item): void;
  head(): Item | undefined;
  shift(): void;
  /** The item after the head that is of that CPU, or of any. */
  after(wanted: Wanted, cpu: number): Item | undefined;
  /** Takes out the item that `after` gave last. */
  remove(item: Item | undefined): void;
}

function createQueue(): Queue {
  let items: (Item | undefined)[] = [];
  let first = 0;
  /** Where to go on looking, so that a long wait does not look at the same items again. */
  let looked = 0;
  /** Where the item is that was looked for last. */
  let found = 0;
  return {
    push: (item) => items.push(item),
    head: () => {
      while (first < items.length && items[first] === undefined) first++;
      if (first > 1024 && first * 2 > items.length) {
        items = items.slice(first);
        looked = Math.max(0, looked - first);
        first = 0;
      }
      return items[first];
    },
    shift: () => {
      items[first] = undefined;
      looked = ++first;
    },
    after: (wanted, cpu) => {
      for (looked = Math.max(looked, first + 1); looked < items.length; looked++) {
        const item = items[looked];
        if (item === undefined) continue;
        if (wanted === "same CPU" ? item.cpu === cpu : item.type !== "lost") {
          found = looked;
          return item;
        }
      }
      return undefined;
    },
    remove: (item) => {
      if (item !== undefined && items[found] === item) items[found] = undefined;
    },
  };
}

/** Prints single events in the right form; what surrounds them is its state. */
interface Printer {
  wants(item: Item): Wanted | undefined;
  /** `take` is called if `next` has been printed along with `item`. */
  print(item: Item, next: Item | undefined, take: () => void): string;
  end(): string;
}

function createPrinter(settings: KernelTextSettings): Printer {
  const { options, tracer } = settings;
  const state: GraphState = new Map();
  const lost = new Map<number, number>();
  const started = new Set<number>();
  const graphTracer = tracer === "function_graph" || options["display-graph"];
  let index = 0;

  const isCall = (event: Item) =>
    event.type === "funcgraph_entry" || event.type === "funcgraph_exit";
  /** In the graph's own form; functions and stacks are lines even there. */
  const isOutlined = (event: TraceEvent) =>
    graphTracer && !["function", "kernel_stack", "user_stack"].includes(event.type);
  const isBare = options.bin || options.hex || options.raw;

  const lostText = (cpu: number): string => {
    const count = lost.get(cpu);
    if (count === undefined) return "";
    lost.delete(cpu);
    return count < 0 ? `CPU:${cpu} [LOST EVENTS]\n` : `CPU:${cpu} [LOST ${count} EVENTS]\n`;
  };
  /** Where a CPU's first event stands, if older ones of some CPU are gone (`test_cpu_buff_start`). */
  const startText = (cpu: number): string => {
    const overrun = settings.entriesWritten > settings.entriesInBuffer;
    if (!options.annotate || !overrun || started.has(cpu)) return "";
    started.add(cpu);
    return index > 1 ? `##### CPU ${cpu} buffer started ####\n` : "";
  };
  const lineText = (event: TraceEvent, next: TraceEvent | undefined, text: string): string => {
    const context = options["context-info"] ? contextText(event, next, index, settings) : "";
    return `${startText(event.cpu)}${context}${text}`;
  };

  return {
    wants: (item) => {
      if (item.type === "funcgraph_entry") return "same CPU";
      if (item.type === "lost" || isOutlined(item) || isBare) return undefined;
      return options["latency-format"] ? "any CPU" : undefined;
    },
    print: (item, next, take) => {
      if (item.type === "lost") {
        const before = lost.get(item.cpu) ?? 0;
        lost.set(item.cpu, before < 0 || item.count < 0 ? -1 : before + item.count);
        return "";
      }
      index++;
      const head = lostText(item.cpu);
      const following = next?.type === "lost" ? undefined : next;
      let exit: GraphExitEvent | undefined;
      if (item.type === "funcgraph_entry" && isLeaf(item, following)) {
        exit = following;
        take();
      }
      if (isOutlined(item)) return head + graphText(item, exit, state, settings);
      if (item.type === "print" && options["printk-msg-only"]) {
        return `${head}${printedText(item.text)}\n`;
      }
      if (options.bin) return head + binText(item, settings);
      if (options.hex) return head + hexText(item, settings);
      if (options.raw) return head + rawText(item, settings);
      if (isCall(item)) {
        // Under another tracer the graph form stands behind the context, and remembers nothing.
        return head + lineText(item, following, graphText(item, exit, new Map(), settings));
      }
      return `${head}${lineText(item, following, eventText(item, settings))}\n`;
    },
    end: () => [...lost.keys()].map(lostText).join(""),
  };
}
