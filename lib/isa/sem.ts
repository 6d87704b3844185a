/**
 * The vocabulary in which an instruction's meaning is written, once.
 *
 * `V` is what a value is to the reading at hand: a bigint to the reference, the code that pushes it to the recorder.
 * A definition is straight-line: it calls words of this vocabulary and never looks at a value, so the sequence of calls is
 * the same for every instance of the instruction. The recorder depends on exactly that.
 * @module
 */

/** Where an instruction names a register. */
export type Field = "rd" | "rs1" | "rs2" | "rs3";
/** Floating-point format: half, single or double precision. */
export type Format = "h" | "s" | "d";
/** Integer operand of a floating-point conversion, as its mnemonic says it. */
export type IntegerType = "w" | "wu" | "l" | "lu";
/** What an atomic memory operation does with the old value and the operand. */
export type AmoOperation = "swap" | "add" | "xor" | "and" | "or" | "min" | "max" | "minu" | "maxu";
/** What a CSR instruction does with the old value and its source. */
export type CsrUpdate = "write" | "set" | "clear";

/** Size and interpretation of a memory access. */
export interface Access {
  /** Bytes that are read or written. */
  readonly bytes: 1 | 2 | 4 | 8;
  /** How a loaded value is widened; `float` ones are bits of that format. */
  readonly as: "signed" | "unsigned" | "float";
}
/** Access of lb and sb. */
export const BYTE: Access = { bytes: 1, as: "signed" };
/** Access of lbu. */
export const UBYTE: Access = { bytes: 1, as: "unsigned" };
/** Access of lh and sh. */
export const HALF: Access = { bytes: 2, as: "signed" };
/** Access of lhu. */
export const UHALF: Access = { bytes: 2, as: "unsigned" };
/** Access of lw, sw and the word atomics. */
export const WORD: Access = { bytes: 4, as: "signed" };
/** Access of lwu. */
export const UWORD: Access = { bytes: 4, as: "unsigned" };
/** Access of ld, sd and the doubleword atomics. */
export const LONG: Access = { bytes: 8, as: "signed" };
/** Access of flh. */
export const HALF_FLOAT: Access = { bytes: 2, as: "float" };
/** Access of flw. */
export const SINGLE: Access = { bytes: 4, as: "float" };
/** Access of fld and fsd. */
export const DOUBLE: Access = { bytes: 8, as: "float" };

/** Trap causes, numbered as mcause numbers them; a host call is the first custom cause. */
export const Cause = {
  FetchMisaligned: 0,
  FetchFault: 1,
  Illegal: 2,
  Breakpoint: 3,
  LoadMisaligned: 4,
  LoadFault: 5,
  StoreMisaligned: 6,
  StoreFault: 7,
  EcallU: 8,
  EcallS: 9,
  EcallM: 11,
  FetchPageFault: 12,
  LoadPageFault: 13,
  StorePageFault: 15,
  HostCall: 24,
} as const;
/** The number of a trap's cause. */
export type Cause = typeof Cause[keyof typeof Cause];

/**
 * Integer arithmetic at one width. Total, with RISC-V's corner cases: x/0 = -1, x%0 = x,
 * MIN/-1 = MIN. Shifts use the low log2(width) bits.
 */
export interface Alu<V> {
  /** a + b. */
  add(a: V, b: V): V;
  /** a − b. */
  sub(a: V, b: V): V;
  /** The low half of a × b. */
  mul(a: V, b: V): V;
  /** Bitwise and. */
  and(a: V, b: V): V;
  /** Bitwise or. */
  or(a: V, b: V): V;
  /** Bitwise exclusive or. */
  xor(a: V, b: V): V;
  /** a shifted left by b. */
  shl(a: V, b: V): V;
  /** a shifted right by b, zeros coming in. */
  shr(a: V, b: V): V;
  /** a shifted right by b, the sign coming in. */
  sar(a: V, b: V): V;
  /** a rotated left by b. */
  rotl(a: V, b: V): V;
  /** a rotated right by b. */
  rotr(a: V, b: V): V;
  /** How many zeros lead; the width for 0. */
  clz(a: V): V;
  /** How many zeros trail; the width for 0. */
  ctz(a: V): V;
  /** How many bits are set. */
  cpop(a: V): V;
  /** a ÷ b, signed, towards zero. */
  div(a: V, b: V): V;
  /** a ÷ b, unsigned. */
  divu(a: V, b: V): V;
  /** The remainder of `div`. */
  rem(a: V, b: V): V;
  /** The remainder of `divu`. */
  remu(a: V, b: V): V;
  /** Whether a = b: a 32-bit 0 or 1, as of all comparisons. */
  eq(a: V, b: V): V;
  /** Whether a ≠ b. */
  ne(a: V, b: V): V;
  /** Whether a < b, signed. */
  lt(a: V, b: V): V;
  /** Whether a ≥ b, signed. */
  ge(a: V, b: V): V;
  /** Whether a < b, unsigned. */
  ltu(a: V, b: V): V;
  /** Whether a ≥ b, unsigned. */
  geu(a: V, b: V): V;
}
/** The name of an integer operation. */
export type AluOperation = keyof Alu<unknown>;

/**
 * IEEE 754 arithmetic in one format. Every operation that rounds does so by the instruction's `rm` field (or frm where that
 * says dynamic), accrues its exceptions in fflags, and gives the canonical NaN where the result is a NaN.
 */
