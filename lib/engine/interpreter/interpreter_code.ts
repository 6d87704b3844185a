/**
 * The interpreter's one WASM function: `loop { br_table }` with a handler for each recorded plan.
 *
 * Operands come from micro-ops: 16 bytes for each halfword of a guest page, in blocks in host
 * memory that a page table finds. The pointer to the micro-op is all the pc there is; a near branch
 * moves it, a far one goes through the page table. Fuel counts down by one an instruction, so the
 * function comes back exactly where it was asked to.
 *
 * It is written twice. The plain one takes addresses as physical ones below 4 GiB and checks their
 * page's permissions. The translating one looks every address up in the hart's TLB, leaves misses to
 * the reference, and knows pc as 64 bits; its micro-ops are of physical pages, and so say only where
 * a target lies from pc.
 *
 * Which micro-op an instruction becomes, and what the host does when the function comes back, is
 * `interpreter.ts`; a table with an entry for each of these handlers is made here.
 *
 * @module
 */
import { EXIT_REASON, F, FLOAT_GUARD, PC, X } from "../../hart/state.ts";
import { RV64 } from "../../isa/decode.ts";
import type { Definition } from "../../isa/encoding.ts";
import type { Field } from "../../isa/sem.ts";
import { PERMISSIONS } from "../../memory/memory.ts";
import { QUIET } from "../../memory/store_watch.ts";
import { READ, WRITE } from "../../memory/page.ts";
import { DATA_ENTRY, FETCH_ENTRY } from "../../memory/tlb.ts";
import { type Code, I32, I64, type ValueType } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";
import { HOST, type Piece, type Plan, SCRATCH } from "../plan/plan.ts";
import type { Plans } from "../plan/recorder.ts";

/** Layout of a micro-op. */
export const MICRO_OP = {
  size: 16,
  /** u16: number of its handler. */
  handler: 0,
  /** u16: offset of the register in its file; rd is {@linkcode SINK} where nothing is to be written. */
  rd: 2,
  rs1: 4,
  rs2: 6,
  /** u16. */
  rs3: 8,
  /**
   * i64 immediate or pc + immediate; or i32 immediate, or distance to a near target, or far target.
   * Where addresses are translated: i64 immediate, or distance to a near target.
   */
  imm: 8,
  /** u32: address of the following instruction, where the plan asks for it. */
  next: 12,
} as const;

/** Handlers that stand for no plan; 0 is what memory holds where nothing was decoded. */
export const Handler = { undecoded: 0, leave: 1, cross: 2, hook: 3, thunk: 4 } as const;
const FIRST_PLAN = 5;

/** Why the function came back, in EXIT_REASON. */
export const Exit = { fuel: 0, undecoded: 1, reference: 2, hook: 3, noPage: 4 } as const;

/** Which handler serves a plan: by the instruction's length, and whether its target is near. */
export interface PlanHandlers {
  /** `[length 2 near, length 2 far, length 4 near, length 4 far]`; equal where nothing differs. */
  readonly numbers: readonly [number, number, number, number];
}

/** Parameters and locals of the function. */
const POINTER = 0, FUEL = 1, TABLE = 2, COUNTER = 3, BIAS = 4;
const START = 5, REASON = 6, TARGET = 7, ADDRESS = 8, BLOCK = 9;
/** Types of the last five; recorded code's scratch locals follow, at SCRATCH_BASE. */
const OWN_LOCALS: readonly ValueType[] = [I32, I32, I64, I64, I32];
/** The translating one's: what leads to data is a parameter more, and one local serves twice. */
const TRANSLATING = { DATA: 5, START: 9 } as const;
const TRANSLATING_LOCALS: readonly ValueType[] = [I32, I64, I64, I32];

/** One handler to be written. */
interface PlannedHandler {
  readonly plan: Plan;
  readonly length: 2 | 4;
  readonly near: boolean;
}

/** All handlers of the instruction set, numbered. */
export class HandlerTable {
  readonly #handlers: PlannedHandler[] = [];
  readonly #numbers = new Map<Plan, PlanHandlers>();
  readonly #plans: Plans;

