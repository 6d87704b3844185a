/**
 * What the command line asks of a campaign, read and checked before anything runs.
 *
 * @module
 */
import { readNamedFile } from "../named_file.ts";
import { FAULT_OPTIONS, type MachineOptions, type OptionValues } from "../../../mod.ts";
import { resolveOptions } from "../../ftrace/mod.ts";
import type { CliHost } from "../host.ts";
import { type CliArguments, numberOf } from "../arguments.ts";
import { type Program, readProgram } from "../program.ts";
import { machineOptions } from "../machine_options.ts";
import { ftraceOptions } from "../traced_run.ts";
import type { RunSetup, UnfailedRun } from "./guest_run.ts";
import { COMPARED, type Compared, givenOptions } from "./options.ts";
import type { Campaign, CampaignOptions, Shard } from "./results.ts";

/** A campaign that is asked for. */
export interface CampaignRequest {
  /** The program whose calls fail. */
  readonly program: Program;
  /** What all runs have in common. */
  readonly setup: RunSetup;
  /** How results are judged. */
  readonly judging: Pick<CampaignOptions, "compare" | "error-exit">;
  /** Which part of the calls is to fail. */
  readonly shard: Shard;
  /** How many runs go on side by side. */
  readonly jobs: number;
  /** Options of a run that were given, as `--name=value`. */
  readonly given: readonly string[];
  /** Instructions after which a run hangs, if that is asked for. */
  readonly limit: number | undefined;
}

/** What a run's instructions may become before it hangs: so many times as much, and so many more. */
const HANG_FACTOR = 10, HANG_MORE = 1_000_000;

/**
 * Reads what `fail --each` is asked for.
 *
 * @throws {SyntaxError} For an option that cannot be read, or is missing.
 * @throws {RangeError} For a shard that there is not.
 * @throws {Error} If the program or its input cannot be read.
 */
export async function readRequest(host: CliHost, args: CliArguments): Promise<CampaignRequest> {
  const { values, lists, rest } = args;
  const { at, caller } = resolveOptions({ name: "fail", options: FAULT_OPTIONS }, {
    at: lists["at"]!.join(" "),
    caller: lists["caller"]!.join(" "),
  }) as OptionValues<typeof FAULT_OPTIONS>;
  if (at.length === 0) {
    throw new SyntaxError(
      "Cannot fail calls: --at says of which functions, as in fail --each --at malloc PROGRAM",
    );
  }
  const writable = lists["allow"]!.find((entry) => entry.endsWith(":rw"));
  if (writable !== undefined) {
    throw new SyntaxError(
      `Cannot run a campaign with --allow ${writable}: each run would find what others have written; ` +
        "show it without :rw",
    );
  }
  const shard = readShard(values["shard"]);
  const jobs = numberOf(values, "jobs", 1) ?? navigator.hardwareConcurrency;
  const limit = numberOf(values, "limit-insns", 1);
  const judging = { ...DEFAULT_JUDGING, ...readJudging(args) };
  const program = await readProgram(rest[0], args);
  const setup: RunSetup = {
    program: program.elf,
    machine: machineSettings(host, args, program),
    // Nothing is recorded.
    ftrace: { ...ftraceOptions(args), bufferMode: "overwrite", bufferKib: 4 },
    at,
    caller,
    return: values["return"] ?? FAULT_OPTIONS.return.default,
    errno: values["errno"] ?? "",
    alloc: wordsOf(lists["alloc"]!),
    free: wordsOf(lists["free"]!),
    stdin: await readStdin(host, values["stdin"]),
  };
  return { program, setup, judging, shard, jobs, given: givenOptions(args), limit };
}

/** Instructions after which a run hangs, given how long the unfailed one is. */
export function limitOf({ limit }: CampaignRequest, { instructions }: UnfailedRun): number {
  return limit ?? Number(instructions) * HANG_FACTOR + HANG_MORE;
}

