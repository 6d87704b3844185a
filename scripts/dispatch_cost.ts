/**
 * What one traced call costs, by era and by how many tracers there are: instructions that the guest
 * retires under the real trampolines, and nanoseconds that the host takes on the fast path.
 *
 * Tracers are plugins' (`hit`), so up to 6.15 they are called through the list; the published
 * figures are of a tracer in a module, which is called so, too.
 *
 * @module
 */
import type { EngineName } from "../lib/engine/mod.ts";
import { createFtrace, createMachine, type EraName, ERAS } from "../mod.ts";

/** The rows: tracers on the function, and elsewhere. */
export const DISPATCHES: readonly (readonly [own: number, unrelated: number])[] = [
  [0, 0],
  [1, 0],
  [2, 0],
  [10, 0],
  [100, 0],
  [1, 200],
];

/** The eras that the table has. */
export const DISPATCH_ERAS: readonly EraName[] = Object.values(ERAS).map(({ name }) => name);

/** What was measured on the Spacemit K1 for the kernel change, in nanoseconds a call. */
export const PUBLISHED: Readonly<Record<string, { before: number; after: number }>> = {
  "one tracer": { before: 123, after: 38 },
  "one tracer, 200 unrelated": { before: 15791, after: 39 },
};

interface Run {
  readonly seconds: number;
  readonly overhead: number;
  readonly calls: number;
}

/** Runs `fib` with tracers on it and on a function that is never called. */
async function run(
  program: Uint8Array,
  era: EraName,
  [own, unrelated]: readonly [number, number],
  options: {
    readonly arg: string;
    readonly trampoline: "guest" | "fast";
    readonly engine?: EngineName | undefined;
  },
): Promise<Run> {
  const { arg, trampoline, engine } = options;
  const machine = createMachine(program, { engine, args: [arg], name: "fib", stdout: () => {} });
  const ftrace = createFtrace(machine, { era, trampoline });
  let calls = 0;
  for (let k = 0; k < unrelated; k++) {
    ftrace.registerFtraceFunction({ hit() {}, filter: ["print_hex"] });
  }
  for (let k = 0; k < own; k++) {
    ftrace.registerFtraceFunction({ hit: () => void calls++, filter: ["fib"] });
  }
  const started = performance.now();
  await machine.run();
  const seconds = (performance.now() - started) / 1000;
  return { seconds, overhead: Number(machine.harts[0]!.overhead), calls: calls / (own || 1) };
}

/** Instructions for each call, exactly: a short run is enough. */
export async function dispatchInstructions(
  program: Uint8Array,
  era: EraName,
  dispatch: readonly [number, number],
): Promise<number> {
  const { overhead, calls } = await run(program, era, dispatch, { arg: "8", trampoline: "guest" });
  return calls === 0 ? overhead : overhead / calls;
}

/** Nanoseconds for each call: the least of `rounds` pairs of runs. */
export async function dispatchNanoseconds(
  program: Uint8Array,
  era: EraName,
  dispatch: readonly [number, number],
  rounds: number,
  engine?: EngineName,
): Promise<number> {
  const [own] = dispatch;
  const options = { arg: own > 10 ? "16" : "22", trampoline: "fast", engine } as const;
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const off = await run(program, era, [0, 0], options);
    const on = await run(program, era, dispatch, options);
    if (on.calls > 0) costs.push((on.seconds - off.seconds) / on.calls * 1e9);
  }
  return costs.length === 0 ? 0 : Math.min(...costs);
}
