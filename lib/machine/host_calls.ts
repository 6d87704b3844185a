/**
 * What of tracing happens on a hart: host calls, breakpoints, and the way out of sites and
 * trampolines.
 *
 * A guest must never see itself inside a call site whose words are being changed, or inside a
 * trampoline. So harts are stepped out of them before a site changes (parking), and before an
 * interrupt is taken. A hart whose handler is running counts as outside: it goes on where the
 * handler says.
 *
 * What the trampolines are is `lib/trampoline`; what the handlers do, `lib/ftrace`.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import { Cause } from "../isa/sem.ts";
import type { SiteSource } from "../program/sites.ts";
import type { Schedule } from "./schedule.ts";

/** Serves the host call at one address; it sets `hart.pc`. */
export type HostCallHandler = (hart: Hart) => void;

/**
 * Takes a breakpoint trap before the guest does. Gives undefined if the trap was its own, else the
 * trap that the guest is to get.
 */
export type BreakpointHandler = (hart: Hart, trap: Trap) => Trap | undefined;

/** The engine, harts and sites that {@linkcode HostCalls} works on. */
export interface HostCallParts {
  /** The engine that steps harts. */
  readonly engine: Engine;
  /** All harts of the machine. */
  readonly harts: readonly Hart[];
  /** Makes a hart the running one while it is stepped. */
  readonly schedule: Schedule;
  /** The program's call sites, where it was loaded. */
  readonly sites: readonly SiteSource[];
  /** Seed of the schedule, for the line about a torn pair. */
  readonly seed: bigint;
  /** Whether harts are left where they are while sites change. */
  readonly parkDisabled: boolean;
  /** Takes the line about a torn pair. */
  readonly warn: (line: string) => void;
}

/** A hart that is not outside after so many steps is left where it is. */
const MOST_STEPS = 64;

/** Handlers of host calls and breakpoints, and which harts are inside one. */
export class HostCalls {
  readonly #parts: HostCallParts;
  readonly #handlers = new Map<number, HostCallHandler>();
  #breakpoint: BreakpointHandler = (_hart, trap) => trap;
  /** Harts that are inside a handler; they are where they may be. */
  readonly #calling = new Set<Hart>();
  /** Harts that were reported to be between an old word and a new one. */
  readonly #torn = new Set<Hart>();
  /**
   * Addresses inside sites, behind their first instruction. The last words of a site are followed
   * by what a trampoline comes back to.
   */
  readonly #siteBytes: ReadonlySet<number>;

  /** Starts without handlers. */
  constructor(parts: HostCallParts) {
    this.#parts = parts;
    this.#siteBytes = new Set(
      parts.sites.filter(({ after }) => after >= 8).flatMap(({ entry }) =>
        [2, 4, 6].map((offset) => Number(entry) + offset)
      ),
    );
  }

  /** Calls `handler` from now on when a hart executes the host call at `address`. */
  onHostCall(address: number, handler: HostCallHandler): void {
    this.#handlers.set(address, handler);
  }

  /** Offers each breakpoint trap to `handler` from now on, and to nobody else. */
  onBreakpoint(handler: BreakpointHandler): void {
    this.#breakpoint = handler;
  }

  /**
   * Serves the host call that a hart has trapped on, and counts it as overhead.
   *
   * @throws {RangeError} If nobody serves host calls at its address.
   */
  serveHostCall(hart: Hart, trap: Trap): void {
    const handler = this.#handlers.get(Number(trap.pc));
    if (!handler) {
      throw new RangeError(
        `Cannot serve the host call at 0x${trap.pc.toString(16)}: nobody asked for it`,
      );
    }
    hart.overhead += 1n;
    this.#inside(hart, () => handler(hart));
  }

  /** Serves a trap that belongs to tracing; gives the trap that is left for the guest. */
  serve(hart: Hart, trap: Trap): Trap | undefined {
    if (trap.cause === Cause.Breakpoint) {
      return this.#inside(hart, () => this.#breakpoint(hart, trap));
    }
    if (trap.cause !== Cause.HostCall) return trap;
    this.serveHostCall(hart, trap);
    return undefined;
  }

  /** Executes one instruction and what it leads to in tracing; gives the trap that is left. */
  step(hart: Hart): Trap | undefined {
    const stop = this.#parts.engine.step(hart);
    return stop?.kind === "trap" ? this.serve(hart, stop.trap) : undefined;
  }

  /**
   * Leads a hart out of sites and trampolines, so that an interrupt sees neither.
   *
   * @returns False if it has stopped inside: it traps there, or a hook wants it to stop.
   */
  leaveTracing(hart: Hart): boolean {
    this.#stepOut(hart, (pc) => this.#siteBytes.has(pc));
    for (;;) {
      const stop = this.#parts.engine.leaveTracingRange(hart);
      if (!stop) return true;
      if (stop.kind !== "trap" || stop.trap.cause !== Cause.HostCall) return false;
      this.serveHostCall(hart, stop.trap);
    }
  }

  /**
   * Steps each hart that is stopped at a pc `inside` until it no longer is, but for one that is in a
   * handler. With parking disabled, only reports them.
   *
   * @returns How many instructions that took.
   */
  park(inside: (pc: number) => boolean): number {
    const { harts, schedule, parkDisabled } = this.#parts;
    const { running } = schedule;
    let steps = 0;
    for (const hart of harts) {
      if (this.#calling.has(hart) || !inside(Number(hart.pc))) continue;
      if (parkDisabled) this.#reportTorn(hart);
      else {
        schedule.enter(hart);
        steps += this.#stepOut(hart, inside);
      }
    }
    schedule.enter(running);
    return steps;
  }

  /** Steps a hart until it is outside, or traps; gives in how many instructions. */
  #stepOut(hart: Hart, isInside: (pc: number) => boolean): number {
    let steps = 0;
    while (isInside(Number(hart.pc)) && steps < MOST_STEPS && !this.step(hart)) steps++;
    return steps;
  }

  /** Runs a handler on a hart; one may run inside another. */
  #inside<T>(hart: Hart, body: () => T): T {
    const outermost = !this.#calling.has(hart);
    this.#calling.add(hart);
    try {
      return body();
    } finally {
      if (outermost) this.#calling.delete(hart);
    }
  }

  /** Says once of a hart that it is about to execute an old word and a new one. */
  #reportTorn(hart: Hart): void {
    if (this.#torn.has(hart)) return;
    this.#torn.add(hart);
    this.#parts.warn(
      `hart ${hart.id} was at 0x${
        hart.pc.toString(16)
      }, between two words that were changed together, ` +
        `after ${hart.instret} instructions: a torn pair (--no-park, --seed ${this.#parts.seed})`,
    );
  }
}