/** The first line of a file of results. */
export async function campaignOf(
  request: CampaignRequest,
  unfailed: UnfailedRun,
): Promise<Campaign> {
  const { program, setup, judging, shard } = request;
  const { at, caller, errno, return: returns, alloc, free, machine, ftrace, stdin } = setup;
  const { args = [], name: _name, ...rest } = machine;
  const { exit, instructions, counts, allocators } = unfailed;
  return {
    hartrace: "fail --each",
    version: 1,
    program: program.isSample ? "" : program.name,
    sha256: await sha256(program.elf.bytes),
    args,
    given: request.given,
    options: {
      ...{ at, caller, return: returns, errno, alloc, free, ...judging },
      "limit-insns": limitOf(request, unfailed),
      stdin: await sha256(stdin),
      segments: await Promise.all(program.elf.segments.map(({ data }) => sha256(data))),
      machine: plain(rest),
      ftrace: plain(ftrace),
    },
    shard,
    calls: counts.reduce((sum, { calls }) => sum + calls, 0),
    counts,
    unfailed: {
      exit,
      instructions: Number(instructions),
      stdout: await sha256(unfailed.stdout),
      stderr: await sha256(unfailed.stderr),
    },
    allocators,
  };
}

/** Results are judged so unless the command line says otherwise. */
const DEFAULT_JUDGING: CampaignRequest["judging"] = {
  compare: ["exit", "stdout", "leaks"],
  "error-exit": [],
};

/** What the command line says about how results are judged. @throws {SyntaxError} If it is wrong. */
export function readJudging({ values }: CliArguments): Partial<CampaignRequest["judging"]> {
  const { compare, "error-exit": errorExit } = values;
  return {
    ...(compare === undefined ? {} : { compare: readCompare(compare) }),
    ...(errorExit === undefined ? {} : { "error-exit": readExitCodes(errorExit) }),
  };
}

function readCompare(text: string): readonly Compared[] {
  if (text === "none") return [];
  const words = wordsOf([text]);
  return words.map((word) => {
    const known = COMPARED.find((each) => each === word);
    if (known) return known;
    throw new SyntaxError(
      `Cannot read --compare "${text}": ${word} is none of ${COMPARED.join(", ")}, none`,
    );
  });
}

function readExitCodes(text: string): readonly number[] {
  return wordsOf([text]).map((word) => {
    if (/^\d+$/.test(word) && Number(word) <= 255) return Number(word);
    throw new SyntaxError(
      `Cannot read --error-exit "${text}": ${word} is no exit code; write numbers from 0 to 255`,
    );
  });
}

function readShard(text: string | undefined): Shard {
  if (text === undefined) return { index: 1, count: 1 };
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index === undefined || count === undefined) {
    throw new SyntaxError(`Cannot read --shard "${text}": write I/N, as in --shard 2/16`);
  }
  if (index >= 1 && index <= count) return { index, count };
  throw new RangeError(
    count === 0
      ? `Cannot run --shard ${text}: there is no shard of none`
      : `Cannot run --shard ${text}: shards are numbered from 1/${count} to ${count}/${count}`,
  );
}

/** The machine as a run would have it, without what of the host it is connected to. */
function machineSettings(host: CliHost, args: CliArguments, program: Program): RunSetup["machine"] {
  const connected: MachineOptions = machineOptions(
    { host, args },
    program,
    { guest: () => true },
    () => {
      throw new Error("the machine is another one");
    },
  );
  const { stdout: _stdout, stderr: _stderr, stdin: _stdin, warn: _warn, ...settings } = connected;
  return settings;
}

async function readStdin(host: CliHost, file: string | undefined): Promise<Uint8Array> {
  if (file === undefined) return new Uint8Array();
  if (file !== "-") return readNamedFile("--stdin", file);
  const bytes: number[] = [];
  for (;;) {
    const piece = await host.stdin(1 << 16);
    if (piece.length === 0) return Uint8Array.from(bytes);
    for (const byte of piece) bytes.push(byte);
  }
}

function wordsOf(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => text.split(/[\s,]+/)).filter((word) => word !== "");
}

/** Options as JSON has them: bigints as texts, and nothing that is not given. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, each) => typeof each === "bigint" ? String(each) : each),
  );
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(bytes));
  return new Uint8Array(digest).toHex();
}
