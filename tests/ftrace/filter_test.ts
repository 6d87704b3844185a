import { assertEquals, assertThrows } from "@std/assert";
import {
  createHash,
  fillHash,
  globMatch,
  matchRecords,
  parsePattern,
  updateSet,
} from "../../lib/ftrace/ops/filter.ts";
import type { DynFtrace } from "../../lib/patcher/dyn_ftrace.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";

const names = [
  "vfs_read",
  "vfs_write",
  "ksys_read",
  "read",
  "pin_lock",
  "mutex_trylock",
  "schedule",
  "preempt_schedule_irq",
  "Sys_open",
];
const records = names.map((name, index) => ({
  name,
  index,
  kind: "patched",
})) as unknown as DynFtrace[];
const found = (pattern: string) =>
  matchRecords(parsePattern(pattern), records).map(({ name }) => name);

Deno.test("parsePattern() matches exactly when there is no star", () => {
  assertEquals(found("read"), ["read"]);
  assertEquals(found("rea"), []);
});

Deno.test("parsePattern() takes a star in front, behind and on both sides", () => {
  assertEquals(found("*read"), ["vfs_read", "ksys_read", "read"]);
  assertEquals(found("vfs_*"), ["vfs_read", "vfs_write"]);
  assertEquals(found("*schedule*"), ["schedule", "preempt_schedule_irq"]);
  assertEquals(found("*"), names);
});

Deno.test("parsePattern() takes full globs as the kernel's selftest has them", () => {
  assertEquals(found("*pin*lock"), ["pin_lock"]);
  assertEquals(found("mutex*try*"), ["mutex_trylock"]);
  assertEquals(found("sch*ule"), ["schedule"]);
  assertEquals(found("sch?dule"), ["schedule"]);
  assertEquals(found("[Ss]ys_*"), ["Sys_open"]);
});

Deno.test("parsePattern() takes a number as a 1-based index", () => {
  assertEquals(found("3"), ["ksys_read"]);
  assertEquals(found("10"), []);
});

Deno.test("parsePattern() restricts to a module", () => {
  assertEquals(found("vfs_read:mod:ext4"), []);
  assertEquals(found("vfs_read:mod:!ext4"), ["vfs_read"]);
});

Deno.test("globMatch() knows classes, inverted classes and escapes", () => {
  assertEquals(globMatch("a[b-d]e", "ace"), true);
  assertEquals(globMatch("a[!b-d]e", "ace"), false);
  assertEquals(globMatch("a[]]e", "a]e"), true);
  assertEquals(globMatch("a\\*e", "a*e"), true);
  assertEquals(globMatch("a\\*e", "abe"), false);
  assertEquals(globMatch("*a*b", "xaab"), true);
  assertEquals(globMatch("[a", "[a"), true);
});

Deno.test("updateSet() appends, removes with ! and replaces with reset", () => {
  const set = new Set<number>();
  updateSet(set, ["vfs_* read"], records);
  assertEquals([...set], [0, 1, 3]);
  updateSet(set, ["!vfs_write"], records);
  assertEquals([...set], [0, 3]);
  updateSet(set, ["schedule"], records, { reset: true });
  assertEquals([...set], [6]);
});

Deno.test("updateSet() refuses a pattern that matches nothing with EINVAL and leaves the set", () => {
  const set = new Set([1]);
  const error = assertThrows(() => updateSet(set, ["vfs_raed"], records), FtraceError);
  assertEquals(error.code, "EINVAL");
  assertEquals(error.reason, "no-match");
  assertEquals(error.message.includes("did you mean vfs_read?"), true);
  assertEquals([...set], [1]);
});

const filled = (filter: readonly string[]) => {
  const hash = createHash();
  fillHash(hash, { filter }, records);
  return [...hash.filter].map((index) => names[index]);
};

Deno.test("fillHash() takes away what a pattern with ! matches, wherever it stands", () => {
  assertEquals(filled(["vfs_*", "!vfs_read"]), ["vfs_write"]);
  assertEquals(filled(["!vfs_read vfs_*"]), ["vfs_write"]);
});

Deno.test("fillHash() takes all others when every pattern begins with !", () => {
  assertEquals(filled(["!*read", "!vfs_*"]), names.slice(4));
});

Deno.test("fillHash() refuses a filter that leaves nothing, which would trace everything", () => {
  const error = assertThrows(() => filled(["vfs_*", "!vfs*"]), FtraceError);
  assertEquals(error.message.includes("nothing is left of what it matches"), true);
  assertThrows(() => filled(["!vfs_raed"]), FtraceError, "did you mean vfs_read?");
});

Deno.test("fillHash() leaves the hash empty when there is no pattern", () => {
  assertEquals(filled([]), []);
  assertEquals(filled([" "]), []);
});

Deno.test("globMatch() takes of a list what one glob matches and none with ! does", () => {
  const taken = (globs: readonly string[]) => names.filter((name) => globMatch(globs, name));
  assertEquals(taken(["vfs_*", "read"]), ["vfs_read", "vfs_write", "read"]);
  assertEquals(taken(["!vfs_write", "vfs_*"]), ["vfs_read"]);
  assertEquals(taken(["!*e*"]), ["pin_lock"]);
  assertEquals(taken([]), names);
});
