import { assertEquals } from "@std/assert";
import { interpreterModule } from "../../lib/engine/interpreter/emitted_loop.ts";
import {
  GUARDING_FRAME,
  PLAIN_FRAME,
  TRANSLATING_FRAME,
} from "../../lib/engine/interpreter/loop_frame.ts";
import { Exit, FIRST_PLAN, Handler, MICRO_OP } from "../../lib/engine/interpreter/micro_op.ts";
import { asksOf, type Plan } from "../../lib/engine/plan/plan.ts";
import { Scribe } from "../../lib/engine/plan/scribe.ts";
import { EXIT_REASON, PC, X } from "../../lib/hart/state.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { I64 } from "../../lib/wasm/code.ts";

/** `rd = rs1 ? rs2 : 0`, which leaves the instruction where both rs1 and rs2 are odd. */
function conditionalPlan(): Plan {
  const scribe = new Scribe();
  const low = (field: "rs1" | "rs2") => ({
    type: 0x7f as const,
    pieces: [{ kind: "x", field, low: true } as const],
  });
  const value = scribe.when(low("rs1"), () => {
    scribe.declineIf(scribe.op(0x7f, [low("rs2"), scribe.word(1)], "i32.and"));
    return low("rs2");
  });
  scribe.append(
    { kind: "begin", file: "x", as: "i64" },
    ...scribe.op(I64, [value], "i64.extend_i32_s").pieces,
    { kind: "end", file: "x", as: "i64" },
  );
  const body = scribe.pieces;
  return { body, flow: "next", outcome: [], floats: false, asks: asksOf(body) };
}

for (
  const [kind, frame] of [
    ["plain", PLAIN_FRAME],
    ["guarding", GUARDING_FRAME],
    ["translating", TRANSLATING_FRAME],
  ] as const
) {
  const { translating } = frame;
  Deno.test(`a hole inside a conditional leaves the instruction of the ${kind} loop`, () => {
    const memory = new Memory();
    const handlers = {
      size: FIRST_PLAN + 1,
      split: FIRST_PLAN + 1,
      planned: [{ plan: conditionalPlan(), length: 4, near: true } as const],
    };
    const module = new WebAssembly.Module(
      interpreterModule(handlers, 65536, 16384, frame).encode(),
    );
    const thunks = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
    const { guest, host } = memory;
    const { exports } = new WebAssembly.Instance(module, { host: { guest, host, thunks } });
    const run = exports["run"] as (...parameters: readonly (number | bigint)[]) => number;
    const [micro, counter] = [memory.heap.allocate(256, 16), memory.heap.allocate(8)];
    const view = memory.hostView;
    view.setUint16(micro + MICRO_OP.handler, FIRST_PLAN, true);
    view.setUint16(micro + MICRO_OP.rd, 8 * 10, true);
    view.setUint16(micro + MICRO_OP.rs1, 8 * 11, true);
    view.setUint16(micro + MICRO_OP.rs2, 8 * 12, true);
    view.setUint16(micro + 2 * MICRO_OP.size + MICRO_OP.handler, Handler.leave, true);
    const execute = (rs1: bigint, rs2: bigint): readonly unknown[] => {
      view.setBigInt64(X + 80, 99n, true);
      view.setBigInt64(X + 88, rs1, true);
      view.setBigInt64(X + 96, rs2, true);
      const bias = 0x10000 - micro / 8;
      const rest = translating ? [BigInt(bias), 0] : [bias];
      run(micro, 10, 0, counter, ...rest);
      assertEquals(view.getUint32(EXIT_REASON, true), Exit.reference);
      return [view.getBigInt64(X + 80, true), view.getBigInt64(PC, true)];
    };
    assertEquals(execute(1n, 6n), [6n, 0x10004n], "it is executed");
    assertEquals(execute(0n, 7n), [0n, 0x10004n], "so it is where the hole is not reached");
    assertEquals(execute(1n, 7n), [99n, 0x10000n], "nothing of it has happened");
  });
}
