/**
 * A machine: a program, memory, harts, an engine, and a platform that answers its traps.
 *
 * `run()` works in slices and lets the host's events through between them, because a busy loop sees
 * no Ctrl-C, no timer and no standard input. Slices do not show: they end between instructions, and
 * nothing that the guest can observe depends on where.
 *
 * What a trap means is the platform's affair (`platform.ts`); who executes instructions is `lib/engine`.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Engine } from "../engine/engine.ts";
import { DEFAULT_ENGINE, type EngineName, ENGINES } from "../engine/engines.ts";
import { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import { parseIsaString } from "../isa/isa_string.ts";
import { Cause } from "../isa/sem.ts";
import { EXECUTE, Memory, PAGE_SIZE, READ, WRITE } from "../memory/memory.ts";
import { type AddressSpace, FlatSpace } from "../memory/space.ts";
import { createUnwinder, type Unwinder } from "../program/unwinder.ts";
import { createBare } from "./board/bare.ts";
import { type Elf, parseElf } from "../program/elf.ts";
import { createLinux } from "./linux/linux.ts";
import type { Outcome } from "./outcome.ts";
import type { PlatformContext, PlatformOptions } from "./platform.ts";
import { createSchedule } from "./schedule.ts";
import { readSites, type SiteSource } from "../program/sites.ts";
import { SymbolTable } from "../program/symbols.ts";
import { createTracingRange, type MachineTracingRange } from "./tracing_range.ts";

/** Options of {@linkcode createMachine}. */
export interface MachineOptions extends PlatformOptions {
  /** Who executes instructions; the WASM interpreter if absent. */
  readonly engine?: EngineName | undefined;
  /** `auto` takes linux for a program whose segments lie below 0x80000000. */
  readonly machine?: "auto" | "linux" | "bare" | undefined;
  /** Tracing costs the guest time. */
  readonly chargeTracing?: boolean | undefined;
  /** Leave harts where they are while two-word sites change, to study the bug. */
  readonly parkDisabled?: boolean | undefined;
  /** Bare: how many harts there are. 1 if absent. */
  readonly harts?: number | undefined;
  /** Bare: the extensions of the harts, as an ISA string; all that are known if absent. */
  readonly isa?: string | undefined;
  /** Bare: misaligned loads and stores work (the default), or trap. */
  readonly misaligned?: "work" | "trap" | undefined;
}

/** Options of {@linkcode Machine.run}. */
export interface RunOptions {
  /** Ends the run when a hart has retired so many instructions of the guest's. */
  readonly limit?: bigint | undefined;
  /** Called between slices with the instructions retired so far. */
  readonly slice?: ((instret: bigint) => void) | undefined;
}

