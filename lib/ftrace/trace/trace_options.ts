/**
 * The kernel's trace options, as data: what `list options` lists and `-O NAME`, `-O noNAME` take.
 *
 * The set is that of the kernels the eras are pinned to (`trace_options` of each), in the kernel's
 * order. An option with `idle` is accepted because the kernel has it, and changes nothing here; the
 * text there says why.
 *
 * Their values in one trace, and changing them while it runs, are `live_options.ts`; what they do to
 * the text is in `lib/output`.
 *
 * @module
 */

/** Names of the options that every tracer has (`kernel/trace/trace.h TRACE_FLAGS`). */
export type CoreOptionName =
  | "print-parent"
  | "sym-offset"
  | "sym-addr"
  | "verbose"
  | "raw"
  | "hex"
  | "bin"
  | "block"
  | "fields"
  | "trace_printk"
  | "annotate"
  | "userstacktrace"
  | "sym-userobj"
  | "printk-msg-only"
  | "context-info"
  | "latency-format"
  | "record-cmd"
  | "record-tgid"
  | "overwrite"
  | "disable_on_free"
  | "irq-info"
  | "markers"
  | "event-fork"
  | "trace_printk_dest"
  | "copy_trace_marker"
  | "pause-on-trace"
  | "hash-ptr"
  | "bitmask-list"
  | "function-trace"
  | "function-fork"
  | "display-graph"
  | "stacktrace";

/** Names of the function tracer's own options (`kernel/trace/trace_functions.c func_opts`). */
export type FunctionOptionName = "func_stack_trace" | "func-no-repeats" | "func-args";

/** Names of the graph tracer's own (`kernel/trace/trace_functions_graph.c trace_opts`). */
export type GraphOptionName =
  | "funcgraph-overrun"
  | "funcgraph-cpu"
  | "funcgraph-overhead"
  | "funcgraph-proc"
  | "funcgraph-duration"
  | "funcgraph-abstime"
  | "funcgraph-irqs"
  | "funcgraph-tail"
  | "funcgraph-retval"
  | "funcgraph-retval-hex"
  | "funcgraph-retaddr"
  | "funcgraph-args"
  | "sleep-time"
  | "graph-time";

/** Names of all options. */
export type TraceOptionName = CoreOptionName | FunctionOptionName | GraphOptionName;

/** A value for every option. */
export type TraceOptions = Readonly<Record<TraceOptionName, boolean>>;

/** A Linux release as far as it decides anything: major and minor. */
export type ReleaseVersion = readonly [major: number, minor: number];

/** A trace option of the kernel: an entry of `trace_options`. */
export interface TraceOption {
  /** Name of the option, as the kernel spells it. */
  readonly name: TraceOptionName;
  /** The option's value where nobody sets it. */
  readonly default: boolean;
  /** What the option does when it is on. */
  readonly description: string;
  /** The tracer that the option belongs to; absent if it belongs to all. */
  readonly tracer?: "function" | "function_graph";
  /** The first release that has it; without one, every release the eras are pinned to. */
  readonly since?: ReleaseVersion;
  /** Kernel configuration it needs beyond the tracer itself; Debian's kernels lack some of these. */
  readonly config?: string;
  /** Why it changes nothing here, if it does not. */
  readonly idle?: string;
}

