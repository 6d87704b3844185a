/**
 * Random writes to control files, from a seed: some that make sense, many that nearly do.
 *
 * Each file has a few forms of its own; any text may go to any file, be cut short, be repeated or
 * have a character changed. Nothing here knows what a kernel would say to it.
 *
 * @module
 */
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import type { DynFtrace } from "../../lib/patcher/dyn_ftrace.ts";
import type { Tracer } from "../../lib/ftrace/tracer.ts";
import { TracefsError } from "../../lib/tracefs/errno.ts";
import { createTracefs, type Tracefs } from "../../lib/tracefs/tracefs.ts";
import { createRandom, type Random } from "../engine/random.ts";
import { contradictions, probedRecords } from "./site_check.ts";

/** One random write. */
export interface RandomWrite {
  readonly file: string;
  readonly text: string;
  readonly append: boolean;
}

/** Words of the guest's that texts are made from. */
export interface FuzzWords {
  readonly functions: readonly string[];
  readonly tracers: readonly string[];
  readonly options: readonly string[];
}

/** Makes writes for the files that are there. */
export function createWrites(seed: number, words: FuzzWords): (tracefs: Tracefs) => RandomWrite {
  const random = createRandom(seed);
  const { pick } = random;
  const chance = (part: number) => random.below(1000) < part * 1000;
  const number = () =>
    pick([
      "0",
      "1",
      "2",
      "3",
      "7",
      "50",
      "1000",
      "-1",
      "0x10",
      "1e3",
      "4294967296",
      "99999999999999999999",
      "",
      "x",
    ]);
  const glob = () => {
    const name = pick(words.functions);
    const cut = 1 + random.below(name.length);
    return pick([
      name,
      name,
      `${name.slice(0, cut)}*`,
      `*${name.slice(-cut)}`,
      `*${name.slice(1, cut)}*`,
      `${name.slice(0, cut)}?*`,
      "*",
      "[a-m]*",
      "!*",
      "\\*",
      "[",
      name.slice(0, cut),
      number(),
    ]);
  };
  const command = () =>
    pick([
      "traceon",
      "traceoff",
      "stacktrace",
      "snapshot",
      "dump",
      "cpudump",
      "mod",
      "enable_event:hartrace:fuzz",
      "disable_event:hartrace:fuzz",
      "enable_event:ftrace:function",
      "nosuch",
      "",
    ]);
  const filter = () => {
    const field = pick([
      "ip",
      "parent_ip",
      "common_pid",
      "comm",
      "func",
      "depth",
      "value",
      "who",
      "nosuch",
      "CPU",
      "",
    ]);
    const operator = pick(["==", "!=", ">", "<", ">=", "&", "~", "=", "&&"]);
    const value = pick([
      number(),
      `"${pick(words.functions)}*"`,
      pick(words.functions),
      "'x'",
      '"',
      "",
    ]);
    const one = `${field} ${operator} ${value}`;
    return pick([one, `${one} && ${field} > 0`, `(${one}) || !(${one})`, `(${one}`, "none", "0"]);
  };
  const trigger = () =>
    pick([
      `${command()}:${number()} if ${filter()}`,
      command(),
      `hist:keys=${
        pick(["ip", "common_pid", "value", "nosuch"])
      }:vals=hitcount:sort=hitcount:size=${number()}`,
      `hist:keys=value.log2`,
      `stacktrace if ${filter()}`,
    ]);
  const place = () =>
    `${pick(words.functions)}${pick(["", "", "+0", "+2", "+4", "+8", "+10", "%return", "+x"])}`;
  const probe = () =>
    pick([
      `p:${pick(["a", "b", "c", "k/d"])} ${place()}`,
      `r:${pick(["r", "s"])} ${place()} ret=$retval`,
      `p ${place()} a=%a0 b=+8(%sp):u32 $arg1 $stack $comm`,
      `-:${pick(["a", "b", "r", "nosuch"])}`,
      `f:${pick(["f", "g"])} ${place()}`,
      `e:x hartrace.fuzz v=$value`,
      `t:t hartrace`,
      "p",
      ":",
    ]);
  /** What people would write to a file of that name. */
  const fitting = (file: string): string => {
    const leaf = file.split("/").pop()!;
    if (/^set_(ftrace|graph)_/.test(leaf) && !leaf.endsWith("pid")) {
      const words = Array.from({ length: 1 + random.below(3) }, () => {
        const not = chance(0.2) ? "!" : "";
        return `${not}${glob()}${
          chance(0.3) ? `:${command()}${chance(0.5) ? `:${number()}` : ""}` : ""
        }`;
      });
      return words.join(" ");
    }
    switch (leaf) {
      case "current_tracer":
        return pick([...words.tracers, ...words.tracers, "nosuch"]);
      case "trace_options":
        return `${chance(0.4) ? "no" : ""}${pick([...words.options, "nosuch"])}`;
      case "trace_clock":
        return pick(["local", "global", "counter", "uptime", "mono", "boot", "tai", "x86-tsc"]);
      case "buffer_size_kb":
        return pick(["4", "8", "64", "100", "1408", "0", "-1", "99999999999", number()]);
      case "set_event":
        return pick([
          "hartrace:fuzz",
          "fuzz",
          "hartrace",
          "*:*",
          "!*:*",
          "ftrace:function",
          "nosuch:x",
          "!fuzz",
        ]);
      case "filter":
        return filter();
      case "trigger":
        return `${chance(0.3) ? "!" : ""}${trigger()}`;
      case "kprobe_events":
      case "dynamic_events":
      case "uprobe_events":
        return probe();
      case "trace_marker":
      case "trace_marker_raw":
        return pick(["hello", "a\nb", "", "x".repeat(5000), "\0\x01\x02\x03abc"]);
      case "tracing_cpumask":
        return pick(["1", "3", "0", "f", "ffffffff,ffffffff", "x", number()]);
      default:
        return pick([number(), pick(["0", "1"]), glob()]);
    }
  };
  return (tracefs) => {
    const paths = tracefs.paths();
    // Files whose writes switch sites come up more often than the many options.
    const file = chance(0.6)
      ? pick(paths.filter((path) => !path.startsWith("options/") && !path.startsWith("events/")))
      : pick(paths);
    const text = chance(0.85) ? fitting(file) : fitting(pick(paths));
    return {
      file: chance(0.005) ? `${file}x` : file,
      text: `${damaged(text, random)}${chance(0.95) ? "\n" : ""}`,
      append: chance(0.6),
    };
  };
}

