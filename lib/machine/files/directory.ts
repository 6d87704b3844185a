/**
 * What a folder holds, as `getdents64` packs it.
 *
 * Names come sorted, so that a listing does not depend on the host's file system.
 *
 * @module
 */

import { type FileKind, HostFailure, type HostFiles } from "../../host/files.ts";

/** An entry of a directory, as `getdents64` gives it. */
export interface DirectoryEntry {
  /** The entry's name, without the directory's path. */
  readonly name: string;
  /** Number of the file; never 0, which would be a hole. */
  readonly inode: bigint;
  /** The kind of the entry: `DT_*` of dirent.h. */
  readonly type: number;
}

const DT_UNKNOWN = 0, DT_DIR = 4;
const TYPES: Readonly<Record<FileKind, number>> = {
  fifo: 1,
  "character device": 2,
  directory: DT_DIR,
  "block device": 6,
  file: 8,
  symlink: 10,
  socket: 12,
};
/** Bytes of a `struct linux_dirent64` before its name. */
const HEADER = 19;

/** The entries of a folder of the host's, with `.` and `..`; or why it cannot be read. */
export function listDirectory(
  host: HostFiles,
  folder: string,
): readonly DirectoryEntry[] | HostFailure {
  const names = host.list(folder || "/");
  if (names instanceof HostFailure) return names;
  const entryOf = (name: string, path: string): DirectoryEntry => {
    const info = host.stat(path, false);
    if (info instanceof HostFailure) return { name, inode: 1n, type: DT_UNKNOWN };
    return { name, inode: BigInt(info.inode || 1), type: TYPES[info.kind] };
  };
  const found = names.map((name) => entryOf(name, `${folder}/${name}`));
  found.sort((a, b) => a.name < b.name ? -1 : 1);
  // `..` of a guest's root is that root; of other folders nobody looks at the number.
  return [...[".", ".."].map((name) => entryOf(name, folder || "/")), ...found];
}

/** As many whole entries from number `from` on as fit into `room` bytes. */
export function packEntries(
  entries: readonly DirectoryEntry[],
  from: number,
  room: number,
): { readonly bytes: Uint8Array; readonly next: number } {
  const chunks: Uint8Array[] = [];
  let used = 0, next = from;
  for (; next < entries.length; next++) {
    const { name, inode, type } = entries[next]!;
    const text = new TextEncoder().encode(name);
    const chunk = new Uint8Array(Math.ceil((HEADER + text.length + 1) / 8) * 8);
    if (used + chunk.length > room) break;
    const view = new DataView(chunk.buffer);
    view.setBigUint64(0, inode, true);
    view.setBigInt64(8, BigInt(next + 1), true);
    view.setUint16(16, chunk.length, true);
    view.setUint8(18, type);
    chunk.set(text, HEADER);
    chunks.push(chunk);
    used += chunk.length;
  }
  const bytes = new Uint8Array(used);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return { bytes, next };
}
