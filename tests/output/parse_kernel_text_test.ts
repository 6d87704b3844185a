import { assert, assertEquals, assertThrows } from "@std/assert";
import type { LostEvents, TraceEvent } from "../../lib/ftrace/trace/events.ts";
import { type ParsedTrace, parseKernelText } from "../../lib/output/parse/kernel_text.ts";
import type { TraceOptions } from "../../lib/ftrace/trace/trace_options.ts";
import { printAgain, readCaptureText } from "./captures.ts";

/** A parsed capture whose events can be exchanged. */
function parseCapture(name: string): { readonly text: string; readonly parsed: ParsedTrace } {
  const text = readCaptureText("6.12", name);
  return { text, parsed: parseKernelText(text, "6.12") };
}

/** Prints `parsed` with the event at `index` changed. */
function printChanged(parsed: ParsedTrace, index: number, change: object): string {
  const events = parsed.events.map((event, at) =>
    at === index ? { ...event, ...change } as TraceEvent | LostEvents : event
  );
  return printAgain({ ...parsed, events });
}

/** The only line in which two texts of as many lines differ, as it was and as it is. */
function onlyDifference(before: string, after: string): readonly [was: string, is: string] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  assertEquals(now.length, old.length);
  const changed = old.flatMap((line, at) => line === now[at] ? [] : [at]);
  assertEquals(changed.length, 1, `lines ${changed.join(", ")} differ`);
  return [old[changed[0]!]!, now[changed[0]!]!];
}

Deno.test("parseKernelText() of a function trace reads each field from where it is printed", () => {
  const { text, parsed } = parseCapture("function.null.trace");
  const index = 5;
  const event = parsed.events[index]!;
  assert(event.type === "function");
  const other = parsed.events[4]!;
  assert(other.type === "function");
  const was = "              wl-261     [000] .....    18.938101: fdget_pos <-ksys_write";
  assertEquals(event.time, 18_938_101_000n);
  const cases: readonly (readonly [change: object, from: string, to: string])[] = [
    [{ ip: other.ip }, "fdget_pos", "ksys_write"],
    [{ parentIp: other.parentIp }, "<-ksys_write", "<-__riscv_sys_write"],
    [{ parentIp: 0n }, " <-ksys_write", ""],
    [{ time: 99_000_000_001_500n }, "   18.938101", "99000.000002"],
    [{ cpu: 7 }, "[000]", "[007]"],
    [{ pid: 0 }, "      wl-261", "  <idle>-0  "],
    [{ pid: 5 }, "   wl-261", "<...>-5  "],
    [{ flags: 0x81 | 0x26 | 0x18 }, " ..... ", " DBH.. "],
    [{ preemptCount: 0xa3 }, " ..... ", " ...3a "],
    [{ args: "fd=0x1" }, "fdget_pos ", "fdget_pos(fd=0x1) "],
  ];
  for (const [change, from, to] of cases) {
    assertEquals(
      onlyDifference(text, printChanged(parsed, index, change)),
      [was, was.replace(from, to)],
    );
  }
});

Deno.test("parseKernelText() of a graph reads each field from where it is printed", () => {
  const { text, parsed } = parseCapture("graph.null.trace");
  const { events } = parsed;
  const leaf = events.findIndex((event, at) =>
    event.type === "funcgraph_entry" && event.depth === 6 &&
    events[at + 1]?.type === "funcgraph_exit"
  );
  const closing = events.findIndex((event, at) =>
    event.type === "funcgraph_exit" && event.depth === 5 &&
    events[at - 1]?.type !== "funcgraph_entry"
  );
  assert(leaf > 0 && closing > leaf);
  const event = events[closing]!;
  assert(event.type === "funcgraph_exit");
  const was = " 0)   5.800 us    |            }";
  const cases: readonly (readonly [change: object, from: string, to: string])[] = [
    [{ callTime: event.returnTime - 123_456n }, "  5.800 us    ", "! 123.456 us  "],
    [{ depth: 7 }, "|            }", "|                } /* apparmor_file_permission */"],
    [{ func: 0n }, "}", "} /* 0x0 */"],
    [{ unwound: true }, "}", "}  /* unwound */"],
    [{ overrun: 3, flags: 1, preemptCount: 1, returnValue: 5n, time: 7n }, "", ""],
  ];
  for (const [change, from, to] of cases) {
    const printed = printChanged(parsed, closing, change);
    if (from === to) assertEquals(printed, text);
    else assertEquals(onlyDifference(text, printed), [was, was.replace(from, to)]);
  }
  // An entry and its exit make one line as long as they agree.
  const [entry, back] = [events[leaf]!, events[leaf + 1]!];
  assert(entry.type === "funcgraph_entry" && back.type === "funcgraph_exit");
  const parted = printChanged(parsed, leaf, { func: event.func });
  assertEquals(parted.split("\n").length, text.split("\n").length + 1);
  assert(parted.includes("|              apparmor_file_permission() {\n"));
  assert(parted.includes(" 0)   1.800 us    |              } /* aa_file_perm */\n"));
  assertEquals(
    onlyDifference(text, printChanged(parsed, leaf, { args: "op=1" })),
    [
      " 0)   1.800 us    |              aa_file_perm();",
      " 0)   1.800 us    |              aa_file_perm(op=1);",
    ],
  );
  // A task that runs for one event is switched to and from.
  const switched = printChanged(parsed, closing, { pid: 0 });
  assertEquals(switched.split("\n").length, text.split("\n").length + 8);
});

