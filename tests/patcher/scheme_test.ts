/**
 * The words of a call site under each scheme, beside what real kernels held and what binutils says.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  callPair,
  NOP4,
  pairReaches,
  type SchemeName,
  SCHEMES,
  wordBytes,
  type Write,
} from "../../lib/patcher/scheme.ts";
import { assembleWithBinutils, missingTool } from "../program/elf_oracle.ts";

/** `vfs_read` and `ftrace_caller` as two running kernels had them, and the words at the site. */
const MEASURED = {
  // Debian 6.12.107: both words are switched.
  args: [0xffffffff80314606n, 0xffffffff8000cf60n, 0xffcf9297, 0x95a282e7],
  // Debian 7.2.13: the second is.
  "call-ops": [0xffffffff804824f8n, 0xffffffff800229e8n, 0xffba0297, 0x4f0282e7],
} as const;

const ENTRY = 0x80000100n;
const TARGET = { caller: 0x7ff00040n, ops: 0x7ff05000n };
const NOP_OPS = { caller: 0x7ff00040n, ops: 0x7ff05100n };
const [AUIPC, JALR] = callPair("t0", ENTRY, TARGET.caller);

/** A store as text: offset from the entry, words, fence. */
function line({ address, bytes, fence }: Write): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    words.push(view.getUint32(at, true).toString(16).padStart(8, "0"));
  }
  return `${address - ENTRY}: ${words.join(" ")} ${fence}`;
}

const hex = (word: number) => word.toString(16).padStart(8, "0");

Deno.test("callPair() gives the words that a running kernel held when it is given its addresses", () => {
  for (const [entry, caller, auipc, jalr] of Object.values(MEASURED)) {
    assertEquals(callPair("t0", entry, caller).map(hex), [hex(auipc), hex(jalr)]);
  }
});

/** Offsets around which the pair's parts change, in either direction. */
const OFFSETS: readonly bigint[] = [
  0n,
  2n,
  2046n,
  2047n,
  2048n,
  -2048n,
  -2049n,
  4095n,
  4096n,
  -4096n,
  0x12345678n,
  -0x12345678n,
  0x7ffff7ffn,
  -0x80000000n,
  -0x80000800n,
];

/** Where a hart goes that executes the pair at `at`, from the base encodings of `asm/ftrace.h`. */
function landing([auipc, jalr]: readonly [number, number], at: bigint, base: number): bigint {
  const register = base === 0x297 ? 0x282e7 : 0x80e7;
  assertEquals([auipc & 0xfff, jalr & 0xfffff], [base, register], "opcode and registers");
  const high = BigInt(auipc >> 12) << 12n;
  return BigInt.asUintN(64, at + high + BigInt(jalr >> 20));
}

for (const [register, base] of [["t0", 0x297], ["ra", 0x97]] as const) {
  Deno.test(`callPair() reaches its target through ${register} when the low 12 bits carry a sign`, () => {
    const at = 0x80000000n;
    for (const offset of OFFSETS) {
      const target = BigInt.asUintN(64, at + offset);
      assertEquals(landing(callPair(register, at, target), at, base), target, `offset ${offset}`);
    }
  });
}

Deno.test({
  name: "callPair() agrees with riscv64-linux-gnu-as when it is given the parts (needs binutils)",
  ignore: await missingTool("riscv64-linux-gnu-as"),
  async fn() {
    const source = OFFSETS.flatMap((offset) => {
      // The rule of asm/ftrace.h: bit 11 of the offset adds one to the high part.
      const wrapped = BigInt.asIntN(32, offset);
      const high = (BigInt.asUintN(32, wrapped) >> 12n) + (wrapped >> 11n & 1n) & 0xfffffn;
      const low = BigInt.asIntN(12, wrapped);
      return [
        `auipc t0, ${high}`,
        `jalr t0, ${low}(t0)`,
        `auipc ra, ${high}`,
        `jalr ra, ${low}(ra)`,
      ];
    });
    const ours = OFFSETS.flatMap((offset) => [
      ...callPair("t0", 0x1000n, 0x1000n + offset),
      ...callPair("ra", 0x1000n, 0x1000n + offset),
    ]);
    const theirs = await assembleWithBinutils(["nop", ...source].join("\n"));
    assertEquals([NOP4, ...ours].map((word) => hex(word >>> 0)), theirs.map(hex));
  },
});

Deno.test("pairReaches() ends where the pair does when a target is 2 GiB away", () => {
  const at = 0x1_0000_0000n;
  const reach = (offset: bigint) => pairReaches(at, at + offset);
  assertEquals(
    [-0x80000801n, -0x80000800n, 0n, 0x7ffff7ffn, 0x7ffff800n].map(reach),
    [false, true, true, true, false],
  );
});

