/**
 * What the control files hold that ftrace itself does not: the tracer in force, and how it is started
 * and stopped while the guest waits.
 *
 * A tracer is the same module that `-p` runs; its `init` and its handle's dispose are called between
 * slices, so a site is never switched under a running hart.
 *
 * @module
 */
import type { Ftrace } from "../ftrace/ftrace.ts";
import type { Tracer, TracerHandle } from "../ftrace/tracer.ts";
import { resolveOptions, type TracerOption } from "../ftrace/tracer_options.ts";
import type { TraceOptionName, TraceOptions } from "../ftrace/trace/trace_options.ts";
import { asTracefsError, invalid } from "./errno.ts";

/** The state that the control files share. */
export interface TraceState {
  /** The tracing interface whose trace the files show and control. */
  readonly ftrace: Ftrace;
  /** Names that `current_tracer` takes, `nop` last. */
  readonly tracers: readonly string[];
  /** Name in `current_tracer`. */
  readonly currentTracer: string;
  /** In which form the current tracer's events are printed; undefined if it has none. */
  readonly prints: "function" | "function_graph" | "nop" | undefined;
  /** The trace options (`trace_options`) in force. */
  readonly options: TraceOptions;
  /** Whether the buffer has its full size: it is small until a tracer needs it. */
  expanded: boolean;
  /** Size of the kernel's sub-buffers, KiB. */
  subBufferKib: number;
  /** Sets one trace option. */
  setOption(name: TraceOptionName, value: boolean): void;
  /** Writes `current_tracer`. @throws {TracefsError} EINVAL for an unknown one. */
  setTracer(name: string): Promise<void>;
  /** A tracer by its name. */
  tracer(name: string): Tracer | undefined;
  /** The options that a tracer is started with. */
  readonly optionsOf: TracerOptionsOf;
  /** Calls `listener` when everything ends. */
  onStop(listener: () => void): void;
  /** Ends the current tracer, and those that run beside it. */
  stop(): Promise<void>;
}

/** Says which options a tracer is started with. */
export type TracerOptionsOf = (tracer: Tracer) => Readonly<Record<string, TracerOption["default"]>>;

/** The tracer that traces nothing. */
const NOP = "nop";

/** Starts with tracer nop and the options at their defaults. */
export function createTraceState(
  ftrace: Ftrace,
  tracers: readonly Tracer[],
  optionsOf: TracerOptionsOf = (tracer) => resolveOptions(tracer, {}),
): TraceState {
  let current: Tracer | undefined;
  let handle: TracerHandle;
  const listeners: (() => void)[] = [];
  const stop = async () => {
    const ended = handle;
    handle = undefined;
    current = undefined;
    if (!ended) return;
    if (Symbol.asyncDispose in ended) await ended[Symbol.asyncDispose]();
    else ended[Symbol.dispose]();
  };
  const names = [...tracers.map(({ name }) => name).filter((name) => name !== NOP), NOP];
  return {
    ftrace,
    tracers: names,
    get currentTracer() {
      return current?.name ?? NOP;
    },
    get prints() {
      return current?.prints;
    },
    get options() {
      return ftrace.traceOptions.values;
    },
    expanded: false,
    subBufferKib: 4,
    setOption(name, value) {
      ftrace.traceOptions.set(name, value);
    },
    async setTracer(name) {
      if (!names.includes(name)) {
        throw invalid(
          `Cannot trace with "${name}": there is no such tracer here; there are ${
            names.join(", ")
          }`,
        );
      }
      this.expanded = true;
      if (name === this.currentTracer) return;
      await stop();
      ftrace.buffer.clear();
      const tracer = tracers.find((each) => each.name === name);
      if (!tracer) return;
      try {
        handle = await tracer.init(ftrace, optionsOf(tracer));
        current = tracer;
      } catch (error) {
        throw asTracefsError(error, "write");
      }
    },
    tracer: (name) => tracers.find((each) => each.name === name),
    optionsOf,
    onStop: (listener) => void listeners.push(listener),
    async stop() {
      await stop();
      for (const listener of listeners) listener();
    },
  };
}
