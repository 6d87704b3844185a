/**
 * What the core demands of a tracer's callback: to come back at once, without a promise.
 *
 * @module
 */

/** A callback's result. @throws {TypeError} If it is a promise: the guest cannot wait for it. */
export function refusePromise<T>(result: T): T {
  if (typeof (result as { then?: unknown } | null | undefined)?.then === "function") {
    throw new TypeError("its callback returned a promise, and the guest cannot wait for one");
  }
  return result;
}

/** The message of an error that a callback threw, for a report. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
