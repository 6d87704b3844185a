/**
 * The privileged architecture: what the programs of `privileged_programs.ts` print, on every engine
 * and on QEMU's virt board.
 *
 * @module
 */
import { ENGINE_NAMES, type EngineName } from "../../lib/engine/engines.ts";
import { assertEquals } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { createMachine } from "../../lib/machine/machine.ts";
import { installed, outputOf } from "../engine/guest_tools.ts";
import { buildBare } from "../program/elf_builder.ts";
import { PROGRAMS } from "./privileged_programs.ts";
import { here, inMode, NOWHERE, program, put, TABLES, title } from "./privileged_runtime.ts";

const ENGINES = ENGINE_NAMES;

/** What it prints, a line for each title: tags and values. */
function lines(text: string): string[] {
  const values = text.replaceAll(/\r?\n(?!#)/g, " ").replaceAll(/ 0+(?=[\da-f])/g, "");
  return values.split("\n").map((line) => line.trim());
}

async function printed(elf: Uint8Array, engine: EngineName): Promise<string[]> {
  let text = "";
  const machine = createMachine(elf, {
    engine,
    machine: "bare",
    stdout: (data) => void (text += new TextDecoder().decode(data)),
  });
  assertEquals(await machine.run({ limit: 10_000_000n }), { kind: "exit", code: 0 });
  return lines(text);
}

for (const [topic, build] of Object.entries(PROGRAMS)) {
  Deno.test(`every engine does what the privileged specification says: ${topic}`, async (t) => {
    const elf = build();
    const expected = await printed(elf, "ref");
    await assertSnapshot(t, expected);
    assertEquals(await printed(elf, "interp"), expected);
  });
  Deno.test({
    name: `every engine does what qemu-system-riscv64 does: ${topic} (needs qemu-system-misc)`,
    ignore: !installed("qemu-system-riscv64"),
    async fn() {
      const elf = build();
      const file = await Deno.makeTempFile({ suffix: ".elf" });
      await Deno.writeFile(file, elf);
      const text = await outputOf("qemu-system-riscv64", [
        ..."-machine virt -cpu rv64,x-smaia=true,x-ssaia=true -bios none -display none".split(" "),
        ...`-monitor none -serial stdio -kernel ${file}`.split(" "),
      ]);
      await Deno.remove(file);
      const theirs = lines(new TextDecoder().decode(text));
      for (const engine of ENGINES) assertEquals(await printed(elf, engine), theirs, engine);
    },
  });
}

for (const engine of ENGINES) {
  Deno.test(`${engine} reports faults of atomics as stores', and refuses every write of a read-only register`, async () => {
    const body = [
      [`la a0, main\naddi a0, a0, 2\namoadd.w t0, t0, (a0)`, "M6 v80000"],
      [`li a0, ${NOWHERE}\namoadd.d t0, t0, (a0)`, `M7 v${BigInt(NOWHERE).toString(16)}`],
      [`li a0, ${NOWHERE}\nsc.w t0, t0, (a0)`, `M7 v${BigInt(NOWHERE).toString(16)}`],
      ["li a0, 0\ncsrrs t0, mhartid, a0", "M2 vf14522f3"],
      ["csrrci t0, mhartid, 1", "M2 vf140f2f3"],
    ] as const;
    const elf = program(body.map(([source], k) => title(k) + here(source)).join(""));
    const all = await printed(elf, engine);
    body.forEach(([, expected], k) => {
      assertEquals(all[k]!.slice(3, 3 + expected.length), expected, String(k));
    });
  });

  Deno.test(`${engine} calls a page table that is nowhere an access fault`, async () => {
    const satp = 8n << 60n | BigInt(NOWHERE) >> 12n;
    const elf = program(`
      li t0, ${satp}
      csrw satp, t0
      li t0, 0x20800
      ${here("csrs mstatus, t0\nld a0, 0(zero)")}
      li t0, 0x20800
      ${here("csrs mstatus, t0\nsd a0, 0(zero)")}
    `);
    assertEquals((await printed(elf, engine)).join(" "), "M5 v0 p3 M7 v0 p3");
  });

  Deno.test(`${engine} leaves accessed and dirty bits to the guest when menvcfg.ADUE is off`, async () => {
    const table = BigInt(TABLES);
    const leaf = 0x80200000n >> 12n << 10n;
    const elf = program(`
      csrw menvcfg, zero
      li t0, ${table}
      li t1, ${leaf >> 28n << 28n | 0x07n}
      sd t1, 0(t0)
      li t1, ${8n << 60n | table >> 12n}
      csrw satp, t1
      ${here("li t0, 0x20800\ncsrs mstatus, t0\nld a0, 0(zero)")}
      li t0, ${table}
      li t1, ${leaf >> 28n << 28n | 0x47n}
      sd t1, 0(t0)
      sfence.vma
      ${here("li t0, 0x20800\ncsrs mstatus, t0\nld a0, 0(zero)\nsd a0, 0(zero)")}
    `);
    assertEquals((await printed(elf, engine)).join(" "), "Md v0 p3 Mf v0 p3");
  });

  Deno.test(`${engine} traps on misaligned accesses when it is told to`, async () => {
    const source = `
    _start:
      la t0, handler
      csrw mtvec, t0
      la s0, data
      lw a0, 1(s0)
      sd a0, 4(s0)
      lh a0, 2(s0)
      ld a0, 8(s0)
      j finish
    .align 2
    handler:
      csrr t0, mcause
      slli s1, s1, 4
      or s1, s1, t0
      csrr t0, mepc
      addi t0, t0, 4
      csrw mepc, t0
      mret
    finish:
      la t0, tohost
      li t1, 1
      sd t1, 0(t0)`;
    const machine = createMachine(buildBare(source), { engine, misaligned: "trap" });
    assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code: 0 });
    assertEquals(machine.harts[0]!.x[9], 0x46n);
  });

  Deno.test(`${engine} links compressed jumps to what is two bytes on in every mode`, async () => {
    // c.jalr t0 over a c.nop, by which the other length would go.
    const jump = (id: string) =>
      `la t0, to_${id}
      li ra, 0
      .half 0x9282
      .half 0x0001
    to_${id}:
      sub s5, t0, ra\n`;
    const elf = program(
      jump("machine") + put("m", "s5") + inMode("S", jump("supervisor")) + put("s", "s5") +
        inMode("U", jump("user")) + put("u", "s5"),
    );
    assertEquals((await printed(elf, engine)).join(" "), "m2 M9 v0 p1 s2 M8 v0 p0 u2");
  });

  Deno.test(`${engine} has no debug trigger, and says so by registers that take nothing`, async () => {
    const elf = program(
      ["tselect", "tdata1", "tdata2", "tdata3"].map((name) =>
        `li a0, -1\ncsrw ${name}, a0\ncsrr a0, ${name}\n${put("t", "a0")}`
      ).join("") + inMode("S", "csrr t0, tselect"),
    );
    assertEquals((await printed(elf, engine)).join(" "), "t0 t0 t0 t0 M2 v7a0022f3 p1");
  });

  Deno.test(`${engine} lets time pass while the hart waits, and interrupts at the exact nanosecond`, async () => {
    const elf = program(`
      la s11, 1f
      li t0, 0x2004000
      li t1, 5000
      sd t1, 0(t0)
      li t0, 0x80
      csrw mie, t0
      wfi
      csrr s0, time
      csrr s1, instret
      csrsi mstatus, 8
      nop
    1:
      mv a0, s0
      ${put("t", "a0")}
      sltiu a0, s1, 100
      ${put("i", "a0")}
      csrci mstatus, 8
      li t0, 0x2004000
      li t1, 100000
      sd t1, 0(t0)
      la s11, 2f
      csrsi mstatus, 8
    3:
      csrr s0, time
      j 3b
    2:
      mv a0, s0
      ${put("t", "a0")}
    `);
    const text = (await printed(elf, engine)).join(" ");
    assertEquals(text, "M 8000000000000007 v0 p3 t1388 i1 M 8000000000000007 v0 p3 t1869e");
  });
}

