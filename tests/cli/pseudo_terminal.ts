/**
 * The command line in a real terminal: `script` of util-linux gives it one.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";

const TRACE = fromFileUrl(new URL("../../trace.ts", import.meta.url));

/** A session in a terminal. */
export class PseudoTerminal implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #text = "";
  #changed = Promise.withResolvers<void>();
  #ended = false;

  /** Runs a command of `sh` there; `$HARTRACE` is the command line. */
  constructor(command: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = new Deno.Command("script", {
      args: ["-qec", `stty rows 24 cols 80; ${command}`, "/dev/null"],
      env: {
        HARTRACE: `${Deno.execPath()} run -A ${TRACE}`,
        TERM: "xterm",
        NO_COLOR: "1",
        SHELL: "/bin/sh",
        ...env,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#keys = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** All that was shown since the start. */
  get text(): string {
    return this.#text;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const data of this.#child.stdout) {
      this.#text += decoder.decode(data, { stream: true });
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
    this.#ended = true;
    this.#changed.resolve();
  }

  /** Types keys, and gives what is shown from then on, up to what `until` matches. */
  async type(keys: string, until: RegExp): Promise<string> {
    const from = this.#text.length;
    await this.#keys.write(new TextEncoder().encode(keys));
    return await this.shows(until, from);
  }

  /** Waits until something is shown behind `from`. @throws {Error} If the session ends before. */
  async shows(until: RegExp, from = 0): Promise<string> {
    for (;;) {
      const shown = this.#text.slice(from);
      if (until.test(shown)) return shown;
      if (this.#ended) throw new Error(`Cannot find ${until}; shown was:\n${shown}`);
      await this.#changed.promise;
    }
  }

  /** Waits for the end; gives the exit code. */
  async ends(): Promise<number> {
    await this.#reading;
    return (await this.#child.status).code;
  }

  /** Types `exit` and waits for the end, if it has not come. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.#keys.write(new TextEncoder().encode("\x03\x15exit\r"));
    await this.#reading;
    await this.#keys.close().catch(() => {});
    await this.#child.status;
  }
}
