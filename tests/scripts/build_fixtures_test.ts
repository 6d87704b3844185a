import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { compareFiles } from "../../scripts/build_fixtures.ts";

const bytes = (...values: number[]): Uint8Array => new Uint8Array([0, ...values]);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

Deno.test("compareFiles() names each file that is not as it was built", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = "tests/fixtures/elf";
    await Deno.mkdir(join(root, folder), { recursive: true });
    await Deno.writeFile(join(root, folder, "same"), bytes(1, 2, 3));
    await Deno.writeFile(join(root, folder, "changed"), bytes(1, 2, 3));
    await Deno.writeFile(join(root, folder, "shorter"), bytes(1, 2));
    await Deno.writeFile(join(root, folder, "left"), bytes(1));
    await Deno.writeFile(join(root, folder, "lines"), text("one\n  two\n"));
    await Deno.writeFile(join(root, folder, "cut"), text("one"));
    const built = new Map([
      [`${folder}/same`, bytes(1, 2, 3)],
      [`${folder}/changed`, bytes(1, 2, 4)],
      [`${folder}/shorter`, bytes(1, 2, 3)],
      [`${folder}/lines`, text("one\n  three\n")],
      [`${folder}/cut`, text("one\ntwo")],
      [`${folder}/missing`, bytes(1)],
    ]);
    const differences = [
      `${folder}/changed: differs`,
      `${folder}/shorter: differs`,
      `${folder}/lines: differs from line 2: two was committed, three is made`,
      `${folder}/cut: differs from line 2: the end was committed, two is made`,
      `${folder}/missing: not there`,
    ];
    assertEquals(await compareFiles(built, root, false), differences);
    assertEquals(await compareFiles(built, root, true), [
      ...differences,
      `${folder}/left: built by nothing`,
    ]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
