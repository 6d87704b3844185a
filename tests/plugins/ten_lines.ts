import type { FtraceRegs, Tracer } from "../../mod.ts";
export default {
  name: "shop",
  init(ftrace) {
    const register = ftrace.registerFtraceFunction, flags = ftrace.flags.IPMODIFY;
    register({ filter: ["bill"], flags, hit: (_, fregs) => fregs.setArgument(0, 1n) });
    register({ filter: ["price_of"], flags, hit: (_, fregs) => fregs.overrideWithReturn(100n) });
    const once = register({ filter: ["no_discount"], flags, hit: (_, fregs) => redirect(fregs) });
    const redirect = (fregs: FtraceRegs) => {
      fregs.instructionPointer = ftrace.lookup("tenth_off")!; // runs in place of no_discount
      once.unregister(); // so the second bill gets no discount again
    };
  },
} satisfies Tracer;
