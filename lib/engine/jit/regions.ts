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
import { REGION_INSTRET } from "../../hart/state.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { CodeOwner, CodeUnit, SourceWord } from "../code_cache.ts";
import type { CompiledCode } from "../compiled_code.ts";
import { BLOCK_SIZE, ENTRANCE } from "../interpreter/micro_op.ts";
import type { MicroOpSpace } from "../interpreter/micro_op_space.ts";
import type { TierParts } from "../interpreter/tier.ts";
import type { ExitReason } from "../statistics.ts";
import { plainAddressing, translatedAddressing } from "./addressing.ts";
import { type Area, Areas } from "./areas.ts";
import { CallSlots } from "./call_slots.ts";
import { type RegionOptions, writeRegion, type WrittenRegion } from "./compile.ts";
import { createFindArea } from "./find_area.ts";
import { createLookCloser } from "./look_closer.ts";
import { Expected } from "./expected.ts";
import { FetchedCode, type Placement, PLAIN, translatedPlacement } from "./fetched_code.ts";
import type { Functions } from "./functions.ts";
import { moduleOf } from "./module_cache.ts";
import { costOf, extentOf, hasStepIn, physicalIn, type PlacedRegion } from "./placed_region.ts";
import type { Region } from "./region.ts";
import { RegionFinder } from "./region_finder.ts";
import type { RegionCounters } from "./region_counters.ts";
import { Sites } from "./sites.ts";

/** How often a region is made anew because its accesses were elsewhere than expected. */
const MOST_LESSONS = 3;
/** Jump targets that a region learns of. */
const MOST_TARGETS = 256;
/** How regions are made. */
export interface RegionStyle {
  /** Whether nothing is asked of pages. */
  readonly unchecked: boolean;
  /** Whether a hart fetches what a region may come to, as it may, instead of waiting for it. */
  readonly ahead: boolean;
  /** What counts for statistics; absent in a plain run. */
  readonly counters: RegionCounters | undefined;
  /** Called with what was compiled; absent if nobody wants to read it. */
  readonly read: ((code: CompiledCode) => void) | undefined;
}

/** A region that can be entered. */
export interface CompiledRegion extends PlacedRegion {
  readonly entry: number;
  readonly slot: number;
  readonly unit: CodeUnit;
  /** What its accesses were expected to do. */
  readonly expected: Expected;
  /** How many instructions compiled code had executed when it was made. */
  readonly since: number;
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

/** Regions of one hart, in its plain space or in its translated one. */
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
  /** Where functions begin that somebody may switch. */
  readonly sites: Sites;
  readonly #parts: TierParts;
  readonly #space: MicroOpSpace;
  readonly #options: RegionOptions;
  readonly source: FetchedCode;
  readonly #functions: Functions;
  readonly #finder: RegionFinder;
  readonly #placement: Placement;
  readonly #areas: Areas;
  /** Where accesses were when they were not where they had been expected, by pc. */
  readonly #learned = new Map<number, number>();
  /** Where indirect jumps were seen to go that no jump table knew, by the region's entry. */
  readonly #jumpTargets = new Map<number, Set<number>>();
  /** How often a region was made anew for what was learned, by its entry. */
  readonly #lessons = new Map<number, number>();
  /**
   * Entries of regions behind page tables where what is accessed together often lay in pages that are
   * apart: each access there asks for itself.
   */
  readonly #apart = new Set<number>();
  readonly #imports: WebAssembly.ModuleImports;
  readonly #read: RegionStyle["read"];
  /** By the physical address of the first instruction, which may have several virtual ones. */
  readonly #byEntry = new Map<number, CompiledRegion[]>();
  /** By the numbers of the pages, as the hart names them, that hold their instructions. */
  readonly #byPage = new Map<number, Set<CompiledRegion>>();
  readonly #byUnit = new Map<CodeUnit, CompiledRegion>();
  /** What calls of an address lead to: where that has meant several pages, one region of several. */
  readonly #called = new Map<number, CompiledRegion>();
  readonly #runs = new WeakMap<CompiledRegion, CallableFunction>();
  readonly #everCompiled = new Set<number>();
  #spoilt?: (region: CompiledRegion, executed: number) => void;

