/**
 * The cells that several of the kernel's text forms share: flags, times, marks and symbols.
 *
 * Each is a few characters of fixed meaning, made as `kernel/trace/trace_output.c` makes it. The
 * lines they stand in are `function_text.ts` and `graph_text.ts`.
 *
 * @module
 */
import {
  type EventCommon,
  HIDDEN_BY_RETURN_TRAMPOLINE,
  type Symbolizer,
} from "../ftrace/trace/events.ts";
import type { TraceOptions } from "../ftrace/trace/trace_options.ts";

/** Bits of `common_flags` (`include/linux/trace_events.h trace_flag_type`). */
export const TraceFlag = {
  irqsOff: 0x01,
  needReschedLazy: 0x02,
  needResched: 0x04,
  hardirq: 0x08,
  softirq: 0x10,
  preemptResched: 0x20,
  nmi: 0x40,
  bhOff: 0x80,
} as const;

/** A character and the bits it stands for; the first whose bits are all set is printed. */
type FlagColumn = readonly (readonly [character: string, bits: number])[];

const IRQS: FlagColumn = [
  ["D", TraceFlag.irqsOff | TraceFlag.bhOff],
  ["d", TraceFlag.irqsOff],
  ["b", TraceFlag.bhOff],
];
const RESCHED: FlagColumn = [
  ["B", TraceFlag.needResched | TraceFlag.preemptResched | TraceFlag.needReschedLazy],
  ["N", TraceFlag.needResched | TraceFlag.preemptResched],
  ["L", TraceFlag.needReschedLazy | TraceFlag.preemptResched],
  ["b", TraceFlag.needResched | TraceFlag.needReschedLazy],
  ["n", TraceFlag.needResched],
  ["l", TraceFlag.needReschedLazy],
  ["p", TraceFlag.preemptResched],
];
const CONTEXT: FlagColumn = [
  ["Z", TraceFlag.nmi | TraceFlag.hardirq],
  ["z", TraceFlag.nmi],
  ["H", TraceFlag.hardirq | TraceFlag.softirq],
  ["h", TraceFlag.hardirq],
  ["s", TraceFlag.softirq],
];

function flagCharacter(column: FlagColumn, flags: number): string {
  return column.find(([, bits]) => (flags & bits) === bits)?.[0] ?? ".";
}

/** Five characters: irqs, need-resched, context, preempt depth, migrate-disable (`trace_print_lat_fmt`). */
export function latencyFlags({ flags, preemptCount }: EventCommon): string {
  const nibble = (value: number) => value === 0 ? "." : value.toString(16);
  return flagCharacter(IRQS, flags) + flagCharacter(RESCHED, flags) +
    flagCharacter(CONTEXT, flags) + nibble(preemptCount & 0xf) + nibble(preemptCount >> 4 & 0xf);
}

/**
 * The flags that {@linkcode latencyFlags} prints as `text`.
 *
 * @throws {SyntaxError} If a character is none of its column's.
 */
export function parseLatencyFlags(text: string): Pick<EventCommon, "flags" | "preemptCount"> {
  const bits = [IRQS, RESCHED, CONTEXT].map((column, index) => {
    const character = text.charAt(index);
    const found = column.find(([known]) => known === character);
    if (!found && character !== ".") {
      throw new SyntaxError(`Cannot read flags "${text}": column ${index + 1} has no such value`);
    }
    return found?.[1] ?? 0;
  });
  const nibble = (character: string) => character === "." ? 0 : Number.parseInt(character, 16);
  return {
    flags: bits.reduce((all, some) => all | some, 0),
    preemptCount: nibble(text.charAt(3)) | nibble(text.charAt(4)) << 4,
  };
}

/** Nanoseconds to whole microseconds, rounded as `ns2usecs()` rounds. */
export function toMicroseconds(nanoseconds: bigint): bigint {
  return (nanoseconds + 500n) / 1000n;
}

/** Microseconds as `%5lu.%06lu` seconds. */
export function formatSeconds(microseconds: bigint): string {
  const seconds = (microseconds / 1_000_000n).toString().padStart(5);
  return `${seconds}.${(microseconds % 1_000_000n).toString().padStart(6, "0")}`;
}

const MARKS: readonly (readonly [above: bigint, mark: string])[] = [
  [1_000_000_000n, "$"],
  [100_000_000n, "@"],
  [10_000_000n, "*"],
  [1_000_000n, "#"],
  [100_000n, "!"],
  [10_000n, "+"],
];

/** The mark of a duration in nanoseconds, strictly above its bound (`trace_find_mark`). */
export function findMark(nanoseconds: bigint): string {
  return MARKS.find(([above]) => nanoseconds > above)?.[1] ?? " ";
}

/** A symbol as sym-offset and sym-addr want it (`seq_print_ip_sym`). */
export function symbolText(
  symbolizer: Symbolizer,
  address: bigint,
  options: Pick<TraceOptions, "sym-offset" | "sym-addr">,
): string {
  if (address === 0n) return "0";
  const symbol = symbolizer.symbol(address);
  let text = symbol?.name ?? `0x${address.toString(16).padStart(8, "0")}`;
  if (symbol && options["sym-offset"] && symbol.name !== HIDDEN_BY_RETURN_TRAMPOLINE) {
    text += `+0x${(address - symbol.address).toString(16)}/0x${symbol.size.toString(16)}`;
  }
  return options["sym-addr"] ? `${text} <${address.toString(16).padStart(16, "0")}>` : text;
}

/** A symbol's bare name, whatever the options (`%ps`). */
export function functionName(symbolizer: Symbolizer, address: bigint): string {
  return symbolizer.symbol(address)?.name ?? `0x${address.toString(16)}`;
}

/** Name of a task: `<idle>` for 0, `<...>` where none is known (`trace_find_cmdline`). */
export function taskName(symbolizer: Symbolizer, pid: number): string {
  return pid === 0 ? "<idle>" : symbolizer.comm(pid) ?? "<...>";
}
