import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { parseKernelText } from "../../lib/output/parse/mod.ts";
import { fixture, hartrace } from "./command_line.ts";

const CART = fixture("cart_p84");

async function lines(...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await hartrace([...args, CART]);
  assertEquals(code, 0, stderr);
  return stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

const listed = (...filter: string[]) => lines("list", "functions", "-q", ...filter);

Deno.test("list functions names C++ functions so that overloads differ, and -l takes each line back", async () => {
  const names = await listed();
  assert(names.includes("shop::Cart::add(int)"));
  assert(names.includes("shop::Cart::add(char const*)"));
  assertEquals(new Set(names).size, names.length);
  for (const name of names) assertEquals(await listed("-l", name), [name]);
});

Deno.test("-l matches a readable name, with and without parameters, and the mangled one", async () => {
  const both = ["shop::Cart::add(int)", "shop::Cart::add(char const*)"];
  assertEquals(await listed("-l", "shop::Cart::add"), both);
  assertEquals(await listed("-l", "*Cart::add*"), both);
  assertEquals(await listed("-l", "_ZN4shop4Cart3addE*"), both);
  assertEquals(await listed("-l", "_ZN4shop4Cart3addEi"), ["shop::Cart::add(int)"]);
  assertEquals(await listed("-l", "shop::Box<long,4>::at"), ["shop::Box<long, 4>::at(int)"]);
  assertEquals(await listed("-l", "shop::Box<long, 4>::* main"), [
    "main",
    "shop::Box<long, 4>::at(int)",
  ]);
  assertEquals(await listed("-l", "operator new main"), ["main", "operator new(unsigned long)"]);
  assertEquals((await listed("-l", "shop::*")).length, 9);
  assertEquals(await listed("-l", "shop::Cart::add* !*char*"), ["shop::Cart::add(int)"]);
});

Deno.test("--no-demangle and --strict show names as the file has them", async () => {
  for (const option of ["--no-demangle", "--strict"]) {
    const names = await listed(option);
    assert(names.includes("_ZN4shop4Cart3addEi"), names.join(" "));
    assert(!names.some((name) => name.includes("::")));
    const { code } = await hartrace(["list", "functions", "-q", option, "-l", "shop::*", CART]);
    assertEquals(code, 125);
  }
});

Deno.test("traces print qualified names, which parseKernelText() reads back to the character", async () => {
  const variants = [
    ["-p", "function"],
    ["-p", "function", "-O", "sym-offset", "-O", "sym-addr"],
    ["-p", "function", "-O", "func_stack_trace"],
    ["-p", "function_graph"],
    ["-p", "function_graph", "-O", "funcgraph-tail", "-O", "funcgraph-retval"],
    ["-p", "function_graph", "-O", "funcgraph-retaddr"],
  ];
  for (const args of variants) {
    const { stdout, stderr, code } = await hartrace([...args, CART]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "shop::Cart::operator unsigned long");
    assertStringIncludes(stdout, "main::{lambda(long)#1}::operator()");
    const text = stdout.slice(stdout.indexOf("# tracer:"));
    const { events, settings, header } = parseKernelText(text);
    assert(events.length > 15, args.join(" "));
    assertEquals([...printKernelText(events, settings, { header })].join(""), text, args.join(" "));
  }
});

Deno.test("control files take readable names, commands behind them, and read them back", async () => {
  const { stdout, code, stderr } = await hartrace(["shell", "-q", CART], {
    stdin: `echo 'shop::Cart::add(char const*)' 'operator new' > set_ftrace_filter
cat set_ftrace_filter
echo 'shop::Box<long, 4>::at:traceoff:3' >> set_ftrace_filter
echo 'shop::Cart::operator()' > set_graph_function
cat set_graph_function
cat set_ftrace_filter | tail -1
echo 'p:mine shop::Cart::add(int)' > kprobe_events
cat kprobe_events
`,
  });
  assertEquals(code, 0, stderr);
  assertEquals(stdout.split("\n").slice(0, 5), [
    "operator new(unsigned long)",
    "shop::Cart::add(char const*)",
    "shop::Cart::operator()(unsigned long) const",
    "shop::Box<long, 4>::at(int):traceoff:count=3",
    "p:kprobes/mine shop::Cart::add(int)",
  ]);
});

Deno.test("-g, tracers' settings and list --why take readable names", async () => {
  const graph = await lines("-g", "shop::Cart::add(int)");
  assertEquals(graph.filter((line) => line.includes("shop::Cart::add() {")).length, 1);
  const probed = await lines("-p", "fprobe", "--set", "fprobe.at=shop::Cart::operator()");
  assertEquals(probed.filter((line) => line.includes("shop::Cart::operator()(")).length, 2);
  const why = await lines("list", "-q", "--why", "shop::Cart::add(int)");
  assertStringIncludes(why[0]!, "shop::Cart::add(int) at 0x");
  const profile = await lines("-p", "function_profile");
  assert(profile.some((line) => /^ {2}shop::Box<long, 4>::at +2 /.test(line)), profile.join("\n"));
});
