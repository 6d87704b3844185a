/**
 * The compiled regions of one hart: made, entered, left and dropped.
 *
 * A region is a unit of the code cache, made from words that its hart has fetched; what drops one of
 * these drops it. It is entered by the interpreter, whose micro-op there becomes an entrance, and by
 * other regions through its table slot.
 *
 * When code is worth compiling is `hotness.ts`; how it is written, `compile.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Instruction } from "../../isa/encoding.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { CodeOwner, CodeUnit, SourceWord } from "../code_cache.ts";
import { APART_SIZE } from "../interpreter/micro_op.ts";
import type { MicroOpSpace } from "../interpreter/micro_op_space.ts";
import type { TierParts } from "../interpreter/tier.ts";
import { LEAVE, type Plan } from "../plan/plan.ts";
import { CallSlots } from "./call_slots.ts";
import { type RegionOptions, writeRegion, type WrittenRegion } from "./compile.ts";
import { createLookCloser } from "./look_closer.ts";
import type { CodeSource, Region } from "./region.ts";

/** Bytes that a region costs beyond its code: what V8 keeps of a module and its instance. */
const MODULE_COST = 15_000;
/** Bytes of machine code, at most, that V8 makes of one byte of WASM. */
const EXPANSION = 6;

/** Where functions begin and end. */
export type FunctionBounds = (pc: number) => { readonly low: number; readonly high: number };

/** How regions are made. */
export interface RegionStyle {
  /** Whether nothing is asked of pages. */
  readonly unchecked: boolean;
  /** Whether a hart fetches what a region may come to, as it may, instead of waiting for it. */
  readonly ahead: boolean;
}

/** A region that can be entered. */
export interface CompiledRegion {
  readonly entry: number;
  readonly region: Region;
  readonly slot: number;
  readonly unit: CodeUnit;
  /** Host address of the micro-op that stands for its first instruction. */
  readonly shadow: number;
  /** Bytes of its module. */
  readonly size: number;
}

/** What was done, for statistics. */
export interface RegionCounts {
  compiled: number;
  dropped: number;
  instructions: number;
  bytes: number;
  /** Milliseconds. */
  writing: number;
  /** Milliseconds. */
  compiling: number;
}

/** Regions of one hart in its plain space. */
export class Regions implements CodeOwner {
  readonly hart: Hart;
  readonly counts: RegionCounts = {
    compiled: 0,
    dropped: 0,
    instructions: 0,
    bytes: 0,
    writing: 0,
    compiling: 0,
  };
  readonly slots: CallSlots;
  readonly #parts: TierParts;
  readonly #space: MicroOpSpace;
  readonly #options: RegionOptions;
  readonly #imports: WebAssembly.ModuleImports;
  readonly #byEntry = new Map<number, CompiledRegion>();
  readonly #byUnit = new Map<CodeUnit, CompiledRegion>();

