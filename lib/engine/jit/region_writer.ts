/**
 * Writes a region's function: blocks nested as control flow has them, registers in locals, calls
 * through table slots.
 *
 * What is left to execute is taken off block by block; loops and the entry ask whether it covers the
 * longest way to the next such question, so that a region is never left too late. A call is given
 * what is left less what its caller still needs behind it.
 *
 * A block's instructions are `block_writer.ts`; what is asked before accesses, `access_facts.ts`.
 *
 * @module
 */
import { FLOAT_GUARD, JUMPED_FROM, LEFT_AT, WANTED_JUMP, WANTED_TARGET } from "../../hart/state.ts";
import type { Code } from "../../wasm/code.ts";
import { HOST } from "../plan/plan.ts";
import { type Addressing, type CellsPlace, findSlot } from "./addressing.ts";
import type { BlockWriter } from "./block_writer.ts";
import { executeSite, pushIsClosed } from "./call_slots.ts";
import { type ControlFlow, UNROLL } from "./control_flow.ts";
import type { Liveness } from "./liveness.ts";
import type { NarrowRegisters } from "./narrow_registers.ts";
import type { RegionNotes } from "./region_notes.ts";
import type { Block, Region } from "./region.ts";
import {
  leaveAt,
  leaveWithTarget,
  pushLeft,
  type RegionFrame,
  RegionLocal,
  spend,
} from "./region_frame.ts";
import { SITE_COUNT, SITE_SIZE } from "./site_words.ts";

/** A jump table of more entries is a look-up. */
const MOST_SWITCHED = 4096;

/** What a region's function refers to outside of it. */
export interface RegionLinks {
  /** Number of the type of regions. */
  readonly type: number;
  /** Number of the region's own function. */
  readonly self: number;
  /** The table slot of the code at an address. */
  slotOf(pc: number): number;
  /** How memory and other code are found. */
  readonly addressing: Addressing;
  /** The region's table slot. */
  readonly slot: number;
  /** Host address of the byte that says that the region was entered. */
  readonly used: number;
  /** Where it keeps what it knows of its accesses. */
  readonly cells: CellsPlace;
}

/** What a region's function is written from. */
export interface RegionParts {
  readonly region: Region;
  readonly flow: ControlFlow;
  readonly liveness: Liveness;
  readonly narrow: NarrowRegisters;
  readonly frame: RegionFrame;
  readonly code: Code;
  readonly blocks: BlockWriter;
  readonly links: RegionLinks;
  /** Absent if nobody looks. */
  readonly notes: RegionNotes | undefined;
}

/** A label that is open around the code being written. */
interface Label {
  readonly block: Block;
  /** Whether going there begins the loop again. */
  readonly isLoop: boolean;
  readonly depth: number;
}

/** Writes one region. */
export class RegionWriter {
  readonly #parts: RegionParts;
  readonly #code: Code;
  #depth = 0;
  readonly #labels: Label[] = [];

  /** To be written from `parts`. */
  constructor(parts: RegionParts) {
    this.#parts = parts;
    this.#code = parts.code;
  }

  /** Writes the function's code, without its end. */
  write(): void {
    const { region, flow, liveness, frame, links, notes } = this.#parts;
    const { entry } = region;
    const code = this.#code;
    notes?.mark("entry");
    code.i32(0).i32(1).access("i32.store8", HOST, links.used);
    if ([...region.steps.values()].some(({ plan }) => plan.floats)) {
      code.i32(0).access("i32.load", HOST, FLOAT_GUARD).unlikely().if();
      notes?.left("floats");
      leaveAt(code, entry.pc, 0);
      code.op("end");
    }
    links.addressing.enter(code, links.cells, () => {
      notes?.left("moved");
      leaveAt(code, entry.pc, 0);
    });
    if (!flow.of(entry).isLoop) this.#ask(entry, () => {});
    frame.load(code, liveness.of(entry).live);
    this.#tree(entry);
    code.op("unreachable");
  }

  /** Leaves at a block unless what is left covers the longest way from there. */
  #ask(block: Block, store: () => void): void {
    const code = this.#code;
    code.get(RegionLocal.left).i32(this.#parts.flow.of(block).longest).op("i32.lt_s");
    code.unlikely().if();
    store();
    this.#parts.notes?.left("limit");
    if (block.end.kind === "jumpTable") {
      code.get(RegionLocal.target);
      leaveWithTarget(code, 0);
    } else leaveAt(code, block.pc, 0);
    code.op("end");
  }

  // ---- structure

