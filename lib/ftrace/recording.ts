/**
 * What is recorded, and how: the ring buffer with its options, the events with their filters and
 * triggers, the recording halves of the function and graph tracers.
 *
 * Nothing here registers anything; the call that an event belongs to is looked up in `ServedCall`.
 *
 * @module
 */
import type { Machine } from "../machine/machine.ts";
import type { Era } from "./era.ts";
import type { ServedCall, TracedCall } from "./ops/served_call.ts";
import type { TracingArea } from "./ops/tracing_area.ts";
import { type FunctionArgument, functionArguments } from "./trace/function_args.ts";
import { callPlaces } from "./prototypes/call_values.ts";
import { type Header, type Prototype, readHeader } from "./prototypes/header.ts";
import type { HeaderFiles } from "./prototypes/includes.ts";
import { HeaderScope } from "./prototypes/scope.ts";
import { createFunctionTrace } from "./trace/function_trace.ts";
import type { RingMode } from "./trace/hart_ring.ts";
import { RingBuffer } from "./trace/ring_buffer.ts";
import { createSnapshot, type Snapshot } from "./trace/snapshot.ts";
import { callersOf } from "./trace/stack_trace.ts";
import { createTraceArray, type TraceArray } from "./trace/trace_array.ts";
import type { HistogramClock } from "./trace/hist_triggers.ts";
import { clockCountsNanoseconds, TRACE_CLOCKS } from "./trace/trace_clock.ts";
import { createTraceEvents, type TraceEvents, type TraceEventsHost } from "./trace/trace_events.ts";
import type { TracingActions } from "./trace/triggers.ts";

/** The parts that {@linkcode Recording} is built on. */
export interface RecordingParts {
  /** The machine whose events are recorded. */
  readonly machine: Machine;
  /** The era whose formats and options the trace has. */
  readonly era: Era;
  /** Addresses of the trampolines, for a kernel's picture of a stack. */
  readonly area: TracingArea;
  /** The call that tracers are served with. */
  readonly served: ServedCall;
  /** Whether to refuse what the era's kernel refuses, even where it could be served. */
  readonly strict: boolean;
  /** Size of each hart's ring, KiB. */
  readonly bufferKib: number;
  /** Which events a full ring gives up: the oldest, the newest, or none because it is drained. */
  readonly bufferMode: RingMode;
  /** Takes a line about something wrong. */
  readonly report: (line: string) => void;
}

/** Functions by the C prototypes that people give. */
export interface PrototypeRegister {
  /**
   * Declares functions by their C prototypes, for `func-args`, `funcgraph-args`, `-p args` and
   * probes, from a header or a source that is named `file`, which knows the types and macros of those
   * before it; gives what was read, and what cannot be and was passed over.
   *
   * @param files Where headers are that it includes, such as `hostHeaders()`.
   */
  declarePrototypes(text: string, file?: string, files?: HeaderFiles): Header;
  /** The prototypes that have been declared, by function. */
  readonly prototypes: ReadonlyMap<string, Prototype>;
}

/** The recording side of one trace: rings, events, options and snapshot. */
export class Recording implements PrototypeRegister {
  /** Rings of all harts. */
  readonly buffer: RingBuffer;
  /** The trace's options, clock and markers. */
  readonly array: TraceArray;
  /** The snapshot: a second buffer that the trace is swapped with. */
  readonly snapshot: Snapshot;
  /** What triggers and function commands do. */
  readonly actions: TracingActions;
  /** All events, built in and defined later, with their filters and triggers. */
  readonly traceEvents: TraceEvents;
  /** Parameters of functions, for `func-args`. */
  readonly parameters: Map<string, readonly FunctionArgument[]> = new Map();
  /** Functions as their prototypes declare them. */
  readonly prototypes: Map<string, Prototype> = new Map();
  /** Whether names of enum values are printed. */
  readonly enumNames: boolean;
  /** Records one call, as the function tracer's callback does. */
  readonly recordFunction: (call: TracedCall) => void;

  readonly #program: Uint8Array;
  /** What has been declared, once anything is. */
  #scope: HeaderScope | undefined;

