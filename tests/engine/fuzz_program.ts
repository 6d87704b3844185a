/**
 * Random programs for differential fuzzing: pieces of code in one row, packed as a static Linux program
 * or as firmware that writes down its registers as it goes.
 *
 * What pieces are is `fuzz_pieces.ts`; the same pieces in a loop, `fuzz_loop.ts`. Who runs the programs
 * and compares is `fuzz.ts`.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { disassemble } from "../../lib/isa/disasm.ts";
import { buildElf } from "../program/elf_builder.ts";
import {
  type Format,
  FORMATS,
  FREE,
  type FuzzClass,
  MIDDLE,
  type Piece,
  randomPiece,
} from "./fuzz_pieces.ts";
import type { Random } from "./random.ts";

/** Where parts of a program lie. */
interface Layout {
  readonly text: number;
  readonly constants: number;
  readonly arena: number;
  readonly results: number;
}
const LINUX: Layout = {
  text: 0x10000,
  constants: 0x400000,
  arena: 0x401000,
  results: 0x1000000,
};
const BARE: Layout = {
  text: 0x80000000,
  constants: 0x80400000,
  arena: 0x80401000,
  results: 0x81000000,
};
/** Bytes at x8 and before it. */
export const ARENA_SIZE = 4096 + 8;
/** x1 to x31, f0 to f31 and fcsr. */
const SNAPSHOT_WORDS = 64;
/** Bytes that one snapshot takes. */
export const SNAPSHOT_SIZE = SNAPSHOT_WORDS * 8;

/** Doubles, boxed and unboxed singles, and integers of every kind, for registers to start from. */
function constantsFor(random: Random, count: number): BigUint64Array {
  const kinds: (() => bigint)[] = [
    () => random.bits(64),
    () => random.bits(random.below(64) + 1),
    () => BigInt.asUintN(64, -random.bits(random.below(64) + 1)),
    () => 1n << BigInt(random.below(64)),
    () => BigInt.asUintN(64, random.pick([0n, -1n, 1n, 1n << 63n, (1n << 63n) - 1n, 1n << 31n])),
    // A double with a chosen exponent, and so subnormal, huge, infinite or no number.
    () =>
      random.bits(1) << 63n |
      random.pick([0n, 1n, 0x3ffn, 0x3fen, 0x400n, 0x43en, 0x7fen, 0x7ffn]) << 52n |
      random.pick([0n, 1n, random.bits(52), (1n << 52n) - 1n, 1n << 51n]),
    () =>
      0xffffffffn << 32n | random.bits(1) << 31n |
      random.pick([0n, 1n, 0x7fn, 0x7en, 0x80n, 0x9en, 0xfen, 0xffn]) << 23n |
      random.pick([0n, 1n, random.bits(23), (1n << 23n) - 1n, 1n << 22n]),
    () => 0xffffffffn << 32n | random.bits(32),
    () =>
      0xffffffffffffn << 16n | random.pick([random.bits(16), random.bits(10), 0x7c00n, 0x8000n]),
  ];
  return new BigUint64Array(count).map(() => BigInt.asUintN(64, random.pick(kinds)()));
}

/** Overwrites most constants by ordinary floats of the formats in turn, as special ones breed NaNs. */
function makeOrdinary(constants: BigUint64Array, random: Random): void {
  // NaN boxing, the place of the exponent, its bias, and how far exponents go from there.
  const shapes = [
    [0n, 52, 1023, 8],
    [0xffffffffn << 32n, 23, 127, 8],
    [0xffffffffffffn << 16n, 10, 15, 2],
  ] as const;
  constants.forEach((_, k) => {
    const [box, place, bias, spread] = shapes[k % shapes.length]!;
    if (random.below(8) === 0) return;
    const exponent = BigInt(bias - spread + random.below(2 * spread));
    const sign = random.bits(1) << BigInt(place === 52 ? 63 : place === 23 ? 31 : 15);
    constants[k] = box | sign | exponent << BigInt(place) | random.bits(place);
  });
}

/** A program to run. */
export interface FuzzProgram {
  readonly kind: FuzzClass;
  readonly seed: number;
  readonly pieces: readonly Piece[];
  /** Pieces between two snapshots. */
  readonly every: number;
  readonly constants: BigUint64Array;
  /** How its pieces are executed again and again; absent if they are executed once. */
  readonly loop?: Loop;
}

/** A loop around all pieces, for `fuzz_loop.ts`. */
export interface Loop {
  /** How often they are executed. */
  readonly passes: number;
  /** Text is written in one pass of so many. */
  readonly textEvery: number;
  /** Pieces of a function. */
  readonly pieces: number;
}

/** What x2 points at in the passes of a loop: so many places, so many words apart. */
export const WINDOWS = 256, WINDOW_WORDS = 9;
/** Words of constants that x2 reaches at once. */
const REACHED = 512;

