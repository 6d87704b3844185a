/**
 * Machine mode of firmware: traps, their registers, and the CSRs that exist.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { createMachine, type Machine } from "../../lib/machine/machine.ts";
import { readProgram } from "../fixtures/expected.ts";
import { BARE, buildBare, la, words64 } from "../program/elf_builder.ts";

const CAUSE = { illegal: 2, breakpoint: 3, loadFault: 5, storeFault: 7, ecallM: 11 };
const START = 0x80000000n;

/** Runs firmware on the reference until it exits; gives the machine. */
async function run(source: string, data: Uint8Array = new Uint8Array(256)): Promise<Machine> {
  const machine = createMachine(buildBare(source, { data }), { engine: "ref" });
  assertEquals(await machine.run({ limit: 10_000n }), { kind: "exit", code: 0 });
  return machine;
}

/** Word `k` of the firmware's data. */
function result({ memory }: Machine, k: number): bigint {
  return memory.view.getBigUint64(BARE.data + 8 * k, true);
}

const EXIT = `li t1, 1\n${la("t0", "tohost")}sd t1, 0(t0)\n`;
/** Keeps the CSRs of a trap at s0, and goes on behind its instruction of four bytes by `leave`. */
const handler = (leave: string) => `
handler:
  csrrs t0, 0x342, zero
  sd t0, 0(s0)
  csrrs t0, 0x343, zero
  sd t0, 8(s0)
  csrrs t0, 0x341, zero
  sd t0, 16(s0)
  csrrs t1, 0x300, zero
  sd t1, 24(s0)
  addi t0, t0, 4
  csrrw zero, 0x341, t0
  ${leave}
`;

/** Runs one instruction that traps, with `mstatus` set; a0 holds `wild`. */
async function trapOf(
  instruction: string,
  wild = 0n,
  mstatus = 0n,
  leave = "jr t0",
): Promise<Machine> {
  const data = new Uint8Array(256);
  data.set(words64(wild), 64);
  return await run(
    `
  _start:
    ${la("s0", "data")}
    ${la("t0", "handler")}
    csrrw zero, 0x305, t0
    li t0, ${mstatus}
    csrrw zero, 0x300, t0
    ld a0, 64(s0)
  trapping:
    ${instruction}
    csrrs t0, 0x300, zero
    sd t0, 32(s0)
    ${EXIT}
  ${handler(leave)}`,
    data,
  );
}

/** Address of the instruction that {@linkcode trapOf} runs: behind eight others. */
const TRAPPING = START + 32n;
const MIE = 8n;
const MPIE = 0x80n;
/** MPP, in a handler; and UXL and SXL, always. */
const MPP = 3n << 11n;
const MSTATUS_FIXED = 10n << 32n;

const TRAPS: readonly [string, number, bigint, bigint][] = [
  ["ecall", CAUSE.ecallM, 0n, 0n],
  ["ebreak", CAUSE.breakpoint, 0n, TRAPPING],
  [".word 0xffffffff", CAUSE.illegal, 0n, 0xffffffffn],
  // The host call is an illegal instruction for the guest.
  [".word 0x0000000b", CAUSE.illegal, 0n, 0xbn],
  ["ld a1, 0(a0)", CAUSE.loadFault, 0x40000000n, 0x40000000n],
  ["ld a1, 8(a0)", CAUSE.loadFault, 1n << 40n, (1n << 40n) + 8n],
  ["sd a1, 0(a0)", CAUSE.storeFault, 0x40000000n, 0x40000000n],
];
for (const [instruction, cause, wild, value] of TRAPS) {
  Deno.test(`Hart.takeTrap() sets mcause ${cause}, mtval and mepc when ${instruction} traps on ${wild}`, async () => {
    const machine = await trapOf(instruction, wild);
    assertEquals(result(machine, 0), BigInt(cause));
    if (instruction !== "ebreak") assertEquals(result(machine, 1), value);
    assertEquals(result(machine, 2), TRAPPING);
  });
}

