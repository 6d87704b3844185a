import { assert, assertEquals, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { createRandom } from "../engine/random.ts";
import { graph, traced } from "./guest.ts";
import { traceLines } from "./trace_lines.ts";

const codeOf = (body: () => unknown) => assertThrows(body, FtraceError).code;

/** An event to set things off with, and how many of it were recorded. */
async function withEvent(options: Parameters<typeof traced>[1] = {}) {
  const guest = await traced("sample_p84", options);
  const { ftrace } = guest;
  const { emit, file } = ftrace.defineEvent({
    name: "e",
    fields: { n: "u32", who: "char[16]" },
    print: "n=%u who=%s",
  });
  const texts = () =>
    [...ftrace.events()].map((event) => event.type === "event" ? event.text : event.type);
  return { ...guest, ftrace, emit, file, texts };
}

Deno.test("a filter decides what is recorded, and the filter file says what was wrong", async () => {
  const { ftrace, emit, file, texts } = await withEvent();
  assertEquals(file.filterText, "none");
  file.setFilter('n > 1 && who ~ "par*"\n');
  assertEquals(file.filterText, 'n > 1 && who ~ "par*"');
  for (let n = 0; n < 4; n++) emit({ n, who: n === 3 ? "other" : "parse" });
  assertEquals(texts(), ["n=2 who=parse"]);
  assertEquals(codeOf(() => file.setFilter("n == 1 && nosuch == 1")), "EINVAL");
  assertEquals(
    file.filterText,
    "n == 1 && nosuch == 1\n                 ^\nparse_error: Field not found",
  );
  assertEquals(
    ftrace.traceEvents.errorLog.read(),
    "[    0.000000] event filter parse error: error: Field not found\n" +
      "  Command: n == 1 && nosuch == 1\n" +
      "                            ^\n",
  );
  emit({ n: 0, who: "" });
  assertEquals(texts().length, 2);
  file.setFilter("common_pid == 1000 && comm == 'sample_p84' && cpu == 0");
  emit({ n: 5, who: "" });
  file.setFilter("common_pid != 1000");
  emit({ n: 6, who: "" });
  file.setFilter("0");
  assertEquals([file.filterText, texts().at(-1)], ["none", "n=5 who="]);
});

Deno.test("function events are filtered by ip, arguments and task, on both trampoline paths", async () => {
  for (const trampoline of ["fast", "guest"] as const) {
    const guest = await traced("sample_p84", { trampoline });
    const { ftrace } = guest;
    const file = ftrace.traceEvents.builtIn("function");
    file.setFilter('ip.function == common_coin && a0 > 1000 && comm ~ "sample*"');
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
    await guest.run();
    const names = [...ftrace.events()].map((event) =>
      event.type === "function" ? ftrace.symbol(event.ip) : event.type
    );
    // common_coin is called with 1350, 1350, 9, 234, 2115, 2349, 2115.
    assertEquals(names, Array(5).fill("common_coin"), trampoline);
  }
});

Deno.test("a filter of graph entries keeps the whole call out, one of exits its end", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  ftrace.traceEvents.builtIn("funcgraph_entry").setFilter(
    "func.function == common_coin && a0 > 1000",
  );
  ftrace.traceEvents.builtIn("funcgraph_exit").setFilter("retval == 9");
  graph(ftrace);
  await guest.run();
  const events = [...ftrace.events()].map((event) => event.type);
  assertEquals(events.filter((type) => type === "funcgraph_entry").length, 5);
  assertEquals(events.filter((type) => type === "funcgraph_exit").length, 3);
});

Deno.test("a trigger without a condition keeps its event out by traceoff, one with a condition does not", async () => {
  const { ftrace, emit, file, texts } = await withEvent();
  file.writeTrigger("traceoff");
  emit({ n: 1, who: "" });
  assertEquals([texts(), ftrace.buffer.on], [[], false]);
  file.writeTrigger("!traceoff");
  ftrace.buffer.on = true;
  file.writeTrigger("traceoff if n == 2");
  emit({ n: 1, who: "" });
  emit({ n: 2, who: "" });
  emit({ n: 3, who: "" });
  assertEquals([texts(), ftrace.buffer.on], [["n=1 who=", "n=2 who="], false]);
});

