/**
 * What the kernel's own tests of probe arguments and of `dynamic_events` assert
 * (`tools/testing/selftests/ftrace/test.d`, `kprobe/kprobe_args_*`, `kretprobe_entry_arg`, and
 * `dynevent/`), in every era, each named after its script.
 *
 * Where an era refuses probes on entries (6.12) the second instruction behind the site is probed, and
 * where it does not record hits of breakpoints nothing is, which is asserted in their place.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EngineName } from "../../lib/engine/engines.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { filesOf } from "../tracefs/guest.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";
import { WAYS } from "./selftest_kernel.ts";

/** Behind the words of the site, with the arguments still in their registers. */
const PLACES: Readonly<Record<EraName, string>> = {
  regs: "",
  args: "+8",
  preset: "",
  "call-ops": "",
};

/** A kernel that makes a directory "test" in each run of so many instructions. */
function boot(era: EraName, engine: EngineName) {
  const program = makeFirmware(
    [
      { name: "tracefs_create_dir", body: "nop\nret" },
      { name: "vfs_open", body: "li a0, 3\nret" },
      { name: "kmem_cache_free" },
      { name: "kfree" },
    ],
    "1: la a0, text\ncall f0\nla a0, text\nli a1, 9\ncall f1\nj 1b",
    ".balign 8\ntext: .word 0x74736574, 0\nbanner: .word 0x756e694c, 0x00000078",
  );
  const { ftrace, machine } = tracedFirmware(program, { era }, { engine });
  ftrace.declarePrototypes("long vfs_open(char *path, int flags); void kfree(const void *object);");
  const tracefs = createTracefs(ftrace);
  const files = filesOf(tracefs);
  return {
    ...{ ftrace, tracefs, ...files, isRecorded: era !== "args" },
    async write(text: string, file: string): Promise<void> {
      assertEquals(await files.echo(text, file), "", text);
    },
    /** Appends a line to `dynamic_events`, which has to be taken. */
    async add(line: string): Promise<void> {
      assertEquals(await files.append(line, "dynamic_events"), "", line);
    },
    /** Names of the events in it, in their order. */
    events: () => [...files.cat("dynamic_events").matchAll(/myevent\d/g)].map(String).sort(),
    async run(): Promise<string> {
      await machine.run({ limit: machine.harts[0]!.instret + 200n });
      return files.cat("trace");
    },
  };
}

