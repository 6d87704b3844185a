/**
 * A line on a terminal that says how far a long run is.
 *
 * @module
 */
import type { Ftrace, Machine } from "../../mod.ts";
import type { CliHost } from "./host.ts";

/** Milliseconds until the first line: shorter runs need none. */
const PATIENCE = 2000;
/** Milliseconds from one update of the line to the next. */
const PERIOD = 500;

/** A line on the terminal that is written anew now and then. Where nobody would see it, it is not there. */
export class StatusLine {
  readonly #host: CliHost;
  readonly #text: (seconds: number) => string;
  readonly #start: number;
  #next: number;
  #shown = false;

  /** Shows what `text` gives, which is told how many seconds have passed. */
  constructor(host: CliHost, text: (seconds: number) => string) {
    this.#host = host;
    this.#text = text;
    this.#start = host.now();
    this.#next = this.#start + PATIENCE;
  }

  /** Prints the line anew, if enough time has passed since the last one. */
  update(): void {
    const now = this.#host.now();
    if (!this.#host.stderrIsTerminal || now < this.#next) return;
    this.#next = now + PERIOD;
    this.#shown = true;
    this.#put(`hartrace: ${this.#text((now - this.#start) / 1000)}`);
  }

  /** Erases the line from the terminal. */
  clear(): void {
    if (this.#shown) this.#put("");
    this.#shown = false;
  }

  #put(text: string): void {
    this.#host.stderr(new TextEncoder().encode(`\r\x1b[K${text}`));
  }
}

/** How far a run is; `more` is said of its trace. */
export function progressText(
  seconds: number,
  { harts }: Pick<Machine, "harts">,
  more = " (Ctrl-C ends the guest)",
): string {
  const instructions = harts.reduce((sum, { instret }) => sum + instret, 0n);
  return `${seconds.toFixed(0)} s, ${instructions / 1_000_000n} M instructions${more}`;
}

/** Starts to watch a traced run. */
export function createProgress(host: CliHost, { machine, buffer, core }: Ftrace): StatusLine {
  return new StatusLine(host, (seconds) => {
    const events = machine.harts.reduce((sum, { id }) => sum + buffer.statistics(id).written, 0);
    const traced = events > 0 ? `${events} events` : `${core.calls} calls traced`;
    return progressText(
      seconds,
      machine,
      `, ${traced} (Ctrl-C ends the guest and prints the trace)`,
    );
  });
}
