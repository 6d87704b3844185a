import { assert, assertEquals, assertThrows } from "@std/assert";
import type { LostEvents, TraceEvent } from "../../lib/ftrace/trace/events.ts";
import { bufferStatisticsText } from "../../lib/output/buffer_statistics.ts";
import { processText } from "../../lib/output/graph_text.ts";
import { encodeKernelText } from "../../lib/output/kernel_text.ts";
import { parseKernelText } from "../../lib/output/parse/kernel_text.ts";
import { TRACE_OPTIONS, traceOptionsOf } from "../../lib/ftrace/trace/trace_options.ts";
import {
  captureNames,
  type Kernel,
  KERNELS,
  printAgain,
  readCapture,
  readCaptureText,
} from "./captures.ts";

/**
 * Every file, by what is done with it. A kernel's name in front of a file's means that only that
 * kernel printed it.
 */
const FILES = {
  /** Whole texts: parsed and printed again, to the character. */
  trace: `
    events.raw_syscalls.trace events.sched.trace events.stacktrace.trace events.syscalls_read.trace
    function.fault.trace function.getpid.trace function.getppid.trace function.marker.trace
    function.null.trace function.pread.trace function.zero.trace function.overflow.trace.head
    function.opt.bin=1.trace function.opt.context-info=0.trace 7.2/function.opt.func-args=1.trace
    function.opt.func-no-repeats=1.trace function.opt.func_stack_trace=1.trace
    7.2/function.opt.funcgraph-args=1.trace function.opt.hex=1.trace function.opt.irq-info=0.trace
    function.opt.latency-format=1.trace function.opt.print-parent=0.trace function.opt.raw=1.trace
    function.opt.record-tgid=1.trace function.opt.stacktrace=1.trace function.opt.sym-addr=1.trace
    function.opt.sym-offset=1.trace function.opt.trace_printk=0.trace
    function.opt.userstacktrace=1.trace function.opt.verbose=1.trace
    graph.filter_vfs.trace graph.getpid.trace graph.getppid.trace graph.kprobe.trace
    graph.ksys_read.depth2.trace graph.ksys_read.notrace.trace graph.ksys_read.trace
    graph.marker.trace graph.null.trace graph.pread.trace graph.sched_switch.trace
    graph.thresh100.trace graph.zero.trace
    graph.opt.bin=1.trace graph.opt.context-info=0.trace graph.opt.funcgraph-abstime=1.trace
    7.2/graph.opt.funcgraph-args=1.trace graph.opt.funcgraph-cpu=0.trace
    graph.opt.funcgraph-duration=0.trace graph.opt.funcgraph-irqs=0.trace
    graph.opt.funcgraph-overhead=0.trace graph.opt.funcgraph-overrun=1.trace
    graph.opt.funcgraph-proc=1.trace graph.opt.funcgraph-tail=1.trace graph.opt.hex=1.trace
    graph.opt.irq-info=0.trace graph.opt.latency-format=1.trace graph.opt.overwrite=0.trace
    graph.opt.print-parent=0.trace graph.opt.raw=1.trace graph.opt.record-tgid=1.trace
    graph.opt.sleep-time=0.trace graph.opt.sym-addr=1.trace graph.opt.sym-offset=1.trace
    graph.opt.verbose=1.trace
    6.12/smp4.function.cpu1.trace 6.12/smp4.function.trace 6.12/smp4.graph.trace
    initial.snapshot initial.trace kprobe.trace raw.trace snapshot.after snapshot.before
    snapshot.trace.after trace_pipe`,
  /** Cut off by a line count inside a task switch: the same, but for the two lines of that block. */
  cutOff: `6.12/smp4.graph.schedule.trace`,
  /** Headings with a text below each: the same for those that are traces. */
  sections: `per_cpu.cpu0 clocks`,
  /** Read as numbers and printed again. */
  statistics: `
    function.fault.stats function.getpid.stats function.getppid.stats function.null.stats
    function.open.stats function.overflow.stats function.pipe.stats function.pread.stats
    function.zero.stats 6.12/smp4.stats`,
  /** Lines picked out of a graph by grep: no trace, so only their task names are printed again. */
  switches: `6.12/smp4.graph.markers`,
  /** Compared with the options of that release. */
  options: `initial.trace_options`,
  /** A binary page: `ring_page_test.ts`. */
  page: `raw.cpu0.trace_pipe_raw`,
} as const;

