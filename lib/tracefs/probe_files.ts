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
import type { FprobeEvent } from "../ftrace/probes/fprobe_events.ts";
import type { TraceState } from "./trace_state.ts";

/** Makes the files that define probes, count their hits and list them. */
export function probeFiles({ ftrace }: TraceState): ControlFiles {
  const { kprobeEvents, fprobeEvents, kprobes, era, strict } = ftrace;
  const file: ControlFile = {
    read: () => kprobeEvents.read(),
    write(text, { append }) {
      if (!append) kprobeEvents.clear();
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
    write(text, { append }) {
      if (!append) {
        removeFprobes(fprobeEvents.events);
        kprobeEvents.clear();
      }
      for (const line of commandsOf(text)) {
        const [, group = "fprobes", name] = /^-:(?:([^/]+)\/)?(\S+)$/.exec(line) ?? [];
        const named = fprobeEvents.events.filter((each) =>
          each.name === name && each.group === group
        );
        if (named.length > 0) removeFprobes(named);
        else if (/^[te](:| |$)/.test(line)) {
          throw invalid(`Cannot define "${line}": ${NO_TRACEPOINTS}`);
        } else if (!line.startsWith("f")) kprobeEvents.write(line);
        else if (era.hasFprobe || !strict) fprobeEvents.write(line);
        else {throw invalid(
            `Cannot define "${line}": Linux ${era.release} has no events on fprobes`,
          );}
      }
    },
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

/** @throws {TracefsError} EBUSY if one is enabled; then all stay. */
function removeFprobes(probes: readonly FprobeEvent[]): void {
  const enabled = probes.find(({ event }) => event.file.isLive);
  if (enabled) {
    throw new TracefsError(
      "EBUSY",
      "write",
      `Cannot remove ${enabled.group}/${enabled.name}: it is enabled`,
    );
  }
  for (const probe of probes) probe[Symbol.dispose]();
}

/** Lines that are commands: without comments and blank ones (`trace_parse_run_command`). */
function commandsOf(text: string): readonly string[] {
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((line) =>
    line !== ""
  );
}
