/**
 * Which functions are traced: the filter files, and the lists of what can be and is.
 *
 * What a write to a filter means is `lib/ftrace/ops/filter_files.ts`.
 *
 * @module
 */
import { type ControlFiles, parseNumber, textFile } from "./control_file.ts";
import type { TraceState } from "./trace_state.ts";

/** Makes the filter files and the lists of functions that can be and are traced. */
export function filterFiles({ ftrace }: TraceState): ControlFiles {
  const { core, functionLists: lists } = ftrace;
  return {
    ...ftrace.filterFiles.files,
    available_filter_functions: textFile(lists.available_filter_functions),
    available_filter_functions_addrs: textFile(lists.available_filter_functions_addrs),
    enabled_functions: textFile(lists.enabled_functions),
    touched_functions: textFile(lists.touched_functions),
    dyn_ftrace_total_info: textFile(lists.dyn_ftrace_total_info),
    "proc/sys/kernel/ftrace_enabled": {
      read: () => core.enabled ? "1\n" : "0\n",
      write(text) {
        if (text !== "") core.setEnabled(parseNumber(text, "ftrace_enabled") !== 0n);
      },
    },
  };
}
