import { assert, assertEquals, assertMatch } from "@std/assert";
import { type FilesGuest, KERNELS, truth, withFiles } from "./guest.ts";

/** A guest with two events of its own. */
async function withEvents(options: Parameters<typeof withFiles>[1] = {}): Promise<
  FilesGuest & { emit(value: number): void }
> {
  const guest = await withFiles("sample_p84", options);
  const event = guest.ftrace.defineEvent({
    system: "shop",
    name: "sold",
    fields: { value: "u64", who: "string" },
    print: "value=%llu who=%s",
    enabled: false,
  });
  guest.ftrace.defineEvent({ system: "shop", name: "closed", fields: {}, enabled: false });
  return { ...guest, emit: (value) => event.emit({ value, who: "x" }) };
}

Deno.test("events/ has a folder for each event, with the files of its kernel", async () => {
  const { tracefs } = await withEvents({ era: "call-ops" });
  assertEquals(tracefs.list("events/shop/sold"), [
    "enable",
    "filter",
    "format",
    "hist",
    "id",
    "trigger",
  ]);
  assert(tracefs.list("events").includes("ftrace"));
  assert(tracefs.list("events/ftrace").includes("funcgraph_entry"));
  // A kernel without hist triggers has no such file; where they are served all the same, it is there.
  const served = await withEvents({ era: "args" });
  assert(served.tracefs.list("events/shop/sold").includes("hist"));
  const older = await withEvents({ era: "args", strict: true });
  assertEquals(older.tracefs.list("events/shop/sold").includes("hist"), false);
  assertEquals(older.cat("events/shop/sold/hist"), "ENOENT");
  assertEquals(await older.echo("0", "events/shop/sold/hist"), "EACCES");
});

Deno.test("events/ftrace has formats and ids alone in an era followed to the letter", async () => {
  const { tracefs } = await withEvents({ strict: true });
  assertEquals(tracefs.list("events/ftrace/function"), ["format", "id"]);
});

for (const [release, era] of KERNELS) {
  Deno.test(`events/header_page and header_event read as those of Linux ${release}`, async () => {
    const { cat } = await withEvents({ era });
    assertEquals(cat("events/header_page"), await truth(release, "events_header_page"));
    assertEquals(cat("events/header_event"), await truth(release, "events_header_event"));
  });
}

Deno.test("header_page follows the size of sub-buffers", async () => {
  const { echo, cat } = await withEvents();
  await echo("8", "buffer_subbuf_size_kb");
  assertMatch(cat("events/header_page"), /data;\toffset:16;\tsize:8176;/);
});

Deno.test("enable files switch one event, a system, or all", async () => {
  const { echo, cat, emit } = await withEvents();
  assertEquals(cat("events/shop/sold/enable"), "0\n");
  assertEquals(cat("events/enable"), "0\n");
  assertEquals(await echo("1", "events/shop/sold/enable"), "");
  assertEquals(cat("events/shop/enable"), "X\n");
  assertEquals(cat("set_event"), "shop:sold\n");
  emit(5);
  assertMatch(cat("trace"), /: sold: value=5 who=x\n/);
  assertEquals(await echo("1", "events/shop/enable"), "");
  assertEquals(cat("events/enable"), "1\n");
  assertEquals(await echo("0", "events/enable"), "");
  assertEquals(cat("set_event"), "");
  emit(6);
  assertEquals(cat("trace").includes("value=6"), false);
  assertEquals(await echo("2", "events/enable"), "EINVAL");
});

Deno.test("set_event names events as the kernel's does", async () => {
  const { echo, append, cat } = await withEvents();
  assertEquals(cat("available_events"), "shop:sold\nshop:closed\n");
  for (
    const [text, set] of [
      ["sold", "shop:sold\n"],
      ["shop", "shop:sold\nshop:closed\n"],
      ["shop:closed", "shop:closed\n"],
      ["shop:*", "shop:sold\nshop:closed\n"],
      ["*:sold", "shop:sold\n"],
      ["*:*", "shop:sold\nshop:closed\n"],
      ["sold !shop:sold closed", "shop:closed\n"],
    ] as const
  ) {
    assertEquals(await echo(text, "set_event"), "", text);
    assertEquals(cat("set_event"), set, text);
  }
  assertEquals(await append("!closed", "set_event"), "");
  assertEquals(cat("set_event"), "");
  for (const text of ["nosuch", "shop:nosuch", "ftrace:function", "s*ld"]) {
    assertEquals(await echo(text, "set_event"), "EINVAL", text);
  }
});

