/**
 * The system calls about files.
 *
 * What descriptors stand for is `../files.ts`.
 *
 * @module
 */
import type { Hart } from "../../../hart/hart.ts";
import type { FileKind, FileStat } from "../../../host/files.ts";
import { PAGE_SIZE, WRITE } from "../../../memory/page.ts";
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  ENOTTY,
  EPIPE,
  ERANGE,
  ERESTARTSYS,
  ESPIPE,
} from "../../files/errno.ts";
import type { Outcome } from "../../outcome.ts";
import { O_NONBLOCK, type OpenFile } from "../../files/files.ts";
import type { Process } from "../process.ts";
import { timerOf } from "../timers.ts";
import { wait } from "../waits.ts";
import { deadlock, int, pathAt, readString, readWords, size } from "./arguments.ts";
import { call, type CallResult, type SystemCalls } from "./table.ts";

const AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000;
const F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030;
/** S_IFMT of each kind of file. */
const TYPES: Readonly<Record<FileKind, number>> = {
  fifo: 0o010000,
  "character device": 0o020000,
  directory: 0o040000,
  "block device": 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
const STAT_SIZE = 128;
const MOST_VECTORS = 1024;
const SIGPIPE = 13;

/** Calls about files, by name. */
export const FILE_CALLS: SystemCalls = {
  read: call(
    ["fd", "out", "size"],
    (process, [fd, at, length], hart) => readTo(process, hart, int(fd), at, size(length)),
  ),
  pread64: call(["fd", "out", "size", "offset"], (process, [fd, at, length, offset]) => {
    const open = process.files.get(int(fd));
    const from = Number(BigInt.asIntN(64, offset));
    if (from < 0) return -EINVAL;
    if (!open) return -EBADF;
    if (!isSeekable(open)) return -ESPIPE;
    return readFile(process, open, at, size(length), from);
  }),
  readv: call(["fd", "vectors", "int"], async (process, [fd, at, count], hart) => {
    const vectors = readVectors(process, at, int(count));
    if (typeof vectors === "number") return vectors;
    let total = 0;
    for (const [address, length] of vectors) {
      if (length === 0) continue;
      const got = await readTo(process, hart, int(fd), address, length);
      if (typeof got !== "number" || got < 0) return total > 0 ? total : got;
      total += got;
      // What stdin has after this may be long in coming; what came is an answer.
      if (got < length || process.files.get(int(fd))?.kind === "stdin") break;
    }
    return total;
  }),
  write: call(
    ["fd", "in", "size"],
    (process, [fd, at, length], hart) => writeFrom(process, hart, int(fd), at, size(length)),
  ),
  pwrite64: call(["fd", "in", "size", "offset"], (process, [fd, at, length, offset]) => {
    const open = process.files.get(int(fd));
    const to = Number(BigInt.asIntN(64, offset));
    if (to < 0) return -EINVAL;
    if (!open) return -EBADF;
    if (!isSeekable(open)) return -ESPIPE;
    const data = process.space.read(at, size(length));
    return data ? process.files.write(open, data, to) : -EFAULT;
  }),
  writev: call(["fd", "vectors", "int"], (process, [fd, at, count], hart) => {
    const vectors = readVectors(process, at, int(count));
    if (typeof vectors === "number") return vectors;
    let total = 0;
    for (const [address, length] of vectors) {
      if (length === 0) continue;
      const put = writeFrom(process, hart, int(fd), address, length);
      if (typeof put !== "number") return put;
      if (put < 0) return total > 0 ? total : put;
      total += put;
      if (put < length) break;
    }
    return total;
  }),
  openat: call(["folder", "path", "flags", "mode"], (process, [folder, at, flags, mode]) => {
    const path = pathAt(process, int(folder), at);
    return typeof path === "number" ? path : process.files.open(path, int(flags), int(mode));
  }),
  close: call(["fd"], (process, [fd]) => process.files.close(int(fd))),
  dup: call(["fd"], (process, [fd]) => process.files.duplicate(int(fd))),
  dup3: call(
    ["fd", "fd", "flags"],
    (process, [fd, to]) => fd === to ? -EINVAL : process.files.duplicate(int(fd), int(to), true),
  ),
  lseek: call(
    ["fd", "offset", "int"],
    (process, [fd, offset, whence]) =>
      process.files.seek(int(fd), Number(BigInt.asIntN(64, offset)), int(whence)),
  ),
  getdents64: call(["fd", "out", "size"], (process, [fd, at, length]) => {
    const open = process.files.get(int(fd));
    if (!open) return -EBADF;
    const entries = process.files.entries(open, size(length));
    if (typeof entries === "number") return entries;
    return process.space.write(at, entries) ? entries.length : -EFAULT;
  }),
  fcntl: call(["fd", "int", "int"], (process, [fd, command, argument]) => {
    const open = process.files.get(int(fd));
    if (!open) return -EBADF;
    switch (int(command)) {
      case F_DUPFD:
      case F_DUPFD_CLOEXEC:
        return process.files.duplicate(int(fd), int(argument));
      case F_GETFD:
      case F_SETFD:
        return 0;
      case F_SETFL:
        open.flags = open.flags & ~O_NONBLOCK | int(argument) & O_NONBLOCK;
        return 0;
      case F_GETFL:
        return open.flags;
      default:
        return -EINVAL;
    }
  }),
  // No descriptor is a terminal for the guest: what it prints must not depend on who looks.
  ioctl: call(
    ["fd", "int", "address"],
    (process, [fd]) => process.files.get(int(fd)) ? -ENOTTY : -EBADF,
  ),
  fstat: call(["fd", "out"], (process, [fd, at]) => statDescriptor(process, int(fd), at)),
  newfstatat: call(
    ["folder", "path", "out", "flags"],
    (process, [folder, pathAddress, at, flags]) => {
      const name = readString(process.space, pathAddress);
      if (name === undefined) return -EFAULT;
      if (name === "" && int(flags) & AT_EMPTY_PATH) {
        return statDescriptor(
          process,
          int(folder),
          at,
        );
      }
      const path = pathAt(process, int(folder), pathAddress);
      if (typeof path === "number") return path;
      const info = process.files.stat(path, (int(flags) & AT_SYMLINK_NOFOLLOW) === 0);
      return typeof info === "number" ? info : writeStat(process, at, info);
    },
  ),
  faccessat: call(["folder", "path", "mode"], (process, [folder, at]) => {
    const path = pathAt(process, int(folder), at);
    if (typeof path === "number") return path;
    const info = process.files.stat(path);
    return typeof info === "number" ? info : 0;
  }),
  readlinkat: call(
    ["folder", "path", "out", "size"],
    (process, [folder, pathAddress, at, length]) => {
      const path = pathAt(process, int(folder), pathAddress);
      if (typeof path === "number") return path;
      const target = path === "/proc/self/exe" ? process.executable : process.files.readLink(path);
      if (typeof target === "number") return target;
      const bytes = new TextEncoder().encode(target).subarray(0, size(length));
      return process.space.write(at, bytes) ? bytes.length : -EFAULT;
    },
  ),
  getcwd: call(["out", "size"], (process, [at, length]) => {
    const bytes = new TextEncoder().encode(process.files.cwd + "\0");
    if (bytes.length > size(length)) return -ERANGE;
    return process.space.write(at, bytes) ? bytes.length : -EFAULT;
  }),
};

/** Whether a descriptor has an offset: standard input and output are pipes. */
function isSeekable({ kind }: OpenFile): boolean {
  return kind === "file" || kind === "device" || kind === "directory";
}

function readVectors(process: Process, at: bigint, count: number): [bigint, number][] | number {
  if (count < 0 || count > MOST_VECTORS) return -EINVAL;
  const words = readWords(process.space, at, count * 2);
  if (!words) return -EFAULT;
  return Array.from({ length: count }, (_, k) => [words[k * 2]!, size(words[k * 2 + 1]!)]);
}

function readTo(
  process: Process,
  hart: Hart,
  fd: number,
  at: bigint,
  length: number,
): CallResult | Promise<CallResult> {
  const open = process.files.get(fd);
  if (!open || open.kind === "stdout" || open.kind === "stderr") return -EBADF;
  if (open.kind === "stream") {
    const read = () => readFile(process, open, at, length);
    return untilDone(process, hart, open, read, "reads what it alone could write");
  }
  if (open.kind !== "stdin") return readFile(process, open, at, length);
  const { stdin } = process.options;
  if (!stdin || length === 0) return 0;
  // Input that has nowhere to go is not taken.
  if (!process.space.allows(at, Math.min(length, PAGE_SIZE), WRITE)) return -EFAULT;
  return stdin(length).then((data) => process.space.write(at, data) ? data.length : -EFAULT);
}

function readFile(
  process: Process,
  open: OpenFile,
  at: bigint,
  length: number,
  offset?: number,
): number {
  const data = new Uint8Array(Math.min(length, 2 ** 24));
  const count = process.files.read(open, data, offset);
  if (count < 0) return count;
  return process.space.write(at, data.subarray(0, count)) ? count : -EFAULT;
}

function writeFrom(
  process: Process,
  hart: Hart,
  fd: number,
  at: bigint,
  length: number,
): number | Outcome {
  const open = process.files.get(fd);
  if (!open) return -EBADF;
  const data = process.space.read(at, length);
  if (!data) return -EFAULT;
  switch (open.kind) {
    case "stdout":
    case "stderr":
      try {
        process.options[open.kind]?.(data);
        return data.length;
      } catch (error) {
        // Who takes the output has gone, as the host's own error for that says.
        if (!isBrokenPipe(error)) throw error;
        return breakPipe(process);
      }
    case "stream":
      return writeStream(process, hart, open, data);
    default:
      return process.files.write(open, data);
  }
}

function writeStream(
  process: Process,
  hart: Hart,
  open: OpenFile & { readonly kind: "stream" },
  data: Uint8Array,
): number | Outcome {
  const put = process.files.write(open, data);
  if (put === -EPIPE) return breakPipe(process);
  const isShort = put >= 0 && put < data.length && open.stream.takesAll;
  if (put !== -EAGAIN && !isShort) return put;
  const full = () => -EAGAIN;
  const waits = untilDone(process, hart, open, full, "fills what it alone could read");
  return typeof waits === "number" && put > 0 ? put : waits;
}

/** What `attempt` gives when it need not wait: EAGAIN at once where that is asked for. */
function untilDone(
  process: Process,
  hart: Hart,
  { flags, stream }: OpenFile & { readonly kind: "stream" },
  attempt: () => number,
  what: string,
): number | Outcome {
  let got = attempt();
  if (got !== -EAGAIN || flags & O_NONBLOCK) return got;
  const timer = timerOf(stream);
  const isReady = () => (got = attempt()) !== -EAGAIN;
  const end = wait(process, hart, undefined, { isReady, comesBy: (each) => each === timer });
  if (end === "ready") return got;
  if (end === "interrupted") return -ERESTARTSYS;
  return deadlock(process, hart, `its only thread ${what}`);
}

function breakPipe({ signals, pid, uid }: Process): number {
  signals.send(SIGPIPE, pid, uid);
  return -EPIPE;
}

function statDescriptor(process: Process, fd: number, at: bigint): number {
  const open = process.files.get(fd);
  if (!open) return -EBADF;
  const info = process.files.statOf(open);
  return typeof info === "number" ? info : writeStat(process, at, info);
}

function isBrokenPipe(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "BrokenPipe" || "code" in error && error.code === "EPIPE";
}

/** Writes a `struct stat` (asm-generic/stat.h); without `info` it is a pipe's. */
function writeStat(process: Process, at: bigint, info: FileStat | undefined): number {
  const data = new Uint8Array(STAT_SIZE);
  const view = new DataView(data.buffer);
  const type = TYPES[info?.kind ?? "fifo"];
  const length = info?.size ?? 0;
  view.setBigUint64(0, BigInt(info ? 1 : 2), true);
  view.setBigUint64(8, BigInt(info?.inode ?? 1), true);
  view.setUint32(16, type | ((info?.mode ?? 0o600) & 0o7777), true);
  view.setUint32(20, info?.links ?? 1, true);
  view.setUint32(24, process.uid, true);
  view.setUint32(28, process.uid, true);
  view.setBigInt64(48, BigInt(length), true);
  view.setInt32(56, 4096, true);
  view.setBigInt64(64, BigInt(Math.ceil(length / 512)), true);
  const seconds = BigInt(Math.floor((info?.modified ?? 0) / 1000));
  for (const offset of [72, 88, 104]) view.setBigInt64(offset, seconds, true);
  return process.space.write(at, data) ? 0 : -EFAULT;
}
