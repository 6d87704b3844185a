/**
 * One trace besides its events: options, clock, threshold, and what people write into it
 * (`struct trace_array`).
 *
 * Options that say what is recorded take effect at the next event; those that say how it is printed
 * are the writer's.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { TraceEvent } from "./events.ts";
import { FtraceError } from "../ftrace_error.ts";
import { createLiveOptions, type LiveOptions } from "./live_options.ts";
import type { RingBuffer } from "./ring_buffer.ts";
import { callersOf, type StackContext, type TracedEntry } from "./stack_trace.ts";
import {
  createTraceClock,
  TRACE_CLOCKS,
  type TraceClockName,
  type TraceClockSource,
} from "./trace_clock.ts";

/** What a marker's event names as its place: no address of a guest's, called `tracing_mark_write`. */
export const TRACING_MARK_WRITE = 0xffff_ffff_0000_0000n;

/** See the module. */
export interface TraceArray {
  /** The trace options: read, set at run time, listened to. */
  readonly traceOptions: LiveOptions;
  /**
   * What events are stamped by; setting it empties the buffer, as in the kernel.
   *
   * @throws {RangeError} If there is no such clock (EINVAL).
   */
  traceClock: TraceClockName;
  /** `tracing_thresh` in microseconds: the graph tracer records only exits that took as long; 0 is off. */
  tracingThresh: number;
  /**
   * Writes text into the trace (`trace_marker`).
   *
   * @throws {FtraceError} EINVAL while the option `markers` is off.
   */
  traceMarkWrite(text: string): void;
  /** Writes text into the trace as from `ip` (`trace_printk`); nothing while that option is off. */
  tracePrintk(ip: bigint, text: string): void;
  /** Writes the stack of a hart into the trace, at the entry of a traced call or wherever it runs. */
  traceStack(hart: Hart, call?: TracedEntry): void;
  /** Writes what the options `stacktrace` and `userstacktrace` ask for after an event on `hart`. */
  traceStackAfter(hart: Hart, call?: TracedEntry): void;
}

/** The buffer, release and clock that {@linkcode createTraceArray} works with. */
export interface TraceArrayContext extends StackContext {
  /** Where events go. */
  readonly buffer: RingBuffer;
  /** The kernel's release, which decides the options. */
  readonly release: string;
  /** The guest's own time, from which the trace clocks are made. */
  readonly clock: TraceClockSource;
  /** Whether the guest is a user program, whose stack is a user's stack. */
  readonly user: boolean;
  /** The hart that is served. */
  hart(): Hart;
  /** Task of a hart. */
  pid(hart: Hart): number;
  /** A marker occurs, with the text as it was given; `write` stores it. */
  marked(ip: bigint, text: string, write: () => void): void;
}

/** Makes the surroundings of one trace's events. */
export function createTraceArray(context: TraceArrayContext): TraceArray {
  const { buffer } = context;
  const traceOptions = createLiveOptions(context.release);
  const drains = buffer.mode === "drain";
  if (buffer.mode === "drop") traceOptions.set("overwrite", false);
  traceOptions.onChange((name, value) => {
    // A buffer that is handed over never gets full, so there is nothing to choose.
    if (name === "overwrite" && !drains) buffer.mode = value ? "overwrite" : "drop";
  });
  let clock: TraceClockName = "local";
  let threshold = 0;
  const common = (hart: Hart) => ({
    time: hart.now(),
    cpu: hart.id,
    pid: context.pid(hart),
    flags: 0,
    preemptCount: 0,
  });
  const print = (ip: bigint, text: string) => {
    const event: TraceEvent = { ...common(context.hart()), type: "print", ip, text };
    buffer.write(event);
  };
  const traceStack = (hart: Hart, call?: TracedEntry) => {
    const callers = callersOf(hart, call, context);
    buffer.write({ ...common(hart), type: "kernel_stack", callers });
  };
  const traceStackAfter = (hart: Hart, call?: TracedEntry) => {
    const { stacktrace, userstacktrace } = traceOptions.values;
    if (stacktrace) traceStack(hart, call);
    if (!userstacktrace || !context.user) return;
    const callers = callersOf(hart, call, { ...context, strict: false });
    buffer.write({ ...common(hart), type: "user_stack", callers });
  };
  return {
    traceOptions,
    get traceClock() {
      return clock;
    },
    set traceClock(name) {
      if (!TRACE_CLOCKS.includes(name)) {
        throw new RangeError(
          `Cannot set the trace clock to "${name}": there are ${TRACE_CLOCKS.join(", ")}`,
        );
      }
      clock = name;
      buffer.setClock(createTraceClock(name, context.clock));
      buffer.clear();
    },
    get tracingThresh() {
      return threshold;
    },
    set tracingThresh(microseconds) {
      if (!(microseconds >= 0)) {
        throw new RangeError(
          `Cannot set tracing_thresh to ${microseconds}: it is a number of microseconds`,
        );
      }
      threshold = microseconds;
    },
    traceMarkWrite(text) {
      if (!traceOptions.values.markers) {
        throw new FtraceError(
          "EINVAL",
          "not-enabled",
          "Cannot write a marker: the trace option markers is off",
        );
      }
      const line = text.endsWith("\n") ? text : `${text}\n`;
      context.marked(TRACING_MARK_WRITE, text, () => print(TRACING_MARK_WRITE, line));
    },
    tracePrintk(ip, text) {
      if (!traceOptions.values.trace_printk) return;
      print(ip, text);
      traceStackAfter(context.hart());
    },
    traceStack,
    traceStackAfter,
  };
}