/** A machine with its program loaded. */
export interface Machine {
  /** Which platform the program runs on. */
  readonly kind: "linux" | "bare";
  /** Guest and host memory. */
  readonly memory: Memory;
  /** The space that the program is in: what sites, hooks and the tracing range are addresses of. */
  readonly space: AddressSpace;
  /** All harts. */
  readonly harts: readonly Hart[];
  /** The hart whose turn it is: in a callback, the one that called. */
  readonly runningHart: Hart;
  /** What runs them. */
  readonly engine: Engine;
  /** The program's file. */
  readonly elf: Elf;
  /** How far it was moved. */
  readonly bias: bigint;
  /** Its symbols, where it was loaded. */
  readonly symbols: SymbolTable;
  /** Its call sites, where it was loaded. */
  readonly sites: readonly SiteSource[];
  /** Addresses that belong to tracing. */
  readonly tracing: MachineTracingRange;
  /** Finds where a hart has come from. */
  readonly unwinder: Unwinder<Hart>;
  /** Name of the running hart's task. */
  readonly comm: string;
  /** Number of the running hart's task; those of several harts follow each other. */
  readonly pid: number;
  /** Name of the task with a number, if it is one. */
  commOf(pid: number): string | undefined;
  /** Seed of everything random. */
  readonly seed: bigint;
  /** Calls `handler` when a hart executes the host call at `address`; it sets `hart.pc`. */
  hostCall(address: number, handler: (hart: Hart) => void): void;
  /**
   * Offers each breakpoint trap to `handler` before the guest gets it, and all that follows from it
   * at once: no signal comes in between. It gives undefined if that was its own, else the trap that
   * the guest is to get: the same one, or the one of the instruction that the breakpoint stood for.
   */
  onBreakpoint(handler: (hart: Hart, trap: Trap) => Trap | undefined): void;
  /**
   * Executes one instruction, and what it leads to in tracing. Gives the trap that is left for the
   * guest, of which nothing has happened. For who lets the guest run inside a callback.
   */
  step(hart: Hart): Trap | undefined;
  /** Every hart drops what it has fetched. */
  fenceI(): void;
  /**
   * Steps harts that are stopped at a pc `inside`, until none is; not one that is in a host call.
   * Gives the instructions that this took.
   */
  park(inside: (pc: number) => boolean): number;
  /** Ends the run, or the next one if there is none, as interrupted; a run after that goes on. */
  requestStop(): void;
  /** Path of the program's file as the guest sees it. */
  readonly executable: string;
  /** Virtual nanoseconds that the guest has slept: its own clocks count them, a hart's time does not. */
  slept(): bigint;
  /** CLOCK_REALTIME of the first instruction, nanoseconds. */
  readonly epoch: bigint;
  /** Which guest stack an address lies on. */
  stackIdentity(hart: Hart, sp: number): number;
  /** Bare: the text of the signature, if the program has the symbols for one. */
  signature(): string | undefined;
  /** Runs until the guest ends, the limit, or {@linkcode requestStop}. */
  run(options?: RunOptions): Promise<Outcome>;
}

const RAM_START = 0x80000000n;
/** Where a position-independent program is put. */
const PIE_BIAS = 0x10000n;
/** What the interruptor and the rings have room for. */
const MOST_HARTS = 16;
/** A slice is to take about so long. */
const SLICE_MS = 12;

/**
 * Loads a program.
 *
 * @throws {SyntaxError} If the file is malformed, or not for this kind of machine.
 */