Deno.test("mret restores MIE from MPIE when the handler of a trap returns", async () => {
  const enabled = await trapOf("ecall", 0n, MIE, "mret");
  assertEquals(result(enabled, 3), MSTATUS_FIXED | MPP | MPIE, "in the handler interrupts are off");
  assertEquals(result(enabled, 4), MSTATUS_FIXED | MIE | MPIE, "behind it they are on");
  const disabled = await trapOf("ecall", 0n, MPIE, "mret");
  assertEquals(result(disabled, 3), MSTATUS_FIXED | MPP);
  assertEquals(result(disabled, 4), MSTATUS_FIXED | MPIE);
});

Deno.test("Csrs.read() gives machine-mode registers their values when firmware reads them", async () => {
  const machine = await run(`
  _start:
    ${la("s0", "data")}
    csrrs t0, 0xf14, zero
    sd t0, 0(s0)
    csrrs t0, 0x301, zero
    sd t0, 8(s0)
    li t0, -1
    csrrw zero, 0x340, t0
    csrrs t0, 0x340, zero
    sd t0, 16(s0)
    csrrw zero, 0x341, t0
    csrrw zero, 0x305, t0
    csrrs t0, 0x305, zero
    sd t0, 24(s0)
    csrrs t0, 0x341, zero
    sd t0, 32(s0)
    csrrs t1, 0xc02, zero
    csrrs t2, 0xc00, zero
    csrrs t3, 0xc01, zero
    sd t1, 40(s0)
    sd t2, 48(s0)
    sd t3, 56(s0)
    ${EXIT}`);
  assertEquals(result(machine, 0), 0n, "mhartid");
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    .filter((_, k) => result(machine, 1) >> BigInt(k) & 1n).join("");
  assertEquals(letters, "ABCDFIMSU");
  assertEquals(result(machine, 1) >> 62n, 2n, "MXL is 64");
  assertEquals(result(machine, 2), 2n ** 64n - 1n, "mscratch holds any value");
  assertEquals(result(machine, 3), 0n, "mtvec does not take a reserved mode");
  assertEquals(result(machine, 4), 2n ** 64n - 2n, "mepc is even");
  // 16 instructions come before the first counter is read.
  assertEquals([5, 6, 7].map((k) => result(machine, k)), [16n, 17n, 18n]);
});

Deno.test("a0 holds the hart's number when firmware starts, and mhartid agrees", async () => {
  const machine = createMachine((await readProgram("hello_bare_p84")).bytes, { engine: "ref" });
  assertEquals(machine.harts.map(({ x }) => x[10]), [0n]);
  assertEquals([machine.comm, machine.pid, machine.kind], ["hart0", 1, "bare"]);
});

for (const number of ["0x000", "0x3a1", "0x600", "0xb01", "0xb80", "0xf16", "0x7c0"]) {
  Deno.test(`Csrs.read() makes CSR ${number} an illegal instruction when firmware reads it`, async () => {
    const machine = await trapOf(`csrrs t0, ${number}, zero`);
    assertEquals(result(machine, 0), BigInt(CAUSE.illegal));
    // The word of `csrrs t0, number, zero`, put together by hand.
    assertEquals(result(machine, 1), BigInt(number) << 20n | 2n << 12n | 5n << 7n | 0x73n);
  });
}

Deno.test("Csrs.write() makes mhartid and counters an illegal instruction when firmware writes them", async () => {
  for (const number of ["0xf14", "0xc00", "0xc02"]) {
    const machine = await trapOf(`csrrw zero, ${number}, a0`);
    assertEquals(result(machine, 0), BigInt(CAUSE.illegal), number);
  }
});

Deno.test("Machine.run() ends with the cause and a backtrace when no handler can be fetched", async () => {
  const { bytes } = await readProgram("fault_bare_p84");
  let printed = "";
  const machine = createMachine(bytes, {
    engine: "ref",
    stdout: (data) => void (printed += new TextDecoder().decode(data)),
  });
  const outcome = await machine.run({ limit: 1_000_000n });
  assert(outcome.kind === "trap");
  const { trap, backtrace } = outcome;
  assertEquals([trap.cause, trap.value], [CAUSE.storeFault, 0x40000008n]);
  assertEquals(machine.symbols.at(trap.pc)?.symbol.name, "store_wild");
  assertEquals(backtrace[0], trap.pc);
  assertEquals(machine.symbols.at(backtrace[1]!)?.symbol.name, "program");
  assertEquals(printed, "before the fault\n");
});

