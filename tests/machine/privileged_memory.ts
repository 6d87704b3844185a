/**
 * What firmware finds out about memory: page tables, what their entries allow, and physical memory
 * protection.
 *
 * @module
 */
import { here, newLabel, NOWHERE, PAGES, put, TABLES, title } from "./privileged_runtime.ts";

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
  const id = newLabel();
  return `
  la s11, after_${id}
  li t0, ${address}
  csrw mepc, t0
  li t0, 0x1800
  csrc mstatus, t0
  li t0, ${mode === "S" ? 0x800 : 0}
  csrs mstatus, t0
  mret
after_${id}:
`;
}

const LOAD = "ld a3, 0(a2)", STORE = "sd a3, 0(a2)";
const ECALL = 0x73n;
/** An address whose index is another one in each level. */
const V = 0x1234567000n;

/** Every combination of permission bits and ways to access. */
export function permissions(): string {
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
export function entries(): string {
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
export function pages(): string {
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
export function protection(): string {
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