  /** Numbers the handlers of every plan that an instruction can have. */
  constructor(plans: Plans) {
    this.#plans = plans;
    const compressed = new Set(RV64.compressed.map(({ expansion }) => expansion.split(" ")[0]));
    for (const definition of RV64.definitions) {
      for (const plan of this.#plansOf(definition)) {
        this.#add(plan, compressed.has(definition.name));
      }
    }
  }

  /** How many there are. */
  get size(): number {
    return FIRST_PLAN + this.#handlers.length;
  }

  /** The handler for an instruction with this plan. */
  numberOf(plan: Plan, length: 2 | 4, near: boolean): number {
    const entry = this.#numbers.get(plan);
    if (!entry) return Handler.leave;
    return entry.numbers[(length === 4 ? 2 : 0) + (near ? 0 : 1)]!;
  }

  /** The handlers behind the fixed ones, in order. */
  get planned(): readonly PlannedHandler[] {
    return this.#handlers;
  }

  #plansOf(definition: Definition): Set<Plan> {
    const { match, runs } = definition.pattern;
    const shift = runs.some(({ field }) => field === "rm")
      ? 12
      : runs.some(({ field }) => field === "csr")
      ? 20
      : undefined;
    if (shift === undefined) return new Set([this.#plans.of({ definition, word: match })]);
    const variants = [0, 1, 2, 3, 4, 7];
    return new Set(
      variants.map((variant) =>
        this.#plans.of({ definition, word: (match | (variant << shift)) >>> 0 })
      ),
    );
  }

  #add(plan: Plan, compressed: boolean): void {
    if (plan.flow === "leave" || this.#numbers.has(plan)) return;
    const targeted = plan.flow === "branch" || plan.flow === "jump";
    const lengths = compressed ? [2, 4] as const : [4] as const;
    const numbers: [number, number, number, number] = [0, 0, 0, 0];
    for (const length of lengths) {
      for (const near of targeted ? [true, false] : [true]) {
        const number = FIRST_PLAN + this.#handlers.push({ plan, length, near }) - 1;
        const at = (length === 4 ? 2 : 0) + (near ? 0 : 1);
        numbers[at] = number;
        if (!targeted) numbers[at + 1] = number;
      }
    }
    if (lengths.length === 1) [numbers[0], numbers[1]] = [numbers[2], numbers[3]];
    this.#numbers.set(plan, { numbers });
  }
}

/**
 * Writes the module; it imports memories `guest` and `host` and a table `thunks`, and exports `run`,
 * of `(pointer, fuel, page table, counter, bias)` or, translating, of `(pointer, fuel, fetch entries,
 * counter, bias, data entries)`. It gives the fuel left.
 */
export function interpreterModule(
  table: HandlerTable,
  guest: number,
  host: number,
  translating = false,
): Module {
  const module = new Module();
  module.importMemory("guest", guest);
  module.importMemory("host", host);
  module.importTable("thunks");
  const thunk = module.type([], [I32]);
  const parameters: readonly ValueType[] = translating
    ? [I32, I32, I32, I32, I64, I32]
    : [I32, I32, I32, I32, I32];
  const own = translating ? TRANSLATING_LOCALS : OWN_LOCALS;
  const start = translating ? TRANSLATING.START : START;
  const { code } = module.function(module.type(parameters, [I32]), [...own, ...SCRATCH], "run");
  const count = table.size;
  code.get(FUEL).set(start);
  code.block().block().block().block().loop().block();
  for (let handler = 0; handler <= count; handler++) code.block();
  code.get(FUEL).i32(1).op("i32.sub").tee(FUEL).i32(0).op("i32.lt_s");
  code.brIf(count + 4);
  code.get(POINTER).access("i32.load16_u", HOST, MICRO_OP.handler);
  code.brTable(Array.from({ length: count }, (_, handler) => handler), count).op("end");
  for (let handler = 0; handler < count; handler++) {
    // Labels still open around this handler: those of the handlers behind it.
    const writer = new HandlerWriter(code, count - handler, thunk, translating);
    writer.write(handler, table.planned[handler - FIRST_PLAN]);
    code.op("end");
  }
  // A number beyond the table cannot be in a micro-op.
  code.op("unreachable", "end");
  if (translating) writeTranslatedJump(code);
  else writeFarJump(code);
  code.br(0).op("end").op("unreachable", "end");
  code.i32(Exit.reference).set(REASON).br(1).op("end");
  code.i32(Exit.fuel).set(REASON).op("end");
  // Here the instruction at the pointer has not been executed.
  code.get(FUEL).i32(1).op("i32.add").set(FUEL);
  code.i32(0);
  writePc(code, translating);
  code.access("i64.store", HOST, PC).op("end");
  code.i32(0).get(REASON).access("i32.store", HOST, EXIT_REASON);
  writeCount(code, start);
  code.get(FUEL);
  return module;
}

/** Labels around the handlers, counted from inside the `goTo` block. */
const Label = { goTo: 0, dispatch: 1, byReference: 2, fuelOut: 3, refund: 4, pcKnown: 5 } as const;

/** Pushes the guest address of the micro-op at the pointer, as i64. */
function writePc(code: Code, translating: boolean): void {
  code.get(POINTER).i32(3).op("i32.shr_u");
  if (translating) code.op("i64.extend_i32_u").get(BIAS).op("i64.add");
  else code.get(BIAS).op("i32.add", "i64.extend_i32_u");
}

/** Adds what was executed since `start` to the counter. */
function writeCount(code: Code, start: number): void {
  code.get(COUNTER).get(COUNTER).access("i64.load", HOST);
  code.get(start).get(FUEL).op("i32.sub", "i64.extend_i32_s", "i64.add");
  code.access("i64.store", HOST);
}

/** Goes to the pc in TARGET through the page table. Inside the loop, outside the `goTo` block. */
function writeFarJump(code: Code): void {
  const inIf = 1;
  const pcKnown = Label.pcKnown - 1 + inIf;
  code.get(TARGET).i64(32n).op("i64.shr_u", "i32.wrap_i64", "i32.eqz");
  code.if(I32);
  code.get(TARGET).op("i32.wrap_i64").i32(12).op("i32.shr_u").i32(2).op("i32.shl");
  code.get(TABLE).op("i32.add").access("i32.load", HOST);
  code.op("else").i32(0).op("end").tee(BLOCK).op("i32.eqz").if();
  code.i32(0).get(TARGET).access("i64.store", HOST, PC);
  code.i32(Exit.noPage).set(REASON).br(pcKnown).op("end");
  code.get(TARGET).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl");
  code.get(BLOCK).op("i32.add").set(POINTER);
  code.get(TARGET).op("i32.wrap_i64").i32(-4096).op("i32.and");
  code.get(BLOCK).i32(3).op("i32.shr_u", "i32.sub").set(BIAS);
}

/** The same through the entries for fetches; one that has no block yet is as good as none. */
function writeTranslatedJump(code: Code): void {
  const inIf = 1;
  const pcKnown = Label.pcKnown - 1 + inIf;
  const entry = REASON;
  code.get(TARGET).i64(12n).op("i64.shr_u", "i32.wrap_i64").i32(FETCH_ENTRY.count - 1);
  code.op("i32.and").i32(Math.log2(FETCH_ENTRY.size)).op("i32.shl").get(TABLE).op("i32.add");
  code.tee(entry).access("i64.load", HOST, FETCH_ENTRY.page);
  code.get(TARGET).i64(-4096n).op("i64.and", "i64.ne");
  code.get(entry).access("i32.load", HOST, FETCH_ENTRY.own).tee(POINTER);
  code.op("i32.eqz", "i32.or").if();
  code.i32(0).get(TARGET).access("i64.store", HOST, PC);
  code.i32(Exit.noPage).set(REASON).br(pcKnown).op("end");
  code.get(TARGET).i64(-4096n).op("i64.and");
  code.get(POINTER).i32(3).op("i32.shr_u", "i64.extend_i32_u", "i64.sub").set(BIAS);
  code.get(TARGET).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl");
  code.get(POINTER).op("i32.add").set(POINTER);
}

/** Writes one handler. */
class HandlerWriter {
  readonly #code: Code;
  readonly #open: number;
  readonly #thunk: number;
  readonly #translating: boolean;

