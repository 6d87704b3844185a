import { assert, assertEquals } from "@std/assert";
import type { LostEvents, TraceEvent } from "../../lib/ftrace/trace/events.ts";
import { createKernelText, encodeKernelText } from "../../lib/output/kernel_text.ts";
import { parseKernelText } from "../../lib/output/parse/kernel_text.ts";
import { printAgain, readCaptureText } from "./captures.ts";
import { at, call, enter, leave, mark, print, settingsOf } from "./events.ts";

Deno.test("createKernelText() prints each event as soon as its text is certain", () => {
  const text = createKernelText(settingsOf("function_graph", {}, { cpus: 2 }));
  assertEquals(text.event(enter("outer", 0)), "");
  assertEquals(text.event(enter("leaf", 1)), " 0)               |  outer() {\n");
  assertEquals(text.event(enter("mid", 0, { cpu: 1 })), "");
  assertEquals(text.event(leave("mid", 0, 5n, { cpu: 1 })), "");
  assertEquals(
    text.event(leave("leaf", 1, 7n)),
    " 0)   0.007 us    |    leaf();\n 1)   0.005 us    |  mid();\n",
  );
  // Behind a leaf a comment is as deep as the leaf, but for the kernel's not indenting depth 0.
  assertEquals(text.event(mark("hi")), " 0)               |  /* hi */\n");
  assertEquals(text.event(enter("next", 1)), "");
  assertEquals(text.end(), " 0)               |    next() {\n");

  const latency = createKernelText(settingsOf("function", { "latency-format": true }));
  assertEquals(latency.event(call(at("leaf"), at("mid"))), "");
  assertEquals(latency.event(call(at("leaf"), at("mid"))).split("\n").length, 2);
  const plain = createKernelText(settingsOf("function"));
  assertEquals(plain.event(call(at("leaf"), at("mid"))).split("\n").length, 2);
});

Deno.test("createKernelText() is linear in events that wait for a quiet CPU", () => {
  const text = createKernelText(settingsOf("function_graph", {}, { cpus: 2 }));
  let printed = text.event(enter("outer", 0));
  const count = 20_000;
  for (let turn = 0; turn < count; turn++) {
    printed += text.event(enter("leaf", 0, { cpu: 1 })) +
      text.event(leave("leaf", 0, 5n, { cpu: 1 }));
  }
  assertEquals(printed, "");
  assertEquals(text.event(leave("outer", 0, 1n)).split("\n").length, count + 2);
});

Deno.test("printKernelText() says what was lost before the next event of that CPU, or at the end", () => {
  const lost = (cpu: number, count: number): LostEvents => ({ type: "lost", cpu, count });
  const line = (cpu: number) => call(at("leaf"), at("mid"), { cpu });
  const events = [lost(1, 5), line(0), lost(1, 2), line(1), lost(0, -1), line(0), lost(1, 3)];
  const lines = print(events, "function", { "context-info": false }).split("\n");
  const leaf = "leaf <-mid";
  assertEquals(lines, [
    leaf,
    "CPU:1 [LOST 7 EVENTS]",
    leaf,
    "CPU:0 [LOST EVENTS]",
    leaf,
    "CPU:1 [LOST 3 EVENTS]",
    "",
  ]);
});

Deno.test("printKernelText() says where each CPU's buffer starts if older events are gone", () => {
  const events = [0, 0, 2, 1, 2].map((cpu) => call(at("leaf"), at("mid"), { cpu }));
  const starts = (entriesWritten: number, options = {}) =>
    print(events, "function", { "context-info": false, ...options }, { entriesWritten })
      .split("\n").map((line) => line.replace("leaf <-mid", "-"));
  assertEquals(starts(3), ["-", "-", "-", "-", "-", ""]);
  assertEquals(starts(4, { annotate: false }), ["-", "-", "-", "-", "-", ""]);
  assertEquals(starts(4), [
    ...["-", "-", "##### CPU 2 buffer started ####", "-", "##### CPU 1 buffer started ####"],
    ...["-", "-", ""],
  ]);
});

