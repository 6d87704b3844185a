/**
 * What the kernel's own tests of kprobe events assert (`tools/testing/selftests/ftrace/test.d`,
 * `kprobe/` and `dynevent/`), one test each, named after the script.
 *
 * On 6.12 these scripts mostly fail on RISC-V, because entries are refused and hits not recorded; so
 * do ours under `args`, where the refusal is asserted in their place.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EraName } from "../../lib/ftrace/era.ts";
import { ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { filesOf } from "../tracefs/guest.ts";
import { makeFirmware, makeManyFunctions, tracedFirmware } from "./made_guest.ts";
import { bootKernel, KERNEL_FUNCTIONS, type SelftestKernel, WAYS } from "./selftest_kernel.ts";

const INVALID = /^EINVAL$/;
/** In which order kprobe_ftrace has tracers, and its probe on. */
const SWITCHES = [
  ["nop", true],
  ["function", true],
  ["function", false],
  ["function", true],
  ["nop", true],
] as const;

/** Writes, and fails if the write is refused. */
async function write(kernel: SelftestKernel, text: string, file: string): Promise<void> {
  assertEquals(await kernel.echo(text, file), "", `echo ${text} > ${file}`);
}

/** Defines an event and enables it. */
async function probe(kernel: SelftestKernel, command: string, name: string): Promise<void> {
  await write(kernel, command, "kprobe_events");
  kernel.ftrace.traceEvents.find("kprobes", name)!.enabled = true;
}

/** Turns it off. */
function disable({ ftrace }: SelftestKernel, name: string): void {
  ftrace.traceEvents.find("kprobes", name)!.enabled = false;
}

/** How many lines of the trace begin with the event's name. */
function hits(kernel: SelftestKernel, name: string): number {
  return kernel.lines().filter((line) => line.includes(`: ${name}: (`)).length;
}

/** How often it was hit, as `kprobe_profile` says. */
function counted({ cat }: SelftestKernel, name: string): number {
  return Number(RegExp(`^ *${name} +(\\d+) +0$`, "m").exec(cat("kprobe_profile"))![1]);
}

/** Where a function's entry can be probed. */
function entryIsRefused(era: EraName): boolean {
  return era === "args";
}

/** Behind a function's name, where its beginning is probed, and as it prints. */
function placeOf(era: EraName): readonly [written: string, printed: string] {
  return entryIsRefused(era) ? ["+8", "+0x8"] : ["", "+0x0"];
}

/** Files of events that kprobes have. */
const folderOf = (name: string) => `events/kprobes/${name}`;

