import { assertEquals } from "@std/assert";
import { NV, SoftFloat } from "../../lib/engine/reference/softfloat.ts";
import type { Format, IntegerType } from "../../lib/isa/sem.ts";
import { build, installed, outputOf } from "./guest_tools.ts";
import { createRandom, type Random } from "./random.ts";

/** One instruction: how we compute it, and its text in the program that QEMU runs. */
interface Operation {
  readonly name: string;
  readonly operands: 1 | 2 | 3;
  /** Operands are integers. */
  readonly integers?: true;
  readonly rounds: boolean;
  /** Format of the operands where it is not the operation's own. */
  readonly from?: Format;
  /** The result is an integer. */
  readonly toInteger?: true;
  compute(soft: SoftFloat, a: bigint, b: bigint, c: bigint): bigint;
}

function operationsOf(format: Format): Operation[] {
  const other = format === "s" ? "d" : "s";
  const flag = (value: boolean): bigint => value ? 1n : 0n;
  const types: IntegerType[] = ["w", "wu", "l", "lu"];
  const name = (stem: string): string => `${stem}.${format}`;
  return [
    { name: name("fadd"), operands: 2, rounds: true, compute: (s, a, b) => s.add(a, b) },
    { name: name("fsub"), operands: 2, rounds: true, compute: (s, a, b) => s.sub(a, b) },
    { name: name("fmul"), operands: 2, rounds: true, compute: (s, a, b) => s.mul(a, b) },
    { name: name("fdiv"), operands: 2, rounds: true, compute: (s, a, b) => s.div(a, b) },
    { name: name("fsqrt"), operands: 1, rounds: true, compute: (s, a) => s.sqrt(a) },
    { name: name("fmadd"), operands: 3, rounds: true, compute: (s, a, b, c) => s.fma(a, b, c) },
    { name: name("fmin"), operands: 2, rounds: false, compute: (s, a, b) => s.extreme(a, b, -1) },
    { name: name("fmax"), operands: 2, rounds: false, compute: (s, a, b) => s.extreme(a, b, 1) },
    {
      name: name("feq"),
      operands: 2,
      rounds: false,
      toInteger: true,
      compute: (s, a, b) => flag(s.compare(a, b, false) === 0),
    },
    {
      name: name("flt"),
      operands: 2,
      rounds: false,
      toInteger: true,
      compute: (s, a, b) => flag(s.compare(a, b, true) === -1),
    },
    {
      name: name("fle"),
      operands: 2,
      rounds: false,
      toInteger: true,
      compute: (s, a, b) => flag((s.compare(a, b, true) ?? 1) <= 0),
    },
    {
      name: name("fclass"),
      operands: 1,
      rounds: false,
      toInteger: true,
      compute: (s, a) => s.classify(a),
    },
    {
      name: `fcvt.${format}.${other}`,
      operands: 1,
      rounds: format === "s",
      from: other,
      compute: (s, a) => s.convertFrom(other, a),
    },
    ...types.flatMap((type): Operation[] => [{
      name: `fcvt.${type}.${format}`,
      operands: 1,
      rounds: true,
      toInteger: true,
      compute: (s, a) => s.toInteger(type, a),
    }, {
      name: `fcvt.${format}.${type}`,
      operands: 1,
      integers: true,
      // Every 32-bit integer is a binary64 number, so the assembler takes no rounding mode there.
      rounds: !(format === "d" && type.startsWith("w")),
      compute: (s, a) => s.fromInteger(type, a),
    }]),
  ];
}

const OPERATIONS = (["s", "d"] as const).flatMap((format) =>
  operationsOf(format).map((operation) => ({ format, operation }))
);

