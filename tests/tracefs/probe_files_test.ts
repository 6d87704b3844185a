import { assertEquals, assertMatch } from "@std/assert";
import { withFiles } from "./guest.ts";

Deno.test("kprobe_events defines, appends, removes, and > takes all away", async () => {
  const { tracefs, echo, append, cat } = await withFiles("sample_p84");
  assertEquals(await echo("p:one bill a=%a0", "kprobe_events"), "");
  assertEquals(await append("r:two price_of ret=$retval", "kprobe_events"), "");
  assertEquals(
    cat("kprobe_events"),
    "p:kprobes/one bill a=%a0\nr10:kprobes/two price_of ret=$retval\n",
  );
  assertEquals(cat("dynamic_events"), cat("kprobe_events"));
  assertEquals(await append("-:one", "kprobe_events"), "");
  assertEquals(await append("-:nosuch", "kprobe_events"), "ENOENT");
  assertEquals(cat("kprobe_events"), "r10:kprobes/two price_of ret=$retval\n");
  assertEquals(await echo("p:three bill", "kprobe_events"), "");
  assertEquals(cat("kprobe_events"), "p:kprobes/three bill\n");
  await tracefs.write("kprobe_events", "");
  assertEquals(cat("kprobe_events"), "");
});

Deno.test("kprobe_events keeps the lines before one that is refused", async () => {
  const { tracefs, cat, echo } = await withFiles("sample_p84");
  assertEquals(
    await echo("p:one bill # a comment\n\n# another\np:two nosuch\np:three bill", "kprobe_events"),
    "EINVAL",
  );
  assertEquals(cat("kprobe_events"), "p:kprobes/one bill\n");
  assertEquals(tracefs.kind("kprobe_profile"), "file");
});

Deno.test("kprobe_profile and kprobes/list tell of probes that are hit", async () => {
  const { machine, ftrace, echo, cat } = await withFiles("sample_p84");
  await echo("p:one price_of", "kprobe_events");
  assertMatch(cat("/sys/kernel/debug/kprobes/list"), / {2}k {2}price_of\+0x0 {4}\[DISABLED\]\n/);
  ftrace.traceEvents.find("kprobes", "one")!.enabled = true;
  assertMatch(cat("/sys/kernel/debug/kprobes/list"), / {2}k {2}price_of\+0x0 {4}\n/);
  await machine.run();
  assertMatch(cat("kprobe_profile"), /^ {2}one +5 +0\n$/);
  assertMatch(cat("trace"), /: one: \(price_of\+0x0\/0x\w+\)\n/);
  assertEquals(await echo("", "kprobe_events"), "EBUSY");
});

Deno.test("uprobe_events is empty and refuses probes, saying what to use", async () => {
  const { tracefs, echo, cat } = await withFiles("sample_p84");
  assertEquals(cat("uprobe_events"), "");
  assertEquals(await echo("", "uprobe_events"), "");
  assertEquals(await echo("p:x /bin/true:0x10", "uprobe_events"), "EOPNOTSUPP");
  assertEquals(tracefs.list().includes("sys"), false);
});
