/**
 * Writes the micro-ops of instructions as a hart first executes them.
 *
 * Decoding goes through the hart's fetch cache and no further than the instruction at hand, so stale
 * text stays stale until `fence.i` here as on the reference.
 *
 * Where addresses are translated, an instruction of four bytes in a page's last halfword ends in
 * whatever page comes next at its address. Its micro-op is written for the page that this is now;
 * emitted code looks whether it still is, each time.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { SINK, X } from "../../hart/state.ts";
import { type Instruction, SHIFT } from "../../isa/encoding.ts";
import type { Memory } from "../../memory/memory.ts";
import { EXECUTE, PAGE_SIZE } from "../../memory/page.ts";
import type { CodeUnit } from "../code_cache.ts";
import type { HandlerRow, HandlerRows } from "./handler_rows.ts";
import { BLOCK, Handler, MICRO_OP } from "./micro_op.ts";
import type { MicroOpSpace } from "./micro_op_space.ts";

/**
 * The physical address of the instruction at a signed virtual one, or −1 if it cannot be fetched or
 * its page is not one that the TLB holds.
 */
export function executableAddress({ memory, system }: Hart, pc: bigint): number {
  const { translation } = system!;
  const { tlb, fetchBank } = translation;
  let physical = tlb.fetch(fetchBank, pc);
  if (physical < 0) {
    translation.fetch(pc);
    physical = tlb.fetch(fetchBank, pc);
  }
  if (physical < 0 || physical % 2 !== 0) return -1;
  return memory.permissions[Math.floor(physical / PAGE_SIZE)]! & EXECUTE ? physical : -1;
}

/** Where a micro-op is written, and what it may say of where it stands. */
interface Place {
  readonly space: MicroOpSpace;
  readonly unit: CodeUnit;
  /** Host address of the micro-op. */
  readonly at: number;
  /** Address of the instruction: physical where addresses are translated. */
  readonly pc: number;
  /** Whether the micro-op lies apart from those of its page, so that none is near. */
  readonly apart: boolean;
}

/** Decodes for the harts of one memory. */
export class Decoder {
  readonly #view: DataView;
  readonly #rows: HandlerRows;
  readonly #split: number;

  /** Writes micro-ops into the host's part of `memory`; `split` is the handler across two pages. */
  constructor(memory: Memory, rows: HandlerRows, split: number) {
    this.#view = memory.hostView;
    this.#rows = rows;
    this.#split = split;
  }

  /** Writes the micro-op of the instruction at the hart's pc; false if nothing can be fetched there. */
  decode(hart: Hart, space: MicroOpSpace): boolean {
    let pc = hart.pcNumber;
    if (space.translated && !space.tracing) {
      const virtual = BigInt.asIntN(64, hart.pc);
      pc = executableAddress(hart, virtual);
      if (pc < 0) return false;
      const isLast = pc % PAGE_SIZE === PAGE_SIZE - 2;
      if (isLast && (hart.fetched.firstHalf(pc) & 3) === 3) {
        return this.#decodeSplit(space, virtual, pc);
      }
    }
    if (pc % 2 !== 0) return false;
    const bits = hart.fetched.fetch(pc);
    if (bits < 0) return false;
    const unit = space.unitOf(Math.floor(pc / PAGE_SIZE));
    const at = unit.address + (pc % PAGE_SIZE) * 8;
    this.#write(bits, { space, unit, at, pc, apart: false });
    return true;
  }

  /** Who executes the instruction at a hart's `pc`, as far as that was fetched. */
  known({ fetched, isa, flat, system }: Hart, pc: number): "unfetched" | "reference" | undefined {
    const translation = flat ? undefined : system?.translation;
    const at = translation ? translation.tlb.fetch(translation.fetchBank, BigInt(pc)) : pc;
    const bits = at < 0 ? undefined : fetched.peek(at);
    if (bits === undefined || bits < 0) return "unfetched";
    return this.#rows.of(isa.decode(bits)).flow === "leave" ? "reference" : undefined;
  }

  #decodeSplit(space: MicroOpSpace, virtual: bigint, pc: number): boolean {
    const second = executableAddress(space.hart, BigInt.asIntN(64, virtual + 2n));
    if (second < 0) return false;
    const unit = space.unitOf(Math.floor(pc / PAGE_SIZE));
    const bits = space.hart.fetched.fetchSplit(pc, second);
    const shadow = unit.address + BLOCK.split * MICRO_OP.size;
    this.#write(bits, { space, unit, at: shadow, pc, apart: true });
    const at = unit.address + (pc % PAGE_SIZE) * 8;
    this.#view.setUint32(at + MICRO_OP.imm, second / PAGE_SIZE, true);
    space.setHandler(unit, at, this.#split);
    return true;
  }