Deno.test("counts go down when a trigger changes something, and are listed", async () => {
  const { ftrace, emit, file } = await withEvent();
  file.writeTrigger("traceoff:2");
  const turn = () => {
    emit({ n: 1, who: "" });
    const on = ftrace.buffer.on;
    emit({ n: 1, who: "" });
    ftrace.buffer.on = true;
    return [on, file.readTriggers()];
  };
  assertEquals([turn(), turn(), turn()], [
    [false, "traceoff:count=1\n"],
    [false, "traceoff:count=0\n"],
    [true, "traceoff:count=0\n"],
  ]);
});

Deno.test("readTriggers() lists the newest first, with filters, and what there is if there are none", async () => {
  const { ftrace, file } = await withEvent();
  ftrace.defineEvent({ name: "other", fields: {}, enabled: false });
  const help = "# Available triggers:\n" +
    "# traceon traceoff snapshot stacktrace enable_event disable_event enable_hist disable_hist hist\n";
  assertEquals(file.readTriggers(), help);
  file.writeTrigger("traceon if n > 1");
  file.writeTrigger("stacktrace:3\n");
  file.writeTrigger("enable_event:hartrace:other:5 if n == 1");
  file.writeTrigger("hist:keys=n:pause");
  file.writeTrigger("snapshot");
  assertEquals(
    file.readTriggers(),
    "snapshot:unlimited\n" +
      "hist:keys=n:vals=hitcount:sort=hitcount:size=2048 [paused]\n" +
      "enable_event:hartrace:other:count=5 if n == 1\n" +
      "stacktrace:count=3\n" +
      "traceon:unlimited if n > 1\n",
  );
  assertEquals([file.enableText, ftrace.snapshot.state], ["1*", "allocated"]);
  for (const kind of ["snapshot", "hist:keys=n", "enable_event:hartrace:other", "stacktrace"]) {
    file.writeTrigger(`!${kind}`);
  }
  file.writeTrigger("!traceon");
  assertEquals([file.readTriggers(), file.enableText], [help, "1"]);
});

Deno.test("writeTrigger() refuses as the kernel: unknown, twice, no count, no event, a bad filter", async () => {
  const { ftrace, file } = await withEvent();
  const write = (text: string) => codeOf(() => file.writeTrigger(text));
  file.writeTrigger("traceoff");
  assertEquals(
    [
      "nosuch",
      "traceoff:x",
      "traceoff if",
      "stacktrace when n",
      "stacktrace if nosuch == 1",
      "enable_event:hartrace",
      "enable_event:hartrace:nosuch",
      "enable_event:ftrace:function",
      "traceoff:3",
      "hist:keys=nosuch",
      "hist:keys=n:size=64",
      "hist:keys=n:clear",
    ].map((text) => [text, write(text)]),
    [
      ["nosuch", "EINVAL"],
      ["traceoff:x", "EINVAL"],
      ["traceoff if", "EINVAL"],
      ["stacktrace when n", "EINVAL"],
      ["stacktrace if nosuch == 1", "EINVAL"],
      ["enable_event:hartrace", "EINVAL"],
      ["enable_event:hartrace:nosuch", "EINVAL"],
      ["enable_event:ftrace:function", "EINVAL"],
      ["traceoff:3", "EEXIST"],
      ["hist:keys=nosuch", "EINVAL"],
      ["hist:keys=n:size=64", "EINVAL"],
      ["hist:keys=n:clear", "ENOENT"],
    ],
  );
  file.writeTrigger("hist:keys=n:size=128");
  assertEquals(write("hist:keys=n"), "EEXIST");
  assertEquals(
    ftrace.traceEvents.errorLog.read().replace(/^\[.*?\] /gm, ""),
    `event filter parse error: error: Field not found
  Command: nosuch == 1
                  ^
hist:hartrace:e: error: Couldn't find field
  Command: hist:keys=nosuch
                     ^
hist:hartrace:e: error: Can't clear or continue a nonexistent hist trigger
  Command: hist:keys=n:clear
           ^
hist:hartrace:e: error: Hist trigger already exists
  Command: hist:keys=n
           ^
`,
  );
});