  constructor(code: Code, open: number, thunk: number, translating: boolean) {
    this.#code = code;
    this.#open = open;
    this.#thunk = thunk;
    this.#translating = translating;
  }

  get #start(): number {
    return this.#translating ? TRANSLATING.START : START;
  }

  write(number: number, handler: PlannedHandler | undefined): void {
    const code = this.#code;
    switch (number) {
      case Handler.undecoded:
        return this.#refund(Exit.undecoded);
      case Handler.leave:
        return this.#br(Label.byReference);
      case Handler.hook:
        return this.#refund(Exit.hook);
      case Handler.cross:
        this.#unspend();
        writePc(code, this.#translating);
        code.set(TARGET);
        return this.#br(Label.goTo);
      case Handler.thunk:
        this.#unspend();
        writeCount(code, this.#start);
        code.get(FUEL).set(this.#start);
        code.get(POINTER).access("i32.load", HOST, MICRO_OP.imm).callIndirect(this.#thunk).if();
        code.i32(0).access("i64.load", HOST, PC).set(TARGET);
        this.#br(Label.goTo, 1);
        code.op("end");
        code.get(FUEL).i32(1).op("i32.sub").set(FUEL);
        return this.#refund(Exit.hook);
    }
    if (handler) this.#writePlan(handler);
  }

  #br(label: number, nested = 0): void {
    this.#code.br(this.#open + label + nested);
  }

  /** Takes back the fuel of what turned out to be no instruction. */
  #unspend(): void {
    this.#code.get(FUEL).i32(1).op("i32.add").set(FUEL);
  }

  #refund(reason: number): void {
    this.#code.i32(reason).set(REASON);
    this.#br(Label.refund);
  }

  #writePlan({ plan, length, near }: PlannedHandler): void {
    const code = this.#code;
    const usesNext = !this.#translating && plan.body.some(({ kind }) => kind === "next");
    this.#length = length;
    if (this.#translating && plan.floats) {
      code.i32(0).access("i32.load", HOST, FLOAT_GUARD).brIf(this.#open + Label.byReference);
    }
    this.#fill(plan.body, usesNext);
    switch (plan.flow) {
      case "branch":
        this.#fill(plan.outcome, usesNext);
        code.if();
        this.#goToTarget(near, 1);
        code.op("end");
        return this.#advance(length);
      case "jump":
        return this.#goToTarget(near, 0);
      case "indirect":
        this.#fill(plan.outcome, usesNext);
        code.set(TARGET);
        return this.#br(Label.goTo);
      default:
        return this.#advance(length);
    }
  }

  /** Length of the instruction at hand. */
  #length = 0;

  #advance(length: number): void {
    this.#code.get(POINTER).i32(length * 8).op("i32.add").set(POINTER);
    this.#br(Label.dispatch);
  }

