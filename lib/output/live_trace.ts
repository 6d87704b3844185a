/**
 * What the kernel's text needs to know of a live trace: names for addresses, counts for the header.
 *
 * How the text is made is `kernel_text.ts`; where it goes is up to the caller.
 *
 * @module
 */
import { HIDDEN_BY_RETURN_TRAMPOLINE, type Symbolizer } from "../ftrace/trace/events.ts";
import type { Ftrace } from "../ftrace/ftrace.ts";
import { TRACING_MARK_WRITE } from "../ftrace/trace/trace_array.ts";
import { clockCountsNanoseconds } from "../ftrace/trace/trace_clock.ts";
import type { RingBuffer } from "../ftrace/trace/ring_buffer.ts";
import type { KernelTextSettings } from "./kernel_header.ts";
import type { TraceOptions } from "../ftrace/trace/trace_options.ts";

/** Bytes of a page of guest memory. */
const PAGE = 4096n;

/** Names for the addresses and tasks of a live trace. */
export function symbolizerOf(
  { machine, core, kretprobes, traceOptions }: Ftrace,
): Symbolizer {
  const trampolines: Readonly<Record<string, bigint | undefined>> = {
    tracing_mark_write: TRACING_MARK_WRITE,
    ...core.area.trampolines.symbols,
    [HIDDEN_BY_RETURN_TRAMPOLINE]: kretprobes.trampoline,
  };
  const named = Object.entries(trampolines).flatMap(([name, address]) =>
    address === undefined ? [] : [{ name, address, size: 4n }]
  );
  return {
    symbol(address) {
      const found = machine.symbols.at(address);
      if (found) return found.symbol;
      return named.find((each) => each.address === address);
    },
    comm: (pid) => traceOptions.values["record-cmd"] ? machine.commOf(pid) : undefined,
    object(address) {
      const { elf, bias, executable } = machine;
      const segment = elf.segments.find((each) =>
        address - bias >= each.address && address - bias < each.address + each.size
      );
      // What is mapped from the file begins at the start of a page in both.
      const start = segment && segment.address / PAGE * PAGE + bias;
      const offset = segment && BigInt(segment.offset) / PAGE * PAGE;
      return start === undefined || offset === undefined
        ? undefined
        : { path: executable, offset: address - start + offset };
    },
    tgid: (pid) => machine.commOf(pid) === undefined ? undefined : pid,
  };
}

/**
 * Settings of the text of what `ftrace` has stored, as `tracer` prints it; of one hart, or of all. Of
 * another buffer than the trace's, if one is given: a snapshot's.
 */
export function liveTraceSettings(
  ftrace: Ftrace,
  tracer: string,
  options: TraceOptions = ftrace.traceOptions.values,
  hart?: number,
  buffer: RingBuffer = ftrace.buffer,
): KernelTextSettings {
  const { machine, era } = ftrace;
  let entriesInBuffer = 0;
  let entriesWritten = 0;
  machine.harts.forEach(({ id }) => {
    if (hart !== undefined && id !== hart) return;
    const { entries, overrun } = buffer.statistics(id);
    entriesInBuffer += entries;
    entriesWritten += entries + overrun;
  });
  return {
    tracer,
    options,
    symbolizer: symbolizerOf(ftrace),
    cpus: machine.harts.length,
    entriesInBuffer,
    entriesWritten,
    release: era.release,
    clock: clockCountsNanoseconds(ftrace.traceClock) ? "nanoseconds" : "counter",
    interruptEntries: interruptEntriesOf(ftrace),
  };
}

/** The sites, as events name them, of functions that traps lead to. */
function interruptEntriesOf({ records }: Ftrace): ReadonlySet<bigint> {
  const handlers = records.filter(({ reason }) => reason === "interrupt-handler");
  return new Set(handlers.map(({ ip }) => ip));
}
