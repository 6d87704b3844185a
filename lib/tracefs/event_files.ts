/**
 * `events/`: each event's folder, its system's, and the files that switch events by name.
 *
 * Events come and go with probes and plugins, so their files are looked up when they are asked for.
 * The tracers' own events (`events/ftrace/`) have formats in the kernel and nothing else; here they
 * can be filtered and have triggers too, unless the era is followed to the letter.
 *
 * What an event does with its filter and triggers is `lib/ftrace/trace/event_file.ts`.
 *
 * @module
 */
import { eventFormat } from "../events/event_format.ts";
import type { TraceEventFile } from "../ftrace/trace/event_file.ts";
import { createPidFile } from "../ftrace/ops/filter_files.ts";
import {
  type ControlFile,
  type ControlFiles,
  type FileGroup,
  parseNumber,
  textFile,
  wordsOf,
} from "./control_file.ts";
import { invalid } from "./errno.ts";
import type { TraceState } from "./trace_state.ts";

/** The files that are always there. */
export function eventFiles(state: TraceState): ControlFiles {
  const { ftrace } = state;
  const { traceEvents, era } = ftrace;
  const switchable = () => traceEvents.files.filter(({ isBuiltIn }) => !isBuiltIn);
  const nameOf = ({ description: { system, name } }: TraceEventFile) => `${system}:${name}\n`;
  return {
    available_events: textFile(() => switchable().map(nameOf).join("")),
    set_event: {
      read: () => switchable().filter(({ enabled }) => enabled).map(nameOf).join(""),
      write(text, { append }) {
        state.expanded = true;
        if (!append) { for (const file of switchable()) file.enabled = false; }
        for (const word of wordsOf(text)) setByName(switchable(), word);
      },
    },
    set_event_pid: createPidFile(traceEvents.pids.pids, "", () => {}),
    set_event_notrace_pid: createPidFile(traceEvents.pids.notracePids, "", () => {}),
    "events/enable": enableFile(switchable, state),
    "events/header_page": textFile(() =>
      headerPage(era.forms.hasCharOverwrite, state.subBufferKib * 1024)
    ),
    "events/header_event": textFile(() => HEADER_EVENT),
    error_log: {
      read: () => traceEvents.errorLog.read(),
      write: (_text, { append }) => append ? undefined : traceEvents.errorLog.clear(),
    },
  };
}

/** The folders of systems and events. */
export function eventFolders(state: TraceState): FileGroup {
  const { ftrace } = state;
  const { traceEvents, strict } = ftrace;
  const filesOf = (file: TraceEventFile): ControlFiles => {
    const { description, isBuiltIn } = file;
    return {
      ...(isBuiltIn ? {} : { enable: oneEnableFile(file, state) }),
      ...(isBuiltIn && strict ? {} : {
        filter: {
          read: () => `${file.filterText}\n`,
          write: (text: string) => text.trim() === "" ? undefined : file.setFilter(text.trim()),
        },
        trigger: {
          read: () => file.readTriggers(),
          // Only histograms go when the file is opened anew (`hist_unreg_all`).
          truncate() {
            for (const trigger of file.triggers) if (trigger.readHist) file.removeTrigger(trigger);
          },
          write(text: string) {
            if (text.trim() !== "") file.writeTrigger(text.trim());
          },
        },
        ...(traceEvents.offersHist ? { hist: textFile(() => file.readHist()) } : {}),
      }),
      format: textFile(() => eventFormat(description)),
      id: textFile(() => `${description.id}\n`),
    };
  };
  const systemFiles = (system: string): ControlFiles => {
    const files = () =>
      traceEvents.files.filter(({ description }) => description.system === system);
    if (files().every(({ isBuiltIn }) => isBuiltIn)) return {};
    return { enable: enableFile(files, state), filter: systemFilter(files) };
  };
  return {
    *paths() {
      const systems = new Set<string>();
      for (const file of traceEvents.files) {
        const { system, name } = file.description;
        systems.add(system);
        for (const leaf of Object.keys(filesOf(file))) yield `events/${system}/${name}/${leaf}`;
      }
      for (const system of systems) {
        for (const leaf of Object.keys(systemFiles(system))) yield `events/${system}/${leaf}`;
      }
    },
    find(path) {
      const [events, system, name, leaf, more] = path.split("/");
      if (events !== "events" || system === undefined || name === undefined || more !== undefined) {
        return undefined;
      }
      if (leaf === undefined) return own(systemFiles(system), name);
      const file = traceEvents.find(system, name);
      return file && own(filesOf(file), leaf);
    },
  };
}

