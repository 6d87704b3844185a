import { assert, assertEquals } from "@std/assert";
import { SoftFloat } from "../../lib/engine/reference/softfloat.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { THOROUGH } from "../thorough.ts";
import { ENGINES } from "./engines.ts";
import { CODE, createGuest, DATA, type Guest, resetGuest } from "./guest.ts";
import { createRandom, type Random } from "./random.ts";

/** Formats, and what their operands are made of. */
const SHAPES = {
  h: { fraction: 10, exponent: 5 },
  s: { fraction: 23, exponent: 8 },
  d: { fraction: 52, exponent: 11 },
} as const;
type FormatName = keyof typeof SHAPES;
const FORMATS = ["h", "s", "d"] as const;
const MODES = ["rne", "rtz", "rdn", "rup", "rmm"] as const;
/** Operands of one program: three floats, of which the first is an integer, too. */
const CASES = 200;
const RESULTS = DATA + CASES * 24;
const NX = 1;

/** Every line that rounds, without its mode. */
function roundingLines(format: FormatName): string[] {
  const others = FORMATS.filter((each) => SHAPES[each].fraction > SHAPES[format].fraction);
  return [
    ...["fadd", "fsub", "fmul", "fdiv"].map((name) => `${name}.${format} f13, f10, f11`),
    `fsqrt.${format} f13, f10`,
    ...["fmadd", "fmsub", "fnmadd", "fnmsub"].map((name) => `${name}.${format} f13, f10, f11, f12`),
    ...["w", "wu", "l", "lu"].flatMap((type) => [
      `fcvt.${type}.${format} x13, f10`,
      ...(format === "d" && type.startsWith("w") ? [] : [`fcvt.${format}.${type} f13, x11`]),
    ]),
    ...others.map((wider) => `fcvt.${format}.${wider} f13, f10`),
  ];
}

/** The format that a line reads. */
function formatOf(line: string): FormatName {
  const name = line.split(" ")[0]!;
  const conversion = /^fcvt\.[hsdwlu]+\.([hsd])$/.exec(name);
  return (conversion?.[1] ?? /\.([hsd])(\.|$)/.exec(name)![1]) as FormatName;
}

/** A number of few or many bits whose exponent is near that of others, or at the edge of something. */
function randomFloat(format: FormatName, random: Random): bigint {
  const { fraction, exponent } = SHAPES[format];
  const bias = (1 << (exponent - 1)) - 1;
  const far = random.pick([
    fraction,
    fraction + 1,
    fraction + 2,
    Math.min(900, bias - 3),
    bias - 1,
  ]);
  const distance = random.pick([0, 0, 0, 1, 2, 3, 8, far]) * random.pick([1, -1]);
  const field = random.below(40) === 0 ? random.below(1 << exponent) : bias + distance;
  const low = random.bits(fraction);
  const kept = random.pick([0, 1, 2, fraction >> 1, fraction - 1, fraction, fraction]);
  const bits = low & (((1n << BigInt(kept)) - 1n) << BigInt(fraction - kept));
  const ones = random.below(12) === 0 ? (1n << BigInt(fraction)) - 1n : bits;
  return box(
    format,
    random.bits(1) << BigInt(fraction + exponent) | BigInt(field) << BigInt(fraction) | ones,
  );
}

function box(format: FormatName, bits: bigint): bigint {
  const { fraction, exponent } = SHAPES[format];
  const width = BigInt(1 + fraction + exponent);
  return width === 64n ? bits : ((1n << 64n) - (1n << width)) | bits;
}

/** Two random numbers, and one that is random or cancels much of their product. */
function operandsFor(format: FormatName, random: Random): bigint[] {
  const { fraction, exponent } = SHAPES[format];
  const width = 1 + fraction + exponent;
  const a = randomFloat(format, random);
  const b = random.below(8) === 0 ? a ^ (1n << BigInt(width - 1)) : randomFloat(format, random);
  if (random.below(2) === 0) return [a, b, randomFloat(format, random)];
  const soft = new SoftFloat(format, random.below(4));
  const product = soft.mul(BigInt.asUintN(width, a), BigInt.asUintN(width, b));
  return [a, b, box(format, product ^ (random.bits(1) << BigInt(width - 1)))];
}

const INTEGERS = [0n, 1n, -1n, (1n << 24n) + 1n, (1n << 53n) + 1n, (1n << 54n) + 2n, -(1n << 63n)];

/** An instruction whose line may end in a rounding mode; without one it is frm's. */
function encode(line: string): number {
  const mode = MODES.findIndex((name) => line.endsWith(`, ${name}`));
  if (mode < 0) return RV64.assemble(line);
  return (RV64.assemble(line.slice(0, -5)) & ~(7 << 12)) | mode << 12;
}

/** Writes a loop that does `line` on every case, with `fcsr` before it, and results behind it. */
function writeProgram({ hart, memory }: Guest, line: string, fcsr: number): void {
  const body = [
    "fld f10, 0(x10)",
    "fld f11, 8(x10)",
    "fld f12, 16(x10)",
    "ld x11, 0(x10)",
    "csrrw x0, 3, x15",
    line,
    "csrrs x14, 3, x0",
    "add x14, x14, x13",
    "fsd f13, 0(x12)",
    "sd x14, 8(x12)",
    "addi x10, x10, 24",
    "addi x12, x12, 16",
  ];
  const code = [...body, `bne x10, x16, ${-4 * body.length}`, "ebreak"];
  code.forEach((text, k) => memory.view.setUint32(CODE + 4 * k, encode(text), true));
  hart.x[10] = BigInt(DATA);
  hart.x[12] = hart.x[16] = BigInt(RESULTS);
  hart.x[15] = BigInt(fcsr);
  hart.fetched.drop();
}

