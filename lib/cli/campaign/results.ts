/**
 * Results of a campaign as lines of JSON: the first says which campaign it is, each other one what
 * came of one call. A file grows by whole lines, so whatever ends the process, what it says is true
 * and a later run goes on behind it.
 *
 * Several files of one campaign are put together in `merge.ts`.
 *
 * @module
 */
import type { CallCount, FailedRun } from "./guest_run.ts";
import type { Compared } from "./options.ts";

/** Which part of a campaign: the `index`-th of `count`, from 1. */
export interface Shard {
  /** Which part. */
  readonly index: number;
  /** Of how many. */
  readonly count: number;
}

/** What decides how runs go and what is made of them; further options by their names. */
export interface CampaignOptions {
  /** Functions whose calls fail. */
  readonly at: readonly string[];
  /** Whose calls count. */
  readonly caller: readonly string[];
  /** What a failed call returns. */
  readonly return: string;
  /** What errno becomes, or nothing. */
  readonly errno: string;
  /** What has to be as without the failure. */
  readonly compare: readonly Compared[];
  /** Exit codes by which the program says that it failed. */
  readonly "error-exit": readonly number[];
  /** Instructions after which a run hangs. */
  readonly "limit-insns": number;
  /** Any other. */
  readonly [name: string]: unknown;
}

/** The first line of a file of results: which campaign it is of. */
export interface Campaign {
  /** Tells these files from others. */
  readonly hartrace: "fail --each";
  /** Version of the format. */
  readonly version: 1;
  /** The program, as the command line named it; empty for the built-in sample. */
  readonly program: string;
  /** SHA-256 of the program's file, hexadecimal. */
  readonly sha256: string;
  /** The program's arguments. */
  readonly args: readonly string[];
  /** Options of a run that the command line gave, as `--name=value`. */
  readonly given: readonly string[];
  /** All that decides how runs go and what is made of them, by option. */
  readonly options: CampaignOptions;
  /** The part that this file is for. */
  readonly shard: Shard;
  /** How many calls count in the unfailed run. */
  readonly calls: number;
  /** These calls by function and caller. */
  readonly counts: readonly CallCount[];
  /** The unfailed run. */
  readonly unfailed: {
    readonly exit: number;
    readonly instructions: number;
    /** SHA-256 of what it printed, hexadecimal. */
    readonly stdout: string;
    readonly stderr: string;
  };
  /** The allocators whose blocks were followed. */
  readonly allocators: readonly string[];
}

/** What a file of results holds. */
export interface Results {
  /** The file's name. */
  readonly file: string;
  /** The file's first line. */
  readonly campaign: Campaign;
  /** The results, in the order in which they came. */
  readonly runs: readonly FailedRun[];
  /** Bytes of its whole lines. */
  readonly length: number;
  /** Whether it ends in the middle of a line. */
  readonly isCut: boolean;
}

/** The calls of a part of a campaign, in order; parts are dealt out like cards. */
export function callsOf(calls: number, { index, count }: Shard): readonly number[] {
  const own: number[] = [];
  for (let call = index; call <= calls; call += count) own.push(call);
  return own;
}

/**
 * Reads a file of results; undefined if there is none, or it is empty.
 *
 * @throws {TypeError} If it cannot be read.
 * @throws {SyntaxError} If it is something else, or a line of it is damaged.
 */
export function readResults(file: string): Results | undefined {
  const bytes = readBytes(file);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const length = bytes.lastIndexOf(LINE_FEED) + 1;
  const isCut = length < bytes.length;
  const lines = new TextDecoder().decode(bytes.subarray(0, length)).split("\n").slice(0, -1);
  const values = lines.map((line, at): unknown => {
    try {
      return JSON.parse(line);
    } catch {
      throw damaged(file, at + 1, "it is no JSON");
    }
  });
  const [campaign, ...runs] = values;
  if (!isCampaign(campaign)) {
    throw new SyntaxError(
      `Cannot read ${file}: it is no file of results, its first line does not name a campaign`,
    );
  }
  const seen = new Set<number>();
  const checked = runs.map((run, at) => {
    if (!isRun(run)) throw damaged(file, at + 2, "it is no result of a call");
    const { call } = run;
    const { index, count } = campaign.shard;
    if (call > campaign.calls || (call - index) % count !== 0) {
      throw damaged(file, at + 2, `call ${call} is not one of shard ${index}/${count}`);
    }
    if (seen.has(call)) throw damaged(file, at + 2, `call ${call} is there already`);
    seen.add(call);
    return run;
  });
  return { file, campaign, runs: checked, length, isCut };
}

