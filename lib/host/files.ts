/**
 * The host's files, the same on Deno, Node and Bun; a browser has none.
 *
 * What goes wrong is a value with the errno's name. An open file keeps its own offset, because the
 * hosts have no call in common that moves one.
 *
 * @module
 */
import { builtinModule } from "./builtin.ts";

/** A refusal of the host's file system, as an errno. */
export class HostFailure {
  /** Name of the errno: `ENOENT`; `EIO` where the host gives none. */
  readonly errno: string;

  /** A failure with that errno. */
  constructor(errno: string) {
    this.errno = errno;
  }
}

/** The kind of a file, as `stat` tells it. */
export type FileKind =
  | "file"
  | "directory"
  | "symlink"
  | "fifo"
  | "socket"
  | "character device"
  | "block device";

/** The attributes of a file, as `fstat` gives them. */
export interface FileStat {
  /** The file's kind. */
  readonly kind: FileKind;
  /** The file's size in bytes. */
  readonly size: number;
  /** The file's inode number. */
  readonly inode: number;
  /** The file's permissions, with setuid, setgid and the sticky bit. */
  readonly mode: number;
  /** How many hard links the file has. */
  readonly links: number;
  /** When it was last changed, milliseconds since 1970. */
  readonly modified: number;
}

/** How a file is to be opened, as the flags of `open(2)` say it. */
export interface OpenHow {
  /** Whether the file is opened for reading. */
  readonly read: boolean;
  /** Whether the file is opened for writing. */
  readonly write: boolean;
  /** Whether a missing file is created (O_CREAT). */
  readonly create: boolean;
  /** Whether the file is emptied (O_TRUNC). */
  readonly truncate: boolean;
  /** Whether each write goes to the end of the file (O_APPEND). */
  readonly append: boolean;
  /** Permissions of a file that is created. */
  readonly mode: number;
}

/** A file that the host has opened. */
export interface HostFile {
  /** Reads from an offset, or from the file's own, which then moves on. */
  read(data: Uint8Array, offset?: number): number | HostFailure;
  /** Writes at an offset, or at the file's own, which then moves on. */
  write(data: Uint8Array, offset?: number): number | HostFailure;
  /** Moves the file's own offset: from the start (0), from where it is (1) or from the end (2). */
  seek(offset: number, from: 0 | 1 | 2): number | HostFailure;
  /** Cuts the file off at a length, or adds zeros up to it. */
  truncate(length: number): undefined | HostFailure;
  /** Changes the file's permissions. */
  chmod(mode: number): undefined | HostFailure;
  /** Waits until what was written is on the disk. */
  sync(): undefined | HostFailure;
  /** The file's attributes. */
  stat(): FileStat | HostFailure;
  /** Closes the file. */
  close(): void;
}

/** The host's file system, which in a browser has no files. */
export interface HostFiles {
  /** The folder that relative paths begin in. */
  cwd(): string;
  /** Opens a file. */
  open(path: string, how: OpenHow): HostFile | HostFailure;
  /** What is known of a path; of a symbolic link itself unless `follow`. */
  stat(path: string, follow: boolean): FileStat | HostFailure;
  /** Where a symbolic link points. */
  readLink(path: string): string | HostFailure;
  /** The path without links and dots. */
  realPath(path: string): string | HostFailure;
  /** Names in a folder, without `.` and `..`, in no order. */
  list(path: string): readonly string[] | HostFailure;
  /** Makes a folder. */
  makeFolder(path: string, mode: number): undefined | HostFailure;
  /** Removes an empty folder. */
  removeFolder(path: string): undefined | HostFailure;
  /** Removes a name that is not a folder's. */
  remove(path: string): undefined | HostFailure;
  /** Gives a file or folder another name, in place of what has it. */
  rename(path: string, to: string): undefined | HostFailure;
  /** Gives a file one more name. */
  link(path: string, to: string): undefined | HostFailure;
  /** Makes a symbolic link at `path`. */
  symlink(target: string, path: string): undefined | HostFailure;
  /** Changes permissions. */
  chmod(path: string, mode: number): undefined | HostFailure;
  /** Changes when a file was read and changed; of a symbolic link itself unless `follow`. */
  setTimes(path: string, times: FileTimes, follow: boolean): undefined | HostFailure;
}

