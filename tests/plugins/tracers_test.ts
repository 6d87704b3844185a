import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { builtInTracers } from "../../trace.ts";
import { fixture, hartrace, withFile } from "../cli/command_line.ts";

const SAMPLE = fixture("sample_p84");
const SETTINGS = fixture("settings_p84");
const ERAS = ["regs", "args", "preset", "call-ops"] as const;

const HEADER = `
/* What settings.c has. */
enum kind { BLANK, COMMENT, SETTING, WRONG };
struct setting { char *name; long value; struct setting *next; };
enum kind classify(const char *line);
long number(const char *text);
char *copy(const char *text, size_t length);
struct setting *parse(const char *line);
double average(long total, int count);
void not_in_the_program(int);
`;

/** What a call prints; heap and stack addresses depend on the length of the program's path. */
async function output(args: readonly string[]): Promise<string> {
  return (await hartrace(["-q", ...args])).stdout.replaceAll(/0x[0-9a-f]{5,}/g, "0x…");
}

Deno.test("function_profile prints the kernel's table when the guest has ended", async (t) => {
  await assertSnapshot(t, await output(["-p", "function_profile", SAMPLE]));
});

Deno.test("function_profile leaves out nested time and short functions when asked to", async (t) => {
  const options = [
    "--set",
    "function_profile.graph-time=off",
    "--set",
    "function_profile.thresh=0.02",
  ];
  await assertSnapshot(t, await output(["-p", "function_profile", ...options, SAMPLE]));
});

Deno.test("function_profile adds up to the time of the outermost function without nested time", async () => {
  const set = ["--set", "function_profile.graph-time=off"];
  const rows = (await output(["-p", "function_profile", ...set, SAMPLE])).split("\n")
    .flatMap((line) => /^ {2}(\w+) +(\d+) {4}([\d.]+) us/.exec(line)?.slice(1) ?? []);
  let sum = 0;
  for (let k = 2; k < rows.length; k += 3) sum += Math.round(Number(rows[k]) * 1000);
  const whole = await output(["-p", "function_profile", "-l", "program", SAMPLE]);
  assertEquals(sum, Math.round(Number(/program +1 +([\d.]+) us/.exec(whole)![1]) * 1000));
});

Deno.test("stack prints the deepest stack with the function itself and its caller", async (t) => {
  await assertSnapshot(t, await output(["-p", "stack", SETTINGS]));
});

Deno.test("stack adds sizes up to the depth when a recursion is deep", async () => {
  const text = await output(["-p", "stack", fixture("fib_p84")]);
  const rows = [...text.matchAll(/^ *\d+\) +(\d+) +(\d+) {3}(\S+)$/gm)];
  assertEquals(rows.length > 15, true);
  assertEquals(rows.reduce((sum, [, , size]) => sum + Number(size), 0), Number(rows[0]![1]));
  assertMatch(rows[0]![3]!, /^fib\+0x0\//);
  assertMatch(rows[1]![3]!, /^fib\+0x(?!0)/);
});

Deno.test("stack says at once when a call goes deeper than stack.above", async () => {
  const text = await output(["-p", "stack", "--set", "stack.above=600", SETTINGS]);
  assertMatch(text, /^stack: 608 bytes in copy, more than 600$/m);
});

Deno.test("stack reads the same depth when another trampoline and era run", async () => {
  const texts = new Set<string>();
  for (const era of ERAS) {
    for (const trampoline of ["guest", "fast"]) {
      texts.add(await output(["--era", era, "--trampoline", trampoline, "-p", "stack", SETTINGS]));
    }
  }
  // Sites of 8 bytes more before or behind an entry would move a symbol, not a frame.
  assertEquals(texts.size, 1);
});

