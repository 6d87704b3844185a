/**
 * kprobes: breakpoints in guest text, and what is done when a hart runs into one.
 *
 * The breakpoint is as long as the instruction it replaces. When it is hit, the instruction is
 * executed out of line, from a slot of the tracing range that ends in another ebreak, or, where its
 * effect depends on pc, simulated by the engine at its own address (`arch/riscv/kernel/probes`).
 * All of a hit happens inside one breakpoint trap: no signal, no other hart and no end of a run
 * comes in between, and `instret` counts the one instruction that the guest has. On a kernel of the
 * REGS era a probe on a function's entry has no breakpoint: ftrace calls it.
 *
 * A hart keeps what an `lr` has reserved across a hit; a real kernel's way back would drop it, and a
 * probe between lr and sc would never let the loop end.
 *
 * Where a probe may be is `kprobe.ts`; returns are `kretprobe.ts`.
 *
 * @module
 */
import type { Stop } from "../../engine/engine.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../memory/page.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import type { TracedCall } from "../ops/served_call.ts";
import { describe, refusePromise } from "../callbacks.ts";
import { createHash } from "../ops/filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import {
  type AnyFtraceOps,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_SAVE_REGS,
  type FtraceRegistration,
} from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import { type Kprobe, type KprobeCheck, probeAddress, type ProbePlace } from "./kprobe.ts";

/** What `kprobes/list` calls a probe: `r` is the one at the entry of a function that a kretprobe is on. */
export type ProbeKind = "k" | "r";

/** Kprobes of one machine. */
export interface Kprobes {
  /** Places a probe (`register_kprobe`). @throws {FtraceError} See {@linkcode Kprobes.check}; ENOENT, EINVAL if registered, ENOMEM when slots run out. */
  register(kp: Kprobe, kind?: ProbeKind): Disposable;
  /** Takes it away (`unregister_kprobe`). @throws {FtraceError} EINVAL if it is not registered. */
  unregister(kp: Kprobe): void;
  /** Arms it (`enable_kprobe`). @throws {FtraceError} EINVAL if it is not registered. */
  enable(kp: Kprobe): void;
  /** Disarms it and keeps it (`disable_kprobe`). @throws {FtraceError} EINVAL if it is not registered. */
  disable(kp: Kprobe): void;
  /** How a probe at an address would be placed. @throws {FtraceError} EINVAL, EILSEQ where it may not. */
  check: KprobeCheck;
  /** Address of a registered probe, or undefined. */
  addressOf(kp: Kprobe): bigint | undefined;
  /** Whether a hit of the probe comes from ftrace, not from a breakpoint. */
  isOnFtrace(kp: Kprobe): boolean;
  /** Runs a handler during which probes that the hart hits are missed. */
  whileBusy<T>(hart: Hart, body: () => T): T;
  /** `/sys/kernel/debug/kprobes/list`. */
  list(): string;
}

/** What {@linkcode createKprobes} needs. */
export interface KprobesContext {
  /** The machine. */
  readonly machine: Machine;
  /** Sites, the patcher, and ftrace's callbacks. */
  readonly core: FunctionCore;
  /** Where a probe may be. */
  readonly check: KprobeCheck;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
}

/** All probes of one address (`struct kprobe` of an aggregate). */
interface ProbePoint {
  readonly place: ProbePlace;
  readonly address: number;
  /** Newest first, as the kernel's list is. */
  probes: readonly Kprobe[];
  /** The bytes that the breakpoint replaces; as they were when the first probe was registered. */
  readonly original: Uint8Array;
  armed: boolean;
  slot: number | undefined;
}

const EBREAK = Uint8Array.of(0x73, 0x00, 0x10, 0x00);
const C_EBREAK = Uint8Array.of(0x02, 0x90);
const SLOT_SIZE = 8;
const KPROBE_HASH_BITS = 6n;
const GOLDEN_RATIO_64 = 0x61c8864680b583ebn;

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

