/**
 * Random pieces of code for differential fuzzing, by class: a piece ends whatever it contains, moves as
 * a whole and depends on nothing but registers, so a failing program shrinks by leaving pieces out.
 *
 * Five registers are the program's own: x2 points at constants, x8 at memory to play with, x25 counts
 * loops, x26 links and x27 points at where registers are written down.
 *
 * Programs of them are `fuzz_program.ts`.
 *
 * @module
 */
import { collect } from "../../lib/isa/collect.ts";
import { compressWord } from "../../lib/isa/compress.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { ZCB } from "../../lib/isa/zcb.ts";
import type { Definition } from "../../lib/isa/encoding.ts";
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

/** x2 and x8 point into the middle of their pages, so that an immediate reaches all of each. */
export const MIDDLE = 2048;
/** Registers that no piece writes. */
export const RESERVED = [2, 8, 25, 26, 27];
/** All others. */
export const FREE = Array.from({ length: 32 }, (_, n) => n).filter((n) => !RESERVED.includes(n));

/** What QEMU 7.2 does not know, or gets wrong (`ctzw` of a number whose lower half is 0). */
const WITHOUT_ORACLE = /^(czero\.|ctzw$|mop\.|cbo\.|wrs\.)/;

const NEVER = /^(ecall|ebreak|mret|sret|wfi|sfence|hostcall|illegal|csr|fence|uret|dret)/;
const isControl = ({ name }: Definition) => /^(b(eq|ne|lt|ge)u?|jalr?|auipc)$/.test(name);
const isFloat = ({ name }: Definition) => /^f(?!ence)/.test(name);
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

/** Offset from x27 of a word that is not 0 in passes of a loop where text is written. */
export const WRITES_TEXT = 64 * 8;

/** Formats of floats. */
export const FORMATS = ["d", "s", "h"] as const;
/** One of them. */
export type Format = typeof FORMATS[number];

/** What pieces of a loop heed: text is written in some passes only, and floats are mostly of a format. */
export interface LoopStyle {
  /** Format k has the registers and constants k, k + 3 and so on. */
  readonly format?: Format | undefined;
}
const OPERANDS = [7, 15, 20, 27];

/** An operation on floats of a format, in registers of that. */
function instanceOf(format: Format, random: Random): Coded {
  const definition = random.pick(OF_FORMAT.get(format)!);
  let bits = instance(definition, random);
  for (const place of OPERANDS) {
    if (((definition.pattern.mask >>> place) & 31) !== 0) continue;
    if (place === 7 && writesX.get(definition)) continue;
    bits = (bits & ~(31 << place)) | (registerOf(format, random) << place);
  }
  return word(bits);
}

function registerOf(format: Format, random: Random): number {
  return random.below(10) * FORMATS.length + FORMATS.indexOf(format);
}

/** Float operations on one format, and integers. */
const OF_FORMAT = new Map(FORMATS.map((format) => [
  format,
  DEFINITIONS.float.filter(({ name }) =>
    FORMATS.every((each) => name.split(".").includes(each) === (each === format))
  ),
]));

/** One piece of a class; `loop` says that it will be executed several times. */
export function randomPiece(kind: FuzzClass, random: Random, loop?: LoopStyle): Piece {
  const format = random.below(8) === 0 ? undefined : loop?.format;
  const oneOf = (definitions: readonly Definition[]): Coded =>
    word(instance(random.pick(definitions), random));
  const constantInto = (): Coded => {
    const at = format ? random.below(170) * 3 + FORMATS.indexOf(format) : random.below(512);
    const offset = at * 8 - MIDDLE;
    const name = kind === "float" || random.below(4) === 0 ? "fld f" : "ld x";
    const register = name === "ld x"
      ? random.pick(FREE)
      : format
      ? registerOf(format, random)
      : random.below(32);
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
      // What writes fcsr ends a region; each pass of a loop begins with another value of it.
      if (chance > 4 || loop && random.below(4) > 0) {
        return [format ? instanceOf(format, random) : oneOf(DEFINITIONS.float)];
      }
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
      if (loop) return switched(old, fresh);
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
      return randomPiece(random.pick(others), random, loop);
    }
  }
}

/** One of two words, which the code before it exchanges in each pass where text is written. */
function switched(old: Coded, fresh: Coded): Piece {
  const change = old.bits ^ fresh.bits;
  const upper = ((change + 0x800) >>> 12) << 12 >> 0;
  return [
    coded(`ld x25, ${WRITES_TEXT}(x27)`),
    coded("beq x25, x0, 32"),
    coded("auipc x6, 0"),
    coded("lw x5, 28(x6)"),
    coded(`lui x7, ${upper}`),
    coded(`addiw x7, x7, ${(change << 20) >> 20}`),
    coded("xor x5, x5, x7"),
    coded("sw x5, 28(x6)"),
    coded("fence.i"),
    old,
  ];
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