const HISTOGRAMS: readonly (readonly string[])[] = [
  ["hist.at=price_of common_coin"],
  ["hist.at=put_text", "hist.of=a1", "hist.by=caller"],
  ["hist.at=common_coin", "hist.of=ret", "hist.by=all", "hist.scale=linear", "hist.step=100"],
  ["hist.at=price_of", "hist.by=a0", "hist.top=2"],
  ["hist.at=put_* print*", "hist.by=function caller", "hist.caller=!main print*", "hist.of=a1"],
];
for (const settings of HISTOGRAMS) {
  Deno.test(`hist prints bars for ${settings.join(" ")}`, async (t) => {
    const set = settings.flatMap((text) => ["--set", text]);
    await assertSnapshot(t, await output(["-p", "hist", ...set, SAMPLE]));
  });
}

Deno.test("args prints strings, enums, signs and doubles when a header has the prototypes", async (t) => {
  await withFile("settings.h", HEADER, async (path) => {
    await assertSnapshot(t, await output(["-p", "args", "--set", `args.file=${path}`, SETTINGS]));
  });
});

Deno.test("args prints how long a call took when asked to", async () => {
  const set = ["--set", "args.of=uint64_t price_of(const void *)", "--set", "args.time=on"];
  assertMatch(
    await output(["-p", "args", ...set, SAMPLE]),
    /^price_of\(0x…\) = 750 <4 ns>$/m,
  );
});

const FAILURES: readonly (readonly string[])[] = [
  ["fail.at=number", "fail.every=2", "fail.return=-1"],
  ["fail.at=copy", "fail.probability=0.5", "fail.return=NULL", "fail.errno=EIO"],
  ["fail.at=malloc", "fail.return=NULL", "fail.errno=12", "fail.nth=3", "fail.caller=parse"],
  ["fail.at=malloc classify", "fail.every=2", "fail.caller=parse copy load"],
  ["fail.at=parse copy", "fail.return=0", "fail.times=1", "fail.quiet=on"],
];
for (const settings of FAILURES) {
  Deno.test(`fail injects ${settings.join(" ")}`, async (t) => {
    const set = settings.flatMap((text) => ["--set", text]);
    await assertSnapshot(t, await output(["-p", "fail", "--virtual", ...set, SETTINGS]));
  });
}

Deno.test("fail gives the same failures for the same seed, and others for another", async () => {
  const of = (seed: string) => {
    const set = ["fail.at=sum classify number", "fail.probability=0.3", "fail.return=2"];
    const options = set.flatMap((text) => ["--set", text]);
    return output(["--seed", seed, "-p", "fail", ...options, SETTINGS]);
  };
  assertEquals(await of("1"), await of("1"));
  assertEquals(new Set([await of("1"), await of("2"), await of("3")]).size > 1, true);
});

Deno.test("fail counts calls from callers that match a glob alone", async () => {
  const set = ["fail.at=malloc", "fail.return=NULL", "fail.caller=[pc]*", "fail.probability=0"];
  const options = set.flatMap((text) => ["--set", text]);
  const text = await output(["-p", "fail", "--virtual", ...options, SETTINGS]);
  assertMatch(text, /^fail: 0 of 8 calls of malloc from \[pc\]\* failed$/m);
});

Deno.test("fail takes several callers and leaves out those with !", async () => {
  const counted = async (callers: string) => {
    const set = ["fail.at=malloc", "fail.return=NULL", `fail.caller=${callers}`];
    const options = [...set, "fail.probability=0"].flatMap((text) => ["--set", text]);
    const text = await output(["-p", "fail", "--virtual", ...options, SETTINGS]);
    return Number(/^fail: 0 of (\d+) calls of malloc from .* failed$/m.exec(text)![1]);
  };
  const [both, parse, copy, others] = await Promise.all(
    ["parse copy", "parse", "[pc]* !parse", "!parse !copy"].map(counted),
  );
  assertEquals(both, parse! + copy!);
  assertEquals(parse! > 0 && copy! > 0, true);
  assertEquals(await counted("*"), both! + others!);
});

Deno.test("fail refuses a caller that the program does not have, also behind !", async () => {
  for (const callers of ["parse nobody", "!nobody"]) {
    const set = ["--set", "fail.at=malloc", "--set", `fail.caller=${callers}`];
    const { code, stderr } = await hartrace(["-p", "fail", "--virtual", ...set, SETTINGS]);
    assertEquals(code, 125);
    assertStringIncludes(stderr, "Cannot fail calls from nobody: the program has no such function");
  }
});

