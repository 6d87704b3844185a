import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fixture, hartrace, withFile } from "./command_line.ts";

const SAMPLE = fixture("sample_p84");

/** What is wrong with the call, and what its message must say. */
const REFUSED: readonly [what: string, args: readonly string[], code: number, says: RegExp][] = [
  ["an unknown option", ["--bogus", SAMPLE], 125, /Cannot read --bogus: there is no such option/],
  [
    "a value for a switch",
    ["--quiet=no", SAMPLE],
    125,
    /Cannot read --quiet=no: it takes no value/,
  ],
  ["an unknown letter", ["-qz", SAMPLE], 125, /Cannot read -qz: there is no such option/],
  ["an unknown tracer", ["-p", "nosuch", SAMPLE], 125, /no such tracer; there are function_graph/],
  ["an unknown era", ["--era", "7.3", SAMPLE], 125, /there are auto, regs, args, preset, call-ops/],
  ["an unknown key", ["-p", "fprobe", "--set", "fprobe.nokey=1", SAMPLE], 125, /fprobe\.nokey/],
  [
    "a setting without =",
    ["-p", "fprobe", "--set", "fprobe.at", SAMPLE],
    125,
    /Cannot .*fprobe\.at/,
  ],
  ["a glob that matches nothing", ["-l", "zzz*", SAMPLE], 125, /EINVAL: Cannot filter by "zzz\*"/],
  ["an unknown trace option", ["-O", "nosuch", SAMPLE], 125, /nosuch/],
  ["a limit that is no number", ["--limit-insns", "many", SAMPLE], 125, /limit-insns.*many/],
  ["a variable without a name", ["--env", "=HOME", SAMPLE], 125, /write --env NAME=VALUE/],
  ["a program that is not there", ["/nonexistent/prog"], 127, /there is no such file/],
  ["a folder", [fixture("")], 126, /Cannot run .*folder|directory/],
  ["an output in no folder", ["-o", "/nonexistent/t", SAMPLE], 125, /Cannot write the trace/],
  ["a root that is not there", ["--root", "/nonexistent", SAMPLE], 125, /--root/],
  ["a plugin that is not there", ["--plugin", "./nosuch.ts", SAMPLE], 125, /Cannot load .*nosuch/],
];
for (const [what, args, code, says] of REFUSED) {
  Deno.test(`main() refuses ${what} with exit code ${code}`, async () => {
    const result = await hartrace(args);
    assertEquals([result.code, result.stdout], [code, ""]);
    assertMatch(result.stderr, /^hartrace: /);
    assertMatch(result.stderr, says);
    assertEquals(result.stderr.includes("this is a bug"), false, result.stderr);
  });
}

const elf = await Deno.readFile(SAMPLE);
const changed = (at: number, value: number): Uint8Array => {
  const copy = elf.slice();
  copy[at] = value;
  return copy;
};
const oversized = elf.slice();
const headers = new DataView(oversized.buffer);
const PT_LOAD = 1;
let load = 64;
while (headers.getUint32(load, true) !== PT_LOAD) load += 56;
headers.setBigUint64(load + 40, 1n << 40n, true);
const FILES: readonly [what: string, bytes: Uint8Array, says: RegExp][] = [
  ["a truncated ELF", elf.subarray(0, 300), /offset 0x/],
  ["an ELF cut in its header", elf.subarray(0, 20), /offset 0x/],
  ["an ELF for x86-64", changed(18, 62), /e_machine at offset 0x12.*x86-64/],
  ["a 32-bit ELF", changed(4, 1), /e_ident|EI_CLASS/],
  ["an ELF that wants 1 TiB", oversized, /beyond 4 GiB/],
  ["an empty file", new Uint8Array(), /ELF/],
];
for (const [what, bytes, says] of FILES) {
  Deno.test(`main() refuses ${what} with exit code 126`, () =>
    withFile("prog", bytes, async (path) => {
      const { code, stderr } = await hartrace([path]);
      assertEquals(code, 126);
      assertStringIncludes(stderr, path);
      assertMatch(stderr, says);
    }));
}

const register = (body: string) =>
  `export default { name: "mine", init(ftrace) { ftrace.registerFtraceFunction({ name: "mine", filter: ["price_of"], ${body} }); } };`;

