/**
 * The JIT's reading of plans: holes are filled with a region's locals and with constants.
 *
 * An instruction that has to be left to the reference branches to one of the exits around its block,
 * before anything of it has happened; which exit that is, is the block's business
 * (`block_writer.ts`). Accesses are checked as `access_facts.ts` says.
 *
 * @module
 */
import { SHIFT } from "../../isa/encoding.ts";
import type { Field } from "../../isa/sem.ts";
import type { Code, PlainName, ValueType } from "../../wasm/code.ts";
import { copyPlan, type PieceSink } from "../plan/piece_sink.ts";
import { type AddressHole, HOST } from "../plan/plan.ts";
import type { Check } from "./access_facts.ts";
import type { Area } from "./areas.ts";
import { AREA_CELL, How } from "./find_area.ts";
import { hasHalf, isNarrowPair, type Narrow, narrowBehind, type Want } from "./narrow.ts";
import { registerAt } from "./plan_use.ts";
import type { Step } from "./region.ts";
import type { RegionFrame } from "./region_frame.ts";

/** What a step's code is written with. */
export interface StepPlace {
  readonly step: Step;
  /** How what it writes is wanted. */
  readonly want: Want;
  /** What has to be asked before its access. */
  readonly check: Check | undefined;
  /** How many blocks out its exit is, if {@linkcode mayLeave}. */
  readonly exit: number;
}

/** How accesses are made. */
export interface AccessModel {
  /** Whether misaligned accesses are the reference's, which traps. */
  readonly aligned: boolean;
  /** Whether nothing is asked of pages. */
  readonly unchecked: boolean;
  /** Whether addresses are virtual, so that each has to be found in an area. */
  readonly translated: boolean;
  /** Number of the imported function that looks closer, or finds areas where addresses are virtual. */
  readonly lookCloser: number;
  /** The area that a check of the access at `pc` expects its bytes in, if any. */
  expected(check: Check, pc: number): Area | undefined;
  /** Host address where the check of the access at `pc` is noted. */
  cellOf(pc: number): number;
  /** Host address of the cell for the area of so many bytes, and whether it is theirs alone. */
  areaCell(pc: number, bytes: number): { readonly cell: number; readonly isKept: boolean };
}

/** Whether a step may be left to the reference where it stands. */
export function mayLeave(step: Step, check: Check | undefined, model: AccessModel): boolean {
  const { use, pc } = step;
  const { access } = use;
  const isTested = access !== undefined && access.access.bytes > 1 &&
    (access.atomic || model.aligned);
  return use.declines || isTested || (check !== undefined && !isGranted(check, pc, model));
}

/** Whether nothing has to be asked: it was, or a known address is where it is expected. */
function isGranted(check: Check, pc: number, model: AccessModel): boolean {
  if (model.translated) return check.isProven;
  if (model.unchecked) return true;
  if (check.base !== 0) return false;
  const area = model.expected(check, pc);
  return area !== undefined && check.low >= area.start && check.high <= area.end;
}

/** Copies plans into a region. */
export class RegionSink implements PieceSink {
  readonly #code: Code;
  readonly #frame: RegionFrame;
  readonly #model: AccessModel;
  #place!: StepPlace;
  /** Blocks that are open inside the step. */
  #nested = 0;

  /** Writes into `code`. */
  constructor(code: Code, frame: RegionFrame, model: AccessModel) {
    this.#code = code;
    this.#frame = frame;
    this.#model = model;
  }

  /**
   * Writes a step. A branch's condition is left on the stack, and so is an indirect jump's target.
   */
  write(place: StepPlace): void {
    this.#place = place;
    const { step, want } = place;
    const { known, halves } = this.narrow;
    this.#behind = narrowBehind(this.narrow, step, want);
    const isHalf = hasHalf(halves, step) || this.#writesHalf(step);
    if (isHalf && isNarrowPair(known, step)) this.#writeNarrow(step);
    else copyPlan(step.plan, this);
    this.narrow = this.#behind;
  }

  /** What is known of the registers where the next step is written. */
  narrow: Narrow = { known: 0, halves: 0 };
  /** What is known of them once the step has written its own. */
  #behind = this.narrow;

  /** Writes an operation on the low halves of its operands. */
  #writeNarrow({ use }: Step): void {
    const { operation, left, right } = use.pair!;
    this.integer(left, true);
    if (right === "imm") this.immediate(true);
    else this.integer(right, true);
    this.#code.op(operation.replace("i64", "i32") as PlainName);
    if (use.writes !== "x") return;
    const register = this.#register("rd");
    if (register === 0) this.#code.op("drop");
    else if (this.#isHalf(register)) this.#code.set(this.#frame.half(register));
    else this.#code.op("i64.extend_i32_s").set(this.#frame.x(register));
  }