/** Order of `kprobe_table`: the bucket that an address hashes to (`hash_ptr` of six bits). */
export function kprobeBucket(address: bigint): number {
  return Number(BigInt.asUintN(64, address * GOLDEN_RATIO_64) >> (64n - KPROBE_HASH_BITS));
}

/** Makes the kprobes of one machine, none of them placed. */
export function createKprobes({ machine, core, check, report }: KprobesContext): Kprobes {
  const { space, engine, symbols } = machine;
  const { patcher } = core;
  /** In the order of `kprobe_table`'s chains: newest first. */
  let points: readonly ProbePoint[] = [];
  const byAddress = new Map<number, ProbePoint>();
  const byProbe = new Map<Kprobe, ProbePoint>();
  const kinds = new WeakMap<Kprobe, ProbeKind>();
  /** Harts whose probe's handlers run (`current_kprobe`). */
  const running = new Set<Hart>();
  const freeSlots: number[] = [];

  const nameOf = ({ place: { address } }: ProbePoint) => {
    const found = symbols.at(address)!;
    return `${found.symbol.name}+0x${found.offset.toString(16)}`;
  };

  const slotPage = (point: ProbePoint): number => {
    try {
      return machine.tracing.allocate(PAGE_SIZE, READ | EXECUTE);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new FtraceError(
        "ENOMEM",
        "too-many",
        `Cannot place a kprobe at ${nameOf(point)}: there is no slot left to step it in`,
        "fewer probes at a time",
      );
    }
  };
  const takeSlot = (point: ProbePoint): number => {
    if (freeSlots.length === 0) {
      const page = slotPage(point);
      for (let at = PAGE_SIZE - SLOT_SIZE; at >= 0; at -= SLOT_SIZE) freeSlots.push(page + at);
    }
    const slot = freeSlots.pop()!;
    space.poke(BigInt(slot), point.original);
    space.poke(BigInt(slot + point.place.length), EBREAK);
    machine.fenceI();
    return slot;
  };

  const arm = (point: ProbePoint) => {
    point.armed = true;
    if (point.place.record) return updateFtrace();
    patcher.insertBreakpoint(point.address, point.place.length === 2 ? C_EBREAK : EBREAK);
  };
  const disarm = (point: ProbePoint) => {
    point.armed = false;
    if (point.place.record) return updateFtrace();
    const breakpoint = point.place.length === 2 ? C_EBREAK : EBREAK;
    const there = space.peek(BigInt(point.address), breakpoint.length);
    const isThere = breakpoint.every((byte, k) => there?.[k] === byte);
    patcher.removeBreakpoint(point.address, point.original);
    if (isThere) return;
    report(
      `kprobe at ${
        nameOf(point)
      }: taking it out has written its instruction over what ftrace had ` +
        "put there, which no longer calls a tracer; stop tracing the function and start again",
    );
  };
  const follow = (point: ProbePoint) => {
    const wanted = point.probes.some(({ disabled }) => !disabled);
    if (wanted && !point.armed) arm(point);
    else if (!wanted && point.armed) disarm(point);
    else if (wanted && point.place.record) updateFtrace();
  };

  patcher.onOverwrite = (address) => {
    const point = byAddress.get(address);
    if (!point?.armed) return;
    report(
      `kprobe at ${nameOf(point)}: ftrace has switched the function's site and overwritten the ` +
        "breakpoint; the probe is dead",
    );
  };

  /** Runs a handler; one that throws disables its probe. */
  const call = <T>(kp: Kprobe, point: ProbePoint, body: () => T): T | undefined => {
    try {
      return refusePromise(body());
    } catch (error) {
      report(
        `[kprobe] Cannot serve the probe at ${nameOf(point)}: ${describe(error)}; it is disabled`,
      );
      kp.disabled = true;
      if (byProbe.get(kp) === point) follow(point);
      return undefined;
    }
  };

  /** Whether a pre-handler has sent the hart elsewhere. */
  const runPreHandlers = (
    point: ProbePoint,
    probes: readonly Kprobe[],
    regs: PtRegs,
    hart: Hart,
  ): boolean => {
    for (const kp of probes) {
      kp.nhit = (kp.nhit ?? 0) + 1;
      if (kp.preHandler && call(kp, point, () => kp.preHandler!(kp, regs, hart))) return true;
    }
    return false;
  };

  /** Executes the probed instruction; gives what it trapped with, of which nothing has happened. */
  const stepOver = (hart: Hart, { address, place, slot, armed }: ProbePoint): Trap | undefined => {
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
    hart.pc = BigInt(address + place.length);
    return undefined;
  };

  const serve = (hart: Hart, trap: Trap): Trap | undefined => {
    const point = byAddress.get(Number(trap.pc));
    if (!point?.armed || point.place.record) return trap;
    hart.charge(1);
    const probes = point.probes.filter(({ disabled }) => !disabled);
    if (running.has(hart)) {
      for (const kp of point.probes) kp.nmissed = (kp.nmissed ?? 0) + 1;
      return stepOver(hart, point);
    }
    running.add(hart);
    try {
      const regs = hartRegs(hart);
      if (runPreHandlers(point, probes, regs, hart)) return undefined;
      const fault = stepOver(hart, point);
      if (fault) return fault;
      for (const kp of probes) {
        if (kp.postHandler) call(kp, point, () => kp.postHandler!(kp, regs, hart));
      }
      return undefined;
    } finally {
      running.delete(hart);
    }
  };
  machine.onBreakpoint(serve);
  machine.unwinder.probedBits = (pc) => byAddress.get(Number(pc))?.place.bits;

  // Probes that ftrace serves share two ops, as in the kernel: one for those with a postHandler,
  // which says that it may change the ip.
  const onFtrace = (name: string, ipmodify: boolean) => {
    const hash = createHash();
    const flags = FTRACE_OPS_FL_SAVE_REGS | (ipmodify ? FTRACE_OPS_FL_IPMODIFY : 0);
    const ops: AnyFtraceOps = { name, flags, hash };
    let registration: FtraceRegistration | undefined;
    return () => {
      const wanted = points.filter((point) =>
        point.armed && point.place.record &&
        ipmodify === point.probes.some(({ postHandler }) => postHandler !== undefined)
      );
      const next = new Set(wanted.map(({ place }) => place.record!.index));
      if (next.size === 0) {
        registration?.unregister();
        registration = undefined;
      } else if (registration) {
        if (next.size === hash.filter.size && next.isSubsetOf(hash.filter)) return;
        core.commitHash(hash, "filter", { records: next, waiting: [] });
      } else {
        hash.filter.clear();
        for (const index of next) hash.filter.add(index);
        registration = core.registerInternal(ops, (traced) => serveFtrace(traced, ipmodify));
      }
    };
  };
  const updaters = [onFtrace("kprobe_ftrace_ops", false), onFtrace("kprobe_ipmodify_ops", true)];
  const updateFtrace = () => updaters.forEach((update) => update());

  const serveFtrace = ({ hart, record, fregs }: TracedCall, ipmodify: boolean) => {
    const point = byAddress.get(Number(record.entry));
    const regs = fregs.getRegs();
    if (!point?.armed || !regs) return;
    const probes = point.probes.filter(({ disabled }) => !disabled);
    if (running.has(hart)) {
      for (const kp of point.probes) kp.nmissed = (kp.nmissed ?? 0) + 1;
      return;
    }
    running.add(hart);
    try {
      const resume = regs.epc;
      regs.epc = point.place.address;
      if (runPreHandlers(point, probes, regs, hart)) {
        if (ipmodify || regs.epc === resume) return;
        report(
          `[kprobe] The probe at ${
            nameOf(point)
          } changed the ip and has no postHandler, which is ` +
            "what tells ftrace (IPMODIFY) that it may; the change is undone",
        );
      } else {
        regs.epc = point.place.address + BigInt(core.patcher.scheme.mcountInsnSize);
        for (const kp of probes) {
          if (kp.postHandler) call(kp, point, () => kp.postHandler!(kp, regs, hart));
        }
      }
      regs.epc = resume;
    } finally {
      running.delete(hart);
    }
  };

  const pointOf = (kp: Kprobe, what: string): ProbePoint => {
    const point = byProbe.get(kp);
    if (point) return point;
    throw new FtraceError(
      "EINVAL",
      "not-enabled",
      `Cannot ${what} the kprobe at ${kp.at}: it is not registered`,
    );
  };

  const forget = (kp: Kprobe, point: ProbePoint) => {
    byProbe.delete(kp);
    point.probes = point.probes.filter((each) => each !== kp);
    if (point.probes.length > 0) return;
    points = points.filter((each) => each !== point);
    byAddress.delete(point.address);
    if (point.slot !== undefined) freeSlots.push(point.slot);
  };
  const unregister = (kp: Kprobe) => {
    const point = pointOf(kp, "unregister");
    point.probes = point.probes.filter((each) => each !== kp);
    try {
      follow(point);
    } finally {
      forget(kp, point);
    }
  };

  const lookup = (name: string) => symbols.named(name)[0]?.address;
  return {
    // Where there is a probe, its breakpoint is not the instruction.
    check: (address) => byAddress.get(Number(address))?.place ?? check(address),
    register(kp, kind = "k") {
      if (byProbe.has(kp)) {
        throw new FtraceError(
          "EINVAL",
          "already-enabled",
          `Cannot register the kprobe at ${kp.at}: it is registered`,
        );
      }
      const address = typeof kp.at === "bigint" ? kp.at : probeAddress(kp.at, lookup);
      let point = byAddress.get(Number(address));
      if (!point) {
        const place = check(address);
        const at = Number(address);
        point = {
          place,
          address: at,
          probes: [],
          original: space.peek(BigInt(at), place.length)!,
          armed: false,
          slot: undefined,
        };
        if (place.warning) report(`kprobe at ${nameOf(point)}: ${place.warning}`);
        if (!place.simulated && !place.record) point.slot = takeSlot(point);
        points = [point, ...points];
        byAddress.set(at, point);
      }
      kp.nhit ??= 0;
      kp.nmissed ??= 0;
      point.probes = [kp, ...point.probes];
      byProbe.set(kp, point);
      kinds.set(kp, kind);
      try {
        follow(point);
      } catch (error) {
        // ftrace has refused: another ops owns the ip, or ftrace is off for good.
        point.armed = false;
        forget(kp, point);
        throw error;
      }
      return {
        [Symbol.dispose]() {
          if (byProbe.has(kp)) unregister(kp);
        },
      };
    },
    unregister,
    enable(kp) {
      const point = pointOf(kp, "enable");
      kp.disabled = false;
      follow(point);
    },
    disable(kp) {
      const point = pointOf(kp, "disable");
      kp.disabled = true;
      follow(point);
    },
    addressOf: (kp) => byProbe.get(kp)?.place.address,
    isOnFtrace: (kp) => byProbe.get(kp)?.place.record !== undefined,
    whileBusy(hart, body) {
      const outermost = !running.has(hart);
      running.add(hart);
      try {
        return body();
      } finally {
        if (outermost) running.delete(hart);
      }
    },
    list() {
      const ordered = points.map((point) => ({ point, bucket: kprobeBucket(point.place.address) }))
        .sort((a, b) => a.bucket - b.bucket);
      return ordered.map(({ point }) => point.probes.map((kp) => listLine(kp, point)).join(""))
        .join("");
    },
  };

  function listLine(kp: Kprobe, point: ProbePoint): string {
    const address = point.place.address.toString(16).padStart(16, "0");
    const kind = kinds.get(kp);
    const marks = (kp.disabled ? "[DISABLED]" : "") + (point.place.record ? "[FTRACE]" : "");
    // The third column is the module's name, which the kernel has not for itself.
    return `${address}  ${kind}  ${nameOf(point)}    ${marks}\n`;
  }
}

function trapOf(stop: Stop | undefined): Trap | undefined {
  return stop?.kind === "trap" ? stop.trap : undefined;
}
