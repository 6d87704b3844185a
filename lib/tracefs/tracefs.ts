/**
 * The control files of `/sys/kernel/tracing`, over one `Ftrace`: for people whose fingers know them.
 *
 * Paths are below that folder; `/sys/kernel/tracing/…`, `/sys/kernel/debug/tracing/…` and
 * `/proc/sys/kernel/…` name the same files. Which files there are, what they say and what they refuse
 * is the kernel's of the era in force; a file that this kernel lacks is not there.
 *
 * Everything acts while the guest is stopped, between slices, which is when anyone can call here.
 * Each group of files is a module of its own; the shell that types at them is `lib/cli/shell.ts`.
 *
 * @module
 */
import type { Ftrace } from "../ftrace/ftrace.ts";
import type { Tracer } from "../ftrace/tracer.ts";
import { bufferFiles } from "./buffer_files.ts";
import type { ControlFile, ControlFiles, FileGroup, WriteMode } from "./control_file.ts";
import { asTracefsError, type TracefsCall, TracefsError } from "./errno.ts";
import { eventFiles, eventFolders } from "./event_files.ts";
import { filterFiles } from "./ftrace_files.ts";
import { optionFiles } from "./option_files.ts";
import { probeFiles } from "./probe_files.ts";
import { README } from "./readme.ts";
import { reportFiles } from "./report_files.ts";
import { createTraceState, type TracerOptionsOf, type TraceState } from "./trace_state.ts";
import { tracerFiles } from "./tracer_files.ts";

/** What {@linkcode createTracefs} takes besides ftrace. */
export interface TracefsOptions {
  /** The tracers that `current_tracer` knows; `nop` is always there. */
  readonly tracers?: readonly Tracer[];
  /** The options that a tracer is started with; its defaults, if this is left out. */
  readonly tracerOptions?: TracerOptionsOf;
}

/** What a name in the tree is. */
export type TracefsKind = "file" | "directory";

/** The control files as a tree. */
export interface Tracefs extends AsyncDisposable {
  /** What the files hold that ftrace itself does not: tracer and options of the text. */
  readonly state: TraceState;
  /** Paths of all files there are now, below the root, sorted. */
  paths(): readonly string[];
  /** What `path` names, or undefined. */
  kind(path: string): TracefsKind | undefined;
  /** `path` as the tree has it: below the root, without `.` and `..`. */
  resolve(path: string): string;
  /** What a file's mode bits say. */
  access(path: string): { readonly readable: boolean; readonly writable: boolean };
  /** Names in a directory, sorted. @throws {TracefsError} ENOENT, ENOTDIR. */
  list(directory?: string): readonly string[];
  /** Content of a file. @throws {TracefsError} As open and read. */
  read(path: string): string;
  /** Writes to a file; with `append` as `>>` does. @throws {TracefsError} As open and write. */
  write(path: string, text: string, mode?: Partial<WriteMode>): Promise<void>;
  /** Stops the tracer that `current_tracer` started. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Other names of the root. */
const ROOTS = /^\/sys\/kernel\/(?:debug\/)?tracing(?:\/|$)/;

/** Makes the tree. */
export function createTracefs(ftrace: Ftrace, options: TracefsOptions = {}): Tracefs {
  return new ControlTree(ftrace, options);
}

/** The tree over the groups of files. */
class ControlTree implements Tracefs {
  readonly state: TraceState;
  readonly #ftrace: Ftrace;
  readonly #fixed: ReadonlyMap<string, ControlFile>;
  readonly #groups: readonly FileGroup[];

  constructor(ftrace: Ftrace, options: TracefsOptions) {
    this.#ftrace = ftrace;
    const state = createTraceState(ftrace, options.tracers ?? [], options.tracerOptions);
    this.state = state;
    const fixed: ControlFiles = {
      README: { read: () => README },
      ...tracerFiles(state),
      ...optionFiles(state),
      ...filterFiles(state),
      ...bufferFiles(state),
      ...reportFiles(state),
      ...probeFiles(state),
      ...eventFiles(state),
    };
    this.#fixed = new Map(Object.entries(fixed));
    this.#groups = [eventFolders(state)];
    // A script may take these out of the tree.
    this.read = this.read.bind(this);
    this.write = this.write.bind(this);
    this.list = this.list.bind(this);
    this.kind = this.kind.bind(this);
    this.paths = this.paths.bind(this);
  }

