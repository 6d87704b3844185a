/**
 * Damages programs at random and checks that reading them succeeds or refuses, and nothing else.
 *
 * @module
 */
import { parseElf } from "../../lib/program/elf.ts";
import { readSites } from "../../lib/program/sites.ts";
import { SymbolTable } from "../../lib/program/symbols.ts";
import { createRandom, type Random } from "../engine/random.ts";
import { programFile } from "../fixtures/expected.ts";
import { buildElf, words16, words64 } from "./elf_builder.ts";

/** What became of damaged programs. */
export interface FuzzResult {
  /** How many were read all the same. */
  readonly read: number;
  /** Refusals, by the field that they name. */
  readonly refused: ReadonlyMap<string, number>;
}

/** Values at which checks go wrong. */
const INTERESTING: readonly bigint[] = [
  0n,
  1n,
  7n,
  8n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_fff8n,
  0xffff_ffff_ffff_ffffn,
];

/** Small programs of all shapes: fixed, movable, both kinds of table, and one built by hand. */
export async function fuzzSeeds(): Promise<readonly Uint8Array[]> {
  const names = ["hello_bare_p84", "hello_bare_mcount_loc", "sample_pie_p4", "fib_p84"];
  const files = await Promise.all(names.map((name) => Deno.readFile(programFile(name))));
  const text = words16(...new Array(16).fill(1));
  const built = buildElf({
    segments: [{ address: 0x10000n, data: text }, { address: 0x11000n, data: words64(0x10000n) }],
    symbols: [{ name: "function", address: 0x10008n, size: 8n }],
    sections: [
      { name: "__patchable_function_entries", address: 0x11000n, size: 8n },
      { name: "__patchable_function_entries", address: 0x12000n, data: words64(0n, 0x10010n) },
    ],
    relatives: [{ address: 0x12000n, addend: 0x10008n }],
  });
  return [...files, built.bytes];
}

/** One damaged copy. */
function damage(seeds: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = random.pick(seeds).slice();
  for (let count = 1 + random.below(4); count > 0 && bytes.length > 0; count--) {
    // Headers are at both ends; the rest hardly matters.
    const place = random.below(3);
    const window = Math.min(bytes.length, place === 0 ? 64 : place === 1 ? 512 : 1200);
    const at = place === 2 ? bytes.length - 1 - random.below(window) : random.below(window);
    const kind = random.below(10);
    if (kind < 3) bytes[at] = bytes[at]! ^ 1 << random.below(8);
    else if (kind < 8) overwrite(bytes, at, random);
    else if (kind === 8) bytes = bytes.slice(0, random.below(bytes.length));
    else {
      const other = random.pick(seeds);
      const from = random.below(other.length);
      const piece = other.subarray(from, from + 1 + random.below(128));
      bytes.set(piece.subarray(0, bytes.length - at), at);
    }
  }
  return bytes;
}

/** Overwrites an aligned field of 2, 4 or 8 bytes, often by the file's length or nearly so. */
function overwrite(bytes: Uint8Array, near: number, random: Random): void {
  const size = random.pick([2, 4, 8]);
  const at = near - near % size;
  if (at + size > bytes.length) return;
  const value = random.below(4) === 0
    ? BigInt(bytes.length - random.below(16))
    : random.pick(INTERESTING);
  bytes.set(words64(value).subarray(0, size), at);
}

/**
 * Reads `count` damaged programs.
 *
 * @throws {Error} When one gives anything but a program or a SyntaxError that says what cannot be
 * read.
 */
export function fuzz(seeds: readonly Uint8Array[], seed: number, count: number): FuzzResult {
  const random = createRandom(seed);
  const refused = new Map<string, number>();
  let read = 0;
  for (let k = 0; k < count; k++) {
    const bytes = damage(seeds, random);
    try {
      const elf = parseElf(bytes);
      const symbols = new SymbolTable(elf.symbols, 0x10000n);
      readSites(elf, symbols, 0x10000n);
      symbols.at(elf.entry);
      read++;
    } catch (error) {
      const field = error instanceof SyntaxError &&
        /^Cannot read ELF: (\w+) at offset 0x[0-9a-f]+: \S/.exec(error.message)?.[1];
      if (!field) throw new Error(`Case ${k} of seed ${seed}`, { cause: error });
      refused.set(field, (refused.get(field) ?? 0) + 1);
    }
  }
  return { read, refused };
}
