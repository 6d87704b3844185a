/**
 * The tracers that run beside the current one and whose results are files: the stack tracer and the
 * function profiler.
 *
 * They are the modules `stack` and `function_profile`; where nobody has given them, the files are not
 * there. Debian's kernels have no profiler, so with an era followed to the letter there is none.
 *
 * @module
 */
import { createFilterFiles } from "../ftrace/ops/filter_files.ts";
import { createHash } from "../ftrace/ops/filter.ts";
import type { Ftrace } from "../ftrace/ftrace.ts";
import { createPidFilter } from "../ftrace/ops/pid_filter.ts";
import type { Tracer, TracerReport } from "../ftrace/tracer.ts";
import { type ControlFile, type ControlFiles, parseNumber, textFile } from "./control_file.ts";
import { invalid } from "./errno.ts";
import type { TraceState } from "./trace_state.ts";

/** Makes the files of the stack tracer and of the function profiler, where these are given. */
export function reportFiles(state: TraceState): ControlFiles {
  const profiler = state.ftrace.strict ? undefined : state.tracer("function_profile");
  const stack = state.tracer("stack");
  return {
    ...(stack ? stackFiles(state, stack) : {}),
    ...(profiler ? profileFiles(state, profiler) : {}),
  };
}

/** A tracer that is switched on and off by a file. */
interface SideTracer {
  readonly on: boolean;
  switch(on: boolean): Promise<void>;
  /** Its result, the last one while it is off. */
  lines(hart?: number): readonly string[];
}

function createSideTracer(state: TraceState, tracer: Tracer, ftrace: Ftrace): SideTracer {
  let running: TracerReport | undefined;
  let last: TracerReport["lines"] = () => [];
  // Its files say what it found; at the end it has nothing to print.
  const silent: Ftrace = Object.create(ftrace, { print: { value: () => {} } });
  const stop = () => {
    running?.[Symbol.dispose]();
    running = undefined;
  };
  state.onStop(stop);
  return {
    get on() {
      return running !== undefined;
    },
    async switch(on) {
      if (on === (running !== undefined)) return;
      if (!on) return stop();
      const handle = await tracer.init(silent, state.optionsOf(tracer));
      if (!handle || !("lines" in handle)) {
        throw invalid(`Cannot start ${tracer.name}: it gives no report`);
      }
      running = handle as TracerReport;
      last = running.lines;
    },
    lines: (hart) => last(hart),
  };
}

function switchOf(what: string, side: SideTracer): ControlFile {
  return {
    read: () => side.on ? "1\n" : "0\n",
    write: (text) => text === "" ? undefined : side.switch(parseNumber(text, what) !== 0n),
  };
}

function profileFiles(state: TraceState, tracer: Tracer): ControlFiles {
  const side = createSideTracer(state, tracer, state.ftrace);
  const files: Record<string, ControlFile> = {
    function_profile_enabled: switchOf("function_profile_enabled", side),
  };
  for (const { id } of state.ftrace.machine.harts) {
    files[`trace_stat/function${id}`] = textFile(() => text(side.lines(id)));
  }
  return files;
}

function stackFiles(state: TraceState, tracer: Tracer): ControlFiles {
  const { ftrace } = state;
  const hash = createHash();
  const own: Ftrace = Object.create(ftrace, { globalHash: { value: hash } });
  const side = createSideTracer(state, tracer, own);
  const filter = createFilterFiles({
    records: ftrace.records,
    globalHash: hash,
    graphHash: createHash(),
    pids: createPidFilter(),
    commit(changed, which, next) {
      ftrace.core.commitHash(changed, which, next);
      ftrace.setFtraceFilter([]); // the graph tracer's sites follow
    },
    pidsChanged() {},
  }).files.set_ftrace_filter;
  const deepest = () => /^\s*0\)\s+(\d+)/.exec(side.lines()[2] ?? "")?.[1] ?? "0";
  const stackFile: ControlFile = {
    read() {
      const lines = side.lines();
      const nothing = deepest() === "0";
      const header = [
        "        Depth    Size   Location    (0 entries)",
        "        -----    ----   --------",
      ];
      return text([...(nothing ? header : lines), ...(nothing && !side.on ? DISABLED : [])]);
    },
  };
  return {
    stack_trace: stackFile,
    stack_max_size: {
      read: () => `${deepest()}\n`,
      async write(given) {
        if (given === "") return;
        const size = parseNumber(given, "stack_max_size");
        if (size !== 0n) {
          throw invalid(
            `Cannot set stack_max_size to ${size}: what was not measured is not there; 0 starts anew`,
          );
        }
        if (!side.on) return;
        await side.switch(false);
        await side.switch(true);
      },
    },
    stack_trace_filter: filter,
    "proc/sys/kernel/stack_tracer_enabled": switchOf("stack_tracer_enabled", side),
  };
}

/** What the file says of a tracer that was never on. */
const DISABLED = [
  "#",
  "#  Stack tracer disabled",
  "#",
  "# To enable the stack tracer, either add 'stacktrace' to the",
  "# kernel command line",
  "# or 'echo 1 > /proc/sys/kernel/stack_tracer_enabled'",
  "#",
];

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
