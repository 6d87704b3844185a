/**
 * Where the trace goes, and when: on stdout when the guest has ended, into a file while it runs.
 *
 * A file is opened before the guest runs, so that one that cannot be written ends the call at once.
 * If it fails later (a full disk), the trace ends there, the guest is stopped, and a message says so.
 *
 * The kernel's text itself is made by `lib/output`.
 *
 * @module
 */
import { yieldToHost } from "../host/yielding.ts";
import type { Ftrace } from "../../mod.ts";
import {
  type ByteOutput,
  encodeKernelText,
  liveTraceSettings,
  printKernelText,
  type RewritableFile,
  traceFormat,
} from "../output/mod.ts";
import { EventFeed, parseTraceOption } from "../ftrace/mod.ts";
import { paintTrace } from "./colors.ts";
import { type CliHost, printBytes } from "./host.ts";

/** The place a trace is written to. */
export interface TraceDestination extends ByteOutput {
  /** Writes text of a trace or of a tracer. */
  write(bytes: Uint8Array): void;
  /** Whether anybody still reads what is written. */
  readonly open: boolean;
  /** Whether the trace goes to another place than stdout. */
  readonly isFile: boolean;
  /** Closes the destination; gives what went wrong, if anything did. */
  close(): string | undefined;
}

/**
 * Opens `path` for the trace, or stdout without one.
 *
 * @throws {TypeError} If the file cannot be opened for writing.
 */
export function openTraceDestination(host: CliHost, path: string | undefined): TraceDestination {
  return path === undefined ? new StdoutDestination(host) : new FileDestination(path);
}

class StdoutDestination implements TraceDestination {
  readonly #host: CliHost;
  readonly isFile = false;
  readonly file = undefined;
  position = 0;
  open = true;

  constructor(host: CliHost) {
    this.#host = host;
  }

  write(bytes: Uint8Array): void {
    this.open = printBytes(this.#host, bytes, paintTrace);
    this.position += bytes.length;
  }

  close(): undefined {}
}

/** Bytes that may be moved to close a gap in a file. */
const MOST_MOVED = 1 << 26;

class FileDestination implements TraceDestination, RewritableFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #isReadable: boolean;
  readonly isFile = true;
  readonly file: RewritableFile | undefined;
  position = 0;
  #failure: string | undefined;

  constructor(path: string) {
    this.#path = path;
    try {
      const { file, isReadable } = openForWriting(path);
      this.#file = file;
      this.#isReadable = isReadable;
      this.file = file.statSync().isFile ? this : undefined;
    } catch (error) {
      throw new TypeError(
        `Cannot write the trace to ${path}: ${reasonOf(error)}; choose another -o`,
      );
    }
  }

  get open(): boolean {
    return this.#failure === undefined;
  }

  write(bytes: Uint8Array): void {
    this.#unlessFailed(() => {
      for (let at = 0; at < bytes.length;) {
        const count = this.#file.writeSync(bytes.subarray(at));
        at += count;
        this.position += count;
      }
    });
  }

  rewrite(at: number, bytes: Uint8Array): void {
    this.#unlessFailed(() => {
      this.#file.seekSync(at, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) {
        done += this.#file.writeSync(bytes.subarray(done));
      }
      this.#file.seekSync(this.position, Deno.SeekMode.Start);
    });
  }

  cut(at: number, length: number): boolean {
    const rest = this.position - at - length;
    if (rest > MOST_MOVED || !this.open || !this.#isReadable) return false;
    let moved = false;
    this.#unlessFailed(() => {
      this.#file.seekSync(at + length, Deno.SeekMode.Start);
      const bytes = new Uint8Array(rest);
      for (let done = 0; done < rest;) {
        const count = this.#file.readSync(bytes.subarray(done));
        // A file that cannot be read, or that somebody else has cut, stays as it is.
        if (count === null) return this.#file.seekSync(this.position, Deno.SeekMode.Start);
        done += count;
      }
      this.position -= length;
      this.#file.truncateSync(this.position);
      this.rewrite(at, bytes);
      moved = true;
    });
    return moved;
  }

  close(): string | undefined {
    try {
      this.#file.close();
    } catch (error) {
      this.#failure ??= reasonOf(error);
    }
    return this.#failure === undefined
      ? undefined
      : `Cannot write the trace to ${this.#path}: ${this.#failure}; it ends there, after ` +
        `${this.position} bytes, and the guest was stopped; free some space, or choose another -o`;
  }

  #unlessFailed(body: () => unknown): void {
    if (this.#failure !== undefined) return;
    try {
      body();
    } catch (error) {
      this.#failure = reasonOf(error);
    }
  }
}

