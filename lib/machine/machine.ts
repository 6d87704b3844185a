/**
 * A machine: a program, memory, harts, an engine, and a platform that answers its traps.
 *
 * This file only puts them together. Where the program goes is `program_loader.ts`; what runs is
 * `run_loop.ts`, by turns of `schedule.ts` and events of `event_queue.ts`; what a trap means is the
 * platform's affair (`platform.ts`); who executes instructions is `lib/engine`.
 *
 * @module
 */
import type { Engine, EngineOptions } from "../engine/engine.ts";
import { DEFAULT_ENGINE, type EngineName, ENGINES } from "../engine/engines.ts";
import type { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import { EXECUTE } from "../memory/page.ts";
import { Memory } from "../memory/memory.ts";
import { type AddressSpace, FlatSpace } from "../memory/space.ts";
import { type Elf, parseElf } from "../program/elf.ts";
import { placeImages } from "../program/raw_image.ts";
import { readSites, type SiteSource } from "../program/sites.ts";
import { SymbolTable } from "../program/symbols.ts";
import { createUnwinder, type StackMemory, type Unwinder } from "../program/unwinder.ts";
import { EventQueue } from "./event_queue.ts";
import { createHarts, type HartOptions } from "./harts.ts";
import { type BreakpointHandler, type HostCallHandler, HostCalls } from "./host_calls.ts";
import type { Outcome } from "./outcome.ts";
import type { Platform, PlatformContext, PlatformOptions } from "./platform.ts";
import { platformFor, type PlatformName, PLATFORMS } from "./platforms.ts";
import { biasOf, checkReach, lowestAddress } from "./program_loader.ts";
import { RunLoop, type RunOptions } from "./run_loop.ts";
import { Schedule } from "./schedule.ts";
import { createTracingRange, type MachineTracingRange } from "./tracing_range.ts";

/** Options of {@linkcode createMachine}. */
export interface MachineOptions extends PlatformOptions, HartOptions {
  /** Name of the engine that executes instructions; the JIT if absent. */
  readonly engine?: EngineName | undefined;
  /** About how many interpreted instructions make a function worth compiling; 20,000 if absent. */
  readonly jitThreshold?: number | undefined;
  /**
   * Linux: let compiled code access memory without asking pages. It is faster; but a stray access
   * faults no more, a store goes to what may only be read, and changed code may run as it was.
   */
  readonly unchecked?: boolean | undefined;
  /** Let the engine count what it does, for `machine.engine.statistics()`; it is slower then. */
  readonly engineStatistics?: boolean | undefined;
  /** Called with each region of code that the JIT has compiled; `compiledText` shows it. */
  readonly onCompiled?: EngineOptions["onCompiled"];
  /** The platform. `auto`, the default, looks at the file and its first instructions. */
  readonly machine?: "auto" | PlatformName | undefined;
  /** Leave harts where they are while two-word sites change, to study the bug. */
  readonly parkDisabled?: boolean | undefined;
  /** Show mangled names of C++, Rust and D as people write them; they are found by both. */
  readonly demangle?: boolean | undefined;
}

/** A machine with its program loaded. */
export interface Machine extends Disposable {
  /** The platform that the program runs on. */
  readonly kind: PlatformName;
  /** Guest and host memory. */
  readonly memory: Memory;
  /** The address space of the program: sites, hooks and the tracing range are addresses in it. */
  readonly space: AddressSpace;
  /** All harts of the machine, by their number. */
  readonly harts: readonly Hart[];
  /** The hart whose turn it is: in a callback, the one that called. */
  readonly runningHart: Hart;
  /** The engine that executes the harts' instructions. */
  readonly engine: Engine;
  /** The ELF file of the program. */
  readonly elf: Elf;
  /** The load bias: bytes that the program was moved up by. */
  readonly bias: bigint;
  /** The program's symbols, at the addresses where it was loaded. */
  readonly symbols: SymbolTable;
  /** The program's call sites, where it was loaded. */
  readonly sites: readonly SiteSource[];
  /**
   * The range of addresses that trampolines and their data have, which nothing of the guest's is
   * in.
   */
  readonly tracing: MachineTracingRange;
  /** Finds the callers of a hart's present function. */
  readonly unwinder: Unwinder<Hart>;
  /** Name of the running hart's task. */
  readonly comm: string;
  /** Number of the running hart's task; those of several harts follow each other. */
  readonly pid: number;
  /** Name of the task with a number, or undefined if there is no such task. */
  commOf(pid: number): string | undefined;
  /** Seed of everything random: the schedule of harts, and a process's random bytes. */
  readonly seed: bigint;
  /** Calls `handler` when a hart executes the host call at `address`; it sets `hart.pc`. */
  hostCall(address: number, handler: HostCallHandler): void;
  /**
   * Offers each breakpoint trap to `handler` before the guest gets it, and all that follows from it
   * at once: no signal comes in between. It gives undefined if that was its own, else the trap that
   * the guest is to get: the same one, or the one of the instruction that the breakpoint stood for.
   */
  onBreakpoint(handler: BreakpointHandler): void;
  /**
   * Executes one instruction, and what it leads to in tracing. Gives the trap that is left for the
   * guest, of which nothing has happened. For who lets the guest run inside a callback.
   */
  step(hart: Hart): Trap | undefined;
  /** Executes `fence.i` on every hart: each drops what it has fetched. */
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
  /** Virtual nanoseconds that the guest has slept, of those that have passed on its hart. */
  slept(): bigint;
  /** CLOCK_REALTIME of the first instruction, nanoseconds. */
  readonly epoch: bigint;
  /** Which of the guest's stacks an address lies on: 0 is the first one, others differ. */
  stackIdentity(hart: Hart, sp: number): number;
  /** Bare: the text of the signature, if the program has the symbols for one. */
  signature(): string | undefined;
  /** Runs until the guest ends, a hart has come to the limit, or {@linkcode requestStop}. */
  run(options?: RunOptions): Promise<Outcome>;
  /**
   * Gives the memory back: the guest's files are closed, a run ends as interrupted, and nothing
   * here leads to guest or host memory any more. Any use after that is a TypeError.
   */
  [Symbol.dispose](): void;
}

/** What a machine is made of, once its options are decided. */
interface MachineParts extends PlatformContext {
  readonly kind: PlatformName;
  readonly seed: bigint;
  readonly platform: Platform;
  readonly sites: readonly SiteSource[];
  readonly schedule: Schedule;
  readonly calls: HostCalls;
  readonly loop: RunLoop;
}

/**
 * Loads a program, an ELF file's bytes or what was made of them, and makes the machine that will
 * run it.
 *
 * @throws {SyntaxError} If the file is malformed, or not for this platform.
 * @throws {RangeError} If the platform cannot have such harts, or unchecked memory.
 */
export function createMachine(program: Uint8Array | Elf, options: MachineOptions = {}): Machine {
  const seed = options.seed ?? 0n;
  const context = placeProgram(
    program instanceof Uint8Array ? parseElf(program) : program,
    options,
  );
  const { harts, engine, schedule, events, unwinder } = context;
  const { kind, elf, bias, symbols } = context;
  const platform = PLATFORMS[kind].create(context);
  PLATFORMS[kind].load(context);
  for (const hart of harts) {
    hart.pc = PLATFORMS[kind].entry(elf) + bias;
    platform.start(hart);
  }
  const sites = readSites(elf, symbols, bias);
  const calls = new HostCalls({
    engine,
    harts,
    schedule,
    sites,
    seed,
    parkDisabled: options.parkDisabled ?? false,
    warn: (line) => options.warn?.(line),
  });
  const loop = new RunLoop({ harts, engine, platform, schedule, events, calls, unwinder });
  return machineOf({ ...context, platform, sites, calls, loop, seed });
}

/** Makes what a platform is made from; the program has a place, but is not in memory yet. */
function placeProgram(program: Elf, options: MachineOptions) {
  const { machine = "auto", engine = DEFAULT_ENGINE, seed = 0n } = options;
  const kind = machine === "auto" ? platformFor(program) : machine;
  const { check, base, mode, layout } = PLATFORMS[kind];
  check(program);
  if (options.unchecked && kind === "bare") {
    throw new RangeError(
      "Cannot run firmware with unchecked memory: its devices are found by what is checked",
    );
  }
  const memory = new Memory();
  const space = new FlatSpace(memory);
  const bias = biasOf(program, base(lowestAddress(program)));
  const elf = placeImages(program, bias);
  checkReach(elf, bias);
  const tracing = createTracingRange(memory, layout(elf, bias, options));
  memory.placeTracing(tracing.start, tracing.end);
  const symbols = new SymbolTable(elf.symbols, bias, { demangle: options.demangle ?? false });
  const harts = createHarts(memory, mode, options);
  const schedule = new Schedule(harts, seed);
  const unwinder = createUnwinder<Hart>(
    stackMemory(space),
    symbols,
    (hart) => stackMemory(hart.space),
  );
  return {
    kind,
    memory,
    space,
    elf,
    symbols,
    bias,
    tracing,
    harts,
    engine: ENGINES[engine].make(memory, {
      functionAt: (pc) => boundsOf(symbols, pc),
      jitThreshold: options.jitThreshold,
      unchecked: options.unchecked,
      statistics: options.engineStatistics,
      onCompiled: options.onCompiled,
    }),
    unwinder,
    options,
    schedule,
    events: new EventQueue(harts.length),
    requestService: () => void (schedule.running.serviceRequested = true),
  };
}

/** Where the function begins and ends that symbols name at an address. */
function boundsOf(symbols: SymbolTable, pc: number): { low: number; high: number } | undefined {
  const found = symbols.at(BigInt(pc));
  if (!found) return undefined;
  const end = symbols.endOf(found.symbol);
  return end === undefined ? undefined : { low: Number(found.symbol.address), high: Number(end) };
}

/** The machine of these parts, until it is disposed of. */
function machineOf(made: MachineParts): Machine {
  let parts: MachineParts | undefined = made;
  const use = (): MachineParts => {
    if (parts) return parts;
    throw new TypeError("Cannot use the machine: it was disposed");
  };
  const pid = () => use().platform.pid + use().schedule.running.id;
  return {
    get kind() {
      return use().kind;
    },
    get memory() {
      return use().memory;
    },
    get space() {
      return use().space;
    },
    get harts() {
      return use().harts;
    },
    get runningHart() {
      return use().schedule.running;
    },
    get engine() {
      return use().engine;
    },
    get elf() {
      return use().elf;
    },
    get bias() {
      return use().bias;
    },
    get symbols() {
      return use().symbols;
    },
    get sites() {
      return use().sites;
    },
    get tracing() {
      return use().tracing;
    },
    get unwinder() {
      return use().unwinder;
    },
    get comm() {
      return use().platform.commOf(pid())!;
    },
    get pid() {
      return pid();
    },
    get executable() {
      return use().platform.executable;
    },
    get epoch() {
      return use().platform.epoch;
    },
    get seed() {
      return use().seed;
    },
    commOf: (number) => use().platform.commOf(number),
    hostCall: (address, handler) => use().calls.onHostCall(address, handler),
    onBreakpoint: (handler) => use().calls.onBreakpoint(handler),
    step: (hart) => use().calls.step(hart),
    fenceI: () => use().harts.forEach((hart) => hart.fetched.fence()),
    park: (inside) => use().calls.park(inside),
    requestStop: () => use().loop.requestStop(),
    slept: () => use().platform.slept(),
    stackIdentity: (hart, sp) => use().platform.stackIdentity(hart, sp),
    signature: () => use().platform.signature(),
    run: async (options) => await use().loop.run(options),
    [Symbol.dispose]() {
      parts?.loop.requestStop();
      parts?.platform[Symbol.dispose]();
      parts = undefined;
    },
  };
}

/** A space as an unwinder reads it. */
function stackMemory(space: AddressSpace): StackMemory {
  return {
    read: (address, length) => space.read(address, length),
    fetchable: (address) => space.allows(address, 2, EXECUTE),
  };
}
