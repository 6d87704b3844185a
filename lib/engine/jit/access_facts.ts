/**
 * What is known of base registers where an access is written, so that most accesses need no check.
 *
 * A check of a register proves a range of bytes around its value: all that is accessed through it
 * behind the check, on the way to the next back edge, before it changes. The proof follows additions
 * of constants and moves, and goes through the region by dataflow. A register that holds a constant
 * names its pages, so those are asked once. Pages change only while no region runs: a proof holds
 * until the region is left, across calls, too, where only registers are forgotten.
 *
 * Behind page tables a proof is that the bytes lie in an area that is held in locals of the register
 * that was checked (`find_area.ts`), its origin: where that is asked again, other proofs of it end.
 *
 * How a check is written is `region_sink.ts`.
 *
 * @module
 */
import { SP } from "../../isa/abi.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { AddressHole } from "../plan/plan.ts";
import type { ControlFlow } from "./control_flow.ts";
import { registerAt } from "./plan_use.ts";
import type { Block, Step } from "./region.ts";

/** A proof reaches no further than this from a register's value: into the page before or behind. */
const REACH = PAGE_SIZE - 64;
/** A fact that changed so often round a loop is dropped. */
const MOST_CHANGES = 2;

/** What is known of a register: the bytes from `low` up to `high` around its value, or the value. */
export type Fact =
  | {
    readonly low: number;
    readonly high: number;
    readonly writes: boolean;
    /** What was checked, if the proof is that of an area: {@linkcode originOf}; else 0. */
    readonly origin: number;
  }
  | { readonly value: number };

/** Bytes around a register's value. */
interface Range {
  readonly low: number;
  readonly high: number;
}

/** What has to be asked before an access. */
export interface Check {
  /** Number of the base register; 0 where the address is known. */
  readonly base: number;
  /** The first byte, counted from the register's value; the address itself where that is known. */
  readonly low: number;
  /** Behind the last byte. */
  readonly high: number;
  readonly writes: boolean;
  /** Behind page tables: whose area the access is in, as {@linkcode originOf} has it; else 0. */
  readonly origin: number;
  /** Whether nothing is left to ask, as is only said behind page tables. */
  readonly isProven: boolean;
}

/** Names the area that is found through a base register, for reads or for writes. */
export function originOf(base: number, writes: boolean): number {
  return base * 2 + Number(writes);
}

/** What is asked behind page tables: for all accesses on the way at once, or for each its own. */
export type TranslatedChecks = "together" | "apart";

/** What has to be asked before the steps of blocks. */
export interface Checks {
  /**
   * What has to be asked before each step of a block that is executed `copies` times in a row: for
   * each copy by position, the deciding step last.
   */
  checks(block: Block, copies: number): readonly (readonly (Check | undefined)[])[];
}

/** For code whose accesses ask nothing of pages. */
export const NO_CHECKS: Checks = { checks: (_block, copies) => new Array(copies).fill([]) };

/** What is known at one place. */
class Facts {
  readonly registers: (Fact | undefined)[];
  /** Pages that were asked, doubled, and one more where they may be written. */
  readonly pages: Set<number>;
  /** Behind page tables no address is known by its value, as its area is not. */
  readonly isTranslated: boolean;

  constructor(
    isTranslated: boolean,
    registers: (Fact | undefined)[] = new Array(32).fill(undefined),
    pages = new Set<number>(),
  ) {
    this.isTranslated = isTranslated;
    this.registers = registers;
    this.pages = pages;
  }

  copy(): Facts {
    return new Facts(this.isTranslated, this.registers.slice(), new Set(this.pages));
  }

  /** What is left where the other way may have been taken. */
  meet(other: Facts): void {
    for (let r = 0; r < 32; r++) {
      this.registers[r] = meetFacts(this.registers[r], other.registers[r]);
    }
    for (const page of this.pages) if (!other.pages.has(page)) this.pages.delete(page);
  }

  forgetRegisters(): void {
    this.registers.fill(undefined);
  }

  of(register: number): Fact | undefined {
    return register === 0 && !this.isTranslated ? { value: 0 } : this.registers[register];
  }

