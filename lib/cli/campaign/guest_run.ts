/**
 * One run of the guest in a campaign: without a failure, which counts the calls, or with one call that
 * fails. A run knows nothing of other runs, so any process can do it.
 *
 * What a result means is `verdict.ts`; who does which run, `runners.ts`.
 *
 * @module
 */
import {
  createFtrace,
  createMachine,
  type FailedCall,
  type FaultInjection,
  type Ftrace,
  type FtraceOptions,
  injectFaults,
  type Machine,
  type MachineOptions,
  type Outcome,
} from "../../../mod.ts";
import type { Elf } from "../../program/mod.ts";
import { placeText, trapText } from "../outcome.ts";
import { type Leak, leaksOf, type LiveBlock, LiveBlocks } from "./live_blocks.ts";
import { OutputCheck, type OutputDifference } from "./output_check.ts";

/** What all runs of a campaign have in common; it can be sent to a worker. */
export interface RunSetup {
  /** The program. */
  readonly program: Elf;
  /** The machine, without what of the host it is connected to. */
  readonly machine: Omit<MachineOptions, "stdout" | "stderr" | "stdin" | "warn">;
  /** How ftrace is set up. */
  readonly ftrace: FtraceOptions;
  /** Functions whose calls fail (`--at`). */
  readonly at: readonly string[];
  /** Whose calls count (`--caller`); anybody's if empty. */
  readonly caller: readonly string[];
  /** What a failed call returns (`--return`). */
  readonly return: string;
  /** What errno becomes (`--errno`), or nothing. */
  readonly errno: string;
  /** More functions that give blocks (`--alloc`). */
  readonly alloc: readonly string[];
  /** More functions that free blocks (`--free`). */
  readonly free: readonly string[];
  /** What the guest reads. */
  readonly stdin: Uint8Array;
}

/** How the unfailed run went, which the others are compared with; it can be sent to a worker. */
export interface UnfailedRun {
  /** The exit code. */
  readonly exit: number;
  /** Instructions that all harts have retired. */
  readonly instructions: bigint;
  /** What was printed on standard output. */
  readonly stdout: Uint8Array;
  /** What was printed on standard error. */
  readonly stderr: Uint8Array;
  /** The blocks that were not freed. */
  readonly blocks: readonly LiveBlock[];
  /** The allocators that were followed. */
  readonly allocators: readonly string[];
  /** The calls that count, by function and caller, in the order of the first of each. */
  readonly counts: readonly CallCount[];
  /** What `--at` names and no call that counts is of. */
  readonly uncalled: readonly string[];
}

/** Calls of one function by one caller. */
export interface CallCount {
  /** The function. */
  readonly function: string;
  /** The function that called it; empty where there is no symbol. */
  readonly caller: string;
  /** How often. */
  readonly calls: number;
}

/** How a failed run ended. */
export type RunEnding =
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "crash" | "hang"; readonly what: string; readonly chain: readonly string[] };

/** What came of a call's failure. */
export interface FailedRun {
  /** Which of the calls that count failed, from 1. */
  readonly call: number;
  /** The function. */
  readonly function: string;
  /** Which of that function's calls that count it was, from 1. */
  readonly nth: number;
  /** What it returned. */
  readonly returned: string;
  /** Where the call was made, and the callers of that, innermost first: `name+0x1a/0x5e`. */
  readonly chain: readonly string[];
  /** How the run ended. */
  readonly ending: RunEnding;
  /** Where standard output is another than without the failure. */
  readonly stdout?: OutputDifference;
  /** Where standard error is another than without the failure. */
  readonly stderr?: OutputDifference;
  /** Blocks that are left and were not without the failure; none if it did not exit. */
  readonly leaks: readonly Leak[];
}

/** The host of a run: who is told things, and who may end it. */
export interface RunHost {
  /** Takes a line for the user. */
  say(line: string): void;
  /** Gets the machine when it is about to run. */
  started?(ftrace: Ftrace): void;
  /** Called between slices of the run. */
  slice?(): void;
}

/** The run was stopped from outside: nothing came of it. */
export class RunInterrupted extends Error {}

