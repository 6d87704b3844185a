import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { eventFormat } from "../../lib/events/event_format.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { traced } from "./guest.ts";
import { traceLines } from "./trace_lines.ts";

const textsOf = (lines: readonly string[]) =>
  lines.map((line) =>
    line.replace(/^.*?: (?=\w+: )/, "").replace(/\+0x[\da-f]+\/0x[\da-f]+/g, "+…")
  );

Deno.test("an fprobe event prints its entry, its return, and what was at the entry, in each era", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] as const) {
    for (const trampoline of ["guest", "fast"] as const) {
      const { ftrace, run } = await traced("sample_p84", { era, trampoline });
      const entry = ftrace.fprobeEvents.write("f:coin common_coin a=$arg1:u64 b=$arg2:u64");
      const exit = ftrace.fprobeEvents.write(
        "f:mine/back common_coin%return a=$arg1:u64 got=$retval:u64",
      );
      assertEquals(entry.definition, "f:fprobes/coin common_coin a=$arg1:u64 b=$arg2:u64");
      entry.event.file.setFilter("a == 9 || b == 0");
      entry.event.file.enabled = true;
      exit.event.file.setFilter("a > 2000");
      exit.event.file.enabled = true;
      await run();
      const place = `(common_coin+…)`;
      assertEquals(
        textsOf(traceLines(ftrace, "nop")),
        [
          `coin: ${place} a=1350 b=0`,
          `coin: ${place} a=9 b=0`,
          "back: (common_coin+… <- common_coin) a=2115 got=9",
          "back: (common_coin+… <- common_coin) a=2349 got=9",
          "back: (bill+… <- common_coin) a=2115 got=9",
        ],
        `${era} ${trampoline}`,
      );
    }
  }
});

Deno.test("an fprobe event acts only while enabled, on every function that its glob names", async () => {
  const { ftrace, run } = await traced("sample_p84");
  const { event } = ftrace.fprobeEvents.write("f *_of");
  assertEquals([event.file.description.name, event.file.enabled], ["__of__entry", false]);
  await run();
  assertEquals([...ftrace.events()], []);
  const again = await traced("sample_p84");
  const probe = again.ftrace.fprobeEvents.write("f price_of");
  probe.event.file.enabled = true;
  assertEquals(probe.event.file.description.name, "price_of__entry");
  await again.run();
  assertEquals([...again.ftrace.events()].length, 5);
  assertEquals(
    eventFormat(probe.event.file.description).split("\n").slice(-5, -1),
    [
      "",
      "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;",
      "",
      'print fmt: "(%lx)", REC->__probe_ip',
    ],
  );
});

Deno.test("write() refuses as 7.2 and puts a caret into error_log", async () => {
  const { ftrace } = await traced("sample_p84");
  const code = (text: string) =>
    assertThrows(() => ftrace.fprobeEvents.write(text), FtraceError).code;
  ftrace.fprobeEvents.write("f:fp bill");
  assertEquals(
    ["f:fp bill%return r=$retval", "f:fp bill", "f:x nosuch", "f:x bill+4", "f:x bill%hoge"]
      .map(code),
    ["EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL"],
  );
  // The first as the kernel's log has it (`kprobe_behaviour`).
  const [first, , third, fourth, fifth] = ftrace.traceEvents.errorLog.read().split(/^\[.*?\] /m)
    .slice(1);
  assertEquals(
    first,
    "trace_fprobe: error: Probe type is different from existing probe\n" +
      "  Command: f:fp bill%return r=$retval\n           ^\n",
  );
  assertEquals(
    third,
    "trace_fprobe: error: Invalid probed address or symbol\n  Command: f:x nosuch\n               ^\n",
  );
  assertEquals(fourth!.split("\n")[2], "               ^");
  assertEquals(
    fifth,
    "trace_fprobe: error: Invalid probed address suffix\n  Command: f:x bill%hoge\n                   ^\n",
  );
});

