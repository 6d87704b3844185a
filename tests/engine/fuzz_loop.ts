/**
 * Random pieces in a loop, so that compiling them is paid once for many executions: a static Linux
 * program that begins each pass with other registers, rounding modes and constants.
 *
 * Nothing is written down as it goes, as that would be too much. Each register has a word for each
 * place of a snapshot, into which it is folded in each pass, so that a word which differs in the end
 * says which register was wrong where; so has each word of memory. A fold loses no single error.
 *
 * fcsr is left to the reference wherever it is read, which ends a region. So it is read behind each
 * snapshot only where flags are what is tested, and else once a pass.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { buildElf, type SymbolPart } from "../program/elf_builder.ts";
import { FREE, MIDDLE, type Piece, RESERVED, WRITES_TEXT } from "./fuzz_pieces.ts";
import { ARENA_SIZE, type FuzzProgram, type Loop, WINDOW_WORDS, WINDOWS } from "./fuzz_program.ts";

const [TEXT, CONSTANTS, ARENA, CONTROL, RESULTS] = [
  0x10000,
  0x400000,
  0x500000,
  0x600000,
  0x1000000,
];
/** Values of fcsr that passes begin with: as many as fall into no step with the constants. */
const FCSR_VALUES = 255;
const FCSR_TABLE = CONTROL + 64;

/** Words of one snapshot: x1 to x31, f0 to f31, fcsr; then what pieces are told, and what is saved. */
const FCSR = 63, SAVED_X1 = 65, SAVED_X5 = 66, WORDS = 67;
/** Bytes that the folded registers of one snapshot take. */
export const FOLDED_SIZE = WORDS * 8;

const numbers = Array.from({ length: 32 }, (_, n) => n);
/** Adds a register to a word at x27, after turning that; `with` is lost. */
const fold = (register: string, word: number, temporary = "x25"): string =>
  `ld ${temporary}, ${8 * word}(x27)
    rori ${temporary}, ${temporary}, 7
    add ${temporary}, ${temporary}, ${register}
    sd ${temporary}, ${8 * word}(x27)`;

/** A packed program. */
export interface PackedLoop {
  readonly bytes: Uint8Array;
  /** Where its instructions are, one behind the other. */
  readonly text: { readonly start: number; readonly end: number };
  /** Where each function of pieces begins. */
  readonly functions: readonly number[];
  /** Instructions in these that are not pieces, of one pass. */
  readonly around: number;
}

/** Text that grows at the end of the part before the pieces. */
class Body {
  readonly bytes: number[] = [];
  readonly #origin: number;

  /** Nothing yet, at an address. */
  constructor(origin: number) {
    this.#origin = origin;
  }

  /** Where it ends. */
  get here(): number {
    return this.#origin + this.bytes.length;
  }

  put({ bits, bytes }: Piece[number]): void {
    for (let k = 0; k < bytes; k++) this.bytes.push((bits >>> (8 * k)) & 255);
  }

  assemble(source: string, symbols: Readonly<Record<string, bigint>> = {}): void {
    const origin = BigInt(this.here);
    this.bytes.push(...assemble(source, { origin, symbols, compress: false }).bytes);
  }
}

/** Packs a program that has a loop. */
export function packLoop(program: FuzzProgram): PackedLoop {
  const { pieces, every, loop } = program;
  const places = Math.ceil(pieces.length / every);
  const head = assemble(headOf(loop!), { origin: BigInt(TEXT), compress: false });
  const at = (name: string) => head.symbols.get(name)!;
  const body = new Body(TEXT + head.bytes.length);
  const starts = putPieces(program, body, at("snapshot"));
  const first = starts[0]!, last = body.here;
  body.assemble(tailOf(places), { pass: at("pass") });
  const text = new Uint8Array([...head.bytes, ...body.bytes]);
  const end = TEXT + text.length;
  const bounds: [string, number, number][] = [
    ["snapshot", Number(at("snapshot")), Number(at("start"))],
    ["pass", Number(at("pass")), first],
    ...starts.map((start, k): [string, number, number] => [
      `pieces${k}`,
      start,
      starts[k + 1] ?? last,
    ]),
    ["next", last, end],
  ];
  const symbols = bounds.map(([name, from, to]) => ({
    name,
    address: BigInt(from),
    size: BigInt(to - from),
  }));
  const around = (last - first - sizeOf(pieces)) / 4;
  const bytes = elfOf(program, text, places, symbols);
  return { bytes, text: { start: TEXT, end }, functions: starts, around };
}

function sizeOf(pieces: readonly Piece[]): number {
  return pieces.flat().reduce((sum, { bytes }) => sum + bytes, 0);
}

function readsFlags({ kind }: FuzzProgram): boolean {
  return kind === "float" || kind === "mixed";
}

