/**
 * What the kernel's text needs to know of a live trace: names for addresses, counts for the header.
 *
 * How the text is made is `kernel_text.ts`; where it goes is up to the caller.
 *
 * @module
 */
import { HIDDEN_BY_RETURN_TRAMPOLINE, type Symbolizer } from "../ftrace/events.ts";
import type { Ftrace } from "../ftrace/ftrace.ts";
import type { KernelTextSettings } from "./kernel_header.ts";
import type { TraceOptions } from "./trace_options.ts";

/** Names for the addresses and tasks of a live trace. */
export function symbolizerOf({ machine, core, kretprobes }: Ftrace): Symbolizer {
  const trampolines: Readonly<Record<string, bigint | undefined>> = {
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
    comm: (pid) => pid === machine.pid ? machine.comm : undefined,
  };
}

/** Settings of the text of what `ftrace` has stored, as `tracer` prints it; of one hart, or of all. */
export function liveTraceSettings(
  ftrace: Ftrace,
  tracer: string,
  options: TraceOptions,
  hart?: number,
): KernelTextSettings {
  const { buffer, machine, era } = ftrace;
  let entriesInBuffer = 0;
  let entriesWritten = 0;
  machine.harts.forEach(({ id }) => {
    if (hart !== undefined && id !== hart) return;
    const { entries, written } = buffer.statistics(id);
    entriesInBuffer += entries;
    entriesWritten += written;
  });
  return {
    tracer,
    options,
    symbolizer: symbolizerOf(ftrace),
    cpus: machine.harts.length,
    entriesInBuffer,
    entriesWritten,
    release: era.release,
  };
}
