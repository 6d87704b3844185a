/**
 * What the firmware about the privileged architecture is made of: a runtime that prints and goes on
 * behind traps, and ways to execute something in a mode.
 *
 * What is tried with it is `privileged_programs.ts` and `privileged_memory.ts`.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { buildElf } from "../program/elf_builder.ts";

const ORIGIN = 0x80000000n;
/** Where nothing is on either machine. */
export const NOWHERE = "0x8000000";
/** Free RAM: page tables, and pages to translate to. */
export const TABLES = 0x80100000;
export const PAGES = 0x80200000;

/**
 * `put TAG` prints a0. `s10` holds what to come back with behind a trap; the handlers print cause,
 * tval and mode, and go on at s11 in M-mode. t5 and t6 are the runtime's.
 */
const RUNTIME = `
_start:
  li sp, 0x80090000
  la t0, machine_trap
  csrw mtvec, t0
  la t0, supervisor_trap
  csrw stvec, t0
  li t0, 0x6000
  csrs mstatus, t0
  # All of memory is the lower modes'.
  li t0, -1
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
  j main
finish:
  li t0, 0x100000
  li t1, 0x5555
  sw t1, 0(t0)
  j finish
# Prints the character in a1, and a0 in hexadecimal.
put:
  li t5, 0x10000000
  sb a1, 0(t5)
  li a1, 32
  sb a1, 0(t5)
  li t6, 60
1:
  srl a1, a0, t6
  andi a1, a1, 15
  addi a1, a1, 48
  li t4, 58
  blt a1, t4, 2f
  addi a1, a1, 39
2:
  sb a1, 0(t5)
  addi t6, t6, -4
  bgez t6, 1b
  li a1, 10
  sb a1, 0(t5)
  ret
.align 2
machine_trap:
  csrw mscratch, ra
  csrr a0, mcause
  li a1, 77
  jal put
  # Of ebreak and ecall QEMU keeps no value.
  csrr t0, mcause
  li t1, 3
  beq t0, t1, 1f
  csrr a0, mtval
  li a1, 118
  jal put
1:
  csrr a0, mstatus
  li t0, 0x1800
  and a0, a0, t0
  srli a0, a0, 11
  li a1, 112
  jal put
  li t0, 0x20000
  csrc mstatus, t0
  li t0, 0x1800
  csrs mstatus, t0
  li t0, 0x80
  csrc mstatus, t0
  csrw mepc, s11
  csrr ra, mscratch
  mret
.align 2
supervisor_trap:
  csrw sscratch, ra
  csrr a0, scause
  li a1, 83
  jal put
  csrr t0, scause
  li t1, 3
  beq t0, t1, 1f
  csrr a0, stval
  li a1, 118
  jal put
1:
  csrr a0, sstatus
  andi a0, a0, 0x100
  li a1, 112
  jal put
  csrr ra, sscratch
  # Back to M-mode by the ecall that is never delegated here.
  li a7, 99
  ecall
  j finish
`;

/** Prints a register. */
export function put(tag: string, register: string): string {
  const move = register === "a0" ? "" : `mv a0, ${register}\n`;
  return `${move}li a1, ${tag.charCodeAt(0)}\njal put\n`;
}

/** A line that names what follows. */
export function title(number: number): string {
  return `li a0, ${number}\n${put("#", "a0")}`;
}

let labels = 0;

/** A number that no label has yet. */
export const newLabel = (): number => labels++;

/** Runs instructions in a mode; they come back by a trap, which is printed. M-mode goes on behind. */
export function inMode(mode: "U" | "S" | "M", body: string): string {
  const id = newLabel();
  const level = { U: 0, S: 1, M: 3 }[mode];
  return `
  la s11, after_${id}
  la t0, body_${id}
  csrw mepc, t0
  li t0, 0x1800
  csrc mstatus, t0
  li t0, ${level << 11}
  csrs mstatus, t0
  mret
body_${id}:
  ${body}
  ecall
after_${id}:
`;
}

/** Runs instructions in M-mode where they are; a trap is printed and goes on behind them. */
export function here(body: string): string {
  const id = newLabel();
  return `la s11, after_${id}\n${body}\nafter_${id}:\n`;
}

/** A program: what it does after the runtime is set up. */
export function program(body: string): Uint8Array {
  const { bytes, symbols } = assemble(`${RUNTIME}\nmain:\n${body}\nj finish\n`, { origin: ORIGIN });
  return buildElf({
    entry: ORIGIN,
    segments: [{ address: ORIGIN, data: bytes }],
    sections: [{ name: ".text", address: ORIGIN, size: BigInt(bytes.length) }],
    symbols: [...symbols].map(([name, address]) => ({ name, address, type: 0 })),
  }).bytes;
}
