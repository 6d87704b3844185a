/**
 * Where `#include` finds a header.
 *
 * Whoever reads headers gives the files; nothing here knows of a host. Which folders a compiler would
 * be given nobody knows, so `<x/y.h>` is looked for in those that it was found in before, and above
 * the first header and the one that asks: a header lies below a folder that it is included from.
 *
 * @module
 */
import { COMPILER_HEADERS } from "./predefined.ts";

/** Files that headers may include. */
export interface HeaderFiles {
  /** Folders that are looked in first. */
  readonly folders: readonly string[];
  /** The text of a file; undefined if there is none at the path. */
  read(path: string): string | undefined;
}

/** A header that was found. */
export interface FoundHeader {
  /** Where it is. */
  readonly path: string;
  /** What is in it. */
  readonly text: string;
}

/** A folder of headers has this one for what only RISC-V has, where Debian's conventions hold. */
const TRIPLET = "riscv64-linux-gnu";
/** Most folders above a header that are looked in. */
const MOST_ABOVE = 32;

/** Finds headers, each file read once. */
export class Includes {
  readonly #files: HeaderFiles | undefined;
  readonly #texts = new Map<string, string | undefined>();
  /** Folders that names in angles have been found in. */
  readonly #learnt = new Set<string>();
  #first: string | undefined;

  /** Finds among `files`; without any only the compiler's own. */
  constructor(files: HeaderFiles | undefined) {
    this.#files = files;
  }

  /**
   * Finds what `#include` names, as it is written with its quotes or angles.
   *
   * @param from Path of the header that asks.
   * @param isNext Whether it is `#include_next`: only what is found behind `from` counts.
   */
  find(written: string, from: string, isNext = false): FoundHeader | undefined {
    this.#first ??= from;
    const name = written.slice(1, -1);
    const isQuoted = written.startsWith('"');
    let counts = !isNext;
    for (const path of this.#files ? this.#candidates(name, isQuoted, from) : []) {
      const isOwn = path === from && !isQuoted;
      const text = isOwn ? undefined : this.#read(path);
      if (text !== undefined && counts) {
        if (!isQuoted) this.#learnt.add(path.slice(0, path.length - name.length));
        return { path, text };
      }
      if (isOwn) counts = true;
    }
    const own = COMPILER_HEADERS.get(name);
    return own === undefined ? undefined : { path: name, text: own };
  }

  /** The paths that a header may be at, the likeliest first. */
  #candidates(name: string, isQuoted: boolean, from: string): Iterable<string> {
    if (name.startsWith("/")) return [name];
    const above = foldersAbove(from);
    const likely = [...foldersAbove(this.#first!), ...above];
    const folders = new Set([
      ...this.#files!.folders,
      ...this.#learnt,
      // So that <time.h> in include/sys/x.h is not sys/time.h.
      ...likely.filter((folder) => /(^|\/)include$/.test(folder)),
      ...likely,
    ]);
    const paths = [...folders].flatMap((folder) => [
      joined(folder, name),
      joined(folder, `${TRIPLET}/${name}`),
    ]);
    return new Set([...isQuoted ? [joined(above[0]!, name)] : [], ...paths]);
  }

  #read(path: string): string | undefined {
    if (this.#texts.has(path)) return this.#texts.get(path);
    const text = this.#files!.read(path);
    this.#texts.set(path, text);
    return text;
  }
}

/** The folder of a file and those above it; an empty one is where relative paths begin. */
function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
    folders.push(path.slice(0, at));
    if (folders.length === MOST_ABOVE) return folders;
  }
  folders.push(path.startsWith("/") ? "/" : "");
  return folders;
}

function joined(folder: string, name: string): string {
  return folder === "" || folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}
