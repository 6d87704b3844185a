import { assertEquals, assertMatch } from "@std/assert";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { makeFirmware, tracedFirmware } from "../ftrace/made_guest.ts";
import { filesOf, KERNELS, truth, withFiles } from "./guest.ts";

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

Deno.test("a probe file that cannot be emptied is refused by open(), a bad line by write()", async () => {
  const { tracefs } = await withFiles("sample_p84", { era: "call-ops" });
  await tracefs.write("kprobe_events", "p:busy bill+8");
  await tracefs.write("events/kprobes/busy/enable", "1");
  const refusal = (file: string, text: string, append: boolean) =>
    tracefs.write(file, text, { append }).then(() => "", ({ code, call }) => `${code} ${call}`);
  for (const file of ["kprobe_events", "dynamic_events"]) {
    assertEquals(await refusal(file, "p bill+10", false), "EBUSY open");
    assertEquals(await refusal(file, "p nosuch", true), "EINVAL write");
  }
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

for (const [release, era] of KERNELS) {
  Deno.test(`dynamic_events takes and refuses f: lines as Linux ${release} did`, async () => {
    const body = "c.addi sp, -16\nc.addi sp, 16\nnop\nret";
    const program = makeFirmware([{ name: "vfs_read", body }], "call f0");
    const { ftrace } = tracedFirmware(program, { era, strict: true });
    const { append, cat } = filesOf(createTracefs(ftrace));
    const capture = await truth(release, "kprobe_behaviour");
    const part = capture.slice(capture.indexOf("--- dynamic_events f:\n")).split("\n");
    const refused = part.filter((line) => line.startsWith("rc=")).map((line) => line !== "rc=0");
    assertEquals(refused.length, 5);
    // The last two are on tracepoints and on other events, of which a guest has none.
    for (
      const [k, line] of ["f:fp vfs_read", "f:fp vfs_read%return r=$retval", "p:dd vfs_read+8"]
        .entries()
    ) {
      assertEquals(await append(line, "dynamic_events"), refused[k] ? "EINVAL" : "", line);
    }
    const expected = part.filter((line) => /^(f:fprobes\/fp|p:kprobes\/dd) /.test(line));
    assertEquals(cat("dynamic_events"), expected.map((line) => `${line}\n`).join(""));
    const fault = /trace_fprobe: error: (.*)\n {2}Command: (f:.*)\n( *\^)\n/;
    assertEquals(fault.exec(cat("error_log"))?.slice(1), fault.exec(capture)?.slice(1));
    for (const line of ["t:tp sched_switch", "e:ep sched.sched_switch pid=$next_pid"]) {
      assertEquals(await append(line, "dynamic_events"), "EINVAL", line);
    }
  });
}

Deno.test("dynamic_events says of a synthetic event that there are none", async () => {
  const { tracefs } = await withFiles("sample_p84");
  const refusal = await tracefs.write("dynamic_events", "s:lat u64 lat", { append: true })
    .then(() => "", ({ code, message }) => `${code}: ${message}`);
  assertMatch(refusal, /^EINVAL: .*there are no synthetic events here/);
});