  /** Makes an empty trace. @throws {RangeError} For a buffer of no size. */
  constructor(parts: RecordingParts) {
    const { machine, era, strict } = parts;
    this.#program = machine.elf.bytes;
    const { ftrace_call, ftrace_caller } = parts.area.trampolines.symbols;
    const buffer = this.buffer = new RingBuffer(machine.memory, {
      harts: machine.harts.length,
      kib: parts.bufferKib,
      mode: parts.bufferMode,
    });
    const pid = () => machine.pid;
    const array = this.array = createTraceArray({
      buffer,
      release: era.release,
      clock: machine,
      user: machine.kind === "linux",
      unwinder: machine.unwinder,
      trampoline: ftrace_call ?? ftrace_caller,
      strict,
      hart: () => machine.runningHart,
      pid,
      marked: (ip, text, write) => this.traceEvents.enterMarker(ip, text, write),
    });
    const snapshot = this.snapshot = createSnapshot(buffer);
    this.actions = actionsOf(buffer, array, snapshot);
    const traceEvents = this.traceEvents = createTraceEvents(eventsHost(parts, this));
    this.enumNames = era.forms.namesEnums;
    const { parameters, enumNames } = this;
    const record = createFunctionTrace({ buffer, array, parameters, enumNames, pid });
    this.recordFunction = (call) => traceEvents.enterFunction(call, () => record(call));
  }

  /** See {@linkcode PrototypeRegister.declarePrototypes}. */
  declarePrototypes(text: string, file?: string, files?: HeaderFiles): Header {
    const header = readHeader(text, file, files, this.#scope ??= new HeaderScope());
    for (const prototype of header.prototypes) {
      this.prototypes.set(prototype.name, prototype);
      const places = callPlaces(prototype, this.#program);
      this.parameters.set(prototype.name, functionArguments(prototype, places));
    }
    return header;
  }
}

function actionsOf(buffer: RingBuffer, array: TraceArray, snapshot: Snapshot): TracingActions {
  return {
    get tracingOn() {
      return buffer.on;
    },
    set tracingOn(on) {
      buffer.on = on;
    },
    stack: (hart, call) => array.traceStack(hart, call),
    snapshot: () => snapshot.take(),
    allocateSnapshot: () => snapshot.allocate(),
  };
}

function eventsHost(
  { machine, era, area, served, strict, report }: RecordingParts,
  { buffer, array, actions }: Pick<Recording, "buffer" | "array" | "actions">,
): TraceEventsHost {
  const { unwinder } = machine;
  const trampoline = area.trampolines.symbols.ftrace_caller;
  return {
    harts: machine.harts,
    hart: () => machine.runningHart,
    hasEventArgs: era.hasEventArgs,
    hasHist: era.hasHist,
    strict,
    actions,
    clock: histogramClock(buffer, array),
    record(event) {
      if (!buffer.write(event)) return false;
      array.traceStackAfter(machine.harts[event.cpu]!, served.entry);
      return true;
    },
    pid: () => machine.pid,
    comm: (pid) => machine.commOf(pid),
    symbol: (address) => machine.symbols.at(address)?.symbol,
    functionRange(place) {
      const found = typeof place === "bigint"
        ? machine.symbols.at(place)?.symbol
        : machine.symbols.called(place)[0];
      return found && { start: found.address, end: found.address + (found.size || 1n) };
    },
    currentCall: () => served.current,
    callers: (hart, call) => callersOf(hart, call, { unwinder, trampoline, strict }),
    functionIsPlain: (plain) => buffer.requireHost("events/ftrace/function", !plain),
    report,
  };
}

function histogramClock(buffer: RingBuffer, array: TraceArray): HistogramClock {
  return {
    set(name) {
      const found = TRACE_CLOCKS.find((each) => each === name);
      if (found) array.traceClock = found;
      return found !== undefined;
    },
    now(hart, inMicroseconds) {
      const time = buffer.stamp(hart.now());
      return inMicroseconds && clockCountsNanoseconds(array.traceClock)
        ? (time + 500n) / 1000n
        : time;
    },
  };
}
