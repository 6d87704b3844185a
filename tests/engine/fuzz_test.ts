import { assert, assertEquals } from "@std/assert";
import { RV64 } from "../../lib/isa/decode.ts";
import { MACHINE_ENGINES } from "./engines.ts";
import { fuzz, onEngine, shrink } from "./fuzz.ts";
import { FUZZ_CLASSES, type FuzzProgram, randomProgram } from "./fuzz_program.ts";
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

Deno.test("shrink() leaves of a failing program the instructions that matter", async () => {
  const program = randomProgram("integer", 5, 400, createRandom(5));
  /** An oracle that takes the unsigned product for the signed one. */
  const wrongly = (each: FuzzProgram): FuzzProgram => ({
    ...each,
    pieces: each.pieces.map((piece) =>
      piece.map((coded) => {
        const { definition, word } = RV64.decode(coded.bits);
        if (definition.name !== "mulhu") return coded;
        const { match, mask } = RV64.named("mulh").pattern;
        return { ...coded, bits: ((word & ~mask) | match) >>> 0 };
      })
    ),
  });
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
