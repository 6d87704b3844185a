/**
 * `trace_options` and `options/`: each option of the era's kernel, as one list and as a file each.
 *
 * The list shows the options of every tracer and those of the current one; the folder has all.
 *
 * @module
 */
import {
  parseTraceOption,
  type TraceOption,
  type TraceOptionName,
  traceOptionsOf,
} from "../ftrace/trace/trace_options.ts";
import { type ControlFile, type ControlFiles, switchFile } from "./control_file.ts";
import { invalid } from "./errno.ts";
import type { TraceState } from "./trace_state.ts";

/** Options that tracer nop has to test options with: the second refuses to be changed. */
const NOP_OPTIONS = ["test_nop_accept", "test_nop_refuse"] as const;

/** Makes `trace_options` and the files of `options/`. */
export function optionFiles(state: TraceState): ControlFiles {
  const { era } = state.ftrace;
  const known = traceOptionsOf(era.release).filter(({ config }) =>
    config === undefined || isBuiltIn(config, state)
  );
  const nop = new Map<string, boolean>(NOP_OPTIONS.map((name) => [name, false]));
  const set = (name: TraceOptionName, value: boolean) => state.setOption(name, value);
  const setNop = (name: string, value: boolean) => {
    if (name === "test_nop_refuse") throw invalid(`Cannot set ${name}: it is there to refuse`);
    nop.set(name, value);
  };
  const files: Record<string, ControlFile> = {
    trace_options: {
      read: () =>
        [
          ...known
            .filter(({ tracer }) => tracer === undefined || tracer === state.currentTracer)
            .map(({ name }) => state.options[name] ? name : `no${name}`),
          ...(state.currentTracer === "nop"
            ? [...nop].map(([name, on]) => on ? name : `no${name}`)
            : []),
        ].map((line) => `${line}\n`).join(""),
      write(text) {
        const word = text.trim();
        if (text === "") return;
        const [, no, name] = /^(no)?(test_nop_.*)$/.exec(word) ?? [];
        if (name !== undefined && nop.has(name) && state.currentTracer === "nop") {
          return setNop(name, no === undefined);
        }
        const { option, value } = parseTraceOption(word, era.release);
        const inForce = option.tracer === undefined || option.tracer === state.currentTracer;
        if (!known.includes(option) || !inForce) {
          throw invalid(
            `Cannot set trace option ${option.name}: ` +
              (inForce
                ? `this kernel was built without ${option.config}`
                : `it is ${option.tracer}'s, and the tracer is ${state.currentTracer}; ` +
                  `options/${option.name} takes it at any time`),
          );
        }
        set(option.name, value);
      },
    },
  };
  for (const { name } of known) {
    files[`options/${name}`] = switchFile(
      name,
      () => state.options[name],
      (on) => set(name, on),
    );
  }
  for (const name of NOP_OPTIONS) {
    files[`options/${name}`] = switchFile(name, () => nop.get(name)!, (on) => setNop(name, on));
  }
  return files;
}

/** Whether the kernel whose era it is was built so. Debian's have BTF arguments and no more of these. */
function isBuiltIn(config: NonNullable<TraceOption["config"]>, { ftrace }: TraceState): boolean {
  return config === "PROBE_EVENTS_BTF_ARGS" || !ftrace.strict;
}