  /** No region yet, of the hart whose micro-ops are in `space`. */
  constructor(space: MicroOpSpace, parts: TierParts, functions: Functions, style: RegionStyle) {
    const { memory, thunks } = parts;
    this.hart = space.hart;
    this.#space = space;
    this.#parts = parts;
    const { translated } = space;
    this.slots = new CallSlots(memory, thunks.table, { translated, counters: style.counters });
    const { hart } = this;
    this.#placement = space.translated ? translatedPlacement(hart) : PLAIN;
    const { hooks } = parts;
    this.#functions = functions;
    this.source = new FetchedCode({
      hart,
      hooks,
      placement: this.#placement,
      functions,
      jumpTargets: this.#jumpTargets,
      ahead: style.ahead,
    });
    this.sites = new Sites({
      ...{ space, decoder: parts.decoder, hooks, memory, slots: this.slots },
      source: this.source,
      physical: (pc) => this.physical(pc),
      regionAt: (pc) => hooks.at(pc) ? undefined : this.at(pc)?.slot,
    });
    hart.fetched.onDrop((address) => this.sites.dropped(address));
    this.#finder = new RegionFinder({
      ...{ source: this.source, functions, hooks, sites: this.sites, slots: this.slots },
      ...{ translated, counts: style.counters !== undefined },
    });
    this.#areas = new Areas(memory, (area) => this.#areaLost(area));
    this.#options = {
      memory,
      aligned: space.hart.trapsMisaligned,
      unchecked: style.unchecked,
      slotOf: (pc) => this.slots.of(pc),
      reasonAt: (pc) => this.reasonAt(pc),
      counters: style.counters,
      isRead: style.read !== undefined,
    };
    this.#read = style.read;
    const { guest, host } = memory;
    const asked = space.translated
      ? createFindArea(space.hart)
      : { lookCloser: createLookCloser(memory) };
    this.#imports = { guest, host, thunks: thunks.table, ...asked, ...style.counters?.imports };
  }

  /**
   * Calls `listener` with each region whose instructions changed, and with how many instructions
   * compiled code has executed since it was made.
   */
  onSpoilt(listener: (region: CompiledRegion, executed: number) => void): void {
    this.#spoilt = listener;
  }

  #executed(): number {
    return Number(this.#parts.memory.hostView.getBigUint64(REGION_INSTRET, true));
  }

  /** Where the instruction at an address lies now; −1 if it is not known. */
  physical(pc: number): number {
    return this.#placement.physical(pc);
  }

  /** The region that is entered at an address, where that means now what it meant then. */
  at(pc: number): CompiledRegion | undefined {
    const here = this.#byEntry.get(this.#placement.physical(pc));
    return here?.find(({ entry }) => entry === pc);
  }

  /** Regions that can be entered and hold the instruction at an address, as it lies now. */
  covering(pc: number): CompiledRegion[] {
    const physical = this.#placement.physical(pc);
    return this.#holding(pc).filter((region) =>
      physicalIn(region, pc) === physical && !this.#parts.hooks.at(region.entry)
    );
  }

  /** Regions that hold an instruction at an address, wherever that lay. */
  #holding(pc: number): CompiledRegion[] {
    const here = this.#byPage.get(Math.floor(pc / PAGE_SIZE));
    return here ? [...here].filter(({ region }) => region.steps.has(pc)) : [];
  }

  /** All regions. */
  all(): Iterable<CompiledRegion> {
    return this.#byUnit.values();
  }

  /** Whether a region is or was entered at an address. */
  wasCompiled(entry: number): boolean {
    return this.#everCompiled.has(entry);
  }

  /** The region that would be entered at `pc` now, where no site is. */
  discover(pc: number): Region | undefined {
    return this.#finder.find(pc);
  }

  /** Why compiled code that comes to an address goes no further. */
  reasonAt(pc: number): ExitReason {
    if (this.#parts.hooks.at(pc)) return "hook";
    const instruction = this.source.peek(pc);
    if (!instruction) return "unfetched";
    return this.source.plan(instruction).flow === "leave" ? "reference" : "outside";
  }

  /**
   * Compiles the region at an address, in place of one that is there already; or else, where a site
   * is, the one behind it, unless there is one. A region that the cache cannot keep beside the
   * micro-ops that lead there is not made: each would push the other out.
   */
  compile(pc: number, region?: Region): CompiledRegion | undefined {
    const begin = region ? pc : this.sites.begin(pc);
    if (begin !== pc && this.at(begin) || this.source.isInSite(pc)) {
      this.sites.changed(begin);
      return undefined;
    }
    const found = region ?? this.discover(begin);
    if (!found || !this.#parts.cache.fits(costOf(found) + BLOCK_SIZE)) return undefined;
    return this.#compile(begin, found);
  }

  #compile(pc: number, region: Region): CompiledRegion {
    const before = this.at(pc);
    if (before) this.drop(before);
    const started = performance.now();
    const made = this.#make(pc, region);
    const addressing = this.#space.translated
      ? translatedAddressing(made.pages, this.#apart.has(pc) ? "apart" : "together")
      : plainAddressing(this.#space.table);
    const { slot, unit } = made;
    const place = { addressing, slot, used: unit.address + ENTRANCE.used };
    const written = writeRegion(this.#options, region, made.expected.model(), place);
    const { bytes } = written;
    const wrote = performance.now();
    const instance = new WebAssembly.Instance(moduleOf(bytes), { host: this.#imports });
    const run = instance.exports["run"] as CallableFunction;
    this.slots.set(slot, run);
    this.#runs.set(made, run);
    this.#lead(made);
    this.#enter(made);
    this.sites.changed(pc);
    const { counts } = this;
    counts.writing += wrote - started;
    counts.compiling += performance.now() - wrote;
    counts.compiled++;
    counts.instructions += region.steps.size;
    counts.bytes += bytes.length;
    this.#read?.(this.#readable(made, written));
    return made;
  }

  /** Makes calls of a region's address lead to it. */
  #lead(region: CompiledRegion): void {
    const { entry, slot } = region;
    this.slots.lead(this.slots.of(entry), this.#runs.get(region)!, slot);
    this.#called.set(entry, region);
  }

  /** Makes calls of a region's address lead to it no more, if they do. */
  #close(region: CompiledRegion): void {
    const { entry } = region;
    if (this.#called.get(entry) !== region) return;
    this.#called.delete(entry);
    this.slots.clear(this.slots.of(entry));
  }

  #readable(
    made: CompiledRegion,
    { bytes, code, frame, functions, notes }: WrittenRegion,
  ): CompiledCode {
    const bitsAt = (pc: number) => this.hart.fetched.peek(physicalIn(made, pc))!;
    return {
      entry: made.entry,
      function: this.source.bounds(made.entry),
      instructions: new Map([...made.region.steps.keys()].map((pc) => [pc, bitsAt(pc)])),
      bytes: bytes.length,
      code: code.slice(),
      locals: frame.described(),
      functions,
      marks: notes!.marks,
    };
  }

  #make(entry: number, region: Region): CompiledRegion {
    const pages = new Map<number, number>();
    for (const pc of region.steps.keys()) {
      const page = Math.floor(pc / PAGE_SIZE);
      if (pages.has(page)) continue;
      pages.set(page, Math.floor(this.#placement.physical(pc) / PAGE_SIZE));
    }
    const unit = this.#parts.cache.allocate({
      owner: this,
      pages: [...new Set(pages.values())],
      extent: extentOf({ region, pages }),
      bytes: ENTRANCE.size + Expected.cells(region, this.#space.translated),
      cost: costOf(region),
    });
    unit.instructions = region.steps.size;
    this.#parts.memory.hostView.setBigInt64(unit.address + ENTRANCE.pc, BigInt(entry), true);
    const slot = this.#space.translated ? this.slots.take(entry) : this.slots.of(entry);
    const expected = new Expected({
      region,
      slot,
      cells: unit.address + ENTRANCE.size,
      hart: this.hart,
      areas: this.#areas,
      learned: this.#learned,
      translated: this.#space.translated,
    });
    const since = this.#executed();
    const made = { entry, region, slot, unit, pages, expected, since };
    const physical = physicalIn(made, entry);
    this.#byEntry.set(physical, [...this.#byEntry.get(physical) ?? [], made]);
    this.#everCompiled.add(entry);
    this.#byUnit.set(unit, made);
    for (const page of pages.keys()) {
      this.#byPage.set(page, (this.#byPage.get(page) ?? new Set()).add(made));
    }
    return made;
  }

  /**
   * A region was asked for: by calls that lead elsewhere, or as an access of it was often not where it
   * had been expected. Then it is made anew, if that helps.
   */
  wanted(region: CompiledRegion): boolean {
    if (this.#called.get(region.entry) === region) return this.#relearn(region);
    if (!this.#parts.hooks.at(region.entry)) this.#lead(region);
    return false;
  }

  #relearn(region: CompiledRegion): boolean {
    if (this.#space.translated) {
      if (this.#apart.has(region.entry)) return false;
      this.#apart.add(region.entry);
      return this.compile(region.entry, region.region) !== undefined;
    }
    const lessons = (this.#lessons.get(region.entry) ?? 0) + 1;
    if (lessons > MOST_LESSONS || !region.expected.learn()) return false;
    this.#lessons.set(region.entry, lessons);
    // What was fetched since is part of it then.
    const found = this.discover(region.entry) ?? region.region;
    return this.compile(region.entry, found) !== undefined;
  }

  /**
   * An indirect jump of the region at `entry` went where its jump table does not lead: to another
   * function, or into its own, whose table is made anew.
   */
  learnJump(entry: number, target: number): boolean {
    if (this.#functions.around(target).low === target) {
      return !this.at(target) && this.compile(target) !== undefined;
    }
    let targets = this.#jumpTargets.get(entry);
    if (!targets) this.#jumpTargets.set(entry, targets = new Set());
    if (targets.has(target) || targets.size >= MOST_TARGETS || !this.at(entry)) return false;
    targets.add(target);
    return this.compile(entry) !== undefined;
  }

  #areaLost(area: Area): void {
    for (const region of [...this.#byUnit.values()]) {
      if (region.expected.reliesOn(area)) this.drop(region);
    }
  }

  /** Makes the micro-op at a region's first instruction its entrance. */
  #enter(region: CompiledRegion): void {
    if (this.#parts.hooks.at(region.entry)) return;
    const physical = physicalIn(region, region.entry);
    const { slot, unit } = region;
    // Where the heap is full, the page's micro-ops may have taken the region's place.
    this.#space.unitOf(Math.floor(physical / PAGE_SIZE));
    if (!this.#byUnit.has(unit)) return;
    this.#parts.decoder.decodeApart(this.#space, physical, unit.address + ENTRANCE.microOp);
    this.#space.writeEntrance(physical, slot, unit.address);
  }

  /** Puts entrances into a physical page whose micro-ops were made anew. */
  link(page: number): void {
    for (const unit of this.#parts.cache.at(page)) {
      const region = this.#byUnit.get(unit);
      if (!region || Math.floor(physicalIn(region, region.entry) / PAGE_SIZE) !== page) continue;
      this.#enter(region);
    }
    this.sites.pageMade(page);
  }

  /** Takes a region out. */
  drop({ unit }: CompiledRegion): void {
    this.#parts.cache.drop(unit);
  }

  /**
   * A hook came to an address, or went. A region that is entered there stays, and is not entered as
   * long as somebody is to be asked; others that hold it are dropped.
   */
  hookChanged(pc: number): void {
    for (const region of this.#holding(pc)) {
      if (this.#space.translated || region.entry !== pc) this.drop(region);
      else if (this.#parts.hooks.at(pc)) this.#close(region);
      else {
        this.#lead(region);
        this.#enter(region);
      }
    }
    this.sites.changed(pc);
  }

  /** Takes back what leads to a unit that is about to go. */
  released(unit: CodeUnit): void {
    const region = this.#byUnit.get(unit);
    if (!region) return;
    this.#byUnit.delete(unit);
    this.counts.dropped++;
    const physical = physicalIn(region, region.entry);
    const rest = this.#byEntry.get(physical)!.filter((each) => each !== region);
    if (rest.length > 0) this.#byEntry.set(physical, rest);
    else this.#byEntry.delete(physical);
    for (const page of region.pages.keys()) this.#byPage.get(page)?.delete(region);
    this.#space.removeEntrance(physical, region.slot);
    this.#close(region);
    this.sites.changed(region.entry);
    if (this.#space.translated) this.slots.giveBack(region.slot);
  }

  /** A region with a changed instruction is not kept. See {@linkcode CodeOwner.forget}. */
  forget(unit: CodeUnit, start: number, end: number): boolean {
    const region = this.#byUnit.get(unit)!;
    if (!hasStepIn(region, start, end)) return true;
    this.#spoilt?.(region, this.#executed() - region.since);
    return false;
  }

  /** Whether a region was entered since this was last asked. */
  takeUsed({ address }: CodeUnit): boolean {
    const { hostBytes } = this.#parts.memory;
    const used = hostBytes[address + ENTRANCE.used] !== 0;
    hostBytes[address + ENTRANCE.used] = 0;
    return used;
  }

  /** The physical address where a region is entered. */
  *entries(unit: CodeUnit): Iterable<number> {
    const region = this.#byUnit.get(unit)!;
    yield physicalIn(region, region.entry);
  }

  /** The words that a region was made from. */
  *words(unit: CodeUnit): Iterable<SourceWord> {
    const region = this.#byUnit.get(unit)!;
    for (const pc of region.region.steps.keys()) {
      const address = physicalIn(region, pc);
      const bits = this.hart.fetched.peek(address);
      if (bits !== undefined) yield { address, bits };
    }
  }
}
