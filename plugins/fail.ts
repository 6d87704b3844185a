/**
 * `fail`: makes chosen calls of a function fail: they return at once with a value of your choice.
 *
 * Which calls is a matter of counting (`nth`, `every`), of chance (`probability`, from the seed) and
 * of who calls (`caller`); calls from elsewhere are not counted. The function's body does not run.
 *
 * @module
 */
import {
  CALLERS_OPTION,
  defineTracer,
  ERRNO,
  type Ftrace,
  globMatch,
  type Tracer,
} from "../mod.ts";

/** Makes chosen calls return an error instead of running. */
const fail: Tracer = defineTracer({
  name: "fail",
  description: "fault injection: chosen calls return an error instead of running",
  options: {
    at: { description: "functions to fail, globs between blanks, !GLOB for not", default: [] },
    return: { description: "what they return: a number, NULL, -1, or -ENOMEM", default: "-ENOMEM" },
    errno: { description: "what errno becomes, for a C library: ENOMEM or a number", default: "" },
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
    caller: CALLERS_OPTION,
    quiet: { description: "report the sum only", default: false },
  },
  example: "-p fail --set fail.at=malloc --set fail.return=NULL --set fail.errno=ENOMEM" +
    " --set fail.nth=3 --set fail.caller=parse --virtual ./prog",
  init(ftrace, options) {
    const { at, nth, every, times, probability, caller } = options;
    if (at.length === 0) {
      throw new RangeError("Cannot inject failures: write --set fail.at=FUNCTION");
    }
    const value = numberOf("fail.return", options.return);
    const errno = options.errno === "" ? undefined : numberOf("fail.errno", options.errno);
    checkCallers(ftrace, caller);
    const { guest } = ftrace;
    let calls = 0, failed = 0;
    let saidErrno = false;
    const registered = ftrace.registerFtraceFunction({
      name: "fail",
      filter: at,
      flags: ftrace.flags.IPMODIFY,
      func(ip, parentIp, _ops, fregs) {
        const from = () => ftrace.symbol(parentIp) ?? "";
        if (caller.length > 0 && !globMatch(caller, from())) return;
        calls++;
        if (times > 0 && failed >= times) return;
        if (nth > 0 && calls !== nth) return;
        if (every > 0 && calls % every !== 0) return;
        if (probability < 1 && guest.random() >= probability) return;
        failed++;
        fregs.overrideWithReturn(value);
        if (errno !== undefined) {
          if (guest.errno === undefined && !saidErrno) {
            ftrace.report("[fail] Cannot set errno: the program has none that is known by symbol");
            saidErrno = true;
          }
          guest.errno = Number(errno);
        }
        if (options.quiet) return;
        const place = guest.symbolText(parentIp);
        ftrace.print(
          `fail: ${ftrace.symbol(ip)} from ${place} returned ${options.return} (call ${calls})`,
        );
      },
    });
    return {
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        const from = caller.length === 0 ? "" : ` from ${caller.join(" ")}`;
        ftrace.print(`fail: ${failed} of ${calls} calls of ${at.join(" ")}${from} failed`);
      },
    };
  },
});
export default fail;

/** Reads `NULL`, a number in C's notation, or an error's name with or without a sign. */
function numberOf(option: string, text: string): bigint {
  const [, sign, rest] = /^([+-]?)(.+)$/.exec(text.trim()) ?? [];
  const known = rest === "NULL" ? 0 : ERRNO[rest ?? ""];
  if (known === undefined && !/^(0x[0-9a-f]+|\d+)$/i.test(rest ?? "")) {
    const close = Object.keys(ERRNO).slice(0, 40).join(", ");
    throw new RangeError(
      `Cannot set ${option} to "${text}": it takes a number, NULL, or an error such as ${close}`,
    );
  }
  const number = BigInt(known ?? rest!);
  return sign === "-" ? -number : number;
}

function checkCallers(ftrace: Ftrace, callers: readonly string[]): void {
  const { functions } = ftrace.machine.symbols;
  for (const glob of callers.map((text) => text.replace(/^!/, ""))) {
    if (functions.some(({ name }) => globMatch(glob, name))) continue;
    throw new RangeError(`Cannot fail calls from ${glob}: the program has no such function`);
  }
}