  /** Ends the proofs of an area whose locals are about to hold another one. */
  forgetOrigin(origin: number): void {
    for (let r = 0; r < 32; r++) {
      const fact = this.registers[r];
      if (fact && "origin" in fact && fact.origin === origin) this.registers[r] = undefined;
    }
  }

  /** What an instruction's write leaves known. */
  step({ instruction, use, pc }: Step): void {
    if (use.writes !== "x") return;
    const rd = registerAt(instruction, "rd");
    if (rd === 0) return;
    const { imm } = instruction;
    let fact: Fact | undefined;
    if (use.form === "immediate" || use.form === "target") {
      if (!this.isTranslated) fact = { value: use.form === "target" ? pc + imm : imm };
    } else if (use.form === "offset") fact = shifted(this.of(registerAt(instruction, "rs1")), imm);
    else if (use.form === "sum") {
      const a = registerAt(instruction, "rs1"), b = registerAt(instruction, "rs2");
      if (a === 0 || b === 0) fact = this.of(a || b);
    }
    this.registers[rd] = fact;
  }
}

function shifted(fact: Fact | undefined, by: number): Fact | undefined {
  if (!fact) return undefined;
  if ("value" in fact) return { value: fact.value + by };
  return { ...fact, low: fact.low - by, high: fact.high - by };
}

function isSame(a: Fact | undefined, b: Fact | undefined): boolean {
  if (a === b) return true;
  if (!a || !b) return false;
  if ("value" in a || "value" in b) return "value" in a && "value" in b && a.value === b.value;
  return a.low === b.low && a.high === b.high && a.writes === b.writes && a.origin === b.origin;
}

function meetFacts(a: Fact | undefined, b: Fact | undefined): Fact | undefined {
  if (!a || !b) return undefined;
  if ("value" in a || "value" in b) return isSame(a, b) ? a : undefined;
  const { origin } = a;
  if (origin !== b.origin) return undefined;
  const low = Math.max(a.low, b.low), high = Math.min(a.high, b.high);
  return low < high ? { low, high, writes: a.writes && b.writes, origin } : undefined;
}

/** The pages of a known address that an access may touch, as {@linkcode Facts.pages} has them. */
function pagesOf(address: number, bytes: number, writes: boolean): number[] {
  const first = Math.floor(address / PAGE_SIZE),
    last = Math.floor((address + bytes - 1) / PAGE_SIZE);
  return (first === last ? [first] : [first, last]).map((page) => page * 2 + Number(writes));
}

/** Bytes that an access touches, counted from its base register's value. */
function rangeOf(hole: AddressHole, imm: number): Range {
  const low = hole.offset ? imm : 0;
  return { low, high: low + hole.access.bytes };
}

function hull(a: Range | undefined, b: Range): Range {
  return a ? { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) } : b;
}

/** Bytes around registers' values that are accessed behind a place. */
type Demand = (Range | undefined)[];

/** The checks of one region. */
export class AccessFacts implements Checks {
  readonly #flow: ControlFlow;
  readonly #translated: TranslatedChecks | undefined;
  readonly #demands = new Map<Block, Demand>();
  /** What each access of a block should prove at once, by the position of its step. */
  readonly #wanted = new Map<Block, readonly (Range | undefined)[]>();
  /** The checks of each block that is executed once. */
  readonly #once = new Map<Block, (Check | undefined)[]>();
  readonly #in = new Map<Block, Facts>();

  /** Goes through the region until nothing more is learned; `translated` if page tables matter. */
  constructor(flow: ControlFlow, translated?: TranslatedChecks) {
    this.#flow = flow;
    this.#translated = translated;
    for (const block of [...flow.order].reverse()) this.#demands.set(block, this.#demandOf(block));
    this.#spread();
  }

