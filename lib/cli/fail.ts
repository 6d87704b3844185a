/**
 * `fail`: fails each call in turn, and says what came of it; or puts together what was found in parts.
 *
 * What can be wrong with the call is found before the unfailed run, or by it. Results are written as
 * they come, and the table is printed however the campaign ends.
 *
 * The rest is in `campaign/`: options and help are `options.ts`, what a run is `guest_run.ts`, who
 * does it `runners.ts`, what its result means `verdict.ts`.
 *
 * @module
 */
import {
  type FailedRun,
  RunInterrupted,
  runUnfailed,
  type UnfailedRun,
} from "./campaign/guest_run.ts";
import { mergeResults } from "./campaign/merge.ts";
import { FAIL_OPTIONS, failHelpText } from "./campaign/options.ts";
import {
  campaignOf,
  type CampaignRequest,
  limitOf,
  readJudging,
  readRequest,
} from "./campaign/request.ts";
import {
  callsOf,
  type Campaign,
  campaignDifference,
  readEarlierResults,
  type Results,
  ResultsFile,
} from "./campaign/results.ts";
import {
  LocalRunner,
  type LostRun,
  runAll,
  type Runner,
  WorkerRunner,
} from "./campaign/runners.ts";
import { countsText, isHandled, resultsText } from "./campaign/table.ts";
import { type ColorMode, paintHelp } from "./colors.ts";
import { type CliHost, print, say, type StopSignal } from "./host.ts";
import { type CliArguments, misplacedOption, readArguments } from "./arguments.ts";
import { StatusLine } from "./progress.ts";
import { isRefusal } from "./run.ts";
import { STOPS } from "./stop_requests.ts";

/** Exit codes: something was found, an error of ours. */
const FOUND = 1, OUR_ERROR = 125;

/**
 * Does what `words`, which follow `fail`, ask for; gives the exit code.
 *
 * @throws {Error} For whatever is wrong with the call.
 */
export async function fail(host: CliHost, words: readonly string[]): Promise<number> {
  const args = readArguments(words, FAIL_OPTIONS);
  host.color = (args.values["color"] ?? "auto") as ColorMode;
  if (args.switches.has("help")) {
    print(host, failHelpText(), paintHelp);
    return 0;
  }
  if (args.lists["merge"]!.length > 0) return merge(host, args);
  if (!args.switches.has("each")) {
    throw new SyntaxError(
      "Cannot fail calls: write fail --each --at GLOB PROGRAM, or fail --merge FILE…; " +
        "-p fail fails calls of one run",
    );
  }
  const misplaced = misplacedOption(args, FAIL_OPTIONS);
  if (misplaced !== undefined && !args.switches.has("quiet")) {
    say(
      host,
      `${misplaced} stands behind PROGRAM and is the guest's; an option of fail's goes before it`,
    );
  }
  const request = await readRequest(host, args);
  return await new FailEach(host, args, request).run();
}

/** `fail --merge`: the table of all shards. */
function merge(host: CliHost, args: CliArguments): number {
  const { values, lists, switches, rest } = args;
  const allowed = ["merge", "quiet", "compare", "error-exit"];
  const other = FAIL_OPTIONS.find(({ name }) =>
    !allowed.includes(name) &&
    (values[name] !== undefined || switches.has(name) || (lists[name] ?? []).length > 0)
  );
  if (other) {
    throw new SyntaxError(
      `Cannot merge with --${other.name}: only --compare and --error-exit have a meaning there`,
    );
  }
  const { campaign, runs } = mergeResults([...lists["merge"]!, ...rest], readJudging(args));
  print(host, `${countsText(campaign)}\n${resultsText(campaign, runs)}`);
  return isHandled(campaign, runs) ? 0 : FOUND;
}

/** One call of `fail --each`. */
class FailEach {
  readonly #host: CliHost;
  readonly #request: CampaignRequest;
  readonly #path: string | undefined;
  readonly #isQuiet: boolean;
  readonly #said = new Set<string>();
  readonly #runs: FailedRun[] = [];
  #signal: StopSignal | undefined;
  /** Ends what is under way. */
  #stop = (): void => {};
  #writeFailure: unknown;

  constructor(host: CliHost, args: CliArguments, request: CampaignRequest) {
    this.#host = host;
    this.#request = request;
    this.#path = args.values["output"];
    this.#isQuiet = args.switches.has("quiet");
  }

