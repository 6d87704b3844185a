/**
 * The WASM interpreter: decodes instructions into micro-ops when they are first executed, and lets
 * one WASM function run them.
 *
 * Whatever the function does not do itself, traps included, it leaves to the reference, one
 * instruction at a time.
 *
 * Pages of the tracing range have micro-ops in a page table of their own, because instructions there
 * count as overhead: the function runs with one table and one counter at a time.
 *
 * The function is `emitted_loop.ts`, whose modules `loops.ts` has; micro-ops are written by
 * `decoder.ts` and lie in `micro_op_space.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import {
  DATA_ENTRIES,
  EXIT_REASON,
  FETCH_ENTRIES,
  GENERATION,
  INSTRET,
  PC,
  REGION_BUDGET,
} from "../../hart/state.ts";
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import { FETCH_ENTRY } from "../../memory/tlb.ts";
import { CodeCache, type CodeUnit, DEFAULT_BUDGET } from "../code_cache.ts";
import type { BreakTest, Engine, EngineOptions, Hook, Stop } from "../engine.ts";
import { Hooks } from "../hooks.ts";
import { Meter } from "../meter.ts";
import { createReference } from "../reference/reference.ts";
import type { EngineStatistics } from "../statistics.ts";
import { Decoder, executableAddress } from "./decoder.ts";
import { loopModule, loopRows, loopSplit } from "./loops.ts";
import { Exit } from "./micro_op.ts";
import { MicroOpSpace, type SpaceKind, type SpaceParts } from "./micro_op_space.ts";
import type { Loop } from "./own_loops.ts";
import { ThunkTable } from "./thunk_table.ts";
import type { Tier, TierParts } from "./tier.ts";

/** V8 replaces a function by its optimised code only when it is called anew: so it comes back often. */
const FUEL = 200_000;

/** The compiled function: `(pointer, fuel, table, counter, bias)` gives the fuel left. */
type Run = (pointer: number, fuel: number, table: number, counter: number, bias: number) => number;
/** The translating one: `(pointer, fuel, fetch entries, counter, bias, data entries)`. */
type TranslatingRun = (
  pointer: number,
  fuel: number,
  fetches: number,
  counter: number,
  bias: bigint,
  data: number,
) => number;

/** Makes the function for one machine. */
function instantiate(
  { guest, host }: Memory,
  { table: thunks }: ThunkTable,
  loop: Loop,
): WebAssembly.ExportValue {
  const { exports } = new WebAssembly.Instance(loopModule(loop), { host: { guest, host, thunks } });
  return exports["run"]!;
}

/** The spaces of one hart. */
interface Spaces {
  readonly guest: MicroOpSpace;
  readonly overhead: MicroOpSpace;
  readonly translated: {
    readonly guest: MicroOpSpace;
    readonly overhead: MicroOpSpace;
    /** Host address of entries for fetches from the tracing range. */
    readonly fetches: number;
  } | undefined;
  readonly all: readonly MicroOpSpace[];
}

/** Runs harts of one memory. */
export class Interpreter {
  readonly #memory: Memory;
  readonly #reference: Engine;
  readonly #run: Run;
  #guardingRun: Run | undefined;
  #translatingRun: TranslatingRun | undefined;
  readonly #view: DataView;
  readonly #harts = new Map<Hart, Spaces>();
  readonly #hooks: Hooks;
  readonly #decoder: Decoder;
  readonly #parts: SpaceParts;
  #tier: Tier | undefined;
  readonly #meter: Meter | undefined;
  /** Interpreted instructions until the tier is to look. */
  #untilLook = FUEL;
  /** What compiled code had executed, and might execute, when the function was last entered. */
  readonly #before = { executed: 0, budget: 0 };

  /**
   * Keeps `budget` bytes of translated code at most; `meter` is told what is executed where, if
   * somebody wants to know.
   */
  constructor(memory: Memory, budget: number, meter?: Meter) {
    const thunks = new ThunkTable(memory);
    this.#memory = memory;
    this.#meter = meter;
    const reference = createReference(memory);
    this.#reference = meter?.measuredReference(reference) ?? reference;
    this.#view = memory.hostView;
    this.#run = this.#measured(instantiate(memory, thunks, "plain") as Run);
    this.#hooks = new Hooks((pc) => this.#hookChanged(pc));
    this.#decoder = new Decoder(memory, loopRows(), loopSplit());
    const cache = new CodeCache(memory.heap, budget);
    this.#parts = {
      memory,
      cache,
      hooks: this.#hooks,
      thunks,
      split: loopSplit(),
      pageMade: (space, page) => this.#tier?.pageMade(space, page),
    };
    cache.onRelease((units) => this.#release(units));
  }