  /**
   * Writes the micro-op of a fetched instruction, which begins at `pc`, to a place apart from its
   * page, of `APART_SIZE` bytes: what comes behind it there goes back to the page.
   */
  decodeApart(space: MicroOpSpace, pc: number, at: number): void {
    const unit = space.unitOf(Math.floor(pc / PAGE_SIZE));
    for (const behind of [1, 2]) {
      this.#view.setUint16(at + behind * MICRO_OP.size + MICRO_OP.handler, Handler.cross, true);
    }
    this.#write(space.hart.fetched.fetch(pc), { space, unit, at, pc, apart: true });
  }

  #write(bits: number, place: Place): void {
    const { space, unit, at } = place;
    const { hart } = space;
    const instruction = hart.isa.decode(bits);
    const row = this.#rows.of(instruction);
    const view = this.#view;
    const { word, length } = instruction;
    const rd = (word >>> SHIFT.rd) & 31;
    view.setUint16(at + MICRO_OP.rd, rd === 0 && row.asks.writesX ? SINK - X : rd * 8, true);
    view.setUint16(at + MICRO_OP.rs1, ((word >>> SHIFT.rs1) & 31) * 8, true);
    view.setUint16(at + MICRO_OP.rs2, ((word >>> SHIFT.rs2) & 31) * 8, true);
    const near = space.translated
      ? this.#writeRelative(row, instruction, place)
      : this.#writeImmediate(row, instruction, place);
    // Without compressed instructions the reference sees to it that targets are aligned.
    const { flow, numbers } = row;
    const jumps = flow === "indirect" ||
      ((flow === "jump" || flow === "branch") && instruction.imm % 4 !== 0);
    const leaves = near === undefined || (jumps && !hart.hasCompressed);
    const number = leaves ? Handler.leave : numbers[(length === 4 ? 2 : 0) + (near ? 0 : 1)]!;
    if (place.apart) view.setUint16(at + MICRO_OP.handler, number, true);
    else space.setHandler(unit, at, number);
  }

  /** Writes what the micro-op says besides registers where pc is not known: targets are distances. */
  #writeRelative(row: HandlerRow, { word, imm }: Instruction, { pc, at, apart }: Place): boolean {
    const view = this.#view;
    const target = (pc % PAGE_SIZE) + imm;
    const near = !apart && target >= 0 && target < PAGE_SIZE;
    const jumps = row.flow === "branch" || row.flow === "jump";
    if (jumps && near) view.setInt32(at + MICRO_OP.imm, imm * 8, true);
    else if (row.asks.rs3 || row.asks.mode) this.#writeThird(word, at);
    else view.setBigInt64(at + MICRO_OP.imm, BigInt(imm), true);
    return near;
  }

  /**
   * Writes what the micro-op says besides registers where pc is known.
   *
   * @returns Whether a target is in the same page; undefined if it is beyond 4 GiB, which no micro-op
   * says.
   */
  #writeImmediate(
    row: HandlerRow,
    { word, imm, length }: Instruction,
    { pc, at, apart }: Place,
  ): boolean | undefined {
    const view = this.#view;
    const { next, target: asksTarget, rs3, mode } = row.asks;
    if (next) view.setUint32(at + MICRO_OP.next, pc + length, true);
    if (row.flow === "branch" || row.flow === "jump") {
      const target = pc + imm;
      if (target < 0 || target >= 2 ** 32 || pc + length >= 2 ** 32) return undefined;
      const near = !apart && Math.floor(target / PAGE_SIZE) === Math.floor(pc / PAGE_SIZE);
      view.setUint32(at + MICRO_OP.imm, near ? imm * 8 : target, true);
      return near;
    }
    if (next) view.setInt32(at + MICRO_OP.imm, imm, true);
    else if (rs3 || mode) this.#writeThird(word, at);
    else view.setBigInt64(at + MICRO_OP.imm, BigInt(asksTarget ? pc + imm : imm), true);
    return true;
  }

  #writeThird(word: number, at: number): void {
    this.#view.setUint16(at + MICRO_OP.mode, (word >>> SHIFT.rm) & 7, true);
    this.#view.setUint16(at + MICRO_OP.rs3, ((word >>> SHIFT.rs3) & 31) * 8, true);
  }
}
