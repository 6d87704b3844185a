/**
 * `kprobe`: hits of instructions and returns of functions as the kernel's probe events, or the
 * reason why there can be no probe.
 *
 * A probe is what a line of `kprobe_events` is. Where the era refuses it, the refusal names the
 * errno, the reason and what to use instead, and the guest runs without it.
 *
 * @module
 */
import { defineTracer, type FtraceError, type KprobeEvent, type Tracer } from "../mod.ts";

/** Records hits of kprobes and kretprobes, or says why there can be none. */
const kprobe: Tracer = defineTracer({
  name: "kprobe",
  description: "hits of instructions, returns of functions, or why they cannot be probed",
  options: {
    at: {
      description: "symbol, symbol+offset or address; several between blanks",
      default: ["main"],
    },
    args: {
      description: "what to record at a hit: n=%a0:u64 text=+0(%a1):string $stack0 $comm …",
      default: "",
    },
    return: { description: "probe returns, too; then each place is a function", default: false },
    ret: { description: "what to record at a return", default: "$retval" },
    maxactive: {
      description: "most calls whose return is waited for; 0: 10",
      default: 0,
      min: 0,
      integer: true,
    },
  },
  example: "-p kprobe --set kprobe.at=bill --set kprobe.args='n=%a0:u64' --set kprobe.return=1",
  prints: "nop",
  init(ftrace, options) {
    const placed: { readonly what: string; readonly probe: KprobeEvent }[] = [];
    const place = (what: string, command: string) => {
      try {
        const probe = ftrace.kprobeEvents.write(command);
        if (!probe) return;
        probe.event.file.enabled = true;
        placed.push({ what, probe });
      } catch (error) {
        // Another copy of the package has another class, so the name decides.
        if (!(error instanceof Error) || error.name !== "FtraceError") throw error;
        const { message } = error as FtraceError;
        ftrace.report(`[kprobe] ${what.split(" ")[0]} unavailable: ${message}`);
      }
    };
    const maxactive = options.maxactive || "";
    for (const at of options.at) {
      place(`kprobe ${at}`, `p ${at} ${options.args}`);
      if (options.return) place(`kretprobe ${at}`, `r${maxactive} ${at} ${options.ret}`);
    }
    return {
      [Symbol.dispose]() {
        for (const { what, probe } of placed) {
          ftrace.print(`${what}: ${probe.nhit} hits, ${probe.nmissed} missed`);
          probe[Symbol.dispose]();
        }
      },
    };
  },
});
export default kprobe;
