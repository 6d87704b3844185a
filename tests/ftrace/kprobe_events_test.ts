import { ENGINE_NAMES, type EngineName } from "../../lib/engine/engines.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { eventFormat } from "../../lib/events/event_format.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { liveTraceSettings } from "../../lib/output/live_trace.ts";
import { traceOptions } from "../../lib/ftrace/trace/trace_options.ts";
import { readCaptureText } from "../output/captures.ts";
import { traced } from "./guest.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

const KERNELS = [["6.12", "args"], ["7.2", "call-ops"]] as const;
const ENGINES = ENGINE_NAMES;
const ERRNO: Readonly<Record<string, string>> = {
  "Invalid argument": "EINVAL",
  "Invalid or incomplete multibyte or wide character": "EILSEQ",
};

/** Functions of the names that were probed in the kernels, with boundaries where theirs are. */
function kernelFunctions() {
  const body = "c.addi sp, -16\nc.addi sp, 16\nnop\nret";
  return makeFirmware(
    [{ name: "ksys_read", body }, { name: "vfs_read", body: "c.nop\nret" }],
    "call f0",
    // None of these is instrumented; the kernel does not let them be probed.
    "__noinstr_text_start:\nhandle_exception: nop\ndo_trap_ecall_u: nop\nmemcpy: ret\n" +
      "__noinstr_text_end:\nnop",
  );
}

/** What a kernel answered to each write, and the sections behind. */
function readBehaviour(kernel: "6.12" | "7.2") {
  const text = readCaptureText(kernel, "kprobe_behaviour");
  const writes = [...text.matchAll(/^--- kprobe_events <- (.*)\n(?:sh: write error: (.*)\n)?rc=/gm)]
    .map(([, command, error]) => ({ command: command!, error: error && ERRNO[error]! }));
  const section = (name: string) => {
    const [, body] = new RegExp(`^--- ${name}\n((?:(?!--- ).*\n)*)`, "m").exec(text)!;
    return body!;
  };
  return { writes, section };
}

Deno.test("kprobeEvents.write() answers each line of kprobe_behaviour as 6.12 and 7.2 did", () => {
  for (const [kernel, era] of KERNELS) {
    const { writes, section } = readBehaviour(kernel);
    assertEquals(writes.length, 17, kernel);
    const { ftrace } = tracedFirmware(kernelFunctions(), { era });
    const { kprobeEvents } = ftrace;
    for (const { command, error } of writes) {
      let answer: string | undefined;
      try {
        kprobeEvents.write(command);
      } catch (refused) {
        if (!(refused instanceof FtraceError)) throw refused;
        answer = refused.code;
      }
      assertEquals(answer, error, `${kernel}: ${command}`);
    }
    // The fourth argument has the parameter's name by BTF there.
    const read = section("kprobe_events").replace("file=file", "arg4=$arg1");
    assertEquals(kprobeEvents.read(), read, kernel);
    const rows = (text: string) => text.trimEnd().split("\n").map((line) => line.slice(16)).sort();
    assertEquals(rows(ftrace.kprobes.list()), rows(section("list")), kernel);
  }
});

Deno.test("kprobe events have the format files that 6.12 and 7.2 printed", () => {
  const commands = {
    dd: "p:dd vfs_read+8",
    e0: "p:e0 ksys_read",
    e0a: "p:e0a ksys_read",
    e4: "p:e4 ksys_read+4",
    e8: "p:e8 ksys_read+8 fd=%a0 buf=%a1:x64 n=%a2:u64",
    e10: "p:e10 ksys_read+10",
    e12: "p:e12 ksys_read+12",
    // What 7.2 found in BTF is written out.
    r0: "r:r0 ksys_read ret=$retval:s64",
    r1: "r:r1 vfs_read",
    st: "p:st vfs_read $stack0 $comm +0(%a0):x64 file=$arg1",
  };
  for (const [kernel, era] of KERNELS) {
    const text = readCaptureText(kernel, "kprobe_formats");
    const { ftrace } = tracedFirmware(kernelFunctions(), { era });
    let compared = 0;
    for (
      const [, name, format] of text.matchAll(/^== events\/kprobes\/(.*)\n((?:(?!== ).*\n)*)/gm)
    ) {
      const { event } = ftrace.kprobeEvents.write(commands[name as keyof typeof commands])!;
      const printed = eventFormat(event.file.description).replace(/^ID: \d+/m, "ID: N");
      assertEquals(printed.trimEnd(), format!.replace(/^ID: \d+/m, "ID: N").trimEnd(), name);
      compared++;
    }
    assertEquals(compared, kernel === "6.12" ? 5 : 9);
  }
});

