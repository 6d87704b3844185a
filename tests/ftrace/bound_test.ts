import { assertEquals } from "@std/assert";
import { createFtrace, createMachine } from "../../mod.ts";

Deno.test("methods of what ftrace gives for probes may be taken out of their object", async () => {
  const program = await Deno.readFile("tests/fixtures/elf/hello_bare_p84");
  const { kprobes, kretprobes, kprobeEvents, fprobeEvents } = createFtrace(
    createMachine(program, { stdout: () => {} }),
  );
  const { list } = kprobes, { of } = kretprobes;
  assertEquals([...list()].length, 0);
  assertEquals(of({ at: "greet" }), undefined);
  const { read, write } = kprobeEvents;
  write("p:there greet");
  assertEquals(read().includes("there"), true);
  const writeFprobe = fprobeEvents.write;
  writeFprobe("f:entered tiny_main");
});