/** What two campaigns differ in that should be one, in words; undefined if they are the same. */
export function campaignDifference(one: Campaign, other: Campaign): string | undefined {
  const parts = ({ sha256, args, options, calls, counts, unfailed, allocators }: Campaign) => ({
    "the program (sha256)": sha256,
    "its arguments": args,
    ...Object.fromEntries(Object.entries(options).map(([name, value]) => [`--${name}`, value])),
    "the number of calls": calls,
    "the calls": counts,
    "the unfailed run": unfailed,
    "allocators": allocators,
  });
  const [ones, others] = [parts(one), parts(other)] as Record<string, unknown>[];
  for (const name of new Set([...Object.keys(ones!), ...Object.keys(others!)])) {
    const [a, b] = [ones![name], others![name]].map((value) =>
      JSON.stringify(value) ?? "not given"
    );
    if (a !== b) return `${name}: ${a} and ${b}`;
  }
  return undefined;
}

/**
 * Reads what is in a file that results are to be written to; what is no regular file has nothing.
 *
 * @throws {Error} As {@linkcode readResults}.
 */
export function readEarlierResults(file: string): Results | undefined {
  try {
    if (!Deno.statSync(file).isFile) return undefined;
  } catch {
    // Who opens it says why it cannot be.
    return undefined;
  }
  return readResults(file);
}

/** A file of results that grows as they come. */
export class ResultsFile implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  /**
   * Opens a file, and begins it anew or goes on behind what was read of it.
   *
   * @throws {TypeError} If it cannot be written.
   */
  constructor(path: string, campaign: Campaign, before: Results | undefined) {
    this.#path = path;
    this.#file = this.#try(() => Deno.openSync(path, { write: true, create: true }));
    if (this.#try(() => this.#file.statSync()).isFile) {
      this.#try(() => this.#file.truncateSync(before?.length ?? 0));
      this.#try(() => this.#file.seekSync(0, Deno.SeekMode.End));
    }
    if (!before) this.add(campaign);
  }

  /** Writes a line. @throws {TypeError} If the disk is full. */
  add(value: Campaign | FailedRun): void {
    const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
    this.#try(() => {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    });
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  #try<Result>(body: () => Result): Result {
    try {
      return body();
    } catch (error) {
      throw new TypeError(`Cannot write results to ${this.#path}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }
}

const LINE_FEED = 10;

function readBytes(file: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new TypeError(`Cannot read ${file}: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "its folder does not exist";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno may not do that; give deno -R -W, or -A";
  }
  return error instanceof Error ? error.message : String(error);
}

function damaged(file: string, line: number, why: string): SyntaxError {
  return new SyntaxError(
    `Cannot read ${file}: line ${line}: ${why}; take the line out, and the same command with -o ` +
      `${file} runs that call again`,
  );
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0;
const isText = (value: unknown): value is string => typeof value === "string";
const areTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function isCampaign(value: unknown): value is Campaign {
  if (!isObject(value) || value["hartrace"] !== "fail --each" || value["version"] !== 1) {
    return false;
  }
  const { shard, unfailed, counts, options } = value;
  return isObject(options) && areTexts(options["at"]) && areTexts(options["caller"]) &&
    isText(options["return"]) && isText(options["errno"]) && areTexts(options["compare"]) &&
    Array.isArray(options["error-exit"]) && isCount(options["limit-insns"]) &&
    isText(value["program"]) && isText(value["sha256"]) &&
    areTexts(value["args"]) && areTexts(value["given"]) &&
    isCount(value["calls"]) && areTexts(value["allocators"]) &&
    Array.isArray(counts) && counts.every((each) => isObject(each) && isCount(each["calls"])) &&
    isObject(unfailed) && Number.isInteger(unfailed["exit"]) &&
    isObject(shard) && isCount(shard["index"]) && isCount(shard["count"]);
}

function isRun(value: unknown): value is FailedRun {
  if (!isObject(value)) return false;
  const { ending, leaks } = value;
  const ended = isObject(ending) &&
    (ending["kind"] === "exit"
      ? Number.isInteger(ending["code"])
      : (ending["kind"] === "crash" || ending["kind"] === "hang") && isText(ending["what"]) &&
        areTexts(ending["chain"]));
  return ended && isCount(value["call"]) && isCount(value["nth"]) && isText(value["function"]) &&
    isText(value["returned"]) && areTexts(value["chain"]) &&
    Array.isArray(leaks) && leaks.every((leak) => isObject(leak) && isCount(leak["blocks"])) &&
    [value["stdout"], value["stderr"]].every((each) => each === undefined || isObject(each));
}