  paths(): readonly string[] {
    return this.#paths().sort();
  }

  kind(path: string): TracefsKind | undefined {
    return this.#kindOf(normalise(path));
  }

  resolve(path: string): string {
    return normalise(path);
  }

  access(path: string): { readonly readable: boolean; readonly writable: boolean } {
    const file = this.#find(normalise(path));
    return { readable: file?.read !== undefined, writable: file?.write !== undefined };
  }

  list(directory = ""): readonly string[] {
    const path = normalise(directory);
    const kind = this.#kindOf(path);
    if (kind === "directory") return [...this.#namesIn(path)].sort();
    throw kind === "file"
      ? new TracefsError("ENOTDIR", "open", `Cannot list ${directory}: it is a file`)
      : new TracefsError("ENOENT", "open", `Cannot list ${directory}: it is not there`);
  }

  read(path: string): string {
    const file = this.#open(path, "read");
    if (!file.read) {
      throw new TracefsError("EINVAL", "read", `Cannot read ${path}: it can only be written`);
    }
    try {
      return file.read();
    } catch (error) {
      throw asTracefsError(error, "read");
    }
  }

  async write(path: string, text: string, mode: Partial<WriteMode> = {}): Promise<void> {
    const { append = false } = mode;
    const file = this.#open(path, "write");
    if (!file.write) {
      if (text === "") return;
      throw new TracefsError("EINVAL", "write", `Cannot write ${path}: it can only be read`);
    }
    if (!append) truncate(file);
    try {
      await file.write(text, { append });
    } catch (error) {
      throw asTracefsError(error, "write");
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.state.stop();
  }

  #find(path: string): ControlFile | undefined {
    const file = this.#fixed.get(path);
    if (file) return file;
    for (const group of this.#groups) {
      const found = group.find(path);
      if (found) return found;
    }
    return undefined;
  }

  #paths(): string[] {
    return [...this.#fixed.keys(), ...this.#groups.flatMap((group) => [...group.paths()])];
  }

  #namesIn(directory: string): ReadonlySet<string> {
    const prefix = directory === "" ? "" : `${directory}/`;
    const names = new Set<string>();
    for (const path of this.#paths()) {
      if (path.startsWith(prefix) && !path.startsWith("/", prefix.length)) {
        names.add(path.slice(prefix.length).split("/")[0]!);
      }
    }
    // What lies elsewhere in a real file system is not shown in the tracing folder.
    if (directory === "") { for (const other of ["proc", "sys"]) names.delete(other); }
    return names;
  }

  #kindOf(path: string): TracefsKind | undefined {
    if (path === "") return "directory";
    if (this.#find(path)) return "file";
    return this.#namesIn(path).size > 0 ? "directory" : undefined;
  }

  #open(given: string, call: TracefsCall): ControlFile {
    const path = normalise(given);
    const kind = this.#kindOf(path);
    if (kind === "file") return this.#find(path)!;
    if (kind === "directory") {
      // A shell's > fails at open(), cat at read().
      const at = call === "write" ? "open" : "read";
      throw new TracefsError("EISDIR", at, `Cannot open ${given}: it is a directory`);
    }
    const there = given === "" ? "nothing" : given;
    const why = missing(path, this.#ftrace);
    // A tree of control files cannot be added to: that is what EACCES says to a shell's >.
    throw call === "write"
      ? new TracefsError("EACCES", "open", `Cannot create ${there}: ${why}`)
      : new TracefsError("ENOENT", "open", `Cannot open ${there}: ${why}`);
  }
}

/** The path below the root; a path with `..` that leaves the root is the root's. */
function normalise(path: string): string {
  const below = path.replace(ROOTS, "");
  const parts: string[] = [];
  for (const part of below.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function missing(path: string, { era }: Ftrace): string {
  const release = era.release.split(/[-+]/)[0];
  return `there is no such control file in Linux ${release}${path === "" ? "" : " here"}`;
}

function truncate(file: ControlFile): void {
  try {
    file.truncate?.();
  } catch (error) {
    throw asTracefsError(error, "open");
  }
}
