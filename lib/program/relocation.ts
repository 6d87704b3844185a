/**
 * Kinds of relocations, and the fields that they fill in.
 *
 * Numbers, widths and arithmetic are the RISC-V psABI's. Which value goes where is
 * `link_object.ts`.
 *
 * @module
 */
import { RV64 } from "../isa/decode.ts";
import { extract, type Pattern } from "../isa/encoding.ts";

/** Numbers of relocations, without their `R_RISCV_`. */
export const R = {
  NONE: 0,
  32: 1,
  64: 2,
  BRANCH: 16,
  JAL: 17,
  CALL: 18,
  CALL_PLT: 19,
  GOT_HI20: 20,
  PCREL_HI20: 23,
  PCREL_LO12_I: 24,
  PCREL_LO12_S: 25,
  HI20: 26,
  LO12_I: 27,
  LO12_S: 28,
  ADD8: 33,
  ADD16: 34,
  ADD32: 35,
  ADD64: 36,
  SUB8: 37,
  SUB16: 38,
  SUB32: 39,
  SUB64: 40,
  ALIGN: 43,
  RVC_BRANCH: 44,
  RVC_JUMP: 45,
  RELAX: 51,
  SUB6: 52,
  SET6: 53,
  SET8: 54,
  SET16: 55,
  SET32: 56,
  "32_PCREL": 57,
} as const;

/** The name of a relocation, for a refusal. */
export function relocationName(type: number): string {
  const found = Object.entries(R).find(([, number]) => number === type);
  return found ? `R_RISCV_${found[0]}` : `relocation ${type}`;
}

/** Widths in bits of relocations that add to, take from, or set a field of data. */
export const DATA: Readonly<
  Record<number, readonly [bits: number, how: "add" | "subtract" | "set"]>
> = {
  [R.ADD8]: [8, "add"],
  [R.ADD16]: [16, "add"],
  [R.ADD32]: [32, "add"],
  [R.ADD64]: [64, "add"],
  [R.SUB6]: [6, "subtract"],
  [R.SUB8]: [8, "subtract"],
  [R.SUB16]: [16, "subtract"],
  [R.SUB32]: [32, "subtract"],
  [R.SUB64]: [64, "subtract"],
  [R.SET6]: [6, "set"],
  [R.SET8]: [8, "set"],
  [R.SET16]: [16, "set"],
  [R.SET32]: [32, "set"],
};

/** Bytes that a relocation touches from its offset on. */
export function widthOf(type: number): number {
  if (type === R[64] || type === R.CALL || type === R.CALL_PLT) return 8;
  if (type === R.RVC_BRANCH || type === R.RVC_JUMP) return 2;
  if (type === R.NONE || type === R.RELAX || type === R.ALIGN) return 0;
  const data = DATA[type];
  return data ? Math.ceil(data[0] / 8) : 4;
}

/** What an auipc or a lui adds, if a signed lower part of 12 bits follows. */
export function upper(value: bigint): bigint {
  return value - lower(value);
}

/** The lower 12 bits of a distance, sign-extended. */
export function lower(value: bigint): bigint {
  return BigInt.asIntN(12, value);
}

/** The error for a relocation that cannot be applied. */
export function refusal(what: string, why: string): SyntaxError {
  return new SyntaxError(`Cannot link ${what}: ${why}`);
}

/** A place in memory that a relocation fills in. */
export interface Field {
  /** Sets bits of data, whatever they cut off. */
  set(bits: number, value: bigint): void;
  /** Sets bits of data, refused if they cannot hold the value, as signed or unsigned. */
  word(bits: number, value: bigint): void;
  /** Adds to, takes from, or sets bits of data. */
  change(bits: number, how: "add" | "subtract" | "set", value: bigint): void;
  /** Sets the immediate of a 32-bit instruction. */
  immediate(value: bigint): void;
  /** Sets the immediate of a compressed instruction. */
  compressed(value: bigint): void;
  /** The field so many bytes further on. */
  after(bytes: number): Field;
}

/** The field at `offset`; `what` names the relocation in a refusal. */
export function createField(view: DataView, offset: number, what: string): Field {
  const fits = (pattern: Pattern, word: number, value: bigint) => {
    if (BigInt(extract(pattern, word, "imm")) === value) return word;
    throw refusal(
      what,
      `its target is ${value} bytes away, or at an address too high; compile with -mcmodel=medany`,
    );
  };
  const withImmediate = (pattern: Pattern, word: number, value: bigint) => {
    let changed = word;
    for (const { field, at, length, low } of pattern.runs) {
      if (field !== "imm") continue;
      const mask = (2 ** length - 1) << at;
      const bits = Number((BigInt.asUintN(64, value) >> BigInt(low)) & (2n ** BigInt(length) - 1n));
      changed = (changed & ~mask) | ((bits << at) & mask);
    }
    return fits(pattern, changed >>> 0, value);
  };
  const old = (bits: number): bigint => {
    switch (bits) {
      case 64:
        return view.getBigUint64(offset, true);
      case 32:
        return BigInt(view.getUint32(offset, true));
      case 16:
        return BigInt(view.getUint16(offset, true));
      default:
        return BigInt(view.getUint8(offset));
    }
  };
  const set = (bits: number, value: bigint) => {
    const cut = BigInt.asUintN(bits, value);
    if (bits === 64) view.setBigUint64(offset, cut, true);
    else if (bits === 32) view.setUint32(offset, Number(cut), true);
    else if (bits === 16) view.setUint16(offset, Number(cut), true);
    else if (bits === 8) view.setUint8(offset, Number(cut));
    else view.setUint8(offset, (view.getUint8(offset) & 0xc0) | Number(cut));
  };
  return {
    set,
    word(bits, value) {
      const signed = BigInt.asIntN(bits, value), unsigned = BigInt.asUintN(bits, value);
      if (value !== signed && value !== unsigned) {
        throw refusal(what, `0x${value.toString(16)} does not fit ${bits} bits`);
      }
      set(bits, value);
    },
    change(bits, how, value) {
      const before = bits === 6 ? old(8) & 0x3fn : old(bits);
      set(bits, how === "set" ? value : how === "add" ? before + value : before - value);
    },
    immediate(value) {
      const word = view.getUint32(offset, true);
      const { definition: { pattern } } = RV64.decode(word);
      view.setUint32(offset, withImmediate(pattern, word, value), true);
    },
    compressed(value) {
      const half = view.getUint16(offset, true);
      const pattern = RV64.compressedOf(half)?.pattern;
      if (!pattern) throw refusal(what, "there is no compressed instruction");
      view.setUint16(offset, withImmediate(pattern, half, value), true);
    },
    after: (bytes) => createField(view, offset + bytes, what),
  };
}
