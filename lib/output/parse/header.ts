/**
 * Reads the `#` lines above a trace back into settings.
 *
 * What is recognised is proved by printing it: a header that would not print again as it stands is
 * refused. Options that no header shows are the body's to tell (`parse_kernel_text.ts`).
 *
 * @module
 */
import { kernelHeader, type KernelTextSettings } from "../kernel_header.ts";
import { type TraceOptions, traceOptions } from "../../ftrace/trace/trace_options.ts";

/** What a header says, and what follows it. */
export interface ParsedHeader {
  /** The settings, complete but for what only the body tells. */
  readonly settings: Omit<KernelTextSettings, "symbolizer">;
  /** False if the text had no header (`trace_pipe`). */
  readonly present: boolean;
  /** The text below the header. */
  readonly body: string;
}

/** The width of the column title, which alone tells latency-format's columns from no columns. */
const LATENCY_TITLE = "#  cmd     pid";

/**
 * Reads the header of `text`. `release` is the kernel's where the header does not name one.
 *
 * @throws {SyntaxError} If the header is not one of the kernel's.
 */
export function parseHeader(text: string, release: string): ParsedHeader {
  const written = /^(?:#(?!####).*\n)*/.exec(text)?.[0] ?? "";
  const body = text.slice(written.length);
  // Where it was written before the counts were known, blanks are left behind them.
  const header = written.replace(/^# (?:entries-in-buffer|latency:).*$/m, (line) => line.trimEnd());
  const settings = readSettings(header, body, release);
  const symbolizer = { symbol: () => undefined, comm: () => undefined };
  if (header !== "" && kernelHeader({ ...settings, symbolizer }) !== header) {
    throw new SyntaxError(
      `Cannot read the trace's header: no kernel of release ${settings.release} prints it so`,
    );
  }
  return { settings, present: header !== "", body };
}

function readSettings(
  header: string,
  body: string,
  release: string,
): Omit<KernelTextSettings, "symbolizer"> {
  const tracer = /^# tracer: (.+)$/m.exec(header)?.[1] ?? "nop";
  const counts = /^# entries-in-buffer\/entries-written: (\d+)\/(\d+) {3}#P:(\d+)$/m.exec(header);
  const banner = readBanner(header);
  const snapshot = /^# \* Snapshot is (freed|allocated) \*$/m.exec(header)?.[1];
  const [entriesInBuffer, entriesWritten, cpus] = counts?.slice(1).map(Number) ?? banner?.counts ??
    [0, 0, 1];
  return {
    tracer,
    options: headerOptions(header, body, tracer),
    cpus: cpus!,
    entriesInBuffer: entriesInBuffer!,
    entriesWritten: entriesWritten!,
    release: banner?.release ?? release,
    ...(banner ? { latency: banner.latency } : {}),
    ...(snapshot
      ? { snapshot: { state: snapshot as "freed", perCpu: header.includes("per_cpu") } }
      : {}),
  };
}

function headerOptions(header: string, body: string, tracer: string): TraceOptions {
  const latency = / latency trace v/.test(header);
  const bare = header.split("\n").length === 3;
  const title = /^#.*FUNCTION(?: CALLS)?$/m.exec(header)?.[0];
  const shared = { "latency-format": latency, "record-tgid": header.includes("TGID") };
  if (tracer === "function_graph" && title !== undefined) {
    return traceOptions({
      ...shared,
      "funcgraph-abstime": title.includes("TIME "),
      "funcgraph-cpu": title.includes("CPU"),
      "funcgraph-proc": title.includes("TASK/PID"),
      "funcgraph-duration": title.includes("DURATION"),
    });
  }
  // Two lines and nothing more: either there are no columns to name, or nobody wants the names.
  const contextless = bare && (tracer === "function_graph" ||
    body !== "" && !/^.+-\d+ +(?:\( *(?:\d+|-+)\) )?\[\d{3,}\] /.test(body));
  return traceOptions({
    ...shared,
    "context-info": !contextless,
    verbose: bare ? !contextless : latency && !header.includes(LATENCY_TITLE),
    "irq-info": latency || bare || header.includes("irqs-off/BH-disabled") || title === undefined,
  });
}

/** The latency banner, if the header has one. */
function readBanner(header: string) {
  const first = /^# .+ latency trace v1\.1\.5 on (.+)$/m.exec(header);
  const figures =
    /^# latency: (\d+) us, #(\d+)\/(\d+), CPU#(\d+) \| \(M:(\S+) VP:0, .* #P:(\d+)\)$/m
      .exec(header);
  const task = /^# {4}\| task: (.*)-(\d+) \(uid:(\d+) nice:(-?\d+) policy:(\d+) rt_prio:(\d+)\)$/m
    .exec(header);
  if (!first || !figures || !task) return undefined;
  return {
    release: first[1]!,
    counts: [figures[2], figures[3], figures[6]].map(Number),
    latency: {
      latency: Number(figures[1]),
      cpu: Number(figures[4]),
      preemption: figures[5]!,
      task: {
        comm: task[1]!,
        pid: Number(task[2]),
        uid: Number(task[3]),
        nice: Number(task[4]),
        policy: Number(task[5]),
        rtPriority: Number(task[6]),
      },
    },
  };
}