/** A function that takes and gives register bits, for the C program. */
function functionOf(
  { name, operands, integers, toInteger, from }: Operation,
  format: Format,
): string {
  const kind = from ?? format;
  const move = (register: string, value: string) =>
    integers
      ? ""
      : kind === "d"
      ? `fmv.d.x ${register}, ${value}\\n`
      : `fmv.w.x ${register}, ${value}\\n`;
  const registers = integers ? ["%1"] : ["ft0", "ft1", "ft2"].slice(0, operands);
  const text = [
    move("ft0", "%1"),
    move("ft1", "%2"),
    move("ft2", "%3"),
    "fsflags x0\\n",
    `${name} ${[toInteger ? "%0" : "ft3", ...registers].join(", ")}\\n`,
    toInteger ? "" : `fmv.x.${format === "d" ? "d" : "w"} %0, ft3\\n`,
  ].join("");
  return `({ long r; __asm__ volatile("${text}" : "=&r"(r)
    : "r"(in[1]), "r"(in[2]), "r"(in[3]) : "ft0", "ft1", "ft2", "ft3"); r; })`;
}

const PROGRAM = `
typedef unsigned long word;
static long call(long number, long a, long b, long c) {
  register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}
static word in[4], out[2];
static word compute(unsigned operation) {
  switch (operation) {
    ${
  OPERATIONS.map(({ format, operation }, k) =>
    `case ${k}: return ${functionOf(operation, format)};`
  )
    .join("\n    ")
}
  }
  return 0;
}
static word buffer[8192][4], results[8192][2];
void _start(void) {
  for (;;) {
    long length = 0, got = 1;
    while (length < (long)sizeof buffer && got > 0)
      length += got = call(63, 0, (long)buffer + length, sizeof buffer - length);
    for (long k = 0; k < length / 32; k++) {
      for (int i = 0; i < 4; i++) in[i] = buffer[k][i];
      __asm__ volatile("fsrm %0" :: "r"(in[0] >> 8));
      results[k][0] = compute(in[0] & 255);
      __asm__ volatile("frflags %0" : "=r"(results[k][1]));
    }
    for (long done = 0; done < length / 2;) done += call(64, 1, (long)results + done, length / 2 - done);
    if (got <= 0) call(94, 0, 0, 0);
  }
}
`;

/** Numbers at the edges of a format: zeros, subnormals, powers of two, limits, infinities, NaNs. */
function specials(format: Format): bigint[] {
  const [fraction, exponent] = format === "s" ? [23n, 8n] : [52n, 11n];
  const top = (1n << exponent) - 1n;
  const bias = top >> 1n;
  const full = (1n << fraction) - 1n;
  const at = (field: bigint, low = 0n): bigint => (field << fraction) | low;
  const positive = [
    at(0n),
    at(0n, 1n),
    at(0n, full >> 1n),
    at(0n, full),
    at(1n),
    at(1n, 1n),
    at(1n, full),
    at(bias - 1n),
    at(bias),
    at(bias, 1n),
    at(bias + 1n),
    at(bias + fraction, 1n),
    at(bias + 31n),
    at(bias + 63n),
    at(bias >> 1n, full),
    at(top - 1n, full),
    at(top),
    at(top, 1n),
    at(top, full),
    at(top, (full >> 1n) + 1n),
  ];
  return positive.flatMap((bits) => [bits, bits | (1n << (fraction + exponent))]);
}

/** A number whose exponent is near that of `near`, so that sums and products meet. */
function randomNumber(format: Format, random: Random, near: bigint): bigint {
  const [fraction, exponent] = format === "s" ? [23n, 8n] : [52n, 11n];
  const mask = (1n << exponent) - 1n;
  const drift = random.bits(random.below(3) === 0 ? 11 : 3) - 4n;
  const field = ((near >> fraction & mask) + drift) & mask;
  let low = random.bits(Number(fraction));
  if (random.below(3) === 0) low &= ~0n << BigInt(random.below(Number(fraction)));
  return (random.bits(1) << (fraction + exponent)) | (field << fraction) | low;
}

const INTEGERS = [
  ...[0n, 1n, -1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 24n, (1n << 24n) + 1n],
  ...[(1n << 53n) + 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, 0xffffff7fffffffffn],
];

interface Case {
  readonly index: number;
  readonly mode: number;
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
}

