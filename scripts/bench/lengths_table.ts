/**
 * Table `lengths`: seconds of whole processes, from start to end, over the length of the run, and
 * where an engine and QEMU cross.
 *
 * @module
 */
import { median, out, progress, row, timed } from "./measure.ts";
import type { Measurement } from "./speed_table.ts";
import { instructionsPerRound, ourCommand, qemuCommand, type Workload } from "./workloads.ts";

const SHORTEST = 1e6;

/** Powers of ten from the shortest run to `longest`. */
function lengthsUpTo(longest: number): number[] {
  const lengths: number[] = [];
  for (let length = SHORTEST; length <= longest; length *= 10) lengths.push(length);
  return lengths;
}

/** Medians of wall seconds at one length, ours and QEMU's. */
async function measure(
  workload: Workload,
  { engine, rounds }: Measurement,
  length: number,
  each: number,
): Promise<readonly [ours: number, theirs: number]> {
  const repeat = Math.max(1, Math.round(length / each));
  const ours: number[] = [], theirs: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`lengths: ${workload.name}, ${length.toExponential(0)}, round ${round} of ${rounds}`);
    ours.push((await timed(ourCommand(workload, engine, repeat))).wall);
    theirs.push((await timed(qemuCommand(workload, repeat))).wall);
  }
  progress("");
  return [median(ours), median(theirs)];
}

/** Where the first is as fast as the second from then on, in words; lengths are ascending. */
export function crossing(
  lengths: readonly number[],
  times: readonly (readonly [ours: number, theirs: number])[],
): string {
  const wins = times.map(([ours, theirs]) => ours <= theirs);
  const last = wins.lastIndexOf(false);
  if (last === wins.length - 1) return `not up to ${lengths.at(-1)!.toExponential(0)}`;
  return `from ${lengths[last + 1]!.toExponential(0)}`;
}

/** Prints the table for the Linux programs among the workloads. */
export async function lengthsTable(measurement: Measurement, longest: number): Promise<void> {
  const { engine, rounds, qemu } = measurement;
  out(`lengths: seconds of the whole process from start to end, ${engine} / qemu-riscv64, by the`);
  out(`instructions of the guest; medians of ${rounds} interleaved runs`);
  out();
  if (!qemu.user) return out("qemu-riscv64 is not installed: there is nothing to cross");
  const lengths = lengthsUpTo(longest);
  const widths = [12, ...lengths.map(() => 13), 18];
  out(row(["workload", ...lengths.map((n) => n.toExponential(0)), "as fast as QEMU"], widths));
  for (const workload of measurement.workloads.filter(({ kind }) => kind === "linux")) {
    const each = await instructionsPerRound(workload);
    const times: (readonly [number, number])[] = [];
    for (const length of lengths) times.push(await measure(workload, measurement, length, each));
    const cells = times.map(([ours, theirs]) => `${ours.toFixed(2)} / ${theirs.toFixed(2)}`);
    out(row([workload.name, ...cells, crossing(lengths, times)], widths));
  }
}
