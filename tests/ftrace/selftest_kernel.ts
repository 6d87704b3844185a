/**
 * A small busy kernel for the selftests: firmware whose functions have the names that the kernel's
 * own test scripts filter by, and which runs until nobody asks any more.
 *
 * @module
 */
import type { EngineName } from "../../lib/engine/engines.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import type { FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import type { MachineOptions } from "../../lib/machine/machine.ts";
import { createTracefs, type Tracefs } from "../../lib/tracefs/tracefs.ts";
import { type FilesGuest, filesOf, TRACERS } from "../tracefs/guest.ts";
import { type MadeGuest, makeFirmware, tracedFirmware } from "./made_guest.ts";

/** The eras and engines of selftests: each era on the interpreter, and the newest on all engines. */
export const WAYS: readonly (readonly [era: EraName, engine: EngineName])[] = [
  ["regs", "interp"],
  ["args", "interp"],
  ["preset", "interp"],
  ["call-ops", "interp"],
  ["call-ops", "ref"],
  ["call-ops", "jit"],
];

/** What each function calls, in order; `-5` is what it returns instead of its argument. */
const CALLS: Readonly<Record<string, readonly (string | number)[]>> = {
  kernel_loop: ["schedule", "vfs_write", "kernel_clone", "rcu_note", "sched_rule"],
  schedule: ["_raw_spin_lock", "pick_next", "_raw_spin_unlock"],
  preempt_schedule: ["schedule"],
  schedule_timeout: ["schedule"],
  pick_next: ["rcu_note"],
  sched_rule: ["mutex_trylock", "preempt_schedule", "mutex_unlock", "sched_clock"],
  _raw_spin_lock: [],
  _raw_spin_unlock: [],
  mutex_lock: ["_raw_spin_lock"],
  mutex_trylock: [],
  mutex_unlock: [],
  console_unlock: [],
  spin_trylock: [],
  rcu_note: [],
  rcu_read: [],
  vfs_write: ["mutex_lock", "schedule_timeout", "mutex_unlock", -5],
  sched_clock: ["clock_locks"],
  clock_locks: [],
  sys_read: [],
  Sys_open: [],
  kernel_clone: ["spin_trylock", "rcu_read", "sys_read", "Sys_open", "console_unlock"],
};
const NAMES = Object.keys(CALLS);

/** All its functions, in order of address. */
export const KERNEL_FUNCTIONS: readonly string[] = NAMES;

const labelOf = (name: string) => `f${NAMES.indexOf(name)}`;

function bodyOf(calls: readonly (string | number)[]): string {
  return [
    "addi sp, sp, -16",
    "sd ra, 8(sp)",
    ...calls.map((each) => typeof each === "number" ? `li a0, ${each}` : `call ${labelOf(each)}`),
    "ld ra, 8(sp)",
    "addi sp, sp, 16",
    "ret",
  ].join("\n");
}

const PROGRAM = makeFirmware(
  NAMES.map((name) => ({ name, body: bodyOf(CALLS[name]!) })),
  // Each hart has a stack of its own.
  `csrr t0, mhartid\nslli t0, t0, 12\nsub sp, sp, t0\n1: call ${labelOf("kernel_loop")}\nj 1b`,
);

/** The kernel with its control files. */
export interface SelftestKernel extends MadeGuest, Pick<FilesGuest, "echo" | "append" | "cat"> {
  /** Its control files. */
  readonly tracefs: Tracefs;
  /** Lets it run for so many instructions: about 30 calls in 500. */
  run(instructions?: bigint): Promise<void>;
  /** Names of functions in the lines of `trace`, without its header. */
  lines(): string[];
}

/** Boots it. */
export function bootKernel(
  options: FtraceOptions = {},
  machineOptions: MachineOptions = {},
): SelftestKernel {
  const guest = tracedFirmware(PROGRAM, options, machineOptions);
  const tracefs = createTracefs(guest.ftrace, { tracers: TRACERS });
  const files = filesOf(tracefs);
  return {
    ...guest,
    tracefs,
    ...files,
    async run(instructions = 3000n) {
      await guest.machine.run({ limit: guest.machine.harts[0]!.instret + instructions });
    },
    lines: () => files.cat("trace").split("\n").filter((line) => line !== "" && line[0] !== "#"),
  };
}
