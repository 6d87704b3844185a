/**
 * The tables of system calls.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FILE_CHANGE_CALLS } from "../../lib/machine/linux/calls/file_changes.ts";
import { FILE_CALLS } from "../../lib/machine/linux/calls/files.ts";
import { MEMORY_CALLS } from "../../lib/machine/linux/calls/memory.ts";
import { PRCTL_CALLS } from "../../lib/machine/linux/calls/prctl.ts";
import { PROCESS_CALLS } from "../../lib/machine/linux/calls/process.ts";
import { SIGNAL_CALLS } from "../../lib/machine/linux/calls/signals.ts";
import { TIME_CALLS } from "../../lib/machine/linux/calls/time.ts";
import { WAITING_CALLS } from "../../lib/machine/linux/calls/waiting.ts";
import { SYSTEM_CALLS } from "../../lib/machine/linux/names.ts";
import { systemCall } from "../../lib/machine/linux/system_calls.ts";

const TABLES = [
  FILE_CALLS,
  FILE_CHANGE_CALLS,
  MEMORY_CALLS,
  PROCESS_CALLS,
  PRCTL_CALLS,
  SIGNAL_CALLS,
  TIME_CALLS,
  WAITING_CALLS,
];
const NUMBERS = new Map(Object.entries(SYSTEM_CALLS).map(([number, name]) => [name, +number]));

Deno.test("systemCall() serves every entry of every table by its kernel's number", () => {
  const names = TABLES.flatMap((table) => Object.keys(table));
  assertEquals(new Set(names).size, names.length, "no call stands in two tables");
  for (const table of TABLES) {
    for (const [name, entry] of Object.entries(table)) {
      const number = NUMBERS.get(name);
      assert(number !== undefined, `${name} is no call of Linux's`);
      assertEquals(systemCall(number), entry, name);
    }
  }
});

Deno.test("an entry says what each argument is that its handler looks at", () => {
  for (const [name, { takes, serve }] of TABLES.flatMap((table) => Object.entries(table))) {
    assert(takes.length <= 6, name);
    // The handler's own list of arguments, as it is written.
    const [, list = ""] = /^(?:async )?\([^[]*\[([^\]]*)\]/.exec(serve.toString()) ?? [];
    const named = list.split(",").length - (list.trim() === "" ? 1 : 0);
    assert(takes.length >= named, `${name} takes ${takes.length}, its handler ${named}`);
  }
});
