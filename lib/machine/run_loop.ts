/**
 * The run loop: slices, turns of harts, what stops them, and waiting for what the guest waits for.
 *
 * `run()` works in slices and lets the host's events through between them, because a busy loop sees
 * no Ctrl-C, no timer and no standard input. Slices do not show: they end between instructions, and
 * nothing that the guest can observe depends on where.
 *
 * Whose turn it is, is `schedule.ts`; when something happens by itself, `event_queue.ts`; what a trap
 * means, `platform.ts`; what of tracing happens on a hart, `host_calls.ts`.
 *
 * @module
 */
import type { Engine, Stop } from "../engine/engine.ts";
import type { Hart } from "../hart/hart.ts";
import { settledWithin, yieldToHost } from "../host/yielding.ts";
import { Cause } from "../isa/sem.ts";
import type { Unwinder } from "../program/unwinder.ts";
import type { EventQueue } from "./event_queue.ts";
import type { HostCalls } from "./host_calls.ts";
import type { Outcome } from "./outcome.ts";
import type { Platform } from "./platform.ts";
import type { Schedule } from "./schedule.ts";

/** Options of {@linkcode Machine.run}. */
export interface RunOptions {
  /** Ends the run when a hart has retired so many instructions of the guest's. */
  readonly limit?: bigint | undefined;
  /** Ends the run when this one hart has retired so many. */
  readonly until?: { readonly hart: Hart; readonly instret: bigint } | undefined;
  /** Called between slices with the instructions that all harts have retired; the guest waits for it. */
  readonly slice?: ((instret: bigint) => void | Promise<void>) | undefined;
}

/** What {@linkcode RunLoop} puts together. */
export interface RunLoopParts {
  /** All harts of the machine. */
  readonly harts: readonly Hart[];
  /** The engine that executes the harts' instructions. */
  readonly engine: Engine;
  /** Says what the traps of harts mean. */
  readonly platform: Platform;
  /** Decides which hart runs next, and for how long. */
  readonly schedule: Schedule;
  /** The events that fall due as the harts' time goes on, such as timers. */
  readonly events: EventQueue;
  /** Serves host calls and breakpoints. */
  readonly calls: HostCalls;
  /** Finds the callers of a hart that waits for ever, for the outcome's backtrace. */
  readonly unwinder: Unwinder<Hart>;
}

/**
 * What came of running a hart, if its turn or slice is not simply over: the run's end, a promise
 * of what the guest waits for, `stopped` by a hook, or `late`, as the host wants its turn.
 */
type Pause = Outcome | Promise<Outcome | undefined> | "stopped" | "late" | undefined;

/** The count of instructions at which a hart ends the run, if any. */
type Limits = (hart: Hart) => bigint | undefined;

/** Milliseconds that a run is to take before the host's own events are served. */
const SLICE_MS = 12;
/** Traps between two looks at the clock, which takes as long as a system call that does little. */
const LOOK_AT_CLOCK = 16;
/** Instructions of a run's first slice, and the fewest of any later one. */
const FIRST_SLICE = 20_000n, SHORTEST_SLICE = 10_000;
/** A slice is at most so many times as long or as short as the one before. */
const MOST_CHANGE = 4;
/** Nanoseconds that waiting harts are moved on by before as much time has passed for the host. */
const WAITED_AT_ONCE = 4_000_000n;
/** Nanoseconds in a millisecond. */
const NS_PER_MS = 1e6;
/** Nanoseconds that each turn takes from a slice besides its instructions, for harts that wait. */
const TURN_COST = 100n;

/** Instructions that harts have executed together. */
function executedBy(harts: readonly Hart[]): bigint {
  return harts.reduce((sum, { instret }) => sum + instret, 0n);
}

/** Runs the harts of one machine. */
export class RunLoop {
  readonly #parts: RunLoopParts;
  #stopRequested = false;
  /** Traps that were served. */
  #served = 0;
  /** What the guest waits for: input. A run that is interrupted meanwhile leaves it to the next. */
  #awaited: Promise<Outcome | undefined> | undefined;
  #stopAwaiting = (): void => {};
  /** Virtual nanoseconds that all harts have waited while input was on its way, ahead of the host. */
  #ahead = 0n;

  /** A loop over harts that are ready to execute their first instructions. */
  constructor(parts: RunLoopParts) {
    this.#parts = parts;
  }