  /** Lets what `makeTier` makes compile code from now on; what ran before was only interpreted. */
  addTier(makeTier: (parts: TierParts) => Tier): void {
    const { memory, cache, hooks, thunks } = this.#parts;
    this.#tier = makeTier({ memory, cache, hooks, thunks, decoder: this.#decoder });
    this.#untilLook = this.#tier.period;
  }

  /** What keeps an instruction at `pc` from being compiled, if anything does. */
  obstacleAt(pc: number): "unfetched" | "hook" | "reference" | undefined {
    if (this.#hooks.at(pc)) return "hook";
    const answers = new Set([...this.#harts.keys()].map((hart) => this.#decoder.known(hart, pc)));
    if (answers.has(undefined)) return undefined;
    return answers.has("reference") ? "reference" : "unfetched";
  }

  /** What was executed where so far, if that is measured: see {@linkcode Engine.statistics}. */
  statistics(): EngineStatistics | undefined {
    return this.#meter?.statistics([...this.#harts.keys()], this.#tier?.statistics());
  }

  /** The micro-ops of all harts' guests. */
  guestSpaces(): readonly MicroOpSpace[] {
    return [...this.#harts.values()].flatMap(({ all }) => all.filter(({ tracing }) => !tracing));
  }

  #measured<R extends Run | TranslatingRun>(run: R): R {
    return (this.#meter?.measured(this.#memory, run as (...args: unknown[]) => number) ?? run) as R;
  }

  /** Puts a hook at an address: see {@linkcode Engine.hook}. */
  hook(pc: number, hook: Hook): Disposable {
    return this.#hooks.add(pc, hook);
  }

  /** Puts a breakpoint at an address: see {@linkcode Engine.breakAt}. */
  breakAt(pc: number, test: BreakTest): Disposable {
    return this.#hooks.breakAt(pc, test);
  }

  /** Executes one instruction and asks no hook: see {@linkcode Engine.step}. */
  step(hart: Hart): Stop | undefined {
    return this.#reference.step(hart);
  }

  /** Executes given bits in place of memory's: see {@linkcode Engine.executeBits}. */
  executeBits(hart: Hart, bits: number): Stop | undefined {
    return this.#reference.executeBits(hart, bits);
  }

  /** Executes instructions up to a count of the hart's: see {@linkcode Engine.run}. */
  run(hart: Hart, until: bigint): Stop {
    const spaces = this.#spacesOf(hart);
    const limit = Number(until);
    for (;;) {
      const left = limit - this.#counted();
      if (left <= 0) return { kind: "limit" };
      if (hart.attention) return { kind: "attention" };
      const stop = this.#advance(hart, spaces, left);
      if (stop) return stop;
    }
  }

  /** Executes what is left of the tracing range: see {@linkcode Engine.leaveTracingRange}. */
  leaveTracingRange(hart: Hart): Stop | undefined {
    const spaces = this.#spacesOf(hart);
    while (hart.isTracing) {
      const stop = this.#advance(hart, spaces, FUEL);
      if (stop) return stop;
    }
    return undefined;
  }

  /** Runs at most `left` instructions, all of them the guest's or all of the tracing range. */
  #advance(hart: Hart, spaces: Spaces, left: number): Stop | undefined {
    if (!hart.flat) return this.#advanceTranslated(hart, spaces, left);
    const view = this.#view;
    if (view.getUint32(PC + 4, true) !== 0) return this.#reference.step(hart);
    const pc = view.getUint32(PC, true);
    const space = this.#isTracing(pc) ? spaces.overhead : spaces.guest;
    const run = hart.floatGuard ? this.#guarding() : this.#run;
    const tier = space.tracing ? undefined : this.#tier;
    const fuel = this.#fuelFor(tier, space, pc, left);
    this.#cameBack(tier, space, fuel - this.#enter(run, pc, space, fuel));
    return this.#serve(hart, space);
  }

  /** What the function may execute until the tier is to look; compiled code has what is left beyond. */
  #fuelFor(tier: Tier | undefined, space: MicroOpSpace, pc: number, left: number): number {
    if (!tier) return Math.min(left, FUEL);
    tier.arrive(space, pc);
    const fuel = Math.min(left, this.#untilLook);
    const budget = Math.min(left - fuel, tier.budget);
    this.#before.executed = space.hart.compiledInstret;
    this.#before.budget = budget;
    this.#view.setUint32(REGION_BUDGET, budget, true);
    return fuel;
  }

  /** What compiled code has executed, beyond its budget, of what the function was given. */
  #takenBy({ compiledInstret }: Hart): number {
    const { executed, budget } = this.#before;
    return compiledInstret - executed - (budget - this.#view.getUint32(REGION_BUDGET, true));
  }

  /**
   * Lets the tier look at what is interpreted, once in its period; `used` was executed, which compiled
   * code may have taken part in.
   */
  #cameBack(tier: Tier | undefined, space: MicroOpSpace, used: number): void {
    if (!tier) return;
    this.#untilLook -= used - this.#takenBy(space.hart);
    tier.cameBack(space);
    if (this.#untilLook > 0) return;
    this.#untilLook = tier.period;
    const { hart } = space;
    if (!hart.isTracing) tier.look(space, Number(BigInt.asIntN(64, hart.pc)));
  }

  #counted(): number {
    return this.#view.getUint32(INSTRET, true) + this.#view.getUint32(INSTRET + 4, true) * 2 ** 32;
  }

  #isTracing(pc: number): boolean {
    return this.#memory.isTracing(pc);
  }

  /** Runs from `pc` on until the function comes back, and gives the fuel that is left. */
  #enter(run: Run, pc: number, space: MicroOpSpace, fuel: number): number {
    const page = Math.floor(pc / PAGE_SIZE);
    const block = space.enter(page);
    const pointer = block + (pc % PAGE_SIZE) * 8;
    const bias = (page * PAGE_SIZE - block / 8) | 0;
    return run(pointer, fuel, space.table, space.counter, bias);
  }

