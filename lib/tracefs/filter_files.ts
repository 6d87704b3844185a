/**
 * Which functions are traced: the filter files, and the lists of what can be and is.
 *
 * What a write to a filter means is `lib/ftrace/filter_files.ts`.
 *
 * @module
 */
import { type ControlFiles, textFile } from "./control_file.ts";
import type { TraceState } from "./trace_state.ts";

/** The files. */
export function filterFiles({ ftrace }: TraceState): ControlFiles {
  const usable = ftrace.records.filter(({ kind }) => kind !== "disabled");
  const address = (value: bigint) => value.toString(16).padStart(16, "0");
  return {
    ...ftrace.filterFiles.files,
    available_filter_functions: textFile(() => usable.map(({ name }) => `${name}\n`).join("")),
    available_filter_functions_addrs: textFile(() =>
      usable.map(({ ip, name }) => `0x${address(ip).replace(/^0+/, "")} ${name}\n`).join("")
    ),
  };
}
