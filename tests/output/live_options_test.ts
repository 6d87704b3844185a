import { assertEquals } from "@std/assert";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { liveTraceSettings } from "../../lib/output/live_trace.ts";
import { graph, traced, type TracedGuest } from "../ftrace/guest.ts";
import { captureNames, type Kernel, KERNELS, readCaptureText } from "./captures.ts";

const NAMES = `
  rcu_all_qs bpf_lsm_file_permission mutex_unlock fdget_pos aa_file_perm apparmor_file_permission
  security_file_permission rw_verify_area __cond_resched read_zero vfs_read ksys_read`
  .trim().split(/\s+/);

const PROTOTYPES = `
  struct file; struct cred; struct label;
  void mutex_unlock(void *lock);
  long ksys_read(unsigned int fd, char *buf, size_t count);
  void fdget_pos(unsigned int fd);
  long vfs_read(struct file *file, char *buf, size_t count, long *pos);
  int rw_verify_area(int read_write, struct file *file, const long *ppos, size_t count);
  int security_file_permission(struct file *file, int mask);
  int apparmor_file_permission(struct file *file, int mask);
  int aa_file_perm(const char *op, struct cred *subj_cred, struct label *label, struct file *file,
    unsigned int request, bool in_atomic);
  void bpf_lsm_file_permission(struct file *file, int mask);
  long read_zero(struct file *file, char *buf, size_t count, long *ppos);`;

/** The kernel's era; its walk of a stack, its way of doing a read. */
const ERA = { "6.12": "args", "7.2": "call-ops" } as const;

/** The program of the captures (`wl`) about to read, under ftrace of a kernel. */
function reader(kernel: Kernel, reads: number): Promise<TracedGuest> {
  const args = [String(reads), ...kernel === "6.12" ? ["old"] : []];
  return traced("vfs_p84", { era: ERA[kernel], strict: true }, { name: "wl", args });
}

function textOf({ ftrace }: TracedGuest, tracer: string): string {
  return [...printKernelText(ftrace.buffer.all(), liveTraceSettings(ftrace, tracer))].join("");
}