Deno.test("enable_event and disable_event switch another event softly, as often as they may", async () => {
  const { ftrace, emit, file } = await withEvent();
  const other = ftrace.defineEvent({ name: "other", fields: {}, enabled: false });
  file.writeTrigger("enable_event:hartrace:other:1 if n == 1");
  const seen = [other.file.enableText];
  emit({ n: 0, who: "" });
  seen.push(other.file.enableText);
  emit({ n: 1, who: "" });
  seen.push(other.file.enableText);
  other.file.softDisabled = true;
  emit({ n: 1, who: "" });
  seen.push(other.file.enableText);
  assertEquals(codeOf(() => file.writeTrigger("disable_event:hartrace:other")), "EEXIST");
  file.writeTrigger("!enable_event:hartrace:other");
  seen.push(other.file.enableText);
  assertEquals(seen, ["0*", "0*", "1*", "0*", "0"]);
});

Deno.test("an event that goes takes its triggers along, and what they held", async () => {
  const { ftrace, file } = await withEvent();
  const other = ftrace.defineEvent({ name: "other", fields: {}, enabled: false });
  const third = ftrace.defineEvent({ name: "third", fields: {} });
  third.file.writeTrigger("enable_event:hartrace:other");
  file.writeTrigger("enable_event:hartrace:other");
  assertEquals(other.file.enableText, "0*");
  third[Symbol.dispose]();
  assertEquals(other.file.enableText, "0*");
  for (const trigger of file.triggers) file.removeTrigger(trigger);
  assertEquals(other.file.enableText, "0");
});

Deno.test("whatever is written to filter and trigger files is taken or refused as the kernel does", async () => {
  const { ftrace, emit, file } = await withEvent();
  ftrace.defineEvent({ name: "other", fields: {}, enabled: false });
  const { below, pick } = createRandom(11);
  const words = [
    ..."( ) && || & | ! == != <= < > >= ~ .function CPUS{ } 0-3 , n who comm cpu nosuch".split(" "),
    ...'1 -1 0x10 08 99999999999999999999 "a*" "a \'b\' bill if : traceon traceoff stacktrace'
      .split(" "),
    ..."snapshot hist keys=n vals=n sort=n .hex .log2 size=64 size=128 pause clear cont".split(" "),
    ..."enable_event disable_event enable_hist hartrace other e :3 :0 :x".split(" "),
  ];
  const right = [
    "n == 1",
    'n & 0x1 || who ~ "a*" && cpu == 0',
    "!(who != 'ab') && common_pid >= 1000",
    "n & CPUS{0-1}",
    "traceoff:3 if n == 1",
    "!traceoff",
    "traceon",
    "snapshot:2",
    "stacktrace if who == 'a'",
    "hist:keys=n,who:vals=n:sort=n.descending:size=128 if n < 3",
    "hist:keys=n.log2:pause",
    "enable_event:hartrace:other:2",
    "!disable_event:hartrace:other",
    "disable_hist:hartrace:e",
  ];
  let taken = 0;
  for (let round = 0; round < 3000; round++) {
    // What is right, with up to two words in the place of some of its characters.
    let text = pick(right);
    for (let change = below(3); change > 0; change--) {
      const at = below(text.length + 1);
      text = text.slice(0, at) + pick(words) + text.slice(at + below(3));
    }
    for (const write of [file.setFilter, file.writeTrigger]) {
      try {
        write(text);
        taken++;
      } catch (error) {
        if (!(error instanceof FtraceError)) throw error;
        assert(["EINVAL", "EEXIST", "ENOENT"].includes(error.code), `${text}: ${error.message}`);
      }
    }
    emit({ n: below(4), who: pick(["a", "ab", ""]) });
    for (const trigger of file.triggers) if (below(4) === 0) file.removeTrigger(trigger);
    if (below(8) === 0) file.setFilter("0");
  }
  assert(taken > 1000, `${taken} were taken`);
  for (const trigger of file.triggers) file.removeTrigger(trigger);
  // Nothing holds them any more; one that a trigger enabled last stays enabled.
  const other = ftrace.traceEvents.find("hartrace", "other")!;
  assertEquals([file.enableText, other.enableText.length], ["1", 1]);
});

Deno.test("a stacktrace trigger writes the callers behind the event", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  ftrace.traceEvents.builtIn("function").writeTrigger("stacktrace:1");
  ftrace.setFtraceFilter(["price_of"]);
  ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
  await guest.run();
  const lines = traceLines(ftrace, "function").slice(0, 6)
    .map((line) => line.replace(/^.*?: /, ""));
  assertEquals(lines, [
    "price_of <-add_prices",
    "<stack trace>",
    " => price_of",
    " => add_prices",
    " => bill",
    " => program",
  ]);
});

