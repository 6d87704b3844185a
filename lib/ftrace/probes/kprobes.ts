/**
 * kprobes: breakpoints in guest text, registered, armed and taken out.
 *
 * The breakpoint is as long as the instruction it replaces. When it is hit, the instruction is
 * executed out of line, from a slot of the tracing range that ends in another ebreak, or, where its
 * effect depends on pc, simulated by the engine at its own address (`arch/riscv/kernel/probes`).
 * On a kernel of the REGS era a probe on a function's entry has no breakpoint: ftrace calls it.
 *
 * Where a probe may be is `kprobe_check.ts`; what happens at a hit is `kprobe_hits.ts`; which are
 * there is `kprobe_table.ts`; returns are `kretprobe.ts`.
 *
 * @module
 */
import { bindMethods } from "../bound.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import { FtraceError } from "../ftrace_error.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import { type Kprobe, type KprobeRegistration, probeAddress, type ProbePlace } from "./kprobe.ts";
import type { KprobeCheck } from "./kprobe_check.ts";
import { KprobeHits } from "./kprobe_hits.ts";
import { EBREAK, KprobeSlots } from "./kprobe_slots.ts";
import { KprobeTable, type PlacedKprobe, type ProbeKind, type ProbePoint } from "./kprobe_table.ts";
import { KprobesOnFtrace } from "./kprobes_on_ftrace.ts";

/** What {@linkcode Kprobes} stands on. */
export interface KprobesContext {
  /** The machine that is probed. */
  readonly machine: Machine;
  /** Sites, the patcher, and ftrace's callbacks. */
  readonly core: FunctionCore;
  /** Where a probe may be. */
  readonly check: KprobeCheck;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
}

const C_EBREAK = Uint8Array.of(0x02, 0x90);

/** Kprobes of one machine. */
export class Kprobes {
  readonly #machine: Machine;
  readonly #core: FunctionCore;
  readonly #check: KprobeCheck;
  readonly #report: (line: string) => void;
  readonly #table: KprobeTable;
  readonly #slots: KprobeSlots;
  readonly #onFtrace: KprobesOnFtrace;
  /** Registrations of probes, the last one of each, also when it is over. */
  readonly #registrations = new WeakMap<Kprobe, KprobeRegistration>();

  /** Serves the machine's breakpoints; no probe is placed. */
  constructor({ machine, core, check, report }: KprobesContext) {
    bindMethods(this);
    this.#machine = machine;
    this.#core = core;
    this.#check = check;
    this.#report = report;
    const table = this.#table = new KprobeTable(machine.symbols);
    this.#slots = new KprobeSlots(machine);
    const hits = new KprobeHits({
      engine: machine.engine,
      table,
      siteSize: core.patcher.scheme.mcountInsnSize,
      report,
      follow: (point) => this.#follow(point),
    });
    this.#onFtrace = new KprobesOnFtrace(core, table, hits);
    machine.onBreakpoint((hart, trap) => hits.serve(hart, trap));
    machine.unwinder.probedBits = (pc) => table.at(pc)?.place.bits;
    core.patcher.onOverwrite = (address) => this.#reportOverwritten(address);
  }

  /**
   * How a probe at an address would be placed, or the refusal: EINVAL, EILSEQ where it may not be.
   * Nothing is placed.
   */
  verdict(address: bigint): ProbePlace | FtraceError {
    // Where there is a probe, its breakpoint is not the instruction.
    return this.#table.at(address)?.place ?? this.#check(address);
  }

  /** How a probe at an address would be placed. @throws {FtraceError} See {@linkcode Kprobes.verdict}. */
  check(address: bigint): ProbePlace {
    return placeOf(this.verdict(address));
  }

  /**
   * Places a probe (`register_kprobe`); disposing takes it away.
   *
   * @throws {FtraceError} What {@linkcode Kprobes.verdict} gives; ENOENT for an unknown symbol, EINVAL
   *   if it is registered, ENOMEM when slots run out.
   */
  register(kp: Kprobe, kind: ProbeKind = "k"): KprobeRegistration {
    if (this.#table.of(kp)) {
      throw new FtraceError(
        "EINVAL",
        "already-enabled",
        `Cannot register the kprobe at ${kp.at}: it is registered`,
      );
    }
    const lookup = (name: string) => this.#machine.symbols.called(name)[0]?.address;
    const address = typeof kp.at === "bigint" ? kp.at : probeAddress(kp.at, lookup);
    const point = this.#table.at(address) ?? this.#makePoint(address);
    const disabled = kp.disabled ?? false;
    const placed: PlacedKprobe = { kp, kind, point, disabled, nhit: 0, nmissed: 0 };
    this.#table.add(placed);
    try {
      this.#follow(point);
    } catch (error) {
      // ftrace has refused: another ops owns the ip, or ftrace is off for good.
      point.armed = false;
      this.#forget(placed);
      throw error;
    }
    return this.#registration(placed);
  }

