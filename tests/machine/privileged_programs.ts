/**
 * Firmware about the privileged architecture that runs on hartrace and on QEMU's virt board alike:
 * one program a topic, which prints a line for each thing it finds out.
 *
 * What QEMU 7.2 gets wrong is left out: it reports a fault of an atomic as a load's, and does not
 * refuse `csrrs` of a read-only register from one that holds 0. It sees a new start
 * of a PMP range only when the end is written, and calls a page table that is nowhere a page fault.
 * Without `x-smaia` and `x-ssaia` it takes the interrupt with the lowest number first.
 *
 * A line is a tag and what was there: of a trap, its cause, mtval (where QEMU keeps one) and the mode
 * that it came from; of a value, the value.
 *
 * @module
 */
import { entries, pages, permissions, protection } from "./privileged_memory.ts";
import { here, inMode, NOWHERE, program, put, title } from "./privileged_runtime.ts";

const MODES = ["M", "S", "U"] as const;
/** By what an instruction traps: some need a0 to be nowhere, or odd. */
const TRAPPING = {
  "nothing": "",
  "illegal": ".word 0xffffffff",
  "illegal compressed": ".half 0",
  "breakpoint": "ebreak",
  "load misaligned": "lr.w t0, (a0)",
  "load nowhere": "ld t0, 8(a2)",
  "store nowhere": "sw t0, 4(a2)",
  "fetch nowhere": "jr a2",
  "machine register": "csrr t0, mscratch",
  "supervisor register": "csrr t0, sscratch",
  "read-only register": "csrw cycle, zero",
  "no register": "csrr t0, 0x7ff",
  "mret": "mret",
  "wfi": "csrwi mie, 0",
} as const;

function causes(): string {
  const setup = "la a0, main\naddi a0, a0, 2\nli a2, " + NOWHERE + "\n";
  return MODES.flatMap((mode, m) =>
    Object.entries(TRAPPING).flatMap(([name, body], k) =>
      // In M-mode these do not trap.
      mode === "M" && ["machine register", "supervisor register", "mret", "wfi"].includes(name)
        ? []
        : [title(m * 100 + k), inMode(mode, setup + body)]
    )
  ).join("");
}

/** Each cause delegated, and not, from each mode. */
function delegation(): string {
  const setup = "la a0, main\naddi a0, a0, 2\nli a2, " + NOWHERE + "\n";
  const bodies = [
    [2, ".word 0xffffffff"],
    [3, "ebreak"],
    [4, "lr.w t0, (a0)"],
    [5, "ld t0, 8(a2)"],
    [7, "sw t0, 4(a2)"],
    [1, "jr a2"],
    [8, "ecall"],
  ] as const;
  return MODES.flatMap((mode, m) =>
    bodies.flatMap(([cause, body]) => [
      title(m * 100 + cause),
      `li t0, ${1 << cause}\ncsrw medeleg, t0\n`,
      inMode(mode, setup + body),
      "csrw medeleg, zero\n",
    ])
  ).join("");
}