Deno.test("Machine.run() ends when every hart waits and nothing can wake it", async () => {
  const machine = createMachine(buildBare("_start:\nwfi\nj _start"), { engine: "ref" });
  const outcome = await machine.run({ limit: 1000n });
  assertEquals(outcome.kind, "deadlock");
});

for (const engine of ENGINES) {
  Deno.test(`${engine} knows no compressed instructions, and traps on jumps between words, when --isa has no c`, async () => {
    const source = `
    .option norvc
    _start:
      la t0, handler
      csrw mtvec, t0
      li a0, 0x1234
      la t1, target
      addi t1, t1, 2
    first:
      jalr a0, 0(t1)
    second:
      # jal a0, . + 10
      .word 0x00a0056f
    target:
      .half 0x0505, 0x0505
      la t0, tohost
      li t1, 1
      sd t1, 0(t0)
    .align 2
    handler:
      csrr t0, mcause
      slli s1, s1, 4
      or s1, s1, t0
      csrr s2, mtval
      csrr t0, mepc
      addi t0, t0, 4
      csrw mepc, t0
      mret`;
    const machine = createMachine(buildBare(source), { engine, isa: "rv64imafd" });
    assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code: 0 });
    const { x } = machine.harts[0]!;
    // Both jumps are misaligned and link nothing; then an illegal instruction.
    assertEquals([x[9], x[10], x[18]], [0x002n, 0x1234n, 0x0505n]);
  });
}
