/**
 * How a run ended, as an exit code and in words.
 *
 * @module
 */
import { hex } from "../isa/hex.ts";
import type { StopSignal } from "./host.ts";
import { STOPS } from "./stop_requests.ts";
import type { Outcome } from "../../mod.ts";
import type { Symbolizer } from "../ftrace/mod.ts";
import { causeName, type Trap } from "../hart/trap.ts";

/** How the command ends after a run: the exit code and the words. */
export interface Ending {
  /** What the process exits with. */
  readonly code: number;
  /** Lines for stderr, the last of which says what ended the run; none if there is no need. */
  readonly lines: readonly string[];
}

/** Traps by `mcause`, and the signal that Linux makes of each. */
const TRAPS: Readonly<Record<number, readonly [name: string, signal: number]>> = {
  0: ["misaligned jump", 7],
  1: ["instruction access fault", 11],
  2: ["illegal instruction", 4],
  3: ["breakpoint", 5],
  4: ["misaligned load", 7],
  5: ["load access fault", 11],
  6: ["misaligned store", 7],
  7: ["store access fault", 11],
  8: ["environment call", 4],
  11: ["environment call", 4],
  12: ["instruction page fault", 11],
  13: ["load page fault", 11],
  15: ["store page fault", 11],
};

/** A guest that can only wait for ever is killed, as a person would kill it: 128 + SIGKILL. */
const DEADLOCK = 137;

/** The settings of a run that the words about its end refer to. */
export interface EndingContext {
  /** The program, as the command line names it. */
  readonly program: string;
  /** `name+0x4/0x20` for a guest address, or the address. */
  readonly place: (address: bigint, isReturn?: boolean) => string;
  /** Instructions after which the run is stopped (`--limit-insns`). */
  readonly limit: number | undefined;
  /** The signal that stopped the run, if one did; Ctrl-C's by default. */
  readonly signal?: StopSignal | undefined;
  /** What may be why the guest did not end by itself, if anything is known. */
  readonly hint?: string | undefined;
  /** `-q`: nothing about a guest that ended by itself. */
  readonly quiet: boolean;
}

/** Puts an outcome into words. */
export function endingOf(outcome: Outcome, context: EndingContext): Ending {
  const { program, quiet } = context;
  switch (outcome.kind) {
    case "exit": {
      const code = outcome.code & 255;
      const plain = code === 0 || quiet;
      return { code, lines: plain ? [] : [`${program} exited with code ${code}`] };
    }
    case "signal": {
      const { signal, name, trap } = outcome;
      const cause = trap ? `: ${trapText(trap, context)}` : "";
      const lines = trap || outcome.backtrace.length > 0
        ? backtraceLines(outcome.backtrace, context)
        : [];
      const code = 128 + signal;
      return {
        code,
        lines: [...lines, `${program} was ended by ${name} (exit code ${code})${cause}`],
      };
    }
    case "trap": {
      const { trap, inHandler, backtrace } = outcome;
      const code = 128 + (TRAPS[trap.cause]?.[1] ?? 4);
      const why = inHandler
        ? `; its handler traps, too, and for ever: ${bareTrapText(inHandler, context)}`
        : "";
      return {
        code,
        lines: [
          ...backtraceLines(backtrace, context),
          `${program} was ended by a trap that it does not handle (exit code ${code}): ` +
          bareTrapText(trap, context) + why,
        ],
      };
    }
    case "deadlock":
      return {
        code: DEADLOCK,
        lines: [
          ...backtraceLines(outcome.backtrace, context),
          `${program} was ended (exit code ${DEADLOCK}): ${outcome.reason}`,
        ],
      };
    case "limit":
      return {
        code: 124,
        lines: [
          ...hintLines(context),
          `${program} was stopped after ${context.limit} instructions (--limit-insns)`,
        ],
      };
    case "interrupted": {
      const { code, name } = STOPS[context.signal ?? "SIGINT"];
      return { code, lines: [...hintLines(context), `${program} was stopped by ${name}`] };
    }
  }
}

const hintLines = ({ hint, quiet }: EndingContext): readonly string[] =>
  hint === undefined || quiet ? [] : [hint];

/**
 * `name+0x4/0x20`, as the kernel prints a place in a backtrace.
 *
 * @param isReturn A call that does not come back may be a function's last instruction, so it is the
 * call whose function is named.
 */
export function placeText(
  symbol: Symbolizer["symbol"],
  address: bigint,
  isReturn = false,
): string {
  const found = symbol(isReturn ? address - 1n : address);
  if (!found) return "(no symbol)";
  const { name, address: start, size } = found;
  return `${name}+0x${(address - start).toString(16)}/0x${size.toString(16)}`;
}

/** What a trap was, with its address and where it happened. */
export function trapText(
  { cause, value, pc }: Trap,
  { place }: Pick<EndingContext, "place">,
): string {
  const name = TRAPS[cause]?.[0] ?? `trap ${cause}`;
  const what = cause === 2 ? `of word ${hex(value)}` : cause === 3 ? "" : `at ${hex(value)}`;
  return [name, what, `in ${place(pc)} (pc ${hex(pc)})`].filter((part) => part !== "").join(" ");
}

/** A trap of firmware's, as its handler would find it in mcause, mtval and mepc. */
function bareTrapText({ cause, value, pc }: Trap, { place }: EndingContext): string {
  return `${causeName(cause)} (mcause ${cause}, mtval ${hex(value)}) in ${place(pc)} (mepc ${
    hex(pc)
  })`;
}

function backtraceLines(
  backtrace: readonly bigint[],
  { place }: EndingContext,
): readonly string[] {
  return foldFrames(backtrace).map(({ address, number, last }) => {
    const label = last === number ? `#${number}` : `#${number}–#${last}`;
    return `  ${label} ${hex(address)} ${place(address, number > 0)}`;
  });
}

/** Most lines of a backtrace; a recursion has more to say than anyone reads. */
const MOST_FRAMES = 32;

/** Makes one entry of frames that repeat, and leaves out what is too much. */
function foldFrames(
  backtrace: readonly bigint[],
): readonly { readonly address: bigint; readonly number: number; readonly last: number }[] {
  const folded: { address: bigint; number: number; last: number }[] = [];
  backtrace.forEach((address, number) => {
    const before = folded.at(-1);
    if (before?.address === address) before.last = number;
    else folded.push({ address, number, last: number });
  });
  return folded.slice(0, MOST_FRAMES);
}