function casesOf(index: number, random: Random): Case[] {
  const { format, operation } = OPERATIONS[index]!;
  const kind = operation.from ?? format;
  const special = operation.integers ? INTEGERS : specials(kind);
  const pick = (): bigint => special[random.below(special.length)]!;
  const operandLists: [bigint, bigint, bigint][] = [];
  if (operation.operands === 1) { for (const a of special) operandLists.push([a, 0n, 0n]); }
  if (operation.operands === 2) {
    for (const a of special) for (const b of special) operandLists.push([a, b, 0n]);
  }
  if (operation.operands === 3) {
    for (let k = 0; k < 1500; k++) operandLists.push([pick(), pick(), pick()]);
  }
  for (let k = 0; k < 250; k++) {
    if (operation.integers) {
      operandLists.push([random.bits(64) >> random.bits(6), 0n, 0n]);
      continue;
    }
    const a = randomNumber(kind, random, random.bits(64));
    const b = randomNumber(kind, random, a);
    // Near −(a × b), so that much of it cancels.
    const product = new SoftFloat(kind, 0).mul(a, b);
    operandLists.push([a, b, randomNumber(kind, random, product)]);
  }
  const modes = operation.rounds ? [0, 1, 2, 3, 4] : [0];
  return operandLists.flatMap(([a, b, c]) => modes.map((mode) => ({ index, mode, a, b, c })));
}

const ready = installed("riscv64-linux-gnu-gcc") && installed("qemu-riscv64");

Deno.test({
  name: "SoftFloat gives QEMU's results and flags in every mode (needs gcc-riscv64 and qemu-user)",
  ignore: !ready,
  async fn() {
    const random = createRandom(754);
    const cases = OPERATIONS.flatMap((_, index) => casesOf(index, random));
    const input = new BigUint64Array(cases.length * 4);
    cases.forEach(({ index, mode, a, b, c }, k) => {
      input.set([BigInt(index | (mode << 8)), a, b, c], k * 4);
    });
    const directory = await Deno.makeTempDir();
    let output: BigInt64Array;
    try {
      const program = await build(directory, "floats.c", PROGRAM);
      const bytes = await outputOf("qemu-riscv64", [program], new Uint8Array(input.buffer));
      output = new BigInt64Array(bytes.slice().buffer);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
    assertEquals(output.length, cases.length * 2);
    const wrong: string[] = [];
    cases.forEach(({ index, mode, a, b, c }, k) => {
      const { format, operation } = OPERATIONS[index]!;
      const soft = new SoftFloat(format, mode);
      const computed = operation.compute(soft, a, b, c);
      const bits = operation.toInteger || format === "d" ? 64 : 32;
      const [ours, theirs] = [computed, output[k * 2]!].map((v) => BigInt.asUintN(bits, v));
      const flags = Number(output[k * 2 + 1]);
      if (ours === theirs && soft.flags === flags) return;
      const shown = [a, b, c].slice(0, operation.operands).map((v) => v.toString(16)).join(", ");
      const [mine, qemu] = [ours!.toString(16), theirs!.toString(16)];
      wrong.push(
        `${operation.name} mode ${mode} (${shown}): ${mine} ${soft.flags}, QEMU ${qemu} ${flags}`,
      );
    });
    assertEquals(wrong.slice(0, 20), [], `${wrong.length} of ${cases.length} differ`);
  },
});

Deno.test("SoftFloat.fma() is invalid when infinity meets zero though the addend is a quiet NaN", () => {
  const soft = new SoftFloat("d", 0);
  assertEquals(soft.fma(0x7ff0n << 48n, 0n, 0x7ff8n << 48n), 0x7ff8n << 48n);
  assertEquals(soft.flags, NV);
});

Deno.test("SoftFloat.extreme() gives the number, and raises invalid, when the other is a signaling NaN", () => {
  const soft = new SoftFloat("s", 0);
  assertEquals(soft.extreme(0x7f800001n, 0x3f800000n, -1), 0x3f800000n);
  assertEquals(soft.flags, NV);
});

Deno.test("SoftFloat.extreme() orders the zeros by sign", () => {
  const soft = new SoftFloat("s", 0);
  assertEquals(soft.extreme(0n, 0x80000000n, -1), 0x80000000n);
  assertEquals(soft.extreme(0x80000000n, 0n, 1), 0n);
  assertEquals(soft.flags, 0);
});
