/**
 * The `#` lines above a trace: columns, counts, the latency banner, the snapshot's help.
 *
 * Made as `kernel/trace/trace.c` (`s_show`, `trace_default_header`, `print_snapshot_help`) and
 * `trace_functions_graph.c` (`print_graph_headers_flags`) make them. The lines below are
 * `kernel_text.ts`.
 *
 * @module
 */
import type { Symbolizer } from "../ftrace/trace/events.ts";
import { formsOf } from "../ftrace/trace/release_forms.ts";
import type { TraceOptions } from "../ftrace/trace/trace_options.ts";

/** The task and the figures that the latency banner names. */
export interface LatencyBanner {
  /** Longest latency seen, microseconds. */
  readonly latency: number;
  /** The CPU the trace is of. */
  readonly cpu: number;
  /** The preemption model, as `preempt_model_str()` has it: `desktop`, `PREEMPTLAZY`. */
  readonly preemption: string;
  /** The task that had it. */
  readonly task: {
    readonly comm: string;
    readonly pid: number;
    readonly uid: number;
    readonly nice: number;
    readonly policy: number;
    readonly rtPriority: number;
  };
}

/** What a snapshot file says instead of columns, when there is nothing in it. */
export interface SnapshotHelp {
  /** Whether the snapshot's buffer is allocated. */
  readonly state: "freed" | "allocated";
  /** Whether the file is one CPU's (`per_cpu/cpuN/snapshot`). */
  readonly perCpu: boolean;
}

/** Everything but the events that the text depends on. */
export interface KernelTextSettings {
  /** Name of the tracer; `function_graph` decides the form of the lines. */
  readonly tracer: string;
  /** The trace options (`trace_options`), which decide the columns. */
  readonly options: TraceOptions;
  /** Names of addresses and tasks. */
  readonly symbolizer: Symbolizer;
  /** CPUs that are online (`#P:`). */
  readonly cpus: number;
  /** CPUs there could be, which decides the width of the graph's CPU column; `cpus` by default. */
  readonly possibleCpus?: number;
  /** Events that can be read. */
  readonly entriesInBuffer: number;
  /** Events that can be read and those that newer ones have pushed out. */
  readonly entriesWritten: number;
  /** The kernel whose text it is, as `uname -r` has it. */
  readonly release: string;
  /** Whether times are nanoseconds, printed as seconds, or bare counts (clocks `counter`, `uptime`). */
  readonly clock?: "nanoseconds" | "counter";
  /** The time that latency-format counts from; 0 by default. */
  readonly timeStart?: bigint;
  /** For latency-format; no task and no latency by default. */
  readonly latency?: LatencyBanner;
  /** Set if this is an empty snapshot file. */
  readonly snapshot?: SnapshotHelp;
  /** Functions that interrupts enter, by address: the graph tracer draws arrows around them. */
  readonly interruptEntries?: ReadonlySet<bigint>;
}

/** No task and no latency, as the function and graph tracers leave it. */
function idleBanner(release: string): LatencyBanner {
  return {
    latency: 0,
    cpu: 0,
    preemption: formsOf(release).isLazilyPreemptible ? "PREEMPTLAZY" : "desktop",
    task: { comm: "", pid: 0, uid: 0, nice: 0, policy: 0, rtPriority: 0 },
  };
}

/** The header of a trace, each line ended. */
export function kernelHeader(settings: KernelTextSettings): string {
  const lines = [`# tracer: ${settings.tracer}`, "#"];
  if (settings.snapshot) lines.push(...snapshotHelp(settings.snapshot));
  else if (settings.options["context-info"]) lines.push(...columnLines(settings));
  return lines.map((line) => `${line}\n`).join("");
}

function columnLines(settings: KernelTextSettings): readonly string[] {
  const { options, tracer } = settings;
  const latency = options["latency-format"];
  if (latency && settings.entriesInBuffer === 0) return [];
  const banner = latency ? latencyBanner(settings) : [];
  if (tracer === "function_graph") return [...banner, ...graphColumns(options)];
  if (options.verbose) return banner;
  return latency ? [...banner, ...LATENCY_COLUMNS] : functionColumns(settings);
}

