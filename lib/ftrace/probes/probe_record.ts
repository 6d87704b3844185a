/**
 * Events of probes as they are recorded and printed: the fields that say where, and the arguments.
 *
 * @module
 */
import type { EventValue, FieldDeclarations } from "../../events/event_fields.ts";
import { type FindSymbol, symbolText } from "../../events/event_format.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import type { EventDefinition } from "../trace/trace_events.ts";
import type { ProbeArg } from "./probe_args.ts";

/** Values of an event by field. */
export type ProbeValues = Readonly<Record<string, EventValue>>;

const NOTHING: ReadonlyMap<number, bigint> = new Map();

/** The values of arguments now; `entry` is what {@linkcode keepArguments} kept. */
export function fetchArgs(
  args: readonly ProbeArg[],
  regs: PtRegs,
  entry: ReadonlyMap<number, bigint> = NOTHING,
): ProbeValues {
  const from = { regs, entry };
  return Object.fromEntries(args.map((arg) => [arg.name, arg.fetch(from)]));
}

/** Indices of the function's arguments that a return needs from its entry, each once. */
export function keptArguments(args: readonly ProbeArg[]): readonly number[] {
  return [...new Set(args.flatMap(({ keeps }) => keeps))];
}

/** Keeps arguments at an entry, a word each, where they last until the return. */
export function keepArguments(args: readonly ProbeArg[], regs: PtRegs, data: DataView): void {
  keptArguments(args).forEach((index, k) =>
    data.setBigUint64(8 * k, BigInt.asUintN(64, args[0]!.argument(index, regs)))
  );
}

/** What was kept at the entry, by index. */
export function keptAt(
  kept: readonly number[],
  data: DataView | null,
): ReadonlyMap<number, bigint> {
  return new Map(kept.map((index, k) => [index, data!.getBigUint64(8 * k)]));
}

/**
 * How the event of a probe is defined: its fields, and how it prints; `symbol` names an address. It
 * is not enabled.
 */
export function probeEventDefinition(
  group: string,
  name: string,
  isReturn: boolean,
  args: readonly ProbeArg[],
  symbol: FindSymbol,
): EventDefinition {
  const where: FieldDeclarations = isReturn
    ? { __probe_func: "unsigned long", __probe_ret_ip: "unsigned long" }
    : { __probe_ip: "unsigned long" };
  return {
    name,
    system: group,
    fields: { ...where, ...Object.fromEntries(args.map((arg) => [arg.name, arg.fieldType])) },
    packed: true,
    enabled: false,
    print(values) {
      const at = (field: string) => values[field] as bigint;
      const place = isReturn
        ? `(${symbolText(at("__probe_ret_ip"), symbol)} <- ${symbol(at("__probe_func"))?.name})`
        : `(${symbolText(at("__probe_ip"), symbol)})`;
      return place + args.map((arg) => ` ${arg.print(values[arg.name]!)}`).join("");
    },
    printFormat: probePrintFormat(isReturn, args),
  };
}

/** What a format file says of printing: the place, or both places of a return, and the arguments. */
function probePrintFormat(isReturn: boolean, args: readonly ProbeArg[]): string {
  const where = isReturn ? ["__probe_func", "__probe_ret_ip"] : ["__probe_ip"];
  const format = `"(${where.map(() => "%lx").join(" <- ")})${
    args.map((arg) => ` ${arg.format}`).join("")
  }"`;
  const values = args.flatMap((arg) => arg.formatArgs);
  return [format, ...where.map((field) => `REC->${field}`), ...values].join(", ");
}
