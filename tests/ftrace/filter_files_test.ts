import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { FilterFileName } from "../../lib/ftrace/ops/filter_files.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

const TRUTH = new URL("../ground_truth/", import.meta.url);
const truth = (name: string) => Deno.readTextFile(new URL(name, TRUTH));

/** A guest whose functions have these names, and what scripts do with its files. */
function shell(names: readonly string[]) {
  const { ftrace } = tracedFirmware(makeFirmware(names.map((name) => ({ name }))));
  const { files } = ftrace.filterFiles;
  const put = (text: string, file: FilterFileName, append: boolean): number => {
    try {
      files[file].write(text, { append });
      return 0;
    } catch (error) {
      if (error instanceof FtraceError && error.code === "EINVAL") return 1;
      throw error;
    }
  };
  return {
    ftrace,
    echo: (text: string, file: FilterFileName) => put(text, file, false),
    append: (text: string, file: FilterFileName) => put(text, file, true),
    cat: (file: FilterFileName) => files[file].read().split("\n").slice(0, -1),
  };
}

/** One `echo` of a capture and what came of it. */
interface Step {
  readonly text: string;
  readonly file: FilterFileName;
  readonly failed: number;
  readonly count: number;
  readonly shown: readonly string[];
}

function readSteps(capture: string): Step[] {
  return [...capture.matchAll(
    /^--- echo '(.*)' > (\S+)\n(?:sh: .*\n)?rc=(\d) count=(\d+) : (.*)$/gm,
  )].map(([, text, file, failed, count, shown]) => ({
    text: text!,
    file: file as FilterFileName,
    failed: Number(failed),
    count: Number(count),
    shown: shown!.split("|").filter((name) => name !== ""),
  }));
}