/** A text without what no two runs share: times, durations, task numbers, addresses, blanks before them. */
function formOf(text: string): string {
  return text
    .replace(/=> handle_exception\n( => .*\n)+/g, "=> handle_exception\n") // the guest has callers
    .replaceAll(/ *[ +!#*@$] +\d+(\.\d+)? us +\|/g, " D us |")
    .replaceAll(/^ *\d+\.\d{6} \|/gm, "T |")
    .replaceAll(/ +\d+\.\d{6}: /g, " T: ")
    .replaceAll(/ +\d+us[ +!#*@$]: /g, " T: ")
    .replaceAll(/ +wl-\d+ +/g, " wl-P ")
    .replaceAll(/\((-+| *\d+)\) \[/g, "(TGID) [")
    .replaceAll("...1.", ".....") // a guest has no preempt depth
    .replaceAll(/<[0-9a-f]{16}>/g, "<A>")
    .replaceAll(/\+0x[0-9a-f]+\/0x[0-9a-f]+/g, "+O/S")
    .replaceAll(/0x[0-9a-f]{4,}/g, "0xA");
}

/** The same for the forms without text: each character of a number stands for itself. */
function bareFormOf(text: string, option: string): string {
  const body = text.replace(/^(#.*\n)+/, "");
  switch (option) {
    case "bin":
      return `${body.length} bytes`;
    case "hex":
      return body.replaceAll(/[0-9a-f]/g, "x");
    default:
      return body.replaceAll(/\b[0-9a-f]+\b/g, "N");
  }
}

/** `function.opt.NAME=VALUE.trace` as the parts of its name. */
function optionFiles(kernel: Kernel, tracer: "function" | "graph") {
  return captureNames(kernel).flatMap((file) => {
    const [, of, name, value] = /^(function|graph)\.opt\.(.+)=([01])\.trace$/.exec(file) ?? [];
    return of === tracer ? [{ file, name: name!, text: value === "1" ? name! : `no${name}` }] : [];
  });
}

for (const kernel of KERNELS) {
  Deno.test(`the function tracer of ${kernel} prints live what was captured with each option`, async () => {
    const files = optionFiles(kernel, "function");
    assertEquals(files.length, kernel === "6.12" ? 16 : 18);
    for (const { file, name, text } of files) {
      const guest = await reader(kernel, 3);
      const { ftrace } = guest;
      ftrace.declarePrototypes(PROTOTYPES);
      ftrace.traceOptions.write(text);
      ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, filter: ["vfs_read"] });
      await guest.run();
      assertEquals(guest.output(), "3\n");
      const live = textOf(guest, "function"), captured = readCaptureText(kernel, file);
      if (name === "raw" || name === "hex" || name === "bin") {
        assertEquals(bareFormOf(live, name), bareFormOf(captured, name), file);
      } else assertEquals(formOf(live), formOf(captured), file);
    }
  });

  Deno.test(`the graph tracer of ${kernel} prints live what was captured with each option`, async () => {
    const files = optionFiles(kernel, "graph");
    assertEquals(files.length, kernel === "6.12" ? 21 : 22);
    for (const { file, text } of files) {
      const guest = await reader(kernel, 2);
      const { ftrace } = guest;
      ftrace.declarePrototypes(PROTOTYPES);
      ftrace.traceOptions.write(text);
      ftrace.setFtraceFilter(NAMES);
      graph(ftrace);
      await guest.run();
      assertEquals(
        formOf(textOf(guest, "function_graph")),
        formOf(readCaptureText(kernel, file)),
        file,
      );
    }
  });

  Deno.test(`set_graph_notrace, max_graph_depth and the filter give live what ${kernel} gave`, async () => {
    const cases = [
      { file: "graph.ksys_read.depth2.trace", reads: 3, depth: 2, first: true },
      { file: "graph.ksys_read.notrace.trace", reads: 2, notrace: "rw_verify_area" },
    ];
    for (const { file, reads, depth = 0, notrace, first } of cases) {
      const guest = await reader(kernel, reads);
      const { ftrace } = guest;
      ftrace.setFtraceFilter(first ? NAMES : NAMES.filter((name) => name !== "mutex_unlock"));
      ftrace.graph.maxDepth = depth;
      const { files } = ftrace.filterFiles;
      if (notrace !== undefined) files.set_graph_notrace.write(`${notrace}\n`);
      const only = readCaptureText(kernel, "graph.ksys_read.set_graph_function");
      // The captures begin with the end of a write that was open when tracing began.
      if (!first) {
        files.set_graph_function.write(only);
        assertEquals(files.set_graph_function.read(), only);
      }
      graph(ftrace);
      await guest.run();
      assertEquals(
        formOf(textOf(guest, "function_graph")),
        formOf(readCaptureText(kernel, file)),
        file,
      );
    }
  });

  Deno.test(`tracing_thresh records ends only, named, as in ${kernel}'s capture`, async () => {
    const guest = await reader(kernel, 1);
    const { ftrace } = guest;
    const untouched = await reader(kernel, 1);
    graph(untouched.ftrace);
    await untouched.run();
    const exits = [...untouched.ftrace.events()].flatMap((event) =>
      event.type === "funcgraph_exit" ? [event] : []
    );
    const durations = exits.map(({ returnTime, callTime }) => Number(returnTime - callTime));
    const threshold = [...durations].sort((a, b) => b - a)[4]!;
    ftrace.tracingThresh = threshold / 1000;
    graph(ftrace);
    await guest.run();
    const kept = [...ftrace.events()];
    assertEquals(kept.map(({ type }) => type), Array(5).fill("funcgraph_exit"));
    const lines = textOf(guest, "function_graph").split("\n").filter((line) => /^ 0\)/.test(line));
    const captured = readCaptureText(kernel, "graph.thresh100.trace").split("\n")
      .filter((line) => /^ 0\) [ +!#*@$] .*\}/.test(line));
    const form = /^ 0\) [ +!#*@$] \d+(\.\d+)? us +\| {2}( {2})*\} \/\* \w+ \*\/$/;
    assertEquals([...lines, ...captured].filter((line) => !form.test(line)), []);
    assertEquals(lines.length, 5);
  });
}
