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
  createBarChart,
  type FtraceRegs,
  type GraphEntry,
  type Tracer,
} from "../mod.ts";

const ARGUMENTS = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"];

/** The histogram tracer. */
const hist: Tracer = {
  name: "hist",
  description: "histograms of durations, arguments or return values",
  options: {
    at: {
      description: "functions, globs between blanks; none: those that -l and -n leave",
      default: "",
    },
    of: {
      description: "what is counted: nanoseconds, what is returned, or an argument",
      default: "duration",
      choices: ["duration", "ret", ...ARGUMENTS],
    },
    by: {
      description: "one histogram for each of these",
      default: "function",
      choices: ["function", "caller", "all", ...ARGUMENTS],
    },
    scale: { description: "how wide buckets are", default: "log2", choices: ["log2", "linear"] },
    step: { description: "width of a bucket of the linear scale", default: 10 },
    top: { description: "show only so many histograms; 0: all", default: 10 },
  },
  example: "-p hist --set hist.at=malloc --set hist.of=a0 --set hist.by=caller --virtual ./prog",
  init(ftrace, options) {
    const { at, of, by, scale } = options as Readonly<Record<"at" | "of" | "by" | "scale", string>>;
    const step = Number(options["step"]);
    if (!Number.isInteger(step) || step < 1) {
      throw new RangeError(`Cannot set hist.step to ${step}: it must be a whole number from 1 up`);
    }
    const histograms = new Map<string, BarChart>();
    const keyOf = ({ func, parentIp }: GraphEntry, fregs: FtraceRegs): string => {
      const name = (address: bigint) => ftrace.symbol(address) ?? `0x${address.toString(16)}`;
      if (by === "all") return "all";
      if (by === "function") return name(func);
      if (by === "caller") return `from ${name(parentIp)}`;
      return `${by} = ${BigInt.asIntN(64, fregs.argument(ARGUMENTS.indexOf(by)))}`;
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
      ...(at ? { filter: at.split(/[\s,]+/) } : { hash: ftrace.globalHash }),
      entryFunc(entry, fregs) {
        const key = keyOf(entry, fregs);
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
        const top = Number(options["top"]) || sorted.length;
        const unit = of === "duration" ? " ns" : "";
        for (const [key, histogram] of sorted.slice(0, top)) {
          const { count, total } = histogram;
          const calls = count === 1 ? "1 call" : `${count} calls`;
          ftrace.print(`\n${key}: ${of} of ${calls}, average ${total / BigInt(count)}${unit}`);
          for (const line of histogram.lines()) ftrace.print(line);
        }
        if (sorted.length === 0) ftrace.print("hist: nothing was counted");
        if (sorted.length > top) {
          ftrace.print(`\n${sorted.length - top} more; --set hist.top=0 shows them all`);
        }
      },
    };
  },
};
export default hist;