export function createMachine(program: Uint8Array, options: MachineOptions = {}): Machine {
  const elf = parseElf(program);
  const kind = kindOf(elf, options);
  if (kind === "linux" && elf.interpreter !== undefined) {
    throw new SyntaxError(
      `Cannot run a dynamically linked program: it wants ${elf.interpreter}; link it with -static`,
    );
  }
  const memory = new Memory();
  const space = new FlatSpace(memory);
  const lowest = elf.segments.reduce(
    (least, { address }) => address < least ? address : least,
    elf.segments[0]!.address,
  );
  const bias = elf.type === "DYN"
    ? (kind === "bare" ? RAM_START : PIE_BIAS) - lowest / 4096n * 4096n
    : 0n;
  for (const { address, size } of elf.segments) {
    const start = address + bias;
    if (start + size <= 2n ** 32n) continue;
    throw new SyntaxError(
      `Cannot load the segment at 0x${start.toString(16)}: it lies beyond 4 GiB`,
    );
  }
  const tracing = createTracingRange(memory, kind === "bare" ? undefined : Number(lowest + bias));
  const symbols = new SymbolTable(elf.symbols, bias);
  memory.reserve(tracing.start, tracing.end);
  const harts = createHarts(memory, kind, options);
  const hart = harts[0]!;
  const engine = ENGINES[options.engine ?? DEFAULT_ENGINE](memory, tracing);
  const unwinder = createUnwinder<Hart>({
    read: (address, length) => space.read(address, length),
    fetchable: (address) => space.allows(address, 2, EXECUTE),
  }, symbols);
  const context: PlatformContext = {
    memory,
    space,
    elf,
    symbols,
    bias,
    tracing,
    harts,
    engine,
    unwinder,
    options,
  };
  const platform = kind === "bare" ? createBare(context) : createLinux(context);
  loadSegments(context, kind);
  for (const each of harts) {
    each.pc = elf.entry + bias;
    platform.start(each);
  }
  const schedule = createSchedule(harts, options.seed ?? 0n);
  const sites = readSites(elf, symbols, bias);
  const hostCalls = new Map<number, (hart: Hart) => void>();
  let breakpoint = (_hart: Hart, trap: Trap): Trap | undefined => trap;
  let stopRequested = false;
  /** What the guest waits for: input. A run that is interrupted meanwhile leaves it to the next. */
  let waiting: Promise<Outcome | undefined> | undefined;
  let stopWaiting = () => {};
  /** Harts that are inside a handler of ours; they are where they may be. */
  const calling = new Set<Hart>();

  /** Waits until a trap is served, or the run is to stop. */
  const settle = async (served: Promise<Outcome | undefined>): Promise<Outcome | undefined> => {
    waiting = served;
    const stopped = new Promise<"stopped">((resolve) => stopWaiting = () => resolve("stopped"));
    const first = await Promise.race([served, stopped]);
    if (first === "stopped") {
      stopRequested = false;
      return { kind: "interrupted" };
    }
    waiting = undefined;
    return first;
  };

  const serveHostCall = (at: Hart, trap: Trap) => {
    const handler = hostCalls.get(Number(trap.pc));
    if (!handler) {
      throw new RangeError(
        `Cannot serve the host call at 0x${trap.pc.toString(16)}: nobody asked for it`,
      );
    }
    at.overhead += 1n;
    inside(at, () => handler(at));
  };

  /** Runs a handler of ours; one may run inside another. */
  const inside = <T>(at: Hart, body: () => T): T => {
    const outermost = !calling.has(at);
    calling.add(at);
    try {
      return body();
    } finally {
      if (outermost) calling.delete(at);
    }
  };

  /** Serves what belongs to tracing; gives what is left for the guest. */
  const serveTracing = (at: Hart, trap: Trap): Trap | undefined => {
    if (trap.cause === Cause.HostCall) serveHostCall(at, trap);
    else if (trap.cause === Cause.Breakpoint) return inside(at, () => breakpoint(at, trap));
    else return trap;
    return undefined;
  };

  const step = (at: Hart): Trap | undefined => {
    const stop = engine.step(at);
    return stop?.kind === "trap" ? serveTracing(at, stop.trap) : undefined;
  };

  /** Steps a hart until it is outside; gives in how many instructions. */
  const stepOut = (at: Hart, isInside: (pc: number) => boolean): number => {
    let steps = 0;
    while (isInside(Number(at.pc)) && steps < 64 && !step(at)) steps++;
    return steps;
  };

  /** Harts that were said to be about to execute an old word and a new one. */
  const torn = new Set<Hart>();
  const tear = (at: Hart) => {
    if (calling.has(at) || torn.has(at)) return;
    torn.add(at);
    options.warn?.(
      `hart ${at.id} was at 0x${
        at.pc.toString(16)
      }, between two words that were changed together, ` +
        `after ${at.instret} instructions: a torn pair (--no-park, --seed ${options.seed ?? 0n})`,
    );
  };

  /** Inside sites; their last words are followed by what a trampoline comes back to. */
  const siteBytes = new Set(
    sites.filter(({ after }) => after >= 8).flatMap(({ entry }) =>
      [2, 4, 6].map((offset) => Number(entry) + offset)
    ),
  );

  /** Leads a hart out of sites and trampolines, so that an interrupt sees neither. */
  const leaveTracing = (at: Hart): boolean => {
    stepOut(at, (pc) => siteBytes.has(pc));
    for (;;) {
      const stop = engine.finish(at);
      if (!stop) return true;
      if (stop.kind !== "trap" || stop.trap.cause !== Cause.HostCall) return false;
      serveHostCall(at, stop.trap);
    }
  };

  /** What came of a hart's turn, if it is not simply over. */
  type Turn = Outcome | Promise<Outcome | undefined> | "stopped" | "late" | undefined;

  /** Lets a hart run until it has retired so many instructions, or waits. */
  const runHart = (at: Hart, until: bigint, started: number): Turn => {
    while (at.instret < until && !stopRequested) {
      const due = platform.beforeTurn?.(at);
      if (at.waiting) return undefined;
      const wanted = due !== undefined && at.instret + due < until ? at.instret + due : until;
      const stop = engine.run(at, wanted);
      if (stop.kind === "stopped") return "stopped";
      if (stop.kind === "limit") continue;
      let served: Turn;
      if (stop.kind === "attention") {
        if (!at.told && !at.waiting && !leaveTracing(at)) continue;
        if (at.waiting && !at.told) return undefined;
        served = platform.attend?.(at);
      } else {
        if (stop.trap.cause === Cause.HostCall) {
          serveHostCall(at, stop.trap);
          continue;
        }
        const trap = serveTracing(at, stop.trap);
        served = trap && platform.trap(at, trap);
      }
      if (served) return served;
      // Guests that trap all the time must let the host's events through, too.
      if (performance.now() - started > SLICE_MS) return "late";
    }
    return undefined;
  };

  const asleep = (): Outcome => ({
    kind: "deadlock",
    reason: "every hart waits for an interrupt, and none can come",
    backtrace: unwinder.backtrace(hart),
  });

  /** One slice of the only hart. */
  const runAlone = (until: bigint, started: number): Turn => {
    while (hart.instret < until && !stopRequested) {
      const turn = runHart(hart, until, started);
      if (turn || !hart.waiting) return turn;
      const sleep = platform.untilWoken?.(hart);
      if (sleep === undefined) return asleep();
      hart.idle += sleep;
    }
    return undefined;
  };

  /** One slice of several harts, which take turns. */
  const runTogether = (limit: bigint | undefined, budget: bigint, started: number): Turn => {
    let left = budget;
    while (left > 0n && !stopRequested) {
      const { hart: at, end } = schedule.turn();
      const before = at.instret;
      while (at.now() < end && !stopRequested) {
        const until = at.instret + (end - at.now());
        const turn = runHart(at, limit !== undefined && limit < until ? limit : until, started);
        if (turn) return turn;
        if (limit !== undefined && at.instret >= limit) return { kind: "limit" };
        if (!at.waiting) continue;
        const sleep = platform.untilWoken?.(at);
        const rest = end - at.now();
        at.idle += sleep !== undefined && sleep < rest ? sleep : rest;
        const never = (each: Hart) => each.waiting && platform.untilWoken?.(each) === undefined;
        if (harts.every(never)) return asleep();
      }
      left -= at.instret - before + 100n;
      if (performance.now() - started > SLICE_MS) return "late";
    }
    return undefined;
  };

  return {
    kind,
    memory,
    space,
    harts,
    get runningHart() {
      return schedule.running;
    },
    engine,
    elf,
    bias,
    symbols,
    sites,
    tracing,
    unwinder,
    get comm() {
      return platform.commOf(platform.pid + schedule.running.id)!;
    },
    get pid() {
      return platform.pid + schedule.running.id;
    },
    commOf: (pid) => platform.commOf(pid),
    seed: options.seed ?? 0n,
    hostCall: (address, handler) => void hostCalls.set(address, handler),
    onBreakpoint: (handler) => void (breakpoint = handler),
    step,
    fenceI() {
      for (const each of harts) each.fetched.fence();
    },
    park(isInside) {
      let steps = 0;
      if (options.parkDisabled) {
        for (const each of harts) if (isInside(Number(each.pc))) tear(each);
        return steps;
      }
      const { running } = schedule;
      for (const each of harts) {
        if (calling.has(each) || !isInside(Number(each.pc))) continue;
        schedule.enter(each);
        steps += stepOut(each, isInside);
      }
      schedule.enter(running);
      return steps;
    },
    requestStop() {
      stopRequested = true;
      stopWaiting();
    },
    executable: platform.executable,
    slept: () => platform.slept(),
    epoch: platform.epoch,
    stackIdentity: (at, sp) => platform.stackIdentity(at, sp),
    signature: () => platform.signature(),
    async run({ limit, slice } = {}) {
      let budget = 20_000n;
      const late = waiting && !stopRequested ? await settle(waiting) : undefined;
      if (late) return late;
      for (;;) {
        if (stopRequested) {
          // Only this run: who looked around may go on.
          stopRequested = false;
          return { kind: "interrupted" };
        }
        if (limit !== undefined && hart.instret >= limit) return { kind: "limit" };
        const wanted = hart.instret + budget;
        const until = limit !== undefined && limit < wanted ? limit : wanted;
        const started = performance.now();
        const turn = harts.length > 1
          ? runTogether(limit, budget, started)
          : runAlone(until, started);
        const outcome = turn instanceof Promise ? await settle(turn) : turn;
        if (typeof outcome === "object") return outcome;
        const took = performance.now() - started;
        const factor = took <= 0 ? 4 : Math.min(4, Math.max(0.25, SLICE_MS / took));
        budget = BigInt(Math.max(10_000, Math.floor(Number(budget) * factor)));
        slice?.(harts.reduce((sum, { instret }) => sum + instret, 0n));
        await new Promise<void>((resolve) => setImmediate(() => resolve()));
      }
    },
  };
}