Deno.test("parseKernelText() gives a graph whose calls nest as they are indented", () => {
  const { parsed } = parseCapture("graph.pread.trace");
  const open: bigint[] = [];
  for (const event of parsed.events) {
    if (event.type === "funcgraph_entry") {
      assertEquals(event.depth, open.length);
      open.push(event.func);
    } else if (event.type === "funcgraph_exit") {
      assertEquals([event.func, event.depth], [open.pop(), open.length]);
      assert(event.returnTime >= event.callTime);
    }
  }
});

Deno.test("parseKernelText() gives events that print in other forms too", () => {
  const { text, parsed } = parseCapture("function.opt.sym-addr=1.trace");
  const print = (options: Partial<TraceOptions>) =>
    printAgain({
      ...parsed,
      settings: { ...parsed.settings, options: { ...parsed.settings.options, ...options } },
    });
  const plain = text.replaceAll(/ <[0-9a-f]{16}>/g, "");
  assertEquals(print({ "sym-addr": false }), plain);
  assertEquals(
    print({ "sym-addr": false, "print-parent": false }),
    plain.replaceAll(/ <-.*/g, ""),
  );
  assertEquals(
    print({ raw: true }).split("\n").slice(-4, -1),
    ["74357857000", "74357916000", "74357937000"].map((time) =>
      `386 0 ${time} ffffffff80314606 ffffffff8031515e`
    ),
  );
  const graph = parseCapture("graph.opt.funcgraph-tail=1.trace");
  const { options } = graph.parsed.settings;
  assert(options["funcgraph-tail"]);
  assertEquals(
    printAgain({
      ...graph.parsed,
      settings: { ...graph.parsed.settings, options: { ...options, "funcgraph-tail": false } },
    }),
    graph.text.replaceAll(/ \/\* \w+ \*\//g, ""),
  );
});

Deno.test("parseKernelText() finds the options that a text shows", () => {
  const shown = (name: string) => {
    const { options } = parseCapture(name).parsed.settings;
    const match = /opt\.(.+)=(\d)/.exec(name)!;
    return [options[match[1] as keyof TraceOptions], match[2] === "1"];
  };
  const names = [
    ...["bin=1", "context-info=0", "hex=1", "irq-info=0", "latency-format=1", "print-parent=0"],
    ...["raw=1", "record-tgid=1", "sym-addr=1", "sym-offset=1", "verbose=1"],
  ].map((option) => `function.opt.${option}.trace`);
  const graphs = [
    ...["context-info=0", "funcgraph-abstime=1", "funcgraph-cpu=0", "funcgraph-duration=0"],
    ...["funcgraph-overhead=0", "funcgraph-overrun=1", "funcgraph-proc=1", "funcgraph-tail=1"],
    ...["latency-format=1"],
  ].map((option) => `graph.opt.${option}.trace`);
  for (const name of [...names, ...graphs]) {
    const [found, set] = shown(name);
    assertEquals(found, set, name);
  }
});

Deno.test("parseKernelText() refuses what no kernel prints, saying where", () => {
  const cases: readonly (readonly [text: string, message: string])[] = [
    ["# tracer: function\n# and more\n", "Cannot read the trace's header"],
    ["# tracer: nop\n#\n# entries-in-buffer/entries-written: 1/1   #P:1\n", "trace's header"],
    ["no event at all\n", 'line "no event at all"'],
    ["              wl-1       [000] ..?..     1.000000: a <-b\n", 'flags "..?.."'],
    ["              wl-1       [000] .....     1.000000: a <- b\n", "is of no known form"],
    ["              wl-1       [000] .....     1.000000: a <-b", "no end"],
  ];
  for (const [text, message] of cases) {
    assertThrows(() => parseKernelText(text), SyntaxError, message);
  }
});

Deno.test("parseKernelText() reads or refuses hostile lines of any length", () => {
  // Each takes minutes where a part of the line is looked at once for each other part.
  const many = (text: string) => text.repeat(200_000);
  const graph = parseCapture("graph.opt.funcgraph-proc=1.trace").text.match(/^(?:#.*\n)+/)![0];
  const rule = ` ${"-".repeat(42)}\n`;
  const refused = [
    `${graph}${rule} 0) ${many("a-1 => ")}x\n`,
    `${graph} 0) ${many("a-1 | ")}\r\n`,
    `${graph} 0)   1.0 us    |  ${many("f(); /* <-x")}\n`,
    `${many(" ")}x\n`,
    `a-1 (${many("-1 (")}\n`,
    `# tracer: nop\n#${many(" task: ")}\n`,
    `${many("a+0x1")}\n`,
  ];
  for (const text of refused) assertThrows(() => parseKernelText(text), SyntaxError);
  const marked = " sh-1 [000] ..... 1.000000: tracing_mark_write: a\n";
  const print = parseKernelText(`${marked}${many("-1 ")}\n`).events[0]!;
  assert(print.type === "print" && print.text.length === 600_002);
  const deep = parseKernelText(` sh-1 [000] ..... 1.000000: <stack trace>\n${many(" => f\n")}`);
  const stack = deep.events[0]!;
  assert(stack.type === "kernel_stack" && stack.callers.length === 200_000);
});
