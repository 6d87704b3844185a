import { assert, assertEquals } from "@std/assert";
import { RV64 } from "../../lib/isa/decode.ts";
import { MACHINE_ENGINES } from "./engines.ts";
import { fuzz, shrink } from "./fuzz.ts";
import { FUZZ_CLASSES, type FuzzClass } from "./fuzz_pieces.ts";
import { type FuzzProgram, randomProgram } from "./fuzz_program.ts";
import { instructionsAround, onEngine } from "./fuzz_run.ts";
import { installed } from "./guest_tools.ts";
import { createRandom } from "./random.ts";
import { THOROUGH } from "../thorough.ts";

const user = installed("qemu-riscv64");
/** Instructions of each class. */
const COUNT = THOROUGH ? 20_000 : 2_000;
const system = installed("qemu-system-riscv64");

for (const kind of FUZZ_CLASSES) {
  Deno.test({
    name: `every engine does what qemu-riscv64 does on random programs: ${kind} (needs qemu-user)`,
    ignore: !user,
    async fn() {
      const { disagreements, instructions } = await fuzz({
        kind,
        seed: 20_000,
        count: COUNT,
        machine: "linux",
        qemu: true,
      });
      assertEquals(disagreements, []);
      assert(instructions >= COUNT);
    },
  });
}

Deno.test({
  name:
    "every engine does what qemu-system-riscv64 does on random firmware (needs qemu-system-misc)",
  ignore: !system,
  async fn() {
    const { disagreements } = await fuzz({
      kind: "mixed",
      seed: 30_000,
      count: 1_000,
      machine: "bare",
      qemu: true,
    });
    assertEquals(disagreements, []);
  },
});

for (const kind of FUZZ_CLASSES) {
  Deno.test(`every engine does the same behind page tables as without on random firmware: ${kind}`, async () => {
    for (const seed of [1, 2]) {
      const program = randomProgram(kind, seed, 500, createRandom(seed));
      const expected = await onEngine("interp", program, "bare");
      assertEquals(expected.end, "exit 0");
      for (const engine of MACHINE_ENGINES) {
        assertEquals(await onEngine(engine, program, "paged"), expected, `${engine} ${seed}`);
      }
    }
  });
}

/** What compiled code executes of a loop at least: less where much is left to the reference. */
const SHARES = {
  once: { selfmod: 0.6, float: 0.6 },
  hot: { bits: 0.3, selfmod: 0.25, mixed: 0.3, float: 0.02 },
} as const;
const SHARE = { once: 0.9, hot: 0.5 } as const;
/** Getting hot takes long. */
const KINDS: { readonly [M in "once" | "hot"]: readonly FuzzClass[] } = {
  once: FUZZ_CLASSES,
  hot: THOROUGH ? FUZZ_CLASSES : ["memory", "mixed"],
};

for (const mode of ["once", "hot"] as const) {
  for (const kind of KINDS[mode]) {
    Deno.test({
      name:
        `the JIT does what qemu-riscv64 does in random loops: ${kind}, ${mode} (needs qemu-user)`,
      ignore: !user,
      async fn() {
        const count = THOROUGH ? 2_000 : 300;
        const result = await fuzz({
          kind,
          mode,
          seed: 60_000,
          count,
          machine: "linux",
          qemu: true,
        });
        assertEquals(result.disagreements, []);
        assert(result.executed >= count, `${result.executed}`);
        const shares: { readonly [K in FuzzClass]?: number } = SHARES[mode];
        assert(result.compiled! >= (shares[kind] ?? SHARE[mode]), `${result.compiled} compiled`);
      },
    });
  }
}

/** A loop of few pieces. */
const loopOf = (kind: FuzzClass, count: number) =>
  randomProgram(kind, 5, count, createRandom(5), {
    every: 24,
    loop: { passes: 10, textEvery: 3, pieces: 12 },
  });

Deno.test("instructionsAround() leaves of a loop what its pieces executed", async () => {
  const program = loopOf("integer", 100);
  const { instret } = await onEngine("ref", program, "linux");
  assertEquals(Number(instret) - await instructionsAround(program), 1000);
});

Deno.test("a loop writes text in some passes, and executes what it wrote", async () => {
  const program = loopOf("selfmod", 20);
  const never = { ...program, loop: { ...program.loop!, textEvery: 100 } };
  const written = await Promise.all(
    [program, never].map((each) => onEngine("interp", each, "linux")),
  );
  assert(written[0]!.instret! > written[1]!.instret!);
  assert(written[0]!.bytes.some((byte, k) => byte !== written[1]!.bytes[k]));
});

for (
  const [where, program] of [
    ["program", randomProgram("integer", 5, 400, createRandom(5))],
    ["loop", loopOf("integer", 400)],
  ] as const
) {
  Deno.test(`shrink() leaves of a failing ${where} the instructions that matter`, async () => {
    const { lines, differences } = await shrink(
      "interp",
      program,
      "linux",
      (each) => onEngine("ref", wrongly(each), "linux"),
    );
    assert(lines.length <= 4, lines.join("\n"));
    assert(lines.at(-1)!.startsWith("mulhu "), lines.join("\n"));
    assert(differences.length > 0);
  });
}

/** A program that takes the unsigned product for the signed one. */
const wrongly = (program: FuzzProgram): FuzzProgram => ({
  ...program,
  pieces: program.pieces.map((piece) =>
    piece.map((coded) => {
      const { definition, word } = RV64.decode(coded.bits);
      if (definition.name !== "mulhu") return coded;
      const { match, mask } = RV64.named("mulh").pattern;
      return { ...coded, bits: ((word & ~mask) | match) >>> 0 };
    })
  ),
});
