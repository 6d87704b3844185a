import { assertEquals } from "@std/assert";
import { collect } from "../../lib/isa/collect.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";

/** What an instruction touches, in one line. */
function touched(text: string): string {
  const { bytes } = assemble(text, { origin: 0x1000n });
  const word = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const found = collect(RV64.decode(word).definition, word);
  const list = (name: string, set: ReadonlySet<number>) =>
    set.size > 0 ? `${name} ${[...set]}` : "";
  return [
    list("readsX", found.readsX),
    list("writesX", found.writesX),
    list("readsF", found.readsF),
    list("writesF", found.writesF),
    found.touchesCsrs ? "csrs" : "",
    found.memory === "none" ? "" : found.memory,
    found.flow,
  ].filter((part) => part !== "").join("; ");
}

const CASES: readonly [text: string, touches: string][] = [
  ["add a0, a1, a2", "readsX 11,12; writesX 10; next"],
  ["addi zero, a1, 1", "readsX 11; next"],
  ["ld a0, 8(sp)", "readsX 2; writesX 10; read; next"],
  ["sd a0, 8(sp)", "readsX 2,10; write; next"],
  ["amoadd.d a0, a1, (a2)", "readsX 12,11; writesX 10; both; next"],
  ["beq a0, zero, 0x1000", "readsX 10; branch"],
  ["jal ra, 0x1000", "writesX 1; jump"],
  ["jalr ra, 0(a5)", "readsX 15; writesX 1; indirect"],
  ["ecall", "trap"],
  ["mret", "trap-return"],
  ["csrrw a0, mstatus, a1", "readsX 11; writesX 10; csrs; next"],
  ["fadd.d fa0, fa1, fa2", "readsF 11,12; writesF 10; csrs; next"],
  ["fmadd.s fa0, fa1, fa2, fa3", "readsF 11,12,13; writesF 10; csrs; next"],
  ["fsgnj.d fa0, fa1, fa2", "readsF 11,12; writesF 10; next"],
  ["fsw fa0, 0(a0)", "readsX 10; readsF 10; write; next"],
  ["auipc a0, 0x1", "writesX 10; next"],
];
for (const [text, touches] of CASES) {
  Deno.test(`collect() says what ${text} touches`, () => assertEquals(touched(text), touches));
}
