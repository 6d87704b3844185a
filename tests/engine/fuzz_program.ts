/**
 * Random programs for differential fuzzing: pieces of code that end whatever they contain, packed
 * as a static Linux program or as firmware that writes down its registers as it goes.
 *
 * A piece moves as a whole and depends on nothing but registers, so a failing program shrinks by
 * leaving pieces out. Five registers are the program's own: x2 points at constants, x8 at memory to
 * play with, x25 counts loops, x26 links and x27 points behind what was written down.
 *
 * Who runs the programs and compares is `fuzz.ts`.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { collect } from "../../lib/isa/collect.ts";
import { compressWord } from "../../lib/isa/compress.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { ZCB } from "../../lib/isa/zcb.ts";
import { disassemble } from "../../lib/isa/disasm.ts";
import type { Definition } from "../../lib/isa/encoding.ts";
import { buildElf } from "../program/elf_builder.ts";
import type { Random } from "./random.ts";

/** One instruction. */
interface Coded {
  readonly bits: number;
  readonly bytes: 2 | 4;
}
/** Instructions that stay together. */
export type Piece = readonly Coded[];

/** What is fuzzed; `mixed` is all of it. */
export const FUZZ_CLASSES = [
  "integer",
  "bits",
  "float",
  "memory",
  "atomic",
  "compressed",
  "control",
  "selfmod",
  "mixed",
] as const;
/** One of them. */
export type FuzzClass = typeof FUZZ_CLASSES[number];

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
/** x2 and x8 point into the middle of their pages, so that an immediate reaches all of each. */
const ARENA_SIZE = 4096 + 8;
const MIDDLE = 2048;
/** x1 to x31, f0 to f31 and fcsr. */
const SNAPSHOT_WORDS = 64;
/** Bytes that one snapshot takes. */
export const SNAPSHOT_SIZE = SNAPSHOT_WORDS * 8;
const RESERVED = [2, 8, 25, 26, 27];
const FREE = Array.from({ length: 32 }, (_, n) => n).filter((n) => !RESERVED.includes(n));

/** What QEMU 7.2 does not know, or gets wrong (`ctzw` of a number whose lower half is 0). */
const WITHOUT_ORACLE = /^(czero\.|ctzw$|mop\.|cbo\.|wrs\.)/;

const NEVER = /^(ecall|ebreak|mret|sret|wfi|sfence|hostcall|illegal|csr|fence|uret|dret)/;
const isControl = ({ name }: Definition) => /^(b(eq|ne|lt|ge)u?|jalr?|auipc)$/.test(name);
const isFloat = ({ name }: Definition) => /^f[^e]/.test(name);
const isAtomic = ({ name }: Definition) => /^(amo|lr\.|sc\.)/.test(name);
const BITS =
  /^(sh[123]add|add\.uw|slli\.uw|andn|orn|xnor|c[lt]z|cpop|max|min|sext|zext|ro[lr]|orc|rev8|b(clr|ext|inv|set)|clmul|czero|brev8|pack|zip|unzip|xperm)/;

/** Definitions by the class that they are fuzzed in. */
const DEFINITIONS = sortDefinitions();

function sortDefinitions() {
  const usable = RV64.definitions.filter((definition) =>
    !NEVER.test(definition.name) && !WITHOUT_ORACLE.test(definition.name)
  );
  const plain = usable.filter((definition) => !isControl(definition) && !isAtomic(definition));
  const touches = (definition: Definition) =>
    collect(definition, definition.pattern.match).memory !== "none";
  const registers = plain.filter((definition) => !touches(definition));
  return {
    integer: registers.filter((each) => !isFloat(each) && !BITS.test(each.name)),
    bits: registers.filter((each) => BITS.test(each.name)),
    float: registers.filter(isFloat),
    memory: plain.filter(touches),
    atomic: usable.filter(isAtomic),
    branches: usable.filter(({ name }) => /^b(eq|ne|lt|ge)u?$/.test(name)),
  };
}

/** Whether a definition writes the integer register that its rd names. */
const writesX = new Map(
  RV64.definitions.map((
    each,
  ) => [each, collect(each, each.pattern.match | (31 << 7)).writesX.has(31)]),
);

