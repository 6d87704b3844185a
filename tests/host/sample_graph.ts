/**
 * The embedded sample under the graph tracer, as a library does it: no file, no command line.
 *
 * It is bundled for Node and for a page in a browser, whose texts are compared with Deno's.
 *
 * @module
 */
import { sampleProgram } from "../../lib/cli/sample_program.ts";
import { liveTraceSettings, printKernelText } from "../../lib/output/mod.ts";
import { createFtrace, createMachine } from "../../mod.ts";

/** What the guest prints, and the trace. */
export async function sampleGraph(): Promise<string> {
  const decoder = new TextDecoder();
  let printed = "";
  const machine = createMachine(sampleProgram(), {
    stdout: (data) => void (printed += decoder.decode(data)),
  });
  const ftrace = createFtrace(machine);
  const { entryFunc, retFunc } = ftrace.graph;
  ftrace.registerFtraceGraph({ entryFunc, retFunc, hash: ftrace.globalHash });
  const outcome = await machine.run();
  const settings = liveTraceSettings(ftrace, "function_graph");
  const text = [...printKernelText(ftrace.buffer.all(), settings)].join("");
  machine[Symbol.dispose]();
  return `${printed}${JSON.stringify(outcome)}\n${text}`;
}