for (const [era, engine] of WAYS) {
  Deno.test(`add_and_remove: a probe event comes and goes (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const [at] = placeOf(era);
    const said = await kernel.echo("p:myevent kernel_clone", "kprobe_events");
    assertEquals(said, entryIsRefused(era) ? "EINVAL" : "");
    await write(kernel, `p:myevent kernel_clone${at}`, "kprobe_events");
    assertMatch(kernel.cat("kprobe_events"), /myevent/);
    assertEquals(kernel.tracefs.kind(folderOf("myevent")), "directory");
    await write(kernel, "", "kprobe_events");
    assertEquals(kernel.cat("kprobe_events"), "");
    assertEquals(kernel.tracefs.kind(folderOf("myevent")), undefined);
  });

  Deno.test(`busy_check: kprobe_events cannot be cleared while an event is enabled (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const [at] = placeOf(era);
    await write(kernel, `p:myevent kernel_clone${at}`, "kprobe_events");
    assertEquals(kernel.tracefs.kind(folderOf("myevent")), "directory");
    await write(kernel, "1", "events/kprobes/myevent/enable");
    assertMatch(await kernel.echo("", "kprobe_events"), /^EBUSY$/);
    assertMatch(kernel.cat("kprobe_events"), /myevent/);
    await write(kernel, "0", "events/kprobes/myevent/enable");
    await write(kernel, "", "kprobe_events");
  });

  Deno.test(`kprobe_args: arguments are recorded, and nothing once it is disabled (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const [at, printed] = placeOf(era);
    await probe(kernel, `p:testprobe kernel_clone${at} $stack $stack0 +0($stack)`, "testprobe");
    assertMatch(
      kernel.cat("kprobe_events"),
      /testprobe .* arg1=\$stack arg2=\$stack0 arg3=\+0\(\$stack\)$/m,
    );
    assertEquals(kernel.tracefs.kind(folderOf("testprobe")), "directory");
    await kernel.run();
    const recorded = hits(kernel, "testprobe");
    const lines = kernel.lines().filter((line) => line.includes("testprobe:"));
    // On 6.9 an entry is served by ftrace, and recorded; hits of breakpoints are not before 6.16.
    const isRecorded = kernel.ftrace.era.recordsInNmi || era === "regs";
    assertEquals(recorded > 0, isRecorded);
    for (const line of lines) {
      const [, stack0, word] = / arg2=(0x\w+) arg3=(0x\w+)$/.exec(line)!;
      assert(line.includes(`testprobe: (kernel_clone${printed}/0x`), line);
      assertMatch(line, / arg1=0x[0-9a-f]+ arg2=0x[0-9a-f]+ arg3=0x[0-9a-f]+$/);
      assertEquals(stack0, word);
    }
    disable(kernel, "testprobe");
    await write(kernel, "", "trace");
    await kernel.run();
    assertEquals(hits(kernel, "testprobe"), 0);
    assertEquals(await kernel.append("-:testprobe", "kprobe_events"), "");
    assertEquals(kernel.tracefs.kind(folderOf("testprobe")), undefined);
  });

  Deno.test(`kprobe_eventname: names are given, in a group, or made of the place (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const place = "kernel_clone+8";
    for (const command of [`p:a ${place}`, `p:kprobes2/event2 ${place}`, `p ${place}`]) {
      assertEquals(await kernel.append(command, "kprobe_events"), "", command);
    }
    assertEquals(
      kernel.cat("kprobe_events"),
      `p:kprobes/a ${place}\np:kprobes2/event2 ${place}\np:kprobes/p_kernel_clone_8 ${place}\n`,
    );
    for (const folder of ["kprobes/a", "kprobes2/event2", "kprobes/p_kernel_clone_8"]) {
      assertEquals(kernel.tracefs.kind(`events/${folder}`), "directory");
    }
  });

  Deno.test(`kprobe_eventname: a name with dots gives an event's name with underscores (${era}, ${engine})`, async () => {
    const { ftrace } = tracedFirmware(
      makeFirmware([{ name: "vfs_read" }, { name: "copy.isra.0" }]),
      { era },
    );
    const tracefs = createTracefs(ftrace);
    const { append, cat } = filesOf(tracefs);
    const [at] = placeOf(era);
    for (const name of ["vfs_read", "copy.isra.0"]) {
      assertEquals(await append(`p ${name}${at}`, "kprobe_events"), "");
    }
    const offset = at === "" ? 0 : 8;
    const events = cat("kprobe_events").trimEnd().split("\n").map((line) => line.split(" ")[0]);
    assertEquals(events, [`p:kprobes/p_vfs_read_${offset}`, `p:kprobes/p_copy_isra_0_${offset}`]);
    for (const event of events) {
      assertEquals(tracefs.kind(`events/${event!.slice(2)}`), "directory");
    }
  });

  Deno.test(`kprobe_ftrace: a probe on an entry and the function tracer, switched on and off in turn (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const [at] = placeOf(era);
    await write(kernel, "kernel_clone", "set_ftrace_filter");
    await write(kernel, `p:testprobe kernel_clone${at}`, "kprobe_events");
    const seen: string[] = [];
    for (const [tracer, on] of SWITCHES) {
      await write(kernel, on ? "1" : "0", `${folderOf("testprobe")}/enable`);
      await write(kernel, tracer, "current_tracer");
      await write(kernel, "", "trace");
      const before = counted(kernel, "testprobe");
      await kernel.run();
      const called = kernel.lines().some((line) => line.includes(": kernel_clone <-"));
      const hit = hits(kernel, "testprobe") > 0;
      // On 6.12 hits are counted only.
      const probed = entryIsRefused(era) ? counted(kernel, "testprobe") > before : hit;
      if (entryIsRefused(era)) assert(!hit);
      seen.push(`${tracer} ${on}: ${called} ${probed}`);
    }
    assertEquals(seen, [
      "nop true: false true",
      "function true: true true",
      "function false: true false",
      "function true: true true",
      "nop true: false true",
    ]);
    disable(kernel, "testprobe");
    const users = kernel.ftrace.records.reduce((sum, record) => sum + ftraceRefCount(record), 0);
    assertEquals(users, 0);
  });

  Deno.test(`kprobe_insn_boundary: of the offsets 0 to 255 only boundaries are taken, and they work (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const accepted: number[] = [];
    for (let offset = 0; offset < 256; offset++) {
      const command = `p:probe${offset} vfs_write+${offset}`;
      if (await kernel.append(command, "kprobe_events") === "") {
        accepted.push(offset);
      }
    }
    const entry = kernel.ftrace.lookup("vfs_write")!;
    const { size } = kernel.machine.symbols.at(entry)!.symbol;
    const boundaries: number[] = [];
    for (let at = 0; at < Number(size);) {
      boundaries.push(at);
      at += (kernel.machine.memory.view.getUint16(Number(entry) + at, true) & 3) === 3 ? 4 : 2;
    }
    const slot = era === "args" ? 0 : era === "regs" ? -1 : 4;
    const inside = accepted.filter((offset) => offset < Number(size));
    assertEquals(inside, boundaries.filter((offset) => offset !== slot));
    await write(kernel, "1", "events/kprobes/enable");
    await kernel.run();
    await write(kernel, "0", "events/kprobes/enable");
    for (const { name, nhit } of kernel.ftrace.kprobeEvents.events) {
      const offset = Number(name.slice(5));
      // On regs ftrace serves the entry's probe, and the one at +4, which was defined on a nop, steps
      // that nop in place of ftrace's jalr.
      const isHidden = era === "regs" && offset === 0;
      if (inside.includes(offset)) assertEquals(nhit > 0, !isHidden, name);
    }
    await write(kernel, "", "kprobe_events");
    assertEquals(kernel.cat("kprobe_events"), "");
    await kernel.run();
  });

  Deno.test(`kprobe_multiprobe: an event of two probes goes by name, and one of them by its place (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    // On 6.12 an entry cannot be probed, and the script fails.
    const at = entryIsRefused(era) ? "+8" : "";
    const [first, second] = ["kernel_clone", "vfs_write"].map((name) =>
      `p:kprobes/testevent ${name}${at}`
    ) as [string, string];
    const append = (text: string) => kernel.append(text, "kprobe_events");
    const define = async () => {
      for (const line of [first, second]) assertEquals(await append(line), "");
    };
    await define();
    assertEquals(kernel.cat("kprobe_events"), `${first}\n${second}\n`);
    assertEquals(await append("-:kprobes/testevent"), "");
    assertEquals(kernel.cat("kprobe_events"), "");
    await define();
    assertEquals(await append(`-:kprobes/testevent kernel_clone${at}`), "");
    assertEquals(kernel.cat("kprobe_events"), `${second}\n`);
    assertEquals(await append(first), "");
    assertEquals(await append(`${first} $stack`), "EEXIST");
  });

  Deno.test(`kprobe_multiprobe: one event at several places, which go together (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    for (const name of ["kernel_clone", "schedule"]) {
      assertEquals(await kernel.append(`p:mine ${name}+8`, "kprobe_events"), "");
    }
    kernel.ftrace.traceEvents.find("kprobes", "mine")!.enabled = true;
    await kernel.run();
    assertEquals(kernel.ftrace.kprobeEvents.events.map(({ nhit }) => nhit > 0), [true, true]);
    assertMatch(await kernel.append("-:mine", "kprobe_events"), /^EBUSY$/);
    disable(kernel, "mine");
    assertEquals(await kernel.append("-:mine", "kprobe_events"), "");
    assertEquals(kernel.cat("kprobe_events"), "");
  });

  Deno.test(`multiple_kprobes: 256 functions are probed, armed and let go (${era}, ${engine})`, async () => {
    const { ftrace } = tracedFirmware(makeManyFunctions(300), { era }, { engine });
    const { echo, append, cat } = filesOf(createTracefs(ftrace));
    // Only 16 bytes long, so where the entry is refused its second half is probed.
    const at = entryIsRefused(era) ? 8 : 0;
    for (let n = 0; n < 256; n++) {
      assertEquals(await append(`p fn_${n}+${at}`, "kprobe_events"), "");
    }
    assertEquals(cat("kprobe_events").trimEnd().split("\n").length, 256);
    assertEquals(await echo("1", "events/kprobes/enable"), "");
    assertEquals(await echo("0", "events/kprobes/enable"), "");
    assertEquals(await echo("", "kprobe_events"), "");
    assertEquals(cat("kprobe_events"), "");
  });

  Deno.test(`multiple_kprobes: every function at once, enabled and hit (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const offset = entryIsRefused(era) ? 8 : 0;
    for (const name of KERNEL_FUNCTIONS) {
      const command = `p ${name}+${offset}`;
      assertEquals(await kernel.append(command, "kprobe_events"), "", command);
    }
    for (const { event } of kernel.ftrace.kprobeEvents.events) event.file.enabled = true;
    await kernel.run();
    const hit = kernel.ftrace.kprobeEvents.events.filter(({ nhit }) => nhit > 0);
    assertEquals(hit.length > KERNEL_FUNCTIONS.length / 2, true);
    for (const { event } of kernel.ftrace.kprobeEvents.events) event.file.enabled = false;
    await write(kernel, "", "kprobe_events");
    assertEquals(kernel.ftrace.kprobes.list(), "");
  });

  Deno.test(`probepoint: a function, its address and an offset to the next name places, one before it none (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const [at] = placeOf(era);
    const target = KERNEL_FUNCTIONS.indexOf("vfs_write");
    const [previous, address, next] = [-1, 0, 1].map((k) =>
      kernel.ftrace.lookup(KERNEL_FUNCTIONS[target + k]!)!
    ) as [bigint, bigint, bigint];
    // On 6.12 each of the places is refused, and the one 8 bytes behind it is probed.
    const behind = BigInt(parseInt(at) || 0);
    const places = [
      (offset: bigint) => `vfs_write${offset === 0n ? "" : `+${offset}`}`,
      (offset: bigint) => `0x${(address + offset).toString(16)}`,
      (offset: bigint) => `vfs_write+${next - address + offset}`,
    ];
    for (const place of places) {
      const said = await kernel.echo(`p:testprobe ${place(0n)}`, "kprobe_events");
      assertEquals(said, entryIsRefused(era) ? "EINVAL" : "", place(0n));
      await write(kernel, `p:testprobe ${place(behind)}`, "kprobe_events");
    }
    for (const offset of [`-${address - previous}`, "+0xffffffffffffff00"]) {
      const said = await kernel.echo(`p:testprobe vfs_write${offset}`, "kprobe_events");
      assertMatch(said, INVALID);
    }
  });

  Deno.test(`probepoint: symbol, symbol+offset and address are one place (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    const address = kernel.ftrace.lookup("kernel_clone")! + 8n;
    const places = ["kernel_clone+8", "kernel_clone+0x8", `0x${address.toString(16)}`];
    for (const [k, place] of places.entries()) {
      assertEquals(await kernel.append(`p:e${k} ${place}`, "kprobe_events"), "", place);
    }
    const rows = kernel.ftrace.kprobes.list().trimEnd().split("\n");
    assertEquals([rows.length, new Set(rows).size], [3, 1]);
  });

  Deno.test(`profile: kprobe_profile counts hits and misses (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    assertEquals(kernel.cat("kprobe_profile"), "");
    for (const at of new Set([placeOf(era)[0], "+8"])) {
      await write(kernel, `p:myevent kernel_clone${at}`, "kprobe_events");
      assertMatch(kernel.cat("kprobe_profile"), /^ {2}myevent +0 +0\n$/);
      await write(kernel, "1", `${folderOf("myevent")}/enable`);
      await kernel.run();
      assertMatch(kernel.cat("kprobe_profile"), /^ {2}myevent +[1-9]\d* +0\n$/);
      await write(kernel, "0", `${folderOf("myevent")}/enable`);
      await write(kernel, "", "kprobe_events");
      assertEquals(kernel.cat("kprobe_profile"), "");
    }
  });

  Deno.test(`kretprobe_args, _return_suffix: a return has its value, by r: or %return (${era}, ${engine})`, async () => {
    for (const command of ["r:ret vfs_write $retval", "p:ret vfs_write%return $retval"]) {
      const kernel = bootKernel({ era }, { engine });
      const said = await kernel.echo(command, "kprobe_events");
      if (entryIsRefused(era)) {
        assertMatch(said, INVALID);
        continue;
      }
      assertEquals(said, "");
      assertMatch(kernel.cat("kprobe_events"), /^r10:kprobes\/ret vfs_write arg1=\$retval\n$/);
      assertEquals(kernel.tracefs.kind(folderOf("ret")), "directory");
      await write(kernel, "1", `${folderOf("ret")}/enable`);
      await kernel.run();
      const lines = kernel.lines().filter((line) => line.includes(": ret: ("));
      assertEquals(lines.length > 0, true);
      for (const line of lines) {
        assertMatch(line, /\(kernel_loop\+0x\w+\/0x\w+ <- vfs_write\) arg1=0xfffffffffffffffb$/);
      }
      await write(kernel, "0", `${folderOf("ret")}/enable`);
      assertEquals(await kernel.append("-:ret", "kprobe_events"), "");
      await write(kernel, "", "trace");
      await kernel.run();
      assertEquals(kernel.lines(), []);
      assertEquals(kernel.tracefs.kind(folderOf("ret")), undefined);
    }
  });

  Deno.test(`kretprobe_maxactive: it is read back, refused for a kprobe and where it is too big (${era}, ${engine})`, async () => {
    const kernel = bootKernel({ era }, { engine });
    assertMatch(await kernel.echo("p12:p1 vfs_write+8", "kprobe_events"), INVALID);
    assertMatch(await kernel.echo("r1000000:r1 vfs_write", "kprobe_events"), INVALID);
    const said = await kernel.echo("r22:r1 vfs_write", "kprobe_events");
    if (entryIsRefused(era)) return assertMatch(said, INVALID);
    assertEquals(kernel.cat("kprobe_events"), "r22:kprobes/r1 vfs_write\n");
    assertMatch(await kernel.echo("a:r1 vfs_write", "kprobe_events"), INVALID);
    assertMatch(await kernel.echo("r10fuzz:r1 vfs_write", "kprobe_events"), INVALID);
    for (const command of ["r:r1 vfs_write", "r10:r1 vfs_write"]) {
      await write(kernel, command, "kprobe_events");
      assertMatch(kernel.cat("kprobe_events"), /^r10:kprobes\/r1 vfs_write\n$/);
      assertEquals(kernel.tracefs.kind(folderOf("r1")), "directory");
      assertEquals(await kernel.append("-:r1", "kprobe_events"), "");
    }
    for (const command of ["r vfs_write", "r10 vfs_write"]) {
      await write(kernel, command, "kprobe_events");
      assertMatch(kernel.cat("kprobe_events"), /^r10:kprobes\/r_vfs_write_0 vfs_write\n$/);
      await write(kernel, "", "kprobe_events");
    }
  });
}
