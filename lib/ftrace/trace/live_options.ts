/**
 * The trace options and the clock of one trace, changed while it runs: what the files
 * `trace_options`, `options/NAME` and `trace_clock` are in the kernel.
 *
 * Whoever acts on an option at recording time asks for its value at each event, or is told of
 * changes; a writer takes all values when it prints.
 *
 * Which options there are is `trace_options.ts`; clocks are `trace_clock.ts`.
 *
 * @module
 */
import {
  parseTraceOption,
  type TraceOptionName,
  type TraceOptions,
  traceOptions,
  traceOptionsOf,
} from "./trace_options.ts";

/** The options of one trace. */
export interface LiveOptions {
  /** All values at this moment; changes make a new record, so what was taken stays as it was. */
  readonly values: TraceOptions;
  /** Sets one. */
  set(name: TraceOptionName, value: boolean): void;
  /**
   * Sets or clears as `trace_options` takes it: `NAME` or `noNAME`.
   *
   * @throws {RangeError} If this kernel has no such option (EINVAL).
   */
  write(text: string): void;
  /**
   * What `trace_options` reads: `NAME` or `noNAME` a line, the core's and then those of `tracer`,
   * each with its newline.
   */
  text(tracer?: string): string;
  /** Calls `listener` after each change of a value, until disposed. */
  onChange(listener: (name: TraceOptionName, value: boolean) => void): Disposable;
}

/** Makes the options of a trace as `release` has them, at their defaults. */
export function createLiveOptions(release: string): LiveOptions {
  let values = traceOptions();
  const listeners = new Set<(name: TraceOptionName, value: boolean) => void>();
  const set = (name: TraceOptionName, value: boolean) => {
    if (values[name] === value) return;
    values = { ...values, [name]: value };
    for (const listener of listeners) listener(name, value);
  };
  return {
    get values() {
      return values;
    },
    set,
    write(text) {
      const { option, value } = parseTraceOption(text, release);
      set(option.name, value);
    },
    text: (tracer) =>
      traceOptionsOf(release)
        .filter((option) => option.tracer === undefined || option.tracer === tracer)
        .map(({ name }) => `${values[name] ? "" : "no"}${name}\n`).join(""),
    onChange(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}