/** Puts the pieces as functions that go on in each other. @returns Where each begins. */
function putPieces(program: FuzzProgram, body: Body, snapshot: bigint): number[] {
  const { pieces, every, loop } = program;
  const flags = readsFlags(program);
  const starts = [body.here];
  let first = 0;
  pieces.forEach((piece, k) => {
    if (k - first === loop!.pieces) {
      // A jump, as compiled code that comes to one counts how often it does.
      body.assemble("j next", { next: BigInt(body.here + 4) });
      starts.push(body.here);
      first = k;
    }
    if (flags && k > 0 && k % every === 0) body.assemble(fold("x25", FCSR - WORDS, "x26"));
    for (const coded of piece) body.put(coded);
    if ((k + 1) % every !== 0 && k + 1 !== pieces.length) return;
    body.assemble(`sd x1, ${8 * SAVED_X1}(x27)\njal x1, snapshot`, { snapshot });
    body.assemble(`ld x1, ${8 * (SAVED_X1 - WORDS)}(x27)`);
    if (!flags) return;
    body.assemble("csrr x25, fcsr");
    if (k + 1 === pieces.length) return;
    // Behind that, a region begins where a function does.
    starts.push(body.here);
    first = k + 1;
  });
  return starts;
}

/** Folds registers, and begins each pass. */
function headOf({ textEvery }: Loop): string {
  const folded = numbers.filter((n) => n > 1 && !RESERVED.includes(n));
  return `
    j start
snapshot:
    sd x5, ${8 * SAVED_X5}(x27)
    ${folded.map((n) => fold(`x${n}`, n - 1)).join("\n")}
    ld x5, ${8 * SAVED_X1}(x27)
    ${fold("x5", 0)}
    ${numbers.map((n) => `fmv.x.d x5, f${n}\n${fold("x5", 31 + n)}`).join("\n")}
    ld x5, ${WRITES_TEXT}(x27)
    sd x5, ${FOLDED_SIZE + WRITES_TEXT}(x27)
    ld x5, ${8 * SAVED_X5}(x27)
    addi x27, x27, ${FOLDED_SIZE}
    ret
start:
    li x8, ${ARENA + MIDDLE}
pass:
    li x5, ${CONTROL}
    ld x6, 0(x5)
    li x7, ${WINDOWS}
    remu x7, x6, x7
    li x9, ${8 * WINDOW_WORDS}
    mul x7, x7, x9
    li x2, ${CONSTANTS + MIDDLE}
    add x2, x2, x7
    li x7, ${FCSR_VALUES}
    remu x7, x6, x7
    li x9, ${FCSR_TABLE}
    sh3add x9, x7, x9
    ld x7, 0(x9)
    csrw fcsr, x7
    li x27, ${RESULTS}
    li x7, ${textEvery}
    remu x7, x6, x7
    addi x7, x7, -1
    seqz x7, x7
    sd x7, ${WRITES_TEXT}(x27)
    ${numbers.map((n) => `fld f${n}, ${8 * n + 1024}(x2)`).join("\n")}
    ${FREE.slice(1).map((n) => `ld x${n}, ${8 * n}(x2)`).join("\n")}
    li x25, 0
    li x26, 0
`;
}

/** Folds memory and the last flags, and begins the next pass or writes all words down. */
function tailOf(places: number): string {
  const arena = RESULTS + places * FOLDED_SIZE + FOLDED_SIZE;
  return `
    csrr x25, fcsr
    ${fold("x25", FCSR - WORDS, "x26")}
    li x5, ${ARENA}
    li x6, ${ARENA + ARENA_SIZE}
    li x9, ${arena}
1:  ld x7, 0(x5)
    ld x10, 0(x9)
    rori x10, x10, 7
    add x10, x10, x7
    sd x10, 0(x9)
    addi x5, x5, 8
    addi x9, x9, 8
    bne x5, x6, 1b
    li x5, ${CONTROL}
    ld x6, 0(x5)
    addi x6, x6, 1
    sd x6, 0(x5)
    ld x7, 8(x5)
    beq x6, x7, 2f
    j pass
2:  li x11, ${RESULTS}
    li x12, ${arena + ARENA_SIZE - RESULTS}
3:  li x10, 1
    li x17, 64
    ecall
    add x11, x11, x10
    sub x12, x12, x10
    bnez x12, 3b
    li x10, 0
    li x17, 93
    ecall`;
}

function elfOf(
  { constants, seed, loop }: FuzzProgram,
  text: Uint8Array,
  places: number,
  symbols: readonly SymbolPart[],
): Uint8Array {
  const arena = new Uint8Array(8192);
  new BigUint64Array(arena.buffer).set(constants.subarray(0, 512));
  const control = new BigUint64Array(8 + FCSR_VALUES);
  // Passes so far, and all of them.
  control[1] = BigInt(loop!.passes);
  // Every rounding mode with every flag, five of frm times 51 of fflags and so on.
  for (let k = 0; k < FCSR_VALUES; k++) {
    control[8 + k] = BigInt((((k + seed) % 5) << 5) | ((k * 7 + seed) & 31 & -(k & 1)));
  }
  const size = (places + 1) * FOLDED_SIZE + ARENA_SIZE;
  return buildElf({
    entry: BigInt(TEXT),
    mappable: true,
    segments: [
      { address: BigInt(TEXT), data: text },
      { address: BigInt(CONSTANTS), data: new Uint8Array(constants.buffer), flags: 6 },
      { address: BigInt(ARENA), data: arena, flags: 6 },
      { address: BigInt(CONTROL), data: new Uint8Array(control.buffer), flags: 6 },
      { address: BigInt(RESULTS), data: new Uint8Array(), size: BigInt(size), flags: 6 },
    ],
    symbols,
  }).bytes;
}
