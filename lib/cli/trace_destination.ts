/**
 * Where the trace goes: stdout, or a file.
 *
 * A file is opened before the guest runs, so that one that cannot be written ends the call at once.
 * If it fails later (a full disk), the trace ends there, the guest is stopped, and a message says so.
 *
 * @module
 */
import type { ByteOutput, RewritableFile } from "../output/mod.ts";
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
