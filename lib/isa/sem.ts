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
  /** Bytes. */
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
/** One of them. */
export type Cause = typeof Cause[keyof typeof Cause];

/**
 * Integer arithmetic at one width. Total, with RISC-V's corner cases: x/0 = -1, x%0 = x,
 * MIN/-1 = MIN. Shifts use the low log2(width) bits.
 */
export interface Alu<V> {
  add(a: V, b: V): V;
  sub(a: V, b: V): V;
  mul(a: V, b: V): V;
  and(a: V, b: V): V;
  or(a: V, b: V): V;
  xor(a: V, b: V): V;
  shl(a: V, b: V): V;
  shr(a: V, b: V): V;
  sar(a: V, b: V): V;
  /** Rotations use the low log2(width) bits, too. */
  rotl(a: V, b: V): V;
  rotr(a: V, b: V): V;
  /** Leading and trailing zeros (the width for 0), and ones. */
  clz(a: V): V;
  ctz(a: V): V;
  cpop(a: V): V;
  div(a: V, b: V): V;
  divu(a: V, b: V): V;
  rem(a: V, b: V): V;
  remu(a: V, b: V): V;
  /** Comparisons give a 32-bit 0 or 1. */
  eq(a: V, b: V): V;
  ne(a: V, b: V): V;
  lt(a: V, b: V): V;
  ge(a: V, b: V): V;
  ltu(a: V, b: V): V;
  geu(a: V, b: V): V;
}
/** The name of an integer operation. */
export type AluOperation = keyof Alu<unknown>;

/**
 * IEEE 754 arithmetic in one format. Every operation that rounds does so by the instruction's `rm` field (or frm where that
 * says dynamic), accrues its exceptions in fflags, and gives the canonical NaN where the result is a NaN.
 */
export interface Fpu<V> {
  add(a: V, b: V): V;
  sub(a: V, b: V): V;
  mul(a: V, b: V): V;
  div(a: V, b: V): V;
  sqrt(a: V): V;
  /** a × b + c, rounded once. */
  fma(a: V, b: V, c: V): V;
  min(a: V, b: V): V;
  max(a: V, b: V): V;
  eq(a: V, b: V): V;
  lt(a: V, b: V): V;
  le(a: V, b: V): V;
  /** Sign manipulation touches bits only: no rounding, no flags, NaNs kept. */
  neg(a: V): V;
  copySign(a: V, sign: V): V;
  xorSign(a: V, sign: V): V;
  /** `a` as a register value; out of range and NaN saturate as the ISA says. */
  toInteger(type: IntegerType, a: V): V;
  fromInteger(type: IntegerType, x: V): V;
  /** `a`, a value of the format `from`, in this one. */
  convert(from: Format, a: V): V;
  /** The class of `a` as fclass gives it: one bit of ten, in 64. */
  classify(a: V): V;
  /** Reinterpretation of 64 (d) or the low 32 (s, h) integer bits. */
  fromBits(bits: V): V;
}

/** The words. */
export interface Sem<V> {
  // ---- operands: fields of the instruction
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
  constant(value: bigint): V;

  // ---- values
  /** A value that is used more than once, or read before and used after a write, is kept. All others are used once. */
  keep(value: V): V;
  readonly i64: Alu<V>;
  readonly i32: Alu<V>;
  low(value: V): V;
  signed(word: V): V;
  unsigned(word: V): V;
  /** `a` if the 32-bit condition is not 0, else `b`; both are evaluated. */
  select(condition: V, a: V, b: V): V;
  /** Upper 64 bits of the product: signed×signed, unsigned×unsigned, signed×unsigned. */
  mulh(a: V, b: V): V;
  mulhu(a: V, b: V): V;
  mulhsu(a: V, b: V): V;
  readonly float: Readonly<Record<Format, Fpu<V>>>;

  // ---- memory: base and offset stay apart, so a reading can fold, check or translate the address
  load(access: Access, base: V, offset?: V): V;
  store(access: Access, base: V, offset: V, value: V): void;
  /** Reads the old value and writes old ∘ value, as one access. */
  amo(operation: AmoOperation, access: Access, address: V, value: V): V;
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
  jump(target: V): void;
  trap(cause: Cause, value?: V): void;
  synchronize(what: "memory" | "fetch"): void;
  /** Ends a definition: back to where the trap of this level came from. */
  returnFromTrap(level: "M" | "S"): void;
  /** Retires at once; whoever runs the hart may let time pass. */
  wait(): void;
  /** Forgets translations of the address in rs1 and of the address space in rs2; all of either where that is x0. */
  forgetTranslations(address: V, space: V): void;
}

/** What an instruction does. */
export type Meaning = <V>(s: Sem<V>) => void;
