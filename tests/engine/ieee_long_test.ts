/**
 * Floating point in bulk: every operation of F, D and Zfh in every rounding mode on a grid of special
 * and random operands, from no flags and once the inexact one is up, result bits and flags against QEMU.
 *
 * @module
 */
import { installed } from "./guest_tools.ts";
import { compareGrid, floatLines, underway } from "./operand_grid.ts";
import { createRandom, type Random } from "./random.ts";

const ready = Deno.env.has("HARTRACE_LONG") && installed("riscv64-linux-gnu-gcc") &&
  installed("qemu-riscv64");

/** Lines of one program. */
const LINES = 60;

/** A format's fields. */
interface Shape {
  readonly fraction: number;
  readonly exponent: number;
}
const SHAPES: Readonly<Record<"h" | "s" | "d", Shape>> = {
  h: { fraction: 10, exponent: 5 },
  s: { fraction: 23, exponent: 8 },
  d: { fraction: 52, exponent: 11 },
};

/** Operands of a format, in their box: edges of every kind, then random ones. */
function operandsOf({ fraction, exponent }: Shape, random: Random, count: number): string[] {
  const most = (1n << BigInt(exponent)) - 1n;
  const bias = most >> 1n;
  const ones = (1n << BigInt(fraction)) - 1n;
  const width = 1 + exponent + fraction;
  const box = width === 64 ? 0n : ((1n << 64n) - 1n) ^ ((1n << BigInt(width)) - 1n);
  const make = (negative: boolean, e: bigint, f: bigint): bigint =>
    box | (negative ? 1n << BigInt(width - 1) : 0n) | e << BigInt(fraction) | f;
  const half = 1n << BigInt(fraction - 1);
  const found = new Set<bigint>();
  for (const negative of [false, true]) {
    for (const f of [0n, 1n, half, ones]) {
      for (const e of [0n, 1n, bias - 1n, bias, bias + 1n, most - 1n, most]) {
        found.add(make(negative, e, f));
      }
    }
    // The edges of integers, and halves between them.
    for (const bits of [15, 31, 32, 63, 64].filter((each) => BigInt(each) < bias)) {
      found.add(make(negative, bias + BigInt(bits), 0n));
      found.add(make(negative, bias + BigInt(bits) - 1n, ones));
    }
    found.add(make(negative, bias + 1n, half >> 1n));
  }
  const all = [...found];
  while (all.length < count) {
    const near = bias - 3n + BigInt(random.below(7));
    const e = random.below(3) === 0 ? BigInt.asUintN(exponent, random.bits(exponent)) : near;
    all.push(make(random.below(2) === 0, e, random.bits(fraction)));
  }
  return all.map((bits) => `0x${bits.toString(16)}`);
}

for (const format of ["h", "s", "d"] as const) {
  Deno.test({
    name:
      `every engine computes what qemu-riscv64 does on a grid of 96 operands of format ${format}`,
    ignore: !ready,
    async fn() {
      const operands = operandsOf(SHAPES[format], createRandom(1985), 96);
      const others = (["h", "s", "d"] as const).filter((each) => each !== format);
      // Conversions to the other formats take these operands, too.
      const lines = [
        ...floatLines([format]),
        ...others.flatMap((other) =>
          ["rne", "rtz", "rdn", "rup", "rmm"].map((mode) => {
            const widens = SHAPES[other].fraction > SHAPES[format].fraction;
            return `fcvt.${other}.${format} fa2, fa0${widens ? "" : `, ${mode}`}\nfmv.x.d a2, fa2`;
          })
        ),
      ];
      const all = [...lines, ...underway(lines)];
      for (let at = 0; at < all.length; at += LINES) {
        await compareGrid({
          name: `grid_${format}.s`,
          lines: all.slice(at, at + LINES),
          operands,
          floats: true,
          extensions: ["zfh"],
        });
      }
    },
  });
}