Deno.test("dynamic_events defines, lists in order and removes fprobe events beside kprobe events", async () => {
  const { ftrace } = await traced("sample_p84");
  await using tracefs = createTracefs(ftrace);
  await tracefs.write("dynamic_events", "p:a bill\nf:b price_of\np:c bill+8", { append: true });
  assertEquals(
    tracefs.read("dynamic_events"),
    "p:kprobes/a bill\nf:fprobes/b price_of\np:kprobes/c bill+8\n",
  );
  await tracefs.write("events/fprobes/b/enable", "1");
  assertEquals(tracefs.read("events/fprobes/b/enable"), "1\n");
  const write = (text: string, append: boolean) =>
    tracefs.write("dynamic_events", text, { append });
  const refused = await write("", false).then(() => "", (error) => error.code);
  assertEquals(refused, "EBUSY");
  await tracefs.write("events/fprobes/b/enable", "0");
  await write("-:b", true);
  assertEquals(ftrace.fprobeEvents.events, []);
});

Deno.test("an fprobe event probes its functions while it is enabled, and may be of several definitions", async () => {
  for (const era of ["regs", "call-ops"] as const) {
    const { ftrace, run } = await traced("sample_p84", { era });
    const write = (command: string) => ftrace.fprobeEvents.write(command);
    const { event } = write("f:g/e bill n=$arg1:u64");
    const used = (name: string) =>
      ftraceRefCount(ftrace.records.find((each) => each.name === name)!);
    assertEquals([used("bill"), used("price_of")], [0, 0]);
    event.file.enabled = true;
    assertEquals([used("bill"), used("price_of")], [1, 0]);
    assertEquals(write("f:g/e price_of n=$arg1:u64").event, event);
    assertEquals([used("bill"), used("price_of")], [1, 1]);
    await run();
    const places = textsOf(traceLines(ftrace, "nop")).map((line) => /\((\w+)\+/.exec(line)![1]);
    assertEquals(new Set(places), new Set(["bill", "price_of"]));
    assertEquals(ftrace.fprobeEvents.remove("-:g/e bill"), true);
    assertEquals([used("bill"), used("price_of")], [0, 1]);
    assertEquals(
      assertThrows(() => ftrace.fprobeEvents.remove("-:g/e"), FtraceError).code,
      "EBUSY",
    );
    event.file.enabled = false;
    assertEquals([used("bill"), used("price_of")], [0, 0]);
    ftrace.fprobeEvents.remove("-:g/");
    assertEquals(ftrace.fprobeEvents.events, []);
  }
});

Deno.test("an fprobe event of 6.9 and 6.12 waits for as many returns as it says", async () => {
  for (const era of ["regs", "args"] as const) {
    const seen: number[] = [];
    for (const head of ["f1:few", "f3:more", "f:all"]) {
      const { ftrace, run } = await traced("calls_p84", { era });
      const { event, definition } = ftrace.fprobeEvents.write(`${head} fibonacci%return n=$arg1`);
      assertMatch(definition, /^f:fprobes\/\w+ fibonacci%return n=\$arg1$/);
      event.file.enabled = true;
      await run();
      seen.push([...ftrace.events()].length);
    }
    assert(seen[0]! > 0 && seen[0]! < seen[1]! && seen[1]! < seen[2]!, String(seen));
  }
});

Deno.test("an fprobe definition that asks for $retval is of returns", async () => {
  const { ftrace } = await traced("sample_p84");
  const { definition, name } = ftrace.fprobeEvents.write("f bill got=$retval");
  assertEquals([definition, name], ["f:fprobes/bill__exit bill%return got=$retval", "bill__exit"]);
  const many = Array.from({ length: 16 }, (_, k) => `a${k}=$arg${k + 1}`).join(" ");
  const error = assertThrows(() => ftrace.fprobeEvents.write(`f bill%return ${many}`), FtraceError);
  assertEquals(error.code, "E2BIG");
});
