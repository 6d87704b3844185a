/**
 * Where the trace goes, and in which form.
 *
 * A file is opened before the guest runs, so that one that cannot be written ends the call at once.
 * If it fails later (a full disk), the trace is not lost: it goes to stdout, and a message says so.
 *
 * The kernel's text itself is made by `printKernelText` of the package.
 *
 * @module
 */
import {
  encodeKernelText,
  type Ftrace,
  liveTraceSettings,
  type LostEvents,
  parseTraceOption,
  printKernelText,
  type RingMode,
  type TraceEvent,
  type TraceOption,
  type TraceOptions,
  traceOptions,
} from "../../mod.ts";
import type { CliHost } from "./host.ts";

/** The place a trace is written to. */
export interface TraceSink {
  /** Writes text of a trace or of a tracer. */
  write(bytes: Uint8Array): void;
  /** Whether somebody still reads. */
  readonly open: boolean;
  /** Ends it; gives what went wrong, if the trace had to go elsewhere. */
  close(): string | undefined;
}

/**
 * Opens `path` for the trace, or stdout without one.
 *
 * @throws {TypeError} If the file cannot be opened for writing.
 */
export function openTraceSink(host: CliHost, path: string | undefined): TraceSink {
  return path === undefined ? stdoutSink(host) : fileSink(host, path);
}

function stdoutSink(host: CliHost): TraceSink {
  let open = true;
  return {
    write(bytes) {
      open = host.stdout(bytes);
    },
    get open() {
      return open;
    },
    close: () => undefined,
  };
}

function fileSink(host: CliHost, path: string): TraceSink {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, create: true, truncate: true });
  } catch (error) {
    throw new TypeError(`Cannot write the trace to ${path}: ${reasonOf(error)}; choose another -o`);
  }
  let failure: string | undefined;
  let open = true;
  return {
    write(bytes) {
      let at = 0;
      try {
        while (failure === undefined && at < bytes.length) at += file.writeSync(bytes.subarray(at));
      } catch (error) {
        failure = `Cannot write the trace to ${path}: ${reasonOf(error)}; ` +
          "the rest of it went to stdout; free some space, or choose another -o";
      }
      if (failure !== undefined) open = host.stdout(bytes.subarray(at));
    },
    get open() {
      return open;
    },
    close() {
      try {
        file.close();
      } catch (error) {
        failure ??= `Cannot finish writing the trace to ${path}: ${reasonOf(error)}`;
      }
      return failure;
    },
  };
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "its folder does not exist";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.PermissionDenied) return "you may not write there";
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno may not write there (give deno -W, or -A)";
  }
  return error instanceof Error ? error.message : String(error);
}

/** The trace options of one run. */
export interface ChosenTraceOptions {
  /** A value for every option. */
  readonly options: TraceOptions;
  /** Those that were set and change nothing here. */
  readonly idle: readonly string[];
  /** What a full ring does: the overwrite option says so. */
  readonly mode: RingMode;
}

/** What the kernel would have to record for it, and nothing here records. */
const NOT_RECORDED: readonly string[] = [
  "func_stack_trace",
  "func-args",
  "funcgraph-args",
  "funcgraph-retaddr",
];

/** Whether an option changes anything here. */
export function optionApplies({ name, applies }: TraceOption): boolean {
  return applies && !NOT_RECORDED.includes(name);
}

/**
 * Reads what `-O` gave, in order, for the kernel of `release`.
 *
 * @throws {RangeError} If that kernel has no such option.
 */
export function readTraceOptions(
  texts: readonly string[],
  release: string,
): ChosenTraceOptions {
  const changes: Record<string, boolean> = {};
  const idle: string[] = [];
  for (const text of texts) {
    const { option, value } = parseTraceOption(text, release);
    changes[option.name] = value;
    if (!optionApplies(option) && value !== option.default) idle.push(text);
  }
  const options = traceOptions(changes as Partial<TraceOptions>);
  return { options, idle, mode: options.overwrite ? "overwrite" : "drop" };
}

/** Writes the events that `ftrace` has stored in the form of `tracer`. */
export function writeTrace(
  sink: TraceSink,
  ftrace: Ftrace,
  tracer: string,
  options: TraceOptions,
): void {
  const { buffer } = ftrace;
  const settings = liveTraceSettings(ftrace, tracer, options);
  const events = options["func-no-repeats"] ? foldRepeats(buffer.all()) : buffer.all();
  const pending: string[] = [];
  let size = 0;
  const flush = () => {
    if (size > 0) sink.write(encodeKernelText(pending.join(""), settings));
    pending.length = 0;
    size = 0;
  };
  for (const piece of printKernelText(events, settings)) {
    pending.push(piece);
    size += piece.length;
    if (size < 1 << 16) continue;
    flush();
    if (!sink.open) return;
  }
  flush();
}

/** Makes one event with a count of a call that repeats (`kernel/trace/trace_functions.c`). */
export function* foldRepeats(
  events: Iterable<TraceEvent | LostEvents>,
): Generator<TraceEvent | LostEvents> {
  interface Repeated {
    readonly ip: bigint;
    readonly parentIp: bigint;
    count: number;
    last: TraceEvent;
  }
  const open = new Map<number, Repeated>();
  for (const event of events) {
    if (event.type !== "function") {
      yield event;
      continue;
    }
    const before = open.get(event.cpu);
    if (before && before.ip === event.ip && before.parentIp === event.parentIp) {
      before.count++;
      before.last = event;
      continue;
    }
    if (before && before.count > 0) {
      const { ip, parentIp, count, last } = before;
      yield {
        ...last,
        type: "func_repeats",
        ip,
        parentIp,
        count,
        lastTime: last.time,
        time: event.time,
      };
    }
    open.set(event.cpu, { ip: event.ip, parentIp: event.parentIp, count: 0, last: event });
    yield event;
  }
}