Deno.test("parseKernelText() reads back forms that the captures lack", () => {
  const { ip: _ip, text: _text, ...common } = mark("");
  const events: readonly (TraceEvent | LostEvents)[] = [
    call(at("leaf"), at("mid", 8)),
    { type: "lost", cpu: 1, count: 12 },
    { ...call(at("leaf"), at("mid", 8), { cpu: 1, pid: 77 }) },
    { type: "lost", cpu: 1, count: -1 },
    { ...call(at("leaf"), 0n), type: "func_repeats", count: 3, lastTime: 11_000_000_000n, cpu: 1 },
    mark("two\nlines"),
    { ...common, type: "event", name: "e8", text: '(f+0x8/0xf0) a="x <-y"' },
    { ...common, type: "sys_exit", name: "read", returnValue: 0xffff_ffff_ffff_fff7n },
    call(0x99n, 0n, { preemptCount: 0x1f }),
  ];
  const settings = { cpus: 2, entriesWritten: 99, entriesInBuffer: 7 };
  const again = (tracer: string, list: typeof events, options = {}) => {
    const kernelText = createKernelText(settingsOf(tracer, options, settings));
    const text = kernelText.header() + list.map(kernelText.event).join("") + kernelText.end();
    const parsed = parseKernelText(text);
    assertEquals(printAgain(parsed), text);
    return parsed;
  };
  for (const options of [{}, { "sym-offset": true }, { "sym-addr": true }, { annotate: false }]) {
    assertEquals(again("function", events, options).events.map(({ type }) => type), [
      ...["function", "lost", "function", "lost", "func_repeats", "print", "event", "sys_exit"],
      "function",
    ]);
  }
  const returned = { returnValue: 0xffff_ffff_ffff_fff7n };
  const outline: readonly (TraceEvent | LostEvents)[] = [
    enter("outer", 0, { args: "a=0x1, b={c}", retaddr: at("mid", 4) }),
    { type: "lost", cpu: 0, count: 4 },
    enter("leaf", 1, { retaddr: at("mid", 4) }),
    leave("leaf", 1, 1n, { unwound: true, ...returned }),
    leave("mid", 1, 10_000_001n, { unwound: true, ...returned }),
    leave("outer", 0, 100_000_001_000n, returned),
    enter("leaf", 55, { pid: 77 }),
    leave("mid", 55, 1n, { pid: 77, returnValue: 5n }),
    { ...common, type: "kernel_stack", callers: [at("mid"), at("outer")] },
  ];
  for (
    const options of [
      {},
      { "funcgraph-retval": true },
      { "funcgraph-retval": true, "funcgraph-retval-hex": true, "funcgraph-retaddr": true },
      { "funcgraph-retaddr": true, "funcgraph-tail": true, "funcgraph-proc": true },
      { "latency-format": true, "funcgraph-abstime": true, "funcgraph-overrun": true },
    ]
  ) {
    const stackless = "latency-format" in options ? outline.slice(0, -1) : outline;
    const { events } = again("function_graph", stackless, options);
    assertEquals(events.map(({ type }) => type), stackless.map(({ type }) => type));
  }
});

Deno.test("parseKernelText() tells static functions of one name apart by their sizes", () => {
  const text = "              wl-1       [000] .....     1.000000: f+0x0/0x10 <-f+0x0/0x20\n";
  const parsed = parseKernelText(text);
  assertEquals(printAgain(parsed), text);
  const [event] = parsed.events;
  assert(event?.type === "function" && event.ip !== event.parentIp);
});

Deno.test("parseKernelText() takes a second brace of one entry for another's, not for funcgraph-tail", () => {
  const events = [enter("mid", 0), mark("x"), leave("mid", 0, 1n), leave("mid", 0, 1n)];
  const text = print(events, "function_graph", {}, { entriesInBuffer: 0 });
  const header = createKernelText(settingsOf("function_graph")).header();
  const parsed = parseKernelText(header + text);
  assertEquals(parsed.settings.options["funcgraph-tail"], false);
  assertEquals(printAgain(parsed), header + text);
});

Deno.test("encodeKernelText() writes names in UTF-8 and bin records as bytes", () => {
  const settings = settingsOf("function");
  assertEquals([...encodeKernelText("é", settings)], [0xc3, 0xa9]);
  const bin = { ...settings, options: { ...settings.options, bin: true } };
  assertEquals([...encodeKernelText("\xe9\0", bin)], [0xe9, 0]);
});

Deno.test("createKernelText() prints an empty trace as its header alone", () => {
  const settings = { entriesInBuffer: 0, entriesWritten: 0 };
  const text = createKernelText(settingsOf("nop", {}, settings));
  assertEquals(text.header() + text.end(), readCaptureText("6.12", "initial.trace"));
});