  #goToTarget(near: boolean, nested: number): void {
    const code = this.#code;
    if (near) {
      code.get(POINTER).get(POINTER).access("i32.load", HOST, MICRO_OP.imm);
      code.op("i32.add").set(POINTER);
      this.#br(Label.dispatch, nested);
    } else {
      if (this.#translating) this.#target();
      else code.get(POINTER).access("i64.load32_u", HOST, MICRO_OP.imm);
      code.set(TARGET);
      this.#br(Label.goTo, nested);
    }
  }

  /** Pushes pc + immediate, where micro-ops do not say it. */
  #target(): void {
    writePc(this.#code, true);
    this.#imm(false, false);
    this.#code.op("i64.add");
  }

  /** Copies recorded code, with holes filled from the micro-op. */
  #fill(pieces: readonly Piece[], usesNext: boolean): void {
    const code = this.#code;
    for (const piece of pieces) {
      switch (piece.kind) {
        case "code":
          code.append(piece.bytes);
          break;
        case "x":
          this.#field(piece.field).access(piece.low ? "i32.load" : "i64.load", HOST, X);
          break;
        case "f":
          this.#field(piece.field).access(piece.as === "bits" ? "i64.load" : "f64.load", HOST, F);
          break;
        case "imm":
          this.#imm(piece.low, usesNext);
          break;
        case "target":
          if (this.#translating) this.#target();
          else this.#imm(false, false);
          break;
        case "next":
          if (this.#translating) {
            writePc(code, true);
            code.i64(BigInt(this.#length)).op("i64.add");
          } else code.get(POINTER).access("i64.load32_u", HOST, MICRO_OP.next);
          break;
        case "address":
          if (this.#translating) this.#translatedAddress(piece);
          else this.#address(piece);
          break;
        case "begin":
          this.#field("rd");
          break;
        case "end":
          code.access(
            piece.as === "i64" ? "i64.store" : "f64.store",
            HOST,
            piece.file === "x" ? X : F,
          );
          break;
        case "declineIf":
          code.brIf(this.#open + Label.byReference);
      }
    }
  }

  #field(field: Field): Code {
    return this.#code.get(POINTER).access("i32.load16_u", HOST, MICRO_OP[field]);
  }

  #imm(low: boolean, usesNext: boolean): void {
    const name = low ? "i32.load" : usesNext ? "i64.load32_s" : "i64.load";
    this.#code.get(POINTER).access(name, HOST, MICRO_OP.imm);
  }

  /**
   * One comparison finds both an address of more than 32 bits and a misaligned one: rotated right by
   * the access's log2, either has high bits. An aligned access lies in one page.
   */
  #address({ field, offset, access, reads, writes }: Piece & { kind: "address" }): void {
    const code = this.#code;
    const log2 = Math.log2(access.bytes);
    this.#field(field).access("i64.load", HOST, X);
    if (offset) {
      this.#imm(false, false);
      code.op("i64.add");
    }
    code.tee(ADDRESS);
    if (log2 > 0) code.i64(BigInt(log2)).op("i64.rotr");
    code.i64(1n << BigInt(32 - log2)).op("i64.ge_u");
    const wanted = (reads ? READ : 0) | (writes ? WRITE : 0);
    code.get(ADDRESS).op("i32.wrap_i64").i32(12).op("i32.shr_u");
    code.access("i32.load8_u", HOST, writes ? QUIET : PERMISSIONS).i32(wanted).op("i32.and");
    if (reads && writes) code.i32(wanted).op("i32.ne");
    else code.op("i32.eqz");
    code.op("i32.or").brIf(this.#open + Label.byReference);
    code.get(ADDRESS).op("i32.wrap_i64");
  }

  /** One comparison finds a page that is not in the TLB and a misaligned address, which has low bits. */
  #translatedAddress({ field, offset, access, writes }: Piece & { kind: "address" }): void {
    const code = this.#code;
    const entry = REASON;
    this.#field(field).access("i64.load", HOST, X);
    if (offset) {
      this.#imm(false, false);
      code.op("i64.add");
    }
    code.tee(ADDRESS).i64(12n).op("i64.shr_u", "i32.wrap_i64").i32(DATA_ENTRY.count - 1);
    code.op("i32.and").i32(Math.log2(DATA_ENTRY.size)).op("i32.shl");
    code.get(TRANSLATING.DATA).op("i32.add").tee(entry);
    // What may be written may be read.
    code.access("i64.load", HOST, writes ? DATA_ENTRY.write : DATA_ENTRY.read);
    code.get(ADDRESS).i64(BigInt(-4096 | (access.bytes - 1))).op("i64.and", "i64.ne");
    code.brIf(this.#open + Label.byReference);
    const physical = () =>
      code.get(ADDRESS).op("i32.wrap_i64").get(entry).access("i32.load", HOST, DATA_ENTRY.addend)
        .op("i32.add");
    if (writes) {
      physical().i32(12).op("i32.shr_u").access("i32.load8_u", HOST, QUIET);
      code.op("i32.eqz").brIf(this.#open + Label.byReference);
    }
    physical();
  }
}