/** Makes a program of about `count` instructions. */
export function randomProgram(
  kind: FuzzClass,
  seed: number,
  count: number,
  random: Random,
  shape: { readonly every: number; readonly loop?: Loop } = { every: 24 },
): FuzzProgram {
  const { loop } = shape;
  const pieces: Piece[] = [];
  let format: Format | undefined;
  for (let total = 0; total < count;) {
    if (loop && pieces.length % shape.every === 0) format = random.pick([...FORMATS, undefined]);
    const piece = randomPiece(kind, random, loop && { format });
    pieces.push(piece);
    total += piece.length;
  }
  const constants = constantsFor(random, REACHED + (loop ? WINDOWS * WINDOW_WORDS : 0));
  if (loop && (kind === "float" || kind === "mixed")) makeOrdinary(constants, random);
  return { kind, seed, pieces, constants, ...shape };
}

/** Instructions of a program. */
export function instructionsOf({ pieces }: FuzzProgram): number {
  return pieces.reduce((total, piece) => total + piece.length, 0);
}

/** The program as assembly text, a line each. */
export function listing({ pieces }: FuzzProgram): string[] {
  return pieces.flatMap((piece) =>
    piece.map(({ bits }) => disassemble(bits, 0n).replace("\t", " "))
  );
}

/** Packs a program as an ELF file that writes its snapshots to standard output and exits with 0. */
export function packProgram(program: FuzzProgram, machine: "linux" | "bare"): Uint8Array {
  const { pieces, every, constants } = program;
  const layout = machine === "linux" ? LINUX : BARE;
  const numbers = Array.from({ length: 32 }, (_, n) => n);
  const head = assemble(
    `
    j start
snapshot:
    ${numbers.slice(1).map((n) => `sd x${n}, ${8 * (n - 1)}(x27)`).join("\n")}
    ${numbers.map((n) => `fsd f${n}, ${8 * (31 + n)}(x27)`).join("\n")}
    csrr x5, fcsr
    sd x5, ${8 * 63}(x27)
    ld x5, ${8 * 4}(x27)
    addi x27, x27, ${SNAPSHOT_SIZE}
    jr x26
start:
    ${machine === "bare" ? "li x5, 0x2000\ncsrs sstatus, x5" : ""}
    li x2, ${layout.constants + MIDDLE}
    li x8, ${layout.arena + MIDDLE}
    li x27, ${layout.results}
    ${numbers.map((n) => `fld f${n}, ${8 * n + 1024}(x2)`).join("\n")}
    ${FREE.slice(1).map((n) => `ld x${n}, ${8 * n}(x2)`).join("\n")}
    li x25, 0
    li x26, 0
`,
    { origin: BigInt(layout.text), compress: false },
  );
  const call = head.symbols.get("snapshot")!;
  const body: number[] = [];
  const put = (bits: number, bytes: number) => {
    for (let k = 0; k < bytes; k++) body.push((bits >>> (8 * k)) & 255);
  };
  const snapshot = () => {
    const at = BigInt(layout.text + head.bytes.length + body.length);
    put(RV64.assemble(`jal x26, ${call - at}`), 4);
  };
  pieces.forEach((piece, k) => {
    for (const { bits, bytes } of piece) put(bits, bytes);
    if ((k + 1) % every === 0) snapshot();
  });
  snapshot();
  const snapshots = Math.floor(pieces.length / every) + 1;
  const length = snapshots * SNAPSHOT_SIZE + ARENA_SIZE;
  const origin = BigInt(layout.text + head.bytes.length + body.length);
  // The arena is written down behind the last snapshot, then everything goes out.
  const tail = assemble(
    `
    li x5, ${layout.arena}
    li x6, ${layout.arena + ARENA_SIZE}
1:  ld x7, 0(x5)
    sd x7, 0(x27)
    addi x5, x5, 8
    addi x27, x27, 8
    bne x5, x6, 1b
    li x11, ${layout.results}
    li x12, ${length}
    ${machine === "linux" ? LINUX_END : BARE_END}
`,
    { origin, symbols: { tohost: BigInt(layout.constants + 4096 - 64) }, compress: false },
  );
  const text = new Uint8Array([...head.bytes, ...body, ...tail.bytes]);
  const data = new Uint8Array(0x3000);
  data.set(new Uint8Array(constants.buffer).subarray(0, 4096 - 64));
  new BigUint64Array(data.buffer, 4096).set(constants);
  return buildElf({
    entry: BigInt(layout.text),
    mappable: true,
    segments: [
      { address: BigInt(layout.text), data: text },
      { address: BigInt(layout.constants), data, flags: 6 },
      { address: BigInt(layout.results), data: new Uint8Array(), size: BigInt(length), flags: 6 },
    ],
    symbols: [
      { name: "tohost", address: BigInt(layout.constants + 4096 - 64), size: 8n, type: 1 },
      { name: "fromhost", address: BigInt(layout.constants + 4096 - 56), size: 8n, type: 1 },
    ],
  }).bytes;
}

const LINUX_END = `
2:  li x10, 1
    li x17, 64
    ecall
    add x11, x11, x10
    sub x12, x12, x10
    bnez x12, 2b
    li x10, 0
    li x17, 93
    ecall`;

/** Through HTIF, a character at a time. */
const BARE_END = `
    li x6, 0x0101000000000000
    li x7, tohost
2:  lbu x5, 0(x11)
    or x5, x5, x6
    sd x5, 0(x7)
3:  ld x5, 0(x7)
    bnez x5, 3b
    sd zero, 8(x7)
    addi x11, x11, 1
    addi x12, x12, -1
    bnez x12, 2b
    li x5, 1
    sd x5, 0(x7)
4:  j 4b`;