  /** The plain function that asks before it touches a float register. */
  #guarding(): Run {
    return this.#guardingRun ??= this.#measured(
      instantiate(this.#memory, this.#parts.thunks, "guarding") as Run,
    );
  }

  /** Runs some instructions where addresses are translated. */
  #advanceTranslated(hart: Hart, spaces: Spaces, left: number): Stop | undefined {
    const translated = spaces.translated!;
    const { translation } = hart.system!;
    const { tlb, fetchBank } = translation;
    const pc = BigInt.asIntN(64, hart.pc);
    const { isTracing } = hart;
    const space = isTracing ? translated.overhead : translated.guest;
    const physical = isTracing ? Number(pc) : executableAddress(hart, pc);
    if (physical < 0) return this.#reference.step(hart);
    const tier = space.tracing ? undefined : this.#tier;
    // What is compiled may take the place of other blocks.
    const fuel = this.#fuelFor(tier, space, Number(pc), left);
    const page = Math.floor(physical / PAGE_SIZE);
    const block = space.enter(page);
    const fetches = isTracing ? translated.fetches : tlb.fetchesOf(fetchBank);
    if (!isTracing) this.#link(tlb.fetchEntry(fetchBank, pc), pc, page, space);
    this.#translatingRun ??= this.#measured(
      instantiate(this.#memory, this.#parts.thunks, "translating") as TranslatingRun,
    );
    const data = tlb.dataOf(translation.dataBank);
    this.#view.setUint32(DATA_ENTRIES, data, true);
    this.#view.setUint32(FETCH_ENTRIES, fetches, true);
    const generation = tlb.generation(translation.dataBank, fetchBank);
    this.#view.setBigInt64(GENERATION, generation, true);
    const fuelLeft = this.#translatingRun(
      block + (physical % PAGE_SIZE) * 8,
      fuel,
      fetches,
      space.counter,
      pc - BigInt(physical % PAGE_SIZE + block / 8),
      data,
    );
    this.#cameBack(tier, space, fuel - fuelLeft);
    return this.#serve(hart, space);
  }

  /** Lets jumps to a virtual page lead to the micro-ops of its physical one. */
  #link(entry: number, pc: bigint, page: number, space: MicroOpSpace): void {
    const block = space.enter(page);
    if (this.#view.getUint32(entry + FETCH_ENTRY.own, true) === block) return;
    this.#view.setUint32(entry + FETCH_ENTRY.own, block, true);
    // Hooks of the tracing range are not for a page of the guest's there.
    if (this.#memory.isTracing(pc)) return;
    // Hooks are at virtual addresses.
    for (const hooked of this.#hooks.pages.get(Number(pc >> 12n)) ?? []) {
      space.writeHook(hooked, space.unitOf(page));
    }
  }

  /** Does what the function came back for. */
  #serve(hart: Hart, space: MicroOpSpace): Stop | undefined {
    const view = this.#view;
    switch (view.getUint32(EXIT_REASON, true)) {
      case Exit.undecoded: {
        // The other space's page was there for its hooks only.
        if (hart.isTracing !== space.tracing) return undefined;
        if (!this.#decoder.decode(hart, space)) return this.#reference.step(hart);
        this.#tier?.decoded(space, Number(BigInt.asIntN(64, hart.pc)));
        return undefined;
      }
      case Exit.reference:
        return this.#reference.step(hart);
      case Exit.hook: {
        const answer = this.#hooks.ask(hart);
        if (answer === "stop") return { kind: "stopped" };
        return answer === "execute" ? this.#reference.step(hart) : undefined;
      }
      case Exit.noPage:
        return space.translated ? undefined : this.#makeTargetPage(space);
      default:
        return undefined;
    }
  }

  /** A jump to a page of this space makes its block; one to the other space is {@linkcode run}'s. */
  #makeTargetPage(space: MicroOpSpace): undefined {
    if (this.#view.getUint32(PC + 4, true) !== 0) return undefined;
    const pc = this.#view.getUint32(PC, true);
    const page = Math.floor(pc / PAGE_SIZE);
    // Hooks of the other space's page are asked without changing spaces.
    if (this.#isTracing(pc) === space.tracing || !this.#hooks.pages.has(page)) return undefined;
    space.unitOf(page);
  }

  #spacesOf(hart: Hart): Spaces {
    let spaces = this.#harts.get(hart);
    if (!spaces) this.#harts.set(hart, spaces = this.#adopt(hart));
    return spaces;
  }

  #adopt(hart: Hart): Spaces {
    const { memory, cache } = this.#parts;
    const space = (kind: SpaceKind) => new MicroOpSpace(hart, this.#parts, kind);
    const guest = space({ tracing: false, translated: false });
    const overhead = space({ tracing: true, translated: false });
    let translated: Spaces["translated"];
    if (hart.system) {
      const bytes = FETCH_ENTRY.size * FETCH_ENTRY.count;
      const fetches = memory.heap.allocate(bytes, PAGE_SIZE);
      memory.hostBytes.fill(0xff, fetches, fetches + bytes);
      translated = {
        guest: space({ tracing: false, translated: true }),
        overhead: space({ tracing: true, translated: true }),
        fetches,
      };
    }
    const all = [guest, overhead, ...translated ? [translated.guest, translated.overhead] : []];
    hart.fetched.onDrop((pc) => cache.invalidateAddress(pc, hart));
    return { guest, overhead, translated, all };
  }

  /** Takes units that are about to go out of page tables and TLBs. */
  #release(units: ReadonlySet<CodeUnit>): void {
    const addresses = new Set<number>();
    this.#tier?.release(units);
    for (const unit of units) {
      const { owner } = unit;
      if (!(owner instanceof MicroOpSpace)) continue;
      owner.release(unit);
      if (owner.translated) addresses.add(unit.address);
    }
    if (addresses.size === 0) return;
    for (const { system } of this.#harts.keys()) system?.translation.tlb.forgetOwns(addresses);
  }

  #hookChanged(pc: number): void {
    for (const [hart, { all }] of this.#harts) {
      for (const space of all) space.placeHook(pc);
      // Pages that lie elsewhere are linked anew, and get the hook then.
      hart.system?.translation.tlb.forgetOwn(BigInt(pc));
    }
    this.#tier?.hookChanged(pc);
  }
}

/**
 * Makes a WASM interpreter for harts on `memory`, which keeps `budget` bytes of micro-ops at most.
 */
export function createInterpreter(
  memory: Memory,
  { statistics = false }: EngineOptions = {},
  budget: number = DEFAULT_BUDGET,
): Engine {
  const meter = statistics ? new Meter() : undefined;
  return engineOf("interp", new Interpreter(memory, budget, meter));
}

/** An interpreter as an engine of some name. */
export function engineOf(name: string, interpreter: Interpreter): Engine {
  return {
    name,
    leaveTracingRange: (hart) => interpreter.leaveTracingRange(hart),
    run: (hart, until) => interpreter.run(hart, until),
    step: (hart) => interpreter.step(hart),
    executeBits: (hart, bits) => interpreter.executeBits(hart, bits),
    hook: (pc, hook) => interpreter.hook(pc, hook),
    breakAt: (pc, test) => interpreter.breakAt(pc, test),
    statistics: () => interpreter.statistics(),
  };
}