/** All options, in the kernel's order. */
export const TRACE_OPTIONS: readonly TraceOption[] = [
  core("print-parent", true, "print the caller behind a function: ` <-parent`"),
  core("sym-offset", false, "print where in its symbol an address lies: `name+0x4/0x20`"),
  core("sym-addr", false, "print the address behind a symbol: `name <0000000000010544>`"),
  core("verbose", false, "no column header; with latency-format, longer lines"),
  core("raw", false, "print fields as bare numbers"),
  core("hex", false, "print fields as hexadecimal groups of their full width"),
  core("bin", false, "print fields as their bytes"),
  {
    ...core("block", false, "readers of trace_pipe do not return early"),
    idle: "a reader never waits: the guest stands still while somebody reads",
  },
  {
    ...core("fields", false, "print events by their fields, not their format"),
    idle: "events of the tracers have their own text only",
  },
  core("trace_printk", true, "trace_printk() writes into the trace"),
  core("annotate", true, "after losses, say where each CPU's buffer starts"),
  core("userstacktrace", false, "record the user stack of each event"),
  core("sym-userobj", false, "name user addresses by object and offset"),
  core("printk-msg-only", false, "print only the text of trace_printk() and markers"),
  core("context-info", true, "print task, CPU, flags and time before each event"),
  core("latency-format", false, "print the latency tracers' form"),
  core("record-cmd", true, "remember the names of tasks"),
  core("record-tgid", false, "remember and print the thread group of tasks"),
  core("overwrite", true, "a full buffer loses its oldest events, not the newest"),
  core("disable_on_free", false, "stop tracing when the buffer is freed"),
  core("irq-info", true, "print the flags column"),
  core("markers", true, "text may be written into the trace"),
  {
    ...core("event-fork", false, "trace events of children too"),
    idle: "guests make no other tasks",
  },
  {
    ...core("trace_printk_dest", true, "trace_printk() goes to this instance"),
    since: [6, 12],
    idle: "there is one instance",
  },
  {
    ...core("copy_trace_marker", true, "markers go to this instance too"),
    since: [6, 16],
    idle: "there is one instance",
  },
  {
    ...core("pause-on-trace", false, "reading the trace pauses recording"),
    idle: "the guest stands still while the trace is read",
  },
  {
    ...core("hash-ptr", true, "pointers in events are printed hashed"),
    idle: "a guest has nothing to hide from its own tracer",
  },
  {
    ...core("bitmask-list", false, "bit masks in events are printed as lists"),
    since: [7, 0],
    idle: "no event of the tracers holds a bit mask",
  },
  {
    ...core("function-trace", true, "latency tracers record functions"),
    idle: "there are no latency tracers",
  },
  {
    ...core("function-fork", false, "trace functions of children too"),
    idle: "guests make no other tasks",
  },
  core("display-graph", false, "print graph events in the graph's form under any tracer"),
  core("stacktrace", false, "record a stack with every event"),
  own("function", "func_stack_trace", false, "record the stack at each function"),
  own("function", "func-no-repeats", false, "record repeated calls as one event with a count"),
  {
    ...own("function", "func-args", false, "print the arguments of functions"),
    since: [6, 15],
    config: "PROBE_EVENTS_BTF_ARGS",
  },
  own("function_graph", "funcgraph-overrun", false, "print how many calls were too deep to record"),
  own("function_graph", "funcgraph-cpu", true, "print the CPU"),
  own("function_graph", "funcgraph-overhead", true, "mark long durations: + ! # * @ $"),
  own("function_graph", "funcgraph-proc", false, "print the task"),
  own("function_graph", "funcgraph-duration", true, "print how long each call took"),
  own("function_graph", "funcgraph-abstime", false, "print the time of each line"),
  own("function_graph", "funcgraph-irqs", true, "print what runs in interrupts"),
  own("function_graph", "funcgraph-tail", false, "print the function's name at its closing brace"),
  {
    ...own("function_graph", "funcgraph-retval", false, "print what each function returned"),
    config: "FUNCTION_GRAPH_RETVAL",
  },
  {
    ...own("function_graph", "funcgraph-retval-hex", false, "print returned errors in hex too"),
    config: "FUNCTION_GRAPH_RETVAL",
  },
  {
    ...own("function_graph", "funcgraph-retaddr", false, "print where each function returns to"),
    since: [6, 13],
    config: "FUNCTION_GRAPH_RETADDR",
  },
  {
    ...own("function_graph", "funcgraph-args", false, "print the arguments of functions"),
    since: [6, 15],
    config: "PROBE_EVENTS_BTF_ARGS",
  },
  own("function_graph", "sleep-time", true, "count time spent not running"),
  {
    ...own("function_graph", "graph-time", true, "count time of callees in the profile"),
    config: "FUNCTION_PROFILER",
    idle: "the profile has a setting of its own",
  },
];

function core(name: CoreOptionName, value: boolean, description: string): TraceOption {
  return { name, default: value, description };
}

function own(
  tracer: "function" | "function_graph",
  name: FunctionOptionName | GraphOptionName,
  value: boolean,
  description: string,
): TraceOption {
  return { name, default: value, description, tracer };
}

/** Every option at its default, those of `changes` set. */
export function traceOptions(changes: Partial<TraceOptions> = {}): TraceOptions {
  const defaults = TRACE_OPTIONS.map((option) => [option.name, option.default] as const);
  return { ...Object.fromEntries(defaults) as Record<TraceOptionName, boolean>, ...changes };
}

/** The options that a release has, given as `uname -r` spells it (`6.12.107+deb13-riscv64`). */
export function traceOptionsOf(release: string): readonly TraceOption[] {
  return TRACE_OPTIONS.filter(({ since }) => since === undefined || isSince(release, since));
}

/**
 * Whether `release` (as `uname -r` spells it) is `since` or newer.
 *
 * @throws {SyntaxError} If `release` does not start with two numbers.
 */
export function isSince(release: string, since: ReleaseVersion): boolean {
  const numbers = /^(\d+)\.(\d+)/.exec(release);
  if (!numbers) {
    throw new SyntaxError(`Cannot read release "${release}": it must start as 6.12 does`);
  }
  const [major, minor] = [Number(numbers[1]), Number(numbers[2])];
  return major !== since[0] ? major > since[0] : minor >= since[1];
}

/**
 * Reads an option as the `trace_options` file takes it: `NAME` sets it, `noNAME` clears it. With
 * `release`, only what that release has is taken.
 *
 * @throws {RangeError} If there is no such option, or that release lacks it.
 */
export function parseTraceOption(
  text: string,
  release?: string,
): { readonly option: TraceOption; readonly value: boolean } {
  for (const value of [true, false]) {
    const name = value ? text : text.replace(/^no/, "");
    const option = TRACE_OPTIONS.find((option) => option.name === name);
    if (!option || (!value && name === text)) continue;
    if (release !== undefined && option.since && !isSince(release, option.since)) {
      const since = option.since.join(".");
      throw new RangeError(
        `Cannot set trace option ${name}: Linux ${release} has none, it came with ${since}`,
      );
    }
    return { option, value };
  }
  throw new RangeError(
    `Cannot set trace option "${text}": there is none of that name; \`list options\` lists them`,
  );
}