for (const name of ["regs", "args"] as const) {
  Deno.test(`SiteScheme ${name} changes both words when it switches a site`, () => {
    const scheme = SCHEMES[name];
    const fence = name === "regs" ? "remote" : "local";
    const nops = ["0: 00000013 none", `4: 00000013 ${fence}`];
    assertEquals(scheme.initial(ENTRY, NOP_OPS).map(line), nops);
    assertEquals(scheme.makeCall(ENTRY, TARGET).map(line), [
      `0: ${hex(AUIPC)} none`,
      `4: ${hex(JALR)} ${fence}`,
    ]);
    assertEquals(scheme.makeNop(ENTRY, NOP_OPS).map(line), nops);
    assertEquals(scheme.expected(ENTRY, TARGET), wordBytes(AUIPC, JALR));
    assertEquals([scheme.ip(ENTRY), scheme.entryOf(ENTRY)], [ENTRY, ENTRY]);
    assertEquals([scheme.mcountInsnSize, scheme.parks, scheme.literal], [8, true, false]);
  });
}

Deno.test("SiteScheme preset changes the second word alone when it switches a site", () => {
  const scheme = SCHEMES.preset;
  assertEquals(scheme.initial(ENTRY, NOP_OPS).map(line), [`0: ${hex(AUIPC)} 00000013 none`]);
  assertEquals(scheme.makeCall(ENTRY, TARGET).map(line), [`4: ${hex(JALR)} local`]);
  assertEquals(scheme.makeNop(ENTRY, NOP_OPS).map(line), ["4: 00000013 local"]);
  assertEquals(scheme.expected(ENTRY, TARGET), wordBytes(AUIPC));
});

Deno.test("SiteScheme call-ops names the ops before the word that uses it when it switches a site", () => {
  const scheme = SCHEMES["call-ops"];
  assertEquals(scheme.initial(ENTRY, NOP_OPS).map(line), [
    "-8: 7ff05100 00000000 remote",
    `0: ${hex(AUIPC)} 00000013 none`,
  ]);
  assertEquals(scheme.makeCall(ENTRY, TARGET).map(line), [
    "-8: 7ff05000 00000000 remote",
    `4: ${hex(JALR)} local`,
  ]);
  assertEquals(scheme.makeNop(ENTRY, NOP_OPS).map(line), [
    "-8: 7ff05100 00000000 remote",
    "4: 00000013 local",
  ]);
});

for (const name of ["preset", "call-ops"] as const) {
  Deno.test(`SiteScheme ${name} calls entry + 4 the site when it names it`, () => {
    const scheme = SCHEMES[name];
    assertEquals([scheme.ip(ENTRY), scheme.entryOf(ENTRY + 4n)], [ENTRY + 4n, ENTRY]);
    assertEquals([scheme.mcountInsnSize, scheme.parks, scheme.fencesAtEnd], [4, false, "remote"]);
  });
  Deno.test(`SiteScheme ${name} switches by one aligned store of a word when a site is on or off`, () => {
    const scheme = SCHEMES[name];
    for (const writes of [scheme.makeCall(ENTRY, TARGET), scheme.makeNop(ENTRY, NOP_OPS)]) {
      const text = writes.filter(({ address }) => address >= ENTRY);
      assertEquals(text.map(({ address, bytes }) => [address, bytes.length]), [[ENTRY + 4n, 4]]);
      for (const { address, bytes } of writes) assertEquals(Number(address) % bytes.length, 0);
    }
  });
}

Deno.test("SiteScheme.needs() says why a site cannot be switched when it cannot", () => {
  const site = { entry: 0x80000008n, before: 8, after: 8 };
  const caller = 0x7ff00000n;
  const names = ["regs", "args", "preset", "call-ops"] as const;
  const all = (change: Partial<typeof site>, to = caller) =>
    names.map((name: SchemeName) => SCHEMES[name].needs({ ...site, ...change }, to));
  assertEquals(all({}), [undefined, undefined, undefined, undefined]);
  assertEquals(all({ after: 6 }), new Array(4).fill("site-too-small"));
  assertEquals(all({ before: 6 }), [undefined, undefined, undefined, "no-literal"]);
  assertEquals(all({ entry: 0x8000000cn }), [undefined, undefined, undefined, "misaligned"]);
  assertEquals(all({ entry: 0x8000000an }), [
    undefined,
    undefined,
    "misaligned",
    "misaligned",
  ]);
  const far = site.entry - 2n ** 31n - 2n ** 11n;
  assertEquals(all({}, far), [undefined, undefined, undefined, undefined]);
  assertEquals(all({}, far - 1n), new Array(4).fill("out-of-reach"));
});
