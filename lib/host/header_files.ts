/**
 * The host's files as headers that other headers include.
 *
 * What is no plain file is none: opening a pipe would wait for who writes to it.
 *
 * @module
 */
import { HostFailure, type HostFile, type HostFiles, hostFiles } from "./files.ts";

/** Headers in the host's files. */
export interface HostHeaders {
  /** Folders that are looked in first. */
  readonly folders: readonly string[];
  /** The text of a file; undefined if there is none that can be read. */
  read(path: string): string | undefined;
}

/**
 * The host's files, for `ftrace.declarePrototypes()` and `parseHeader()`; a browser has none.
 *
 * @param folders Folders that `#include` looks in first.
 */
export function hostHeaders(folders: readonly string[] = []): HostHeaders {
  const files = hostFiles();
  return { folders, read: (path) => textOf(files, path) };
}

function textOf(files: HostFiles, path: string): string | undefined {
  const stat = files.stat(path, true);
  if (stat instanceof HostFailure || stat.kind !== "file") return undefined;
  const how = { write: false, create: false, truncate: false, append: false, mode: 0 };
  const file = files.open(path, { read: true, ...how });
  if (file instanceof HostFailure) return undefined;
  const bytes = wholeOf(file, stat.size);
  file.close();
  return bytes && new TextDecoder().decode(bytes);
}

function wholeOf(file: HostFile, size: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = file.read(bytes.subarray(at), at);
    if (count instanceof HostFailure) return undefined;
    if (count === 0) return bytes.subarray(0, at);
    at += count;
  }
  return bytes;
}
