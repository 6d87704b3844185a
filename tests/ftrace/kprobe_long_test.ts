import { assertEquals } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { Kprobe } from "../../lib/ftrace/probes/kprobe.ts";
import { traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;

for (const [name, args] of [["calls_p84", []], ["posix_p84", ["numbers"]]] as const) {
  for (const era of ERAS) {
    Deno.test({
      name:
        `${name} runs the same with tens of thousands of kprobes, in its C library too (${era})`,
      ignore: !Deno.env.has("HARTRACE_LONG"),
      async fn() {
        const plain = await traced(name, { era }, { args });
        const expected = await plain.run();
        const { machine, ftrace, run, output } = await traced(name, { era }, { args });
        const probes: Kprobe[] = [];
        const refused = new Set<string>();
        for (const { address, size } of machine.symbols.functions) {
          for (let at = address; at < address + size; at += 2n) {
            const kp: Kprobe = { at };
            try {
              ftrace.registerKprobe(kp);
              probes.push(kp);
            } catch (error) {
              if (!(error instanceof FtraceError)) throw error;
              const { code, reason } = error;
              refused.add(code === "EINVAL" ? `${code} ${reason}` : code);
            }
          }
        }
        assertEquals(probes.length > 30_000, true);
        // There are some thousand instructions more than slots: refused, and nothing else is.
        assertEquals(
          [...refused].sort(),
          era === "regs"
            ? ["EILSEQ", "EINVAL on-reject-list", "ENOMEM"]
            : ["EILSEQ", "EINVAL on-ftrace-slot", "EINVAL on-reject-list", "ENOMEM"],
        );
        assertEquals(await run(), expected);
        assertEquals(output(), plain.output());
        const [instret, hits] = [
          machine.harts[0]!.instret,
          probes.reduce((sum, kp) => sum + ftrace.kprobes.of(kp)!.nhit, 0),
        ];
        assertEquals(instret, plain.machine.harts[0]!.instret);
        assertEquals(hits > Number(instret) / 4, true);
      },
    });
  }
}