const word = (bits: number): Coded => ({ bits: bits >>> 0, bytes: 4 });
const coded = (line: string): Coded => word(RV64.assemble(line));
/** An instruction that has a compressed form, as that. */
const compressed = (line: string): Coded => ({
  bits: compressWord(RV64, RV64.assemble(line))!,
  bytes: 2,
});

/** An instance of a definition that writes no register of the program's. */
function instance(definition: Definition, random: Random): number {
  const { pattern } = definition;
  for (;;) {
    let bits = (pattern.match | (Number(random.bits(32)) & ~pattern.mask)) >>> 0;
    if (pattern.runs.some(({ field }) => field === "rm") && [5, 6].includes((bits >>> 12) & 7)) {
      continue;
    }
    if (writesX.get(definition) && RESERVED.includes((bits >>> 7) & 31)) {
      bits = (bits & ~(31 << 7)) | (random.pick(FREE) << 7);
    }
    return bits >>> 0;
  }
}

/** Sets the base of a memory instruction: x8 for what it may write, x2 for half of what it reads. */
function withBase(bits: number, reads: boolean, random: Random): number {
  const base = reads && random.below(2) === 0 ? 2 : 8;
  return ((bits & ~(31 << 15)) | (base << 15)) >>> 0;
}

/** One piece of a class. */
export function randomPiece(kind: FuzzClass, random: Random): Piece {
  const oneOf = (definitions: readonly Definition[]): Coded =>
    word(instance(random.pick(definitions), random));
  const constantInto = (): Coded => {
    const offset = random.below(512) * 8 - MIDDLE;
    const name = kind === "float" || random.below(4) === 0 ? "fld f" : "ld x";
    const register = name === "ld x" ? random.pick(FREE) : random.below(32);
    return coded(`${name}${register}, ${offset}(x2)`);
  };
  const arithmetic = (): Coded => {
    if (random.below(6) === 0) return constantInto();
    return oneOf(random.below(4) === 0 ? DEFINITIONS.bits : DEFINITIONS.integer);
  };
  switch (kind) {
    case "integer":
    case "bits":
      return [random.below(5) === 0 ? constantInto() : oneOf(DEFINITIONS[kind])];
    case "float": {
      const chance = random.below(12);
      if (chance < 4) return [constantInto()];
      if (chance > 4) return [oneOf(DEFINITIONS.float)];
      // A valid rounding mode, or flags.
      return random.below(2) === 0
        ? [coded(`csrrwi x${random.pick(FREE)}, 2, ${random.below(5)}`)]
        : [coded(`csrrwi x${random.pick(FREE)}, 1, ${random.below(32)}`)];
    }
    case "memory": {
      const definition = random.pick(DEFINITIONS.memory);
      const { memory } = collect(definition, definition.pattern.match);
      return [
        arithmetic(),
        word(withBase(instance(definition, random), memory === "read", random)),
      ];
    }
    case "atomic": {
      const definition = random.pick(DEFINITIONS.atomic);
      const at = random.pick(FREE.filter((n) => n !== 0));
      const bits = (instance(definition, random) & ~(31 << 15)) | (at << 15);
      const address = [
        coded(`andi x${at}, x${random.below(32)}, ${random.below(128) * 8}`),
        coded(`add x${at}, x${at}, x8`),
      ];
      const between = random.below(3) === 0
        ? [coded(`xor x${at === 7 ? 6 : 7}, x${random.below(32)}, x${random.below(32)}`)]
        : [];
      if (!definition.name.startsWith("sc.")) return [...address, word(bits)];
      const reserve = coded(`${definition.name.replace("sc", "lr")} x${at === 5 ? 6 : 5}, x${at}`);
      return [...address, reserve, ...between, word(bits)];
    }
    case "compressed":
      return [randomCompressed(random)];
    case "control":
      return randomControl(random, arithmetic);
    case "selfmod": {
      // The second word is what the first one's place holds after the store and fence.i.
      const [old, fresh] = [oneOf(DEFINITIONS.integer), oneOf(DEFINITIONS.integer)];
      const [a, b] = [5, 6];
      const upper = ((fresh.bits + 0x800) >>> 12) << 12 >> 0;
      return [
        ...(random.below(2) === 0 ? [old] : []),
        coded(`lui x${a}, ${upper}`),
        coded(`addiw x${a}, x${a}, ${(fresh.bits << 20) >> 20}`),
        coded(`auipc x${b}, 0`),
        coded(`sw x${a}, 12(x${b})`),
        coded("fence.i"),
        old,
      ];
    }
    case "mixed": {
      const others = FUZZ_CLASSES.filter((each) => each !== "mixed");
      return randomPiece(random.pick(others), random);
    }
  }
}

