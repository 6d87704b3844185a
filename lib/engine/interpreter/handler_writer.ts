/**
 * Writes what the handlers of the interpreter's function do: the fixed ones, and a plan's, whose
 * holes it fills from the micro-op at the pointer.
 *
 * Which handlers there are is `handler_table.ts`; the loop around them is `emitted_loop.ts`.
 *
 * @module
 */
import { F, FLOAT_GUARD, PC, REGION_BUDGET, REGION_INSTRET, X } from "../../hart/state.ts";
import type { Field } from "../../isa/sem.ts";
import { PERMISSIONS } from "../../memory/memory.ts";
import { READ, WRITE } from "../../memory/page.ts";
import { QUIET } from "../../memory/store_watch.ts";
import { DATA_ENTRY, FETCH_ENTRY } from "../../memory/tlb.ts";
import type { Code, ValueType } from "../../wasm/code.ts";
import { copyPlan, type PieceSink } from "../plan/piece_sink.ts";
import { type AddressHole, HOST } from "../plan/plan.ts";
import type { Handlers, PlannedHandler } from "./handler_table.ts";
import { type Frame, Label, Local, writeCount, writePc } from "./loop_frame.ts";
import { BLOCK, ENTRANCE, Exit, FIRST_PLAN, Handler, MICRO_OP, REGION_DEPTH } from "./micro_op.ts";

/** Where a handler is written. */
export interface HandlerPlace {
  readonly code: Code;
  readonly frame: Frame;
  /** Number of the type of thunks. */
  readonly thunk: number;
  /** Number of the type of compiled regions. */
  readonly region: number;
  /** Blocks of other handlers around it. */
  readonly open: number;
}

/** Writes one handler. */
export class HandlerWriter {
  readonly #place: HandlerPlace;

  /** To be written at `place`. */
  constructor(place: HandlerPlace) {
    this.#place = place;
  }

  /** Writes the handler with this number, which ends by going to one of the labels. */
  write(number: number, table: Handlers): void {
    const { code, frame } = this.#place;
    switch (number) {
      case Handler.undecoded:
        return this.#refund(Exit.undecoded);
      case Handler.leave:
        return this.#br(Label.byReference);
      case Handler.hook:
        return this.#refund(Exit.hook);
      case Handler.cross:
        this.#unspend();
        writePc(code, frame);
        code.set(Local.target);
        return this.#br(Label.goTo);
      case Handler.thunk:
        return this.#callThunk();
      case Handler.region:
        return this.#enterRegion();
      case table.split:
        return this.#goToSplit();
    }
    const handler = table.planned[number - FIRST_PLAN]!;
    const { floats } = handler.plan;
    if (frame.guarding && floats) {
      code.i32(0).access("i32.load", HOST, FLOAT_GUARD);
      code.brIf(this.#place.open + Label.byReference);
    }
    copyPlan(handler.plan, new MicroOpSink(this.#place, handler));
  }

  #callThunk(): void {
    const { code, frame, thunk } = this.#place;
    this.#unspend();
    writeCount(code, frame);
    code.get(Local.fuel).set(frame.start);
    code.get(Local.pointer).access("i32.load", HOST, MICRO_OP.imm).callIndirect(thunk).if();
    code.i32(0).access("i64.load", HOST, PC).set(Local.target);
    this.#br(Label.goTo, 1);
    code.op("end");
    code.get(Local.fuel).i32(1).op("i32.sub").set(Local.fuel);
    this.#refund(Exit.hook);
  }

  /**
   * Calls the compiled region here. One that has executed nothing, or is for another address of the
   * same page, leaves its first instruction to the micro-op in its place. What regions execute beyond
   * this function's fuel is taken off their own budget, and counted by moving the start of the count.
   */
  #enterRegion(): void {
    const { code, frame, region } = this.#place;
    const { fuel, pointer, target, given } = Local;
    const left = Local.reason, entrance = given;
    this.#unspend();
    code.block();
    if (frame.translating) {
      writePc(code, frame);
      code.get(pointer).access("i32.load", HOST, MICRO_OP.next);
      code.access("i64.load", HOST, ENTRANCE.pc).op("i64.ne").brIf(0);
    }
    code.get(fuel).i32(0).access("i32.load", HOST, REGION_BUDGET).op("i32.add").tee(given);
    code.i32(REGION_DEPTH).get(pointer).access("i32.load", HOST, MICRO_OP.imm).callIndirect(region);
    code.set(left).set(target).get(left).get(given).op("i32.eq").brIf(0);
    this.#count();
    this.#br(Label.goTo, 1);
    code.op("end").get(pointer).access("i32.load", HOST, MICRO_OP.next).set(entrance);
    this.#moveTo(entrance);
    this.#br(Label.dispatch);
  }

  /** Goes on at a micro-op that lies elsewhere; pc is still the same. */
  #moveTo(elsewhere: number): void {
    const { code, frame } = this.#place;
    const { pointer, bias } = Local;
    code.get(bias).get(elsewhere).get(pointer).op("i32.sub").i32(3).op("i32.shr_s");
    if (frame.translating) code.op("i64.extend_i32_s", "i64.sub");
    else code.op("i32.sub");
    code.set(bias).get(elsewhere).set(pointer);
  }