/** Interrupts: raises `lines` in mip with all enabled, and shows which is taken, until none is. */
function interrupts(): string {
  const clint = 0x2000000;
  const settle = `
  csrw mip, zero
  csrw mideleg, zero
  csrw mie, zero
  li t0, ${clint}
  sw zero, 0(t0)
  li t1, -1
  li t0, ${clint + 0x4000}
  sd t1, 0(t0)
`;
  const raise = `
  li t0, 0x222
  csrw mip, t0
  li t0, ${clint}
  li t1, 1
  sw t1, 0(t0)
  li t0, ${clint + 0x4000}
  sd zero, 0(t0)
`;
  const parts: string[] = [];
  let number = 0;
  // Each source alone and all together, delegated or not, in each mode; enabled in mstatus or not.
  for (const enabled of [0x20, 0x2, 0x200, 0x8, 0x80, 0xaaa, 0x222, 0x22, 0x88, 0xa0]) {
    for (const delegated of [0, 0x222, 0x2]) {
      for (const mode of MODES) {
        for (const on of mode === "U" ? [0] : mode === "S" ? [0, 0x2] : [0, 0x80]) {
          parts.push(title(number++), settle, raise);
          parts.push(`li t0, ${delegated}\ncsrw mideleg, t0\n`);
          parts.push(`csrci mstatus, 10\nli t0, 0x80\ncsrc mstatus, t0\n`);
          // mret moves MPIE to MIE.
          parts.push(`li t0, ${on}\ncsrs mstatus, t0\nli t0, ${enabled}\ncsrw mie, t0\n`);
          parts.push(inMode(mode, "nop"));
          parts.push("csrci mstatus, 10\n");
        }
      }
    }
  }
  parts.push(title(9999), settle);
  // Vectored: the table's entry is at 4 × the number.
  parts.push(`
  la t0, table
  addi t0, t0, 1
  csrw mtvec, t0
  li t0, ${clint}
  li t1, 1
  sw t1, 0(t0)
  li t0, 8
  csrw mie, t0
  la s11, 1f
  csrsi mstatus, 8
  nop
1:
  csrci mstatus, 10
  # Traps go to the table's start.
  la s11, 1f
  .word 0xffffffff
1:
  la t0, machine_trap
  csrw mtvec, t0
`);
  // wfi goes on when one is pending, though it is not enabled in mstatus.
  parts.push(title(9998), `li t0, 8\ncsrw mie, t0\nwfi\ncsrr a0, mip\nandi a0, a0, 8\n`);
  parts.push(put("w", "a0"), settle);
  parts.push(`j interrupts_end
.align 8
table:
  j machine_trap
  j finish
  j finish
  j vector_three
  j finish
  j finish
  j finish
  j finish
vector_three:
  li a0, 3
  csrw mscratch, ra
  li a1, 86
  jal put
  csrr ra, mscratch
  j machine_trap
interrupts_end:
`);
  return parts.join("");
}

/** What mstatus and its bits make of instructions and returns. */
function status(): string {
  const parts: string[] = [];
  let number = 0;
  const set = (bits: number, on: boolean) => `li t0, ${bits}\ncsr${on ? "s" : "c"} mstatus, t0\n`;
  const TVM = 1 << 20, TW = 1 << 21, TSR = 1 << 22;
  for (const bits of [0, TVM, TW, TSR]) {
    for (
      const body of [
        "csrr t0, satp",
        "csrw satp, zero",
        "sfence.vma",
        "sfence.vma a0, a1",
        "la t0, 9f\ncsrw sepc, t0\nli t0, 0x100\ncsrs sstatus, t0\nsret\n9:",
        "csrwi sie, 2\ncsrwi sip, 2\nwfi",
      ]
    ) {
      parts.push(title(number++), set(bits, true));
      parts.push("li t0, 2\ncsrw mideleg, t0\ncsrw mip, t0\ncsrw mie, t0\ncsrci mstatus, 2\n");
      parts.push(inMode("S", body));
      parts.push("csrw mip, zero\ncsrw mie, zero\ncsrw mideleg, zero\n", set(bits, false));
    }
  }
  for (const body of ["sret", "sfence.vma", "wfi", "csrr t0, sstatus", "csrr t0, satp"]) {
    parts.push(title(number++), inMode("U", body));
  }
  // The stack of enables: mret and sret.
  for (const [pie, mode] of [[0, "S"], [0x80, "S"], [0, "U"], [0x80, "U"]] as const) {
    parts.push(title(number++), "csrci mstatus, 10\n", set(0x80, false), set(pie, true));
    parts.push(
      inMode(mode, ""),
      "csrr a0, mstatus\nli t0, 0x1aaa\nand a0, a0, t0\n",
      put("m", "a0"),
    );
  }
  for (const [spie, spp] of [[0, 0], [0x20, 0], [0, 0x100], [0x20, 0x100]] as const) {
    parts.push(title(number++), "csrci mstatus, 10\n", set(0x120, false));
    parts.push(inMode(
      "S",
      `li t0, ${spie | spp}\ncsrs sstatus, t0\nla t0, 9f\ncsrw sepc, t0\nsret\n9:`,
    ));
    parts.push("csrr a0, mstatus\nandi a0, a0, 0x122\n", put("m", "a0"));
  }
  // MPRV is lost on the way down.
  parts.push(title(number++), set(0x20000, true), inMode("S", ""), "csrr a0, mstatus\n");
  parts.push("li t0, 0x20000\nand a0, a0, t0\n", put("m", "a0"));
  // Counters are shown by those above.
  for (const machine of [0, 7]) {
    for (const supervisor of [0, 7]) {
      for (const mode of ["S", "U"] as const) {
        for (const counter of ["cycle", "time", "instret"]) {
          parts.push(title(number++));
          parts.push(`li t0, ${machine}\ncsrw mcounteren, t0\nli t0, ${supervisor}\n`);
          parts.push("csrw scounteren, t0\n", inMode(mode, `csrr t0, ${counter}`));
        }
      }
    }
  }
  // Float registers that are off.
  for (const fs of [0, 0x2000, 0x4000, 0x6000]) {
    for (
      const body of ["fadd.d f0, f0, f0", "csrr t0, fcsr", "fsd f0, -16(sp)", "fmv.x.d t0, f0"]
    ) {
      parts.push(title(number++), set(0x6000, false), set(fs, true), here(body));
      parts.push("csrr a0, mstatus\nli t0, 0x6000\nand a0, a0, t0\n", put("f", "a0"));
    }
  }
  parts.push(set(0x6000, true));
  return parts.join("");
}