const ZCB_NAMES = new Set(ZCB.compressed.map(({ name }) => name));
function isZcb(half: number): boolean {
  return ZCB_NAMES.has(RV64.compressedOf(half)?.name ?? "");
}

function randomCompressed(random: Random): Coded {
  for (;;) {
    const bits = Number(random.bits(16));
    if ((bits & 3) === 3) continue;
    const { definition, word: expanded } = RV64.decode(bits);
    if (NEVER.test(definition.name) || WITHOUT_ORACLE.test(definition.name)) continue;
    if (definition.name === "illegal" || isControl(definition) || isZcb(bits)) continue;
    const { memory, writesX: written } = collect(definition, expanded);
    if (RESERVED.some((register) => written.has(register))) continue;
    const base = (expanded >>> 15) & 31;
    if (memory !== "none" && base !== 8 && !(base === 2 && memory === "read")) continue;
    return { bits, bytes: 2 };
  }
}

/** A branch, jump or loop around other instructions. */
function randomControl(random: Random, arithmetic: () => Coded): Piece {
  const inside = Array.from({ length: 1 + random.below(5) }, arithmetic);
  const length = 4 + 4 * inside.length;
  switch (random.below(6)) {
    case 0:
      return [coded(`jal x${random.pick(FREE)}, ${length}`), ...inside];
    case 4:
      return [...randomCompressedControl(random, length - 2), ...inside];
    case 1: {
      const at = random.pick(FREE.filter((n) => n !== 0));
      return [
        coded(`auipc x${at}, 0`),
        coded(`jalr x${random.pick(FREE)}, ${length + 4}(x${at})`),
        ...inside,
      ];
    }
    case 2:
      return [
        coded(`addi x25, x0, ${1 + random.below(20)}`),
        ...inside,
        coded("addi x25, x25, -1"),
        coded(`bne x25, x0, ${-length}`),
      ];
    case 3:
      return [coded(`auipc x${random.pick(FREE)}, ${Number(random.bits(31)) & 0x7ffff000}`)];
    default: {
      const { name } = random.pick(DEFINITIONS.branches);
      return [coded(`${name} x${random.below(32)}, x${random.below(32)}, ${length}`), ...inside];
    }
  }
}

/** A compressed branch or jump whose target is so many bytes on from it. */
function randomCompressedControl(random: Random, distance: number): Piece {
  const at = random.pick(FREE.filter((n) => n !== 0));
  switch (random.below(3)) {
    case 0:
      return [compressed(`jal x0, ${distance}`)];
    case 1:
      return [
        compressed(`${random.pick(["beq", "bne"])} x${9 + random.below(7)}, x0, ${distance}`),
      ];
    default:
      return [
        coded(`auipc x${at}, 0`),
        coded(`addi x${at}, x${at}, ${8 + distance}`),
        compressed(`jalr x${random.below(2)}, 0(x${at})`),
      ];
  }
}

/** Doubles, boxed and unboxed singles, and integers of every kind, for registers to start from. */
function constantsFor(random: Random): BigUint64Array {
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
  return new BigUint64Array(512).map(() => BigInt.asUintN(64, random.pick(kinds)()));
}

/** A program to run. */
export interface FuzzProgram {
  readonly kind: FuzzClass;
  readonly seed: number;
  readonly pieces: readonly Piece[];
  /** Pieces between two snapshots. */
  readonly every: number;
  readonly constants: BigUint64Array;
}

/** Makes a program of about `count` instructions. */
export function randomProgram(
  kind: FuzzClass,
  seed: number,
  count: number,
  random: Random,
): FuzzProgram {
  const pieces: Piece[] = [];
  for (let total = 0; total < count;) {
    const piece = randomPiece(kind, random);
    pieces.push(piece);
    total += piece.length;
  }
  return { kind, seed, pieces, every: 24, constants: constantsFor(random) };
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
