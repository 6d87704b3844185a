/**
 * `function_profile`: how often each function ran and how long, as `trace_stat/functionN` has it.
 *
 * A call counts at its entry and its time at its return, so a function that never returned has hits
 * and no time. s^2 is the sample variance in us², from exact sums (`kernel/trace/ftrace.c
 * function_stat_show`, after Welford).
 *
 * @module
 */
import {
  defineTracer,
  durationText,
  type GraphReturn,
  type Tracer,
  type TracerReport,
} from "../mod.ts";

interface Profile {
  hits: bigint;
  time: bigint;
  squares: bigint;
}

/** A call that has not returned, with the call around it on its stack. */
interface OpenCall {
  readonly outer: OpenCall | undefined;
  readonly profile: Profile;
  /** Nanoseconds of the traced calls inside it. */
  inner: bigint;
}

const TITLE = [
  "  Function                               Hit    Time            Avg             s^2",
  "  --------                               ---    ----            ---             ---",
];

/** Reports hits and times of each function, as the kernel's function profiler does. */
const functionProfile: Tracer = defineTracer({
  name: "function_profile",
  description: "hits, time, average and variance of each function, the slowest first",
  options: {
    "graph-time": {
      description: "count the time of traced functions that a function calls as its own",
      default: true,
    },
    thresh: { description: "hide functions whose average is below so many us", default: 0, min: 0 },
  },
  example: "-p function_profile --set function_profile.graph-time=off ./prog",
  init(ftrace, options) {
    const harts = ftrace.machine.harts.map(() => new Map<bigint, Profile>());
    /** The innermost open call of each stack. */
    const open: (OpenCall | undefined)[] = [];
    const finish = (exit: GraphReturn) => {
      const call = exit.data as OpenCall;
      const took = exit.returnTime - exit.callTime;
      if (call.outer) call.outer.inner += took;
      open[exit.stack] = call.outer;
      const { profile } = call;
      const time = options["graph-time"] ? took : took - call.inner;
      profile.time += time;
      profile.squares += time * time;
    };
    const registered = ftrace.registerFtraceGraph({
      name: "function_profile",
      hash: ftrace.globalHash,
      entryFunc(entry) {
        const profiles = harts[entry.cpu]!;
        let profile = profiles.get(entry.func);
        if (!profile) profiles.set(entry.func, profile = { hits: 0n, time: 0n, squares: 0n });
        profile.hits++;
        if (!entry.returns) return false;
        const { stack } = entry;
        entry.data = open[stack] = { outer: open[stack], profile, inner: 0n } satisfies OpenCall;
        return true;
      },
      retFunc: finish,
    });
    const thresh = BigInt(Math.round(options.thresh * 1000));
    const report: TracerReport = {
      lines: (hart) =>
        harts.flatMap((profiles, k) => {
          if (hart !== undefined && k !== hart) return [];
          const rows = [...profiles]
            .filter(([, { time, hits }]) => time / hits >= thresh)
            .sort(([, a], [, b]) => a.time === b.time ? 0 : a.time > b.time ? -1 : 1)
            .map(([ip, profile]) => row(ftrace.symbol(ip) ?? `0x${ip.toString(16)}`, profile));
          const heading = harts.length > 1 && hart === undefined ? [`# hart ${k}`] : [];
          return [...heading, ...TITLE, ...rows];
        }),
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        for (const line of report.lines()) ftrace.print(line);
      },
    };
    return report;
  },
});
export default functionProfile;

function row(name: string, { hits, time, squares }: Profile): string {
  // The formatter divides by 1000 once more: ns² to us².
  const variance = hits > 1n ? (hits * squares - time * time) / (hits * (hits - 1n) * 1000n) : 0n;
  const durations = [time, time / hits, variance].map(durationText).join("    ");
  return `  ${name.slice(0, 30).padEnd(30)}  ${hits.toString().padStart(10)}    ${durations}`;
}
