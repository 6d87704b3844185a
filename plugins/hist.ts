/**
 * `hist`: how durations, arguments or return values are spread, as bars.
 *
 * Values fall into powers of two or into steps; there is a histogram for each function, caller or
 * value of an argument. The one with the most calls comes first.
 *
 * @module
 */
import {
  type BarChart,
  CALLERS_OPTION,
  createBarChart,
  defineTracer,
  type FtraceRegs,
  FUNCTIONS_OPTION,
  globMatch,
  type GraphEntry,
  type Tracer,
} from "../mod.ts";

const ARGUMENTS = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"];

/** Draws histograms of durations, arguments or return values. */
const hist: Tracer = defineTracer({
  name: "hist",
  description: "histograms of durations, arguments or return values",
  options: {
    at: FUNCTIONS_OPTION,
    of: {
      description: "what is counted: nanoseconds, what is returned, or an argument",
      default: "duration",
      choices: ["duration", "ret", ...ARGUMENTS],
    },
    by: {
      description: "one histogram for each of these, or for each combination of several",
      default: ["function"],
      choices: ["function", "caller", "all", ...ARGUMENTS],
    },
    caller: CALLERS_OPTION,
    scale: { description: "how wide buckets are", default: "log2", choices: ["log2", "linear"] },
    step: {
      description: "width of a bucket of the linear scale",
      default: 10,
      min: 1,
      integer: true,
    },
    top: {
      description: "show only so many histograms; 0: all",
      default: 10,
      min: 0,
      integer: true,
    },
  },
  example: "-p hist --set hist.at=malloc --set hist.of=a0 --set hist.by=caller --virtual ./prog",
  init(ftrace, { at, of, by, caller, scale, step, top }) {
    const histograms = new Map<string, BarChart>();
    const nameOf = (address: bigint) => ftrace.symbol(address) ?? `0x${address.toString(16)}`;
    const partOf = (kind: string, { func, parentIp }: GraphEntry, fregs: FtraceRegs): string => {
      if (kind === "all") return "all";
      if (kind === "function") return nameOf(func);
      if (kind === "caller") return `from ${nameOf(parentIp)}`;
      return `${kind} = ${BigInt.asIntN(64, fregs.argument(ARGUMENTS.indexOf(kind)))}`;
    };
    const add = (key: string, value: bigint) => {
      let histogram = histograms.get(key);
      if (!histogram) {
        histogram = createBarChart(scale === "log2" ? scale : BigInt(step));
        histograms.set(key, histogram);
      }
      histogram.add(value);
    };
    const argument = ARGUMENTS.indexOf(of);
    const registered = ftrace.registerFtraceGraph({
      name: "hist",
      ...(at.length > 0 ? { filter: at } : { hash: ftrace.globalHash }),
      entryFunc(entry, fregs) {
        const from = () => ftrace.symbol(entry.parentIp) ?? "";
        if (caller.length > 0 && !globMatch(caller, from())) return false;
        const key = by.map((kind) => partOf(kind, entry, fregs)).join(" ") || "all";
        if (argument >= 0) add(key, BigInt.asIntN(64, fregs.argument(argument)));
        else entry.data = key;
        return argument < 0;
      },
      retFunc({ data, unwound, returnTime, callTime, returnValue }) {
        if (unwound) return;
        const value = of === "ret" ? BigInt.asIntN(64, returnValue) : returnTime - callTime;
        add(data as string, value);
      },
    });
    return {
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        const sorted = [...histograms].sort(([, a], [, b]) => b.count - a.count);
        const shown = top || sorted.length;
        const unit = of === "duration" ? " ns" : "";
        for (const [key, histogram] of sorted.slice(0, shown)) {
          const { count, total } = histogram;
          const calls = count === 1 ? "1 call" : `${count} calls`;
          ftrace.print(`\n${key}: ${of} of ${calls}, average ${total / BigInt(count)}${unit}`);
          for (const line of histogram.lines()) ftrace.print(line);
        }
        if (sorted.length === 0) ftrace.print("hist: nothing was counted");
        if (sorted.length > shown) {
          ftrace.print(`\n${sorted.length - shown} more; --set hist.top=0 shows them all`);
        }
      },
    };
  },
});
export default hist;
