/**
 * Formats: the table, and the kernel's text as one that streams.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { EventFeed } from "../../lib/ftrace/trace/event_feed.ts";
import type { EventSink } from "../../lib/ftrace/trace/event_sink.ts";
import type { ByteOutput, RewritableFile } from "../../lib/output/byte_output.ts";
import { TRACE_FORMATS, type TraceFormat, traceFormat } from "../../lib/output/formats/formats.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { liveTraceSettings } from "../../lib/output/live_trace.ts";
import { parseKernelText } from "../../lib/output/parse/kernel_text.ts";
import { graph, traced } from "../ftrace/guest.ts";

/** An output in memory: a file that can move `movable` bytes, or a pipe. */
class Buffered implements ByteOutput, RewritableFile {
  text = "";
  /** What was in it at each write. */
  readonly states: string[] = [];
  readonly file: RewritableFile | undefined;
  readonly #movable: number;

  constructor(kind: "file" | "pipe", movable = Infinity) {
    this.file = kind === "file" ? this : undefined;
    this.#movable = movable;
  }

  get position(): number {
    return this.text.length;
  }

  write(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
    this.states.push(this.text);
  }

  rewrite(at: number, bytes: Uint8Array): void {
    const text = new TextDecoder().decode(bytes);
    this.text = this.text.slice(0, at) + text + this.text.slice(at + text.length);
  }

  cut(at: number, length: number): boolean {
    if (this.text.length - at > this.#movable) return false;
    this.text = this.text.slice(0, at) + this.text.slice(at + length);
    return true;
  }
}

/** Runs a program with its events flowing into the format, and prints the same trace at its end. */
async function stream(
  tracer: "function" | "function_graph",
  output: Buffered,
  format: TraceFormat = traceFormat("text"),
): Promise<string> {
  const start = async (bufferMode: "drain" | "overwrite", bufferKib: number) => {
    const guest = await traced("calls_p84", { bufferMode, bufferKib });
    const { ftrace } = guest;
    if (tracer === "function_graph") graph(ftrace);
    else ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
    return guest;
  };
  const plain = await start("overwrite", 100_000);
  await plain.run();
  const whole = [
    ...printKernelText(plain.ftrace.buffer.all(), liveTraceSettings(plain.ftrace, tracer)),
  ].join("");
  const { machine, ftrace } = await start("drain", 2);
  const sink = format.create({ ftrace, output, prints: () => tracer });
  const feed = new EventFeed({ buffer: ftrace.buffer, harts: machine.harts }, [sink]);
  let now = 0;
  await machine.run({ slice: () => feed.flow(now += 1000) });
  await feed.end();
  return whole;
}

for (const tracer of ["function", "function_graph"] as const) {
  Deno.test(`the kernel's text in a file is the trace to the character when all of it can be moved, ${tracer}`, async () => {
    const output = new Buffered("file");
    assertEquals(await stream(tracer, output), output.text);
  });

  Deno.test(`the kernel's text in a file too large to move keeps blanks in its header alone, ${tracer}`, async () => {
    const output = new Buffered("file", 0);
    const whole = await stream(tracer, output);
    assertEquals(output.text.replace(/ +$/gm, ""), whole.replace(/ +$/gm, ""));
    const parsed = parseKernelText(output.text);
    assertEquals(parsed.settings.entriesInBuffer, parseKernelText(whole).settings.entriesInBuffer);
    assertEquals([...parsed.events].length, [...parseKernelText(whole).events].length);
  });

  Deno.test(`the kernel's text in a pipe has no header, ${tracer}`, async () => {
    const output = new Buffered("pipe");
    const whole = await stream(tracer, output);
    assertEquals(output.text, whole.replace(/^#.*\n/gm, ""));
  });
}

Deno.test("what is in a file at any moment is a trace that can be read", async () => {
  const output = new Buffered("file");
  await stream("function", output);
  assert(output.states.length > 1);
  for (const state of output.states) {
    const { events } = parseKernelText(state);
    assertEquals(events.length, state.split("\n").filter((line) => /^[^#]/.test(line)).length);
  }
});

Deno.test("a format is a row of the table, and one that is not there is refused by name", async () => {
  const counting: TraceFormat = {
    name: "count",
    description: "how many events there were",
    create: ({ output }): EventSink => ({
      begin() {},
      block() {},
      end: ({ events }) => output.write(new TextEncoder().encode(`${events}\n`)),
    }),
  };
  const table = [...TRACE_FORMATS, counting];
  const output = new Buffered("pipe");
  const whole = await stream("function", output, traceFormat("count", table));
  assertEquals(output.text, `${parseKernelText(whole).events.length}\n`);
  assertThrows(
    () => traceFormat("count"),
    RangeError,
    "Cannot write a trace as count: there is no such format; there are text",
  );
});