  /** Counts what a region has executed of what it was `given`, where `reason` is left. */
  #count(): void {
    const { code, frame: { start } } = this.#place;
    const { fuel, given } = Local;
    const left = Local.reason;
    code.i32(0).i32(0).access("i64.load", HOST, REGION_INSTRET);
    code.get(given).get(left).op("i32.sub", "i64.extend_i32_s", "i64.add");
    code.access("i64.store", HOST, REGION_INSTRET);
    // start - fuel grows by what was executed; fuel becomes what is left of it, if that is less.
    code.get(start).get(given).get(left).op("i32.sub", "i32.add").get(fuel).op("i32.sub");
    code.get(fuel).get(left).get(fuel).get(left).op("i32.lt_s", "select").tee(fuel);
    code.op("i32.add").set(start);
    code.i32(0).get(left).get(fuel).op("i32.sub").access("i32.store", HOST, REGION_BUDGET);
  }

  /** Goes on at the micro-op of the whole instruction if its second half is where it was. */
  #goToSplit(): void {
    const { code, frame } = this.#place;
    const { pointer, target, bias } = Local;
    const entry = Local.reason;
    writePc(code, frame);
    code.i64(2n).op("i64.add").tee(target).i64(12n).op("i64.shr_u", "i32.wrap_i64");
    code.i32(FETCH_ENTRY.count - 1).op("i32.and").i32(Math.log2(FETCH_ENTRY.size)).op("i32.shl");
    code.get(Local.table).op("i32.add").tee(entry).access("i64.load", HOST, FETCH_ENTRY.page);
    code.get(target).op("i64.ne");
    code.get(entry).access("i32.load", HOST, FETCH_ENTRY.physical).i32(0x7fffffff).op("i32.and");
    code.get(pointer).access("i32.load", HOST, MICRO_OP.imm).op("i32.ne", "i32.or").if();
    code.i32(Exit.undecoded).set(Local.reason);
    this.#br(Label.refund, 1);
    code.op("end");
    this.#unspend();
    const behind = (BLOCK.split - (BLOCK.halves - 1)) * MICRO_OP.size;
    code.get(pointer).i32(behind).op("i32.add").set(pointer);
    // pc is still where the instruction begins.
    code.get(bias).i64(BigInt(behind / 8)).op("i64.sub").set(bias);
    this.#br(Label.dispatch);
  }

  #br(label: number, nested = 0): void {
    this.#place.code.br(this.#place.open + label + nested);
  }

  /** Takes back the fuel of what turned out to be no instruction. */
  #unspend(): void {
    this.#place.code.get(Local.fuel).i32(1).op("i32.add").set(Local.fuel);
  }

  #refund(reason: number): void {
    this.#place.code.i32(reason).set(Local.reason);
    this.#br(Label.refund);
  }
}

/** Takes a plan's pieces, with operands from the micro-op at the pointer. */
class MicroOpSink implements PieceSink {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #open: number;
  readonly #length: number;
  readonly #near: boolean;
  /** Whether the micro-op's last word is the following instruction's address. */
  readonly #saysNext: boolean;
  /** Blocks that are open inside the handler. */
  #nested = 0;

  constructor({ code, frame, open }: HandlerPlace, { plan, length, near }: PlannedHandler) {
    this.#code = code;
    this.#frame = frame;
    this.#open = open;
    this.#length = length;
    this.#near = near;
    this.#saysNext = !frame.translating && plan.asks.next;
  }

  code(bytes: Uint8Array): void {
    this.#code.append(bytes);
  }

  integer(field: Field, low: boolean): void {
    this.#offset(field).access(low ? "i32.load" : "i64.load", HOST, X);
  }

  float(field: Field, as: "bits" | "double"): void {
    this.#offset(field).access(as === "bits" ? "i64.load" : "f64.load", HOST, F);
  }

  immediate(low: boolean): void {
    const name = low ? "i32.load" : this.#saysNext ? "i64.load32_s" : "i64.load";
    this.#code.get(Local.pointer).access(name, HOST, MICRO_OP.imm);
  }

  mode(): void {
    this.#code.get(Local.pointer).access("i32.load16_u", HOST, MICRO_OP.mode);
  }