function createHarts(
  memory: Memory,
  kind: "linux" | "bare",
  { harts: count = 1, isa, misaligned, chargeTracing = false }: MachineOptions,
): Hart[] {
  if (!(Number.isInteger(count) && count >= 1 && count <= MOST_HARTS)) {
    throw new RangeError(`Cannot make ${count} harts: 1 to ${MOST_HARTS} are possible`);
  }
  if (count > 1 && kind === "linux") {
    throw new RangeError(`Cannot make ${count} harts: a Linux program has one`);
  }
  if (isa !== undefined && kind === "linux") {
    throw new RangeError(
      `Cannot be ${isa}: a Linux program has what its kernel says, RV64GC and more`,
    );
  }
  const extensions = isa === undefined ? undefined : parseIsaString(isa);
  return Array.from({ length: count }, (_, id) => {
    const place = count === 1 ? "running" : "aside";
    const hart = new Hart(id, memory, kind === "bare" ? "M" : "U", place);
    hart.chargeTracing = chargeTracing;
    if (extensions) hart.extensions = extensions;
    hart.trapsMisaligned = misaligned === "trap";
    return hart;
  });
}

function kindOf(elf: Elf, { machine = "auto" }: MachineOptions): "linux" | "bare" {
  if (machine !== "auto") return machine;
  const high = elf.type === "EXEC" && elf.segments.every(({ address }) => address >= RAM_START);
  return high ? "bare" : "linux";
}