/**
 * Runs the guest as it is, and counts the calls that may fail.
 *
 * @param limit Instructions after which the run is given up.
 * @throws {TypeError} If the guest does not end, or is ended by a signal.
 * @throws {RunInterrupted} If the machine was asked to stop.
 * @throws {Error} For whatever is wrong with the setup.
 */
export async function runUnfailed(
  setup: RunSetup,
  limit: bigint | undefined,
  host: RunHost,
): Promise<UnfailedRun> {
  const output = { stdout: new Collected(), stderr: new Collected() };
  const counts = new Map<string, { function: string; caller: string; calls: number }>();
  using run: GuestRun = new GuestRun(setup, output, host, {
    shouldFail(_number, name, parentIp) {
      const caller = run.ftrace.symbol(parentIp) ?? "";
      const key = `${name} ${caller}`;
      const count = counts.get(key);
      if (count) count.calls++;
      else counts.set(key, { function: name, caller, calls: 1 });
      return false;
    },
  });
  const outcome = await run.run(limit, host);
  const ending = run.endingOf(outcome, limit);
  if (ending.kind !== "exit") {
    const advice = ending.kind === "hang" && outcome.kind === "limit"
      ? "give it more with --limit-insns"
      : "see to that first";
    throw new TypeError(
      `Cannot tell what a failure does: without one the program ${
        ending.kind === "crash" ? `crashes (${ending.what})` : `does not end: ${ending.what}`
      }; ${advice}`,
    );
  }
  return {
    exit: ending.code,
    instructions: run.instructions,
    stdout: output.stdout.bytes(),
    stderr: output.stderr.bytes(),
    blocks: run.blocks.list(),
    allocators: run.blocks.functions,
    counts: [...counts.values()],
    uncalled: run.uncalled(setup.at, new Set([...counts.values()].map((each) => each.function))),
  };
}

/**
 * Runs the guest and lets one call fail.
 *
 * @param limit Instructions after which it counts as hanging.
 * @throws {RunInterrupted} If the machine was asked to stop.
 * @throws {TypeError} If the call is not made, which the unfailed run made.
 */
export async function runFailed(
  setup: RunSetup,
  unfailed: UnfailedRun,
  call: number,
  limit: bigint,
  host: RunHost,
): Promise<FailedRun> {
  const output = {
    stdout: new OutputCheck(unfailed.stdout),
    stderr: new OutputCheck(unfailed.stderr),
  };
  const nth = new Map<string, number>();
  let failed: Pick<FailedRun, "function" | "returned" | "chain"> | undefined;
  let madeBefore = 0;
  using run: GuestRun = new GuestRun(setup, output, host, {
    shouldFail(number, name) {
      if (number <= call) nth.set(name, (nth.get(name) ?? 0) + 1);
      return number === call;
    },
    failed(made) {
      failed = { function: made.name, returned: made.returned, chain: run.callersOf(made) };
      madeBefore = run.blocks.made;
    },
  });
  const ending = run.endingOf(await run.run(limit, host), limit);
  if (!failed) {
    throw new TypeError(
      `Cannot fail call ${call}: the run ended before it; does the program read something that changes?`,
    );
  }
  const stdout = output.stdout.end(), stderr = output.stderr.end();
  return {
    call,
    ...failed,
    nth: nth.get(failed.function)!,
    ending,
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
    leaks: ending.kind === "exit" ? leaksOf(run.blocks.list(), unfailed.blocks, madeBefore) : [],
  };
}

/** Takes a stream of the guest's. */
interface OutputSink {
  add(data: Uint8Array): void;
}