  target(): void {
    const code = this.#code;
    if (this.#frame.translating) {
      writePc(code, this.#frame);
      code.get(Local.pointer).access("i64.load", HOST, MICRO_OP.imm).op("i64.add");
    } else code.get(Local.pointer).access("i64.load", HOST, MICRO_OP.imm);
  }

  next(): void {
    const code = this.#code;
    if (this.#frame.translating) {
      writePc(code, this.#frame);
      code.i64(BigInt(this.#length)).op("i64.add");
    } else code.get(Local.pointer).access("i64.load32_u", HOST, MICRO_OP.next);
  }

  address(hole: AddressHole): void {
    if (this.#frame.translating) this.#translatedAddress(hole);
    else this.#plainAddress(hole);
  }

  beginWrite(): void {
    this.#offset("rd");
  }

  endWrite(file: "x" | "f", as: "i64" | "f64"): void {
    this.#code.access(as === "i64" ? "i64.store" : "f64.store", HOST, file === "x" ? X : F);
  }

  openIf(type: ValueType): void {
    this.#code.if(type);
    this.#nested++;
  }

  otherwise(): void {
    this.#code.op("else");
  }

  closeIf(): void {
    this.#code.op("end");
    this.#nested--;
  }

  declineIf(): void {
    this.#code.brIf(this.#depth(Label.byReference));
  }

  goOn(): void {
    this.#code.get(Local.pointer).i32(this.#length * 8).op("i32.add").set(Local.pointer);
    this.#code.br(this.#depth(Label.dispatch));
  }

  branch(): void {
    this.#code.if();
    this.#nested++;
    this.jump();
    this.closeIf();
    this.goOn();
  }

  jump(): void {
    const code = this.#code;
    if (this.#near) {
      code.get(Local.pointer).get(Local.pointer).access("i32.load", HOST, MICRO_OP.imm);
      code.op("i32.add").set(Local.pointer);
      code.br(this.#depth(Label.dispatch));
      return;
    }
    if (this.#frame.translating) this.target();
    else code.get(Local.pointer).access("i64.load32_u", HOST, MICRO_OP.imm);
    this.jumpIndirect();
  }

  jumpIndirect(): void {
    this.#code.set(Local.target);
    this.#code.br(this.#depth(Label.goTo));
  }

  leave(): void {
    this.#code.br(this.#depth(Label.byReference));
  }

  /** How far out a label is from here. */
  #depth(label: number): number {
    return this.#open + this.#nested + label;
  }

  /** Pushes the offset of a register in its file. */
  #offset(field: Field): Code {
    return this.#code.get(Local.pointer).access("i32.load16_u", HOST, MICRO_OP[field]);
  }

  /** Pushes the address of an access, as i64, and keeps it. */
  #accessed({ field, offset }: AddressHole): Code {
    const code = this.#code;
    this.#offset(field).access("i64.load", HOST, X);
    if (offset) {
      code.get(Local.pointer).access("i64.load", HOST, MICRO_OP.imm).op("i64.add");
    }
    return code.tee(Local.address);
  }

  /**
   * One comparison finds both an address of more than 32 bits and a misaligned one: rotated right by
   * the access's log2, either has high bits. An aligned access lies in one page.
   */
  #plainAddress(hole: AddressHole): void {
    const { access, reads, writes } = hole;
    const code = this.#accessed(hole);
    const log2 = Math.log2(access.bytes);
    if (log2 > 0) code.i64(BigInt(log2)).op("i64.rotr");
    code.i64(1n << BigInt(32 - log2)).op("i64.ge_u");
    const wanted = (reads ? READ : 0) | (writes ? WRITE : 0);
    code.get(Local.address).op("i32.wrap_i64").i32(12).op("i32.shr_u");
    code.access("i32.load8_u", HOST, writes ? QUIET : PERMISSIONS).i32(wanted).op("i32.and");
    if (reads && writes) code.i32(wanted).op("i32.ne");
    else code.op("i32.eqz");
    code.op("i32.or").brIf(this.#depth(Label.byReference));
    code.get(Local.address).op("i32.wrap_i64");
  }

  /** One comparison finds a page that is not in the TLB and a misaligned address, which has low bits. */
  #translatedAddress(hole: AddressHole): void {
    const { access, writes } = hole;
    const entry = Local.reason;
    const code = this.#accessed(hole);
    code.i64(12n).op("i64.shr_u", "i32.wrap_i64").i32(DATA_ENTRY.count - 1);
    code.op("i32.and").i32(Math.log2(DATA_ENTRY.size)).op("i32.shl");
    code.get(Local.data).op("i32.add").tee(entry);
    // What may be written may be read.
    code.access("i64.load", HOST, writes ? DATA_ENTRY.write : DATA_ENTRY.read);
    code.get(Local.address).i64(BigInt(-4096 | (access.bytes - 1))).op("i64.and", "i64.ne");
    code.brIf(this.#depth(Label.byReference));
    const physical = () =>
      code.get(Local.address).op("i32.wrap_i64").get(entry)
        .access("i32.load", HOST, DATA_ENTRY.addend).op("i32.add");
    if (writes) {
      physical().i32(12).op("i32.shr_u").access("i32.load8_u", HOST, QUIET);
      code.op("i32.eqz").brIf(this.#depth(Label.byReference));
    }
    physical();
  }
}
