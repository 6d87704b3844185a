import { assertEquals } from "@std/assert";
import { fuzz } from "./fuzz.ts";
import { FUZZ_CLASSES, type FuzzClass } from "./fuzz_pieces.ts";
import { installed } from "./guest_tools.ts";

const long = Deno.env.has("HARTRACE_LONG");
const user = installed("qemu-riscv64");
const system = installed("qemu-system-riscv64");

/** Random instructions of a class: fewer where much of it leaves compiled code, which is made anew. */
const COUNTS: { readonly [K in FuzzClass]?: number } = { selfmod: 40_000, float: 25_000 };
const USUAL = 150_000;

for (const kind of FUZZ_CLASSES) {
  for (const mode of ["once", "hot"] as const) {
    Deno.test({
      name:
        `the JIT does what qemu-riscv64 does in long random loops: ${kind}, ${mode} (needs qemu-user)`,
      ignore: !long || !user,
      async fn() {
        const count = mode === "once" ? 20_000 : 4_000;
        const campaign = { kind, mode, seed: 70_000, count, machine: "linux", qemu: true } as const;
        assertEquals((await fuzz(campaign)).disagreements, []);
      },
    });
  }
  Deno.test({
    name:
      `every engine does what qemu-riscv64 does on long random programs: ${kind} (needs qemu-user)`,
    ignore: !long || !user,
    async fn() {
      const count = COUNTS[kind] ?? USUAL;
      const campaign = { kind, seed: 40_000, count, machine: "linux", qemu: true } as const;
      assertEquals((await fuzz(campaign)).disagreements, []);
    },
  });
  Deno.test({
    name:
      `every engine does what qemu-system-riscv64 does on random firmware: ${kind} (needs qemu-system-misc)`,
    ignore: !long || !system,
    async fn() {
      const campaign = { kind, seed: 50_000, count: 3_000, machine: "bare", qemu: true } as const;
      assertEquals((await fuzz(campaign)).disagreements, []);
    },
  });
}
