/**
 * Files of a Linux process: descriptors, and which of the host's files it may see.
 *
 * Nothing is visible unless an option says so. Under `root` the guest sees a tree of its own,
 * read-only; paths are walked one name at a time, with symbolic links taken as the guest would take
 * them, so none leads out. `allow` shows single files and folders under their own names.
 *
 * @module
 */
import { type DirectoryEntry, listDirectory, packEntries } from "./directory.ts";
import {
  EACCES,
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  EMFILE,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENXIO,
  EROFS,
  ESPIPE,
} from "./errno.ts";

/** Opening flags (asm-generic/fcntl.h). */
const O_ACCMODE = 3, O_CREAT = 0o100, O_EXCL = 0o200, O_TRUNC = 0o1000, O_APPEND = 0o2000;
const O_DIRECTORY = 0o200000, O_NOFOLLOW = 0o400000, O_CLOEXEC = 0o2000000;
const MOST_DESCRIPTORS = 1024;
const MOST_LINKS = 40;

/** What a descriptor stands for. */
export type OpenFile =
  | { readonly kind: "stdin" | "stdout" | "stderr"; flags: number }
  | {
    readonly kind: "directory";
    readonly host: string;
    /** Absolute, as the guest names it: what relative paths begin with. */
    readonly guest: string;
    /** What it held when it was first read, and which entry comes next. */
    entries?: readonly DirectoryEntry[];
    next: number;
    flags: number;
  }
  | { readonly kind: "file"; readonly file: Deno.FsFile; readonly host: string; flags: number };

/** Which files the guest may see. */
export interface FileAccess {
  /** Folder that is its `/`. */
  readonly root?: string | undefined;
  /** `PATH` or `PATH:rw`. */
  readonly allow?: readonly string[] | undefined;
  /** Takes a line about a file it asked for in vain. */
  readonly warn: (line: string) => void;
}

/** Where a guest's path leads. */
interface Place {
  readonly host: string;
  readonly writable: boolean;
}

