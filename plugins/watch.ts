/**
 * `watch`: the calls for which a condition on arguments, return value or duration holds.
 *
 * Each is an event of its own, so the condition is a filter expression of the kernel's, what happens
 * can be one of its triggers, and beside `function_graph` the calls stand in the outline. A condition
 * that speaks of `ret` or `duration` is looked at when the call returns, with the arguments it was
 * called with.
 *
 * @module
 */
import {
  CALLERS_OPTION,
  defineTracer,
  type EventValue,
  type FieldDeclarations,
  type Ftrace,
  FUNCTIONS_OPTION,
  globMatch,
  type GraphEntry,
  type Tracer,
} from "../mod.ts";

const ARGUMENTS = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"];

/** Records calls whose arguments, return value or duration satisfy a condition. */
const watch: Tracer = defineTracer({
  name: "watch",
  description: "calls whose arguments, return value or duration satisfy a condition",
  prints: "function",
  options: {
    at: FUNCTIONS_OPTION,
    when: {
      description:
        'a filter on a0 to a7, ret, duration (ns), func, caller: a0 > 4096 && caller == "main"',
      default: "ret < 0",
    },
    caller: CALLERS_OPTION,
    args: { description: "how many arguments to print", default: 2, min: 0, max: 8, integer: true },
    trigger: {
      description: "what happens then, as in the kernel: stacktrace, traceoff:1, hist:keys=caller",
      default: "",
    },
  },
  example: "-p watch --set watch.at='read_*' --set watch.when='a2 > 4096 || ret < 0'" +
    " --set watch.trigger=stacktrace ./prog",
  init(ftrace, { at, when, caller, args, trigger }) {
    const { guest } = ftrace;
    const shown = ARGUMENTS.slice(0, args);
    const atExit = /\b(ret|duration)\b/.test(when);
    let seen = 0;
    const fields: FieldDeclarations = {
      func: "string",
      caller: "string",
      caller_ip: "void *",
      ...Object.fromEntries(ARGUMENTS.map((name) => [name, "s64"])),
      ...(atExit ? { ret: "s64", duration: "u64" } : {}),
    };
    const event = ftrace.defineEvent({
      name: "watch",
      fields,
      print(values) {
        const given = shown.map((name) => wordText(values[name]!)).join(", ");
        const end = atExit ? ` = ${wordText(values["ret"]!)} (${values["duration"]} ns)` : "";
        return `${values["func"]}(${given})${end} <-${
          guest.symbolText(BigInt(values["caller_ip"] as bigint))
        }`;
      },
    });
    event.file.setFilter(when);
    if (trigger !== "") {
      event.file.writeTrigger(/ if /.test(trigger) ? trigger : `${trigger} if ${when}`);
    }
    const look = ({ func, parentIp }: GraphEntry, words: readonly bigint[], more: object) => {
      seen++;
      const values: Record<string, EventValue> = {
        func: ftrace.symbol(func) ?? "?",
        caller: ftrace.symbol(parentIp) ?? "?",
        caller_ip: parentIp,
        ...more,
      };
      ARGUMENTS.forEach((name, n) => values[name] = words[n]!);
      event.emit(values);
    };
    const registered = ftrace.registerFtraceGraph({
      name: "watch",
      ...(at.length > 0 ? { filter: at } : { hash: ftrace.globalHash }),
      entryFunc(entry, fregs) {
        const from = () => ftrace.symbol(entry.parentIp) ?? "";
        if (caller.length > 0 && !globMatch(caller, from())) return false;
        const words = ARGUMENTS.map((_, n) => BigInt.asIntN(64, fregs.argument(n)));
        if (!atExit) look(entry, words, {});
        entry.data = words;
        return atExit;
      },
      retFunc(exit) {
        if (exit.unwound) return;
        const ret = BigInt.asIntN(64, exit.returnValue);
        const duration = exit.returnTime - exit.callTime;
        look(exit, exit.data as readonly bigint[], { ret, duration });
      },
    });
    return {
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        const hist = event.file.readHist();
        if (hist !== "") ftrace.print(hist);
        const found = isComplete(ftrace) ? event.recorded : stored(ftrace);
        ftrace.print(`watch: ${found} of ${seen} calls are in the trace: ${when}`);
      },
    };
  },
});
export default watch;

/** Whether a full buffer has pushed out nothing: what was recorded is in the trace, or its file. */
function isComplete({ buffer, machine }: Ftrace): boolean {
  return machine.harts.every(({ id }) => buffer.statistics(id).overrun === 0);
}

function stored(ftrace: Ftrace): number {
  let found = 0;
  for (const each of ftrace.events()) if (each.type === "event" && each.name === "watch") found++;
  return found;
}

/** Formats small numbers in decimal, and what looks like an address in hexadecimal. */
function wordText(value: EventValue): string {
  const word = BigInt.asIntN(64, BigInt(value as bigint));
  return word > -65536n && word < 65536n ? `${word}` : `0x${BigInt.asUintN(64, word).toString(16)}`;
}
