/**
 * What a guest has put into names reaches a terminal as text.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { printable, printableBytes } from "../../lib/cli/printable.ts";
import { fixture, hartrace } from "./command_line.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

Deno.test("printable() writes control characters out and leaves all else as it is", () => {
  assertEquals(text(printable("a\tb\nc — d")), "a\tb\nc — d");
  assertEquals(text(printable("\x1b]0;title\x07\r\x7f")), "\\x1b]0;title\\x07\\x0d\\x7f");
  assertEquals(text(printable("\x9b31m é ß")), "\\x9b31m é ß");
  const plain = new TextEncoder().encode("as it is");
  assert(printableBytes(plain) === plain);
  // A lead byte at the end is no control character.
  assertEquals(printableBytes(Uint8Array.of(0xc2)), Uint8Array.of(0xc2));
});

Deno.test("a name with an escape sequence is written out on a terminal, and is as it is in a pipe", async () => {
  const program = await Deno.readFile(fixture("sample_p84"));
  const name = new TextEncoder().encode("print_bill\0");
  const evil = new TextEncoder().encode("\x1b[31mbill\0");
  const at = program.findIndex((_, k) => name.every((byte, n) => program[k + n] === byte));
  program.set(evil, at);
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, program);
    const env = { NO_COLOR: "1" };
    const onTerminal = await hartrace(["-p", "function", file], { terminal: true, env });
    assertStringIncludes(onTerminal.stdout, ": \\x1b[31mbill <-");
    assertEquals(onTerminal.stdout.includes("\x1b"), false);
    // Colours are ours; what the guest has put in is written out in them, too.
    for (const call of [{ terminal: true }, { env: { FORCE_COLOR: "1" } }]) {
      const { stdout } = await hartrace(["-p", "function", file], call);
      assertEquals(stripAnsiCode(stdout), onTerminal.stdout);
      assertEquals(stdout.includes("\x1b[31m"), false);
    }
    const listed = await hartrace(["list", "functions", file], { terminal: true });
    assertStringIncludes(listed.stdout, "\\x1b[31mbill\n");
    const inPipe = await hartrace(["-p", "function", file]);
    assertStringIncludes(inPipe.stdout, ": \x1b[31mbill <-");
    const said = await hartrace(["-l", "\x1b[31m", file]);
    assertEquals(said.stderr.includes("\x1b"), false);
  } finally {
    await Deno.remove(file);
  }
});
