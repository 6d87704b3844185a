/**
 * What all tables of `deno task bench` are made with: whole processes and their times, middles of
 * several runs, and lines of text.
 *
 * Times of processes come from bash, as Deno tells nobody's processor time but its own.
 *
 * @module
 */

/** The repository. */
export const ROOT: string = new URL("../..", import.meta.url).pathname;

const encoder = new TextEncoder();

/** Prints a line of a table. */
export const out = (line = ""): void => void Deno.stdout.writeSync(encoder.encode(`${line}\n`));

/** Says on stderr what is measured now; on a terminal, in place of what it said before. */
export function progress(what: string): void {
  const text = Deno.stderr.isTerminal() ? `\r\x1b[K${what}` : what === "" ? "" : `${what}\n`;
  Deno.stderr.writeSync(encoder.encode(text));
}

/** The middle one of some values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** The geometric mean of some ratios. */
export function geometricMean(ratios: readonly number[]): number {
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
}

/** One run of a whole process. */
export interface ProcessRun {
  /** Seconds from its start to its end. */
  readonly wall: number;
  /** Seconds of processor time, user and system, of all its threads. */
  readonly cpu: number;
  readonly stdout: string;
  readonly code: number;
}

/**
 * Runs a process to its end.
 *
 * @throws {Error} If bash is not there, or did not tell the times.
 */
export async function timed(command: readonly string[]): Promise<ProcessRun> {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@"';
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script, "-", ...command],
    env: { LC_ALL: "C" },
    stdin: "null",
  }).output();
  const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
  const [wall, user, system] = lines.at(-1)!.split(" ").map(Number);
  if (!(user! + system! >= 0)) throw new Error(`Cannot time ${command[0]}: ${lines.join("\n")}`);
  return { wall: wall!, cpu: user! + system!, stdout: new TextDecoder().decode(stdout), code };
}

/** The first line that a command prints; empty if there is no such command. */
export async function textOf(command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(command, { args, stdin: "null" }).output();
    return new TextDecoder().decode(stdout).split("\n")[0]!.trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Cells in columns: the first to the left, the others to the right. */
export function row(cells: readonly (string | number)[], widths: readonly number[]): string {
  return cells.map((cell, k) =>
    k === 0 ? `${cell}`.padEnd(widths[k]!) : `${cell}`.padStart(widths[k]!)
  ).join(" ").trimEnd();
}
