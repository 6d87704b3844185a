/**
 * `fail`: makes chosen calls of a function fail: they return at once with a value of your choice.
 *
 * Which calls is a matter of counting (`nth`, `every`), of chance (`probability`, from the seed) and
 * of who calls (`caller`); calls from elsewhere are not counted. The function's body does not run.
 *
 * @module
 */
import { defineTracer, FAULT_OPTIONS, injectFaults, type Tracer } from "../mod.ts";

/** Makes chosen calls return an error instead of running. */
const fail: Tracer = defineTracer({
  name: "fail",
  description: "fault injection: chosen calls return an error instead of running",
  options: {
    at: FAULT_OPTIONS.at,
    return: FAULT_OPTIONS.return,
    errno: FAULT_OPTIONS.errno,
    nth: {
      description: "fail this call alone, counted from 1",
      default: 0,
      min: 0,
      integer: true,
    },
    every: { description: "fail every so many-th call", default: 0, min: 0, integer: true },
    probability: {
      description: "fail a call with this chance, from --seed",
      default: 1,
      min: 0,
      max: 1,
    },
    times: {
      description: "fail at most so many calls; 0: no limit",
      default: 0,
      min: 0,
      integer: true,
    },
    caller: FAULT_OPTIONS.caller,
    quiet: { description: "report the sum only", default: false },
  },
  example: "-p fail --set fail.at=malloc --set fail.return=NULL --set fail.errno=ENOMEM" +
    " --set fail.nth=3 --set fail.caller=parse --virtual ./prog\n" +
    "  deno run -A trace.ts fail --each --at malloc ./prog        each call in turn: fail --help",
  init(ftrace, options) {
    const { at, nth, every, times, probability, caller, quiet } = options;
    const { guest } = ftrace;
    const faults = injectFaults(ftrace, {
      ...options,
      optionName: (key) => key === "at" ? "--set fail.at" : `fail.${key}`,
      shouldFail(number) {
        if (times > 0 && faults.failed >= times) return false;
        if (nth > 0 && number !== nth) return false;
        if (every > 0 && number % every !== 0) return false;
        return probability === 1 || guest.random() < probability;
      },
      failed({ number, name, parentIp, returned }) {
        if (quiet) return;
        const place = guest.symbolText(parentIp);
        ftrace.print(`fail: ${name} from ${place} returned ${returned} (call ${number})`);
      },
    });
    return {
      [Symbol.dispose]() {
        faults[Symbol.dispose]();
        const from = caller.length === 0 ? "" : ` from ${caller.join(" ")}`;
        ftrace.print(
          `fail: ${faults.failed} of ${faults.calls} calls of ${at.join(" ")}${from} failed`,
        );
      },
    };
  },
});
export default fail;
