import { assert, assertEquals } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { traced } from "../ftrace/guest.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { buildElf } from "./elf_builder.ts";

for (const name of ["settings_p84", "sample_p84", "calls_p84"]) {
  Deno.test(`Unwinder.frameSize() is what lies between a call's sp and that of its caller in ${name}`, async () => {
    const guest = await traced(name);
    const { ftrace, machine } = guest;
    const open: { readonly name: string; readonly sp: number; readonly entry: bigint }[] = [];
    let compared = 0;
    const wrong = new Set<string>();
    ftrace.registerFtraceGraph({
      entryFunc({ site, parentIp }, fregs) {
        const { name, entry } = ftrace.records[site]!;
        const sp = Number(fregs.stackPointer);
        while (open.length > 0 && open.at(-1)!.sp <= sp) open.pop();
        const caller = open.at(-1);
        open.push({ name, sp, entry });
        // A caller without a site, or one that was left by a jump, is not the one around the call.
        if (!caller || ftrace.symbol(parentIp) !== caller.name) return;
        compared++;
        if (machine.unwinder.frameSize(caller.entry) !== caller.sp - sp) wrong.add(caller.name);
      },
      retFunc() {
        open.pop();
      },
    });
    await guest.run();
    assert(compared > 5);
    // That one also takes what alloca() is asked for.
    assertEquals([...wrong], name === "calls_p84" ? ["large_frame"] : []);
  });
}

Deno.test("Unwinder.frameSize() adds up what is taken in several steps, and on any way", () => {
  const source = `
_start:
  bnez a0, 1f
  ret
1:
  addi sp, sp, -32
  li t0, -8192
  add sp, sp, t0
  li t0, 8192
  add sp, sp, t0
  addi sp, sp, 32
  ret
leaf:
  ret
`;
  const origin = 0x80000000n;
  const { bytes, symbols } = assemble(source, { origin });
  const { bytes: program } = buildElf({
    entry: origin,
    segments: [{ address: origin, data: bytes }],
    sections: [{ name: ".text", address: origin, size: BigInt(bytes.length) }],
    symbols: [
      { name: "_start", address: origin, size: symbols.get("leaf")! - origin, type: 2 },
      { name: "leaf", address: symbols.get("leaf")!, size: 4n, type: 2 },
    ],
  });
  const { unwinder } = createMachine(program, { machine: "bare" });
  assertEquals(unwinder.frameSize(origin), 8224);
  assertEquals(unwinder.frameSize(symbols.get("leaf")!), 0);
  assertEquals(unwinder.frameSize(0x10n), undefined);
});