  #writesHalf({ use }: Step): boolean {
    return use.writes === "x" && this.#isHalf(this.#register("rd"));
  }

  /** Whether a register is kept as its half behind the step. */
  #isHalf(register: number): boolean {
    return ((this.#behind.halves >>> register) & 1) !== 0;
  }

  code(bytes: Uint8Array): void {
    this.#code.append(bytes);
  }

  integer(field: Field, low: boolean): void {
    const register = this.#register(field);
    if (register === 0) {
      if (low) this.#code.i32(0);
      else this.#code.i64(0n);
      return;
    }
    const { halves } = this.narrow;
    if (low && (halves >>> register) & 1) this.#code.get(this.#frame.half(register));
    else {
      this.#frame.push(this.#code, register, halves);
      if (low) this.#code.op("i32.wrap_i64");
    }
  }

  float(field: Field, as: "bits" | "double"): void {
    this.#code.get(this.#frame.f(this.#register(field)));
    if (as === "bits") this.#code.op("i64.reinterpret_f64");
  }

  immediate(low: boolean): void {
    const { imm } = this.#place.step.instruction;
    if (low) this.#code.i32(imm);
    else this.#code.i64(BigInt(imm));
  }

  mode(): void {
    this.#code.i32((this.#place.step.instruction.word >>> SHIFT.rm) & 7);
  }

  target(): void {
    const { pc, instruction } = this.#place.step;
    this.#code.i64(BigInt(pc + instruction.imm));
  }

  next(): void {
    const { pc, instruction } = this.#place.step;
    this.#code.i64(BigInt(pc + instruction.length));
  }

  address(hole: AddressHole): void {
    const { check } = this.#place;
    const { pc } = this.#place.step;
    // First: what traps for this marks no page as accessed.
    if ((hole.atomic || this.#model.aligned) && hole.access.bytes > 1) {
      this.#pushAddress(hole);
      this.#code.i32(hole.access.bytes - 1).op("i32.and");
      this.#leaveIf();
    }
    if (check && !isGranted(check, pc, this.#model)) {
      if (this.#model.translated) this.#find(check, hole);
      else this.#check(check, pc);
    }
    this.#pushAddress(hole, check && this.#model.translated ? check.origin : undefined);
  }

  /** Pushes the address of an access, through the area of an origin if there is one. */
  #pushAddress({ field, offset }: AddressHole, origin?: number): void {
    const code = this.#code;
    const register = this.#register(field);
    const imm = offset ? this.#place.step.instruction.imm : 0;
    if (register === 0 && origin === undefined) {
      code.i32(imm);
      return;
    }
    this.integer(field, true);
    if (origin !== undefined) code.get(this.#frame.addend(origin)).op("i32.add");
    if (imm !== 0) code.i32(imm).op("i32.add");
  }

  /** One comparison asks whether all bytes are in the area where they are expected. */
  #check(check: Check, pc: number): void {
    const code = this.#code;
    const { base, low, high } = check;
    const area = this.#model.expected(check, pc);
    const room = area ? area.end - area.start - (high - low) : -1;
    if (base === 0 || !area || room < 0) return this.#look(check, pc);
    this.#pushBase(base);
    code.i64(BigInt(area.start - low)).op("i64.sub").i64(BigInt(room));
    code.op("i64.gt_u").unlikely().if();
    this.#nested++;
    this.#look(check, pc);
    code.op("end");
    this.#nested--;
  }

  /** One comparison asks whether all bytes are in the area that was found here last. */
  #find({ base, low, high, writes, origin }: Check, hole: AddressHole): void {
    const code = this.#code;
    const { instruction: { imm }, pc } = this.#place.step;
    const { cell, isKept } = this.#model.areaCell(pc, high - low);
    if (isKept) {
      this.#pushBase(base);
      if (low !== 0) code.i64(BigInt(low)).op("i64.add");
      code.i32(0).access("i64.load", HOST, cell + AREA_CELL.start).op("i64.sub");
      code.i32(0).access("i64.load", HOST, cell + AREA_CELL.count).op("i64.ge_u");
    } else code.i32(1);
    code.unlikely().if();
    this.#nested++;
    this.#pushBase(base);
    code.i32(hole.offset ? imm : 0).i32(low).i32(high - 1);
    code.i32((origin & How.writes) + (writes ? 0 : How.reads)).i32(cell);
    code.call(this.#model.lookCloser);
    this.#leaveIf();
    code.op("end");
    this.#nested--;
    code.i32(0).access("i32.load", HOST, cell + AREA_CELL.addend).set(this.#frame.addend(origin));
  }

  #look({ base, low, high, writes }: Check, pc: number): void {
    const code = this.#code;
    if (base === 0) code.i64(BigInt(low)).i32(0).i32(high - low - 1);
    else {
      this.#pushBase(base);
      code.i32(low).i32(high - 1);
    }
    code.i32(this.#model.cellOf(pc) + Number(writes)).call(this.#model.lookCloser);
    this.#leaveIf();
  }

  /** Pushes all of the register that a check asks for, 0 for none. */
  #pushBase(base: number): void {
    if (base === 0) this.#code.i64(0n);
    else this.#frame.push(this.#code, base, this.narrow.halves);
  }

  /** Pops i32: not 0 takes the exit. */
  #leaveIf(nested = 0): void {
    this.#code.unlikely().brIf(this.#place.exit + this.#nested + nested);
  }

  beginWrite(): void {}

  endWrite(file: "x" | "f", as: "i64" | "f64"): void {
    const register = this.#register("rd");
    if (file === "f") {
      if (as === "i64") this.#code.op("f64.reinterpret_i64");
      this.#code.set(this.#frame.f(register));
    } else if (register === 0) this.#code.op("drop");
    else if (this.#isHalf(register)) {
      // V8 takes neither this nor an extension before it for an instruction.
      this.#code.op("i32.wrap_i64").set(this.#frame.half(register));
    } else this.#code.set(this.#frame.x(register));
  }

  openIf(type: ValueType): void {
    // What plans ask so is whether something is other than usual.
    this.#code.unlikely().if(type);
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
    this.#leaveIf();
  }

  goOn(): void {}

  branch(): void {}

  jump(): void {}

  jumpIndirect(): void {}

  leave(): void {
    throw new TypeError("Cannot write a step that is the reference's: it ends a region");
  }

  #register(field: Field): number {
    return registerAt(this.#place.step.instruction, field);
  }
}