  /** Ends the run, or the next one if there is none, as interrupted; a run after that goes on. */
  requestStop(): void {
    this.#stopRequested = true;
    this.#stopAwaiting();
  }

  /** Runs until the guest ends, a hart has come to the limit, or {@linkcode RunLoop.requestStop}. */
  async run({ limit, until, slice }: RunOptions = {}): Promise<Outcome> {
    const { harts } = this.#parts;
    const limits: Limits = (hart) => {
      const own = until?.hart === hart ? until.instret : undefined;
      return own === undefined || limit !== undefined && limit < own ? limit : own;
    };
    let budget = FIRST_SLICE;
    let yielded = performance.now();
    if (this.#awaited && !this.#stopRequested) {
      const outcome = await this.#settle(this.#awaited);
      if (outcome) return outcome;
    }
    for (;;) {
      if (this.#stopRequested) {
        // Only this run: who looked around may go on.
        this.#stopRequested = false;
        return { kind: "interrupted" };
      }
      if (harts.some((hart) => hasCome(hart, limits))) return { kind: "limit" };
      const preparing = this.#parts.engine.prepare?.(executedBy(harts));
      if (preparing) await preparing;
      const started = performance.now();
      const pause = harts.length > 1
        ? this.#runTogether(limits, budget, started)
        : this.#runAlone(limits, budget, started);
      const outcome = pause instanceof Promise ? await this.#settle(pause) : pause;
      if (typeof outcome === "object") return outcome;
      budget = nextBudget(budget, performance.now() - started);
      await slice?.(executedBy(harts));
      // What yields may have to be loaded, and a slice that a system call ended can be short.
      if (performance.now() - yielded < SLICE_MS) continue;
      await yieldToHost();
      yielded = performance.now();
    }
  }

