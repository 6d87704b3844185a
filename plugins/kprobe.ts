/**
 * `kprobe`: counts and reports hits of one instruction, or says why there can be no probe.
 *
 * With ARGS there is no full `pt_regs`, so a kprobe on the word that ftrace switches is refused; the
 * refusal names the era's errno, the reason and what to use instead, and the guest runs untraced.
 *
 * @module
 */
import type { FtraceError, Kprobe, Tracer } from "../mod.ts";

/** The kprobe tracer. */
const kprobe: Tracer = {
  name: "kprobe",
  description: "hits of one instruction, or the reason why it cannot be probed",
  options: {
    at: { description: "symbol, symbol+offset or address", default: "main" },
  },
  init(ftrace, options) {
    const at = String(options["at"]);
    let hits = 0;
    const probe: Kprobe = { at, preHandler: () => void hits++ };
    let placed: Disposable | undefined;
    try {
      placed = ftrace.registerKprobe(probe);
    } catch (error) {
      // Another copy of the package has another class, so the name decides.
      if (!(error instanceof Error) || error.name !== "FtraceError") throw error;
      const { message } = error as FtraceError;
      ftrace.report(`[kprobe] kprobe unavailable: ${message}`);
    }
    return {
      [Symbol.dispose]() {
        placed?.[Symbol.dispose]();
        if (placed) ftrace.print(`kprobe ${at}: ${hits} hits, ${probe.nmissed ?? 0} missed`);
      },
    };
  },
};
export default kprobe;
