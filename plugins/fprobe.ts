/**
 * `fprobe`: entry and exit of chosen functions with arguments, return value and time between.
 *
 * It shows what fprobe is for: a value kept at the entry (here the time) is there at the exit.
 *
 * @module
 */
import { defineTracer, type Fprobe, type Tracer } from "../mod.ts";

/** Prints arguments, return value and duration of functions from an fprobe. */
const fprobe: Tracer = defineTracer({
  name: "fprobe",
  description: "arguments at the entry, return value and duration at the exit",
  options: {
    at: { description: "functions to probe, a glob", default: "*" },
    not: { description: "functions to leave out, a glob", default: "" },
    args: { description: "how many arguments to print", default: 2, min: 0, max: 8, integer: true },
  },
  example: "-p fprobe --set fprobe.at='read_*' --set fprobe.args=3 ./prog",
  init(ftrace, { at, not, args: count }) {
    const probe: Fprobe = {
      entryDataSize: 8,
      entryHandler(_fp, entryIp, _retIp, fregs, data) {
        data?.setBigUint64(0, ftrace.guest.now());
        const shown = Array.from(
          { length: count },
          (_, n) => `0x${fregs.argument(n).toString(16)}`,
        );
        ftrace.print(`${ftrace.symbol(entryIp)}(${shown.join(", ")})`);
      },
      exitHandler(_fp, entryIp, _retIp, fregs, data) {
        const took = ftrace.guest.now() - (data?.getBigUint64(0) ?? 0n);
        ftrace.print(
          `${ftrace.symbol(entryIp)} = 0x${fregs.returnValue.toString(16)} (${took} ns)`,
        );
      },
    };
    return ftrace.registerFprobe(probe, at, not);
  },
});
export default fprobe;
