/**
 * What a folder holds, as `getdents64` packs it.
 *
 * Names come sorted, so that a listing does not depend on the host's file system.
 *
 * @module
 */

/** An entry of a folder. */
export interface DirectoryEntry {
  /** Without folders. */
  readonly name: string;
  /** Number of the file; never 0, which would be a hole. */
  readonly inode: bigint;
  /** `DT_*` (dirent.h). */
  readonly type: number;
}

const DT_UNKNOWN = 0, DT_DIR = 4, DT_REG = 8, DT_LNK = 10;
/** Bytes of a `struct linux_dirent64` before its name. */
const HEADER = 19;

/**
 * The entries of a folder of the host's, with `.` and `..`.
 *
 * @throws {Error} What the host's file system says.
 */
export function listDirectory(host: string): readonly DirectoryEntry[] {
  const found = [...Deno.readDirSync(host || "/")].map((entry) => {
    const { name, isDirectory, isFile, isSymlink } = entry;
    const type = isDirectory ? DT_DIR : isFile ? DT_REG : isSymlink ? DT_LNK : DT_UNKNOWN;
    return { name, inode: inodeOf(`${host}/${name}`), type };
  });
  found.sort((a, b) => a.name < b.name ? -1 : 1);
  // `..` of a guest's root is that root; of other folders nobody looks at the number.
  const dots = [".", ".."].map((name) => ({ name, inode: inodeOf(host || "/"), type: DT_DIR }));
  return [...dots, ...found];
}

function inodeOf(path: string): bigint {
  try {
    return BigInt(Deno.lstatSync(path).ino || 1);
  } catch {
    return 1n;
  }
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
