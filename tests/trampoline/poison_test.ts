import { assertEquals, assertThrows } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { collect } from "../../lib/isa/collect.ts";
import { buildTrampolines } from "../../lib/trampoline/caller.ts";
import { ENTRY_REGISTERS, parsePoison, poisonedExit } from "../../lib/trampoline/poison.ts";

Deno.test("ENTRY_REGISTERS has every integer register but x0, each once", () => {
  const { x, f } = parsePoison(ENTRY_REGISTERS.flatMap(({ names }) => names));
  assertEquals(x.toSorted((a, b) => a - b), Array.from({ length: 31 }, (_, k) => k + 1));
  assertEquals(f, [10, 11, 12, 13, 14, 15, 16, 17]);
});

Deno.test("parsePoison() refuses x0 and what is no register", () => {
  for (const name of ["zero", "x0", "t7", ""]) {
    assertThrows(() => parsePoison([name]), RangeError, `Cannot poison ${name}: `);
  }
});

Deno.test("poisonedExit() writes exactly the registers asked for, and t1 where t0 cannot lead back", () => {
  for (
    const names of [["t3"], ["t0"], ["t0", "t1"], ["ra", "sp", "a0", "fa3"], ["t1", "t2", "t6"]]
  ) {
    const poison = parsePoison(names);
    const { bytes } = assemble(poisonedExit(poison).join("\n"));
    const written = new Set<number>(), floats = new Set<number>();
    for (const word of new Uint32Array(bytes.buffer)) {
      const { writesX, writesF } = collect(RV64.decode(word).definition, word);
      for (const register of writesX) written.add(register);
      for (const register of writesF) floats.add(register);
    }
    const expected = new Set(names.includes("t0") ? [...poison.x, 6] : poison.x);
    assertEquals(written, expected);
    assertEquals(floats, new Set(poison.f));
  }
});

Deno.test("buildTrampolines() poisons every way back to a function, and nothing else", () => {
  for (const name of ["regs", "args", "preset", "call-ops"] as const) {
    const plain = buildTrampolines(name, 0x10000n, 0x20000n);
    const { cost } = buildTrampolines(name, 0x10000n, 0x20000n, parsePoison(["t3", "t4"]));
    assertEquals(cost.caller.after, plain.cost.caller.after + 2);
    assertEquals(cost.caller.before, plain.cost.caller.before);
    assertEquals(cost.regsCaller?.after, plain.cost.regsCaller && plain.cost.regsCaller.after + 2);
    assertEquals(cost.returnToHandler, plain.cost.returnToHandler);
  }
});
