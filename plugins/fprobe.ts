/**
 * `fprobe`: entry and exit of chosen functions with arguments, return value and time between.
 *
 * It shows what fprobe is for: a value kept at the entry (here the time) is there at the exit.
 *
 * @module
 */
import type { Fprobe, Tracer } from "../mod.ts";

/** The fprobe tracer. */
const fprobe: Tracer = {
  name: "fprobe",
  description: "arguments at the entry, return value and duration at the exit",
  options: {
    at: { description: "functions to probe, a glob", default: "*" },
    not: { description: "functions to leave out, a glob", default: "" },
    args: { description: "how many arguments to print, 0 to 8", default: 2 },
  },
  example: "-p fprobe --set fprobe.at='read_*' --set fprobe.args=3 ./prog",
  init(ftrace, options) {
    const count = Math.min(8, Math.max(0, Number(options["args"])));
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
    return ftrace.registerFprobe(probe, String(options["at"]), String(options["not"]));
  },
};
export default fprobe;