/** The descriptor table. Calls give a number or a negated errno. */
export class Files {
  readonly #open = new Map<number, OpenFile>([
    [0, { kind: "stdin", flags: 0 }],
    [1, { kind: "stdout", flags: 1 }],
    [2, { kind: "stderr", flags: 1 }],
  ]);
  readonly #root: string | undefined;
  readonly #allowed: readonly { readonly path: string; readonly writable: boolean }[];
  readonly #warn: (line: string) => void;
  #warned = false;

  /** @throws {RangeError} If a folder or file named by an option is not there. */
  constructor({ root, allow = [], warn }: FileAccess) {
    this.#root = root === undefined ? undefined : realPath(root, "--root").replace(/^\/$/, "");
    this.#allowed = allow.map((entry) => {
      const writable = entry.endsWith(":rw");
      const path = writable ? entry.slice(0, -3) : entry;
      return { path: realPath(path, "--allow", writable), writable };
    });
    this.#warn = warn;
  }

  /** The working directory as the guest names it. */
  get cwd(): string {
    return this.#root === undefined && this.#allowed.length > 0 ? Deno.cwd() : "/";
  }

  #absolute(path: string): string {
    return path.startsWith("/") ? path : `${this.cwd}/${path}`;
  }

  /** What a descriptor stands for. */
  get(descriptor: number): OpenFile | undefined {
    return this.#open.get(descriptor);
  }

  /** `openat`. */
  open(path: string, flags: number, mode: number): number {
    const place = this.#find(path, (flags & O_NOFOLLOW) === 0);
    if (typeof place === "number") return place;
    const writes = (flags & O_ACCMODE) !== 0;
    if ((writes || flags & (O_CREAT | O_TRUNC)) && !place.writable) {
      const exists = statOf(place.host) !== undefined;
      if (writes || !exists) return this.#root !== undefined ? -EROFS : -EACCES;
    }
    if (flags & O_NOFOLLOW && statOf(place.host, false)?.isSymlink) return -ELOOP;
    const descriptor = this.#free();
    if (descriptor === undefined) return -EMFILE;
    const there = statOf(place.host);
    if (there && flags & O_CREAT && flags & O_EXCL) return -EEXIST;
    if (!there && !(flags & O_CREAT)) return -ENOENT;
    if (there?.isDirectory) {
      if (writes) return -EISDIR;
      const guest = this.#absolute(path);
      this.#open.set(descriptor, { kind: "directory", host: place.host, guest, next: 0, flags });
      return descriptor;
    }
    // Opening one of these would wait for somebody of the host's.
    if (there?.isFifo || there?.isSocket) return -ENXIO;
    if (flags & O_DIRECTORY) return -ENOTDIR;
    try {
      const file = Deno.openSync(place.host, {
        read: (flags & O_ACCMODE) !== 1,
        write: writes,
        create: (flags & O_CREAT) !== 0 && place.writable,
        truncate: (flags & O_TRUNC) !== 0 && writes,
        append: (flags & O_APPEND) !== 0 && writes,
        mode: mode & 0o777,
      });
      this.#open.set(descriptor, {
        kind: "file",
        file,
        host: place.host,
        flags: flags & ~O_CLOEXEC,
      });
      return descriptor;
    } catch (error) {
      return -errnoOf(error);
    }
  }

  /** `close`. */
  close(descriptor: number): number {
    const open = this.#open.get(descriptor);
    if (!open) return -EBADF;
    this.#open.delete(descriptor);
    const shared = [...this.#open.values()].includes(open);
    if (open.kind === "file" && !shared) open.file.close();
    return 0;
  }

  /** `dup`, `dup3` to a given number, F_DUPFD from a least one. */
  duplicate(descriptor: number, least = 0, exact = false): number {
    const open = this.#open.get(descriptor);
    if (!open || (exact && (least < 0 || least >= MOST_DESCRIPTORS))) return -EBADF;
    if (least < 0 || least >= MOST_DESCRIPTORS) return -EINVAL;
    if (exact && this.#open.has(least)) this.close(least);
    const copy = exact ? least : this.#free(least);
    if (copy === undefined) return -EMFILE;
    this.#open.set(copy, open);
    return copy;
  }

  /** Closes all files of the host's. */
  closeAll(): void {
    for (const descriptor of [...this.#open.keys()]) this.close(descriptor);
  }

  /** Reads into `data` from a file; bytes or a negated errno. */
  read(open: OpenFile, data: Uint8Array, offset?: number): number {
    if (open.kind === "directory") return -EISDIR;
    if (open.kind !== "file") return -EBADF;
    try {
      if (offset === undefined) return open.file.readSync(data) ?? 0;
      const before = open.file.seekSync(0, Deno.SeekMode.Current);
      open.file.seekSync(offset, Deno.SeekMode.Start);
      const count = open.file.readSync(data) ?? 0;
      open.file.seekSync(before, Deno.SeekMode.Start);
      return count;
    } catch (error) {
      return -errnoOf(error);
    }
  }

  /** `getdents64`: packed entries, none at the end, or a negated errno. */
  entries(open: OpenFile, room: number): Uint8Array | number {
    if (open.kind !== "directory") return -ENOTDIR;
    try {
      open.entries ??= listDirectory(open.host);
    } catch (error) {
      return -errnoOf(error);
    }
    const { bytes, next } = packEntries(open.entries, open.next, room);
    // Not even one entry fits.
    if (bytes.length === 0 && next < open.entries.length) return -EINVAL;
    open.next = next;
    return bytes;
  }

  /** Writes to a file; bytes or a negated errno. */
  write(open: OpenFile, data: Uint8Array): number {
    if (open.kind !== "file" || (open.flags & O_ACCMODE) === 0) return -EBADF;
    try {
      return open.file.writeSync(data);
    } catch (error) {
      return -errnoOf(error);
    }
  }

  /** `lseek`. */
  seek(descriptor: number, offset: number, whence: number): number {
    const open = this.#open.get(descriptor);
    if (!open) return -EBADF;
    if (open.kind === "directory") {
      // Offsets of a folder are numbers of entries; 0 begins again, with what it holds then.
      if (whence !== 0 || offset < 0) return -EINVAL;
      open.next = offset;
      if (offset === 0) delete open.entries;
      return offset;
    }
    if (open.kind !== "file") return -ESPIPE;
    if (whence < 0 || whence > 2) return -EINVAL;
    try {
      return open.file.seekSync(offset, whence as Deno.SeekMode);
    } catch {
      return -EINVAL;
    }
  }

  /** What `stat` says of a path, or a negated errno; `follow` goes through a last symbolic link. */
  stat(path: string, follow = true): Deno.FileInfo | number {
    const place = this.#find(path, follow);
    if (typeof place === "number") return place;
    return statOf(place.host, follow) ?? -ENOENT;
  }

  /** Where a symbolic link points, or a negated errno. */
  readLink(path: string): string | number {
    const place = this.#find(path, false);
    if (typeof place === "number") return place;
    if (!statOf(place.host)) return -ENOENT;
    try {
      return Deno.readLinkSync(place.host);
    } catch {
      return -EINVAL;
    }
  }

  /** The host's file behind a guest's path, or a negated errno. */
  #find(path: string, follow = true): Place | number {
    if (path === "") return -ENOENT;
    const shown = this.#findAllowed(path, follow);
    if (shown !== undefined) return shown;
    if (this.#root !== undefined) {
      const { host, errno } = walk(this.#root, this.#absolute(path), follow);
      return errno ? -errno : this.#allowedAt(host) ?? { host, writable: false };
    }
    if (!this.#warned) {
      this.#warned = true;
      this.#warn(
        `the guest sees no file ${path}: ENOENT; show it with --allow ${path} or --root DIR`,
      );
    }
    return -ENOENT;
  }

  /** The same, if `allow` shows it; of what is hidden not even an errno tells. */
  #findAllowed(path: string, follow: boolean): Place | number | undefined {
    if (this.#allowed.length === 0) return undefined;
    const { host, errno } = walk("", this.#absolute(path), follow);
    const place = this.#allowedAt(host);
    return place && errno ? -errno : place;
  }

  #allowedAt(host: string): Place | undefined {
    const entries = this.#allowed.filter(({ path }) =>
      host === path || host.startsWith(path === "/" ? "/" : `${path}/`)
    );
    if (entries.length === 0) return undefined;
    return { host, writable: entries.some(({ writable }) => writable) };
  }

  #free(least = 0): number | undefined {
    for (let number = least; number < MOST_DESCRIPTORS; number++) {
      if (!this.#open.has(number)) return number;
    }
    return undefined;
  }
}

/**
 * Walks the absolute `path` below the folder `root`, in which absolute links and `..` stay. Gives the
 * host's name of what is there, or of the place where it went no further and why.
 */
function walk(root: string, path: string, follow: boolean): { host: string; errno?: number } {
  const names = partsOf(path);
  const at: string[] = [];
  let links = 0;
  while (names.length > 0) {
    const name = names.shift()!;
    if (name === "..") {
      at.pop();
      continue;
    }
    const here = `${root}/${[...at, name].join("/")}`;
    const info = statOf(here, false);
    if (info?.isSymlink && (follow || names.length > 0)) {
      if (++links > MOST_LINKS) return { host: here, errno: ELOOP };
      const target = Deno.readLinkSync(here);
      if (target.startsWith("/")) at.length = 0;
      names.unshift(...partsOf(target));
      continue;
    }
    if (!info && names.length > 0) return { host: here, errno: ENOENT };
    if (info && !info.isDirectory && names.length > 0) return { host: here, errno: ENOTDIR };
    at.push(name);
  }
  return { host: `${root}/${at.join("/")}` };
}

function partsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function statOf(host: string, follow = true): Deno.FileInfo | undefined {
  try {
    return follow ? Deno.statSync(host) : Deno.lstatSync(host);
  } catch {
    return undefined;
  }
}

function realPath(path: string, option: string, mayBeNew = false): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (mayBeNew && statOf(folder)?.isDirectory) return `${Deno.realPathSync(folder)}/${name}`;
    throw new RangeError(`Cannot show ${path} to the guest (${option}): there is no such file`);
  }
}

/** The errno of what the host's file system said. */
export function errnoOf(error: unknown): number {
  if (error instanceof Deno.errors.NotFound) return ENOENT;
  if (error instanceof Deno.errors.AlreadyExists) return EEXIST;
  if (error instanceof Deno.errors.PermissionDenied) return EACCES;
  if (error instanceof Deno.errors.NotCapable) return EACCES;
  if (error instanceof Error && "code" in error && error.code === "ENOSPC") return ENOSPC;
  return EINVAL;
}
