/**
 * What a guest sees of the host without being given it.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { fixture, hartrace } from "./command_line.ts";

const POSIX = fixture("posix_p84");
const QUIET = ["-q", "-p", "nop"];

/** Gives `use` a folder with a file `lines.txt` of two lines. */
async function withLines(use: (folder: string, file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "lines.txt");
    await Deno.writeTextFile(file, "one\ntwo\n");
    await use(folder, file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a guest may read a file that its arguments name, and -v says so", () =>
  withLines(async (_folder, file) => {
    const { code, stdout, stderr } = await hartrace(["-v", "-p", "nop", POSIX, "files", file]);
    assertEquals(code, 0);
    assertMatch(stdout, / 1 one\n 2 two\n/);
    assertMatch(stderr, new RegExp(`the guest sees ${file}, read-only, because`));
    const quiet = await hartrace([...QUIET, POSIX, "files", file]);
    assertEquals(quiet.stderr, "");
  }));

Deno.test("a guest may read what is in a folder that its arguments name", () =>
  withLines(async (folder, file) => {
    const { stdout } = await hartrace([...QUIET, POSIX, "files", file, folder]);
    assertMatch(stdout, / 1 one\n/);
    const other = await hartrace([...QUIET, POSIX, "files", file, `--folder=${folder}`]);
    assertMatch(other.stdout, / 1 one\n/);
  }));

Deno.test("--isolated and --root leave a guest's arguments unseen", () =>
  withLines(async (folder, file) => {
    for (const how of [["--isolated"], ["--root", "/usr"]]) {
      const { code, stdout } = await hartrace([...QUIET, ...how, POSIX, "files", file]);
      assertEquals([code, stdout], [2, "cannot open: No such file or directory\n"], how.join(" "));
    }
    const rooted = await hartrace([...QUIET, "--root", folder, POSIX, "files", "/lines.txt"]);
    assertMatch(rooted.stdout, / 1 one\n/);
  }));

Deno.test("devices, pipes and the whole of the host are not shown for being named", async () => {
  for (const path of ["/dev/zero", "/", "/proc/self/fd/0"]) {
    const { code, stderr } = await hartrace(["-v", "-p", "nop", POSIX, "no-such-case", path]);
    assertEquals([code, stderr.includes("the guest sees")], [code, false], path);
  }
});

Deno.test("--env NAME hands the host's value on, and PATH and HOME are there unless isolated", async () => {
  Deno.env.set("COLOUR", "blue");
  try {
    const shown = async (...options: string[]) =>
      (await hartrace([...QUIET, ...options, POSIX, "arguments", "x"])).stdout;
    assertMatch(await shown("--env", "COLOUR"), /COLOUR: blue\n/);
    assertMatch(await shown("--env", "COLOUR=red"), /COLOUR: red\n/);
    assertEquals((await shown()).includes("blue"), false);
  } finally {
    Deno.env.delete("COLOUR");
  }
  const { code, stderr } = await hartrace([...QUIET, "--env", "=x", POSIX, "arguments"]);
  assertEquals(code, 125);
  assertMatch(stderr, /write --env NAME=VALUE, or --env NAME/);
});