function filesOf(use: keyof typeof FILES): readonly (readonly [kernel: Kernel, name: string])[] {
  return FILES[use].trim().split(/\s+/).flatMap((entry) => {
    const [, only, name] = /^(?:(6\.12|7\.2)\/)?(.+)$/.exec(entry)!;
    return KERNELS.filter((kernel) => only === undefined || kernel === only)
      .map((kernel) => [kernel, name!] as const);
  });
}

Deno.test("FILES names every captured trace once", () => {
  for (const kernel of KERNELS) {
    const named = (Object.keys(FILES) as (keyof typeof FILES)[])
      .flatMap(filesOf).filter(([of]) => of === kernel).map(([, name]) => name);
    const elsewhere = captureNames(kernel).filter((name) => !named.includes(name));
    assertEquals([...named].sort(), captureNames(kernel).filter((name) => named.includes(name)));
    assertEquals(
      elsewhere.filter((name) => /\.trace$|\.stats$|^trace_pipe|^snapshot/.test(name)),
      [],
    );
  }
});

/** Texts whose header counts more events than follow, because only their first lines were kept. */
const CUT_BODIES = [
  ...["function.overflow.trace.head", "smp4.function.trace", "smp4.function.cpu1.trace"],
];

for (const kernel of KERNELS) {
  Deno.test(`parseKernelText() gives events that print as every text of ${kernel} again`, () => {
    for (const [of, name] of filesOf("trace")) {
      if (of !== kernel) continue;
      const bytes = readCapture(kernel, name);
      const text = readCaptureText(kernel, name);
      const parsed = parseKernelText(text, kernel);
      const printed = printAgain(parsed);
      assertEquals(printed, text, `${kernel}/${name}`);
      assertEquals(encodeKernelText(printed, parsed.settings), bytes, `${kernel}/${name}`);
      const { entriesInBuffer } = parsed.settings;
      if (entriesInBuffer === 0 || CUT_BODIES.includes(name)) continue;
      assertEquals(parsed.events.length, entriesInBuffer, `${kernel}/${name}`);
    }
  });
}

Deno.test("parseKernelText() takes a text that is cut off up to its last whole block only", () => {
  for (const [kernel, name] of filesOf("cutOff")) {
    const text = readCaptureText(kernel, name);
    assertThrows(() => parseKernelText(text, kernel), SyntaxError, "task switch is cut off");
    const whole = text.split("\n").slice(0, -3).join("\n") + "\n";
    assertEquals(printAgain(parseKernelText(whole, kernel)), whole);
  }
});

Deno.test("parseKernelText() gives events that print as each section again", () => {
  let traces = 0;
  for (const [kernel, name] of filesOf("sections")) {
    for (const section of readCaptureText(kernel, name).split(/^== /m).slice(1)) {
      const [, title, list, text] = /^(.*)\n(.*\[\w+\].*\n)?([^]*)$/.exec(section)!;
      if (title!.endsWith("buffer_size_kb")) continue;
      if (title!.endsWith("stats")) {
        assertEquals(statisticsAgain(text!), text);
        continue;
      }
      const body = text === "" ? list! : text!;
      assertEquals(printAgain(parseKernelText(body, kernel)), body, `${kernel}/${name} ${title}`);
      traces++;
    }
  }
  assertEquals(traces, 2 * 2 + 2 * 8);
});

/** The eight figures of a stats text, printed. */
function statisticsAgain(text: string): string {
  const figures = [...text.matchAll(/: +(\d+)(?:\.(\d{6}))?$/gm)]
    .map(([, whole, micros]) => Number(whole! + (micros ?? "")));
  const [entries, overrun, commitOverrun, bytes, oldest, now, dropped, read] = figures;
  return bufferStatisticsText({
    entries: entries!,
    overrun: overrun!,
    commitOverrun: commitOverrun!,
    bytes: bytes!,
    oldest: BigInt(oldest!) * 1000n,
    now: BigInt(now!) * 1000n,
    dropped: dropped!,
    read: read!,
  });
}