/** Puts segments where they belong, with their permissions, and applies RELATIVE relocations. */
function loadSegments(
  { memory, elf, bias, tracing, symbols }: PlatformContext,
  kind: "linux" | "bare",
): void {
  for (const { address, data, size, flags } of elf.segments) {
    const start = Number(address + bias);
    const end = start + Number(size);
    if (start < tracing.end && end > tracing.reserved) {
      throw new SyntaxError(
        `Cannot load the segment at 0x${start.toString(16)}: it overlaps the tracing range`,
      );
    }
    if (kind === "bare") {
      if (!memory.allows(BigInt(start), Number(size), READ)) {
        throw new SyntaxError(
          `Cannot load the segment at 0x${
            start.toString(16)
          }: a bare machine has RAM from 0x80000000 on`,
        );
      }
    } else {
      const permissions = (flags & 4 ? READ : 0) | (flags & 2 ? WRITE : 0) |
        (flags & 1 ? EXECUTE : 0);
      const first = Math.floor(start / PAGE_SIZE) * PAGE_SIZE;
      const last = Math.ceil(end / PAGE_SIZE) * PAGE_SIZE;
      for (let page = first; page < last; page += PAGE_SIZE) {
        // Two segments may share a page; it then has what both of them need.
        const there = memory.permissions[page / PAGE_SIZE]!;
        if (there === 0) memory.map(page, PAGE_SIZE, permissions);
        else memory.protect(page, PAGE_SIZE, there | permissions);
      }
    }
    memory.poke(start, data);
  }
  // A static PIE relocates itself; a bare one need not have code for that.
  if (kind === "bare" && bias !== 0n && symbols.named("_DYNAMIC").length === 0) {
    for (const { address, addend } of elf.relatives) {
      memory.view.setBigUint64(Number(address + bias), BigInt.asUintN(64, addend + bias), true);
    }
  }
}
