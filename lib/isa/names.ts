/**
 * Names of registers, of rounding modes and of fence operands, as the assembler and objdump spell
 * them.
 *
 * @module
 */

/** ABI names of x0 to x31. */
export const X_NAMES: readonly string[] = [
  ...["zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2"],
  ...["s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"],
  ...["a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7"],
  ...["s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"],
];

/** ABI names of f0 to f31. */
export const F_NAMES: readonly string[] = [
  ...["ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7"],
  ...["fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5"],
  ...["fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7"],
  ...["fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"],
];

const X_NUMBERS = numbersOf(X_NAMES, "x");
X_NUMBERS.set("fp", 8);
const F_NUMBERS = numbersOf(F_NAMES, "f");

function numbersOf(names: readonly string[], letter: string): Map<string, number> {
  return new Map(names.flatMap((name, number) => [[name, number], [letter + number, number]]));
}

/** Number of the integer register called so, by its ABI name or as x0 to x31. */
export function xNumber(name: string): number | undefined {
  return X_NUMBERS.get(name);
}

/** Number of the float register called so, by its ABI name or as f0 to f31. */
export function fNumber(name: string): number | undefined {
  return F_NUMBERS.get(name);
}

/** Single CSRs: hexadecimal number and name, as binutils 2.40 has them. */
const CSR_LIST = `
001 fflags  002 frm  003 fcsr  008 vstart  009 vxsat  00a vxrm  00f vcsr  015 seed
100 sstatus  104 sie  105 stvec  106 scounteren  10a senvcfg  114 sieh
140 sscratch  141 sepc  142 scause  143 stval  144 sip  14d stimecmp  150 siselect  151 sireg
154 siph  15c stopei  15d stimecmph  180 satp  200 vsstatus  204 vsie  205 vstvec  214 vsieh
240 vsscratch  241 vsepc  242 vscause  243 vstval  244 vsip  24d vstimecmp  250 vsiselect
251 vsireg  254 vsiph  25c vstopei  25d vstimecmph  280 vsatp
300 mstatus  301 misa  302 medeleg  303 mideleg  304 mie  305 mtvec  306 mcounteren  308 mvien
309 mvip  30a menvcfg  310 mstatush  313 midelegh  314 mieh  318 mvienh  319 mviph  31a menvcfgh
320 mcountinhibit  340 mscratch  341 mepc  342 mcause  343 mtval  344 mip  34a mtinst  34b mtval2
350 miselect  351 mireg  354 miph  35c mtopei  5a8 scontext
600 hstatus  602 hedeleg  603 hideleg  604 hie  605 htimedelta  606 hcounteren  607 hgeie
608 hvien  609 hvictl  60a henvcfg  613 hidelegh  615 htimedeltah  618 hvienh  61a henvcfgh
643 htval  644 hip  645 hvip  646 hviprio1  647 hviprio2  64a htinst  655 hviph  656 hviprio1h
657 hviprio2h  680 hgatp  6a8 hcontext  747 mseccfg  757 mseccfgh
7a0 tselect  7a1 tdata1  7a2 tdata2  7a3 tdata3  7a4 tinfo  7a5 tcontrol  7a8 mcontext
7aa mscontext  7b0 dcsr  7b1 dpc  7b2 dscratch0  7b3 dscratch1
b00 mcycle  b02 minstret  b80 mcycleh  b82 minstreth
c00 cycle  c01 time  c02 instret  c20 vl  c21 vtype  c22 vlenb  c80 cycleh  c81 timeh  c82 instreth
da0 scountovf  db0 stopi  e12 hgeip  eb0 vstopi
f11 mvendorid  f12 marchid  f13 mimpid  f14 mhartid  f15 mconfigptr  fb0 mtopi
`;

/** Runs of CSRs: where number 0 would be, the name around the number, the first and the last number. */
const CSR_RUNS: readonly (readonly [number, string, string, number, number])[] = [
  [0x10c, "sstateen", "", 0, 3],
  [0x30c, "mstateen", "", 0, 3],
  [0x31c, "mstateen", "h", 0, 3],
  [0x60c, "hstateen", "", 0, 3],
  [0x61c, "hstateen", "h", 0, 3],
  [0x3a0, "pmpcfg", "", 0, 15],
  [0x3b0, "pmpaddr", "", 0, 63],
  [0x320, "mhpmevent", "", 3, 31],
  [0x720, "mhpmevent", "h", 3, 31],
  [0xb00, "mhpmcounter", "", 3, 31],
  [0xb80, "mhpmcounter", "h", 3, 31],
  [0xc00, "hpmcounter", "", 3, 31],
  [0xc80, "hpmcounter", "h", 3, 31],
];

/** CSRs both ways; made when one is first asked for. */
let csrs: { names: ReadonlyMap<number, string>; numbers: ReadonlyMap<string, number> } | undefined;

function readCsrs(): NonNullable<typeof csrs> {
  const names = new Map([
    ...CSR_LIST.matchAll(/([\da-f]{3}) (\w+)/g).map(([, number, name]) =>
      [parseInt(number!, 16), name!] as const
    ),
    ...CSR_RUNS.flatMap(([base, before, after, first, last]) =>
      Array.from(
        { length: last - first + 1 },
        (_, k) => [base + first + k, `${before}${first + k}${after}`] as const,
      )
    ),
  ]);
  return { names, numbers: new Map(names.entries().map(([number, name]) => [name, number])) };
}

/** Name of a CSR, if it has one. */
export function csrName(number: number): string | undefined {
  return (csrs ??= readCsrs()).names.get(number);
}

/** Number of the CSR with this name. */
export function csrNumber(name: string): number | undefined {
  return (csrs ??= readCsrs()).numbers.get(name);
}

/** Rounding modes as the rm field numbers them; objdump does not tell the reserved two apart. */
export const ROUNDING_NAMES: readonly string[] = [
  "rne",
  "rtz",
  "rdn",
  "rup",
  "rmm",
  "unknown",
  "unknown",
  "dyn",
];

/** What a fence is between: input, output, reads and writes; `unknown` for none of them. */
export function orderName(set: number): string {
  const letters = [...["i", "o", "r", "w"].entries()]
    .filter(([k]) => (set >> (3 - k)) & 1)
    .map(([, letter]) => letter);
  return letters.join("") || "unknown";
}

/** The set with this name, its letters in order; `0` is another name for none of them. */
export function orderNumber(name: string): number | undefined {
  if (name === "unknown" || name === "0") return 0;
  const letters = /^(i?)(o?)(r?)(w?)$/.exec(name);
  if (!letters || name === "") return undefined;
  return letters.slice(1).reduce((set, letter) => set * 2 + letter.length, 0);
}

/** Words that are spelled by a name of their own, though they are instances of other instructions. */
export const SPELLED_WORDS: Readonly<Record<string, number>> = {
  "fence.tso": 0x8330000f,
  unimp: 0xc0001073,
};
