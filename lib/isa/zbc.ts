/**
 * Zbc and Zbkc, carry-less multiplication, and what Zbkb has beyond Zbb: packing and reversing bits.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { alsoIn, type Extension, extension } from "./extension.ts";
import type { Meaning, Sem } from "./sem.ts";

/** The bits of a carry-less product from bit `first` on, 64 of them. */
function carryless(first: number): Meaning {
  return (s) => {
    const { and, shl, shr, sub, xor } = s.i64;
    const a = s.keep(s.x("rs1"));
    const b = s.keep(s.x("rs2"));
    let product = s.constant(0n);
    for (let k = 0; k < 64; k++) {
      const distance = k - first;
      if (distance <= -64) continue;
      const shift = s.constant(BigInt(Math.abs(distance)));
      const shifted = distance < 0 ? shr(a, shift) : shl(a, shift);
      const bit = and(shr(b, s.constant(BigInt(k))), s.constant(1n));
      product = xor(product, and(shifted, sub(s.constant(0n), bit)));
    }
    s.setX("rd", product);
  };
}

/** The low halves of both sources, side by side. */
function pack<V>(s: Sem<V>, bits: number): V {
  const { and, or, shl } = s.i64;
  const mask = (1n << BigInt(bits)) - 1n;
  const low = and(s.x("rs1"), s.constant(mask));
  return or(shl(and(s.x("rs2"), s.constant(mask)), s.constant(BigInt(bits))), low);
}

/** Neighbouring groups of bits that are exchanged to reverse a byte: a mask, and their width. */
const SWAPS: readonly (readonly [mask: bigint, width: bigint])[] = [
  [0x5555_5555_5555_5555n, 1n],
  [0x3333_3333_3333_3333n, 2n],
  [0x0f0f_0f0f_0f0f_0f0fn, 4n],
];

function reverseBitsInBytes<V>(s: Sem<V>): void {
  const { and, or, shl, shr } = s.i64;
  let value = s.keep(s.x("rs1"));
  for (const [mask, width] of SWAPS) {
    const low = shl(and(value, s.constant(mask)), s.constant(width));
    value = s.keep(or(low, and(shr(value, s.constant(width)), s.constant(mask))));
  }
  s.setX("rd", value);
}

/** Zbc: carry-less multiplication; all but clmulr is Zbkc's too. */
export const ZBC: Extension = extension("zbc", {
  hwprobe: [7],
  entries: [
    alsoIn("zbkc", define("clmul", "0000101 rs2 rs1 001 rd 0110011", "rd,rs1,rs2", carryless(0))),
    define("clmulr", "0000101 rs2 rs1 010 rd 0110011", "rd,rs1,rs2", carryless(63)),
    alsoIn("zbkc", define("clmulh", "0000101 rs2 rs1 011 rd 0110011", "rd,rs1,rs2", carryless(64))),
  ],
});

/** Zbkc, whose instructions are among those of Zbc. */
export const ZBKC: Extension = extension("zbkc");

/** Zbkb: bit manipulation for cryptography; what it shares with Zbb is in `zb.ts`. */
export const ZBKB: Extension = extension("zbkb", {
  hwprobe: [8],
  entries: [
    define(
      "pack",
      "0000100 rs2 rs1 100 rd 0110011",
      "rd,rs1,rs2",
      (s) => s.setX("rd", pack(s, 32)),
    ),
    define(
      "packh",
      "0000100 rs2 rs1 111 rd 0110011",
      "rd,rs1,rs2",
      (s) => s.setX("rd", pack(s, 8)),
    ),
    define(
      "packw",
      "0000100 rs2 rs1 100 rd 0111011",
      "rd,rs1,rs2",
      (s) => s.setX("rd", s.signed(s.low(pack(s, 16)))),
    ),
    define("brev8", "011010000111 rs1 101 rd 0010011", "rd,rs1", reverseBitsInBytes),
  ],
});