function writeOperands({ memory }: Guest, operands: readonly bigint[][]): void {
  operands.forEach((row, k) =>
    row.forEach((bits, n) => memory.view.setBigUint64(DATA + k * 24 + n * 8, bits, true))
  );
}

/** What the line makes of the operands: a line for each case. */
function resultsOf(guest: Guest, line: string, fcsr: number, operands: bigint[][]): string[] {
  resetGuest(guest);
  writeOperands(guest, operands);
  writeProgram(guest, line, fcsr);
  assertEquals(guest.engine.run(guest.hart, 1_000_000n).kind, "trap");
  return operands.map((row, k) => {
    const [float, rest] = [0, 8].map((at) =>
      guest.memory.view.getBigUint64(RESULTS + k * 16 + at, true)
    );
    return `${row.map((each) => each.toString(16))} = ${float!.toString(16)} ${rest!.toString(16)}`;
  });
}

for (const format of FORMATS) {
  Deno.test(`every engine rounds format ${format} as the reference in every mode, said or in frm`, () => {
    const guests = ENGINES.map(({ make }) => createGuest(make));
    const random = createRandom(FORMATS.indexOf(format) + 1);
    const wrong: string[] = [];
    for (const line of roundingLines(format)) {
      const integers = line.includes("x11");
      for (let round = 0; round < (THOROUGH ? 40 : 2); round++) {
        for (const [mode, name] of MODES.entries()) {
          const operands = Array.from({ length: CASES }, () => {
            const row = operandsFor(formatOf(line), random);
            if (!integers) return row;
            const some = random.bits(64) >> random.bits(6);
            const first = random.below(4) === 0 ? random.pick(INTEGERS) : some;
            return [BigInt.asUintN(64, first), ...row.slice(1)];
          });
          for (const said of [`${line}, ${name}`, line]) {
            // Where the inexact flag is down nearly all is left to the reference.
            const flags = random.below(4) === 0 ? 0 : NX;
            const fcsr = flags | (said === line ? mode : random.below(5)) << 5;
            const [expected, ...actual] = guests.map((guest) =>
              resultsOf(guest, said, fcsr, operands)
            );
            actual.forEach((lines, k) =>
              lines.forEach((text, at) => {
                if (text === expected![at]) return;
                wrong.push(
                  `${ENGINES[k + 1]!.name} ${said} fcsr ${fcsr}: ${text}, not ${expected![at]}`,
                );
              })
            );
          }
        }
      }
    }
    assertEquals(wrong.slice(0, 20), [], `${wrong.length} differ`);
  });
}

/** How often `run` computes in software. */
function countSoftware(run: () => void): number {
  const prototype = SoftFloat.prototype as unknown as Record<
    string,
    (...values: unknown[]) => unknown
  >;
  const names = Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor");
  const kept = names.map((name) => Object.getOwnPropertyDescriptor(prototype, name)!);
  let count = 0;
  names.forEach((name, k) => {
    const own = kept[k]!.value as ((...values: unknown[]) => unknown) | undefined;
    if (typeof own !== "function") return;
    Object.defineProperty(prototype, name, {
      ...kept[k],
      value(this: unknown, ...values: unknown[]) {
        count++;
        return own.apply(this, values);
      },
    });
  });
  try {
    run();
  } finally {
    names.forEach((name, k) => Object.defineProperty(prototype, name, kept[k]!));
  }
  return count;
}

/** Ordinary numbers, whose results are normal. */
function ordinary(format: FormatName, random: Random, integers: boolean): bigint[] {
  const { fraction, exponent } = SHAPES[format];
  const bias = (1n << BigInt(exponent - 1)) - 1n;
  const row = [0n, 1n, 2n].map((far) =>
    box(format, (bias + far) << BigInt(fraction) | random.bits(fraction))
  );
  return integers ? [BigInt(1000 + random.below(30_000)), ...row.slice(1)] : row;
}

for (const { name, make } of ENGINES.slice(1)) {
  Deno.test(`the ${name} leaves no loop of ordinary numbers to the reference in any rounding mode`, () => {
    const guest = createGuest(make);
    const random = createRandom(5);
    const left: string[] = [];
    for (const line of FORMATS.flatMap(roundingLines)) {
      const operands = Array.from(
        { length: CASES },
        () => ordinary(formatOf(line), random, line.includes("x11")),
      );
      for (const [mode, rm] of MODES.entries()) {
        for (const said of [`${line}, ${rm}`, line]) {
          const fcsr = NX | mode << 5;
          const count = countSoftware(() => void resultsOf(guest, said, fcsr, operands));
          if (count > 0) left.push(`${said} under ${rm}: ${count}`);
        }
      }
    }
    assertEquals(left.slice(0, 20), [], `${left.length} lines`);
    // The first inexact result is the reference's, so counting works.
    const one = [ordinary("d", random, false)];
    assert(countSoftware(() => void resultsOf(guest, "fdiv.d f13, f10, f11", 0, one)) > 0);
  });
}