/** The text, seldom with something wrong in it. */
function damaged(text: string, random: Random): string {
  if (random.below(100) >= 8) return text;
  const at = random.below(text.length + 1);
  switch (random.below(4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + String.fromCodePoint(random.below(0x300)) + text.slice(at);
    case 2:
      return `${text} ${text}`;
    default:
      return text.slice(at) + text.slice(0, at);
  }
}

/** What a run of writes came to. */
export interface FuzzFigures {
  writes: number;
  refused: number;
  /** Batches after which every site was compared with its record. */
  checks: number;
  /** Instructions that guests executed in between. */
  instructions: bigint;
  /** Guests given up because a kprobe and ftrace had spoilt each other's words, as in the kernel. */
  spoilt: number;
}

/** Writes after which sites are compared and the guest runs on. */
const BATCH = 20;

/**
 * Writes `count` times to the files of fresh guests of one era, and throws at whatever must not be:
 * an error that is no refusal, a site that denies its record, a report that ftrace is broken.
 */
export async function fuzzControlFiles(
  makeGuest: () => Promise<{ readonly ftrace: Ftrace; readonly reports: readonly string[] }>,
  tracers: readonly Tracer[],
  seed: number,
  count: number,
): Promise<FuzzFigures> {
  const figures: FuzzFigures = { writes: 0, refused: 0, checks: 0, instructions: 0n, spoilt: 0 };
  for (let world = 0; figures.writes < count; world++) {
    const { ftrace, reports } = await makeGuest();
    const hart = ftrace.machine.harts[0]!;
    await using tracefs = createTracefs(ftrace, { tracers });
    const next = createWrites(seed * 1000 + world, {
      functions: [...new Set(ftrace.records.map(({ name }) => name))],
      tracers: tracefs.state.tracers,
      options: tracefs.list("options"),
    });
    const history: string[] = [];
    /** Sites that a kprobe was ever in: the kernel does not keep the two from each other either. */
    const probed = new Set<DynFtrace>();
    const isSpoilt = () =>
      (ftrace.core.disabled && probed.size > 0) ||
      contradictions(ftrace, isOff(tracefs), [...probed]).length > 0;
    for (let batch = 0, alive = true; alive && batch < 25 && figures.writes < count; batch++) {
      for (let k = 0; k < BATCH; k++) {
        const { file, text, append } = next(tracefs);
        history.push(`${JSON.stringify(text).slice(0, 200)} ${append ? ">>" : ">"} ${file}`);
        figures.writes++;
        try {
          await tracefs.write(file, text, { append });
          if (tracefs.access(file).readable) tracefs.read(file);
        } catch (error) {
          if (!(error instanceof TracefsError)) throw failure(error, history);
          figures.refused++;
        }
        if (/(kprobe|dynamic)_events/.test(file)) {
          for (const record of probedRecords(ftrace)) probed.add(record);
        }
      }
      if (isSpoilt()) {
        figures.spoilt++;
        break;
      }
      const before = hart.instret;
      const outcome = await ftrace.machine.run({ limit: hart.instret + 3000n });
      alive = outcome.kind === "limit";
      figures.instructions += hart.instret - before;
      figures.checks++;
      // An event that was switched on meanwhile may have armed or disarmed a probe.
      if (isSpoilt()) {
        figures.spoilt++;
        break;
      }
      const wrong = contradictions(
        ftrace,
        isOff(tracefs),
        ftrace.records.filter((record) => !probed.has(record)),
      );
      const broken = reports.filter((line) => /bug|broken|disabled/i.test(line));
      if (wrong.length > 0 || broken.length > 0) {
        throw failure(new Error([...wrong, ...broken].join("; ")), history);
      }
      if (outcome.kind !== "limit" && outcome.kind !== "exit") {
        throw failure(new Error(`the guest ended by ${JSON.stringify(outcome.kind)}`), history);
      }
    }
  }
  return figures;
}

function failure(cause: unknown, history: readonly string[]): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(`${reason}\nafter\n${history.slice(-60).join("\n")}`, { cause });
}

/** Whether `ftrace_enabled` keeps every site off. */
function isOff(tracefs: Tracefs): boolean {
  return tracefs.kind("/proc/sys/kernel/ftrace_enabled") !== undefined &&
    tracefs.read("/proc/sys/kernel/ftrace_enabled") === "0\n";
}