  /** Runs the campaign, prints its table, and gives the exit code. */
  async run(): Promise<number> {
    using _listening = this.#host.onInterrupt((signal) => {
      if (this.#signal !== undefined) this.#host.exit(STOPS[signal].code);
      this.#signal = signal;
      this.#stop();
    });
    // A file of another kind is not to be found only when the first result comes.
    const before = this.#path === undefined ? undefined : readEarlierResults(this.#path);
    const unfailed = await this.#runUnfailed();
    if (!unfailed) return this.#stopped("before the unfailed run was over");
    const campaign = await campaignOf(this.#request, unfailed);
    this.#checkCounts(campaign, unfailed);
    using file = this.#openFile(campaign, before);
    print(this.#host, countsText(campaign));
    const calls = callsOf(campaign.calls, campaign.shard);
    const lost = await this.#runFailures(campaign, unfailed, calls, file);
    print(this.#host, `\n${resultsText(campaign, this.#runs)}`);
    return this.#end(campaign, calls, lost);
  }

  /** The unfailed run; undefined if it was stopped. */
  async #runUnfailed(): Promise<UnfailedRun | undefined> {
    const { setup, limit } = this.#request;
    const line = new StatusLine(this.#host, (seconds) => `${seconds.toFixed(0)} s, unfailed run`);
    try {
      return await runUnfailed(setup, limit === undefined ? undefined : BigInt(limit), {
        say: (text) => this.#note(text),
        started: ({ machine }) => void (this.#stop = () => machine.requestStop()),
        slice: () => line.update(),
      });
    } catch (error) {
      if (error instanceof RunInterrupted) return undefined;
      throw error;
    } finally {
      this.#stop = () => {};
      line.clear();
    }
  }

  #checkCounts(
    { calls, options: { at, caller } }: Campaign,
    { uncalled }: UnfailedRun,
  ): void {
    if (calls === 0) {
      const from = caller.length > 0 ? ` from ${caller.join(" ")}` : "";
      throw new TypeError(
        `Cannot fail calls of ${at.join(" ")}: the program makes none${from} without a failure`,
      );
    }
    for (const name of uncalled) {
      this.#note(`${name} is never called${caller.length > 0 ? " by those callers" : ""}`);
    }
  }

  /** The file of results, with those that are there already taken over. */
  #openFile(campaign: Campaign, before: Results | undefined): ResultsFile | undefined {
    if (this.#path === undefined) return undefined;
    if (before) {
      const { shard: { index, count } } = before.campaign;
      const isOther = index !== campaign.shard.index || count !== campaign.shard.count;
      const difference = isOther
        ? `--shard: ${index}/${count} and ${campaign.shard.index}/${campaign.shard.count}`
        : campaignDifference(before.campaign, campaign);
      if (difference !== undefined) {
        throw new TypeError(
          `Cannot go on with ${this.#path}: it is of another campaign: ${difference}; ` +
            "choose another -o, or remove it",
        );
      }
      this.#runs.push(...before.runs);
      const cut = before.isCut ? "; its last line was cut off and is dropped" : "";
      this.#note(`${this.#path} has ${before.runs.length} results already${cut}`);
    }
    return new ResultsFile(this.#path, campaign, before);
  }

  async #runFailures(
    campaign: Campaign,
    unfailed: UnfailedRun,
    calls: readonly number[],
    file: ResultsFile | undefined,
  ): Promise<readonly LostRun[]> {
    const before = this.#runs.length;
    const there = new Set(this.#runs.map(({ call }) => call));
    const left = calls.filter((call) => !there.has(call));
    let found = 0;
    const line = new StatusLine(this.#host, (seconds) => {
      const done = this.#runs.length - before;
      const rate = done / seconds;
      const rest = done === 0 ? "" : `, ${((left.length - done) / rate).toFixed(0)} s left`;
      return `${this.#runs.length} of ${calls.length} calls failed, ${found} not handled, ` +
        `${rate.toFixed(1)} runs/s${rest} (Ctrl-C prints what is there)`;
    });
    const runners = this.#startRunners(unfailed, left.length, line);
    this.#stop = () => runners.forEach((runner) => runner[Symbol.dispose]());
    if (this.#signal !== undefined) this.#stop();
    try {
      return await runAll(left, runners, (run) => {
        this.#runs.push(run);
        if (!isHandled(campaign, [run])) found++;
        this.#write(file, run);
        line.update();
      });
    } finally {
      this.#stop();
      line.clear();
    }
  }

  #startRunners(unfailed: UnfailedRun, runs: number, line: StatusLine): readonly Runner[] {
    const { setup, jobs } = this.#request;
    const known = { setup, unfailed, limit: BigInt(limitOf(this.#request, unfailed)) };
    const told = (text: string) => {
      line.clear();
      this.#note(text);
    };
    const count = Math.min(jobs, runs);
    if (count <= 1) return [new LocalRunner(known, told, () => line.update())];
    return Array.from({ length: count }, () => new WorkerRunner(known, told));
  }

  /** Writes a result; if that fails, the campaign ends. */
  #write(file: ResultsFile | undefined, run: FailedRun): void {
    if (this.#writeFailure !== undefined) return;
    try {
      file?.add(run);
    } catch (error) {
      this.#writeFailure = error;
      this.#stop();
    }
  }

  #end(campaign: Campaign, calls: readonly number[], lost: readonly LostRun[]): number {
    const host = this.#host;
    if (this.#writeFailure !== undefined) throw this.#writeFailure;
    if (host.stdoutFailure !== undefined) {
      say(host, `Cannot write to stdout: ${host.stdoutFailure}`);
      return OUR_ERROR;
    }
    const left = calls.length - this.#runs.length - lost.length;
    if (this.#signal !== undefined && left > 0) {
      const again = this.#path === undefined ? "" : "; the same command goes on from there";
      return this.#stopped(`with ${left} of ${calls.length} calls left${again}`);
    }
    for (const { call, error } of lost) {
      const text = isRefusal(error)
        ? error.message
        : `${error instanceof Error ? error.stack : error}`;
      say(host, `call ${call} has no result: ${text}`);
    }
    if (lost.length > 0) return OUR_ERROR;
    return isHandled(campaign, this.#runs) ? 0 : FOUND;
  }

  #stopped(when: string): number {
    const { name, code } = STOPS[this.#signal ?? "SIGINT"];
    say(this.#host, `stopped by ${name}, ${when}`);
    return code;
  }

  /** Tells the user something, once. */
  #note(text: string): void {
    if (this.#isQuiet || this.#said.has(text)) return;
    this.#said.add(text);
    say(this.#host, text);
  }
}