Deno.test("kprobeEvents.profile() has the columns of kprobe_profile", () => {
  for (const [kernel, era] of KERNELS) {
    const lines = readCaptureText(kernel, "kprobe_profile").trimEnd().split("\n");
    const { ftrace } = tracedFirmware(kernelFunctions(), { era });
    ftrace.kprobeEvents.write("p:e8 ksys_read+8");
    const expected = lines.find((line) => line.startsWith("  e8 "))!.replace("5", "0");
    assertEquals(ftrace.kprobeEvents.profile(), `${expected}\n`);
  }
});

/** Three reads through functions of the kernel's names and sizes, with its calls where it has them. */
function readingKernel() {
  const nops = (bytes: number) => "c.nop\n".repeat(bytes / 2);
  /** Calls `callee` so that it returns to `back`, in `size` bytes; the site takes the first eight. */
  const calling = (callee: string, back: number, size: number) =>
    `c.addi sp, -16\nc.sdsp ra, 8(sp)\n${nops(back - 8 - 12)}call ${callee}\n` +
    `c.ldsp ra, 8(sp)\nc.addi sp, 16\nret\n${nops(size - back - 8)}`;
  return makeFirmware(
    [
      { name: "__riscv_sys_read", body: calling("f1", 0x20, 0x30) },
      { name: "ksys_read", body: calling("f2", 0x6a, 0xf0) },
      { name: "vfs_read", body: `c.nop\nli a0, 1\nret\n${nops(0x380 - 18)}` },
    ],
    `li s0, 3\n1: li a0, 3\nli a1, ${0x80002000}\nli a2, 1\ncall f0\n` +
      "addi s0, s0, -1\nbnez s0, 1b",
  );
}

Deno.test("the events of kprobe.trace come in 7.2's order and words, and on 6.12 there are none", async () => {
  const commands = [
    "p:e0 ksys_read",
    "p:e0a ksys_read+0",
    "p:e8 ksys_read+8 fd=%a0 buf=%a1:x64 n=%a2:u64",
    "p:e10 ksys_read+10",
    "p:e12 ksys_read+12",
    "r:r0 ksys_read ret=$retval:s64",
    "r:r1 vfs_read",
    "p:st vfs_read $stack0 $comm +0(%a0):x64 file=$arg1",
    "p:dd vfs_read+8",
  ];
  /** From the flags on, without times and with every value of memory and pointer alike. */
  const lines = (text: string) =>
    text.split("\n").filter((line) => line !== "" && line[0] !== "#").map((line) =>
      line.replace(/^.*\] (.....) .*?: /, "$1 ").replace(/="\w+"/, "=COMM")
        .replaceAll(/(arg1|arg3|file|buf)=0x[0-9a-f]+/g, "$1=N")
    );
  for (const [kernel, era] of KERNELS) {
    for (const engine of ENGINES) {
      const { machine, ftrace } = tracedFirmware(readingKernel(), { era }, { engine });
      for (const command of commands) {
        try {
          ftrace.kprobeEvents.write(command)!.event.file.enabled = true;
        } catch (error) {
          if (!(error instanceof FtraceError)) throw error;
        }
      }
      assertEquals(await machine.run(), { kind: "exit", code: 0 });
      const settings = liveTraceSettings(ftrace, "nop", traceOptions());
      const text = [...printKernelText(ftrace.events(), settings)].join("");
      assertEquals(lines(text), lines(readCaptureText(kernel, "kprobe.trace")), kernel);
      const hits = ftrace.kprobeEvents.events.map(({ nhit }) => nhit);
      assertEquals(hits, hits.map(() => 3));
    }
  }
});