  /** Takes it away (`unregister_kprobe`). @throws {FtraceError} EINVAL if it is not registered. */
  unregister(kp: Kprobe): void {
    const placed = this.#placed(kp, "unregister");
    const { point } = placed;
    point.probes = point.probes.filter((each) => each !== placed);
    try {
      this.#follow(point);
    } finally {
      this.#forget(placed);
    }
  }

  /** Arms it (`enable_kprobe`). @throws {FtraceError} EINVAL if it is not registered. */
  enable(kp: Kprobe): void {
    const placed = this.#placed(kp, "enable");
    placed.disabled = false;
    this.#follow(placed.point);
  }

  /** Disarms it and keeps it (`disable_kprobe`). @throws {FtraceError} EINVAL if it is not registered. */
  disable(kp: Kprobe): void {
    const placed = this.#placed(kp, "disable");
    placed.disabled = true;
    this.#follow(placed.point);
  }

  /** Counts and state of a probe that is registered, or was; undefined if it never was. */
  of(kp: Kprobe): KprobeRegistration | undefined {
    return this.#registrations.get(kp);
  }

  /** Address of a registered probe, or undefined. */
  addressOf(kp: Kprobe): bigint | undefined {
    return this.#table.of(kp)?.point.place.address;
  }

  /** Whether a hit of the probe comes from ftrace, not from a breakpoint. */
  isOnFtrace(kp: Kprobe): boolean {
    return this.#table.of(kp)?.point.place.record !== undefined;
  }

  /** Runs a handler during which probes that the hart hits are missed. */
  whileBusy<T>(hart: Hart, body: () => T): T {
    const { running } = this.#table;
    const outermost = !running.has(hart);
    running.add(hart);
    try {
      return body();
    } finally {
      if (outermost) running.delete(hart);
    }
  }

  /** `/sys/kernel/debug/kprobes/list`. */
  list(): string {
    return this.#table.list();
  }

  #makePoint(address: bigint): ProbePoint {
    const place = placeOf(this.#check(address));
    const original = this.#machine.space.peek(address, place.length)!;
    const point: ProbePoint = { place, probes: [], original, armed: false, slot: undefined };
    const name = this.#table.nameOf(point);
    if (place.warning) this.#report(`kprobe at ${name}: ${place.warning}`);
    if (!place.simulated && !place.record) point.slot = this.#slots.take(original, name);
    this.#table.addPoint(point);
    return point;
  }

  #registration(placed: PlacedKprobe): KprobeRegistration {
    const registration: KprobeRegistration = {
      get nhit() {
        return placed.nhit;
      },
      get nmissed() {
        return placed.nmissed;
      },
      get disabled() {
        return placed.disabled;
      },
      [Symbol.dispose]: () => {
        if (this.#table.of(placed.kp) === placed) this.unregister(placed.kp);
      },
    };
    this.#registrations.set(placed.kp, registration);
    return registration;
  }

  #placed(kp: Kprobe, what: string): PlacedKprobe {
    const placed = this.#table.of(kp);
    if (placed) return placed;
    throw new FtraceError(
      "EINVAL",
      "not-enabled",
      `Cannot ${what} the kprobe at ${kp.at}: it is not registered`,
    );
  }

  #forget(placed: PlacedKprobe): void {
    const { slot } = placed.point;
    if (this.#table.forget(placed) && slot !== undefined) this.#slots.release(slot);
  }

  /** Arms a point that has a probe which is not disabled, and no other. */
  #follow(point: ProbePoint): void {
    const wanted = point.probes.some(({ disabled }) => !disabled);
    if (wanted && !point.armed) this.#arm(point);
    else if (!wanted && point.armed) this.#disarm(point);
    else if (wanted && point.place.record) this.#onFtrace.update();
  }

  #arm(point: ProbePoint): void {
    point.armed = true;
    if (point.place.record) return this.#onFtrace.update();
    this.#core.patcher.insertBreakpoint(Number(point.place.address), breakpointOf(point));
  }

  #disarm(point: ProbePoint): void {
    point.armed = false;
    if (point.place.record) return this.#onFtrace.update();
    const { address } = point.place;
    const breakpoint = breakpointOf(point);
    const there = this.#machine.space.peek(address, breakpoint.length);
    const isThere = breakpoint.every((byte, k) => there?.[k] === byte);
    this.#core.patcher.removeBreakpoint(Number(address), point.original);
    if (isThere) return;
    this.#report(
      `kprobe at ${this.#table.nameOf(point)}: taking it out has written its instruction over ` +
        "what ftrace had put there, which no longer calls a tracer; stop tracing the function " +
        "and start again",
    );
  }

  #reportOverwritten(address: number): void {
    const point = this.#table.at(BigInt(address));
    if (!point?.armed) return;
    this.#report(
      `kprobe at ${this.#table.nameOf(point)}: ftrace has switched the function's site and ` +
        "overwritten the breakpoint; the probe is dead",
    );
  }
}

function placeOf(verdict: ProbePlace | FtraceError): ProbePlace {
  if (verdict instanceof FtraceError) throw verdict;
  return verdict;
}

function breakpointOf({ place }: ProbePoint): Uint8Array {
  return place.length === 2 ? C_EBREAK : EBREAK;
}