/** Milliseconds since 1970; what is undefined stays. */
export interface FileTimes {
  /** When the file was last read. */
  readonly accessed: number | undefined;
  /** When the file was last changed. */
  readonly modified: number | undefined;
}

/** The functions of `node:fs` that are used here. */
interface NodeFs {
  readonly constants: Readonly<Record<string, number>>;
  openSync(path: string, flags: number, mode: number): number;
  closeSync(fd: number): void;
  readSync(fd: number, data: Uint8Array, at: number, length: number, offset: number): number;
  writeSync(
    fd: number,
    data: Uint8Array,
    at: number,
    length: number,
    offset: number | null,
  ): number;
  fstatSync(fd: number): NodeStat;
  statSync(path: string): NodeStat;
  lstatSync(path: string): NodeStat;
  readlinkSync(path: string): string;
  realpathSync: { native(path: string): string };
  readdirSync(path: string): string[];
  ftruncateSync(fd: number, length: number): undefined;
  fchmodSync(fd: number, mode: number): undefined;
  fsyncSync(fd: number): undefined;
  mkdirSync(path: string, mode: number): undefined;
  rmdirSync(path: string): undefined;
  unlinkSync(path: string): undefined;
  renameSync(path: string, to: string): undefined;
  linkSync(path: string, to: string): undefined;
  symlinkSync(target: string, path: string): undefined;
  chmodSync(path: string, mode: number): undefined;
  utimesSync(path: string, accessed: number, modified: number): undefined;
  lutimesSync(path: string, accessed: number, modified: number): undefined;
}

/** The members of `fs.Stats` that are used here. */
interface NodeStat {
  readonly size: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly mtimeMs: number;
  readonly atimeMs: number;
}

const S_IFMT = 0o170000;
const KINDS: Readonly<Record<number, FileKind>> = {
  0o010000: "fifo",
  0o020000: "character device",
  0o040000: "directory",
  0o060000: "block device",
  0o100000: "file",
  0o120000: "symlink",
  0o140000: "socket",
};

/** The files of this process's host; each of a browser's is missing. */
export function hostFiles(): HostFiles {
  return "Deno" in globalThis || builtinModule("node:fs") ? new NodeFiles() : NO_FILES;
}

const missing = () => new HostFailure("ENOENT");

/** The file system of a host that has none, such as a browser. */
const NO_FILES: HostFiles = {
  cwd: () => "/",
  open: missing,
  stat: missing,
  readLink: missing,
  realPath: missing,
  list: missing,
  makeFolder: missing,
  removeFolder: missing,
  remove: missing,
  rename: missing,
  link: missing,
  symlink: missing,
  chmod: missing,
  setTimes: missing,
};

class NodeFiles implements HostFiles {
  #loaded: NodeFs | undefined;