/**
 * Opens a file anew. It is read only to close a gap in it, so one that may only be written will do;
 * Deno gives it so where reading is not allowed.
 */
function openForWriting(
  path: string,
): { readonly file: Deno.FsFile; readonly isReadable: boolean } {
  const options = { write: true, create: true, truncate: true };
  try {
    return { file: Deno.openSync(path, { ...options, read: true }), isReadable: true };
  } catch (error) {
    const { PermissionDenied, NotCapable } = Deno.errors;
    if (!(error instanceof PermissionDenied || error instanceof NotCapable)) throw error;
    return { file: Deno.openSync(path, options), isReadable: false };
  }
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

/** Writes the events of a run: into a file as they come, on stdout when the guest has ended. */
export class TraceWriter {
  readonly #ftrace: Ftrace;
  readonly #destination: TraceDestination;
  readonly #prints: () => string | undefined;
  readonly #feed: EventFeed | undefined;
  /** Events that were printed out of the buffer so far. */
  #printed = 0;

  /**
   * `prints` says in which of the kernel's forms events print, or undefined if none are to be; a file
   * that events go to before that is known gets the form of tracer nop.
   */
  constructor(
    ftrace: Ftrace,
    destination: TraceDestination,
    prints: () => string | undefined,
    streams: boolean,
  ) {
    this.#ftrace = ftrace;
    this.#destination = destination;
    this.#prints = prints;
    if (!destination.isFile || !streams) return;
    const sink = traceFormat("text").create({
      ftrace,
      output: destination,
      prints: () => prints() ?? "nop",
    });
    this.#feed = new EventFeed({ buffer: ftrace.buffer, harts: ftrace.machine.harts }, [sink]);
  }

  /** Events that have gone into the file. */
  get written(): number {
    return this.#feed?.events ?? 0;
  }

  /** Events that are stored and not written yet; 0 if none are to be. */
  get missing(): number {
    if (this.#prints() === undefined) return 0;
    const { buffer, machine } = this.#ftrace;
    const stored = machine.harts.reduce((sum, { id }) => sum + buffer.statistics(id).entries, 0);
    return Math.max(0, stored - this.#printed);
  }

  /** Lets events into the file, between two slices of the guest. */
  async flow(now: number): Promise<void> {
    await this.#feed?.flow(now);
  }

  /** Writes what is left, when the guest has ended. */
  async finish(): Promise<void> {
    const prints = this.#prints();
    if (prints === undefined && this.written === 0) return;
    if (this.#feed) await this.#feed.end();
    else if (prints !== undefined) await this.#writeStored(prints);
  }

  /** Writes the events that are stored in the form of `tracer`. */
  async #writeStored(tracer: string): Promise<void> {
    const destination = this.#destination;
    const ftrace = this.#ftrace;
    const { buffer } = ftrace;
    const settings = liveTraceSettings(ftrace, tracer);
    const pending: string[] = [];
    let size = 0;
    const flush = () => {
      if (size > 0) destination.write(encodeKernelText(pending.join(""), settings));
      pending.length = 0;
      size = 0;
    };
    for (const piece of printKernelText(buffer.all(), settings)) {
      pending.push(piece);
      this.#printed++;
      size += piece.length;
      if (size < 1 << 16) continue;
      flush();
      if (!destination.open) return;
      // Whoever asks for an end now is to be heard.
      await yieldToHost();
    }
    flush();
  }
}