export interface Fpu<V> {
  /** a + b. */
  add(a: V, b: V): V;
  /** a − b. */
  sub(a: V, b: V): V;
  /** a × b. */
  mul(a: V, b: V): V;
  /** a ÷ b. */
  div(a: V, b: V): V;
  /** The square root. */
  sqrt(a: V): V;
  /** a × b + c, rounded once. */
  fma(a: V, b: V, c: V): V;
  /** The smaller number; −0 is smaller than +0, and a NaN loses. */
  min(a: V, b: V): V;
  /** The greater number; +0 is greater than −0, and a NaN loses. */
  max(a: V, b: V): V;
  /** Whether a = b, a 32-bit 0 or 1; quiet NaNs raise nothing. */
  eq(a: V, b: V): V;
  /** Whether a < b; every NaN raises invalid. */
  lt(a: V, b: V): V;
  /** Whether a ≤ b; every NaN raises invalid. */
  le(a: V, b: V): V;
  /** a with its sign inverted: bits only, without rounding or flags, NaNs kept, as all three of these. */
  neg(a: V): V;
  /** a with the sign of `sign`. */
  copySign(a: V, sign: V): V;
  /** a with its sign inverted where `sign` is negative. */
  xorSign(a: V, sign: V): V;
  /** `a` as a register value; out of range and NaN saturate as the ISA says. */
  toInteger(type: IntegerType, a: V): V;
  /** The integer register value `x`, read as `type`, in this format. */
  fromInteger(type: IntegerType, x: V): V;
  /** `a`, a value of the format `from`, in this one. */
  convert(from: Format, a: V): V;
  /** The class of `a` as fclass gives it: one bit of ten, in 64. */
  classify(a: V): V;
  /** Reinterpretation of 64 (d) or the low 32 (s, h) integer bits. */
  fromBits(bits: V): V;
}

/** The words that a definition is written in, on values of a reading's own kind. */
export interface Sem<V> {
  // ---- operands: fields of the instruction
  /** Reads an integer register; x0 is 0. */
  x(field: Field): V;
  /** Writes a 64-bit value; a write to x0 has no effect. */
  setX(field: Field, value: V): void;
  /** A float register read in a format: "s" and "h" un-box (canonical NaN where not boxed), "d" takes it as it is. */
  f(format: Format, field: Field): V;
  /** Writes a float register, NaN-boxed where the format is narrower. */
  setF(format: Format, field: Field, value: V): void;
  /** The 64 raw bits of a float register. */
  fbits(field: Field): V;
  /** The immediate, sign-extended as the encoding says. */
  imm(): V;
  /** pc + immediate. */
  target(): V;
  /** Address of the following instruction: pc + 4, or + 2 where this one was compressed. */
  next(): V;
  /** A 64-bit constant. */
  constant(value: bigint): V;

  // ---- values
  /** A value that is used more than once, or read before and used after a write, is kept. All others are used once. */
  keep(value: V): V;
  /** Arithmetic on 64 bits. */
  readonly i64: Alu<V>;
  /** Arithmetic on 32 bits. */
  readonly i32: Alu<V>;
  /** The low 32 bits of 64. */
  low(value: V): V;
  /** 32 bits, sign-extended to 64. */
  signed(word: V): V;
  /** 32 bits, zero-extended to 64. */
  unsigned(word: V): V;
  /** `a` if the 32-bit condition is not 0, else `b`; both are evaluated. */
  select(condition: V, a: V, b: V): V;
  /** The upper 64 bits of signed × signed. */
  mulh(a: V, b: V): V;
  /** The upper 64 bits of unsigned × unsigned. */
  mulhu(a: V, b: V): V;
  /** The upper 64 bits of signed × unsigned. */
  mulhsu(a: V, b: V): V;
  /** Floating-point arithmetic by format. */
  readonly float: Readonly<Record<Format, Fpu<V>>>;

  // ---- memory: base and offset stay apart, so a reading can fold, check or translate the address
  /** What is at base + offset, extended as the access says. */
  load(access: Access, base: V, offset?: V): V;
  /** Writes the low bytes of a value to base + offset. */
  store(access: Access, base: V, offset: V, value: V): void;
  /** Reads the old value and writes old ∘ value, as one access. */
  amo(operation: AmoOperation, access: Access, address: V, value: V): V;
  /** What is at an address, which is reserved from then on. */
  loadReserved(access: Access, address: V): V;
  /** 0 if it stored, 1 if not. */
  storeConditional(access: Access, address: V, value: V): V;

  /** Manages or zeroes the 64-byte block that holds the address. */
  cacheBlock(operation: "manage" | "zero", address: V): void;

  // ---- the rest of the machine; control transfers end a definition
  /** Reads the CSR of the `csr` field and updates it; reads or updates that the ISA suppresses (rd or source x0) do not happen. */
  csr(update: CsrUpdate, source: V): V;
  /** To `target()` if the condition, a 32-bit 0 or 1, holds. */
  branch(condition: V): void;
  /** Ends a definition: goes on at `target`. */
  jump(target: V): void;
  /** Ends a definition: a trap of this cause; `value` is what mtval gets. */
  trap(cause: Cause, value?: V): void;
  /** Orders memory accesses (`memory`), or makes stores visible to this hart's fetches (`fetch`). */
  synchronize(what: "memory" | "fetch"): void;
  /** Ends a definition: back to where the trap of this level came from. */
  returnFromTrap(level: "M" | "S"): void;
  /** Retires at once; whoever runs the hart may let time pass. */
  wait(): void;
  /** Forgets translations of the address in rs1 and of the address space in rs2; all of either where that is x0. */
  forgetTranslations(address: V, space: V): void;
}

/** What an instruction does, said in the operations of {@linkcode Sem}. */
export type Meaning = <V>(s: Sem<V>) => void;
