/**
 * A line on a terminal that says how far a long run is.
 *
 * @module
 */
import type { Ftrace } from "../../mod.ts";
import type { CliHost } from "./host.ts";

/** Milliseconds until the first line: shorter runs need none. */
const PATIENCE = 2000;
/** Milliseconds from one update of the line to the next. */
const PERIOD = 500;

/** A line on the terminal that says how far the run has come. */
export interface Progress {
  /** Prints the line anew, if enough time has passed since the last one. */
  update(): void;
  /** Erases the line from the terminal. */
  clear(): void;
}

/** Starts to watch a run. Where nobody would see it, it does nothing. */
export function createProgress(host: CliHost, { machine, buffer, core }: Ftrace): Progress {
  const start = host.now();
  let next = start + PATIENCE;
  let shown = false;
  const encoder = new TextEncoder();
  const put = (text: string) => host.stderr(encoder.encode(`\r\x1b[K${text}`));
  return {
    update() {
      const now = host.now();
      if (!host.stderrIsTerminal || now < next) return;
      next = now + PERIOD;
      shown = true;
      let instructions = 0n;
      let events = 0;
      for (const hart of machine.harts) {
        instructions += hart.instret;
        events += buffer.statistics(hart.id).written;
      }
      const million = Number(instructions / 1_000_000n);
      const seconds = (now - start) / 1000;
      put(
        `hartrace: ${seconds.toFixed(0)} s, ${million} M instructions, ` +
          `${events > 0 ? `${events} events` : `${core.calls} calls traced`} ` +
          "(Ctrl-C ends the guest and prints the trace)",
      );
    },
    clear() {
      if (shown) put("");
      shown = false;
    },
  };
}
