/**
 * What a failed run shows: whether the program handled the failure, and if not, what went wrong.
 *
 * @module
 */
import type { FailedRun } from "./guest_run.ts";
import type { Leak } from "./live_blocks.ts";
import type { OutputDifference } from "./output_check.ts";
import type { Campaign } from "./results.ts";

/** The verdicts, the worst first. */
export const VERDICTS = ["crash", "hang", "leak", "exit", "output", "handled"] as const;

/** What is made of a failed run. */
export interface Verdict {
  /** The worst that can be said of it. */
  readonly name: (typeof VERDICTS)[number];
  /** All that can be said of it, in words; empty if it was handled. */
  readonly what: string;
}

/** Judges a failed run of a campaign. */
export function verdictOf(
  { ending, leaks, stdout, stderr }: FailedRun,
  { options, unfailed }: Pick<Campaign, "options" | "unfailed">,
): Verdict {
  if (ending.kind !== "exit") return { name: ending.kind, what: ending.what };
  const { compare, "error-exit": errorExit } = options;
  const found: Verdict[] = [];
  if (compare.includes("leaks") && leaks.length > 0) {
    found.push({ name: "leak", what: leaks.map(leakText).join(", ") });
  }
  const { code } = ending;
  const saysError = errorExit.includes(code);
  if (compare.includes("exit") && code !== unfailed.exit && !saysError) {
    found.push({ name: "exit", what: `exit code ${code}, not ${unfailed.exit}` });
  }
  // Who says that it failed prints something else, and so does who ends with another code.
  const alike = code === unfailed.exit || !compare.includes("exit");
  if (alike && !saysError) {
    if (stdout && compare.includes("stdout")) found.push(outputVerdict("stdout", stdout));
    if (stderr && compare.includes("stderr")) found.push(outputVerdict("stderr", stderr));
  }
  const [worst] = found;
  if (!worst) return { name: "handled", what: "" };
  return { name: worst.name, what: found.map(({ what }) => what).join("; ") };
}

function outputVerdict(
  stream: "stdout" | "stderr",
  { line, unfailed, failed }: OutputDifference,
): Verdict {
  const [is, was] = [failed, unfailed].map((text) =>
    text === null ? "nothing" : JSON.stringify(text)
  );
  return { name: "output", what: `${stream} line ${line}: ${is}, not ${was}` };
}

function leakText({ allocator, from, blocks, bytes }: Leak): string {
  const count = `${blocks} ${blocks === 1 ? "block" : "blocks"}`;
  const size = bytes > 0 ? ` of ${bytes} bytes` : "";
  return `${count}${size} of ${allocator} from ${from}`;
}
