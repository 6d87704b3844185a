/**
 * An event as filters and histograms see it, and the fields that they can name.
 *
 * Beside an event's own fields there are those common to all, and `comm` and `cpu`.
 *
 * @module
 */
import {
  COMMON_FIELDS,
  type EventField,
  type EventValue,
  type EventValues,
} from "./event_fields.ts";

/** An event, as a filter sees it. */
export interface FilterSubject {
  /** The values of the event's own fields. */
  readonly values: EventValues;
  /** `common_type`. */
  readonly type: number;
  /** `common_flags`. */
  readonly flags: number;
  /** `common_preempt_count`. */
  readonly preemptCount: number;
  /** `common_pid`. */
  readonly pid: number;
  /** The CPU that the event occurs on. */
  readonly cpu: number;
  /** Name of the task that the event occurs in. */
  readonly comm: string;
}

type Read = (subject: FilterSubject) => EventValue;

/** Fields of no record, and those common to all. */
const OTHER_FIELDS: ReadonlyMap<string, readonly [field: EventField, read: Read]> = new Map(
  ([
    ["comm", "char", (subject) => subject.comm],
    ["COMM", "char", (subject) => subject.comm],
    ["cpu", "int", (subject) => subject.cpu],
    ["CPU", "int", (subject) => subject.cpu],
    ["common_type", "", (subject) => subject.type],
    ["common_flags", "", (subject) => subject.flags],
    ["common_preempt_count", "", (subject) => subject.preemptCount],
    ["common_pid", "", (subject) => subject.pid],
  ] as readonly (readonly [string, string, Read])[]).map(([name, type, read]) => {
    const field: EventField = COMMON_FIELDS.find((each) => each.name === name) ?? {
      name,
      type,
      kind: type === "char" ? "string" : "integer",
      offset: 0,
      size: 4,
      signed: true,
      elementSize: 4,
      length: undefined,
      dynamic: false,
    };
    return [name, [field, read] as const];
  }),
);

/** The field a name means, and how it is read; undefined if there is none. */
export function findField(
  name: string,
  fields: readonly EventField[],
):
  | { readonly field: EventField; readonly read: (subject: FilterSubject) => EventValue }
  | undefined {
  const own = fields.find((field) => field.name === name);
  if (own) return { field: own, read: ({ values }) => values[name]! };
  const other = OTHER_FIELDS.get(name);
  return other && { field: other[0], read: other[1] };
}

/** A number as `kstrtoull(…, 0)` and `kstrtoll` read it: decimal, `0x…`, or octal with a leading 0. */
export function toInteger(text: string): bigint | undefined {
  const negative = text.startsWith("-");
  const digits = negative ? text.slice(1) : text;
  const octal = /^0[0-7]+$/.exec(digits);
  if (!octal && !/^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(digits)) return undefined;
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  return negative ? -value : value;
}
