/**
 * Files of a guest: descriptors, and which of the host's files it may see.
 *
 * Nothing is visible unless an option says so. Under `root` the guest sees a tree of its own,
 * read-only; paths are walked one name at a time, with symbolic links taken as the guest would take
 * them, so none leads out. `allow` shows single files and folders under their own names. Devices,
 * FIFOs and sockets of the host's are never opened, as on a file system mounted `nodev`; those that
 * every program expects are the guest's own (`devices.ts`).
 *
 * @module
 */
import { type FileStat, HostFailure, type HostFile, type HostFiles } from "../../host/files.ts";
import { type GuestDevice, guestDevice } from "./devices.ts";
import { type DirectoryEntry, listDirectory, packEntries } from "./directory.ts";
import type { GuestStream } from "./streams.ts";
import * as numbers from "./errno.ts";
import {
  EACCES,
  EBADF,
  EEXIST,
  EINVAL,
  EIO,
  EISDIR,
  ELOOP,
  EMFILE,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EROFS,
  ESPIPE,
} from "./errno.ts";

/** Opening flags (asm-generic/fcntl.h). */
const O_ACCMODE = 3, O_CREAT = 0o100, O_EXCL = 0o200, O_TRUNC = 0o1000, O_APPEND = 0o2000;
/** Whether who would wait for a descriptor is told EAGAIN. */
export const O_NONBLOCK = 0o4000;
const O_DIRECTORY = 0o200000, O_NOFOLLOW = 0o400000, O_CLOEXEC = 0o2000000;
/** Descriptors that a process can have (RLIMIT_NOFILE). */
export const MOST_DESCRIPTORS = 1024;
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
  /** What the process made for itself: an end of a pipe, an eventfd. */
  | { readonly kind: "stream"; readonly stream: GuestStream; flags: number }
  | { readonly kind: "device"; readonly device: GuestDevice; flags: number }
  | { readonly kind: "file"; readonly file: HostFile; readonly host: string; flags: number };

/** Which files the guest may see. */
export interface FileAccess {
  /** The host's folder that the guest sees as `/`. */
  readonly root?: string | undefined;
  /**
   * Host paths that the guest sees under their own names: `PATH` to read, `PATH:rw` to write, too.
   */
  readonly allow?: readonly string[] | undefined;
  /** Takes a line about the first file that the guest asked for and does not see. */
  readonly warn: (line: string) => void;
  /** Fills bytes with the next pseudorandom ones of the seed. */
  readonly random: (bytes: Uint8Array) => void;
}

