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

/** Runs instructions in a mode; they come back by a trap, which is printed. M-mode goes on behind. */
export function inMode(mode: "U" | "S" | "M", body: string): string {
  const id = labels++;
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
  const id = labels++;
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

const PTE = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;
const LEAF = PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D;
const SCHEMES = { Sv39: 8, Sv48: 9, Sv57: 10 } as const;
type Scheme = keyof typeof SCHEMES;
const LEVELS: Readonly<Record<Scheme, number>> = { Sv39: 3, Sv48: 4, Sv57: 5 };

const pte = (physical: number | bigint, flags: number): bigint =>
  BigInt(physical) >> 12n << 10n | BigInt(flags);
/** The table of a level; the root is the highest. */
const tableOf = (level: number): number => TABLES + level * 0x1000;
const entryAt = (level: number, address: bigint): bigint =>
  BigInt(tableOf(level)) + (address >> BigInt(12 + 9 * level) & 511n) * 8n;
const store = (address: number | bigint, value: bigint): string =>
  `li t0, ${address}\nli t1, ${value}\nsd t1, 0(t0)\n`;

/** Tables that lead to an entry of a level for an address, and satp. */
function tables(scheme: Scheme, address: bigint, level: number, entry: bigint): string {
  const parts: string[] = [];
  for (let k = LEVELS[scheme] - 1; k > level; k--) {
    parts.push(store(entryAt(k, address), pte(tableOf(k - 1), PTE.V)));
  }
  parts.push(store(entryAt(level, address), entry));
  const root = BigInt(tableOf(LEVELS[scheme] - 1)) >> 12n;
  parts.push(`li t0, ${BigInt(SCHEMES[scheme]) << 60n | root}\ncsrw satp, t0\nsfence.vma\n`);
  return parts.join("");
}

const MPRV = 0x20000, SUM = 0x40000, MXR = 0x80000;

/** One access to an address as S or U would make it; prints the trap, or what was loaded. */
function access(instruction: string, address: bigint, mode: "S" | "U", bits = 0): string {
  const status = MPRV | bits | (mode === "S" ? 0x800 : 0);
  return here(`
  li a2, ${address}
  li a3, 0x5a5a
  li t0, ${MPRV | SUM | MXR | 0x1800}
  csrc mstatus, t0
  li t0, ${status}
  csrs mstatus, t0
  ${instruction}
  li t0, ${MPRV | SUM | MXR}
  csrc mstatus, t0
  ${put("=", "a3")}`);
}

/** A jump to an address in a mode; what is there is an ecall. */
function fetch(address: bigint, mode: "S" | "U"): string {
  return `
  la s11, after_${labels}
  li t0, ${address}
  csrw mepc, t0
  li t0, 0x1800
  csrc mstatus, t0
  li t0, ${mode === "S" ? 0x800 : 0}
  csrs mstatus, t0
  mret
after_${labels++}:
`;
}

const LOAD = "ld a3, 0(a2)", STORE = "sd a3, 0(a2)";
const ECALL = 0x73n;
/** An address whose index is another one in each level. */
const V = 0x1234567000n;

/** Every combination of permission bits and ways to access. */
function permissions(): string {
  const parts = [store(PAGES, ECALL)];
  for (let bits = 0; bits < 16; bits++) {
    const flags = PTE.V | PTE.A | PTE.D | bits << 1;
    parts.push(title(bits), tables("Sv39", V, 0, pte(PAGES, flags)));
    for (const mode of ["S", "U"] as const) {
      for (const how of [0, SUM, MXR, SUM | MXR]) parts.push(access(LOAD, V, mode, how));
      for (const how of [0, SUM, MXR]) parts.push(access("sw zero, 8(a2)", V, mode, how));
      parts.push(fetch(V, mode));
    }
  }
  parts.push("csrw satp, zero\n");
  return parts.join("");
}

/** Forms of entries, in each scheme. */
function entries(): string {
  const parts: string[] = [];
  const fresh = () => parts.push(store(PAGES, ECALL), store(PAGES + 8, 0n));
  let number = 0;
  for (const scheme of Object.keys(SCHEMES) as Scheme[]) {
    const levels = LEVELS[scheme];
    fresh();
    const attempt = (address: bigint, level: number, entry: bigint) => {
      parts.push(title(number++), tables(scheme, address, level, entry));
      parts.push(access(LOAD, address, "S"), access("sd a3, 8(a2)", address, "S"));
      parts.push(fetch(address, "S"));
    };
    // A leaf at each level; behind a large one lies RAM at the same distance.
    for (let level = 0; level < levels; level++) {
      const span = 1n << BigInt(12 + 9 * level);
      const address = span * 5n + (BigInt(PAGES) & (span - 1n));
      attempt(address, level, pte(BigInt(PAGES) & ~(span - 1n), LEAF));
      if (level > 0) attempt(address, level, pte((BigInt(PAGES) & ~(span - 1n)) + 4096n, LEAF));
      // Bits that a pointer must not have, and a pointer where there is no level below.
      for (const bit of [PTE.U, PTE.A, PTE.D, PTE.G]) {
        if (level === 0) attempt(V, 0, pte(PAGES, PTE.V | bit));
        else {
          attempt(V, 0, pte(PAGES, LEAF));
          parts.push(store(entryAt(level, V), pte(tableOf(level - 1), PTE.V | bit)));
          parts.push("sfence.vma\n", access(LOAD, V, "S"));
        }
      }
    }
    for (const flags of [0, LEAF & ~PTE.V, LEAF & ~PTE.R, PTE.V, LEAF & ~(PTE.R | PTE.X)]) {
      attempt(V, 0, pte(PAGES, flags));
    }
    for (let bit = 54n; bit < 64n; bit++) attempt(V, 0, pte(PAGES, LEAF) | 1n << bit);
    // Addresses whose upper bits are not copies of the highest one that is translated.
    const top = BigInt(11 + 9 * levels);
    for (const address of [V | 1n << (top + 1n), V | 1n << 63n, V | -1n << top, V | 1n << top]) {
      parts.push(title(number++), tables(scheme, V, 0, pte(PAGES, LEAF)));
      parts.push(access(LOAD, BigInt.asIntN(64, address), "S"));
    }
    attempt(BigInt.asIntN(64, V | -1n << top), 0, pte(PAGES, LEAF));
    // Nothing behind the entry. (Nothing behind a pointer is a page fault to QEMU.)
    attempt(V, 0, pte(BigInt(NOWHERE), LEAF));
    // Accessed and dirty.
    for (const flags of [0, PTE.A, PTE.D, PTE.A | PTE.D]) {
      for (const body of [LOAD, "sd a3, 8(a2)"]) {
        const entry = pte(PAGES, (LEAF & ~(PTE.A | PTE.D)) | flags);
        parts.push(title(number++), tables(scheme, V, 0, entry), access(body, V, "S"));
        parts.push(`li t0, ${entryAt(0, V)}\nld a0, 0(t0)\n`, put("e", "a0"));
      }
    }
  }
  parts.push("csrw satp, zero\n");
  return parts.join("");
}

/** Pages that lie apart, and translations that change. */
function pages(): string {
  const W = V + 4096n;
  const first = PAGES, second = PAGES + 0x3000;
  const map = (address: bigint, physical: number, flags: number = LEAF) =>
    store(entryAt(0, address), pte(physical, flags));
  const parts = [
    store(first + 0xff8, 0x1122334455667788n),
    store(second, 0x99aabbccddeeff00n - (1n << 64n)),
    tables("Sv39", V, 0, pte(first, LEAF)),
    map(W, second),
    "sfence.vma\n",
  ];
  const over = V + 0xffcn;
  parts.push(title(1), access(LOAD, over, "S"), access(STORE, over, "S"), access(LOAD, over, "S"));
  for (const [bytes, load] of [[2, "lh"], [4, "lw"], [4, "lwu"], [8, "ld"]] as const) {
    for (let back = 1; back < bytes; back++) {
      parts.push(access(`${load} a3, 0(a2)`, W - BigInt(back), "S"));
    }
  }
  // The second page refuses.
  parts.push(title(2), map(W, second, LEAF & ~PTE.W), "sfence.vma\n");
  parts.push(access(LOAD, over, "S"), access(STORE, over, "S"));
  parts.push(map(W, second, 0), "sfence.vma\n", access(LOAD, over, "S"), access(STORE, over, "S"));
  // The first one does.
  parts.push(title(3), map(V, first, 0), map(W, second), "sfence.vma\n", access(LOAD, over, "S"));
  // An instruction across both.
  parts.push(title(4), map(V, first), "sfence.vma\n");
  parts.push(
    `li t0, ${first + 0xffe}\nli t1, 0x73\nsh t1, 0(t0)\nli t0, ${second}\nsh zero, 0(t0)\n`,
  );
  parts.push("fence.i\n", fetch(V + 0xffen, "S"));
  parts.push(map(W, second, LEAF & ~PTE.X), "sfence.vma\n", fetch(V + 0xffen, "S"));
  parts.push(map(W, second), "sfence.vma\n", fetch(V + 0xffen, "S"));
  parts.push(map(V, first, LEAF & ~PTE.X), "sfence.vma\n", fetch(V + 0xffen, "S"));
  // Each form of sfence.vma shows the new page.
  const values = [store(first, 1n), store(second, 2n), map(V, first), "sfence.vma\n"];
  const space = "li a1, 0\n";
  for (const fence of ["sfence.vma", "sfence.vma a2", "sfence.vma zero, a1", "sfence.vma a2, a1"]) {
    parts.push(title(5), ...values, access(LOAD, V, "S"), map(V, second), `li a2, ${V}\n${space}`);
    parts.push(fence, "\n", access(LOAD, V, "S"));
  }
  // One address of a large page names all of it.
  const large = 5n << 21n;
  parts.push(title(6), tables("Sv39", large, 1, pte(PAGES, LEAF)));
  parts.push(access(LOAD, large, "S"), access(LOAD, large + 0x3000n, "S"));
  parts.push(store(entryAt(1, large), 0n), `li a2, ${large + 0x1000n}\nsfence.vma a2\n`);
  parts.push(access(LOAD, large, "S"), access(LOAD, large + 0x3000n, "S"));
  // An atomic, seen at the other address of its page.
  parts.push(title(7), map(V, first), map(W, first), "sfence.vma\n");
  parts.push(access("amoadd.d a3, a3, (a2)", V, "S"), access(LOAD, W, "S"));
  parts.push("csrw satp, zero\n");
  return parts.join("");
}

const PMP = { R: 1, W: 2, X: 4, TOR: 8, NA4: 16, NAPOT: 24, L: 128 } as const;

/** Physical memory protection in each mode of its entries. */
function protection(): string {
  const parts: string[] = [];
  let number = 0;
  const byte = (entry: number, config: number) =>
    `li t0, ${255n << BigInt(entry * 8)}\ncsrc pmpcfg0, t0\nli t0, ${
      BigInt(config) << BigInt(entry * 8)
    }\ncsrs pmpcfg0, t0\n`;
  const address = (entry: number, value: number | bigint) =>
    `li t0, ${value}\ncsrw pmpaddr${entry}, t0\n`;
  const fence = "sfence.vma\n";
  /** The whole memory behind the others. */
  parts.push(address(7, -1n), byte(7, 0x1f), byte(0, 0), address(0, 0));
  const P = BigInt(PAGES);
  const napot = (start: bigint, size: bigint) => start >> 2n | (size / 8n - 1n);
  const around = (start: bigint, end: bigint) => {
    for (const at of [start - 8n, start, end - 8n, end]) {
      parts.push(access(LOAD, at, "S"), access(STORE, at, "U"));
    }
    parts.push(access("lw a3, 0(a2)", end - 4n, "S"), access("lw a3, 0(a2)", end, "S"));
  };
  parts.push(store(PAGES, ECALL));
  // Permissions.
  for (const bits of [0, 1, 3, 4, 5, 7]) {
    parts.push(title(number++), address(0, napot(P, 4096n)), byte(0, PMP.NAPOT | bits), fence);
    parts.push(access(LOAD, P, "S"), access("sd a3, 8(a2)", P, "S"), access(LOAD, P, "U"));
    parts.push(
      fetch(P, "S"),
      fetch(P, "U"),
      here("li a2, " + P + "\nld a3, 0(a2)\n" + put("=", "a3")),
    );
  }
  // Sizes, all without permission.
  for (const size of [8n, 16n, 64n, 4096n, 8192n]) {
    parts.push(title(number++), address(0, napot(P + 0x2000n, size)), byte(0, PMP.NAPOT), fence);
    around(P + 0x2000n, P + 0x2000n + size);
  }
  parts.push(title(number++), address(0, P + 0x2010n >> 2n), byte(0, PMP.NA4), fence);
  for (const at of [0x200cn, 0x2010n, 0x2014n]) {
    parts.push(access("lw a3, 0(a2)", P + at, "S"));
  }
  // An access that an entry matches in part.
  parts.push(access(LOAD, P + 0x2010n, "S"), access(LOAD, P + 0x2008n, "S"));
  // From an address up to another.
  parts.push(title(number++), address(0, P + 0x3010n >> 2n), address(1, P + 0x3058n >> 2n));
  parts.push(byte(0, 0), byte(1, PMP.TOR), fence);
  around(P + 0x3010n, P + 0x3058n);
  // QEMU sees the start of a range only when its end is written.
  parts.push(title(number++), address(0, P + 0x3058n >> 2n), address(1, P + 0x3058n >> 2n), fence);
  around(P + 0x3010n, P + 0x3058n);
  parts.push(title(number++), byte(1, 0), byte(0, PMP.TOR | PMP.R), fence);
  parts.push(access(LOAD, P, "S"), access(STORE, P, "S"), access(STORE, P + 0x3058n, "S"));
  // The lower entry decides.
  parts.push(title(number++), address(0, napot(P, 64n)), byte(0, PMP.NAPOT | PMP.R));
  parts.push(address(1, napot(P, 4096n)), byte(1, PMP.NAPOT | PMP.R | PMP.W), fence);
  for (const at of [P, P + 56n, P + 64n, P + 4088n]) {
    parts.push(access(LOAD, at, "S"), access(STORE, at, "S"));
  }
  // Page tables are read as the supervisor reads.
  parts.push(title(number++), tables("Sv39", V, 0, pte(PAGES + 0x5000, LEAF)));
  parts.push(address(0, napot(BigInt(tableOf(0)), 4096n)), byte(0, PMP.NAPOT), fence);
  parts.push(access(LOAD, V, "S"), byte(0, PMP.NAPOT | PMP.R), fence, access(LOAD, V, "S"));
  parts.push("csrw satp, zero\n", byte(0, 0), byte(1, 0), fence);
  // Locked ones bind M-mode, and stay.
  parts.push(
    title(number++),
    address(2, napot(P + 0x6000n, 4096n)),
    byte(2, PMP.L | PMP.NAPOT | PMP.R),
  );
  parts.push(fence, here(`li a2, ${P + 0x6000n}\nld a3, 0(a2)\n${put("=", "a3")}`));
  parts.push(here(`li a2, ${P + 0x6000n}\nsd a3, 0(a2)\n${put("=", "a3")}`));
  parts.push(here(`li a2, ${P + 0x6000n}\njr a2`));
  parts.push(byte(2, 0), address(2, 0), "csrr a0, pmpaddr2\n", put("a", "a0"));
  parts.push("csrr a0, pmpcfg0\n", put("c", "a0"));
  parts.push(address(3, P + 0x8000n >> 2n), address(4, P + 0x9000n >> 2n));
  parts.push(byte(4, PMP.L | PMP.TOR), address(3, 0), address(4, 0));
  parts.push("csrr a0, pmpaddr3\n", put("a", "a0"), "csrr a0, pmpaddr4\n", put("a", "a0"), fence);
  parts.push(here(`li a2, ${P + 0x7ff8n}\nld a3, 0(a2)\nli a2, ${P + 0x8000n}\nld a3, 0(a2)`));
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
