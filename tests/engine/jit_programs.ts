/**
 * Whole programs on a machine, stopped after uneven numbers of instructions: what each stop finds
 * has to be the same on the JIT, whatever it compiles and when, as on the interpreter.
 *
 * @module
 */
import { REGION_INSTRET } from "../../lib/hart/state.ts";
import { createMachine, type MachineOptions } from "../../lib/machine/machine.ts";
import type { Outcome } from "../../lib/machine/outcome.ts";
import type { Memory } from "../../lib/memory/memory.ts";
import { PAGE_SIZE } from "../../lib/memory/page.ts";
import type { ExpectedRun } from "../fixtures/expected.ts";
import { stateLine } from "./jit_guest.ts";
import { createRandom } from "./random.ts";

/** How a program is run and stopped. */
export interface Stopping {
  readonly bytes: Uint8Array;
  readonly run: Pick<ExpectedRun, "args" | "env" | "stdin">;
  readonly options: MachineOptions;
  /** Lengths of slices to pick from. */
  readonly slices: readonly number[];
  /** Stops after which the rest is run at once. */
  readonly stops: number;
  /** Instructions after which it is given up. */
  readonly most: bigint;
  readonly seed: number;
}

/** What was found at each stop and at the end. */
export interface ProgramRecord {
  readonly stops: readonly string[];
  /** Instructions that compiled code executed on the hart that ran last. */
  readonly compiled: bigint;
  readonly instret: bigint;
}

/** Runs a program, and writes down every stop. */
export async function recordProgram(stopping: Stopping): Promise<ProgramRecord> {
  const { bytes, run, options, slices, most, seed } = stopping;
  const random = createRandom(seed);
  const written: string[] = [];
  const decoder = new TextDecoder();
  let input = new TextEncoder().encode(run.stdin);
  using machine = createMachine(bytes, {
    args: run.args,
    env: run.env,
    warn() {},
    stdout: (data) => void written.push(decoder.decode(data)),
    stderr: (data) => void written.push(decoder.decode(data)),
    stdin(length) {
      const part = input.subarray(0, length);
      input = input.subarray(part.length);
      return Promise.resolve(part);
    },
    ...options,
  });
  const { harts, memory } = machine;
  const stops: string[] = [];
  let outcome: Outcome;
  let limit = 0n;
  do {
    limit = stops.length < stopping.stops ? limit + BigInt(random.pick(slices)) : most;
    outcome = await machine.run({ limit });
    const states = harts.map((hart) => `${stateLine(hart)} overhead=${hart.overhead}`);
    stops.push(`${describe(outcome)} ${written.join("").length} ${states.join(" ")}`);
  } while (outcome.kind === "limit" && limit < most);
  stops.push(written.join(""), memoryHash(memory));
  const compiled = memory.hostView.getBigInt64(REGION_INSTRET, true);
  return { stops, compiled, instret: harts[0]!.instret };
}

function describe(outcome: Outcome): string {
  switch (outcome.kind) {
    case "exit":
      return `exit ${outcome.code}`;
    case "signal":
      return `signal ${outcome.signal} at ${outcome.backtrace.join()}`;
    default:
      return outcome.kind;
  }
}

/** A hash of all pages that the guest has, by the words of each that are not 0. */
function memoryHash({ permissions, bytes }: Pick<Memory, "permissions" | "bytes">): string {
  const words = new Int32Array(bytes.buffer);
  const perPage = PAGE_SIZE / 4;
  const pages: string[] = [];
  for (let page = 0; page < permissions.length; page++) {
    if (permissions[page] === 0) continue;
    let value = 0;
    for (let at = page * perPage; at < (page + 1) * perPage; at++) {
      const word = words[at]!;
      if (word !== 0) value = Math.imul(value ^ word ^ Math.imul(at, 0x9e3779b1), 0x01000193);
    }
    if (value !== 0) pages.push(`${page.toString(16)}:${(value >>> 0).toString(16)}`);
  }
  return pages.join(" ");
}
