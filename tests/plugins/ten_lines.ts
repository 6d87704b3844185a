import type { FtraceFunc, Tracer } from "../../mod.ts";
export default {
  name: "shop",
  init(ftrace) {
    const { IPMODIFY } = ftrace.flags;
    const on = (name: string, func: FtraceFunc) =>
      ftrace.registerFtraceFunction({ filter: [name], flags: IPMODIFY, func });
    on("bill", (_ip, _parent, _ops, fregs) => fregs.setArgument(0, 1n)); // one order only
    on("price_of", (_ip, _parent, _ops, fregs) => {
      fregs.returnValue = 100n; // whatever it would have been
      fregs.overrideWithReturn();
    });
    const once = on("no_discount", (_ip, _parent, _ops, fregs) => {
      fregs.instructionPointer = ftrace.lookup("tenth_off")!; // another function runs in its place
      once.unregister(); // the second bill gets no discount again
    });
  },
} satisfies Tracer;
