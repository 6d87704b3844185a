/**
 * Handlers that trap themselves: which of them are known to do so for ever, and which are left alone.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ENGINE_NAMES } from "../../../lib/engine/engines.ts";
import { createMachine, type MachineOptions } from "../../../lib/machine/machine.ts";
import { buildBare, la } from "../../program/elf_builder.ts";

/** Firmware that traps by an ebreak; a0 is where nothing is, and mscratch the same plus 8. */
const firmware = (handler: string) =>
  buildBare(`_start:
    li a0, 0x40000000
    addi t0, a0, 8
    csrrw zero, 0x340, t0
    mv sp, a0
    ${la("t0", "handler")}
    csrrw zero, 0x305, t0
    ebreak
    .align 2
  handler: ${handler}`);

async function run(handler: string, options: MachineOptions = {}) {
  using machine = createMachine(firmware(handler), options);
  const outcome = await machine.run({ limit: 3000n });
  return { outcome, instret: machine.harts[0]!.instret, at: machine.symbols.named("handler")[0]! };
}

const FOREVER: Readonly<Record<string, readonly [handler: string, cause: number, behind: bigint]>> =
  {
    "the second instruction traps": ["addi a1, zero, 1\nld a2, 0(a0)", 5, 4n],
    "it keeps a register in memory that is not there": [
      "csrrw sp, 0x340, sp\nsd t0, 0(sp)",
      7,
      4n,
    ],
    "it looks at the cause first": [
      "csrrs t0, 0x342, zero\ncsrrs t1, 0xf14, zero\nslli t0, t0, 1\n.word 0",
      2,
      12n,
    ],
    "it changes three registers in turn": [
      "mv t1, t2\nmv t2, t3\nmv t3, t4\nmv t4, t1\necall",
      11,
      16n,
    ],
  };

for (const engine of ENGINE_NAMES) {
  for (const [when, [handler, cause, behind]] of Object.entries(FOREVER)) {
    Deno.test(`TrapLoops.count() ends the run with both traps when ${when}, ${engine}`, async () => {
      const { outcome, instret, at } = await run(handler, { engine });
      assert(outcome.kind === "trap", outcome.kind);
      assertEquals(outcome.trap.cause, 3);
      assertEquals([outcome.inHandler?.cause, outcome.inHandler?.pc], [cause, at.address + behind]);
      assert(instret < 200n, String(instret));
    });
  }
}

const LEFT_ALONE: Readonly<Record<string, string>> = {
  "sp goes down each time": "addi sp, sp, -16\nsd t0, 0(sp)",
  "it counts in a register": "addi s0, s0, 1\nld a2, 0(a0)",
  "it stores": `${la("t0", "data")}sd t0, 0(t0)\nld a2, 0(a0)`,
  "it loads, perhaps from a device": `${la("t0", "data")}ld t0, 0(t0)\nld a2, 0(a0)`,
  "it looks at the time": "csrrs t0, 0xb00, zero\nld a2, 0(a0)",
  "it branches": "beq zero, zero, there\nthere: ld a2, 0(a0)",
  "a device refuses, and may not the next time": "lui a1, 0x10000\nsd a1, 0x40(a1)",
  "page tables are asked": "li t0, 0x20000\ncsrrs zero, 0x300, t0\nld a2, 0(a0)",
  "it lets interrupts in": "csrrsi zero, 0x300, 8\nld a2, 0(a0)",
};

for (const [when, handler] of Object.entries(LEFT_ALONE)) {
  Deno.test(`TrapLoops.count() leaves a handler alone when ${when}`, async () => {
    for (const engine of ENGINE_NAMES) {
      assertEquals((await run(handler, { engine })).outcome, { kind: "limit" });
    }
  });
}

Deno.test("TrapLoops.count() leaves a handler alone when another hart may change it", async () => {
  const { outcome } = await run(FOREVER["the second instruction traps"]![0], { harts: 2 });
  assertEquals(outcome.kind, "limit");
});

Deno.test("TrapLoops.count() leaves a handler alone that traps some times and then returns", async () => {
  // Each time the handler traps, mscratch is one less; then it ends the run with 9.
  const handler = `
    csrrs t0, 0x340, zero
    addi t0, t0, -1
    csrrw zero, 0x340, t0
    srli t1, t0, 3
    slli t2, t1, 12
    addi t2, t2, 0
    sub t2, a1, t2
    ld t3, 0(t2)
    li t0, 0x100000
    li t1, 0x93333
    sw t1, 0(t0)
    j .`;
  // a1 − (mscratch / 8) * 4096 comes to RAM when mscratch has become small enough.
  const source = `_start:
    li t0, 400
    csrrw zero, 0x340, t0
    li a1, 0x80001000
    ${la("t0", "handler")}
    csrrw zero, 0x305, t0
    ebreak
    .align 2
  handler: ${handler}`;
  using machine = createMachine(buildBare(source), {});
  assertEquals(await machine.run({ limit: 100_000n }), { kind: "exit", code: 9 });
});
