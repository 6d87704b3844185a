/**
 * A process of its own for one measurement of the growth tables, so that its memory is only that
 * measurement's: `growth_run.ts FILE ENGINE HOOKS`, one line of JSON on stdout.
 *
 * @module
 */
import process from "node:process";
import { type EngineName, ENGINES } from "../../lib/engine/mod.ts";
import { createMachine } from "../../mod.ts";
import { FIRST_FUNCTION, FUNCTION_SIZE } from "./growth_guests.ts";
import { out } from "./measure.ts";

/** What one measurement tells. */
export interface GrowthRun {
  /** Milliseconds of processor time to read the file and make the machine. */
  readonly make: number;
  /** The same to set the hooks, on the last functions of the program. */
  readonly set: number;
  /** The same to run the guest. */
  readonly run: number;
  /** MiB that the process has had resident at most. */
  readonly resident: number;
  /** How often a hook was called. */
  readonly hits: number;
  /** Exit code of the guest, or how else it ended. */
  readonly end: number | string;
}

/** MiB that were resident at most, as Linux counts; what is resident now elsewhere. */
function residentMebibytes(): number {
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    return Number(status.match(/VmHWM:\s+(\d+) kB/)![1]) / 1024;
  } catch {
    return Deno.memoryUsage().rss / 2 ** 20;
  }
}

/** Milliseconds of processor time of all threads so far. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

if (import.meta.main) {
  const [file, engine, hooks, functions] = Deno.args;
  if (!(engine! in ENGINES)) throw new TypeError(`Cannot run: no engine ${engine}`);
  const started = processorTime();
  const machine = createMachine(await Deno.readFile(file!), {
    engine: engine as EngineName,
    stdout() {},
  });
  const made = processorTime();
  let hits = 0;
  for (let k = 0; k < Number(hooks); k++) {
    const pc = FIRST_FUNCTION + (Number(functions) - 1 - k) * FUNCTION_SIZE;
    machine.engine.hook(pc, { host: () => void hits++ });
  }
  const set = processorTime();
  const outcome = await machine.run();
  const ended = processorTime();
  const result: GrowthRun = {
    make: made - started,
    set: set - made,
    run: ended - set,
    resident: residentMebibytes(),
    hits,
    end: outcome.kind === "exit" ? outcome.code : outcome.kind,
  };
  out(JSON.stringify(result));
}
