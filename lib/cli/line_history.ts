/**
 * The lines that were typed at the shell, kept between sessions in the user's state folder
 * (`$XDG_STATE_HOME/hartrace/history`, or `~/.local/state/hartrace/history`).
 *
 * Where that cannot be read or written the session has its own lines only, and nobody is asked for a
 * permission.
 *
 * @module
 */
import { join } from "node:path";

/** Most lines that are kept. */
const MOST = 1000;

/** The lines of a person, the newest first. */
export class LineHistory {
  readonly #path: string | undefined;
  #lines: string[] | undefined;

  /** Lines kept in a file, or in memory only. */
  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** All lines, the newest first. */
  get lines(): readonly string[] {
    return this.#lines ??= this.#read();
  }

  /** Keeps a line, unless it is empty, begins with a space, or is the one before again. */
  add(line: string): void {
    if (line.trim() === "" || line.startsWith(" ") || this.lines[0] === line) return;
    this.#lines!.unshift(line);
    this.#write(`${line.replaceAll("\n", " ")}\n`, true);
  }

  #read(): string[] {
    if (this.#path === undefined) return [];
    try {
      const lines = Deno.readTextFileSync(this.#path).split("\n").filter((line) => line !== "");
      const kept = lines.slice(-MOST);
      if (lines.length > 2 * MOST) this.#write(`${kept.join("\n")}\n`, false);
      return kept.reverse();
    } catch {
      return [];
    }
  }

  #write(text: string, append: boolean): void {
    if (this.#path === undefined) return;
    try {
      Deno.mkdirSync(join(this.#path, ".."), { recursive: true, mode: 0o700 });
      // What was typed is the user's own.
      Deno.writeTextFileSync(this.#path, text, { append, mode: 0o600 });
    } catch {
      // A history that cannot be kept is no reason to stop anybody.
    }
  }
}

/** Where the history of this user is, if that can be told without asking. */
export function historyPath(): string | undefined {
  const isGranted = (name: "env" | "read" | "write") =>
    Deno.permissions.querySync({ name }).state === "granted";
  if (!isGranted("env") || !isGranted("read") || !isGranted("write")) return undefined;
  const home = Deno.env.get("HOME");
  const state = Deno.env.get("XDG_STATE_HOME") || (home ? join(home, ".local", "state") : "");
  return state.startsWith("/") ? join(state, "hartrace", "history") : undefined;
}