  /** A block and all that it dominates. */
  #tree(block: Block): void {
    const { flow, frame, liveness, narrow } = this.#parts;
    const { isLoop, dominated } = flow.of(block);
    const merges = dominated.filter((each) => flow.of(each).isMerge);
    if (!isLoop) return this.#within(block, merges, 0);
    this.#parts.notes?.mark("loop");
    const code = this.#code.loop();
    this.#labels.push({ block, isLoop: true, depth: ++this.#depth });
    this.#ask(block, () => frame.store(code, liveness.of(block).dirtyIn, narrow.of(block).halves));
    this.#within(block, merges, 0);
    code.op("end", "unreachable");
    this.#depth--;
    this.#labels.pop();
  }

  #within(block: Block, merges: readonly Block[], at: number): void {
    const merge = merges[at];
    if (!merge) return this.#block(block);
    this.#code.block();
    this.#labels.push({ block: merge, isLoop: false, depth: ++this.#depth });
    this.#within(block, merges, at + 1);
    this.#code.op("end");
    this.#depth--;
    this.#labels.pop();
    this.#tree(merge);
  }

  /** How far out the label is that leads from a block to another; undefined if there is none. */
  #labelOf(to: Block, from: Block): number | undefined {
    const { flow } = this.#parts;
    const isLoop = flow.of(to).order <= flow.of(from).order;
    const label = this.#labels.findLast((each) => each.block === to && each.isLoop === isLoop);
    return label && this.#depth - label.depth;
  }

  /** A block if a structured edge leads there. */
  #reached(to: Block | undefined, from: Block): Block | undefined {
    return to && !this.#parts.flow.of(from).dropped.has(to) ? to : undefined;
  }

  /** Goes on at the block at `pc`, with `pending` instructions not yet taken off. */
  #goTo(pc: number, block: Block | undefined, from: Block, pending: number): void {
    const to = this.#reached(block, from);
    if (!to) return this.#leave(from, pc, pending);
    this.#bring(from, to);
    const label = this.#labelOf(to, from);
    if (label === undefined) return this.#tree(to);
    this.#code.br(label);
  }

  /** Brings registers to where another block finds them. */
  #bring(from: Block, to: Block): void {
    const { frame, liveness, narrow } = this.#parts;
    frame.store(this.#code, liveness.storedBetween(from, to), narrow.behind(from).halves);
    frame.widen(this.#code, this.#toWiden(from, to));
  }

  /** Whether a block finds all registers where another one has left them. */
  #isBrought(from: Block, to: Block): boolean {
    const { x, f } = this.#parts.liveness.storedBetween(from, to);
    return x === 0 && f === 0 && this.#toWiden(from, to) === 0;
  }

  /** The registers that a block keeps as halves and another one finds as wholes. */

  #toWiden(from: Block, to: Block): number {
    const { liveness, narrow } = this.#parts;
    // Behind a call registers are loaded anew.
    if (from.isCall) return 0;
    return narrow.behind(from).halves & ~narrow.of(to).halves & liveness.of(to).live.x;
  }

  #leave(from: Block, pc: number, pending: number): void {
    this.#store(from);
    this.#parts.notes?.leftAt(pc);
    this.#code.i32(0).i64(BigInt(pc)).access("i64.store", HOST, LEFT_AT);
    leaveAt(this.#code, pc, pending);
  }

  #store(block: Block): void {
    const { frame, liveness, narrow } = this.#parts;
    frame.store(this.#code, liveness.of(block).dirty, narrow.behind(block).halves);
  }

  // ---- blocks

  #block(block: Block): void {
    const { flow, blocks } = this.#parts;
    if (flow.isUnrolled(block)) return this.#unrolled(block);
    const { pending, carries } = flow.of(block);
    blocks.write(block, pending);
    const all = pending + block.count;
    if (carries || !goesOn(block)) return this.#end(block, all);
    spend(this.#code, all);
    this.#end(block, 0);
  }

  /** A loop of one block, several times in a row. */
  #unrolled(block: Block): void {
    const code = this.#code;
    const { end, count } = block;
    this.#parts.blocks.writeCopies(block, UNROLL, (copy, depth) => {
      if (copy === UNROLL) {
        spend(code, count * UNROLL);
        this.#parts.blocks.writeEnd(block);
        this.#depth += depth;
        this.#brIf(block, block, this.#labelOf(block, block)!);
        this.#depth -= depth;
        return;
      }
      this.#parts.blocks.writeEnd(block);
      code.op("i32.eqz").if();
      spend(code, count * copy);
      code.br(1).op("end");
      this.#bring(block, block);
    });
    this.#goTo(end.next, end.behind, block, 0);
  }

  #end(block: Block, pending: number): void {
    const { kind, target, next, step } = block.end;
    if (step) this.#parts.blocks.writeEnd(block);
    switch (kind) {
      case "goto":
        return this.#jump(block, pending);
      case "enter":
        return this.#enter(block, pending);
      case "branch":
        return this.#branch(block, pending);
      case "call":
        return this.#call(block, pending);
      case "callIndirect":
        this.#code.set(RegionLocal.target);
        return this.#callIndirect(block, pending);
      case "return":
        this.#code.set(RegionLocal.target);
        this.#store(block);
        this.#code.get(RegionLocal.target);
        return leaveWithTarget(this.#code, pending);
      case "comeBack":
        return this.#comeBack(block, pending);
      case "dispatch":
        this.#code.set(RegionLocal.target);
        return this.#dispatch(block, pending);
      case "jumpTable":
        this.#switch(block);
        return this.#jumpOut(block, pending);
      case "exit":
        return this.#leave(block, target, pending);
    }
    throw new TypeError(`Cannot end a block at 0x${next.toString(16)}: ${kind}`);
  }

  /** A jump out of the region is a call in place of this function. */
  #jump(block: Block, pending: number): void {
    const { target, step, to } = block.end;
    if (!step || to) return this.#goTo(target, to, block, pending);
    const { links } = this.#parts;
    this.#store(block);
    pushLeft(this.#code, pending);
    this.#code.get(RegionLocal.depth).i32(links.slotOf(target)).returnCallIndirect(links.type);
  }

  /** Pops i32: not 0 goes to a block by a label. */
  #brIf(from: Block, to: Block, label: number): void {
    if (this.#isBrought(from, to)) this.#code.brIf(label);
    else {
      this.#code.if();
      this.#bring(from, to);
      this.#code.br(label + 1).op("end");
    }
  }

  #branch(block: Block, pending: number): void {
    const { target, next, to, behind } = block.end;
    const there = this.#reached(to, block);
    const label = there && this.#labelOf(there, block);
    if (there && label !== undefined) this.#brIf(block, there, label);
    else {
      this.#code.if();
      this.#depth++;
      this.#goTo(target, to, block, pending);
      this.#depth--;
      this.#code.op("end");
    }
    this.#goTo(next, behind, block, pending);
  }

  #call(block: Block, pending: number): void {
    const { target, passes } = block.end;
    const { links } = this.#parts;
    const code = this.#code;
    this.#store(block);
    code.get(RegionLocal.depth).op("i32.eqz").unlikely().if();
    this.#parts.notes?.left("depth");
    leaveAt(code, target, pending);
    code.op("end");
    if (passes === undefined) this.#callAt(target, block, pending);
    else {
      const entry = target + SITE_SIZE;
      // A closed site leaves, by way of its stub, which counts.
      pushIsClosed(code, passes, this.#slotOf(entry));
      code.unlikely().if();
      this.#pushCall(block, pending);
      code.i32(links.slotOf(target)).callIndirect(links.type);
      code.i32(this.#parts.flow.reserveBehind(block)).op("i32.add", "return", "end");
      executeSite(code, passes);
      this.#callAt(entry, block, pending + SITE_COUNT);
    }
    this.#afterCall(block);
  }

  /** The table slot of the region at an address. */
  #slotOf(entry: number): number {
    const { links, region } = this.#parts;
    return entry === region.entry.pc ? links.slot : links.slotOf(entry);
  }

  /** Calls the region at an address: a region that is dropped is not running, so itself at once. */
  #callAt(entry: number, block: Block, pending: number): void {
    const { links, region } = this.#parts;
    this.#pushCall(block, pending);
    if (entry === region.entry.pc) this.#code.call(links.self);
    else this.#code.i32(links.slotOf(entry)).callIndirect(links.type);
  }

  /** Goes on in what is inlined, unless the site before it is closed. */
  #enter(block: Block, pending: number): void {
    const { target, to, passes } = block.end;
    if (passes !== undefined) {
      // Only the region itself is inlined behind a site.
      pushIsClosed(this.#code, passes, this.#parts.links.slot);
      this.#code.unlikely().if();
      this.#leave(block, target, pending);
      this.#code.op("end");
    }
    this.#goTo(target, to, block, pending);
  }

  /** Goes on behind an inlined call, whose return address is on the stack; leaves if it is another. */
  #comeBack(block: Block, pending: number): void {
    const { next, behind } = block.end;
    const code = this.#code;
    code.tee(RegionLocal.target).i64(BigInt(next)).op("i64.ne").unlikely().if();
    this.#store(block);
    this.#parts.notes?.left("returned");
    code.get(RegionLocal.target);
    leaveWithTarget(code, pending);
    code.op("end");
    this.#goTo(next, behind, block, pending);
  }

  #callIndirect(block: Block, pending: number): void {
    const code = this.#code;
    this.#store(block);
    code.block();
    findSlot(code, this.#parts.links.addressing);
    this.#pushCall(block, pending);
    code.get(RegionLocal.word).callIndirect(this.#parts.links.type);
    this.#depth++;
    this.#afterCall(block);
    this.#depth--;
    code.op("end");
    this.#parts.notes?.left("unknownTarget");
    code.i32(0).get(RegionLocal.target).access("i64.store", HOST, WANTED_TARGET);
    code.get(RegionLocal.target);
    leaveWithTarget(code, pending);
  }

  /** Pushes what a callee may execute, and how deep calls may nest in it. */
  #pushCall(block: Block, pending: number): void {
    pushLeft(this.#code, pending + this.#parts.flow.reserveBehind(block));
    this.#code.get(RegionLocal.depth).i32(1).op("i32.sub");
  }

  /** Goes on behind a call if the callee came back to there; leaves otherwise. */
  #afterCall(block: Block): void {
    const { flow, frame, liveness } = this.#parts;
    const { next, behind } = block.end;
    const code = this.#code;
    const reserve = flow.reserveBehind(block);
    if (reserve !== 0) code.i32(reserve).op("i32.add");
    code.set(RegionLocal.left);
    const after = this.#reached(behind, block);
    if (!after) {
      this.#parts.notes?.leftBehind(next);
      code.get(RegionLocal.left).op("return");
      return;
    }
    code.tee(RegionLocal.target).i64(BigInt(next)).op("i64.ne").unlikely().if();
    code.get(RegionLocal.target).get(RegionLocal.left).op("return", "end");
    frame.load(code, liveness.of(after).live);
    this.#goTo(next, behind, block, 0);
  }

  /** Goes to the jump table, if a structured edge leads there. */
  #dispatch(block: Block, pending: number): void {
    const table = block.successors[0]!;
    if (this.#parts.flow.of(block).dropped.has(table)) return this.#jumpOut(block, pending);
    const label = this.#labelOf(table, block);
    this.#bring(block, table);
    if (label === undefined) this.#tree(table);
    else this.#code.br(label);
  }

  /** Goes where the target leads that the jump table does not know: in place of this function. */
  #jumpOut(block: Block, pending: number): void {
    const code = this.#code;
    const { target, depth, word } = RegionLocal;
    this.#store(block);
    code.block();
    findSlot(code, this.#parts.links.addressing);
    pushLeft(code, pending);
    code.get(depth).get(word).returnCallIndirect(this.#parts.links.type);
    code.op("end");
    this.#parts.notes?.left("unknownTarget");
    code.i32(0).i64(BigInt(this.#parts.region.entry.pc)).access("i64.store", HOST, JUMPED_FROM);
    code.i32(0).get(target).access("i64.store", HOST, WANTED_JUMP).get(target);
    leaveWithTarget(code, pending);
  }

  #switch(block: Block): void {
    const code = this.#code;
    const targets = new Map<number, number>();
    this.#depth++;
    for (const to of block.successors) {
      const label = this.#reached(to, block) && this.#labelOf(to, block);
      if (label !== undefined) this.#bring(block, to);
      if (label !== undefined) targets.set(to.pc, label);
    }
    this.#depth--;
    const low = Math.min(...targets.keys());
    const count = (Math.max(...targets.keys()) - low) / 2 + 1;
    if (targets.size === 0 || count > MOST_SWITCHED) return;
    code.block();
    const table = Array.from({ length: count }, (_, k) => targets.get(low + k * 2) ?? 0);
    code.get(RegionLocal.target).i64(BigInt(low)).op("i64.sub").i64(1n).op("i64.rotr");
    code.tee(RegionLocal.long).i64(BigInt(count)).op("i64.ge_u").brIf(0);
    code.get(RegionLocal.long).op("i32.wrap_i64").brTable(table, 0).op("end");
  }
}

/** Whether control goes on inside the region, so that what was executed is taken off first. */
function goesOn({ end: { kind } }: Block): boolean {
  return kind === "goto" || kind === "branch" || kind === "dispatch" || kind === "enter" ||
    kind === "comeBack";
}
