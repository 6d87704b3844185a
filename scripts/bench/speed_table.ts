/**
 * Table `speed`: each workload on an engine and on QEMU, and by how much one takes longer.
 *
 * A figure is the difference between a long and a short run of the whole process, in processor time
 * of all its threads, so starting cancels and compiling on another thread counts.
 *
 * @module
 */
import type { EngineName } from "../../lib/engine/mod.ts";
import { geometricMean, median, out, progress, row, timed } from "./measure.ts";
import {
  instructionsPerRound,
  type Kind,
  ourCommand,
  qemuCommand,
  type Workload,
} from "./workloads.ts";

/** What a table is measured with. */
export interface Measurement {
  readonly engine: EngineName;
  readonly workloads: readonly Workload[];
  /** Interleaved runs of each. */
  readonly rounds: number;
  /** Instructions of a long run. */
  readonly instructions: number;
  /** Which QEMU there is. */
  readonly qemu: { readonly user: boolean; readonly system: boolean };
}

const TITLES: Readonly<Record<Kind, string>> = {
  linux: "Linux programs, beside qemu-riscv64",
  firmware: "firmware in M-mode, beside qemu-system-riscv64",
  sv39: "the same in S-mode through Sv39, pages of 4 KiB",
};
const WIDTHS = [12, 9, 14, 14, 8];

/** Seconds that `make(long)` takes longer than `make(short)`, and what the long run printed. */
async function difference(
  make: (rounds: number) => string[],
  long: number,
): Promise<{ readonly seconds: number; readonly printed: string }> {
  const whole = await timed(make(long));
  const start = await timed(make(1));
  return { seconds: whole.cpu - start.cpu, printed: `${whole.stdout.trim()}, exit ${whole.code}` };
}

/** Measures one workload and prints its row; gives the ratio, if there is a QEMU to compare with. */
async function measure(
  workload: Workload,
  measurement: Measurement,
): Promise<{ readonly ratio?: number; readonly same: boolean }> {
  const { engine, rounds, instructions } = measurement;
  const { name, kind } = workload;
  const beside = kind === "linux" ? measurement.qemu.user : measurement.qemu.system;
  const each = await instructionsPerRound(workload);
  const long = 1 + Math.max(1, Math.ceil(instructions / each));
  const count = each * (long - 1);
  const ours: number[] = [], theirs: number[] = [];
  let same = true;
  for (let round = 1; round <= rounds; round++) {
    progress(`speed: ${kind} ${name}, round ${round} of ${rounds}`);
    const here = await difference((n) => ourCommand(workload, engine, n), long);
    ours.push(here.seconds);
    same &&= here.printed.endsWith(", exit 0");
    if (!beside) continue;
    const there = await difference((n) => qemuCommand(workload, n), long);
    theirs.push(there.seconds);
    same &&= here.printed === there.printed;
  }
  progress("");
  const rate = (seconds: readonly number[]) => (count / median(seconds) / 1e6).toFixed(0);
  const cells = [name, `${(count / 1e6).toFixed(0)} M`, `${rate(ours)} M/s`];
  const remark = same ? "" : "  FAILED, or prints something else than QEMU";
  if (!beside) {
    out(row([...cells, "not there", ""], WIDTHS) + remark);
    return { same };
  }
  const ratio = median(ours) / median(theirs);
  out(row([...cells, `${rate(theirs)} M/s`, ratio.toFixed(2)], WIDTHS) + remark);
  return { ratio, same };
}

/** Prints the table; gives whether every workload ended well and printed what QEMU printed. */
export async function speedTable(measurement: Measurement): Promise<boolean> {
  const { engine, workloads, rounds } = measurement;
  out(
    `speed: processor time of a long run without that of a run of one round, which is the start;`,
  );
  out(`user and system time of all threads of the process, ours and QEMU's alike. Medians of`);
  out(
    `${rounds} interleaved runs; instructions are counted on short runs; ratio: ${engine} / QEMU`,
  );
  let same = true;
  for (const kind of Object.keys(TITLES) as Kind[]) {
    const chosen = workloads.filter((workload) => workload.kind === kind);
    if (chosen.length === 0) continue;
    out();
    out(row([TITLES[kind]], [0]));
    out(row(["workload", "instr", engine, "QEMU", "ratio"], WIDTHS));
    const ratios: number[] = [];
    for (const workload of chosen) {
      const result = await measure(workload, measurement);
      same &&= result.same;
      if (result.ratio !== undefined) ratios.push(result.ratio);
    }
    if (ratios.length > 0) {
      out(
        row(["geometric mean", "", "", "", geometricMean(ratios).toFixed(2)], [14, 7, 14, 14, 8]),
      );
    }
  }
  return same;
}
