/**
 * Probes of one's own: `kprobe_events`, `dynamic_events`, their counts, and the list of kprobes.
 *
 * A file is written line by line; lines before one that is refused are in force. `>` takes every
 * probe away first, which an enabled one refuses.
 *
 * What a definition can be is `lib/ftrace/probes/kprobe_events.ts`.
 *
 * @module
 */
import { type ControlFile, type ControlFiles, textFile } from "./control_file.ts";
import { invalid, TracefsError } from "./errno.ts";
import type { TraceState } from "./trace_state.ts";

/** Makes the files that define probes, count their hits and list them. */
export function probeFiles({ ftrace }: TraceState): ControlFiles {
  const { kprobeEvents, fprobeEvents, kprobes, era, strict } = ftrace;
  const file: ControlFile = {
    read: () => kprobeEvents.read(),
    truncate: () => kprobeEvents.clear(),
    write(text) {
      for (const line of commandsOf(text)) kprobeEvents.write(line);
    },
  };
  const dynamic: ControlFile = {
    read() {
      const all = [...kprobeEvents.events, ...fprobeEvents.events];
      // Numbers are given in order of definition.
      all.sort((a, b) => a.event.file.description.id - b.event.file.description.id);
      return all.map(({ definition }) => `${definition}\n`).join("");
    },
    truncate() {
      fprobeEvents.checkIdle();
      kprobeEvents.clear();
      fprobeEvents.clear();
    },
    write(text) {
      for (const line of commandsOf(text)) {
        const removal = removalOf(line);
        if (removal !== undefined) removeEvents(removal);
        else if (/^[te](:| |$)/.test(line)) {
          throw invalid(`Cannot define "${line}": ${NO_TRACEPOINTS}`);
        } else if (/^s(:| |$)/.test(line)) {
          throw invalid(`Cannot define "${line}": there are no synthetic events here`);
        } else if (!line.startsWith("f")) kprobeEvents.write(line);
        else if (era.hasFprobe || !strict) fprobeEvents.write(line);
        else {
          throw invalid(`Cannot define "${line}": Linux ${era.release} has no events on fprobes`);
        }
      }
    },
  };
  const removeEvents = (line: string) => {
    const found = [kprobeEvents.remove(line), fprobeEvents.remove(line)];
    if (found.includes(true)) return;
    throw new TracefsError("ENOENT", "write", `Cannot remove ${line.slice(2)}: there is none`);
  };
  return {
    kprobe_events: file,
    dynamic_events: dynamic,
    kprobe_profile: textFile(() => kprobeEvents.profile()),
    uprobe_events: {
      read: () => "",
      write(text) {
        const [first] = commandsOf(text);
        if (first === undefined) return;
        throw new TracefsError(
          "EOPNOTSUPP",
          "write",
          `Cannot place the uprobe "${first}": the guest is the only program; kprobe_events probes its functions`,
        );
      },
    },
    "sys/kernel/debug/kprobes/list": textFile(() => kprobes.list()),
  };
}

const NO_TRACEPOINTS = "a guest has no tracepoints, and no events stand on events here; " +
  "p, r and f probe its functions, and an event's trigger acts when it occurs";

/** `-:NAME …` of a line that takes events away: so written, or as a definition behind `!`. */
function removalOf(line: string): string | undefined {
  if (line.startsWith("-")) return line;
  return line.startsWith("!") ? line.replace(/^![^:\s]*/, "-") : undefined;
}

/** Lines that are commands: without comments and blank ones (`trace_parse_run_command`). */
function commandsOf(text: string): readonly string[] {
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((line) =>
    line !== ""
  );
}
