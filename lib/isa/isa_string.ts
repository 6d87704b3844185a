/**
 * ISA strings: which extensions a hart is to have, and a decoder that knows no others.
 *
 * The string is written as the ISA manual has it: `rv64`, single letters, then longer names behind
 * underscores. Zicsr, the counters and the privileged modes are always there.
 *
 * @module
 */
import type { Isa } from "./decode.ts";
import { RV64A } from "./rv64a.ts";
import { RV64FD } from "./rv64fd.ts";
import { RV64M } from "./rv64m.ts";
import { ZB } from "./zb.ts";
import { ZBC_ZBKB } from "./zbc.ts";
import { ZCB } from "./zcb.ts";
import { ZFH } from "./zfh.ts";
import { ZICBO } from "./zicbo.ts";
import { ZIMOP } from "./zimop.ts";
import type { Instruction } from "./encoding.ts";

/** What decodes: all of an {@linkcode Isa}, or a part. */
export interface Decoder {
  /** As {@linkcode Isa.decode}. */
  decode(bits: number): Instruction;
}

/** What each extension brings along. */
const IMPLIED: Readonly<Record<string, readonly string[]>> = {
  g: ["i", "m", "a", "f", "d", "zicsr", "zifencei"],
  b: ["zba", "zbb", "zbs"],
  d: ["f"],
  zfh: ["zfhmin", "f"],
  zfhmin: ["f"],
  zcb: ["c"],
};

const ALWAYS = ["i", "zicsr", "zicntr", "zihpm", "s", "u", "svadu"];
const SINGLE = ["i", "m", "a", "f", "d", "c", "b", "g", "s", "u"];
const LONG = [
  ...["zicsr", "zifencei", "zicntr", "zihpm", "zicond", "zicbom", "zicboz", "zimop", "zawrs"],
  ...["zfh", "zfhmin", "zba", "zbb", "zbs", "zbc", "zbkb", "zbkc", "zcb", "svade", "svadu"],
];

/** Extensions of which one has the instructions of a table, by name. */
const RULES:
  readonly (readonly [names: readonly { readonly name: string }[], (name: string) => string[]])[] =
    [
      [RV64M, () => ["m"]],
      [RV64A, () => ["a"]],
      [RV64FD, (name) => [/\.d\b|^f[ls]d$/.test(name) ? "d" : "f"]],
      [
        ZFH,
        (name) => [/^(f[ls]h|fmv\.|fcvt\.[sd]\.h|fcvt\.h\.[sd])/.test(name) ? "zfhmin" : "zfh"],
      ],
      [ZB, (name) => {
        if (/^(sh\dadd|add\.uw|slli\.uw)/.test(name)) return ["zba"];
        if (/^b(clr|ext|inv|set)/.test(name)) return ["zbs"];
        if (name.startsWith("czero")) return ["zicond"];
        return /^(andn|orn|xnor|ro[lr]|rev8)/.test(name) ? ["zbb", "zbkb"] : ["zbb"];
      }],
      [ZBC_ZBKB, (name) => {
        if (name === "clmulr") return ["zbc"];
        return name.startsWith("clmul") ? ["zbc", "zbkc"] : ["zbkb"];
      }],
      [ZICBO, (name) => [name === "cbo.zero" ? "zicboz" : "zicbom"]],
      [ZIMOP, (name) => [name.startsWith("wrs") ? "zawrs" : "zimop"]],
    ];

const NEEDED: ReadonlyMap<string, readonly string[]> = new Map([
  ["fence.i", ["zifencei"]],
  ...RULES.flatMap(([table, rule]) => table.map(({ name }) => [name, rule(name)] as const)),
]);
const COMPRESSED_NEEDED: ReadonlySet<string> = new Set(ZCB.map(({ name }) => name));

/** The extensions of a hart without an ISA string: all but those that take something away. */
export const ALL_EXTENSIONS: ReadonlySet<string> = new Set(
  [...SINGLE, ...LONG].filter((name) => name !== "svade" && name !== "g"),
);

/**
 * The extensions that an ISA string names, with those that they bring along.
 *
 * @throws {SyntaxError} If it names one that is not there; the message says which are.
 */
export function parseIsaString(text: string): ReadonlySet<string> {
  const parts = /^rv64([a-z\d]*)((?:_[a-z]\w*)*)$/.exec(text.toLowerCase());
  const refuse = (why: string): never => {
    throw new SyntaxError(
      `Cannot be ${text}: ${why}; known are rv64 with ${SINGLE.join("")} and ${LONG.join(", ")}`,
    );
  };
  if (!parts) return refuse("an ISA string is rv64, letters, and names behind underscores");
  // Versions say nothing here: i2p1 is i.
  const letters = parts[1]!.replaceAll(/\d+p\d+/g, "");
  const names = [...letters, ...parts[2]!.split("_").filter((name) => name !== "")];
  if (!/^[ig]/.test(letters)) refuse("it has neither i nor g");
  const found = new Set(ALWAYS);
  const add = (name: string) => {
    if (!SINGLE.includes(name) && !LONG.includes(name)) refuse(`there is no ${name}`);
    found.add(name);
    for (const implied of IMPLIED[name] ?? []) add(implied);
  };
  for (const name of names) add(name.replace(/\d+p\d+$/, ""));
  found.delete("g");
  if (names.includes("svade")) found.delete("svadu");
  if (IMPLIED["b"]!.every((name) => found.has(name))) found.add("b");
  return found;
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
    const short = length === 4 ||
      (extensions.has("c") &&
        (!COMPRESSED_NEEDED.has(compressed?.name ?? "") || extensions.has("zcb")));
    if (short && allows(NEEDED.get(definition.name))) return instruction;
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
  return SINGLE.filter((name) => name !== "g" && extensions.has(name)).reduce(
    (bits, letter) => bits | (1n << BigInt(letter.charCodeAt(0) - 97)),
    2n << 62n,
  );
}
