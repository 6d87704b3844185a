import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { assertEquals, assertMatch } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { fromFileUrl } from "@std/path";
import { fixture, hartrace } from "../cli/command_line.ts";

const SAMPLE = fixture("sample_p84");
const TEN_LINES = fromFileUrl(new URL("ten_lines.ts", import.meta.url));
const ERAS = ["regs", "args", "preset", "call-ops"] as const;

Deno.test("fprobe prints arguments at the entry and the result at the exit", async (t) => {
  const { stdout } = await hartrace(["-p", "fprobe", "--set", "fprobe.at=*_of*", SAMPLE]);
  await assertSnapshot(t, stdout.replaceAll(/0x[0-9a-f]{5,}/g, "0x…"));
});

Deno.test("kprobe says what each era's kernel answers, and the guest goes on", async (t) => {
  const answers: string[] = [];
  for (const era of ERAS) {
    for (const at of ["bill", "bill+4", "bill+8"]) {
      const options = ["--era", era, "-q", "-p", "kprobe", "--set", `kprobe.at=${at}`];
      const { code, stdout, stderr } = await hartrace([...options, SAMPLE]);
      assertEquals(code, 0);
      assertMatch(stdout, /total 2115/);
      answers.push(`${era} ${at}: ${stderr}${stdout.replace(/^total.*\n/gm, "")}`);
    }
  }
  await assertSnapshot(t, answers.join(""));
});

Deno.test("kprobe records hits and returns as probe events, on both engines", async (t) => {
  const set = ["at=common_coin print+8", "args=first=%a0:u64", "return=1", "ret=coin=$retval:s64"]
    .flatMap((text) => ["--set", `kprobe.${text}`]);
  const outputs: string[] = [];
  for (const engine of ENGINE_NAMES) {
    const options = ["-q", "--engine", engine, "-p", "kprobe", ...set];
    const { code, stdout, stderr } = await hartrace([...options, SAMPLE]);
    assertEquals(code, 0);
    outputs.push(stderr + stdout.replaceAll(/first=\d{5,}/g, "first=…"));
  }
  assertEquals(outputs[0], outputs[1]);
  await assertSnapshot(t, outputs[0]);
});

for (const era of ERAS) {
  for (const trampoline of ["guest", "fast"]) {
    Deno.test(`ten_lines.ts changes, overrides, redirects and unregisters (${era}, ${trampoline})`, async () => {
      const options = ["--era", era, "--trampoline", trampoline, "--plugin", TEN_LINES];
      const { code, stdout } = await hartrace([...options, SAMPLE]);
      assertEquals(code, 0);
      assertEquals(
        stdout,
        "total 90, payable in coins of 10\ntotal 100, payable in coins of 100\n",
      );
    });
  }
}

Deno.test("README.md shows the ten-line plugin as it is tested", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const plugin = await Deno.readTextFile(TEN_LINES);
  const shown = plugin.replace("../../mod.ts", "jsr:@hartrace/hartrace").trim();
  assertEquals(readme.includes(shown), true);
});