function functionColumns(settings: KernelTextSettings): readonly string[] {
  const { options, cpus, entriesInBuffer, entriesWritten } = settings;
  const tgid = options["record-tgid"];
  const counts =
    `# entries-in-buffer/entries-written: ${entriesInBuffer}/${entriesWritten}   #P:${cpus}`;
  const title = tgid ? "     TGID   " : "  ";
  const bar = tgid ? "       |    " : "  ";
  if (!options["irq-info"]) {
    return [
      counts,
      "#",
      `#           TASK-PID  ${title} CPU#     TIMESTAMP  FUNCTION`,
      `#              | |    ${bar}   |         |         |`,
    ];
  }
  const picture = `#                            ${" ".repeat(tgid ? 12 : 2)}`;
  return [
    counts,
    "#",
    `${picture}  _-----=> irqs-off/BH-disabled`,
    `${picture} / _----=> need-resched`,
    `${picture}| / _---=> hardirq/softirq`,
    `${picture}|| / _--=> preempt-depth`,
    `${picture}||| / _-=> migrate-disable`,
    `${picture}|||| /     delay`,
    `#           TASK-PID  ${title} CPU#  |||||  TIMESTAMP  FUNCTION`,
    `#              | |    ${bar}   |   |||||     |         |`,
  ];
}

/** The columns of latency-format, trailing blanks included. */
const LATENCY_COLUMNS: readonly string[] = [
  "#                    _------=> CPU#            ",
  "#                   / _-----=> irqs-off/BH-disabled",
  "#                  | / _----=> need-resched    ",
  "#                  || / _---=> hardirq/softirq ",
  "#                  ||| / _--=> preempt-depth   ",
  "#                  |||| / _-=> migrate-disable ",
  "#                  ||||| /     delay           ",
  "#  cmd     pid     |||||| time  |   caller     ",
  "#     \\   /        ||||||  \\    |    /       ",
];

function latencyBanner(settings: KernelTextSettings): readonly string[] {
  const { tracer, release, cpus, entriesInBuffer, entriesWritten } = settings;
  const { latency, cpu, preemption, task } = settings.latency ?? idleBanner(release);
  return [
    `# ${tracer} latency trace v1.1.5 on ${release}`,
    `# ${"-".repeat(68)}`,
    `# latency: ${latency} us, #${entriesInBuffer}/${entriesWritten}, CPU#${cpu} |` +
    ` (M:${preemption} VP:0, KP:0, SP:0 HP:0 #P:${cpus})`,
    "#    -----------------",
    `#    | task: ${task.comm.slice(0, 16)}-${task.pid} (uid:${task.uid} nice:${task.nice}` +
    ` policy:${task.policy} rt_prio:${task.rtPriority})`,
    "#    -----------------",
    "#",
  ];
}

function graphColumns(options: TraceOptions): readonly string[] {
  const latency = options["latency-format"];
  const columns:
    readonly (readonly [present: boolean, width: number, title: string, bar: string])[] = [
      [options["funcgraph-abstime"], 16, "     TIME       ", "      |         "],
      [options["funcgraph-cpu"], 4, " CPU", " |  "],
      [options["funcgraph-proc"], 17, "  TASK/PID       ", "   |    |        "],
      [latency, 0, "||||   ", "||||   "],
      [options["funcgraph-duration"], 0, "  DURATION   ", "   |   |      "],
    ];
  const present = columns.filter(([present]) => present);
  const indent = `#${" ".repeat(present.reduce((sum, [, width]) => sum + width, 0))}`;
  const picture = [
    `${indent}  _-----=> irqs-off        `,
    `${indent} / _----=> need-resched    `,
    `${indent}| / _---=> hardirq/softirq `,
    `${indent}|| / _--=> preempt-depth   `,
    `${indent}||| /                      `,
  ];
  const titles = present.map(([, , title]) => title).join("");
  const bars = present.map(([, , , bar]) => bar).join("");
  return [
    ...(latency ? picture : []),
    `#${titles}               FUNCTION CALLS`,
    `#${bars}               |   |   |   |`,
  ];
}

function snapshotHelp({ state, perCpu }: SnapshotHelp): readonly string[] {
  const commands = perCpu
    ? [
      "# echo 0 > snapshot : Invalid for per_cpu snapshot file.",
      "# echo 1 > snapshot : Not supported with this kernel.",
      "#                     Must use main snapshot file to allocate.",
      "# echo 2 > snapshot : Clears this cpu's snapshot buffer (but does not allocate)",
    ]
    : [
      "# echo 0 > snapshot : Clears and frees snapshot buffer",
      "# echo 1 > snapshot : Allocates snapshot buffer, if not already allocated.",
      "#                      Takes a snapshot of the main buffer.",
      "# echo 2 > snapshot : Clears snapshot buffer (but does not allocate or free)",
    ];
  return [
    "#",
    `# * Snapshot is ${state} *`,
    "#",
    "# Snapshot commands:",
    ...commands,
    "#                      (Doesn't have to be '2' works with any number that",
    "#                       is not a '0' or '1')",
  ];
}
