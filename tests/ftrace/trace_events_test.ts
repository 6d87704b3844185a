import { assertEquals, assertThrows } from "@std/assert";
import { eventFormat } from "../../lib/events/event_format.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { graph, traced } from "./guest.ts";
import { traceLines } from "./trace_lines.ts";

Deno.test("defineEvent() gives an event that prints as built-in ones, under either tracer", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const event = ftrace.defineEvent({
    name: "price",
    fields: { item: "u32", caller: "void *", note: "string" },
    print: "item=%u caller=%ps note=%s",
  });
  let count = 0;
  graph(ftrace);
  ftrace.setFtraceFilter(["bill", "price_of"]);
  ftrace.registerFtraceFunction({
    filter: ["price_of"],
    func(_ip, caller) {
      event.emit({ item: ++count, caller, note: "seen" });
    },
  });
  await guest.run();
  const { fields: _, ...described } = event.file.description;
  assertEquals(described, {
    system: "hartrace",
    name: "price",
    id: 21,
    printFormat: '"item=%u caller=%ps note=%s", REC->item, REC->caller, __get_str(note)',
  });
  const outline = traceLines(guest.ftrace, "function_graph").filter((line) =>
    line.includes("price:")
  );
  assertEquals(
    outline[0],
    " 0)               |  /* price: item=1 caller=add_prices note=seen */",
  );
  const line = traceLines(guest.ftrace, "function").find((each) => each.includes("price:"))!;
  assertEquals(
    line.replace(/\d\.\d{6}/, "T"),
    "      sample_p84-1000    [000] .....     T: price: item=1 caller=add_prices note=seen",
  );
  // A type without a raw form says its number.
  const raw = traceLines(guest.ftrace, "function", { raw: true }).find((each) =>
    each.includes("type: 21")
  );
  assertEquals(raw === undefined, false);
});

Deno.test("defineEvent() prints by a function, or each field by its name", async () => {
  const { ftrace } = await traced("sample_p84");
  const own = ftrace.defineEvent({
    name: "own",
    fields: { a: "u8" },
    print: ({ a }) => `a is ${a}`,
  });
  const plain = ftrace.defineEvent({ name: "plain", fields: { a: "s64", s: "char[4]" } });
  own.emit({ a: 257 });
  plain.emit({ a: -1n, s: "abcdef" });
  const texts = [...ftrace.events()].map((event) => event.type === "event" ? event.text : "");
  assertEquals(texts, ["a is 1", "a=-1 s=abc"]);
  assertEquals(
    eventFormat(plain.file.description).split("\n").at(-2),
    [
      'print fmt: "a=%lld s=%s", REC->a, REC->s',
    ][0],
  );
});

Deno.test("defineEvent() refuses a second event of that name, and names that are no identifiers", async () => {
  const { ftrace } = await traced("sample_p84");
  ftrace.defineEvent({ name: "twice", fields: {} });
  const again = () => ftrace.defineEvent({ name: "twice", fields: {} });
  assertEquals(assertThrows(again, FtraceError).code, "EEXIST");
  ftrace.defineEvent({ name: "twice", system: "other", fields: {} });
  assertThrows(() => ftrace.defineEvent({ name: "a-b", fields: {} }), SyntaxError);
});

Deno.test("an event is recorded only while it is enabled, and not any more once disposed of", async () => {
  const { ftrace } = await traced("sample_p84");
  const event = ftrace.defineEvent({ name: "e", fields: { n: "u32" }, enabled: false });
  event.emit({ n: 1 });
  event.file.enabled = true;
  event.emit({ n: 2 });
  event.file.enabled = false;
  event.emit({ n: 3 });
  event.file.enabled = true;
  event[Symbol.dispose]();
  event.emit({ n: 4 });
  assertEquals(ftrace.traceEvents.find("hartrace", "e"), undefined);
  assertEquals([...ftrace.events()].map((each) => each.type === "event" && each.text), ["n=2"]);
});

Deno.test("holdSoft() keeps an event occurring and discarded, and the enable file shows a star", async () => {
  const { ftrace } = await traced("sample_p84");
  const { file, emit } = ftrace.defineEvent({ name: "e", fields: {}, enabled: false });
  const count = () => [...ftrace.events()].length;
  const seen = [file.enableText];
  const hold = file.holdSoft();
  emit({});
  seen.push(file.enableText, String(count()));
  file.softDisabled = false;
  emit({});
  seen.push(file.enableText, String(count()));
  file.enabled = false;
  seen.push(file.enableText);
  file.enabled = true;
  seen.push(file.enableText);
  hold[Symbol.dispose]();
  seen.push(file.enableText);
  file.enabled = false;
  seen.push(file.enableText);
  assertEquals(seen, ["0", "0*", "0", "1*", "1", "0*", "1*", "1", "0"]);
});
