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
 * What the handlers do is `handler_writer.ts`; what the host does when the function comes back,
 * `interpreter.ts`.
 *
 * @module
 */
import { EXIT_REASON, PC } from "../../hart/state.ts";
import { FETCH_ENTRY } from "../../memory/tlb.ts";
import { type Code, I32, I64 } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";
import { HOST, SCRATCH } from "../plan/plan.ts";
import type { Handlers } from "./handler_table.ts";
import { HandlerWriter } from "./handler_writer.ts";
import { type Frame, Label, Local, PLAIN_FRAME, writeCount, writePc } from "./loop_frame.ts";
import { Exit, MICRO_OP } from "./micro_op.ts";

/**
 * Writes the module; it imports memories `guest` and `host` and a table `thunks`, and exports `run`,
 * of `(pointer, fuel, page table, counter, bias)` or, translating, of `(pointer, fuel, fetch entries,
 * counter, bias, data entries)`. It gives the fuel left.
 */
export function interpreterModule(
  table: Handlers,
  guest: number,
  host: number,
  frame: Frame = PLAIN_FRAME,
): Module {
  const module = new Module();
  module.importMemory("guest", guest);
  module.importMemory("host", host);
  module.importTable("thunks");
  const thunk = module.type([], [I32]);
  const region = module.type([I32, I32], [I64, I32]);
  const type = module.type(frame.parameters, [I32]);
  const { code } = module.function(type, [...frame.locals, ...SCRATCH, I32], "run");
  const count = table.size + Number(frame.translating);
  code.get(Local.fuel).set(frame.start);
  code.block().block().block().block().loop().block();
  writeDispatch(code, count);
  for (let handler = 0; handler < count; handler++) {
    // Labels still open around this handler: those of the handlers behind it.
    new HandlerWriter({ code, frame, thunk, region, open: count - handler }).write(handler, table);
    code.op("end");
  }
  // A number beyond the table cannot be in a micro-op.
  code.op("unreachable", "end");
  if (frame.translating) writeTranslatedJump(code);
  else writeFarJump(code);
  code.br(0).op("end").op("unreachable", "end");
  code.i32(Exit.reference).set(Local.reason).br(1).op("end");
  code.i32(Exit.fuel).set(Local.reason).op("end");
  // Here the instruction at the pointer has not been executed.
  code.get(Local.fuel).i32(1).op("i32.add").set(Local.fuel);
  code.i32(0);
  writePc(code, frame);
  code.access("i64.store", HOST, PC).op("end");
  code.i32(0).get(Local.reason).access("i32.store", HOST, EXIT_REASON);
  writeCount(code, frame);
  code.get(Local.fuel);
  return module;
}

/** Takes one of fuel and goes to the handler of the micro-op at the pointer. */
function writeDispatch(code: Code, count: number): void {
  for (let handler = 0; handler <= count; handler++) code.block();
  code.get(Local.fuel).i32(1).op("i32.sub").tee(Local.fuel).i32(0).op("i32.lt_s");
  code.brIf(count + 1 + Label.fuelOut);
  code.get(Local.pointer).access("i32.load16_u", HOST, MICRO_OP.handler);
  code.brTable(Array.from({ length: count }, (_, handler) => handler), count).op("end");
}

/** Goes to the pc in `target` through the page table. Inside the loop, outside the `goTo` block. */
function writeFarJump(code: Code): void {
  const inIf = 1;
  const pcKnown = Label.pcKnown - 1 + inIf;
  const { target, table, block, pointer, bias } = Local;
  code.get(target).i64(32n).op("i64.shr_u", "i32.wrap_i64", "i32.eqz");
  code.if(I32);
  code.get(target).op("i32.wrap_i64").i32(12).op("i32.shr_u").i32(2).op("i32.shl");
  code.get(table).op("i32.add").access("i32.load", HOST);
  code.op("else").i32(0).op("end").tee(block).op("i32.eqz").if();
  code.i32(0).get(target).access("i64.store", HOST, PC);
  code.i32(Exit.noPage).set(Local.reason).br(pcKnown).op("end");
  code.get(target).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl");
  code.get(block).op("i32.add").set(pointer);
  code.get(target).op("i32.wrap_i64").i32(-4096).op("i32.and");
  code.get(block).i32(3).op("i32.shr_u", "i32.sub").set(bias);
}

/**
 * Goes to the pc in `target` through the entries for fetches, where one that has no block yet is as
 * good as none.
 */
function writeTranslatedJump(code: Code): void {
  const inIf = 1;
  const pcKnown = Label.pcKnown - 1 + inIf;
  const { target, table, pointer, bias } = Local;
  const entry = Local.reason;
  code.get(target).i64(12n).op("i64.shr_u", "i32.wrap_i64").i32(FETCH_ENTRY.count - 1);
  code.op("i32.and").i32(Math.log2(FETCH_ENTRY.size)).op("i32.shl").get(table).op("i32.add");
  code.tee(entry).access("i64.load", HOST, FETCH_ENTRY.page);
  code.get(target).i64(-4096n).op("i64.and", "i64.ne");
  code.get(entry).access("i32.load", HOST, FETCH_ENTRY.own).tee(pointer);
  code.op("i32.eqz", "i32.or").if();
  code.i32(0).get(target).access("i64.store", HOST, PC);
  code.i32(Exit.noPage).set(Local.reason).br(pcKnown).op("end");
  code.get(target).i64(-4096n).op("i64.and");
  code.get(pointer).i32(3).op("i32.shr_u", "i64.extend_i32_u", "i64.sub").set(bias);
  code.get(target).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl");
  code.get(pointer).op("i32.add").set(pointer);
}
