/**
 * Serves a hart that runs into a kprobe.
 *
 * All of a hit happens inside one breakpoint trap: handlers before, the instruction out of line or
 * simulated, handlers behind. No signal, no other hart and no end of a run comes in between, and
 * `instret` counts the one instruction that the guest has. A hart keeps what an `lr` has reserved
 * across a hit; a real kernel's way back would drop it, and a probe between lr and sc would never
 * let the loop end.
 *
 * How probes are placed is `kprobes.ts`.
 *
 * @module
 */
import type { Engine, Stop } from "../../engine/engine.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import { describe, refusePromise } from "../callbacks.ts";
import type { TracedCall } from "../ops/served_call.ts";
import type { KprobeTable, PlacedKprobe, ProbePoint } from "./kprobe_table.ts";

/** What {@linkcode KprobeHits} stands on. */
export interface KprobeHitsParts {
  /** Executes the probed instruction. */
  readonly engine: Engine;
  /** Which probes are where. */
  readonly table: KprobeTable;
  /** Bytes of a site, behind which a hart goes on that ftrace has led to a probe. */
  readonly siteSize: number;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
  /** Arms or disarms a point, one of whose probes has become disabled. */
  readonly follow: (point: ProbePoint) => void;
}

/** A view on a hart's own registers. */
export function hartRegs(hart: Hart): PtRegs {
  return {
    get epc() {
      return hart.pc;
    },
    set epc(value) {
      hart.pc = value;
    },
    x: (number) => BigInt.asUintN(64, hart.x[number]!),
    setX(number, value) {
      if (number !== 0) hart.x[number] = value;
    },
  };
}

/** Serves the hits of one machine's kprobes. */
export class KprobeHits {
  readonly #parts: KprobeHitsParts;
  readonly #table: KprobeTable;

  /** Serves the probes of a table. */
  constructor(parts: KprobeHitsParts) {
    this.#parts = parts;
    this.#table = parts.table;
  }

  /**
   * Serves a breakpoint trap. Gives the trap that is left for the guest: of the probed instruction,
   * or the breakpoint itself if it is not a probe's.
   */
  serve(hart: Hart, trap: Trap): Trap | undefined {
    const { running } = this.#table;
    const point = this.#table.at(trap.pc);
    if (!point?.armed || point.place.record) return trap;
    hart.charge(1);
    const probes = point.probes.filter(({ disabled }) => !disabled);
    if (running.has(hart)) {
      for (const placed of point.probes) placed.nmissed++;
      return this.#stepOver(hart, point);
    }
    running.add(hart);
    try {
      const regs = hartRegs(hart);
      if (this.#runPreHandlers(probes, regs, hart)) return undefined;
      const fault = this.#stepOver(hart, point);
      if (!fault) this.#runPostHandlers(probes, regs, hart);
      return fault;
    } finally {
      running.delete(hart);
    }
  }

  /** Serves a call that ftrace has led to a probe; `ipmodify` says whether it may change the ip. */
  serveFtrace({ hart, record, fregs }: TracedCall, ipmodify: boolean): void {
    const { running } = this.#table;
    const point = this.#table.at(record.entry);
    const regs = fregs.getRegs();
    if (!point?.armed || !regs) return;
    const probes = point.probes.filter(({ disabled }) => !disabled);
    if (running.has(hart)) {
      for (const placed of point.probes) placed.nmissed++;
      return;
    }
    running.add(hart);
    try {
      const resume = regs.epc;
      regs.epc = point.place.address;
      if (this.#runPreHandlers(probes, regs, hart)) {
        if (ipmodify || regs.epc === resume) return;
        this.#parts.report(
          `[kprobe] The probe at ${this.#table.nameOf(point)} changed the ip and has no ` +
            "postHandler, which is what tells ftrace (IPMODIFY) that it may; the change is undone",
        );
      } else {
        regs.epc = point.place.address + BigInt(this.#parts.siteSize);
        this.#runPostHandlers(probes, regs, hart);
      }
      regs.epc = resume;
    } finally {
      running.delete(hart);
    }
  }

  /** Whether a pre-handler has sent the hart elsewhere. */
  #runPreHandlers(probes: readonly PlacedKprobe[], regs: PtRegs, hart: Hart): boolean {
    for (const placed of probes) {
      placed.nhit++;
      const { kp } = placed;
      if (kp.preHandler && this.#call(placed, () => kp.preHandler!(kp, regs, hart))) return true;
    }
    return false;
  }

  #runPostHandlers(probes: readonly PlacedKprobe[], regs: PtRegs, hart: Hart): void {
    for (const placed of probes) {
      const { kp } = placed;
      if (kp.postHandler) this.#call(placed, () => kp.postHandler!(kp, regs, hart));
    }
  }

  /** Runs a handler; one that throws disables its probe. */
  #call<T>(placed: PlacedKprobe, body: () => T): T | undefined {
    try {
      return refusePromise(body());
    } catch (error) {
      const name = this.#table.nameOf(placed.point);
      this.#parts.report(
        `[kprobe] Cannot serve the probe at ${name}: ${describe(error)}; it is disabled`,
      );
      placed.disabled = true;
      if (this.#table.of(placed.kp) === placed) this.#parts.follow(placed.point);
      return undefined;
    }
  }

  /** Executes the probed instruction; gives what it trapped with, of which nothing has happened. */
  #stepOver(hart: Hart, { place, slot, armed }: ProbePoint): Trap | undefined {
    const { engine } = this.#parts;
    hart.pc = place.address;
    // A handler may have taken the probe out: then the instruction is where it belongs.
    if (!armed) return trapOf(engine.step(hart));
    if (slot === undefined) return trapOf(engine.executeBits(hart, place.bits));
    hart.pc = BigInt(slot);
    const trap = trapOf(engine.step(hart));
    if (trap) {
      hart.pc = place.address;
      return { ...trap, pc: place.address, bits: place.bits };
    }
    // It is the guest's own instruction, wherever it was executed.
    hart.overhead -= 1n;
    hart.instret += 1n;
    engine.step(hart);
    hart.charge(1);
    hart.pc = place.address + BigInt(place.length);
    return undefined;
  }
}

function trapOf(stop: Stop | undefined): Trap | undefined {
  return stop?.kind === "trap" ? stop.trap : undefined;
}
