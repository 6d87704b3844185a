/**
 * Files of results put together: whether they are of one campaign, and whether all of it is there.
 *
 * @module
 */
import type { FailedRun } from "./guest_run.ts";
import {
  callsOf,
  type Campaign,
  campaignDifference,
  type CampaignOptions,
  readResults,
  type Results,
} from "./results.ts";

/** A whole campaign. */
export interface MergedResults {
  /** The campaign, as one part. */
  readonly campaign: Campaign;
  /** The result of each call, in order. */
  readonly runs: readonly FailedRun[];
}

/**
 * Reads the files of all shards of a campaign.
 *
 * @param judging Options by which results are judged, in place of those that the files name.
 * @throws {SyntaxError} If a file is damaged.
 * @throws {TypeError} If one is not there, they are of different campaigns, or some of it is missing.
 */
export function mergeResults(
  files: readonly string[],
  judging: Partial<CampaignOptions> = {},
): MergedResults {
  const parts = files.map((file): Results => {
    const results = readResults(file);
    if (results) {
      const { campaign } = results;
      const options = { ...campaign.options, ...judging };
      return { ...results, campaign: { ...campaign, options } };
    }
    throw new TypeError(`Cannot merge ${file}: there is no such file, or it is empty`);
  });
  const [first, ...others] = parts;
  if (!first) throw new TypeError("Cannot merge: no file is named; write fail --merge FILE…");
  for (const { file, campaign } of others) {
    const difference = campaignDifference(first.campaign, campaign);
    if (difference === undefined) continue;
    throw new TypeError(
      `Cannot merge ${first.file} and ${file}: they are of different campaigns: ${difference}`,
    );
  }
  const runs = new Map<number, FailedRun>();
  for (const part of parts) for (const run of part.runs) addRun(runs, run, part.file);
  checkComplete(parts, runs);
  const { campaign } = first;
  return {
    campaign: { ...campaign, shard: { index: 1, count: 1 } },
    runs: [...runs.values()].sort((a, b) => a.call - b.call),
  };
}

/** Adds the run of a call, which may be in two files if both say the same of it. */
function addRun(runs: Map<number, FailedRun>, run: FailedRun, file: string): void {
  const before = runs.get(run.call);
  if (before && JSON.stringify(before) !== JSON.stringify(run)) {
    throw new TypeError(
      `Cannot merge ${file}: another file has another result for call ${run.call}`,
    );
  }
  runs.set(run.call, run);
}

/** Names what is missing by file, or by shard where no file has any of it. */
function checkComplete(
  parts: readonly Results[],
  runs: ReadonlyMap<number, FailedRun>,
): void {
  const { calls, shard: { count } } = parts[0]!.campaign;
  if (runs.size === calls) return;
  const gaps = parts.flatMap(({ file, campaign, isCut }) => {
    const own = callsOf(calls, campaign.shard);
    const missing = own.filter((call) => !runs.has(call)).length;
    if (missing === 0) return [];
    const cut = isCut ? ", and its last line is cut off" : "";
    return [`${file} has not ${missing} of the ${own.length} calls of its shard${cut}`];
  });
  const there = new Set(parts.map(({ campaign: { shard } }) => `${shard.index}/${shard.count}`));
  const isAlike = parts.every(({ campaign: { shard } }) => shard.count === count);
  const absent = Array.from({ length: isAlike ? count : 0 }, (_, k) => `${k + 1}/${count}`)
    .filter((shard) => !there.has(shard));
  if (absent.length > 0) gaps.push(`there is no file of shard ${absent.join(", ")}`);
  throw new TypeError(
    `Cannot merge: ${calls - runs.size} of ${calls} calls are missing: ${gaps.join("; ")}; ` +
      "run these shards again with the same -o, which goes on where it ended",
  );
}