  /** See {@linkcode Checks.checks}. */
  checks(block: Block, copies: number): (Check | undefined)[][] {
    if (copies === 1) return [this.#checksOnce(block)];
    const facts = this.#in.get(block)!.copy();
    const wanted = this.#wantedByCopies(block, copies);
    const all = wanted.map((each) => {
      const checks: (Check | undefined)[] = [];
      this.#through(block, facts, checks, each);
      return checks;
    });
    return this.#translated ? alike(all) : all;
  }

  /** Behind page tables, what later copies access is asked for by earlier ones. */
  #wantedByCopies(block: Block, copies: number): readonly (readonly (Range | undefined)[])[] {
    const once = this.#wanted.get(block)!;
    if (this.#translated !== "together") return new Array(copies).fill(once);
    const demand = this.#demandBehind(block);
    const all = Array.from({ length: copies }, () => this.#collect(block, demand));
    return all.reverse();
  }

  #checksOnce(block: Block): (Check | undefined)[] {
    let checks = this.#once.get(block);
    if (!checks) {
      this.#once.set(block, checks = []);
      this.#through(block, this.#in.get(block)!.copy(), checks);
    }
    return checks;
  }

  // ---- backward: what will be accessed

  #demandBehind(block: Block): Demand {
    const demand: Demand = new Array(32).fill(undefined);
    if (block.isCall) return demand;
    const { order } = this.#flow.of(block);
    for (const successor of block.successors) {
      if (this.#flow.of(successor).order <= order) continue;
      const behind = this.#demands.get(successor)!;
      for (let r = 1; r < 32; r++) {
        const range = behind[r];
        if (range) demand[r] = hull(demand[r], range);
      }
    }
    return demand;
  }

  #demandOf(block: Block): Demand {
    const demand = this.#demandBehind(block);
    this.#wanted.set(block, this.#collect(block, demand));
    return demand;
  }

  /** Goes backward through a block: what is demanded behind it becomes what is demanded before it. */
  #collect({ all }: Block, demand: Demand): (Range | undefined)[] {
    const wanted: (Range | undefined)[] = new Array(all.length).fill(undefined);
    for (let k = all.length - 1; k >= 0; k--) {
      const step = all[k]!;
      demandBefore(demand, step);
      const { access } = step.use;
      if (access && this.#translated !== "apart") {
        wanted[k] = demand[registerAt(step.instruction, access.field)];
      }
    }
    return wanted;
  }

  // ---- forward: what was asked

  #spread(): void {
    const out = new Map<Block, Facts>();
    const changes = new Map<Block, Uint8Array>();
    for (let changed = true; changed;) {
      changed = false;
      for (const block of this.#flow.order) {
        const facts = this.#meetBefore(block, out);
        const before = this.#in.get(block);
        if (before) this.#settle(facts, before, changes, block);
        if (before && facts.pages.size === before.pages.size && sameRegisters(facts, before)) {
          continue;
        }
        changed = true;
        this.#in.set(block, facts);
        const after = facts.copy();
        this.#through(block, after, []);
        out.set(block, after);
      }
    }
  }

  #meetBefore(block: Block, out: ReadonlyMap<Block, Facts>): Facts {
    const none = () => new Facts(this.#translated !== undefined);
    let facts = this.#flow.order[0] === block ? none() : undefined;
    for (const predecessor of block.predecessors) {
      const after = out.get(predecessor);
      if (!after) continue;
      if (facts) facts.meet(after);
      else facts = after.copy();
    }
    return facts ?? none();
  }

  /** Drops what goes on changing, as a range does that shrinks round a loop. */
  #settle(facts: Facts, before: Facts, all: Map<Block, Uint8Array>, block: Block): void {
    let changes = all.get(block);
    if (!changes) all.set(block, changes = new Uint8Array(32));
    for (let r = 0; r < 32; r++) {
      if (isSame(facts.registers[r], before.registers[r])) continue;
      if (++changes[r]! > MOST_CHANGES) facts.registers[r] = undefined;
    }
  }

  /** Goes through a block as the writer will. */
  #through(
    block: Block,
    facts: Facts,
    checks: (Check | undefined)[],
    wanted: readonly (Range | undefined)[] = this.#wanted.get(block)!,
  ): void {
    const { all } = block;
    for (let at = 0; at < all.length; at++) {
      const step = all[at]!;
      checks.push(this.#check(facts, step, wanted[at]));
      facts.step(step);
    }
    if (block.isCall) facts.forgetRegisters();
  }

  #check(facts: Facts, step: Step, demand: Range | undefined): Check | undefined {
    const how = this.#translated;
    return how
      ? checkTranslated(facts, step, demand, how === "together")
      : check(facts, step, demand);
  }
}

