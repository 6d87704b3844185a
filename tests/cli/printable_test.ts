/**
 * What a guest has put into names reaches a terminal as text.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
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
    const onTerminal = await hartrace(["-p", "function", file], { terminal: true });
    assertStringIncludes(onTerminal.stdout, ": \\x1b[31mbill <-");
    assertEquals(onTerminal.stdout.includes("\x1b"), false);
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