for (const release of ["6.12", "7.2"]) {
  Deno.test(`the filter files do what those of Linux ${release} did in filter_behaviour`, async () => {
    const capture = await truth(`${release}/filter_behaviour`);
    // Function commands have a test of their own, so the probes that they left are not there.
    const steps = readSteps(capture).filter(({ text }) =>
      !/:(?!mod:)\w+/.test(text.replace(/:mod:/, " mod:"))
    );
    assertEquals(steps.length, 30);
    const vfs = (await truth(`${release}/graph.filter_vfs.enabled_functions`)).split("\n")
      .flatMap((line) => /^(\S+) \(/.exec(line)?.[1] ?? []);
    const isName = (text: string) => /^\w[\w.]*$/.test(text) && !/^\d/.test(text);
    const more = steps.flatMap(({ shown }) => shown).filter((name) => isName(name));
    const names = [...vfs, ...new Set(more.filter((name) => !vfs.includes(name)))];
    const { echo, cat } = shell(names);
    /** What the capture shows of it before the first probe's line. */
    const functionsOf = (lines: readonly string[]) =>
      lines.filter((line) => !/:\w+:/.test(line) || line.includes(":mod:"));
    for (const { text, file, failed, count, shown } of steps) {
      const what = `${release}: echo '${text}' > ${file}`;
      // Numbers mean other functions here; how many there are is the guest's.
      const isHere = /^0|-/.test(text) || !/^\d/.test(text);
      if (!isHere) continue;
      assertEquals(echo(text, file), failed, what);
      const now = cat(file);
      const expected = functionsOf(shown);
      for (const name of expected) assert(now.includes(name), `${what}: ${name} in ${now}`);
      const exact = /^vfs_|^(nosuch|start_)|mod:(?!!)|^0|^1-|^$|^ksys/.test(text);
      if (exact && !shown.some((line) => /:count=/.test(line))) {
        assertEquals(now.filter((line) => !line.startsWith("#")).length, count, what);
        if (file === "set_ftrace_filter") assertEquals(now.slice(0, expected.length), expected);
      }
    }
  });

  Deno.test(`set_ftrace_filter appends, removes and orders as Linux ${release} did`, async () => {
    const capture = await truth(`${release}/filter_behaviour`);
    const part = (from: string, to: string) =>
      capture.slice(capture.indexOf(from), capture.indexOf(to)).trim().split("\n").slice(1);
    const vfs = (await truth(`${release}/graph.filter_vfs.enabled_functions`)).split("\n")
      .flatMap((line) => /^(\S+) \(/.exec(line)?.[1] ?? []);
    const { echo, append, cat } = shell([...vfs, "ksys_read"]);
    const count = () => `${cat("set_ftrace_filter").length}`;
    const found: string[] = [];
    echo("vfs_*", "set_ftrace_filter");
    found.push(count());
    append("!vfs_read", "set_ftrace_filter");
    found.push(count());
    append("vfs_read", "set_ftrace_filter");
    found.push(count());
    echo("ksys_read", "set_ftrace_filter");
    found.push(...cat("set_ftrace_filter"));
    append("!ksys_read", "set_ftrace_filter");
    found.push(...cat("set_ftrace_filter"));
    assertEquals(found, part("--- append/!", "--- order of output"));
    echo("ksys_read vfs_write vfs_read", "set_ftrace_filter");
    assertEquals(cat("set_ftrace_filter"), part("--- order of output", "--- notrace"));
    echo("vfs_fadvise vfs_fallocate vfs_truncate", "set_ftrace_notrace");
    assertEquals(cat("set_ftrace_notrace"), part("--- notrace", "--- graph function"));
  });

  Deno.test(`the filter files read as those of Linux ${release} did after boot`, async () => {
    const { ftrace: { filterFiles: { files } } } = shell(["vfs_read"]);
    for (const name of ["set_ftrace_filter", "set_ftrace_notrace", "set_ftrace_pid"] as const) {
      assertEquals(files[name].read(), await truth(`${release}/initial.${name}`));
    }
    assertEquals(
      files.set_graph_function.read(),
      await truth(`${release}/initial.set_graph_function`),
    );
    assertEquals(
      files.set_graph_notrace.read(),
      await truth(`${release}/initial.set_graph_notrace`),
    );
  });
}

Deno.test("set_ftrace_filter takes numbers as kstrtoul does, from 1 on", () => {
  const { echo, cat } = shell(["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
  for (const [text, names] of [["1", "a"], ["0x3", "c"], ["011", "i"], ["9 2", "b i"]] as const) {
    assertEquals(echo(text, "set_ftrace_filter"), 0);
    assertEquals(cat("set_ftrace_filter").join(" "), names);
  }
  for (const text of ["0", "10", "1-3", "2x", "09"]) {
    assertEquals(echo(text, "set_ftrace_filter"), 1);
  }
});

Deno.test("a refused write keeps the words before the refused one and none behind it", () => {
  const { echo, append, cat } = shell(["a", "b", "c"]);
  echo("a", "set_ftrace_filter");
  assertEquals(append("b nosuch c", "set_ftrace_filter"), 1);
  assertEquals(cat("set_ftrace_filter"), ["a", "b"]);
});

Deno.test("a filter that only waits for a module lets nothing through, and goes with !", () => {
  const { ftrace, echo, append, cat } = shell(["a", "b"]);
  ftrace.registerFtraceFunction({ func() {}, hash: ftrace.globalHash });
  const users = () => ftrace.records.map(({ flags }) => flags & 0xff).join();
  assertEquals(users(), "1,1");
  assertEquals(echo("b:mod:first", "set_ftrace_filter"), 0);
  assertEquals(append("*:mod:second", "set_ftrace_filter"), 0);
  assertEquals(cat("set_ftrace_filter"), ["*:mod:second", "b:mod:first"]);
  assertEquals(users(), "0,0");
  assertEquals(append("!b:mod:second", "set_ftrace_filter"), 1);
  assertEquals(append("!b:mod:first", "set_ftrace_filter"), 0);
  assertEquals(append("!*:mod:second", "set_ftrace_filter"), 0);
  assertEquals(cat("set_ftrace_filter"), ["#### all functions enabled ####"]);
  assertEquals(users(), "1,1");
});

Deno.test("set_graph_function refuses to take away what is not there, but takes a function twice", () => {
  const { append, cat } = shell(["a", "b"]);
  assertEquals(append("a", "set_graph_function"), 0);
  assertEquals(append("a", "set_graph_function"), 0);
  assertEquals(append("!b", "set_graph_function"), 1);
  assertEquals(append("1", "set_graph_function"), 1);
  assertEquals(cat("set_graph_function"), ["a"]);
  assertEquals(append("!*", "set_graph_function"), 0);
  assertEquals(cat("set_graph_function"), ["#### all functions enabled ####"]);
});

Deno.test("set_ftrace_pid takes numbers only, and a refused write leaves what was there", () => {
  const { echo, append, cat } = shell(["a"]);
  assertEquals(echo("12 7", "set_ftrace_pid"), 0);
  assertEquals(cat("set_ftrace_pid"), ["7", "12"]);
  assertEquals(append("1 abc", "set_ftrace_pid"), 1);
  assertEquals(cat("set_ftrace_pid"), ["7", "12"]);
  assertEquals(echo("-1", "set_ftrace_pid"), 1);
  assertEquals(cat("set_ftrace_pid"), ["no pid"]);
});

Deno.test("a pid filter lets only its tasks through, and an ops without PID does not ask", async () => {
  for (const trampoline of ["guest", "fast"] as const) {
    for (const [pid, notrace, expected] of [["1", "", 2], ["2", "", 0], ["1", "1", 0]] as const) {
      const program = makeFirmware([{ name: "a" }, { name: "b" }], "call f0\ncall f1");
      const { ftrace, machine } = tracedFirmware(program, { trampoline });
      const { files } = ftrace.filterFiles;
      let all = 0;
      ftrace.registerFtraceFunction({ func: () => void all++ });
      ftrace.registerFtraceFunction({
        func: ftrace.functionTraceCall,
        flags: ftrace.flags.PID,
        hash: ftrace.globalHash,
      });
      const { entryFunc, retFunc } = ftrace.graph;
      ftrace.registerFtraceGraph({ entryFunc, retFunc });
      files.set_ftrace_pid.write(pid);
      files.set_ftrace_notrace_pid.write(notrace);
      await machine.run();
      assertEquals([all, [...ftrace.events()].length], [2, 3 * expected], `${trampoline} ${pid}`);
    }
  }
});

Deno.test("registerCommand() gets the words with its name, and addListing() shows what they left", () => {
  const { ftrace, echo, cat } = shell(["a", "b"]);
  const calls: string[] = [];
  const { filterFiles } = ftrace;
  filterFiles.registerCommand("note", ({ pattern, remove, parameter }) => {
    calls.push(`${remove ? "-" : "+"}${pattern} ${parameter}`);
  });
  filterFiles.addListing(() => ["a:note:unlimited"]);
  assertEquals(echo("a:note !b:note:0 c:note:x:y", "set_ftrace_filter"), 0);
  assertEquals(calls, ["+a undefined", "-b 0", "+c x:y"]);
  assertEquals(cat("set_ftrace_filter"), ["#### all functions enabled ####", "a:note:unlimited"]);
  assertEquals(echo("a:note", "set_ftrace_notrace"), 1);
  const error = assertThrows(
    () => filterFiles.files.set_ftrace_filter.write("a:tell"),
    FtraceError,
  );
  assertMatch(error.message, /no function command "tell"; use .*, note instead/);
});
