/**
 * The README's random campaigns start as they are printed, with a smaller count.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { missingTool } from "../program/elf_oracle.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}README.md`);
const COMMANDS = [...README.matchAll(/^deno (task fuzz.*?)\s+#/gm)].map(([, words]) => words!);
const LONG = Deno.env.has("HARTRACE_LONG");
const noQemu = LONG &&
  (await missingTool("qemu-riscv64") || await missingTool("qemu-system-riscv64"));

Deno.test({
  name: "README.md's campaigns find no disagreement (needs qemu-user, qemu-system-misc)",
  ignore: !LONG || noQemu,
  async fn(t) {
    assertEquals(COMMANDS.length, 3);
    for (const command of COMMANDS) {
      await t.step(`deno ${command}`, async () => {
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [...command.split(" "), "--count", "2000"],
          cwd: ROOT,
        }).output();
        const decoder = new TextDecoder();
        assertEquals(code, 0, decoder.decode(stdout) + decoder.decode(stderr));
      });
    }
  },
});
