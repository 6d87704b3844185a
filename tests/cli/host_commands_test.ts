/**
 * The host behind the shell's `!`.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fixture, hartrace, withFile } from "./command_line.ts";

function typed(lines: string) {
  return hartrace(["shell", "-q", fixture("sample_p84")], { stdin: lines });
}

Deno.test("!| hands output to a command of the host's, and gives its exit code", async () => {
  const { stdout, code } = await typed(`cat available_tracers !| tr a-z A-Z | cut -c1-14
echo $?
cat README !| head -1 > /dev/null; exit 3
echo $?
!echo out; echo err >&2; kill -TERM $$
`);
  assertEquals(stdout, "FUNCTION_GRAPH\n0\n3\nout\n");
  assertEquals(code, 143);
});

Deno.test("! leaves stdin, which holds the shell's commands, alone", async () => {
  const { stdout } = await typed("!cat\necho after\n");
  assertEquals(stdout, "after\n");
});

Deno.test("!> and !>> write files of the host's, the kernel's text to the byte", () =>
  withFile("out.txt", "old", async (path) => {
    const { stdout, stderr, code } = await typed(`echo function > current_tracer
run
cat trace !> ${path}
echo more !>> '${path}'
cat trace
echo x !> ${path}/nosuch
`);
    const written = await Deno.readTextFile(path);
    assertStringIncludes(written, "# tracer: function\n");
    assertMatch(written, /more\n$/);
    assertStringIncludes(stdout, written.slice(0, -"more\n".length));
    assertEquals(code, 1);
    assertMatch(stderr, /sh: .*\/out\.txt\/nosuch: /);
  }));