/** The host's file behind a guest's path. */
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
  readonly #random: (bytes: Uint8Array) => void;
  /** The host's file system. */
  readonly host: HostFiles;
  #cwd: string | undefined;
  #warned = false;

  /** Descriptors over the files of `host`. @throws {RangeError} If a folder or file named by an option is not there. */
  constructor(host: HostFiles, { root, allow = [], warn, random }: FileAccess) {
    this.host = host;
    this.#random = random;
    this.#root = root === undefined
      ? undefined
      : realPath(host, root, "--root").replace(/^\/$/, "");
    this.#allowed = allow.map((entry) => {
      const writable = entry.endsWith(":rw");
      const path = writable ? entry.slice(0, -3) : entry;
      return { path: realPath(host, path, "--allow", writable), writable };
    });
    this.#warn = warn;
  }

  /** The working directory as the guest names it. */
  get cwd(): string {
    if (this.#cwd !== undefined) return this.#cwd;
    return this.#root === undefined && this.#allowed.length > 0 ? this.host.cwd() : "/";
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
    const there = this.#statOf(place.host);
    // A device can be written where no file can.
    const isReadOnly = !place.writable && there?.kind !== "character device";
    if ((writes || flags & (O_CREAT | O_TRUNC)) && isReadOnly) {
      if (writes || !there) return this.#readOnly;
    }
    if (flags & O_NOFOLLOW && this.#statOf(place.host, false)?.kind === "symlink") return -ELOOP;
    const descriptor = this.#free();
    if (descriptor === undefined) return -EMFILE;
    if (there && flags & O_CREAT && flags & O_EXCL) return -EEXIST;
    if (!there && !(flags & O_CREAT)) return -ENOENT;
    if (there?.kind === "directory") {
      if (writes) return -EISDIR;
      const guest = this.#absolute(path);
      this.#open.set(descriptor, { kind: "directory", host: place.host, guest, next: 0, flags });
      return descriptor;
    }
    // Opening one of these would wait for somebody of the host's.
    if (there?.kind === "fifo" || there?.kind === "socket") return -ENXIO;
    if (flags & O_DIRECTORY) return -ENOTDIR;
    if (there?.kind === "block device") return -EACCES;
    if (there?.kind === "character device") {
      return this.#openDevice(place.host, flags, descriptor);
    }
    const file = this.host.open(place.host, {
      read: (flags & O_ACCMODE) !== 1,
      write: writes,
      create: (flags & O_CREAT) !== 0 && place.writable,
      truncate: (flags & O_TRUNC) !== 0 && writes,
      append: (flags & O_APPEND) !== 0 && writes,
      mode: mode & 0o777,
    });
    if (file instanceof HostFailure) return -errnoOf(file);
    this.#open.set(descriptor, {
      kind: "file",
      file,
      host: place.host,
      flags: flags & ~O_CLOEXEC,
    });
    return descriptor;
  }

  /** Opens the guest's own device in place of one of the host's; there are no others. */
  #openDevice(host: string, flags: number, descriptor: number): number {
    const device = guestDevice(host.slice(this.#root?.length ?? 0), this.#random);
    if (!device) return -EACCES;
    this.#open.set(descriptor, { kind: "device", device, flags: flags & ~O_CLOEXEC });
    return descriptor;
  }

  /** Gives what the process has made a descriptor, or says EMFILE. */
  add(open: OpenFile): number {
    const descriptor = this.#free();
    if (descriptor === undefined) return -EMFILE;
    this.#open.set(descriptor, open);
    return descriptor;
  }

  /** `close`. */
  close(descriptor: number): number {
    const open = this.#open.get(descriptor);
    if (!open) return -EBADF;
    this.#open.delete(descriptor);
    const shared = [...this.#open.values()].includes(open);
    if (open.kind === "file" && !shared) open.file.close();
    if (open.kind === "stream" && !shared) open.stream.close();
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

  /** Closes all files that the host has opened for the guest. */
  closeAll(): void {
    for (const descriptor of [...this.#open.keys()]) this.close(descriptor);
  }

  /** Reads into `data` from a file; bytes or a negated errno. */
  read(open: OpenFile, data: Uint8Array, offset?: number): number {
    if (open.kind === "directory") return -EISDIR;
    if (open.kind === "device") return open.device.read(data);
    if (open.kind === "stream") return open.stream.read(data);
    if (open.kind !== "file") return -EBADF;
    return numberOf(open.file.read(data, offset));
  }

  /** `getdents64`: packed entries, none at the end, or a negated errno. */
  entries(open: OpenFile, room: number): Uint8Array | number {
    if (open.kind !== "directory") return -ENOTDIR;
    const entries = open.entries ?? listDirectory(this.host, open.host);
    if (entries instanceof HostFailure) return -errnoOf(entries);
    open.entries = entries;
    const { bytes, next } = packEntries(entries, open.next, room);
    // Not even one entry fits.
    if (bytes.length === 0 && next < entries.length) return -EINVAL;
    open.next = next;
    return bytes;
  }

  /** Writes to a file, at its own offset where none is given; bytes or a negated errno. */
  write(open: OpenFile, data: Uint8Array, offset?: number): number {
    if ((open.flags & O_ACCMODE) === 0) return -EBADF;
    if (open.kind === "device") return open.device.write(data);
    if (open.kind === "stream") return open.stream.write(data);
    return open.kind === "file" ? numberOf(open.file.write(data, offset)) : -EBADF;
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
    if (open.kind === "device") return 0;
    if (open.kind !== "file") return -ESPIPE;
    if (whence !== 0 && whence !== 1 && whence !== 2) return -EINVAL;
    return numberOf(open.file.seek(offset, whence));
  }

  /** What `fstat` says of a descriptor, or a negated errno; undefined of a pipe. */
  statOf(open: OpenFile): FileStat | number | undefined {
    if (open.kind === "device") return open.device.stat;
    const info = open.kind === "file"
      ? open.file.stat()
      : open.kind === "directory"
      ? this.host.stat(open.host, true)
      : undefined;
    return info instanceof HostFailure ? -errnoOf(info) : info;
  }

  /** What `stat` says of a path, or a negated errno; `follow` goes through a last symbolic link. */
  stat(path: string, follow = true): FileStat | number {
    const place = this.#find(path, follow);
    if (typeof place === "number") return place;
    return this.#statOf(place.host, follow) ?? -ENOENT;
  }

  /** What is at a place of the host's, if anything is. */
  #statOf(host: string, follow = true): FileStat | undefined {
    const info = this.host.stat(host, follow);
    return info instanceof HostFailure ? undefined : info;
  }

  /** Where a symbolic link points, or a negated errno. */
  readLink(path: string): string | number {
    const place = this.#find(path, false);
    if (typeof place === "number") return place;
    if (!this.#statOf(place.host)) return -ENOENT;
    const target = this.host.readLink(place.host);
    return target instanceof HostFailure ? -EINVAL : target;
  }

  /** `chdir`. */
  changeFolder(path: string): number {
    const place = this.#find(path);
    if (typeof place === "number") return place;
    const there = this.#statOf(place.host);
    if (!there) return -ENOENT;
    if (there.kind !== "directory") return -ENOTDIR;
    this.#cwd = place.host.slice(this.#isOwnName(place.host) ? 0 : this.#root!.length) || "/";
    return 0;
  }

  /** Whether the guest knows a place by the host's name for it. */
  #isOwnName(host: string): boolean {
    return this.#root === undefined || !host.startsWith(`${this.#root}/`);
  }

  /** The host's place of a name that the guest may make, remove or change, or a negated errno. */
  name(path: string): string | number {
    const place = this.#find(path, false);
    if (typeof place === "number") return place;
    return place.writable ? place.host : this.#readOnly;
  }

  /** The host's place of a name that is not taken and may be, or a negated errno. */
  newName(path: string): string | number {
    const place = this.#find(path, false);
    if (typeof place === "number") return place;
    if (this.#statOf(place.host, false)) return -EEXIST;
    return place.writable ? place.host : this.#readOnly;
  }

  /** The host's place of something that is there and may be changed, or a negated errno. */
  existing(path: string, follow: boolean): string | number {
    const place = this.#find(path, follow);
    if (typeof place === "number") return place;
    if (!this.#statOf(place.host, false)) return -ENOENT;
    return place.writable ? place.host : this.#readOnly;
  }

  /** 0 if the guest may change what is at a place of the host's, or a negated errno. */
  mayChange(host: string): number {
    return this.#allowedAt(host)?.writable ? 0 : this.#readOnly;
  }

  /** What kind of file a place of the host's has, if any. */
  kindOf(host: string): FileStat["kind"] | undefined {
    return this.#statOf(host, false)?.kind;
  }

  /** Whether a path is a folder that `allow` shows by itself: what is mounted keeps its name. */
  isShownFolder(path: string): boolean {
    const place = this.#find(path, false);
    if (typeof place === "number" || !this.#allowed.some(({ path }) => path === place.host)) {
      return false;
    }
    const isWithin = this.#allowedAt(place.host.replace(/\/[^/]*$/, ""))?.writable ?? false;
    return !isWithin && this.kindOf(place.host) === "directory";
  }

  get #readOnly(): number {
    return this.#root !== undefined ? -EROFS : -EACCES;
  }

  /** The host's file behind a guest's path, or a negated errno. */
  #find(path: string, follow = true): Place | number {
    if (path === "") return -ENOENT;
    const shown = this.#findAllowed(path, follow);
    if (shown !== undefined) return shown;
    if (this.#root !== undefined) {
      const { host, errno } = this.#walk(this.#root, this.#absolute(path), follow);
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

  /** The host's file behind a path that `allow` shows; of what is hidden not even an errno tells. */
  #findAllowed(path: string, follow: boolean): Place | number | undefined {
    if (this.#allowed.length === 0) return undefined;
    const { host, errno } = this.#walk("", this.#absolute(path), follow);
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

  /**
   * Walks the absolute `path` below the folder `root`, in which absolute links and `..` stay. Gives the
   * host's name of what is there, or of the place where it went no further and why.
   */
  #walk(root: string, path: string, follow: boolean): { host: string; errno?: number } {
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
      const info = this.#statOf(here, false);
      if (info?.kind === "symlink" && (follow || names.length > 0)) {
        if (++links > MOST_LINKS) return { host: here, errno: ELOOP };
        const target = this.host.readLink(here);
        if (target instanceof HostFailure) return { host: here, errno: errnoOf(target) };
        if (target.startsWith("/")) at.length = 0;
        names.unshift(...partsOf(target));
        continue;
      }
      if (!info && names.length > 0) return { host: here, errno: ENOENT };
      if (info && info.kind !== "directory" && names.length > 0) {
        return { host: here, errno: ENOTDIR };
      }
      at.push(name);
    }
    return { host: `${root}/${at.join("/")}` };
  }

  #free(least = 0): number | undefined {
    for (let number = least; number < MOST_DESCRIPTORS; number++) {
      if (!this.#open.has(number)) return number;
    }
    return undefined;
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function realPath(host: HostFiles, path: string, option: string, mayBeNew = false): string {
  const real = host.realPath(path);
  if (!(real instanceof HostFailure)) return real;
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
  const name = path.slice(path.lastIndexOf("/") + 1);
  const parent = mayBeNew ? host.realPath(folder) : real;
  if (!(parent instanceof HostFailure)) return `${parent}/${name}`;
  const why = real.errno === "ENOENT" ? "there is no such file" : `the host says ${real.errno}`;
  throw new RangeError(`Cannot show ${path} to the guest (${option}): ${why}`);
}

/** A number, or the negated errno of why there is none. */
function numberOf(result: number | HostFailure): number {
  return result instanceof HostFailure ? -errnoOf(result) : result;
}

/** The guest's errno for what the host's file system said. */
export function errnoOf({ errno }: HostFailure): number {
  return (numbers as Readonly<Record<string, number>>)[errno] ?? EIO;
}