/** A stream that is kept whole. */
class Collected implements OutputSink {
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];

  add(data: Uint8Array): void {
    this.#pieces.push(data.slice());
  }

  bytes(): Uint8Array {
    const size = this.#pieces.reduce((sum, { length }) => sum + length, 0);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}

/** A machine with the program, whose calls fail and whose blocks are followed. */
class GuestRun implements Disposable {
  readonly ftrace: Ftrace;
  readonly blocks: LiveBlocks;
  readonly #machine: Machine;
  readonly #attached = new DisposableStack();

  constructor(
    setup: RunSetup,
    { stdout, stderr }: { readonly stdout: OutputSink; readonly stderr: OutputSink },
    host: RunHost,
    which: Pick<FaultInjection, "shouldFail" | "failed">,
  ) {
    let read = 0;
    this.#machine = this.#attached.use(createMachine(setup.program, {
      ...setup.machine,
      stdout: (data) => stdout.add(data),
      stderr: (data) => stderr.add(data),
      stdin(length) {
        const piece = setup.stdin.slice(read, read + length);
        read += piece.length;
        return Promise.resolve(piece);
      },
      warn: (line) => host.say(line),
    }));
    try {
      this.ftrace = createFtrace(this.#machine, {
        ...setup.ftrace,
        report: (line) => host.say(line),
        note: () => {},
      });
      const { at, caller, errno, return: returns, alloc, free } = setup;
      const optionName = (key: string) => `--${key}`;
      const faults = { at, caller, errno, return: returns, optionName, ...which };
      // Before allocators are named: a glob is to choose what it does without a campaign.
      this.#attached.use(injectFaults(this.ftrace, faults));
      this.blocks = this.#attached.use(new LiveBlocks(this.ftrace, alloc, free));
    } catch (error) {
      this.#attached[Symbol.dispose]();
      throw error;
    }
  }

  get instructions(): bigint {
    return this.#machine.harts.reduce((sum, { instret }) => sum + instret, 0n);
  }

  /** Runs to the end. @throws {RunInterrupted} If the machine was asked to stop. */
  async run(limit: bigint | undefined, host: RunHost): Promise<Outcome> {
    host.started?.(this.ftrace);
    const outcome = await this.#machine.run({
      ...(limit === undefined ? {} : { limit }),
      slice: () => host.slice?.(),
    });
    if (outcome.kind === "interrupted") throw new RunInterrupted();
    return outcome;
  }

  /** Names, globs aside, of functions that are not among those called. */
  uncalled(names: readonly string[], called: ReadonlySet<string>): readonly string[] {
    return names.filter((name) =>
      !/[!*?[\\]/.test(name) &&
      this.ftrace.select(name).every(({ entry }) => !called.has(this.ftrace.symbol(entry) ?? ""))
    );
  }

  /** An outcome in words. */
  endingOf(outcome: Outcome, limit: bigint | undefined): RunEnding {
    const place = (address: bigint) => this.#place(address);
    switch (outcome.kind) {
      case "exit":
        return { kind: "exit", code: outcome.code & 255 };
      case "signal": {
        const { name, trap } = outcome;
        const chain = this.#chain(outcome.backtrace);
        const what = trap ? `: ${trapText(trap, { place })}` : chain[0] ? ` in ${chain[0]}` : "";
        return { kind: "crash", what: `${name}${what}`, chain };
      }
      case "trap": {
        const what = `trap: ${trapText(outcome.trap, { place })}`;
        return { kind: "crash", what, chain: this.#chain(outcome.backtrace) };
      }
      case "deadlock":
        return this.#hang(outcome.reason, outcome.backtrace);
      default: {
        const { unwinder, runningHart } = this.#machine;
        return this.#hang(
          `not over after ${limit} instructions`,
          unwinder.backtrace(runningHart),
        );
      }
    }
  }

  /** Where a call was made, and by whom that was called. */
  callersOf({ ip, fregs }: FailedCall): readonly string[] {
    const { unwinder, runningHart } = this.#machine;
    const { stackPointer: sp, returnAddress: ra, framePointer: s0 } = fregs;
    const frames = unwinder.frames(runningHart, { pc: ip, sp, ra, s0 });
    return this.#chain(frames.map(({ pc }) => pc)).slice(1);
  }

  [Symbol.dispose](): void {
    this.#attached[Symbol.dispose]();
  }

  #hang(reason: string, backtrace: readonly bigint[]): RunEnding {
    const chain = this.#chain(backtrace);
    return { kind: "hang", what: chain[0] ? `${reason}, in ${chain[0]}` : reason, chain };
  }

  /** Addresses as places; behind the first one they are return addresses. */
  #chain(addresses: readonly bigint[]): readonly string[] {
    return addresses.map((address, k) => this.#place(address, k > 0));
  }

  #place(address: bigint, isReturn?: boolean): string {
    const { symbols } = this.#machine;
    return placeText((at) => symbols.at(at)?.symbol, address, isReturn);
  }
}
