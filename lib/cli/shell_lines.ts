/**
 * Lines of input: from a terminal with history and completion, or from whatever stdin is.
 *
 * @module
 */
import type { CliHost } from "./host.ts";
import type { Completer } from "./terminal.ts";

/** Lines of input, for the shell and, from a terminal, for the guest. */
export interface ShellLines {
  /** The next line without its end; undefined at the end of input. */
  next(prompt: string, complete: Completer): Promise<string | undefined>;
  /** The guest's `read` on stdin. */
  readonly forGuest: (length: number) => Promise<Uint8Array>;
}

/** Reads lines from where the host has them. */
export function createShellLines(host: CliHost): ShellLines {
  const decoder = new TextDecoder();
  let text = "";
  let ended = false;
  return {
    async next(prompt, complete) {
      if (host.terminal) return await host.terminal.question(prompt, complete);
      while (!ended && !text.includes("\n")) {
        const bytes = await host.stdin(65536);
        ended = bytes.length === 0;
        text += ended ? decoder.decode() : decoder.decode(bytes, { stream: true });
      }
      if (text === "") return undefined;
      const end = text.indexOf("\n");
      const line = end < 0 ? text : text.slice(0, end);
      text = end < 0 ? "" : text.slice(end + 1);
      return line;
    },
    // A pipe holds commands; only a person can mean the guest.
    forGuest: (length) => host.terminal ? host.stdin(length) : Promise.resolve(new Uint8Array()),
  };
}
