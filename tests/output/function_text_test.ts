import { assertEquals } from "@std/assert";
import type { TraceEvent } from "../../lib/ftrace/trace/events.ts";
import { at, call, mark, print } from "./events.ts";

const one = call(at("open_it"), at("sys_open", 8));

Deno.test("printKernelText() prints the lines of the kernel's documentation", () => {
  const events = [
    { ...one, time: 12_000_001_000n },
    call(at("leaf"), at("timer_irq"), {
      time: 12_000_045_000n,
      cpu: 1,
      pid: 0,
      flags: 9,
      preemptCount: 1,
    }),
    call(at("next"), at("mid"), {
      time: 12_000_101_499n,
      cpu: 1,
      pid: 77,
      flags: 0x35,
      preemptCount: 2,
    }),
    call(at("next"), at("mid"), { time: 12_000_101_500n, pid: 5 }),
  ];
  assertEquals(
    print(events, "function"),
    `            demo-41      [000] .....    12.000001: open_it <-sys_open
          <idle>-0       [001] d.h1.    12.000045: leaf <-timer_irq
       kworker/1-77      [001] dNs2.    12.000101: next <-mid
           <...>-5       [000] .....    12.000102: next <-mid
`,
  );
  assertEquals(
    print(events.slice(2), "function", { "record-tgid": true, "irq-info": false }),
    `       kworker/1-77      (     40) [001]     12.000101: next <-mid
           <...>-5       (-------) [000]     12.000102: next <-mid
`,
  );
});

Deno.test("printKernelText() prints symbols as sym-offset and sym-addr say", () => {
  const text = (options: Parameters<typeof print>[2], event: TraceEvent = one) =>
    print([event], "function", { ...options, "context-info": false }).trimEnd();
  assertEquals(text({ "sym-offset": true }), "open_it+0x0/0x100 <-sys_open+0x8/0x100");
  assertEquals(
    text({ "sym-addr": true }),
    "open_it <0000000000001500> <-sys_open <0000000000001608>",
  );
  assertEquals(
    text({ "sym-offset": true, "sym-addr": true }),
    "open_it+0x0/0x100 <0000000000001500> <-sys_open+0x8/0x100 <0000000000001608>",
  );
  assertEquals(text({ "print-parent": false }), "open_it");
  assertEquals(text({}, { ...one, parentIp: 0n }), "open_it");
  assertEquals(text({}, { ...one, ip: 0n, parentIp: 0xabcn }), "0 <-0x00000abc");
  assertEquals(text({}, { ...one, args: "fd=0x3" }), "open_it(fd=0x3) <-sys_open");
});

Deno.test("printKernelText() gives a symbol hidden by a return trampoline no offset", () => {
  const name = "[unknown/kretprobe'd]";
  const symbolizer = {
    symbol: (address: bigint) => ({ name: address === 9n ? name : "f", address: 0n, size: 16n }),
    comm: () => undefined,
  };
  const options = { "sym-offset": true, "context-info": false };
  assertEquals(
    print([call(2n, 9n)], "function", options, { symbolizer }),
    `f+0x2/0x10 <-${name}\n`,
  );
});

Deno.test("printKernelText() prints repeats, markers and system calls", () => {
  const repeats = { ...one, type: "func_repeats", count: 4, lastTime: 11_999_999_000n } as const;
  const { ip: _ip, text: _text, ...common } = mark("");
  const args = [
    ...[{ name: "fd", value: 9n }, { name: "buf", value: 0x7f00n }, { name: "count", value: 10n }],
  ];
  const events: readonly TraceEvent[] = [
    repeats,
    mark("hello\nthere"),
    mark("ended\n"),
    { ...common, type: "sys_enter", name: "read", args },
    { ...common, type: "sys_exit", name: "read", returnValue: 1n },
    { ...common, type: "event", name: "e8", text: "(f+0x8/0xf0) fd=0x3" },
  ];
  const lines = print(events, "function", { "context-info": false }).split("\n");
  assertEquals(lines, [
    "open_it <-sys_open (repeats: 4, last_ts:    11.999999)",
    "tracing_mark_write: hello",
    "there",
    "tracing_mark_write: ended",
    "sys_read(fd: 9, buf: 0x7f00, count: 0xa)",
    "sys_read -> 0x1",
    "e8: (f+0x8/0xf0) fd=0x3",
    "",
  ]);
  const old = print(events.slice(3, 4), "nop", { "context-info": false }, { release: "6.12" });
  assertEquals(old, "sys_read(fd: 9, buf: 7f00, count: a)\n");
  assertEquals(print([mark("hello")], "nop", { "printk-msg-only": true }), "hello\n");
});

Deno.test("printKernelText() prints bare numbers with raw, hex and bin", () => {
  const repeats = { ...one, type: "func_repeats", count: 4, lastTime: 11_999_999_999n } as const;
  const events = [one, repeats, mark("hi")];
  assertEquals(
    print(events, "function", { raw: true }),
    `41 0 12000000000 1500 1608
41 0 12000000000 5376 5640 4 1
41 0 12000000000 # 1700 hi
`,
  );
  const context = "00000029 00000000 00000002cb417800 ";
  assertEquals(
    print(events, "function", { hex: true }),
    `${context}0000000000001500 0000000000001608 
${context}type: 20

${context}type: 5

`,
  );
  const bin = print([one], "function", { bin: true, hex: true, raw: true });
  assertEquals(
    [...bin].map((character) => character.charCodeAt(0)),
    [
      ...[41, 0, 0, 0, 0, 0, 0, 0],
      ...[0x00, 0x78, 0x41, 0xcb, 2, 0, 0, 0],
      ...[0, 0x15, 0, 0, 0, 0, 0, 0],
      ...[8, 0x16, 0, 0, 0, 0, 0, 0],
    ],
  );
});

Deno.test("printKernelText() prints latency-format with the delay to the next event of any CPU", () => {
  const events = [
    { ...one, time: 5_000_000n },
    call(at("next"), at("mid"), { time: 5_010_000n, cpu: 1, pid: 77, flags: 1 }),
    { ...one, time: 5_110_001n },
    { ...one, time: 5_215_000n },
  ];
  assertEquals(
    print(events, "function", { "latency-format": true }, { timeStart: 4_000_000n }),
    `    demo-41        0..... 1000us : open_it <-sys_open
kworker/-77        1d.... 1010us+: next <-mid
    demo-41        0..... 1110us!: open_it <-sys_open
    demo-41        0..... 1215us : open_it <-sys_open
`,
  );
  assertEquals(
    print(events.slice(0, 2), "function", { "latency-format": true, verbose: true }),
    `            demo      41   0 0 00000000 00000001 [00001388] 5.000ms (+0.010ms): open_it <-sys_open
       kworker/1      77   1 1 00000000 00000002 [00001392] 5.010ms (+0.000ms): next <-mid
`,
  );
});

Deno.test("printKernelText() prints a counting clock's times as they are", () => {
  const settings = { clock: "counter" } as const;
  assertEquals(
    print([{ ...one, time: 8408n }], "function", {}, settings),
    "            demo-41      [000] .....         8408: open_it <-sys_open\n",
  );
  assertEquals(
    print([{ ...one, time: 8408n }], "function", { "latency-format": true }, settings),
    "    demo-41        0..... 8408: open_it <-sys_open\n",
  );
});
