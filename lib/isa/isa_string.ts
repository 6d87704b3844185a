/**
 * ISA strings: which extensions a hart is to have, and a decoder that knows no others.
 *
 * The string is written as the ISA manual has it: `rv64`, single letters, then longer names behind
 * underscores. Which there are, and what each brings along, is `rv64.ts`.
 *
 * @module
 */
import { type Isa, RV64 } from "./decode.ts";
import type { Instruction } from "./encoding.ts";
import type { Extension } from "./extension.ts";

/** What decodes: an {@linkcode Isa}, or a part of one. */
export interface Decoder {
  /** Decodes the instruction whose first 32 bits are `bits`; `illegal` is what is none. */
  decode(bits: number): Instruction;
}

const namesOf = (extensions: readonly Extension[]) => extensions.map(({ name }) => name);

/** The extensions of a hart without an ISA string: all but those that have to be named. */
export const ALL_EXTENSIONS: ReadonlySet<string> = new Set(
  namesOf(
    RV64.extensions.filter(({ present }) => present === "always" || present === "by-default"),
  ),
);

/**
 * The extensions that an ISA string names, with those that they bring along.
 *
 * @param isa Whose extensions may be named.
 * @throws {SyntaxError} If it names one that is not there; the message says which are.
 */
export function parseIsaString(text: string, isa: Isa = RV64): ReadonlySet<string> {
  const parts = /^rv64([a-z\d]*)((?:_[a-z]\w*)*)$/.exec(text.toLowerCase());
  const known = namesOf(isa.extensions);
  const refuse = (why: string): never => {
    const letters = known.filter((name) => name.length === 1).join("");
    const long = known.filter((name) => name.length > 1).join(", ");
    throw new SyntaxError(`Cannot be ${text}: ${why}; known are rv64 with ${letters} and ${long}`);
  };
  if (!parts) return refuse("an ISA string is rv64, letters, and names behind underscores");
  // Versions say nothing here: i2p1 is i.
  const letters = parts[1]!.replaceAll(/\d+p\d+/g, "");
  const names = [...letters, ...parts[2]!.split("_").filter((name) => name !== "")];
  if (!/^[ig]/.test(letters)) refuse("it has neither i nor g");
  const found = new Set(namesOf(isa.extensions.filter(({ present }) => present === "always")));
  for (const name of names.map((each) => each.replace(/\d+p\d+$/, ""))) {
    const named = isa.extensions.find((each) => each.name === name);
    if (!named) return refuse(`there is no ${name}`);
    for (const each of [name, ...named.implies]) found.add(each);
    if (named.replaces !== undefined) found.delete(named.replaces);
  }
  for (const each of isa.extensions) if (standsForOthers(each, found)) found.add(each.name);
  for (const { name, present } of isa.extensions) if (present === "shorthand") found.delete(name);
  return found;
}

/** Whether an extension is but a name for several, all of which are in `found`. */
function standsForOthers(
  { implies, entries, compressed }: Extension,
  found: ReadonlySet<string>,
): boolean {
  return entries.length + compressed.length === 0 && implies.length > 0 &&
    implies.every((name) => found.has(name));
}

/** A decoder to which the instructions of other extensions are no instructions. */
export function restrictIsa(isa: Isa, extensions: ReadonlySet<string>): Decoder {
  const illegal = isa.named("illegal");
  const halves = new Map<number, Instruction>();
  const allows = (names: readonly string[] = []) =>
    names.length === 0 || names.some((name) => extensions.has(name));
  const check = (bits: number): Instruction => {
    const instruction = isa.decode(bits);
    const { definition, length } = instruction;
    const compressed = length === 2 ? isa.compressedOf(bits & 0xffff) : undefined;
    if (allows(compressed?.extensions) && allows(definition.extensions)) return instruction;
    return { definition: illegal, word: length === 2 ? bits & 0xffff : bits >>> 0, length, imm: 0 };
  };
  return {
    decode(bits) {
      if ((bits & 3) === 3) return check(bits);
      const half = bits & 0xffff;
      let known = halves.get(half);
      if (!known) halves.set(half, known = check(half));
      return known;
    },
  };
}

/** misa: 64 bits, and a letter for each single-letter extension. */
export function misaOf(extensions: ReadonlySet<string>): bigint {
  return lettersOf(extensions, /^[a-z]$/) | (2n << 62n);
}

/** AT_HWCAP as Linux has it: a bit for each single letter of those that a program may use. */
export function hwcapOf(extensions: ReadonlySet<string>): bigint {
  return lettersOf(extensions, /^[imafdcv]$/);
}

/** Bit 0 for a, bit 1 for b, of those names that match. */
function lettersOf(extensions: ReadonlySet<string>, which: RegExp): bigint {
  return [...extensions].filter((name) => which.test(name)).reduce(
    (bits, letter) => bits | (1n << BigInt(letter.charCodeAt(0) - 97)),
    0n,
  );
}

/** What `riscv_hwprobe` answers for `RISCV_HWPROBE_KEY_IMA_EXT_0`. */
export function hwprobeOf(extensions: ReadonlySet<string>, isa: Isa = RV64): bigint {
  return isa.extensions.filter(({ name }) => extensions.has(name))
    .flatMap(({ hwprobe }) => hwprobe)
    .reduce((bits, bit) => bits | (1n << BigInt(bit)), 0n);
}