  /** Asked for by the first call: Deno takes 20 ms to make it, and most guests open nothing. */
  get #fs(): NodeFs {
    return this.#loaded ??= builtinModule<NodeFs>("node:fs")!;
  }

  cwd(): string {
    return builtinModule<{ cwd(): string }>("node:process")!.cwd();
  }

  open(path: string, { read, write, create, truncate, append, mode }: OpenHow) {
    const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND } = this.#fs.constants;
    const access = write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY;
    const flags = access! | (create ? O_CREAT! : 0) | (truncate ? O_TRUNC! : 0) |
      (append ? O_APPEND! : 0);
    return attempt(() => new NodeFile(this.#fs, this.#fs.openSync(path, flags, mode), append));
  }

  stat(path: string, follow: boolean): FileStat | HostFailure {
    return attempt(() => statOf(follow ? this.#fs.statSync(path) : this.#fs.lstatSync(path)));
  }

  readLink(path: string): string | HostFailure {
    return attempt(() => this.#fs.readlinkSync(path));
  }

  realPath(path: string): string | HostFailure {
    return attempt(() => this.#fs.realpathSync.native(path));
  }

  list(path: string): readonly string[] | HostFailure {
    return attempt(() => this.#fs.readdirSync(path));
  }

  makeFolder(path: string, mode: number): undefined | HostFailure {
    return attempt(() => this.#fs.mkdirSync(path, mode));
  }

  removeFolder(path: string): undefined | HostFailure {
    return attempt(() => this.#fs.rmdirSync(path));
  }

  remove(path: string): undefined | HostFailure {
    return attempt(() => this.#fs.unlinkSync(path));
  }

  rename(path: string, to: string): undefined | HostFailure {
    return attempt(() => this.#fs.renameSync(path, to));
  }

  link(path: string, to: string): undefined | HostFailure {
    return attempt(() => this.#fs.linkSync(path, to));
  }

  symlink(target: string, path: string): undefined | HostFailure {
    return attempt(() => this.#fs.symlinkSync(target, path));
  }

  chmod(path: string, mode: number): undefined | HostFailure {
    return attempt(() => this.#fs.chmodSync(path, mode));
  }

  setTimes(path: string, { accessed, modified }: FileTimes, follow: boolean) {
    return attempt(() => {
      const { atimeMs, mtimeMs } = follow ? this.#fs.statSync(path) : this.#fs.lstatSync(path);
      const seconds = [(accessed ?? atimeMs) / 1000, (modified ?? mtimeMs) / 1000] as const;
      return follow
        ? this.#fs.utimesSync(path, ...seconds)
        : this.#fs.lutimesSync(path, ...seconds);
    });
  }
}

class NodeFile implements HostFile {
  readonly #fs: NodeFs;
  readonly #fd: number;
  readonly #appends: boolean;
  #offset = 0;

  constructor(fs: NodeFs, fd: number, appends: boolean) {
    this.#fs = fs;
    this.#fd = fd;
    this.#appends = appends;
  }

  read(data: Uint8Array, offset?: number): number | HostFailure {
    return attempt(() => {
      const count = this.#fs.readSync(this.#fd, data, 0, data.length, offset ?? this.#offset);
      if (offset === undefined) this.#offset += count;
      return count;
    });
  }

  write(data: Uint8Array, offset?: number): number | HostFailure {
    return attempt(() => {
      const at = this.#appends ? null : offset ?? this.#offset;
      const count = this.#fs.writeSync(this.#fd, data, 0, data.length, at);
      if (offset !== undefined) return count;
      this.#offset = this.#appends ? this.#fs.fstatSync(this.#fd).size : this.#offset + count;
      return count;
    });
  }

  seek(offset: number, from: 0 | 1 | 2): number | HostFailure {
    return attempt(() => {
      const start = [0, this.#offset, from === 2 ? this.#fs.fstatSync(this.#fd).size : 0][from]!;
      if (start + offset < 0) return new HostFailure("EINVAL");
      return this.#offset = start + offset;
    });
  }

  truncate(length: number): undefined | HostFailure {
    return attempt(() => this.#fs.ftruncateSync(this.#fd, length));
  }

  chmod(mode: number): undefined | HostFailure {
    return attempt(() => this.#fs.fchmodSync(this.#fd, mode));
  }

  sync(): undefined | HostFailure {
    return attempt(() => this.#fs.fsyncSync(this.#fd));
  }

  stat(): FileStat | HostFailure {
    return attempt(() => statOf(this.#fs.fstatSync(this.#fd)));
  }

  close(): void {
    attempt(() => this.#fs.closeSync(this.#fd));
  }
}

function statOf({ size, ino, mode, nlink, mtimeMs }: NodeStat): FileStat {
  const kind = KINDS[mode & S_IFMT] ?? "file";
  return { kind, size, inode: ino, mode: mode & 0o7777, links: nlink, modified: mtimeMs };
}

/** What `body` gives, or why it failed: every host names the errno in `code`. */
function attempt<Result>(body: () => Result): Result | HostFailure {
  try {
    return body();
  } catch (error) {
    return new HostFailure(errnoOf(error));
  }
}

function errnoOf(error: unknown): string {
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return code;
  // Deno refuses what it has no permission for without an errno.
  return name === "NotCapable" ? "EACCES" : "EIO";
}
