import { assertEquals, assertThrows } from "@std/assert";
import type { EraName } from "../../lib/ftrace/era.ts";
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { TRACE_CLOCKS } from "../../lib/ftrace/trace/trace_clock.ts";
import { readCaptureText } from "../output/captures.ts";
import { traced } from "./guest.ts";

/** Records functions as the plugin does. */
function recordFunctions(ftrace: Ftrace, filter: readonly string[]) {
  return ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, filter });
}

/** Names of the places in an event, or what it is. */
function told(ftrace: Ftrace): string[] {
  return [...ftrace.events()].map((event) => {
    const name = (address: bigint) => ftrace.symbol(address) ?? `0x${address.toString(16)}`;
    if (event.type === "function") return `${name(event.ip)} <-${name(event.parentIp)}`;
    if (event.type === "kernel_stack" || event.type === "user_stack") {
      return `${event.type}: ${event.callers.map(name).join(" ")}`;
    }
    return event.type === "print" ? `print ${event.text}` : event.type;
  });
}

Deno.test("traceOptions.text() reads as the trace_options file of each kernel", async () => {
  for (const [era, kernel] of [["args", "6.12"], ["call-ops", "7.2"]] as const) {
    const { ftrace } = await traced("sample_p84", { era });
    const captured = readCaptureText(kernel, "initial.trace_options").split("\n")
      .filter((line) => !line.includes("test_nop")).join("\n");
    assertEquals(ftrace.traceOptions.text("nop"), captured);
  }
});

Deno.test("traceOptions.write() sets and clears, tells listeners once, and refuses another kernel's", async () => {
  const { ftrace } = await traced("sample_p84", { era: "args" });
  const { traceOptions } = ftrace;
  const changes: string[] = [];
  const listening = traceOptions.onChange((name, value) => changes.push(`${name}=${value}`));
  const before = traceOptions.values;
  for (const text of ["sym-offset", "sym-offset", "noprint-parent"]) traceOptions.write(text);
  listening[Symbol.dispose]();
  traceOptions.write("nosym-offset");
  assertEquals(changes, ["sym-offset=true", "print-parent=false"]);
  assertEquals(before["print-parent"], true);
  assertEquals(traceOptions.values["print-parent"], false);
  assertThrows(() => traceOptions.write("func-args"), RangeError, "it came with 6.15");
  assertThrows(() => traceOptions.write("nosuch"), RangeError, "there is none of that name");
});

Deno.test("the overwrite option decides what a full buffer loses, at run time", async () => {
  const { ftrace } = await traced("sample_p84", { bufferMode: "drop" });
  assertEquals(ftrace.traceOptions.values.overwrite, false);
  ftrace.traceOptions.write("overwrite");
  assertEquals(ftrace.buffer.mode, "overwrite");
  ftrace.traceOptions.write("nooverwrite");
  assertEquals(ftrace.buffer.mode, "drop");
});

Deno.test("traceClock stamps as the clock of that name and empties the buffer", async () => {
  const stamps: Record<string, bigint[]> = {};
  for (const clock of TRACE_CLOCKS) {
    const guest = await traced("sample_p84");
    guest.ftrace.traceMarkWrite("before");
    guest.ftrace.traceClock = clock;
    assertEquals([...guest.ftrace.events()], []);
    recordFunctions(guest.ftrace, ["price_of"]);
    await guest.run();
    stamps[clock] = [...guest.ftrace.events()].map(({ time }) => time);
  }
  const { local } = stamps;
  assertEquals(stamps["counter"], [1n, 2n, 3n, 4n, 5n]);
  assertEquals(stamps["uptime"], [0n, 0n, 0n, 0n, 0n]);
  for (const same of ["global", "perf", "mono", "mono_raw", "boot"]) {
    assertEquals(stamps[same], local, same);
  }
  assertEquals(stamps["tai"], local!.map((time) => time + 2_000_000_000_000_000_000n));
  const { ftrace } = await traced("sample_p84");
  assertThrows(
    () => void (ftrace.traceClock = "x86-tsc" as "local"),
    RangeError,
    "there are local",
  );
});

