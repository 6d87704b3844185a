/**
 * Lets the host's own events through: signals, timers, input, promises of plugins.
 *
 * A loop that never yields sees none of them. `setImmediate` takes 9 µs where a `setTimeout` takes
 * 2 ms, so a run loop can afford to yield after every slice; a browser has messages in its place.
 *
 * @module
 */
import { builtinModule } from "./builtin.ts";

/** What has `setImmediate`: the global object, or `node:timers`. */
interface Timers {
  setImmediate?(callback: () => void): unknown;
}

let yields: (() => Promise<void>) | undefined;

/** Comes back when the host has served the events that are waiting now. */
export function yieldToHost(): Promise<void> {
  return (yields ??= createYield())();
}

function createYield(): () => Promise<void> {
  const { setImmediate } = globalThis as Timers;
  const immediate = setImmediate ?? builtinModule<Timers>("node:timers")?.setImmediate;
  if (immediate) return () => new Promise((resolve) => void immediate(resolve));
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(undefined);
    });
}

/** Waits until `promise` is settled, for so many milliseconds at most; gives whether it is. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