Deno.test("a snapshot trigger exchanges the buffers when its condition holds", async () => {
  const { ftrace, emit, file, texts } = await withEvent();
  file.writeTrigger("snapshot:1 if n == 2");
  for (let n = 1; n <= 3; n++) emit({ n, who: "" });
  const kept = [...ftrace.snapshot.buffer!.all()].map((event) =>
    event.type === "event" ? event.text : event.type
  );
  // The event itself is stored after its trigger has acted.
  assertEquals([kept, texts()], [["n=1 who="], ["n=2 who=", "n=3 who="]]);
});

Deno.test("a hist trigger counts while it is active, with its filter, and can be cleared", async () => {
  const { emit, file } = await withEvent();
  file.enabled = false;
  file.writeTrigger("hist:keys=who:vals=n:sort=n.descending:size=128 if n > 0");
  const rows = () => file.readHist().split("\n").filter((line) => line.startsWith("{"));
  const send = () => {
    for (const [who, n] of [["a", 1], ["b", 5], ["a", 2], ["c", 0]] as const) emit({ n, who });
  };
  const field = (who: string) => who.padEnd(50);
  send();
  assertEquals(rows(), [
    `{ who: ${field("b")} } hitcount:          1  n:          5`,
    `{ who: ${field("a")} } hitcount:          2  n:          3`,
  ]);
  assert(
    file.readHist().includes(
      "# trigger info: hist:keys=who:vals=hitcount,n:sort=n.descending:size=128 if n > 0 [active]\n",
    ),
  );
  file.writeTrigger("hist:keys=who:vals=n:sort=n.descending:pause if n > 0");
  send();
  assertEquals(rows()[1]!.includes("hitcount:          2"), true);
  file.writeTrigger("hist:keys=who:vals=n:sort=n.descending:cont if n > 0");
  send();
  assertEquals(rows()[1]!.includes("hitcount:          4"), true);
  file.writeTrigger("hist:keys=who:vals=n:sort=n.descending:clear if n > 0");
  assertEquals(rows(), []);
});

Deno.test("a histogram of function events is keyed by caller and by stack", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const file = ftrace.traceEvents.builtIn("function");
  file.writeTrigger("hist:keys=ip.sym,parent_ip.sym:sort=hitcount.descending");
  file.writeTrigger("hist:keys=common_stacktrace if ip.function == price_of");
  ftrace.setFtraceFilter(["price_of", "bill"]);
  ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
  await guest.run();
  const named = file.readHist().split("\n").map((line) =>
    line.replace(/\[[0-9a-f]+\]/g, "[…]").replace(/ +/g, " ").replace(/\+0x.*/, "")
  );
  assertEquals(named.filter((line) => /^(\{ ip| \w)/.test(line)), [
    " price_of",
    " add_prices",
    " bill",
    " program",
    " tiny_main",
    " 0x10134",
    " price_of",
    " add_prices",
    " bill",
    " program",
    " tiny_main",
    " 0x10134",
    " Hits: 5",
    " Entries: 2",
    " Dropped: 0",
    "{ ip: […] price_of , parent_ip: […] add_prices } hitcount: 5",
    // From two places in it.
    "{ ip: […] bill , parent_ip: […] program } hitcount: 1",
    "{ ip: […] bill , parent_ip: […] program } hitcount: 1",
    " Hits: 7",
    " Entries: 3",
    " Dropped: 0",
  ]);
});

Deno.test("hist triggers are served before 7.2 and said so once; strict refuses as 6.12 does", async () => {
  const { file, reports } = await withEvent({ era: "args" });
  file.writeTrigger("hist:keys=n");
  file.writeTrigger("hist:keys=who");
  assertEquals(reports.filter((line) => line.includes("hist")).length, 1);
  const strict = await withEvent({ era: "args", strict: true });
  assertEquals(codeOf(() => strict.file.writeTrigger("hist:keys=n")), "EINVAL");
  assertEquals(
    strict.file.readTriggers().split("\n")[1],
    "# traceon traceoff snapshot stacktrace enable_event disable_event",
  );
});