Deno.test("main() refuses a plugin that has no default export", () =>
  withFile("plugin.ts", "export const x = 1;", async (path) => {
    const { code, stderr } = await hartrace(["--plugin", path, SAMPLE]);
    assertEquals(code, 125);
    assertMatch(stderr, /no default export; write `export default/);
  }));

Deno.test("main() refuses a plugin that does not compile, naming the module", () =>
  withFile("plugin.ts", "export default {", async (path) => {
    const { code, stderr } = await hartrace(["--plugin", path, SAMPLE]);
    assertEquals(code, 125);
    assertStringIncludes(stderr, "plugin.ts");
  }));

Deno.test("main() refuses a plugin whose init throws", () =>
  withFile(
    "plugin.ts",
    `export default { name: "mine", init() { throw new Error("no") } };`,
    async (path) => {
      const { code, stderr } = await hartrace(["--plugin", path, SAMPLE]);
      assertEquals(code, 125);
      assertMatch(stderr, /Cannot start mine: no/);
    },
  ));

for (
  const [what, body, says] of [
    ["throws", 'func() { throw new Error("oops"); }', /oops/],
    ["returns a promise", "async func() {}", /promise/],
  ] as const
) {
  Deno.test(`main() goes on without a callback that ${what}, and says so once`, () =>
    withFile("plugin.ts", register(body), async (path) => {
      const { code, stdout, stderr } = await hartrace(["--plugin", path, SAMPLE]);
      assertEquals(code, 0);
      assertMatch(stdout, /total 2115/);
      const lines = stderr.split("\n").filter((line) => line.includes("[mine]"));
      assertEquals(lines.length, 1, stderr);
      assertMatch(lines[0]!, says);
      assertMatch(lines[0]!, /price_of, call 1/);
    }));
}

Deno.test("main() refuses a trace of a program without call sites, says how to compile it, and offers --virtual", async () => {
  for (const asks of [["-p", "function_graph"], ["-l", "main"], ["-O", "sym-offset"]]) {
    const refused = await hartrace([...asks, fixture("sample_without_sites")]);
    assertEquals([refused.code, refused.stdout], [125, ""], asks.join(" "));
    assertMatch(refused.stderr, /-fpatchable-function-entry=8,4/);
    assertMatch(refused.stderr, /--virtual/);
  }
  const served = await hartrace(["--virtual", fixture("sample_without_sites")]);
  assertEquals(served.code, 0);
  assertMatch(served.stdout, /common_coin\(\);/);
});

Deno.test("main() runs a program without call sites untraced, and says so, when no trace is asked for", async () => {
  const plain = await hartrace(["-p", "nop", fixture("sample_without_sites")]);
  const { code, stdout, stderr } = await hartrace([fixture("sample_without_sites")]);
  assertEquals([code, stdout], [0, plain.stdout]);
  assertMatch(stderr, /runs untraced: it has no call sites\n[^]*-fpatchable-function-entry=8,4/);
  const quiet = await hartrace(["run", "-q", fixture("sample_without_sites")]);
  assertEquals(quiet, { ...plain, stderr: "" });
});

Deno.test("main() reads thousands, millions and thousand millions in numbers", async () => {
  for (const [text, limit] of [["0.1k", 100], ["0.0001M", 100], ["1G", undefined]] as const) {
    const { code, stderr } = await hartrace(["-p", "nop", "--limit-insns", text, SAMPLE]);
    assertEquals(code, limit === undefined ? 0 : 124, stderr);
    if (limit !== undefined) assertMatch(stderr, new RegExp(`\\b${limit}\\b`));
  }
  for (const text of ["2kk", "k", "1.5", "-1", "1e99"]) {
    const { code, stderr } = await hartrace(["--limit-insns", text, SAMPLE]);
    assertEquals(code, 125);
    assertMatch(stderr, /it must be a whole number from 1 up, as in 2000 or 2k/);
  }
});

Deno.test("main() hints at an option of its own that stands behind PROGRAM", async () => {
  const { code, stderr } = await hartrace([SAMPLE, "--stats"]);
  assertEquals(code, 0);
  assertMatch(stderr, /--stats stands behind PROGRAM and is the guest's/);
  for (const args of [["--", SAMPLE, "--stats"], ["-q", SAMPLE, "--stats"], [SAMPLE, "--guests"]]) {
    assertEquals((await hartrace(args)).stderr.includes("stands behind"), false, args.join(" "));
  }
});