async function recorded(
  era: "regs" | "args" | "preset" | "call-ops",
  engine: EngineName,
  commands: readonly string[],
) {
  const guest = await traced("sample_p84", { era }, { engine });
  const { ftrace } = guest;
  for (const command of commands) ftrace.kprobeEvents.write(command)!.event.file.enabled = true;
  await guest.run();
  const settings = liveTraceSettings(ftrace, "nop", traceOptions());
  const text = [...printKernelText(ftrace.events(), settings)].join("");
  return { ...guest, text: text.replace(/^#.*\n/gm, ""), profile: ftrace.kprobeEvents.profile() };
}

Deno.test("kprobe events are recorded and printed as 7.2 prints them, on both engines", async (t) => {
  const commands = [
    "p:bill bill count=%a0:u64 sp=$stack +0($stack):x8 task=$comm",
    "p:step bill+8 $stack0 first=%a0",
    "r:coin common_coin ret=$retval:s64",
    "p:shops/text print text=+0(%a0):string +0(%a0):char[3] back=%ra:symbol",
  ];
  const [ref, interp] = await Promise.all(
    ENGINES.map((engine) => recorded("call-ops", engine, commands)),
  );
  assertEquals(ref!.text, interp!.text);
  assertEquals(ref!.profile, interp!.profile);
  assertMatch(ref!.text, /\[000\] \.\.Zff {4} *0\.\d{6}: bill: \(bill\+0x0\/0x\w+\) count=2 sp=0x/);
  assertMatch(
    ref!.text,
    /\[000\] \.\.\.\.\. {4} *0\.\d{6}: coin: \(bill\+0x\w+\/0x\w+ <- common_coin\) ret=1350$/m,
  );
  assertMatch(
    ref!.text,
    /text: \(print\+0x0\/0x\w+\) text="total " arg2=\{'t','o','t'\} back=print/,
  );
  await assertSnapshot(t, ref!.profile);
  await assertSnapshot(t, ref!.text.replaceAll(/0x[0-9a-f]{4,}/g, "0x…"));
});

Deno.test("args and regs: hits of breakpoints are counted and never recorded, which is said once", async () => {
  for (const era of ["args", "regs"] as const) {
    for (const engine of ENGINES) {
      const { text, profile, reports } = await recorded(era, engine, [
        "p:e8 bill+8 %a0",
        "p:price price_of+8",
      ]);
      assertEquals(text, "");
      assertEquals(
        profile,
        `  ${"e8".padEnd(44)}               2               0\n` +
          `  ${"price".padEnd(44)}               5               0\n`,
      );
      assertEquals(reports.length, 1);
      assertMatch(reports[0]!, /counted and not recorded.*kprobe_profile/);
    }
  }
});

Deno.test("regs: entry events come from ftrace and returns from a trampoline, so they are recorded", async () => {
  for (const engine of ENGINES) {
    const { text, reports } = await recorded("regs", engine, ["p:in bill n=%a0", "r:out bill"]);
    assertEquals(text.match(/\.\.\.\.\. .*: in: \(bill\+0x0\/0x\w+\) n=0x[23]$/gm)?.length, 2);
    assertEquals(text.match(/: out: \(program\+0x\w+\/0x\w+ <- bill\)$/gm)?.length, 2);
    assertEquals(reports, []);
  }
});

Deno.test("an event's enable file arms its probe; a removed one is gone, an enabled one is busy", async () => {
  const { ftrace, machine } = await traced("sample_p84", { era: "call-ops" });
  const { kprobeEvents } = ftrace;
  const at = Number(ftrace.lookup("bill")) + 8;
  const half = () => machine.memory.view.getUint16(at, true);
  const original = half();
  const { event } = kprobeEvents.write("p:e8 bill+8")!;
  assertEquals(half(), original);
  event.file.enabled = true;
  assertEquals(half(), 0x9002);
  assertEquals(assertThrows(() => kprobeEvents.write("-:e8"), FtraceError).code, "EBUSY");
  event.file.enabled = false;
  assertEquals(half(), original);
  const soft = event.file.holdSoft();
  assertEquals(half(), 0x9002);
  soft[Symbol.dispose]();
  assertEquals(half(), original);
  assertEquals(kprobeEvents.write("-:kprobes/e8"), undefined);
  assertEquals([kprobeEvents.read(), ftrace.kprobes.list()], ["", ""]);
  assertEquals(assertThrows(() => kprobeEvents.write("-:e8"), FtraceError).code, "ENOENT");
  kprobeEvents.write("p bill+8");
  kprobeEvents.write("r5:mine/back bill%return $retval");
  assertEquals(
    kprobeEvents.read(),
    "p:kprobes/p_bill_8 bill+8\nr5:mine/back bill arg1=$retval\n",
  );
  // A known name gets one more place, but neither the same again nor another kind or argument.
  kprobeEvents.write("p:p_bill_8 bill+10");
  for (const same of ["p bill+8", "r:p_bill_8 bill", "p:p_bill_8 bill+12 %a0"]) {
    assertEquals(assertThrows(() => kprobeEvents.write(same), FtraceError).code, "EEXIST", same);
  }
  kprobeEvents.events.at(-1)!.event.file.enabled = true;
  assertEquals([half(), machine.memory.view.getUint16(at + 2, true)], [0x9002, 0x9002]);
  assertEquals(assertThrows(() => kprobeEvents.clear(), FtraceError).code, "EBUSY");
  assertEquals(kprobeEvents.events.length, 3);
  kprobeEvents.events.at(-1)!.event.file.enabled = false;
  kprobeEvents.clear();
  assertEquals([kprobeEvents.read(), ftrace.kprobes.list(), half()], ["", "", original]);
});

Deno.test("kprobeEvents.write() says what is wrong and where, in the kernel's words", async (t) => {
  const { ftrace } = await traced("sample_p84", { era: "call-ops" });
  // What the kernel's selftest kprobe_syntax_errors has is in probe_syntax_selftests_test.ts.
  const wrong = [
    ...["p", "x bill", "p:foo/bar", "p bill+x", "p bill+4", "p bill+2", "r5000 bill", "p 0x10"],
    ...[
      "p bill+8 $arg1",
      "p bill %zero",
      "p bill \\099",
      "p bill common_pid=%a0",
      "p bill @nosuch",
    ],
    ...["p bill +0(%a0):b9@0/8", "p bill %a0:b1@0/7", "p bill $comm:u8", 'p bill \\"a":string[2]'],
    ...[
      "p bill %a0:u8[4]",
      "p bill \\1:symstr",
      "p bill count",
      "p bill $retvals",
      "r bill $retval.x",
    ],
    `p bill ${Array.from({ length: 129 }, (_, k) => `a${k}=%a0`).join(" ")}`,
  ];
  const said: string[] = [];
  for (const command of wrong) {
    const error = assertThrows(() => ftrace.kprobeEvents.write(command), FtraceError);
    said.push(
      `${command.slice(0, 40)}: ${error.code} ${error.message.replace(/^.*?": |^E\w+: /, "")}`,
    );
  }
  assertEquals(ftrace.kprobeEvents.read(), "");
  await assertSnapshot(t, said.join("\n"));
});

Deno.test("arguments of probe events: strings, arrays of them, bits, symbols, registers of a trap", async () => {
  for (const engine of ENGINES) {
    const { text } = await recorded("call-ops", engine, [
      'p:said print written=\\"as_is" at=%ra:symstr cause=%cause:u64',
      "p:args program list=+0(%a1):string[2]",
      "p:bits bill+8 low=%a0:b4@0/64 sum=\\0x10:u8 octal=\\010:u8 less=\\-1:s16 here=%badaddr",
      "r:back common_coin a=$arg1:u64 got=$retval:u64 none=$arg9:u64",
    ]);
    assertMatch(
      text,
      /said: .* written="as_is" at="\w+\+0x\w+\/0x\w+" cause=3/,
    );
    assertMatch(text, /args: .* list=\{"[^"]+","\(fault\)"\}$/m);
    assertMatch(text, /bits: \((bill\+0x8)\/.* low=2 sum=16 octal=8 less=-1 here=0x[0-9a-f]+$/m);
    assertMatch(text, /back: .* a=2115 got=9 none=0$/m);
  }
});

Deno.test("arguments of probe events are parameters by name where a prototype is known", async () => {
  const { ftrace, run } = await traced("sample_p84", { era: "call-ops" });
  ftrace.declarePrototypes(
    "int bill(int count); void print(const char *text); long common_coin(unsigned long a, unsigned long b);",
  );
  for (
    const command of [
      "p:b bill $arg*",
      "p:t print words=text:string",
      "r:c common_coin b got=$retval",
    ]
  ) {
    ftrace.kprobeEvents.write(command)!.event.file.enabled = true;
  }
  assertEquals(
    ftrace.kprobeEvents.read(),
    "p:kprobes/b bill count=count\np:kprobes/t print words=text:string\n" +
      "r10:kprobes/c common_coin b=b got=$retval\n",
  );
  await run();
  const texts = [...ftrace.events()].flatMap((event) => event.type === "event" ? [event.text] : []);
  assertMatch(texts.join("\n"), / count=2\n/);
  assertMatch(texts.join("\n"), / words="total "\n/);
  assertMatch(texts.join("\n"), / b=0 got=1350$/m);
});

Deno.test("-:GROUP/NAME PLACE ARGS takes away the probes that it matches, a bare group all of it", async () => {
  const { ftrace } = await traced("sample_p84", { era: "call-ops" });
  const { kprobeEvents } = ftrace;
  const define = ["p:g/e bill", "p:g/e price_of", "p:g/f bill+8 a=%a0", "p:h/e bill+10"];
  for (const command of define) kprobeEvents.write(command);
  const remove = (command: string) => {
    kprobeEvents.write(command);
    return kprobeEvents.read().trim().split("\n");
  };
  assertEquals(remove("-:g/e bill"), define.slice(1).map((line) => line));
  for (const none of ["-:g/f bill+8 a=%a1", "-:g/f bill+8 a=%a0 b=%a0", "-:g/e bill", "-:x/"]) {
    assertEquals(assertThrows(() => kprobeEvents.write(none), FtraceError).code, "ENOENT", none);
  }
  assertEquals(remove("-:g/f bill+8 a=%a0"), ["p:g/e price_of", "p:h/e bill+10"]);
  assertEquals(remove("-:h/"), ["p:g/e price_of"]);
  assertEquals(remove("-:e"), [""]);
  for (const none of ["-:", "-g/e"]) {
    assertEquals(assertThrows(() => kprobeEvents.write(none), FtraceError).code, "EINVAL", none);
  }
});

Deno.test("kprobe events are filtered and described like every other event", async () => {
  for (const engine of ENGINES) {
    const { ftrace, run } = await traced("sample_p84", { era: "call-ops" }, { engine });
    ftrace.kprobeEvents.write("p:coin common_coin+8 n=%a0:u64 caller=%ra:symbol");
    const file = ftrace.traceEvents.find("kprobes", "coin");
    assert(file);
    assertEquals(file.description.fields.map(({ name }) => name), ["__probe_ip", "n", "caller"]);
    file.enabled = true;
    file.setFilter("n > 2115 && n < 5000");
    await run();
    const texts = [...ftrace.events()].flatMap((event) =>
      event.type === "event" ? [event.text] : []
    );
    assertEquals(texts.length, 1);
    assertMatch(texts[0]!, /^\(common_coin\+0x8\/0x22\) n=2349 caller=common_coin\+0x\w+\/0x22$/);
    assertEquals(ftrace.kprobeEvents.events[0]!.nhit, 7);
  }
});
