/**
 * Arguments of system calls as values, and words and strings behind pointers.
 *
 * @module
 */
import type { Hart } from "../../../hart/hart.ts";
import type { AddressSpace } from "../../../memory/space.ts";
import { EBADF, EFAULT, ENOENT, ENOTDIR } from "../../files/errno.ts";
import type { Outcome } from "../../outcome.ts";
import type { Process } from "../process.ts";

/** The value of an argument that is a C `int`. */
export function int(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
/** The value of an argument that is a length, capped: what is too long for any buffer stays so. */
export function size(value: bigint): number {
  return Number(value > 0x7ffff000n ? 0x7ffff000n : value);
}

/** A string of the guest's that ends in 0, or undefined (EFAULT). */
export function readString(space: AddressSpace, at: bigint): string | undefined {
  const bytes: number[] = [];
  for (let address = at; bytes.length < 4096; address++) {
    const byte = space.read(address, 1)?.[0];
    if (byte === undefined) return undefined;
    if (byte === 0) return new TextDecoder().decode(new Uint8Array(bytes));
    bytes.push(byte);
  }
  return undefined;
}

/** Writes 64-bit words for the guest; false is EFAULT. */
export function writeWords(space: AddressSpace, at: bigint, words: readonly bigint[]): boolean {
  const data = new BigUint64Array(words.map((word) => BigInt.asUintN(64, word)));
  return space.write(at, new Uint8Array(data.buffer));
}

/** Reads 64-bit words of the guest's; undefined is EFAULT. */
export function readWords(
  space: AddressSpace,
  at: bigint,
  count: number,
): readonly bigint[] | undefined {
  const bytes = space.read(at, count * 8);
  return bytes && [...new BigInt64Array(bytes.buffer)];
}

/** Writes words, or says EFAULT. */
export function answerWords(process: Process, at: bigint, words: readonly bigint[]): number {
  return writeWords(process.space, at, words) ? 0 : -EFAULT;
}

/** Writes a C `int`, or says EFAULT. */
export function answerInt({ space }: Process, at: bigint, value: number): number {
  return space.write(at, new Uint8Array(new Int32Array([value]).buffer)) ? 0 : -EFAULT;
}

/** The end of a run whose only thread waits for what nobody else can do. */
export function deadlock({ unwinder }: Process, hart: Hart, reason: string): Outcome {
  return { kind: "deadlock", reason, backtrace: unwinder.backtrace(hart) };
}

const AT_FDCWD = -100;

/** The path of a call with a folder's descriptor, or a negated errno. */
export function pathAt({ space, files }: Process, folder: number, at: bigint): string | number {
  const path = readString(space, at);
  if (path === undefined) return -EFAULT;
  if (path === "") return -ENOENT;
  if (path.startsWith("/") || folder === AT_FDCWD) return path;
  const open = files.get(folder);
  if (!open) return -EBADF;
  return open.kind === "directory" ? `${open.guest}/${path}` : -ENOTDIR;
}
