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
import { encodeKernelText, liveTraceSettings, printKernelText } from "../output/mod.ts";
import type { Ftrace } from "../../mod.ts";
import { parseTraceOption } from "../ftrace/mod.ts";
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

/**
 * Sets what `-O` gave, in order, and gives those that change nothing here, with the reason.
 *
 * @throws {RangeError} If that kernel has no such option.
 */
export function setTraceOptions(
  { traceOptions, era }: Ftrace,
  texts: readonly string[],
): readonly string[] {
  return texts.flatMap((text) => {
    const { option, value } = parseTraceOption(text, era.release);
    traceOptions.set(option.name, value);
    return option.idle !== undefined && value !== option.default ? [`${text}: ${option.idle}`] : [];
  });
}

/** Writes the events that `ftrace` has stored in the form of `tracer`. */
export function writeTrace(
  sink: TraceSink,
  ftrace: Ftrace,
  tracer: string,
): void {
  const { buffer } = ftrace;
  const settings = liveTraceSettings(ftrace, tracer);
  const pending: string[] = [];
  let size = 0;
  const flush = () => {
    if (size > 0) sink.write(encodeKernelText(pending.join(""), settings));
    pending.length = 0;
    size = 0;
  };
  for (const piece of printKernelText(buffer.all(), settings)) {
    pending.push(piece);
    size += piece.length;
    if (size < 1 << 16) continue;
    flush();
    if (!sink.open) return;
  }
  flush();
}