Deno.test("filter takes expressions, none for no filter, and leaves what is wrong in error_log", async () => {
  const { echo, cat, emit } = await withEvents();
  await echo("1", "events/shop/sold/enable");
  assertEquals(cat("events/shop/sold/filter"), "none\n");
  assertEquals(await echo('value > 5 && who == "x"', "events/shop/sold/filter"), "");
  assertEquals(cat("events/shop/sold/filter"), 'value > 5 && who == "x"\n');
  emit(5);
  emit(6);
  assertEquals(/value=5/.test(cat("trace")), false);
  assertMatch(cat("trace"), /value=6/);
  assertEquals(await echo("nosuch > 1", "events/shop/sold/filter"), "EINVAL");
  assertMatch(
    cat("error_log"),
    /^\[ +\d+\.\d{6}\] event filter parse error: error: Field not found\n {2}Command: nosuch > 1\n +\^\n$/,
  );
  assertEquals(await echo("", "error_log"), "");
  assertEquals(cat("error_log"), "");
  assertEquals(await echo("0", "events/shop/sold/filter"), "");
  assertEquals(cat("events/shop/sold/filter"), "none\n");
});

Deno.test("a system's filter goes to the events that have its fields", async () => {
  const { echo, cat } = await withEvents();
  assertEquals(await echo("value == 1", "events/shop/filter"), "");
  assertEquals(cat("events/shop/sold/filter"), "value == 1\n");
  assertMatch(cat("events/shop/closed/filter"), /\^\nparse_error: Field not found\n$/);
  assertEquals(await echo("nosuch == 1", "events/shop/filter"), "EINVAL");
});

Deno.test("trigger takes triggers with counts and conditions, and ! takes them away", async () => {
  const { echo, append, cat, emit } = await withEvents();
  await echo("1", "events/shop/sold/enable");
  assertEquals(await echo("traceoff:1 if value == 7", "events/shop/sold/trigger"), "");
  assertMatch(cat("events/shop/sold/trigger"), /^traceoff:count=1 if value == 7\n$/);
  emit(6);
  assertEquals(cat("tracing_on"), "1\n");
  emit(7);
  assertEquals(cat("tracing_on"), "0\n");
  assertEquals(await append("nosuch", "events/shop/sold/trigger"), "EINVAL");
  assertEquals(await append("!traceoff:1 if value == 7", "events/shop/sold/trigger"), "");
  assertEquals(await append("stacktrace", "events/shop/sold/trigger"), "");
  assertEquals(await echo("", "events/shop/sold/trigger"), "");
  assertEquals(cat("events/shop/sold/trigger"), "stacktrace:unlimited\n");
  assertEquals(await append("!stacktrace", "events/shop/sold/trigger"), "");
  assertEquals(cat("events/shop/sold/trigger").includes("stacktrace:"), false);
});

Deno.test("hist is the text of an event's histograms", async () => {
  const { echo, cat, emit } = await withEvents({ era: "call-ops" });
  assertEquals(await echo("hist:keys=value", "events/shop/sold/trigger"), "");
  emit(3);
  emit(3);
  emit(9);
  assertMatch(cat("events/shop/sold/hist"), /\{ value: +3 \} hitcount: +2\n/);
  assertMatch(cat("events/shop/sold/hist"), /Hits: 3\n/);
});

Deno.test("set_event_pid and set_event_notrace_pid choose whose events occur", async () => {
  const { machine, echo, append, cat, emit } = await withEvents();
  await echo("1", "events/shop/sold/enable");
  assertEquals(await echo("1", "set_event_pid"), "");
  assertEquals(cat("set_event_pid"), "1\n");
  emit(1);
  assertEquals(await append(`${machine.pid}`, "set_event_pid"), "");
  emit(2);
  assertEquals(await echo(`${machine.pid}`, "set_event_notrace_pid"), "");
  emit(3);
  assertEquals(await echo("x", "set_event_notrace_pid"), "EINVAL");
  assertEquals(cat("set_event_notrace_pid"), "");
  emit(4);
  assertEquals(cat("trace").match(/value=\d/g), ["value=2", "value=4"]);
});

Deno.test("enabling an event gives the buffer its full size", async () => {
  const { echo, cat } = await withEvents();
  assertEquals(cat("buffer_size_kb"), "7 (expanded: 1408)\n");
  await echo("1", "events/shop/sold/enable");
  assertEquals(cat("buffer_size_kb"), "1410\n");
});

Deno.test("id and format describe the event", async () => {
  const { ftrace, cat } = await withEvents();
  const { id } = ftrace.traceEvents.find("shop", "sold")!.description;
  assertEquals(cat("events/shop/sold/id"), `${id}\n`);
  assertMatch(cat("events/shop/sold/format"), new RegExp(`^name: sold\nID: ${id}\nformat:\n`));
  assertEquals(await truth("7.2", "initial.set_event"), "");
});

Deno.test("probes have their folder as long as they are defined", async () => {
  const { tracefs, machine, echo, cat } = await withEvents();
  await echo("p:mine price_of price=%a0", "kprobe_events");
  assertEquals(await echo("1", "events/kprobes/mine/enable"), "");
  await machine.run();
  assertMatch(cat("trace"), /: mine: \(price_of\+0x0\/0x\w+\) price=0x/);
  assertEquals(await echo("0", "events/kprobes/mine/enable"), "");
  assertEquals(await echo("", "kprobe_events"), "");
  assertEquals(tracefs.kind("events/kprobes"), undefined);
});