/** Registers whose bits both machines agree about, after all ones and after zeros. */
function registers(): string {
  const masked: readonly (readonly [string, string])[] = [
    // QEMU's harts have the hypervisor's bits as well.
    ["sstatus", "0x1c6122"],
    ["mie", "0xaaa"],
    ["mip", "0x222"],
    ["sscratch", "-1"],
    ["mscratch", "-1"],
    ["mepc", "-2"],
    ["sepc", "-2"],
    ["mcause", "-1"],
    ["mtval", "-1"],
    ["stval", "-1"],
    ["pmpaddr1", "0x3fffffffffffff"],
    ["mhartid", "-1"],
  ];
  const parts: string[] = [];
  masked.forEach(([name, mask], k) => {
    const readOnly = name === "mhartid";
    for (const value of readOnly ? ["0"] : ["-1", "0"]) {
      parts.push(title(k), readOnly ? "" : `li t0, ${value}\ncsrw ${name}, t0\n`);
      parts.push(`csrr a0, ${name}\nli t0, ${mask}\nand a0, a0, t0\n`, put("r", "a0"));
    }
  });
  // Set, clear, and the forms that do not write.
  parts.push(title(100));
  parts.push("li t0, 0xf0f\ncsrw mscratch, t0\ncsrrsi a0, mscratch, 16\n", put("a", "a0"));
  parts.push("csrrci a0, mscratch, 15\n", put("b", "a0"), "csrrw a0, mscratch, zero\n");
  parts.push(put("c", "a0"), "csrr a0, mscratch\n", put("d", "a0"));
  parts.push(here("csrrs a0, mhartid, zero"), put("e", "a0"), here("csrrsi a0, mhartid, 0"));
  parts.push(here("csrrwi a0, mhartid, 0"));
  // satp keeps its value where the mode is none.
  for (const mode of [0n, 8n, 9n, 10n, 11n, 1n, 15n]) {
    parts.push(`li t0, ${mode << 60n | 0x1234n << 44n | 0x80123n}\ncsrw satp, t0\ncsrr a0, satp\n`);
    parts.push(put("s", "a0"));
  }
  parts.push("csrw satp, zero\n");
  return parts.join("");
}

/** All of them. */
export const PROGRAMS: Readonly<Record<string, () => Uint8Array>> = {
  causes: () => program(causes()),
  delegation: () => program(delegation()),
  interrupts: () => program(interrupts()),
  status: () => program(status()),
  registers: () => program(registers()),
  permissions: () => program(permissions()),
  entries: () => program(entries()),
  pages: () => program(pages()),
  protection: () => program(protection()),
};
