import type { Tracer } from "../../mod.ts";
export default {
  name: "coins",
  init(ftrace) {
    const coin = ftrace.defineEvent({
      name: "coin",
      fields: { value: "u64", caller: "void *" },
      print: "value=%llu caller=%ps",
    });
    coin.file.setFilter("value & 1"); // the kernel's filter expressions
    coin.file.writeTrigger("hist:keys=value.log2"); // and its triggers
    ftrace.registerFprobe({
      exitHandler: (_fp, _ip, caller, fregs) => coin.emit({ value: fregs.returnValue, caller }),
    }, "common_coin");
    return { [Symbol.dispose]: () => ftrace.print(coin.file.readHist()) };
  },
} satisfies Tracer;
