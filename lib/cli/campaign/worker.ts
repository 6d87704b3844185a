/**
 * A worker of a campaign: it is told once what all runs have in common, then which call is to fail.
 *
 * Its other end is `WorkerRunner` in `runners.ts`.
 *
 * @module
 */
import { runFailed } from "./guest_run.ts";
import type { RunnerSetup, WorkerAnswer, WorkerRequest } from "./runners.ts";

/** What of a worker's global scope is used; the page's, which the types describe, has other ones. */
interface WorkerScope {
  onmessage: (event: MessageEvent<WorkerRequest>) => void;
  postMessage(answer: WorkerAnswer): void;
}

const scope = globalThis as unknown as WorkerScope;
let known: RunnerSetup | undefined;

scope.onmessage = async ({ data }) => {
  if (typeof data === "object") {
    known = data;
    return;
  }
  const { setup, unfailed, limit } = known!;
  try {
    const say = (said: string) => scope.postMessage({ said });
    scope.postMessage({ run: await runFailed(setup, unfailed, data, limit, { say }) });
  } catch (error) {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    scope.postMessage({ error: text.replace(/^\w*Error: (Cannot .*)\n[^]*$/, "$1") });
  }
};
