import { assertEquals } from "@std/assert";
import type { CliHost } from "../../lib/cli/host.ts";
import { createSharedStdout } from "../../lib/cli/shared_stdout.ts";

/** What comes out when `use` writes, guest and tracers. */
function written(
  isShared: boolean,
  use: (guest: (text: string) => void, line: (text: string) => void, end: () => void) => void,
): string {
  let text = "";
  const put = (data: Uint8Array) => {
    text += new TextDecoder().decode(data);
    return true;
  };
  const host = { stdout: put } as unknown as CliHost;
  const sink = { write: (data: Uint8Array) => void put(data), open: true, close: () => undefined };
  const stdout = createSharedStdout(host, sink, isShared);
  use(
    (each) => stdout.guest(new TextEncoder().encode(each)),
    (each) => stdout.line(each),
    () => stdout.guestEnded(),
  );
  return text;
}

Deno.test("SharedStdout keeps a tracer's line back while the guest is in the middle of one", () => {
  const text = written(true, (guest, line, end) => {
    line("first");
    guest("a");
    line("second");
    guest("b");
    line("third");
    guest("c\n");
    line("fourth");
    end();
  });
  assertEquals(text, "first\nabc\nsecond\nthird\nfourth\n");
});

Deno.test("SharedStdout begins a line of its own when the guest has ended inside one", () => {
  const text = written(true, (guest, line, end) => {
    guest("no end");
    end();
    line("result");
    end();
  });
  assertEquals(text, "no end\nresult\n");
});

Deno.test("SharedStdout lets lines out when very many wait", () => {
  const text = written(true, (guest, line) => {
    guest("> ");
    for (let n = 0; n < 1001; n++) line(`${n}`);
  });
  assertEquals(text.startsWith("> \n0\n1\n"), true);
  assertEquals(text.endsWith("1000\n"), true);
});

Deno.test("SharedStdout holds nothing back when the trace goes to a file", () => {
  assertEquals(
    written(false, (guest, line, end) => (guest("a"), line("x"), guest("b"), end())),
    "abx\n",
  );
});
