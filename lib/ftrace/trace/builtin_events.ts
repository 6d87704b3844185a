/**
 * The events that the tracers themselves write, described as their format files describe them.
 *
 * Their numbers and layouts are part of the binary formats, and differ between kernels: a number
 * moves when a type is put in before it (`kernel/trace/trace.h`, `trace_entries.h`). They are always
 * enabled: a tracer that is in force records them.
 *
 * Events of one's own are `trace_events.ts`.
 *
 * @module
 */
import { type EventField, layoutFields } from "../../events/event_fields.ts";
import type { EventDescription } from "../../events/event_format.ts";

/** The built-in events that are described. */
export type BuiltInEventName =
  | "function"
  | "kernel_stack"
  | "print"
  | "funcgraph_exit"
  | "funcgraph_entry"
  | "user_stack"
  | "raw_data"
  | "func_repeats";

/** A built-in event, and what else its filter may ask for. */
export interface BuiltInEvent extends EventDescription {
  /** Name of the event: its folder under `events/ftrace`. */
  readonly name: BuiltInEventName;
  /** Fields that only filters and histograms see: the argument registers, a returned value. */
  readonly extra: readonly EventField[];
}

const CALLERS = Array.from({ length: 8 }, (_, k) => `(void *)REC->caller[${k}]`).join(", ");
const STACK_FORMAT = `${
  [
    "=> %ps\\n\\t=> %ps\\n\\t=> %ps\\n",
    "=> %ps\\n\\t=> %ps\\n\\t=> %ps\\n",
    "=> %ps\\n\\t=> %ps\\n",
  ]
    .map((lines) => `"\\t${lines}"`).join(" ")
}, ${CALLERS}`;

const ARGUMENTS = layoutFields(
  Object.fromEntries(Array.from({ length: 8 }, (_, k) => [`a${k}`, "unsigned long"])),
);
const RETURNED = layoutFields({ retval: "unsigned long" });

function describe(
  name: BuiltInEventName,
  id: number,
  fields: Readonly<Record<string, string>>,
  printFormat: string,
  extra: readonly EventField[] = [],
): BuiltInEvent {
  return { system: "ftrace", name, id, fields: layoutFields(fields), printFormat, extra };
}

/** The built-in events of a kernel from 6.16 on (`recent`), or of an older one. */
export function builtInEvents(recent: boolean): readonly BuiltInEvent[] {
  const depth = recent ? "%lu" : "%d";
  const exitDepth = recent ? "%u" : "%d";
  return [
    describe(
      "function",
      1,
      {
        ip: "unsigned long",
        parent_ip: "unsigned long",
        ...(recent ? { args: "unsigned long[]" } : {}),
      },
      '" %ps <-- %ps", (void *)REC->ip, (void *)REC->parent_ip',
      ARGUMENTS,
    ),
    describe("kernel_stack", 4, { size: "int", caller: "unsigned long[8]" }, STACK_FORMAT),
    describe(
      "print",
      5,
      { ip: "unsigned long", buf: "char[]" },
      '"%ps: %s", (void *)REC->ip, REC->buf',
    ),
    describe(
      "funcgraph_exit",
      10,
      {
        func: "unsigned long",
        depth: recent ? "unsigned int" : "int",
        overrun: "unsigned int",
        calltime: "unsigned long long",
        rettime: "unsigned long long",
      },
      `"<-- %ps (${exitDepth}) (start: %llx  end: %llx) over: ${exitDepth}", ` +
        "(void *)REC->func, REC->depth, REC->calltime, REC->rettime, REC->depth",
      RETURNED,
    ),
    describe(
      "funcgraph_entry",
      11,
      {
        func: "unsigned long",
        depth: recent ? "unsigned long" : "int",
        ...(recent ? { args: "unsigned long[]" } : {}),
      },
      `"--> %ps (${depth})", (void *)REC->func, REC->depth`,
      ARGUMENTS,
    ),
    describe(
      "user_stack",
      recent ? 13 : 12,
      { tgid: "unsigned int", caller: "unsigned long[8]" },
      STACK_FORMAT,
    ),
    describe(
      "raw_data",
      recent ? 19 : 18,
      { id: "unsigned int", buf: "char[]" },
      '"id:%04x %08x", REC->id, (int)REC->buf[0]',
    ),
    describe(
      "func_repeats",
      recent ? 20 : 19,
      {
        ip: "unsigned long",
        parent_ip: "unsigned long",
        count: "u16",
        top_delta_ts: "u16",
        bottom_delta_ts: "u32",
      },
      '" %ps <-%ps\\t(repeats:%u  delta: -%llu)", (void *)REC->ip, (void *)REC->parent_ip, ' +
        "REC->count, (((u64)(REC)->top_delta_ts << 32) | (REC)->bottom_delta_ts)",
    ),
  ];
}

/** The first number that an event of one's own gets: the tracers' come before. */
export function firstFreeId(recent: boolean): number {
  return recent ? 21 : 20;
}