Deno.test("bufferStatisticsText() prints as the kernels' stats files", () => {
  for (const [kernel, name] of filesOf("statistics")) {
    for (const text of readCaptureText(kernel, name).split(/^== .*\n/m)) {
      if (text !== "") assertEquals(statisticsAgain(text), text, `${kernel}/${name}`);
    }
  }
});

Deno.test("processText() centres the tasks of every captured switch", () => {
  let switches = 0;
  for (const [kernel, name] of filesOf("switches")) {
    const lines = readCaptureText(kernel, name).split("\n").filter((line) => line.includes("=>"));
    for (const line of lines) {
      const [, cpu, ...tasks] = /^\d+: (\d+)\) +(\S+)-(\d+) +=> +(\S+)-(\d+) +$/.exec(line)!;
      const pids = [Number(tasks[1]), Number(tasks[3])] as const;
      const symbolizer = {
        symbol: () => undefined,
        comm: (pid: number) => pid === pids[0] ? tasks[0] : tasks[2],
      };
      const [before, after] = pids.map((pid) => processText(pid, symbolizer));
      assertEquals(line.replace(/^\d+:/, ""), ` ${cpu}) ${before} => ${after}`);
      switches++;
    }
  }
  assertEquals(switches, 33);
});

Deno.test("traceOptionsOf() gives the options of each kernel with its values and in its order", () => {
  for (const [kernel, name] of filesOf("options")) {
    const captured = readCaptureText(kernel, name).trim().split("\n")
      .filter((line) => !line.includes("test_nop")); // the nop tracer's own, for the kernel's tests
    const ours = traceOptionsOf(kernel).filter(({ tracer }) => tracer === undefined)
      .map((option) => option.default ? option.name : `no${option.name}`);
    assertEquals(ours, captured);
  }
  assertEquals(new Set(TRACE_OPTIONS.map(({ name }) => name)).size, TRACE_OPTIONS.length);
});

/** The fields that events have, by type: all that a parsed text may be kept in. */
const COMMON = ["cpu", "flags", "pid", "preemptCount", "time", "type"];
const FIELDS: Readonly<Record<(TraceEvent | LostEvents)["type"], readonly string[]>> = {
  function: [...COMMON, "ip", "parentIp", "args"],
  func_repeats: [...COMMON, "ip", "parentIp", "count", "lastTime"],
  funcgraph_entry: [...COMMON, "func", "depth", "args", "retaddr"],
  funcgraph_exit: [
    ...COMMON,
    ...["func", "depth", "callTime", "returnTime", "overrun", "returnValue", "unwound"],
  ],
  print: [...COMMON, "ip", "text"],
  raw_data: [...COMMON, "id", "bytes"],
  kernel_stack: [...COMMON, "callers"],
  user_stack: [...COMMON, "callers"],
  sys_enter: [...COMMON, "name", "args"],
  sys_exit: [...COMMON, "name", "returnValue"],
  event: [...COMMON, "name", "text"],
  lost: ["cpu", "type", "count"],
};

Deno.test("parseKernelText() keeps nothing of a text but the fields of its events", () => {
  const types = new Set<string>();
  for (const [kernel, name] of filesOf("trace")) {
    const { events, settings, header } = parseKernelText(readCaptureText(kernel, name), kernel);
    for (const event of events) {
      types.add(event.type);
      for (const [field, value] of Object.entries(event)) {
        assert(FIELDS[event.type].includes(field), `${event.type}.${field}`);
        const isText = typeof value === "string" && field !== "type";
        assert(
          !isText || !/ <-\w|us +\||\[\d{3}\]/.test(value),
          `${event.type}.${field}: ${value}`,
        );
      }
    }
    assertEquals(Object.keys(settings).sort().filter((key) => !SETTINGS.includes(key)), []);
    assertEquals(typeof header, "boolean");
  }
  assertEquals([...types].sort(), [
    ...["event", "funcgraph_entry", "funcgraph_exit", "function", "kernel_stack", "print"],
    ...["sys_enter", "sys_exit"],
  ]);
});

const SETTINGS = [
  ...["tracer", "options", "symbolizer", "cpus", "possibleCpus", "entriesInBuffer"],
  ...["entriesWritten", "release", "clock", "latency", "snapshot"],
];
