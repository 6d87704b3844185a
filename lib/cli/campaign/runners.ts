/**
 * Who does the failed runs of a campaign: this thread, one after the other, or several workers.
 *
 * A runner is asked for one run at a time and used for many. Which it does makes no difference to
 * what comes of it, as runs know nothing of each other.
 *
 * What a worker does with a request is `worker.ts`.
 *
 * @module
 */
import type { Machine } from "../../../mod.ts";
import {
  type FailedRun,
  runFailed,
  RunInterrupted,
  type RunSetup,
  type UnfailedRun,
} from "./guest_run.ts";

/** What a runner needs to know before its first run. */
export interface RunnerSetup {
  /** What all runs have in common. */
  readonly setup: RunSetup;
  /** The run that they are compared with. */
  readonly unfailed: UnfailedRun;
  /** Instructions after which a run hangs. */
  readonly limit: bigint;
}

/** What a worker is sent: what to know, once, or the call that is to fail. */
export type WorkerRequest = RunnerSetup | number;

/** What a worker sends: a line for the user, the result, or why there is none. */
export type WorkerAnswer =
  | { readonly said: string }
  | { readonly run: FailedRun }
  | { readonly error: string };

/** Does failed runs, one at a time; disposing ends one that is under way. */
export interface Runner extends Disposable {
  /** Lets one call fail. @throws {RunInterrupted} If the runner is disposed of meanwhile. */
  run(call: number): Promise<FailedRun>;
}

/** Does runs in this thread. */
export class LocalRunner implements Runner {
  readonly #setup: RunnerSetup;
  readonly #say: (line: string) => void;
  readonly #slice: () => void;
  #machine: Machine | undefined;
  #isDisposed = false;

  /** `slice` is called now and then while a run goes on. */
  constructor(setup: RunnerSetup, say: (line: string) => void, slice: () => void) {
    this.#setup = setup;
    this.#say = say;
    this.#slice = slice;
  }

  /** See {@linkcode Runner.run}. */
  async run(call: number): Promise<FailedRun> {
    const { setup, unfailed, limit } = this.#setup;
    if (this.#isDisposed) throw new RunInterrupted();
    try {
      return await runFailed(setup, unfailed, call, limit, {
        say: this.#say,
        started: ({ machine }) => void (this.#machine = machine),
        slice: this.#slice,
      });
    } finally {
      this.#machine = undefined;
    }
  }

  /** Ends the run that is under way. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#machine?.requestStop();
  }
}

/** Does runs in a worker of its own. */
export class WorkerRunner implements Runner {
  readonly #worker: Worker;
  readonly #say: (line: string) => void;
  #settle: PromiseWithResolvers<FailedRun> | undefined;
  #end: unknown;

  /** Starts the worker. */
  constructor(setup: RunnerSetup, say: (line: string) => void) {
    this.#say = say;
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => this.#answered(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`Cannot run in a worker: ${event.message}; try --jobs 1`));
    };
    this.#worker.postMessage(setup satisfies WorkerRequest);
  }

  /** See {@linkcode Runner.run}. */
  run(call: number): Promise<FailedRun> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    this.#settle = Promise.withResolvers();
    this.#worker.postMessage(call satisfies WorkerRequest);
    return this.#settle.promise;
  }

  /** Ends the worker, whatever it does. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
    this.#fail(new RunInterrupted());
  }

  #answered(answer: WorkerAnswer): void {
    if ("said" in answer) this.#say(answer.said);
    else if ("run" in answer) this.#settle?.resolve(answer.run);
    else this.#settle?.reject(new Error(answer.error));
  }

  #fail(error: unknown): void {
    this.#end ??= error;
    this.#settle?.reject(error);
  }
}

/** A call whose failed run did not come about, by an error of ours. */
export interface LostRun {
  /** The call that was to fail. */
  readonly call: number;
  /** Why. */
  readonly error: unknown;
}

/**
 * Lets each of these calls fail, by all runners side by side.
 *
 * @param done Gets each result as it comes.
 * @returns Calls without a result, but for those that nobody came to because runners were disposed of.
 */
export async function runAll(
  calls: readonly number[],
  runners: readonly Runner[],
  done: (run: FailedRun) => void,
): Promise<readonly LostRun[]> {
  const left = calls.values();
  const lost: LostRun[] = [];
  await Promise.all(runners.map(async (runner) => {
    for (const call of left) {
      try {
        done(await runner.run(call));
      } catch (error) {
        if (error instanceof RunInterrupted) return;
        lost.push({ call, error });
      }
    }
  }));
  return lost.sort((a, b) => a.call - b.call);
}
