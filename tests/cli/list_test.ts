import { assertEquals, assertMatch } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { fixture, hartrace } from "./command_line.ts";

const SAMPLE = fixture("sample_p84");

Deno.test("list --why prints one answer for uses that have the same, and what to use instead", async (t) => {
  const texts: string[] = [];
  for (const era of ["regs", "args", "preset", "call-ops"]) {
    for (const more of [[], ["--strict"], ["--virtual"]]) {
      const asked = ["no_site", "too_small", "only_after", "plain_four+4"];
      const whys = asked.flatMap((name) => ["--why", name]);
      const args = ["list", "--era", era, ...more, ...whys, fixture("mixed")];
      const { code, stdout, stderr } = await hartrace(args);
      assertEquals({ code, stderr }, { code: 0, stderr: `hartrace: era ${era}: as asked\n` });
      texts.push(`$ list --era ${era} ${more.join(" ")}\n${stdout}`);
    }
  }
  await assertSnapshot(t, texts.join("\n"));
});

Deno.test("list why NAME is list --why NAME", async () => {
  const first = await hartrace(["list", "why", "square", fixture("inlined_p84")]);
  const second = await hartrace(["list", fixture("inlined_p84"), "--why", "square"]);
  assertEquals(first, second);
  assertMatch(first.stdout, /inlined everywhere/);
});

Deno.test("list --why --json prints the reports", async () => {
  const { stdout } = await hartrace([
    "list",
    "-q",
    "--json",
    "--why",
    "bill",
    fixture("sample_p84"),
  ]);
  const [report] = JSON.parse(stdout);
  assertEquals(report.name, "bill");
  assertMatch(report.address, /^0x[\da-f]+$/);
  const uses = report.answers.map(({ use }: { use: string }) => use);
  assertEquals(uses, ["trace", "graph", "kprobe", "fprobe", "livepatch", "direct"]);
});

Deno.test("list --why without a name, or for two programs, says how it is written", async () => {
  const { code, stderr } = await hartrace(["list", "why"]);
  assertEquals(code, 125);
  assertMatch(stderr, /Cannot say why: write list --why NAME \[PROGRAM\]/);
  const two = await hartrace(["list", "--why", "bill", fixture("mixed"), fixture("mixed")]);
  assertEquals(two.code, 125);
});

Deno.test("list registers prints the live-register table and the functions that take a chain in t2", async (t) => {
  const { code, stdout } = await hartrace(["list", "-q", "registers", fixture("registers_p84")]);
  assertEquals(code, 0);
  await assertSnapshot(t, stdout);
});

Deno.test("--poison overwrites a register in every trampoline", async () => {
  const args = ["-q", "-p", "function", "--poison", "a0", fixture("sample_p84")];
  assertMatch((await hartrace(args)).stderr, /SIGSEGV|signal/);
  const wrong = await hartrace(["--poison", "zero", fixture("sample_p84")]);
  assertEquals(wrong.code, 125);
  assertMatch(wrong.stderr, /Cannot poison zero: it is no register that can be written/);
});

Deno.test("list --why takes globs, and exits with 1 where there is no such function", async () => {
  const known = await hartrace(["list", "-q", "--why", "*_bill", "--why", "price_of+8", SAMPLE]);
  assertEquals(known.code, 0);
  assertMatch(known.stdout, /^print_bill at 0x\w+: [^]*\nprice_of\+8 at 0x/);
  const unknown = await hartrace(["list", "-q", "--why", "bill", "--why", "nosuch", SAMPLE]);
  assertEquals([unknown.code, unknown.stderr], [1, ""]);
  assertMatch(unknown.stdout, /^bill at [^]*\nnosuch: no symbol\n/);
  assertEquals((await hartrace(["list", "-q", "--why", "nosuch_*", SAMPLE])).code, 1);
});

Deno.test("every command has a --help of its own", async () => {
  for (const command of ["list", "shell"]) {
    for (const args of [[command, "--help"], [command, "-h", SAMPLE]]) {
      const { code, stdout, stderr } = await hartrace(args);
      assertEquals([code, stderr], [0, ""], args.join(" "));
      assertMatch(
        stdout,
        new RegExp(`^hartrace ${command}: .*\n\n  deno run -A trace.ts ${command} `),
      );
    }
  }
  assertMatch((await hartrace(["run", "--help"])).stdout, /^hartrace runs a RISC-V program/);
});
