/**
 * What asks a run to end: Ctrl-C, SIGTERM, SIGHUP, and an error of ours. Each ends the guest only, so that what
 * was traced is still written; who asks a second time does not want to wait for that.
 *
 * In which words and with which code a run ends is `outcome.ts`.
 *
 * @module
 */
import type { Machine, Outcome } from "../../mod.ts";
import { type CliHost, say, type StopSignal } from "./host.ts";

/** What a request to end is called, and the exit code that a shell gives for it: 128 + signal. */
export const STOPS: Readonly<Record<StopSignal, { readonly name: string; readonly code: number }>> =
  {
    SIGINT: { name: "Ctrl-C", code: 130 },
    SIGTERM: { name: "SIGTERM", code: 143 },
    SIGHUP: { name: "SIGHUP", code: 129 },
  };

/** Listens for requests to end a run until it is disposed. */
export class StopRequests {
  readonly #listening: Disposable;
  #signal: StopSignal | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** Ends `machine`'s guest at the first request; `missing` tells how many events are not written yet. */
  constructor(host: CliHost, machine: Machine, missing: () => number) {
    this.#listening = host.onInterrupt((signal) => {
      if (this.#signal === undefined) {
        this.#signal = signal;
        machine.requestStop();
        return;
      }
      const { name, code } = STOPS[signal];
      say(host, `${name} again: ended at once, without ${missing()} events of the trace`);
      host.exit(code);
    });
  }

  /** The signal that ended the run, if one did. */
  get signal(): StopSignal | undefined {
    return this.#signal;
  }

  /** Runs the guest. An error of ours ends it as a request does, and is kept for {@linkcode rethrow}. */
  async run(run: () => Promise<Outcome>): Promise<Outcome> {
    try {
      return await run();
    } catch (error) {
      this.#failure = { error };
      return { kind: "interrupted" };
    }
  }

  /** Throws the error of ours that has ended the run, now that the trace is written. */
  rethrow(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }
}
