/**
 * The system calls that change names, permissions and lengths of files.
 *
 * Which of the host's files the guest may change is `../files.ts`.
 *
 * @module
 */
import type { HostFailure } from "../../../host/files.ts";
import {
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EXDEV,
} from "../../files/errno.ts";
import { errnoOf } from "../../files/files.ts";
import type { Process } from "../process.ts";
import { int, pathAt, readString, readWords } from "./arguments.ts";
import { call, type SystemCalls } from "./table.ts";

const AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400;
const AT_EMPTY_PATH = 0x1000;
const UTIME_NOW = 0x3fffffffn, UTIME_OMIT = 0x3ffffffen, BILLION = 1_000_000_000n;
/** A time to set: milliseconds since 1970, the present, or none. */
type GivenTime = number | "now" | undefined;
const NOW: readonly GivenTime[] = ["now", "now"];
const RENAME_NOREPLACE = 1;
/** Permissions that a guest can give: no file of the host's gets setuid or setgid by it. */
const GIVEN = 0o1777;
const FOLDER_GIVEN = 0o777;
/** How a file is opened to be cut. */
const TO_WRITE = {
  read: false,
  write: true,
  create: false,
  truncate: false,
  append: false,
  mode: 0,
};

/** Calls that change files, by name. */
export const FILE_CHANGE_CALLS: SystemCalls = {
  mkdirat: call(["folder", "path", "mode"], (process, [folder, at, mode]) => {
    const { files } = process;
    const path = pathAt(process, int(folder), at);
    const place = typeof path === "number" ? path : files.newName(path);
    if (typeof place === "number") return place;
    return done(files.host.makeFolder(place, int(mode) & FOLDER_GIVEN));
  }),
  unlinkat: call(["folder", "path", "flags"], (process, [folder, at, flags]) => {
    if ((int(flags) & ~AT_REMOVEDIR) !== 0) return -EINVAL;
    const path = pathAt(process, int(folder), at);
    if (typeof path === "number") return path;
    return int(flags) & AT_REMOVEDIR ? removeFolder(process, path) : removeFile(process, path);
  }),
  // The generic table has both; the older one is this without flags.
  renameat: call(
    ["folder", "path", "folder", "path"],
    (process, [folder, at, toFolder, toAt]) =>
      rename(process, pathAt(process, int(folder), at), pathAt(process, int(toFolder), toAt), 0),
  ),
  renameat2: call(
    ["folder", "path", "folder", "path", "flags"],
    (process, [folder, at, toFolder, toAt, flags]) => {
      const from = pathAt(process, int(folder), at), to = pathAt(process, int(toFolder), toAt);
      return rename(process, from, to, int(flags));
    },
  ),
  linkat: call(
    ["folder", "path", "folder", "path", "flags"],
    (process, [folder, at, toFolder, toAt, flags]) => {
      if ((int(flags) & ~AT_SYMLINK_FOLLOW) !== 0) return -EINVAL;
      const path = pathAt(process, int(folder), at), to = pathAt(process, int(toFolder), toAt);
      if (typeof path === "number") return path;
      return typeof to === "number" ? to : link(process, path, to, int(flags) !== 0);
    },
  ),
  symlinkat: call(["path", "folder", "path"], (process, [targetAt, folder, at]) => {
    const target = readString(process.space, targetAt);
    if (target === undefined) return -EFAULT;
    const path = pathAt(process, int(folder), at);
    if (target === "") return -ENOENT;
    const place = typeof path === "number" ? path : process.files.newName(path);
    return typeof place === "number" ? place : done(process.files.host.symlink(target, place));
  }),
  fchmodat: call(
    ["folder", "path", "mode"],
    (process, [folder, at, mode]) => chmod(process, pathAt(process, int(folder), at), int(mode)),
  ),
  fchmodat2: call(
    ["folder", "path", "mode", "flags"],
    (process, [folder, at, mode, flags]) => {
      if ((int(flags) & ~AT_SYMLINK_NOFOLLOW) !== 0) return -EINVAL;
      const path = pathAt(process, int(folder), at);
      return chmod(process, path, int(mode), (int(flags) & AT_SYMLINK_NOFOLLOW) === 0);
    },
  ),
  fchmod: call(["fd", "mode"], (process, [fd, mode]) => {
    const place = placeOf(process, int(fd));
    if (typeof place === "number") return place;
    const open = process.files.get(int(fd))!;
    const given = int(mode) & GIVEN;
    return done(open.kind === "file" ? open.file.chmod(given) : host(process).chmod(place, given));
  }),
  fchownat: call(
    ["folder", "path", "int", "int", "flags"],
    (process, [folder, at, user, group, flags]) => {
      if ((int(flags) & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
      const place = placeAt(process, int(folder), at, int(flags));
      return typeof place === "number" ? place : chown(process, int(user), int(group));
    },
  ),
  fchown: call(["fd", "int", "int"], (process, [fd, user, group]) => {
    const place = placeOf(process, int(fd));
    return typeof place === "number" ? place : chown(process, int(user), int(group));
  }),
  utimensat: call(
    ["folder", "path", "in", "flags"],
    (process, [folder, at, times, flags]) => {
      if ((int(flags) & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
      const given = times === 0n ? NOW : readTimes(process, times);
      if (typeof given === "number") return given;
      const place = at === 0n
        ? placeOf(process, int(folder))
        : placeAt(process, int(folder), at, int(flags));
      if (typeof place === "number") return place;
      const now = Date.now();
      const [accessed, modified] = given.map((time) => time === "now" ? now : time);
      const follow = (int(flags) & AT_SYMLINK_NOFOLLOW) === 0;
      return done(host(process).setTimes(place, { accessed, modified }, follow));
    },
  ),
  truncate: call(["path", "offset"], (process, [at, length]) => {
    const path = pathAt(process, AT_FDCWD, at);
    const size = Number(BigInt.asIntN(64, length));
    if (size < 0) return -EINVAL;
    const place = typeof path === "number" ? path : process.files.existing(path, true);
    if (typeof place === "number") return place;
    if (process.files.kindOf(place) === "directory") return -EISDIR;
    if (process.files.kindOf(place) !== "file") return -EINVAL;
    const file = host(process).open(place, TO_WRITE);
    if (!("truncate" in file)) return -errnoOf(file);
    const result = done(file.truncate(size));
    file.close();
    return result;
  }),
  ftruncate: call(["fd", "offset"], (process, [fd, length]) => {
    const open = process.files.get(int(fd));
    const size = Number(BigInt.asIntN(64, length));
    if (size < 0) return -EINVAL;
    if (!open) return -EBADF;
    return open.kind === "file" && (open.flags & 3) !== 0
      ? done(open.file.truncate(size))
      : -EINVAL;
  }),
  fsync: call(["fd"], (process, [fd]) => sync(process, int(fd))),
  fdatasync: call(["fd"], (process, [fd]) => sync(process, int(fd))),
  sync: call([], () => 0),
  syncfs: call(["fd"], ({ files }, [fd]) => files.get(int(fd)) ? 0 : -EBADF),
  chdir: call(["path"], (process, [at]) => {
    const path = pathAt(process, AT_FDCWD, at);
    return typeof path === "number" ? path : process.files.changeFolder(path);
  }),
  fchdir: call(["fd"], ({ files }, [fd]) => {
    const open = files.get(int(fd));
    if (!open) return -EBADF;
    return open.kind === "directory" ? files.changeFolder(open.guest) : -ENOTDIR;
  }),
};

function host({ files }: Process): Process["files"]["host"] {
  return files.host;
}

/** 0, or the negated errno of what the host refused. */
function done(failure: HostFailure | undefined): number {
  return failure ? -errnoOf(failure) : 0;
}

/** The last name of a path, with which `.`, `..` and the root are told from names. */
function lastName(path: string): string {
  return path.split("/").filter((name) => name !== "").at(-1) ?? "";
}

function removeFolder({ files }: Process, path: string): number {
  const last = lastName(path);
  if (last === ".") return -EINVAL;
  if (last === "..") return -ENOTEMPTY;
  if (last === "" || files.isShownFolder(path)) return -EBUSY;
  const place = files.name(path);
  return typeof place === "number" ? place : done(files.host.removeFolder(place));
}

function removeFile({ files }: Process, path: string): number {
  if (["", ".", ".."].includes(lastName(path))) return -EISDIR;
  const place = files.name(path);
  if (typeof place === "number") return place;
  const kind = files.kindOf(place);
  if (kind === undefined) return -ENOENT;
  if (kind === "directory") return -EISDIR;
  return path.endsWith("/") ? -ENOTDIR : done(files.host.remove(place));
}

function rename(
  { files }: Process,
  path: string | number,
  to: string | number,
  flags: number,
): number {
  if ((flags & ~RENAME_NOREPLACE) !== 0) return -EINVAL;
  if (typeof path === "number") return path;
  if (typeof to === "number") return to;
  const busy = busyName(files, path), busyTo = busyName(files, to);
  if (busy !== 0) return busy;
  if (busyTo !== 0) return busyTo === -EBUSY && flags & RENAME_NOREPLACE ? -EEXIST : busyTo;
  const from = files.name(path), place = files.name(to);
  if (typeof from === "number") return from;
  if (typeof place === "number") return place;
  const kind = files.kindOf(from);
  if (kind === undefined) return -ENOENT;
  const there = files.kindOf(place);
  if (there !== undefined && flags & RENAME_NOREPLACE) return -EEXIST;
  if (kind !== "directory" && (path.endsWith("/") || to.endsWith("/"))) return -ENOTDIR;
  return done(files.host.rename(from, place));
}

/** EBUSY for a path that ends in no name, or in one that `--allow` gave; what is wrong with it; or 0. */
function busyName(files: Process["files"], path: string): number {
  if (files.isShownFolder(path)) return -EBUSY;
  if (!["", ".", ".."].includes(lastName(path))) return 0;
  const there = files.stat(path, false);
  return typeof there === "number" ? there : -EBUSY;
}

/** A file that may only be read gets no name under which it could be written. */
function link({ files }: Process, path: string, to: string, follow: boolean): number {
  const there = files.stat(path, follow);
  if (typeof there === "number") return there;
  const place = files.newName(to);
  if (typeof place === "number") return place;
  if (there.kind === "directory") return -EPERM;
  const from = files.existing(path, follow);
  return typeof from === "number" ? -EXDEV : done(files.host.link(from, place));
}

function chmod(process: Process, path: string | number, mode: number, follow = true): number {
  const place = typeof path === "number" ? path : process.files.existing(path, follow);
  return typeof place === "number" ? place : done(host(process).chmod(place, mode & GIVEN));
}

/** Where the file of a descriptor is that may be changed, or a negated errno. */
function placeOf({ files }: Process, fd: number): string | number {
  const open = files.get(fd);
  if (!open) return -EBADF;
  if (open.kind !== "file" && open.kind !== "directory") return -EPERM;
  return files.mayChange(open.host) || open.host;
}

/** Where the file of a path is that may be changed, or a negated errno. */
function placeAt(process: Process, folder: number, at: bigint, flags: number): string | number {
  if (flags & AT_EMPTY_PATH && readString(process.space, at) === "") {
    return placeOf(process, folder);
  }
  const path = pathAt(process, folder, at);
  if (typeof path === "number") return path;
  return process.files.existing(path, (flags & AT_SYMLINK_NOFOLLOW) === 0);
}

/** A process without privileges gives nothing away; what it gives to itself it has. */
function chown({ uid }: Process, user: number, group: number): number {
  return [user, group].every((id) => id === -1 || id === uid) ? 0 : -EPERM;
}

/** Two `struct timespec`s, or a negated errno. */
function readTimes({ space }: Process, at: bigint): readonly GivenTime[] | number {
  const words = readWords(space, at, 4);
  if (!words) return -EFAULT;
  const times: GivenTime[] = [];
  for (const k of [0, 2]) {
    const seconds = words[k]!, nanoseconds = words[k + 1]!;
    if (nanoseconds === UTIME_NOW) times.push("now");
    else if (nanoseconds === UTIME_OMIT) times.push(undefined);
    else if (nanoseconds < 0n || nanoseconds >= BILLION) return -EINVAL;
    else times.push(Number(seconds) * 1000 + Number(nanoseconds) / 1e6);
  }
  return times;
}

function sync({ files }: Process, fd: number): number {
  const open = files.get(fd);
  if (!open) return -EBADF;
  if (open.kind === "directory") return 0;
  return open.kind === "file" ? done(open.file.sync()) : -EINVAL;
}
