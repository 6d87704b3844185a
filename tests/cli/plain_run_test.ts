import { assert, assertEquals } from "@std/assert";
import { readArguments } from "../../lib/cli/arguments.ts";
import { isPlain } from "../../lib/cli/plain_run.ts";
import { hartrace } from "./command_line.ts";

Deno.test("isPlain() holds where the guest is all that is asked for", () => {
  for (const more of [[], ["-q"], ["--limit-insns", "9"], ["--engine", "ref"], ["--harts", "2"]]) {
    assert(isPlain(readArguments(["-p", "nop", ...more, "prog", "-O", "x"])), more.join(" "));
  }
  const traced = [
    ["-O", "stacktrace"],
    ["-o", "file"],
    ["--stats"],
    ["--engine-stats"],
    ["--tracefs", "events/enable=1"],
    ["--plugin", "hist"],
    ["-l", "f*"],
    ["--poison", "t1"],
  ];
  for (const more of traced) {
    assert(!isPlain(readArguments(["-p", "nop", ...more, "prog"])), more.join(" "));
  }
  assert(!isPlain(readArguments(["prog"])));
});

Deno.test("main() ends a plain run as it ends a traced one when the guest faults", async () => {
  const fault = "tests/fixtures/elf/fault_p84";
  const plain = await hartrace(["-p", "nop", fault]);
  const traced = await hartrace(["-p", "nop", "--buffer-size", "64", fault]);
  assert(/ store_wild\+0x[0-9a-f]+\/0x/.test(plain.stderr), plain.stderr);
  assertEquals(plain, traced);
});