for (const [era, engine] of WAYS) {
  const at = PLACES[era];

  Deno.test(`kprobe_args_char, _string: characters, arrays of them and strings (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const cases = [
      ["arg1=+0(%a0):char", "arg1='t'"],
      ["arg1=+0(%a0):char arg2=+0(%a0):char[4]", "arg1='t' arg2={'t','e','s','t'}"],
      ["arg1=+0(%a0):string", 'arg1="test"'],
      ["arg1=+0(%a0):string arg2=+0(%a0):string", 'arg1="test" arg2="test"'],
    ] as const;
    for (const [args, printed] of cases) {
      await kernel.write(`p:testprobe tracefs_create_dir${at} ${args}`, "kprobe_events");
      await kernel.write("1", "events/kprobes/testprobe/enable");
      const trace = await kernel.run();
      assertEquals(trace.includes(`) ${printed}\n`), kernel.isRecorded, args);
      await kernel.write("0", "events/kprobes/testprobe/enable");
      await kernel.write("", "trace");
    }
  });

  Deno.test(`kprobe_args_comm: $comm is the name of the task (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    await kernel.write(`p:testprobe vfs_open${at} comm=$comm `, "kprobe_events");
    assertMatch(kernel.cat("kprobe_events"), /testprobe .*comm=\$comm$/m);
    assertEquals(kernel.tracefs.kind("events/kprobes/testprobe"), "directory");
    await kernel.write("1", "events/kprobes/testprobe/enable");
    assertEquals(/testprobe: .* comm=".+"/.test(await kernel.run()), kernel.isRecorded);
  });

  Deno.test(`kprobe_args_symbol: memory by a symbol, in every type (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const define = async (name: string, args: string) =>
      assertEquals(await kernel.append(`p:${name} vfs_open${at} ${args}`, "kprobe_events"), "");
    for (const sign of ["u", "s", "x"]) {
      const args = [64, 32, 16, 8].map((bits, k) => `arg${k + 1}=@banner:${sign}${bits}`);
      await define(`testprobe_${sign}`, args.join(" "));
    }
    await define("testprobe_bf", "arg1=@banner:b8@4/32");
    await define("testprobe_str", "arg1=@banner:string");
    await kernel.write("1", "events/kprobes/enable");
    const trace = await kernel.run();
    await kernel.write("0", "events/kprobes/enable");
    const has = (text: string) => assertEquals(trace.includes(text), kernel.isRecorded, text);
    for (const sign of ["u", "s"]) {
      has(`testprobe_${sign}: (vfs_open`);
    }
    has(") arg1=517366245708 arg2=1970170188 arg3=26956 arg4=76\n");
    has(") arg1=0x78756e694c arg2=0x756e694c arg3=0x694c arg4=0x4c\n");
    has(") arg1=148\n");
    has(') arg1="Linux"\n');
  });

  Deno.test(`kprobe_args_user: strings of user memory, by type and by dereference (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const args = "path=+0($arg1):ustring path2=+u0($arg1):string";
    // By the number of an argument only where the function begins.
    const given = era === "args" ? args.replaceAll("$arg1", "%a0") : args;
    await kernel.write(`p:myevent vfs_open${at} ${given}`, "kprobe_events");
    assert(kernel.cat("kprobe_events").includes(given));
    await kernel.write("1", "events/kprobes/myevent/enable");
    const trace = await kernel.run();
    assertEquals(trace.includes('path="test" path2="test"'), kernel.isRecorded);
  });

  Deno.test(`kprobe_args_type: signed, unsigned, hexadecimal and bits agree (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const cases = [64, 32, 16, 8].flatMap((width) => [[width, "$stack0"], [width, "%a0"]] as const);
    for (const [width, what] of cases) {
      const args = [`s${width}`, `u${width}`, `x${width}`, `b4@4/${width}`]
        .map((type) => `${what}:${type}`).join(" ");
      await kernel.write(`p:testprobe tracefs_create_dir${at} ${args}`, "kprobe_events");
      assertMatch(kernel.cat("kprobe_events"), /testprobe/);
      assertEquals(kernel.tracefs.kind("events/kprobes/testprobe"), "directory");
      await kernel.write("1", "events/kprobes/testprobe/enable");
      const found = / arg1=(\S+) arg2=(\S+) arg3=(\S+) arg4=(\S+)\n/.exec(await kernel.run());
      assertEquals(found !== null, kernel.isRecorded);
      if (found) {
        const [signed, unsigned, hex, bits] = found.slice(1).map(BigInt) as [
          bigint,
          bigint,
          bigint,
          bigint,
        ];
        assertEquals(BigInt.asUintN(width, signed), unsigned);
        assertEquals(hex, unsigned);
        assertEquals(bits, (unsigned >> 4n) & 15n);
      }
      await kernel.write("0", "events/kprobes/testprobe/enable");
      assertEquals(await kernel.append("-:testprobe", "kprobe_events"), "");
      await kernel.write("", "trace");
    }
  });

  Deno.test(`kprobe_args_syntax: each good argument is taken, each bad one refused (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const address = `0x${kernel.ftrace.lookup("tracefs_create_dir")!.toString(16)}`;
    const good = [
      ..."%a0 @banner @banner+10 @banner-10 $stack $stack0 $stack1 $comm +0(%a0) -0(%a0)".split(
        " ",
      ),
      ..."+10($stack) +0($stack1) +10(@banner-10) +0(+10(+20($stack))) varname=%a0".split(" "),
      ...`%a0:x16 $comm:string +0($stack):string @${address}`.split(" "),
    ];
    const bad = [
      ..."%a8 @ @deaqswdefr @banner*10 @banner/10 @banner%10 @banner&10 @banner|10".split(" "),
      ..."$stackp $stack0+10 $stack1-10 $retval +(%a0) (%a0+10) -(%a0) (%a0) +10($comm)".split(" "),
      // The script has +0(%a0)+10, too, which the kernel takes: nothing behind the last brace is read.
      ..."varname=varname2=%a0 %a0::x16 %a0:y16 x16:%a0".split(" "),
      ..."$comm:x64 $stack:string %a0:string".split(" "),
    ];
    for (const argument of good) await kernel.write(`p vfs_open${at} ${argument}`, "kprobe_events");
    for (const argument of bad) {
      assertMatch(
        await kernel.echo(`p vfs_open${at} ${argument}`, "kprobe_events"),
        /^E/,
        argument,
      );
    }
    const returns = await kernel.echo("r vfs_open $retval", "kprobe_events");
    assertEquals(returns, era === "args" ? "EINVAL" : "");
  });

  Deno.test(`kretprobe_entry_arg, fprobe_entry_arg: a return has the argument of its entry (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const define = async (file: string, ...lines: readonly string[]) => {
      for (const line of lines) {
        const said = await kernel.append(line, file);
        if (said !== "") return said;
      }
      return "";
    };
    const same = async (group: string) => {
      await kernel.write("1", `events/${group}/enable`);
      await kernel.write("", "trace");
      const values = [...(await kernel.run()).matchAll(/: myevent[12]: .* (arg=\S+)/g)];
      assert(values.length > 1);
      assertEquals(new Set(values.map(([, value]) => value)).size, 1);
      await kernel.write("0", `events/${group}/enable`);
    };
    const probes = ["p:myevent1 vfs_open arg=$arg1", "r:myevent2 vfs_open arg=$arg1"];
    const said = await define("kprobe_events", ...probes);
    assertEquals(said, era === "args" ? "EINVAL" : "");
    if (said === "") await same("kprobes");
    await kernel.write("", "kprobe_events");
    const fprobes = [
      "f:tests/myevent1 vfs_open arg=$arg1",
      "f:tests/myevent2 vfs_open%return arg=$arg1",
    ];
    assertEquals(await define("dynamic_events", ...fprobes), "");
    await same("tests");
  });

  Deno.test(`add_remove_kprobe: events of dynamic_events come and go by name (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    await kernel.write("0", "events/enable");
    await kernel.write("", "dynamic_events");
    const returns = await kernel.append("r:myevent2 vfs_open", "dynamic_events");
    assertEquals(returns, era === "args" ? "EINVAL" : "");
    if (returns) await kernel.add("p:myevent2 vfs_open+8");
    await kernel.add(`p:myevent1 vfs_open${at}`);
    assertEquals(kernel.events(), ["myevent1", "myevent2"]);
    for (const name of kernel.events()) {
      assertEquals(kernel.tracefs.kind(`events/kprobes/${name}`), "directory");
    }
    await kernel.add("-:myevent2");
    assertEquals(kernel.events(), ["myevent1"]);
    await kernel.write("", "dynamic_events");
    assertEquals(kernel.events(), []);
    await kernel.add(`p:mygroup/ vfs_open${at}`);
    assertEquals(kernel.tracefs.kind("events/mygroup"), "directory");
    await kernel.add("-:mygroup/");
    assertEquals(kernel.tracefs.kind("events/mygroup"), undefined);
  });

  Deno.test(`add_remove_fprobe: events are on their functions while they are enabled (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const traced = (...names: string[]) =>
      assertEquals(
        kernel.cat("enabled_functions").split("\n").filter(Boolean).map((line) =>
          line.split(" ")[0]
        ),
        names,
      );
    const enable = (name: string, on: boolean) =>
      kernel.write(on ? "1" : "0", `events/fprobes/${name}/enable`);
    await kernel.write("0", "events/enable");
    await kernel.write("", "dynamic_events");
    const [place, other] = ["vfs_open", "kmem_cache_free"];
    await kernel.add(`f:myevent1 ${place}`);
    await kernel.add(`f:myevent2 ${place}%return`);
    await kernel.add(`f:myevent3 ${other}`);
    assertEquals(kernel.events(), ["myevent1", "myevent2", "myevent3"]);
    for (const name of kernel.events()) {
      assertEquals(kernel.tracefs.kind(`events/fprobes/${name}`), "directory");
    }
    traced();
    await enable("myevent1", true);
    traced(place);
    await enable("myevent2", true);
    traced(place);
    await enable("myevent3", true);
    traced(place, other);
    await enable("myevent2", false);
    await kernel.add("-:myevent2");
    assertEquals(kernel.events(), ["myevent1", "myevent3"]);
    traced(place, other);
    const clear = async () => {
      await kernel.write("0", "events/fprobes/enable");
      await kernel.write("", "dynamic_events");
      assertEquals(kernel.events(), []);
      traced();
    };
    await clear();
    await kernel.add(`f:myevent4 ${place}`);
    await enable("myevent4", true);
    traced(place);
    await clear();
  });

  Deno.test(`add_remove_btfarg: parameters by name, by number and all of them (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const isRefused = (kind: string) => kind === "p:kpevent" && era === "args";
    for (const kind of ["f:fpevent", "p:kpevent"]) {
      for (const args of ["object", "$arg1", "$arg*"]) {
        const said = await kernel.append(`${kind} kfree ${args}`, "dynamic_events");
        assertEquals(said, isRefused(kind) ? "EINVAL" : "");
        assertEquals(
          /[fk]pevent.* object=object$/m.test(kernel.cat("dynamic_events")),
          said === "",
        );
        await kernel.write("", "dynamic_events");
      }
    }
  });

  Deno.test(`dynevent_limitations: an event has 128 arguments and no more (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    for (const head of [`p vfs_open${at}`, "f vfs_open"]) {
      const most = Array.from({ length: 128 }, (_, k) => `\\${k + 1}`).join(" ");
      await kernel.add(`${head} ${most}`);
      await kernel.write("", "dynamic_events");
      assertMatch(await kernel.append(`${head} ${most} \\129`, "dynamic_events"), /^E/);
      assertEquals(kernel.cat("dynamic_events"), "");
    }
  });

  Deno.test(`generic_clear_event: ! before a definition takes it away (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    await kernel.write("0", "events/enable");
    await kernel.write("", "dynamic_events");
    const lines = [
      `p:myevent1 vfs_open${at}`,
      era === "args" ? "p:myevent2 vfs_open+8" : "r:myevent2 vfs_open",
      "f:myevent3 vfs_open",
    ];
    for (const line of lines) await kernel.add(line);
    const left = ["myevent1", "myevent2", "myevent3"];
    assertEquals(kernel.events(), left);
    for (const line of lines) {
      await kernel.add(`!${line}`);
      left.shift();
      assertEquals(kernel.events(), left, line);
    }
    assertEquals(kernel.cat("dynamic_events"), "");
  });

  Deno.test(`kprobe_non_uniq_symbol: a name of several functions is no place (${era}, ${engine})`, async () => {
    const functions = [{ name: "name_show" }, { name: "once" }, { name: "name_show" }];
    const { ftrace } = tracedFirmware(makeFirmware(functions), { era }, { engine });
    const { echo } = filesOf(createTracefs(ftrace));
    for (const place of [at, "", "+8"]) {
      const said = await echo(`p:test_non_unique name_show${place}`, "kprobe_events");
      assertEquals(said, "EADDRNOTAVAIL", place);
    }
    assertEquals(await echo(`p:test_non_unique once${at}`, "kprobe_events"), "");
  });
}