  /** No region yet, of the hart whose micro-ops are in `space`. */
  constructor(space: MicroOpSpace, parts: TierParts, bounds: FunctionBounds, style: RegionStyle) {
    const { memory, thunks } = parts;
    this.hart = space.hart;
    this.#space = space;
    this.#parts = parts;
    this.slots = new CallSlots(memory, thunks.table);
    memory.watch.keepNearPages();
    this.#options = {
      memory,
      source: new FetchedCode(space.hart, parts, bounds, style.ahead),
      aligned: space.hart.trapsMisaligned,
      unchecked: style.unchecked,
      pageTable: space.table,
      slotOf: (pc) => this.slots.of(pc),
    };
    const { guest, host } = memory;
    this.#imports = { guest, host, thunks: thunks.table, lookCloser: createLookCloser(memory) };
  }

  /** The region that is entered at an address. */
  at(pc: number): CompiledRegion | undefined {
    return this.#byEntry.get(pc);
  }

  /** Regions that hold the instruction at an address. */
  covering(pc: number): CompiledRegion[] {
    const found: CompiledRegion[] = [];
    for (const unit of this.#parts.cache.at(Math.floor(pc / PAGE_SIZE))) {
      const region = this.#byUnit.get(unit);
      if (region?.region.steps.has(pc)) found.push(region);
    }
    return found;
  }

  /** All regions. */
  all(): Iterable<CompiledRegion> {
    return this.#byEntry.values();
  }

  /** Writes a region without compiling it. */
  write(pc: number): WrittenRegion | undefined {
    return writeRegion(this.#options, pc);
  }

  /** Compiles the region at an address, in place of one that is there already. */
  compile(pc: number): CompiledRegion | undefined {
    if (this.#parts.hooks.at(pc)) return undefined;
    const started = performance.now();
    const written = this.write(pc);
    if (!written) return undefined;
    const { region, bytes } = written;
    const wrote = performance.now();
    const module = new WebAssembly.Module(bytes);
    const instance = new WebAssembly.Instance(module, { host: this.#imports });
    this.counts.writing += wrote - started;
    this.counts.compiling += performance.now() - wrote;
    const before = this.at(pc);
    if (before) this.drop(before);
    const compiled = this.#install(pc, region, bytes.length);
    this.slots.set(compiled.slot, instance.exports["run"] as CallableFunction);
    this.#enter(compiled);
    this.counts.compiled++;
    this.counts.instructions += region.steps.size;
    this.counts.bytes += bytes.length;
    return compiled;
  }

  #install(entry: number, region: Region, size: number): CompiledRegion {
    const pages = new Set<number>();
    for (const pc of region.steps.keys()) pages.add(Math.floor(pc / PAGE_SIZE));
    const unit = this.#parts.cache.allocate({
      owner: this,
      pages: [...pages],
      bytes: APART_SIZE,
      cost: size * EXPANSION + MODULE_COST,
    });
    unit.instructions = region.steps.size;
    const slot = this.slots.of(entry);
    const compiled = { entry, region, slot, unit, shadow: unit.address, size };
    this.#byEntry.set(entry, compiled);
    this.#byUnit.set(unit, compiled);
    return compiled;
  }

  /** Makes the micro-op at a region's first instruction its entrance. */
  #enter({ entry, slot, shadow }: CompiledRegion): void {
    this.#parts.decoder.decodeApart(this.#space, entry, shadow);
    this.#space.writeEntrance(entry, slot, shadow);
  }

  /** Puts entrances into a page whose micro-ops were made anew. */
  link(page: number): void {
    for (const unit of this.#parts.cache.at(page)) {
      const region = this.#byUnit.get(unit);
      if (region && Math.floor(region.entry / PAGE_SIZE) === page) this.#enter(region);
    }
  }

  /** The first instruction of the straight-line code that leads to `pc`, no further down than `low`. */
  leaderBefore(pc: number, low: number): number | undefined {
    const { source } = this.#options;
    if (!source.peek(pc)) return undefined;
    let leader = pc;
    for (;;) {
      const before = [2, 4].map((length) => leader - length).find((at) => {
        const instruction = at >= low ? source.peek(at) : undefined;
        return instruction?.length === leader - at && source.plan(instruction).flow === "next";
      });
      if (before === undefined) return leader;
      leader = before;
    }
  }

  /** Takes a region out. */
  drop({ unit }: CompiledRegion): void {
    this.#parts.cache.drop(unit);
  }

  /** Drops the regions that hold the instruction at an address. */
  dropAt(pc: number): void {
    for (const region of this.covering(pc)) this.drop(region);
  }

  /** Takes back what leads to a unit that is about to go. */
  released(unit: CodeUnit): void {
    const region = this.#byUnit.get(unit);
    if (!region) return;
    this.#byUnit.delete(unit);
    this.counts.dropped++;
    if (this.#byEntry.get(region.entry) === region) this.#byEntry.delete(region.entry);
    this.slots.clear(region.slot);
    this.#space.removeEntrance(region.entry, region.slot);
  }

  /** A region with a changed instruction is not kept. See {@linkcode CodeOwner.forget}. */
  forget(unit: CodeUnit, start: number, end: number): boolean {
    const { steps } = this.#byUnit.get(unit)!.region;
    for (let pc = start; pc < end && pc - start < 2 * PAGE_SIZE; pc += 2) {
      if (steps.has(pc)) return false;
    }
    return end - start < 2 * PAGE_SIZE || ![...steps.keys()].some((pc) => pc >= start && pc < end);
  }

  /** The address where a region is entered. */
  *entries(unit: CodeUnit): Iterable<number> {
    yield this.#byUnit.get(unit)!.entry;
  }

  /** The words that a region was made from. */
  *words(unit: CodeUnit): Iterable<SourceWord> {
    for (const address of this.#byUnit.get(unit)!.region.steps.keys()) {
      const bits = this.hart.fetched.peek(address);
      if (bits !== undefined) yield { address, bits };
    }
  }
}

/** What a hart has fetched, as regions are made from it. */
class FetchedCode implements CodeSource {
  readonly #hart: Hart;
  readonly #parts: TierParts;
  readonly #bounds: FunctionBounds;
  readonly #ahead: boolean;

  constructor(hart: Hart, parts: TierParts, bounds: FunctionBounds, ahead: boolean) {
    this.#hart = hart;
    this.#parts = parts;
    this.#bounds = bounds;
    this.#ahead = ahead;
  }

  peek(pc: number): Instruction | undefined {
    if (this.#parts.hooks.at(pc) || pc < 0 || pc >= 2 ** 32) return undefined;
    const { fetched, isa } = this.#hart;
    const bits = this.#ahead ? fetched.fetch(pc) : fetched.peek(pc);
    return bits === undefined || bits < 0 ? undefined : isa.decode(bits);
  }

  /** Without compressed instructions the reference sees to it that targets are aligned. */
  plan(instruction: Instruction): Plan {
    const plan = this.#parts.plans.of(instruction);
    const { flow } = plan;
    const jumps = flow === "indirect" ||
      ((flow === "jump" || flow === "branch") && instruction.imm % 4 !== 0);
    return jumps && !this.#hart.hasCompressed ? LEAVE : plan;
  }

  bounds(pc: number): { readonly low: number; readonly high: number } {
    return this.#bounds(pc);
  }
}
