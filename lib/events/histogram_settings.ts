/**
 * The settings of a hist trigger: `keys=…:vals=…:sort=…` taken apart, before any field is looked up.
 *
 * Errors have the kernel's words where it logs them (`kernel/trace/trace_events_hist.c`); variables
 * and actions, which the kernel has and this program has not, are refused by name.
 *
 * @module
 */
import type { CommandFault } from "./error_log.ts";
import { toInteger } from "./event_subject.ts";

/** Why a command is refused: what the log gets, if the kernel logs it, and why in words. */
export interface HistogramRefusal {
  /** For the error log; the position counts from the command's `hist:`. */
  readonly fault: CommandFault | undefined;
  /** The reason in words of this program, not the kernel's. */
  readonly why: string;
  /** The errno. */
  readonly code: "EINVAL" | "ENOENT";
}

/** Leaves the parser of a command; caught by whoever makes a histogram. */
export class HistogramRefused extends Error {
  /** What is wrong. */
  readonly refusal: HistogramRefusal;

  /** Carries a refusal. */
  constructor(refusal: HistogramRefusal) {
    super(refusal.why);
    this.refusal = refusal;
  }
}

/** Refuses a command. @throws {HistogramRefused} Always. */
export function refuse(
  why: string,
  fault?: CommandFault,
  code: HistogramRefusal["code"] = "EINVAL",
): never {
  throw new HistogramRefused({ why, fault, code });
}

/** Everything between `hist:` and `if`, by name; fields are words yet. */
export interface Settings {
  /** `name=NAME`, by which events share a histogram. */
  readonly name: string | undefined;
  /** Words of `keys=`. */
  readonly keys: readonly string[];
  /** Words of `vals=`. */
  readonly values: readonly string[];
  /** Words of `sort=`. */
  readonly sort: readonly string[];
  /** The table has 2 ** bits rows. */
  readonly bits: number;
  /** The trace clock for `common_timestamp`. */
  readonly clock: string;
  /** Whether rows show no hits. */
  readonly noHitcount: boolean;
  /** What is asked of a histogram that is there. */
  readonly request: "pause" | "continue" | "clear" | undefined;
}

type Draft = { -readonly [K in keyof Settings]: Settings[K] };

const DEFAULT_BITS = 11, LEAST_BITS = 7, MOST_BITS = 17;

/** Words without a value. */
const REQUESTS: Readonly<Record<string, Partial<Settings>>> = {
  pause: { request: "pause" },
  cont: { request: "continue" },
  continue: { request: "continue" },
  clear: { request: "clear" },
  nohitcount: { noHitcount: true },
  NOHC: { noHitcount: true },
};

/** Takes a command apart. @throws {HistogramRefused} If it cannot be. */
export function parseSettings(command: string): Settings {
  const settings: Draft = {
    name: undefined,
    keys: [],
    values: [],
    sort: [],
    bits: DEFAULT_BITS,
    clock: "global",
    noHitcount: false,
    request: undefined,
  };
  for (const part of command.split(":").slice(1)) {
    const equals = part.indexOf("=");
    if (equals >= 0 && equals === part.length - 1) {
      refuse("Empty assignment", { text: "Empty assignment", position: command.indexOf(part) });
    }
    if (equals >= 0) assign(settings, part, part.slice(0, equals), part.slice(equals + 1));
    else if (Object.hasOwn(REQUESTS, part)) Object.assign(settings, REQUESTS[part]);
    else refuseWord(part);
  }
  return settings;
}

function assign(settings: Draft, part: string, name: string, value: string): void {
  const list = value.split(",");
  switch (name) {
    case "key":
    case "keys":
      settings.keys = list.filter((word) => word !== "");
      break;
    case "val":
    case "vals":
    case "values":
      settings.values = list.filter((word) => word !== "");
      break;
    case "sort":
      settings.sort = list;
      break;
    case "name":
      settings.name = part;
      break;
    case "clock":
      settings.clock = value.trim();
      break;
    case "size":
      settings.bits = sizeBits(value);
      break;
    default:
      refuseWord(part);
  }
}

function sizeBits(value: string): number {
  const size = toInteger(value);
  const bits = size === undefined || size <= 0n ? 0 : (size - 1n).toString(2).length;
  if (size === 1n || bits < LEAST_BITS || bits > MOST_BITS) {
    refuse(`size=${value} is not from ${(1 << LEAST_BITS) / 2 + 1} to ${1 << MOST_BITS}`);
  }
  return bits;
}

/** Refuses what is no setting here, by what it would be in the kernel. */
function refuseWord(part: string): never {
  if (/^on(match|max|change)\(/.test(part)) {
    refuse(`histograms have no actions here, as "${part}" is one`);
  }
  if (/^\w+=/.test(part)) refuse(`histograms have no variables here, as "${part}" makes one`);
  return refuse(
    `there is no "${part}"; it takes name=, keys=, vals=, sort=, size=, clock=, nohitcount, ` +
      "pause, continue, clear",
  );
}