  /** Waits until a trap is served, or the run is to stop. */
  async #settle(served: Promise<Outcome | undefined>): Promise<Outcome | undefined> {
    this.#awaited = served;
    const stopped = new Promise<"stopped">((resolve) => {
      this.#stopAwaiting = () => resolve("stopped");
    });
    const first = await Promise.race([served, stopped]);
    if (first === "stopped") {
      this.#stopRequested = false;
      return { kind: "interrupted" };
    }
    this.#awaited = undefined;
    return first;
  }

  /** Runs the only hart for one slice of `budget` instructions, to the limit at most. */
  #runAlone(limits: Limits, budget: bigint, started: number): Pause {
    const hart = this.#parts.harts[0]!;
    const limit = limits(hart);
    const wanted = hart.instret + budget;
    const until = limit !== undefined && limit < wanted ? limit : wanted;
    while (hart.instret < until && !this.#stopRequested) {
      const pause = this.#runHart(hart, until, started);
      if (pause || !hart.waiting) return pause;
      const sleep = this.#parts.events.untilWoken(hart);
      const input = this.#parts.platform.awaitedInput?.(sleep === undefined);
      if (sleep === undefined) return input ? this.#waitFor(input) : this.#deadlock();
      const most = input && sleep > WAITED_AT_ONCE ? WAITED_AT_ONCE : sleep;
      hart.idle += most;
      if (input && (this.#ahead += most) >= WAITED_AT_ONCE) return this.#keepPace(input);
    }
    return undefined;
  }

  /** Runs several harts, which take turns, for one slice of about `budget` instructions. */
  #runTogether(limits: Limits, budget: bigint, started: number): Pause {
    let left = budget;
    while (left > 0n && !this.#stopRequested) {
      const { hart, end } = this.#parts.schedule.turn();
      const before = hart.instret;
      const pause = this.#runTurn(hart, end, limits, started);
      if (pause) return pause;
      left -= hart.instret - before + TURN_COST;
      if (performance.now() - started > SLICE_MS) return "late";
    }
    return undefined;
  }

  /** Runs a hart until its own time is `end`: it executes, or waits. */
  #runTurn(hart: Hart, end: bigint, limits: Limits, started: number): Pause {
    const limit = limits(hart);
    while (hart.now() < end && !this.#stopRequested) {
      const wanted = hart.instret + (end - hart.now());
      const until = limit !== undefined && limit < wanted ? limit : wanted;
      const pause = this.#runHart(hart, until, started);
      if (pause) return pause;
      if (limit !== undefined && hart.instret >= limit) return { kind: "limit" };
      if (!hart.waiting) continue;
      const sleep = this.#parts.events.untilWoken(hart);
      const rest = end - hart.now();
      const most = sleep !== undefined && sleep < rest ? sleep : rest;
      hart.idle += most;
      const waited = this.#waitTogether(most);
      if (waited) return waited;
    }
    return undefined;
  }

  /** Several harts, one of which has waited: pauses if all do, and only the host can end it. */
  #waitTogether(waited: bigint): Pause {
    const { harts, platform } = this.#parts;
    if (!harts.every(({ waiting }) => waiting)) return undefined;
    const forever = harts.every((each) => this.#waitsForever(each));
    const input = platform.awaitedInput?.(forever);
    if (forever) return input ? this.#waitFor(input) : this.#deadlock();
    // Each hart waits the same time.
    this.#ahead += input ? waited / BigInt(harts.length) : 0n;
    return input && this.#ahead >= WAITED_AT_ONCE ? this.#keepPace(input) : undefined;
  }

  /** Waits for input that alone can wake the guest. Time stands still for it. */
  #waitFor(input: Promise<void>): Promise<undefined> {
    return input.then(() => undefined);
  }

  /** Waits until the host's time has come to the guest's, or input has come. */
  async #keepPace(input: Promise<void>): Promise<undefined> {
    const started = performance.now();
    await settledWithin(input, Number(this.#ahead) / NS_PER_MS);
    const left = this.#ahead - BigInt(Math.round((performance.now() - started) * NS_PER_MS));
    // What a slow timer of the host's took longer is made up for, but no stop of minutes.
    this.#ahead = left < -10n * WAITED_AT_ONCE ? 0n : left;
    return undefined;
  }

  /** Runs a hart until it has retired `until` instructions, or waits. */
  #runHart(hart: Hart, until: bigint, started: number): Pause {
    const { engine, events } = this.#parts;
    while (hart.instret < until && !this.#stopRequested) {
      const due = events.advance(hart);
      if (hart.waiting) return undefined;
      const wanted = due !== undefined && hart.instret + due < until ? hart.instret + due : until;
      const stop = engine.run(hart, wanted);
      if (stop.kind === "limit") continue;
      const host = stop.kind === "trap" && stop.trap.cause === Cause.HostCall;
      const pause = this.#serve(hart, stop);
      if (pause) return pause;
      // Guests that trap all the time must let the host's events through, too.
      if (!host && ++this.#served % LOOK_AT_CLOCK === 0 && performance.now() - started > SLICE_MS) {
        return "late";
      }
    }
    return undefined;
  }

  /** Serves what an engine came back for, but for the limit. */
  #serve(hart: Hart, stop: Stop): Pause {
    if (stop.kind === "trap") {
      const trap = this.#parts.calls.serve(hart, stop.trap);
      return trap && this.#parts.platform.trap(hart, trap);
    }
    return stop.kind === "attention" ? this.#attend(hart) : "stopped";
  }

  /** Lets devices answer a hart, or an interrupt in, unless the hart only waits. */
  #attend(hart: Hart): Pause {
    const { platform, events, calls } = this.#parts;
    if (!hart.serviceRequested && !hart.waiting && !calls.leaveTracing(hart)) return undefined;
    if (hart.waiting && !hart.serviceRequested) return undefined;
    events.advance(hart);
    if (!hart.serviceRequested) return platform.interrupt?.(hart);
    hart.serviceRequested = false;
    return platform.serveDevices?.();
  }

  #waitsForever(hart: Hart): boolean {
    return hart.waiting && this.#parts.events.untilWoken(hart) === undefined;
  }

  #deadlock(): Outcome {
    return {
      kind: "deadlock",
      reason: "every hart waits for an interrupt, and none can come" +
        (this.#parts.platform.inputEnded ? "; its input has come to the end" : ""),
      backtrace: this.#parts.unwinder.backtrace(this.#parts.harts[0]!),
    };
  }
}

function hasCome(hart: Hart, limits: Limits): boolean {
  const limit = limits(hart);
  return limit !== undefined && hart.instret >= limit;
}

/** Instructions of the next slice, after one of `budget` took so many milliseconds. */
function nextBudget(budget: bigint, took: number): bigint {
  const wanted = took <= 0 ? MOST_CHANGE : SLICE_MS / took;
  const factor = Math.min(MOST_CHANGE, Math.max(1 / MOST_CHANGE, wanted));
  return BigInt(Math.max(SHORTEST_SLICE, Math.floor(Number(budget) * factor)));
}