Deno.test("func_stack_trace records the callers after each function; strict as the kernel's walk", async () => {
  for (const trampoline of ["fast", "guest"] as const) {
    const guest = await traced("sample_p84", { trampoline });
    guest.ftrace.traceOptions.write("func_stack_trace");
    recordFunctions(guest.ftrace, ["add_prices"]);
    await guest.run();
    const one = ["add_prices <-bill", "kernel_stack: add_prices bill program tiny_main 0x10134"];
    assertEquals(told(guest.ftrace), [...one, ...one], trampoline);
    const strict = await traced("sample_p84", { trampoline, strict: true });
    strict.ftrace.traceOptions.write("func_stack_trace");
    recordFunctions(strict.ftrace, ["add_prices"]);
    await strict.run();
    const { ftrace_caller } = strict.ftrace.core.area.trampolines.symbols;
    const kernel = `kernel_stack: 0x${ftrace_caller.toString(16)} program tiny_main 0x10134`;
    assertEquals(told(strict.ftrace)[1], kernel);
  }
});

Deno.test("stacktrace and userstacktrace follow events, not functions, as in the captures", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  ftrace.traceOptions.write("stacktrace");
  ftrace.traceOptions.write("userstacktrace");
  ftrace.registerFtraceFunction({
    filter: ["no_discount"],
    func: (ip) => ftrace.tracePrintk(ip, "here"),
  });
  recordFunctions(ftrace, ["no_discount"]);
  await guest.run();
  const types = told(ftrace).map((text) => text.split(" ")[0]);
  const isUser = guest.machine.kind === "linux";
  const once = ["no_discount", "print", "kernel_stack:", ...isUser ? ["user_stack:"] : []];
  assertEquals(types, once);
});

Deno.test("func-no-repeats counts calls that come again, and says so when something else comes", async () => {
  for (const trampoline of ["fast", "guest"] as const) {
    const guest = await traced("sample_p84", { trampoline });
    guest.ftrace.traceOptions.write("func-no-repeats");
    recordFunctions(guest.ftrace, ["price_of", "bill"]);
    await guest.run();
    const events = [...guest.ftrace.events()];
    assertEquals(events.map(({ type }) => type), [
      ...["function", "function", "func_repeats", "function", "function"],
    ]);
    const repeats = events[2]!;
    assertEquals(repeats.type === "func_repeats" && repeats.count, 1);
    assertEquals(repeats.type === "func_repeats" && repeats.lastTime < repeats.time, true);
  }
});

Deno.test("options that record more do so on the fast path at once, and no longer once cleared", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  recordFunctions(ftrace, ["price_of"]);
  let calls = 0;
  ftrace.registerFtraceFunction({
    filter: ["bill"],
    func: () => ftrace.traceOptions.set("func_stack_trace", calls++ === 0),
  });
  await guest.run();
  const types = [...ftrace.events()].map(({ type }) => type === "function" ? "f" : "s").join("");
  assertEquals(types, "fsfsfff".slice(0, types.length));
  assertEquals(types.includes("s"), true);
});

Deno.test("traceMarkWrite() ends its text with a newline, and is refused while markers are off", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] satisfies EraName[]) {
    const { ftrace } = await traced("sample_p84", { era });
    ftrace.traceMarkWrite("one");
    ftrace.traceMarkWrite("two\nthree\n");
    ftrace.traceOptions.write("nomarkers");
    const error = assertThrows(() => ftrace.traceMarkWrite("x"), FtraceError);
    assertEquals(error.code, "EINVAL");
    ftrace.traceOptions.write("notrace_printk");
    ftrace.tracePrintk(0x1000n, "no");
    ftrace.traceOptions.write("trace_printk");
    ftrace.tracePrintk(0x1000n, "yes");
    assertEquals(told(ftrace), ["print one\n", "print two\nthree\n", "print yes"]);
  }
});
