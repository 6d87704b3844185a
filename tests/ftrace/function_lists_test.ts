import { assertEquals, assertMatch } from "@std/assert";
import type { EraName } from "../../lib/ftrace/era.ts";
import functionTracer from "../../plugins/function.ts";
import graphTracer from "../../plugins/function_graph.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

const TRUTH = new URL("../ground_truth/", import.meta.url);
const truth = (name: string) => Deno.readTextFile(new URL(name, TRUTH));
const ERA_OF: Readonly<Record<string, EraName>> = { "6.12": "args", "7.2": "call-ops" };

for (const release of ["6.12", "7.2"]) {
  for (
    const [file, tracer] of [
      ["function.all.enabled_functions.head", functionTracer],
      ["graph.enabled_functions.head", graphTracer],
      ["graph.filter_vfs.enabled_functions", graphTracer],
    ] as const
  ) {
    Deno.test(`enabled_functions is what Linux ${release} printed in ${file}`, async () => {
      // A head ends with the count of all lines.
      const text = (await truth(`${release}/${file}`)).replace(/^\d+ enabled_functions\n$/m, "");
      const names = text.split("\n").flatMap((line) => /^(\S+) \(/.exec(line)?.[1] ?? []);
      const { ftrace } = tracedFirmware(makeFirmware(names.map((name) => ({ name }))), {
        era: ERA_OF[release]!,
      });
      await tracer.init(ftrace, {});
      assertEquals(ftrace.functionLists.enabled_functions(), text);
      assertEquals(ftrace.functionLists.touched_functions(), text);
    });
  }

  Deno.test(`lists are empty at first, and dyn_ftrace_total_info has the lines of Linux ${release}`, async () => {
    const { ftrace } = tracedFirmware(makeFirmware([{ name: "a" }, { name: "b" }]), {
      era: ERA_OF[release]!,
    });
    const { functionLists: lists } = ftrace;
    assertEquals(lists.enabled_functions(), await truth(`${release}/initial.enabled_functions`));
    assertEquals(lists.touched_functions(), await truth(`${release}/initial.touched_functions`));
    const numbersAway = (text: string) => text.replace(/^\d+ pages:\d+ groups: \d+/, "N");
    assertEquals(
      numbersAway(lists.dyn_ftrace_total_info()),
      numbersAway(await truth(`${release}/initial.dyn_ftrace_total_info`)),
    );
    assertMatch(lists.dyn_ftrace_total_info(), /^2 pages:1 groups: 1\n/);
  });
}

const guest = (era: EraName) =>
  tracedFirmware(makeFirmware([{ name: "a" }, { name: "b" }, { name: "c" }]), { era });

Deno.test("enabled_functions counts users, and two of them have no ops of the site's own", () => {
  const { ftrace } = guest("call-ops");
  ftrace.registerFtraceFunction({ name: "mine", func: function seen() {}, filter: ["a", "b"] });
  ftrace.registerFtraceFunction({ func() {}, filter: ["b"] });
  const [a, b, ...rest] = ftrace.functionLists.enabled_functions().split("\n");
  assertEquals(a, "a (1)       O   \tops: mine+0x0/0x100 (seen+0x0/0x4)");
  assertEquals(b, "b (2)           ");
  assertEquals(rest, [""]);
});

Deno.test("touched_functions keeps functions that nobody traces any more, with their count", () => {
  const { ftrace } = guest("args");
  const registration = ftrace.registerFtraceFunction({ func() {}, filter: ["a", "c"] });
  registration.unregister();
  assertEquals(ftrace.functionLists.enabled_functions(), "");
  assertEquals(
    ftrace.functionLists.touched_functions(),
    "a (0)           \nc (0)           \n",
  );
});

Deno.test("enabled_functions marks R, I, D, O and M, and names what is called directly", () => {
  for (
    const [era, expected] of [
      ["regs", ["a (1) R     ", "b (1)   I     M ", "c (1) R   D   M \n\tdirect-->target+0x"]],
      ["args", ["a (1)           ", "b (1)   I     M ", "c (1)     D   M \n\tdirect-->target+0x"]],
      ["call-ops", [
        "a (1)       O   \tops: regs+0x0/0x100 (func+0x0/0x4)",
        "b (1)   I   O M \tops: ip+0x0/0x100 (func+0x0/0x4)",
        "c (1)     D O M \tops: direct+0x0/0x100 (call_direct_funcs+0x0/0x4)\n\tdirect-->target+0x",
      ]],
    ] as const
  ) {
    const program = makeFirmware(
      [{ name: "a" }, { name: "b" }, { name: "c" }],
      "",
      "target: jr t0",
    );
    const { ftrace } = tracedFirmware(program, { era });
    const { IPMODIFY, SAVE_REGS_IF_SUPPORTED } = ftrace.flags;
    const func = () => {};
    ftrace.registerFtraceFunction({
      name: "regs",
      func,
      flags: SAVE_REGS_IF_SUPPORTED,
      filter: ["a"],
    });
    ftrace.registerFtraceFunction({ name: "ip", func, flags: IPMODIFY, filter: ["b"] });
    ftrace.registerFtraceDirect({ name: "direct", filter: ["c"] }, ftrace.lookup("target")!);
    const text = ftrace.functionLists.enabled_functions();
    const lines = text.split(/\n(?!\t)/);
    expected.forEach((line, k) => assertEquals(lines[k]!.slice(0, line.length), line, era));
  }
});

Deno.test("a pid filter shows ftrace_pid_func in place of the callback", async () => {
  const { ftrace } = guest("call-ops");
  await functionTracer.init(ftrace, {});
  ftrace.filterFiles.files.set_ftrace_pid.write("1");
  assertMatch(
    ftrace.functionLists.enabled_functions(),
    /^a \(1\) {7}O {3}\tops: global_ops\+0x0\/0x3e8 \(ftrace_pid_func\+0x0\/0x4\)\n/,
  );
});

Deno.test("available_filter_functions_addrs has the site's ip: the entry, or four behind it", () => {
  for (const [era, offset] of [["args", 0n], ["call-ops", 4n]] as const) {
    const { ftrace } = guest(era);
    const { available_filter_functions, available_filter_functions_addrs } = ftrace.functionLists;
    assertEquals(available_filter_functions(), "a\nb\nc\n");
    const first = ftrace.lookup("a")! + offset;
    assertEquals(available_filter_functions_addrs().split("\n")[0], `0x${first.toString(16)} a`);
  }
});