function own(files: ControlFiles, name: string): ControlFile | undefined {
  return Object.hasOwn(files, name) ? files[name] : undefined;
}

/** Switches the events that a word of `set_event` names (`ftrace_set_clr_event`). */
function setByName(files: readonly TraceEventFile[], word: string): void {
  const on = !word.startsWith("!");
  const text = on ? word : word.slice(1);
  const colon = text.indexOf(":");
  const any = (part: string) => part === "" || part === "*";
  const wanted = files.filter(({ description: { system, name } }) => {
    if (colon < 0) return text === system || text === name || text === "*";
    const [of, event] = [text.slice(0, colon), text.slice(colon + 1)];
    return (any(of) || of === system) && (any(event) || event === name);
  });
  if (wanted.length === 0) {
    throw invalid(`Cannot set the event "${word}": there is none; available_events lists them`);
  }
  for (const file of wanted) file.enabled = on;
}

/** The enable file of one event: with a star while something holds it in soft mode. */
function oneEnableFile(file: TraceEventFile, state: TraceState): ControlFile {
  return {
    read: () => `${file.enableText}\n`,
    write(text) {
      if (text === "") return;
      file.enabled = zeroOrOne(text);
      state.expanded = true;
    },
  };
}

/** The enable file of several: `X` if they differ, `?` if there is none. */
function enableFile(files: () => readonly TraceEventFile[], state: TraceState): ControlFile {
  const switched = () => files().filter(({ isBuiltIn }) => !isBuiltIn);
  return {
    read() {
      const states = new Set(switched().map(({ enabled }) => enabled));
      return states.size > 1 ? "X\n" : states.size === 0 ? "?\n" : states.has(true) ? "1\n" : "0\n";
    },
    write(text) {
      if (text === "") return;
      const on = zeroOrOne(text);
      for (const file of switched()) file.enabled = on;
      state.expanded = true;
    },
  };
}

function zeroOrOne(text: string): boolean {
  const value = parseNumber(text, "enable");
  if (value > 1n) throw invalid(`Cannot set enable to ${value}: it takes 0 or 1`);
  return value === 1n;
}

/** One filter for all events of a system that have its fields. */
function systemFilter(files: () => readonly TraceEventFile[]): ControlFile {
  let last: string | undefined;
  return {
    read: () => `${last ?? "none"}\n`,
    write(given) {
      const text = given.trim();
      if (text === "") return;
      const refusals: unknown[] = [];
      let taken = 0;
      for (const file of files()) {
        try {
          file.setFilter(text);
          taken++;
        } catch (error) {
          // That event has no filter then, and its file says why.
          refusals.push(error);
        }
      }
      if (taken === 0) throw refusals[0];
      last = text === "0" ? undefined : text;
    },
  };
}

/** `header_page`: the head of a page of the binary buffer. */
function headerPage(hasCharOverwrite: boolean, size: number): string {
  const field = (type: string, name: string, offset: number, size: number, signed: number) =>
    `\tfield: ${type} ${name};\toffset:${offset};\tsize:${size};\tsigned:${signed};\n`;
  return field("u64", "timestamp", 0, 8, 0) +
    field("local_t", "commit", 8, 8, 1) +
    field(hasCharOverwrite ? "char" : "int", "overwrite", 8, 1, hasCharOverwrite ? 0 : 1) +
    field("char", "data", 16, size - 16, 0);
}

/** `header_event`: the word before each event of the binary buffer. */
const HEADER_EVENT = `# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
`;