Deno.test("Machine.run() ends with the first trap when mtvec points at what cannot be executed", async () => {
  const program = buildBare("_start:\nli t0, 64\ncsrrw zero, 0x305, t0\necall");
  const outcome = await createMachine(program, { engine: "ref" }).run({ limit: 100n });
  assert(outcome.kind === "trap");
  assertEquals(outcome.trap, { cause: CAUSE.ecallM, value: 0n, pc: START + 8n });
});

for (const engine of ENGINE_NAMES) {
  Deno.test(`a trap whose supervisor handler cannot be fetched ends the run, ${engine}`, async () => {
    const source = `
    _start:
      li t0, -1
      csrrw zero, 0x3b0, t0
      li t0, 0x1f
      csrrw zero, 0x3a0, t0
      li t0, -1
      csrrw zero, 0x302, t0
      li t0, 0x40000000
      csrrw zero, 0x105, t0
      li t0, 0x1000
      csrrc zero, 0x300, t0
      ${la("t0", "supervisor")}
      csrrw zero, 0x341, t0
      mret
    supervisor:
      .word 0xffffffff`;
    const machine = createMachine(buildBare(source), { engine });
    const outcome = await machine.run({ limit: 10_000n });
    // The handler's own fetch faults, to the same handler, for ever: nobody can go on.
    assertEquals(outcome.kind, "trap");
    if (outcome.kind !== "trap") return;
    assertEquals([outcome.trap.cause, outcome.trap.pc], [1, 0x40000000n]);
    const { system } = machine.harts[0]!;
    assertEquals([system!.scause, system!.sepc & ~3n], [2n, START + 4n * 14n & ~3n]);
  });
}

for (const engine of ENGINE_NAMES) {
  Deno.test(`Machine.run() ends with both traps when a handler traps at its first instruction, ${engine}`, async () => {
    const handlers = {
      ".word 0": CAUSE.illegal,
      "ecall": CAUSE.ecallM,
      "ld a1, 0(a0)": CAUSE.loadFault,
    };
    for (const [first, cause] of Object.entries(handlers)) {
      const source = `_start:
        li a0, 0x40000000
        ${la("t0", "handler")}
        csrrw zero, 0x305, t0
        ebreak
        .align 2
      handler: ${first}`;
      const machine = createMachine(buildBare(source), { engine });
      const outcome = await machine.run({ limit: 10_000n });
      assert(outcome.kind === "trap");
      assertEquals(outcome.trap.cause, CAUSE.breakpoint);
      assertEquals(outcome.inHandler?.cause, cause);
      assertEquals(outcome.inHandler?.pc, machine.symbols.named("handler")[0]!.address);
    }
  });
}

Deno.test("Machine.run() goes on when a handler's first trap goes to a mode above, which returns", async () => {
  // Two traps in a row without an instruction in between: S-mode's handler calls M-mode's.
  const source = `_start:
    li t0, -1
    csrrw zero, 0x3b0, t0
    li t0, 0x1f
    csrrw zero, 0x3a0, t0
    li t0, 8
    csrrw zero, 0x302, t0
    ${la("t0", "machine")}
    csrrw zero, 0x305, t0
    ${la("t0", "supervisor")}
    csrrw zero, 0x105, t0
    li t0, 0x1000
    csrrc zero, 0x300, t0
    ${la("t0", "user")}
    csrrw zero, 0x341, t0
    mret
    .align 2
  user: ebreak
    .align 2
  supervisor: ecall
    .align 2
  machine: ${EXIT}
    j .`;
  const machine = createMachine(buildBare(source));
  assertEquals(await machine.run({ limit: 10_000n }), { kind: "exit", code: 0 });
});
