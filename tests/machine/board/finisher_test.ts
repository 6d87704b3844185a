/**
 * The test finisher: which words end the run, and how, as on QEMU's virt board.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { ENGINE_NAMES } from "../../../lib/engine/engines.ts";
import { createMachine } from "../../../lib/machine/machine.ts";
import { installed } from "../../engine/guest_tools.ts";
import { buildBare } from "../../program/elf_builder.ts";

/** Stores each word at its offset in the finisher. */
function stores(...words: readonly (readonly [offset: number, word: number])[]): Uint8Array {
  const lines = words.map(([offset, word]) => `li t1, ${word}\nsw t1, ${offset}(t0)\n`);
  return buildBare(`_start:\nli t0, 0x100000\n${lines.join("")}j .`, { withoutHost: true });
}

/** What each program does, and the exit code. */
const PROGRAMS: Readonly<Record<string, readonly [program: Uint8Array, code: number]>> = {
  "a test has passed": [stores([0, 0x5555]), 0],
  "a test has failed with a code": [stores([0, 0x3333 | 9 << 16]), 9],
  "a reset is asked for": [stores([0, 0x7777]), 0],
  "a word means nothing": [stores([0, 0x1234], [0, 0x3333 | 4 << 16]), 4],
  "a word lies elsewhere": [stores([4, 0x5555], [8, 0x7777], [0, 0x3333 | 5 << 16]), 5],
};
const RESET =
  "the firmware asked for a reset, which ends the run: nothing starts a board anew here";

for (const [when, [program, code]] of Object.entries(PROGRAMS)) {
  Deno.test(`the finisher ends the run with ${code} when ${when}`, async () => {
    for (const engine of ENGINE_NAMES) {
      const said: string[] = [];
      const warn = (line: string) => void said.push(line);
      using machine = createMachine(program, { machine: "bare", engine, warn });
      assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code });
      assertEquals(said, when.includes("reset") ? [RESET] : []);
    }
  });
  Deno.test({
    name: `QEMU exits with ${code}, too, when ${when} (needs qemu-system-riscv64)`,
    ignore: !installed("qemu-system-riscv64"),
    async fn() {
      const file = await Deno.makeTempFile();
      await Deno.writeFile(file, program);
      const options = `-M virt -no-reboot -display none -serial none -monitor none -bios none`;
      const qemu = new Deno.Command("qemu-system-riscv64", {
        args: [...options.split(" "), "-kernel", file],
        stdin: "null",
      });
      assertEquals((await qemu.output()).code, code);
      await Deno.remove(file);
    },
  });
}