/** Makes the checks of one step in all copies ask for as many bytes: they share what they know. */
function alike(copies: readonly (readonly (Check | undefined)[])[]): (Check | undefined)[][] {
  const asked = (check: Check | undefined) => check && !check.isProven ? check.high - check.low : 0;
  return copies.map((checks) =>
    checks.map((check, at) => {
      if (asked(check) === 0) return check;
      const most = Math.max(...copies.map((each) => asked(each[at])));
      return { ...check!, high: check!.low + most };
    })
  );
}

function sameRegisters(a: Facts, b: Facts): boolean {
  for (let r = 0; r < 32; r++) if (!isSame(a.registers[r], b.registers[r])) return false;
  return true;
}

/** Makes what is demanded behind a step what is demanded before it. */
function demandBefore(demand: Demand, { instruction, use }: Step): void {
  const rd = use.writes === "x" ? registerAt(instruction, "rd") : 0;
  const wanted = demand[rd];
  demand[rd] = undefined;
  if (wanted && use.form === "offset") {
    const { imm } = instruction;
    const moved = { low: wanted.low + imm, high: wanted.high + imm };
    addDemand(demand, registerAt(instruction, "rs1"), moved);
  } else if (wanted && use.form === "sum") {
    const a = registerAt(instruction, "rs1"), b = registerAt(instruction, "rs2");
    if (a === 0 || b === 0) addDemand(demand, a || b, wanted);
  }
  const { access } = use;
  if (access) {
    addDemand(demand, registerAt(instruction, access.field), rangeOf(access, instruction.imm));
  }
}

function addDemand(demand: Demand, register: number, range: Range): void {
  if (register === 0) return;
  const whole = hull(demand[register], range);
  if (whole.low >= -REACH && whole.high <= REACH && whole.high - whole.low <= REACH) {
    demand[register] = whole;
  } else if (range.low >= -REACH && range.high <= REACH) demand[register] = range;
}

/** What has to be asked before a step, which is known from then on. */
function check(
  facts: Facts,
  { instruction, use }: Step,
  demand: Range | undefined,
): Check | undefined {
  const { access } = use;
  if (!access) return undefined;
  const base = registerAt(instruction, access.field);
  const own = rangeOf(access, instruction.imm);
  const fact = facts.of(base);
  const { writes } = access;
  if (fact && "value" in fact) return checkKnown(facts, fact.value + own.low, access);
  if (fact && own.low >= fact.low && own.high <= fact.high && (fact.writes || !writes)) {
    return undefined;
  }
  let range = demand ? hull(demand, own) : own;
  if (fact && fact.writes === writes) {
    const whole = hull(fact, range);
    if (whole.high - whole.low <= REACH) range = whole;
  }
  facts.registers[base] = { ...range, writes, origin: 0 };
  return { base, ...range, writes, origin: 0, isProven: false };
}

/** Which area an access is in, and what has to be asked before it. */
function checkTranslated(
  facts: Facts,
  { instruction, use }: Step,
  demand: Range | undefined,
  isTogether: boolean,
): Check | undefined {
  const { access } = use;
  if (!access) return undefined;
  const base = registerAt(instruction, access.field);
  const own = rangeOf(access, instruction.imm);
  const { writes } = access;
  const fact = facts.of(base);
  if (
    fact && "origin" in fact && own.low >= fact.low && own.high <= fact.high &&
    (fact.writes || !writes)
  ) return { base, ...own, writes, origin: fact.origin, isProven: true };
  const range = demand ? hull(demand, own) : own;
  // What is on the stack was written there.
  const forWrites = writes || (base === SP && isTogether);
  const origin = originOf(base, forWrites);
  facts.forgetOrigin(origin);
  facts.registers[base] = { ...range, writes: forWrites, origin };
  return { base, ...range, writes, origin, isProven: false };
}

function checkKnown(
  facts: Facts,
  address: number,
  { access, writes }: AddressHole,
): Check | undefined {
  const pages = pagesOf(address, access.bytes, writes);
  if (pages.every((page) => facts.pages.has(page) || facts.pages.has(page | 1))) return undefined;
  for (const page of pages) facts.pages.add(page);
  const high = address + access.bytes;
  return { base: 0, low: address, high, writes, origin: 0, isProven: false };
}