Deno.test("watch and hist trace what a list leaves, and refuse one that leaves nothing", async () => {
  const watched = async (at: string, more: readonly string[] = []) => {
    const set = ["--set", `watch.at=${at}`, "--set", "watch.when=a0 != 0x1234", ...more];
    const text = await output(["-p", "watch", ...set, SETTINGS]);
    return new Set([...text.matchAll(/watch: (\w+)\(/g)].map(([, name]) => name));
  };
  assertEquals(await watched("[cn]* !copy"), new Set(["classify", "number"]));
  assertEquals((await watched("!copy")).has("copy"), false);
  assertEquals((await watched("!copy")).has("parse"), true);
  const callers = ["--set", "watch.caller=!parse"];
  assertEquals((await watched("!load", callers)).has("copy"), false);
  for (const plugin of ["watch", "hist"]) {
    const set = ["--set", `${plugin}.at=copy !cop?`];
    const { code, stderr } = await hartrace(["-p", plugin, ...set, SETTINGS]);
    assertEquals(code, 125);
    assertStringIncludes(stderr, 'Cannot trace "copy !cop?": nothing is left of what it matches');
  }
});

Deno.test("hist refuses a kind of histogram that there is not", async () => {
  const { code, stderr } = await hartrace(["-p", "hist", "--set", "hist.by=function who", SAMPLE]);
  assertEquals(code, 125);
  assertMatch(stderr, /Cannot set hist.by to "who": it takes function, caller, all, a0/);
});

Deno.test("fail says once that errno cannot be set when the program has none", async () => {
  const set = ["--set", "fail.at=price_of", "--set", "fail.errno=EIO", "--set", "fail.return=1"];
  const { code, stderr } = await hartrace(["-q", "-p", "fail", ...set, SAMPLE]);
  assertEquals(code, 0);
  assertEquals(stderr.match(/Cannot set errno/g)?.length, 1);
});

for (const trampoline of ["guest", "fast"]) {
  Deno.test(`fail returns through the graph's hook when both trace a function (${trampoline})`, async (t) => {
    const set = ["--set", "fail.at=parse", "--set", "fail.every=2", "--set", "fail.return=0"];
    const both = ["-p", "function_graph", "-g", "load", "--plugin", "fail", ...set];
    const text = await output(["--trampoline", trampoline, ...both, SETTINGS]);
    assertEquals(text.includes("unwound"), false);
    await assertSnapshot(t, text);
  });
}

for (
  const when of [
    'a1 > 5 && caller == "parse"',
    'ret < 0 || (ret > 1000 && caller ~ "mai*")',
    "duration >= 0x400",
    'a1 & 4 && !(func ~ "c*")',
  ]
) {
  Deno.test(`watch prints calls for which ${when}`, async (t) => {
    await assertSnapshot(t, await output(["-p", "watch", "--set", `watch.when=${when}`, SETTINGS]));
  });
}

Deno.test("watch fires a trigger of the kernel's at each call it finds", async (t) => {
  const set = ["--set", "watch.when=ret < 0", "--set", "watch.trigger=stacktrace"];
  const hist = ["--set", "watch.when=ret > 3", "--set", "watch.trigger=hist:keys=func"];
  const texts = [
    await output(["-p", "watch", ...set, SETTINGS]),
    await output(["-p", "watch", "-l", "[cn]*", ...hist, SETTINGS]),
  ];
  await assertSnapshot(t, texts.join("\n"));
});

Deno.test("watch stands in the outline when function_graph runs, and prints its own without a tracer", async (t) => {
  const set = ["--plugin", "watch", "--set", "watch.when=ret < 0"];
  const texts = [
    await output(["-p", "function_graph", "-g", "parse", ...set, SETTINGS]),
    await output([...set, SETTINGS]),
  ];
  await assertSnapshot(t, texts.join("\n"));
});

/** Settings that are wrong, and what the answer must name. */
const WRONG: readonly (readonly [tracer: string, settings: readonly string[], answer: RegExp])[] = [
  ["function_profile", ["graph-time=maybe"], /it takes true or false/],
  ["function_profile", ["thresh=x"], /it takes a number/],
  ["stack", ["above=deep"], /it takes a number/],
  ["hist", ["of=a9"], /it takes duration, ret, a0/],
  ["hist", ["step=0"], /hist.step to 0: it must be a whole number from 1 up/],
  ["hist", ["at=no_such"], /EINVAL: Cannot filter by "no_such"/],
  ["args", [], /no prototype of a traced function is given/],
  ["args", ["of=int"], /"int": a name is missing/],
  ["args", ["of=int nowhere(int)"], /Cannot trace nowhere: the program has no such function/],
  ["args", ["of=void *malloc(size_t)"], /malloc.*--virtual traces it as it is/],
  ["args", ["of=int parse(struct line l)"], /passed by value/],
  ["args", ["file=/no/such/header.h"], /Cannot read the prototypes in \/no\/such\/header.h: /],
  ["fail", [], /write --set fail.at=FUNCTION/],
  ["fail", ["at=parse", "return=ENOWAY"], /fail.return to "ENOWAY": it takes a number, NULL/],
  ["fail", ["at=parse", "errno=%"], /fail.errno to "%"/],
  ["fail", ["at=parse", "nth=1.5"], /fail.nth to 1.5: it must be a whole number/],
  ["fail", ["at=parse", "probability=2"], /fail.probability to 2: it must be a number from 0 to 1/],
  ["fail", ["at=parse", "caller=nobody"], /from nobody: the program has no such function/],
  ["fail", ["at=*z*z*"], /EINVAL/],
  ["watch", ["when="], /No filter found/],
  [
    "watch",
    ["when=a9 > 1"],
    /Field not found at character 4; use one of func, caller, caller_ip, a0/,
  ],
  ["watch", ["when=a0 >"], /Invalid value/],
  ["watch", ["when=a0 + 3"], /Invalid operator at character 5/],
  ["watch", ["when=(a0 > 3"], /Too many '\('/],
  ["watch", ["when=a0 > 3 a1"], /Too many terms/],
  ["watch", ["when=caller > main"], /did you forget quotes/],
  ["watch", ["trigger=explode"], /EINVAL/],
];
for (const [tracer, settings, answer] of WRONG) {
  Deno.test(`${tracer} refuses ${settings.join(" ") || "to run without settings"}`, async () => {
    const set = settings.flatMap((text) => ["--set", `${tracer}.${text}`]);
    const { code, stdout, stderr } = await hartrace(["-q", "-p", tracer, ...set, SETTINGS]);
    assertEquals(code, 125);
    assertEquals(stdout, "", "the guest does not run");
    assertMatch(stderr, answer);
    assertEquals(stderr.includes("bug of hartrace"), false);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  });
}

for (const { name, options = {} } of await builtInTracers()) {
  Deno.test(`${name} teaches with --help`, async (t) => {
    const { code, stdout } = await hartrace(["-p", name, "--help"]);
    assertEquals(code, 0);
    for (const [key, option] of Object.entries(options)) {
      assertStringIncludes(stdout, `--set ${name}.${key}=`);
      assertStringIncludes(stdout, option.description);
    }
    await assertSnapshot(t, stdout);
  });
}

Deno.test("every built-in tracer prints something on the sample, and the guest goes on", async () => {
  const settings: Readonly<Record<string, readonly string[]>> = {
    args: ["args.of=uint64_t price_of(const void *)"],
    fail: ["fail.at=price_of", "fail.return=1"],
    kprobe: ["kprobe.at=bill+8"],
  };
  for (const { name } of await builtInTracers()) {
    const set = (settings[name] ?? []).flatMap((text) => ["--set", text]);
    const { code, stdout } = await hartrace(["-q", "-p", name, ...set, SAMPLE]);
    assertEquals(code, 0, name);
    assertEquals(stdout.split("\n").length > 3, true, name);
  }
});
