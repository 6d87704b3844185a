import { assertEquals, assertThrows } from "@std/assert";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { decodeRingPage } from "../../lib/output/ring_page.ts";
import { traceOptions } from "../../lib/ftrace/trace/trace_options.ts";
import { type Kernel, KERNELS, readCapture, readCaptureText } from "./captures.ts";

const PAGE = "raw.cpu0.trace_pipe_raw";
const RELEASES: Readonly<Record<Kernel, string>> = { "6.12": "6.12.107", "7.2": "7.2.13" };

/** Addresses on the pages, as the sym-addr captures of the same two kernels name them. */
const NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  KERNELS.flatMap((kernel) =>
    [
      ...readCaptureText(kernel, "function.opt.sym-addr=1.trace").matchAll(
        /(\w+) <([0-9a-f]{16})>/g,
      ),
    ]
      .map(([, name, address]) => [BigInt(`0x${address}`).toString(), name!])
  ),
);

for (const kernel of KERNELS) {
  Deno.test(`decodeRingPage() gives events of ${kernel} that print as that kernel printed them`, () => {
    const release = RELEASES[kernel];
    const { events, committed } = decodeRingPage(readCapture(kernel, PAGE), { cpu: 0, release });
    assertEquals(committed, 96);
    assertEquals(events.map(({ type }) => type), ["function", "function", "function"]);
    const symbol = (address: bigint) => {
      const name = NAMES[address.toString()];
      return name === undefined ? undefined : { name, address, size: 4n };
    };
    const text = [...printKernelText(events, {
      tracer: "function",
      options: traceOptions(),
      symbolizer: { symbol, comm: () => "wl" },
      cpus: 1,
      entriesInBuffer: events.length,
      entriesWritten: events.length,
      release,
    })].join("");
    assertEquals(text, readCaptureText(kernel, "raw.trace"));
  });
}

/** A page holding `words` as its events. */
function pageOf(words: readonly number[], timestamp: bigint, flags = 0, after: bigint = 0n) {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  view.setBigUint64(0, timestamp, true);
  view.setUint32(8, words.length * 4 | flags, true);
  words.forEach((word, index) => view.setUint32(16 + index * 4, word, true));
  view.setBigUint64(16 + words.length * 4, after, true);
  return page;
}

const FUNCTION = [1 | 0x81 << 16 | 0x21 << 24, 77, 0x1000, 0, 0x2000, 0];
const options = { cpu: 2, release: "7.2" };

Deno.test("decodeRingPage() reads the short and the long form of an event's word", () => {
  const words = [6 | 5 << 5, ...FUNCTION, 0 | 7 << 5, 28, ...FUNCTION];
  const { events, timestamp } = decodeRingPage(pageOf(words, 1000n), options);
  assertEquals(timestamp, 1000n);
  const common = { cpu: 2, pid: 77, flags: 0x81, preemptCount: 0x21 };
  const call = { type: "function", ip: 0x1000n, parentIp: 0x2000n } as const;
  assertEquals(events, [{ ...common, ...call, time: 1005n }, { ...common, ...call, time: 1012n }]);
});

Deno.test("decodeRingPage() adds time extends, takes absolute stamps, skips what was discarded", () => {
  const event = [6 | 1 << 5, ...FUNCTION];
  const extend = [30 | 3 << 5, 2];
  const discarded = [29 | 4 << 5, 12, 0, 0];
  const discardedWithoutTime = [29 | 1 << 5, 4];
  const stamp = [31 | 9 << 5, 8];
  const unused = [29, 0xffffffff];
  const words = [
    ...event,
    ...extend,
    ...event,
    ...discarded,
    ...discardedWithoutTime,
    ...event,
    ...stamp,
    ...event,
    ...unused,
  ];
  const { events } = decodeRingPage(pageOf(words, 1000n), options);
  const times = events.map((event) => event.type === "lost" ? -1n : event.time);
  const extended = 1001n + (2n << 27n) + 3n + 1n;
  assertEquals(times, [1001n, extended, extended + 4n + 1n, (8n << 27n) + 9n + 1n]);
});

Deno.test("decodeRingPage() says how many events were lost before the page, if the page does", () => {
  const event = [6, ...FUNCTION];
  const lostBefore = (flags: number) => decodeRingPage(pageOf(event, 0n, flags, 41n), options);
  assertEquals(lostBefore(0).events.length, 1);
  assertEquals(lostBefore(1 << 31).events[0], { type: "lost", cpu: 2, count: -1 });
  assertEquals(lostBefore(1 << 31 | 1 << 30).events[0], { type: "lost", cpu: 2, count: 41 });
});

Deno.test("decodeRingPage() reads graph, stack, print and repeats by offset, whatever follows", () => {
  const event = (type: number, ...fields: readonly number[]) => {
    const payload = [type, 9, ...fields];
    return [payload.length, ...payload];
  };
  const words = [
    ...event(11, 0x1000, 0, 3, 0),
    ...event(12, 0x1000, 0, 3, 0, 0x2000, 0),
    ...event(10, 0x1000, 0, 3, 1, 100, 0, 160, 0, 0xdead, 0xdead, 0xdead, 0xdead),
    ...event(4, 2, 0, 0x1000, 0, 0x2000, 0, 0xffff, 0),
    ...event(5, 0x1000, 0, 0x6f_6c_6c_65, 0x0a_68, 0),
    ...event(20, 0x1000, 0, 0x2000, 0, 5 | 0 << 16, 0),
  ];
  const { events } = decodeRingPage(pageOf(words, 500n), options);
  const common = { cpu: 2, pid: 9, flags: 0, preemptCount: 0, time: 500n };
  const func = 0x1000n;
  assertEquals(events, [
    { ...common, type: "funcgraph_entry", func, depth: 3 },
    { ...common, type: "funcgraph_entry", func, depth: 3, retaddr: 0x2000n },
    {
      ...common,
      type: "funcgraph_exit",
      func,
      depth: 3,
      overrun: 1,
      callTime: 100n,
      returnTime: 160n,
    },
    { ...common, type: "kernel_stack", callers: [0x1000n, 0x2000n] },
    { ...common, type: "print", ip: func, text: "elloh" },
    { ...common, type: "func_repeats", ip: func, parentIp: 0x2000n, count: 5, lastTime: 500n },
  ]);
});

Deno.test("decodeRingPage() refuses a page that ends early and an unknown event", () => {
  const page = readCapture("7.2", PAGE);
  for (const length of [0, 15, 16, 60, 111]) {
    assertThrows(
      () => decodeRingPage(page.subarray(0, length), options),
      SyntaxError,
      "ends inside",
    );
  }
  assertEquals(decodeRingPage(page.subarray(0, 112), options).events.length, 3);
  const words = [6, 211, ...FUNCTION.slice(1)];
  assertThrows(
    () => decodeRingPage(pageOf(words, 0n), options),
    SyntaxError,
    "type 211 is unknown",
  );
  const { events } = decodeRingPage(pageOf(words, 0n), {
    ...options,
    decode: (type, payload, common) => ({
      ...common,
      type: "event",
      name: `event${type}`,
      text: `${payload.byteLength}`,
    }),
  });
  assertEquals(events.map((event) => event.type === "event" && event.name), ["event211"]);
});
