/**
 * The table of a campaign: a row for what is alike, and the callers of what is not handled. The same
 * results give the same text, in whatever order they came.
 *
 * @module
 */
import type { CallCount, FailedRun } from "./guest_run.ts";
import { callsOf, type Campaign } from "./results.ts";
import { type Verdict, verdictOf, VERDICTS } from "./verdict.ts";

/** Failed runs that are alike: the same call chain, the same that came of it. */
interface Finding {
  readonly first: FailedRun;
  readonly verdict: Verdict;
  readonly calls: number[];
}

/** Most functions whose calls are told one by one. */
const MOST_FUNCTIONS = 12;

/** What a campaign counted, in lines: before its first failure. */
export function countsText(campaign: Campaign): string {
  const { program, calls, counts, unfailed, shard, options, allocators } = campaign;
  const functions = new Map<string, CallCount[]>();
  for (const count of counts) {
    functions.set(count.function, [...functions.get(count.function) ?? [], count]);
  }
  const lines = [...functions].slice(0, MOST_FUNCTIONS).map(([name, callers]) => {
    const sum = callers.reduce((sum, each) => sum + each.calls, 0);
    const from = callers.map((each) => `${each.caller || "(no symbol)"} ${each.calls}`);
    return `${name}: ${plural(sum, "call")}` +
      (options.caller.length > 0 ? ` (from ${from.join(", ")})` : "");
  });
  const more = functions.size - MOST_FUNCTIONS;
  if (more > 0) lines.push(`and ${plural(more, "more function")}`);
  const { exit, instructions } = unfailed;
  const run = `exit code ${exit}, ${instructions} instructions`;
  lines.push(
    `unfailed run of ${program || "the sample"}: ${plural(calls, "call")} to fail, ${run}`,
  );
  if (allocators.length === 0) {
    lines.push(
      "leaks are not looked for: there is no allocator that is known; see --alloc, --free",
    );
  }
  if (shard.count > 1) {
    const own = callsOf(calls, shard).length;
    lines.push(`shard ${shard.index}/${shard.count}: ${plural(own, "call")} of these`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The results, in rows and in words. */
export function resultsText(campaign: Campaign, runs: readonly FailedRun[]): string {
  const findings = findingsOf(campaign, runs);
  const titles = ["calls", "failed call", "result", "what"];
  const rows = findings.map(({ first, verdict, calls }) => [
    rangesText(calls),
    first.chain[0] === undefined ? first.function : `${first.function} from ${first.chain[0]}`,
    verdict.name,
    verdict.what,
  ]);
  const bad = findings.filter(({ verdict }) => verdict.name !== "handled");
  const parts = [rows.length === 0 ? "" : tableText([titles, ...rows])];
  parts.push(...bad.map(findingText), summaryText(campaign, runs));
  if (bad[0]) parts.push(`see one again: ${againText(campaign, bad[0].first.call)}\n`);
  return parts.filter((part) => part !== "").join("\n");
}

/** Whether every failure was handled. */
export function isHandled(campaign: Campaign, runs: readonly FailedRun[]): boolean {
  return runs.every((run) => verdictOf(run, campaign).name === "handled");
}

function findingsOf(campaign: Campaign, runs: readonly FailedRun[]): readonly Finding[] {
  const findings = new Map<string, Finding>();
  for (const run of [...runs].sort((a, b) => a.call - b.call)) {
    const verdict = verdictOf(run, campaign);
    const chain = run.ending.kind === "exit" ? [] : run.ending.chain;
    const key = JSON.stringify([run.function, run.returned, run.chain, verdict, chain]);
    const finding = findings.get(key);
    if (finding) finding.calls.push(run.call);
    else findings.set(key, { first: run, verdict, calls: [run.call] });
  }
  return [...findings.values()];
}

/** A finding with the callers of what failed, and of what that led to. */
function findingText({ first, verdict, calls }: Finding): string {
  const { ending } = first;
  const lines = [
    `${verdict.name}, call ${rangesText(calls)}: ${verdict.what}`,
    `  failed: ${chainText([`${first.function} = ${first.returned}`, ...first.chain])}`,
  ];
  if (ending.kind !== "exit") {
    lines.push(`  ${ending.kind}:${gap(ending.kind)} ${chainText(ending.chain)}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

const gap = (kind: string): string => " ".repeat("failed".length - kind.length);

/** Most places of a chain that are shown. */
const MOST_PLACES = 12;

/** Places, the innermost first, as far as `main`; one that repeats is counted. */
function chainText(chain: readonly string[]): string {
  const main = chain.findIndex((place) => /^main\+/.test(place));
  const places: { readonly text: string; count: number }[] = [];
  for (const place of main < 0 ? chain : chain.slice(0, main + 1)) {
    const text = place.replace(/(\+0x[0-9a-f]+)\/0x[0-9a-f]+$/, "$1");
    const last = places.at(-1);
    if (last?.text === text) last.count++;
    else places.push({ text, count: 1 });
  }
  const shown = places.slice(0, MOST_PLACES)
    .map(({ text, count }) => count === 1 ? text : `${text} (${count} times)`);
  if (places.length > MOST_PLACES) shown.push("…");
  return shown.join(" ← ");
}

function summaryText(campaign: Campaign, runs: readonly FailedRun[]): string {
  const wanted = callsOf(campaign.calls, campaign.shard).length;
  const names = runs.map((run) => verdictOf(run, campaign).name);
  const counts = VERDICTS.flatMap((name) => {
    const count = names.filter((each) => each === name).length;
    return count === 0 ? [] : [`${count} ${name}`];
  });
  const isWhole = runs.length === wanted;
  const done = isWhole ? plural(wanted, "call") : `${runs.length} of ${wanted} calls`;
  if (counts.length === 0) return wanted === 0 ? "no call to fail\n" : `${done} failed\n`;
  return `${done} failed: ${counts.join(", ")}\n`;
}

/** The command that runs the program with one of the failures. */
function againText({ program, args, given, options }: Campaign, call: number): string {
  const set = (key: string, value: string) =>
    value === "" ? [] : ["--set", quoted(`fail.${key}=${value}`)];
  const words = [
    ...set("at", options.at.join(" ")),
    ...set("caller", options.caller.join(" ")),
    ...set("return", options.return === "auto" ? "" : options.return),
    ...set("errno", options.errno),
    ...set("nth", String(call)),
    ...[...given, ...program === "" ? [] : [program], ...args].map(quoted),
  ];
  return `deno run -A trace.ts -p fail ${words.join(" ")}`;
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Most ranges of calls in a cell. */
const MOST_RANGES = 4;

/** `1 3-5 9`, and how many more there are. */
function rangesText(calls: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const call of calls) {
    const last = ranges.at(-1);
    if (last?.[1] === call - 1) last[1] = call;
    else ranges.push([call, call]);
  }
  const shown = ranges.slice(0, MOST_RANGES)
    .map(([first, last]) => first === last ? `${first}` : `${first}-${last}`);
  const text = shown.join(" ");
  const rest = ranges.slice(MOST_RANGES).reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return rest === 0 ? text : `${text} and ${rest} more`;
}

/** Columns as wide as their widest cell, the last as wide as it is. */
function tableText(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, k) => Math.max(...rows.map((row) => row[k]!.length)));
  return rows
    .map((row) => `${row.map((cell, k) => cell.padEnd(widths[k]!)).join("  ").trimEnd()}\n`)
    .join("");
}
