import { assertEquals, assertThrows } from "@std/assert";
import { kernelHeader } from "../../lib/output/kernel_header.ts";
import { liveTraceSettings } from "../../lib/output/live_trace.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { readCaptureText } from "../output/captures.ts";
import { traced } from "./guest.ts";

Deno.test("a snapshot holds what the trace held, and the trace goes on empty, as on both kernels", async () => {
  for (const kernel of ["6.12", "7.2"] as const) {
    const { ftrace } = await traced("sample_p84");
    const { snapshot, buffer } = ftrace;
    const settings = liveTraceSettings(ftrace, "function");
    assertEquals(
      kernelHeader({ ...settings, snapshot: { state: snapshot.state, perCpu: false } }),
      readCaptureText(kernel, "snapshot.before"),
    );
    for (let n = 0; n < 2; n++) ftrace.traceMarkWrite("here");
    snapshot.write(1);
    const header = (entries: number, written: number) => {
      const counts = { entriesInBuffer: entries, entriesWritten: written };
      return kernelHeader({ ...settings, ...counts });
    };
    const headerOf = (name: string) =>
      readCaptureText(kernel, name).split("\n").filter((line) => line.startsWith("#"))
        .map((line) => `${line}\n`).join("");
    const count = (of: typeof buffer) => [...of.all()].length;
    assertEquals([count(snapshot.buffer!), count(buffer)], [2, 0]);
    assertEquals(header(2, 2), headerOf("snapshot.after"));
    assertEquals(header(0, 0), headerOf("snapshot.trace.after"));
    const text = [...printKernelText(snapshot.buffer!.all(), settings, { header: false })].join("");
    assertEquals(text.match(/tracing_mark_write: here\n/g)?.length, 2);
  }
});

Deno.test("write() takes 0 to free, 1 to take and any other number to clear", async () => {
  const { ftrace } = await traced("sample_p84");
  const { snapshot, buffer } = ftrace;
  const count = () => snapshot.buffer && [...snapshot.buffer.all()].length;
  snapshot.write(2);
  snapshot.take();
  assertEquals([snapshot.state, count()], ["freed", undefined]);
  ftrace.traceMarkWrite("a");
  snapshot.write(1);
  assertEquals([snapshot.state, count()], ["allocated", 1]);
  snapshot.write(2);
  assertEquals([snapshot.state, count()], ["allocated", 0]);
  ftrace.traceMarkWrite("b");
  ftrace.traceMarkWrite("c");
  snapshot.write(1);
  assertEquals([count(), [...buffer.all()].length], [2, 0]);
  // The buffers change places, so the old snapshot is what the trace has then.
  snapshot.write(1);
  assertEquals([count(), [...buffer.all()].length], [0, 2]);
  snapshot.write(0);
  assertEquals(snapshot.state, "freed");
  snapshot.write(1);
  assertEquals(count(), 2);
  assertThrows(() => snapshot.write(-1), RangeError);
  assertThrows(() => snapshot.write(NaN), RangeError);
});

Deno.test("take() gives the live buffer one of its own size, also after it was resized", async () => {
  const { ftrace } = await traced("sample_p84");
  const { snapshot, buffer } = ftrace;
  snapshot.allocate();
  buffer.resize(4);
  const size = buffer.kibOf(0);
  ftrace.traceMarkWrite("a");
  snapshot.take();
  assertEquals([buffer.kibOf(0), snapshot.buffer!.kibOf(0)], [size, size]);
  assertEquals([...snapshot.buffer!.all()].length, 1);
});
