/**
 * The options that are about the engine alone: when it compiles, and what it may leave out.
 *
 * What it tells of itself at the end of a run is `engine_report.ts`.
 *
 * @module
 */
import type { MachineOptions } from "../../mod.ts";
import { DEFAULT_ENGINE } from "../engine/engines.ts";
import { type CliArguments, numberOf } from "./arguments.ts";

/** The value of `--memory` that is no range of addresses. */
export const UNCHECKED = "unchecked";

/**
 * `--jit-threshold` and `--memory unchecked`.
 *
 * @throws {SyntaxError} If a value is wrong, or if this engine has no use for what was given.
 */
export function engineOptions(
  args: CliArguments,
): Pick<MachineOptions, "jitThreshold" | "unchecked"> {
  const { values, lists, switches } = args;
  const jitThreshold = numberOf(values, "jit-threshold", 1);
  const unchecked = isUnchecked(args);
  const { engine = DEFAULT_ENGINE } = values;
  const ofJit = [
    ...jitThreshold === undefined ? [] : ["--jit-threshold"],
    ...unchecked ? ["--memory unchecked"] : [],
    ...(lists["dump-wat"] ?? []).length > 0 ? ["--dump-wat"] : [],
  ];
  if (engine !== "jit" && ofJit.length > 0) {
    throw new SyntaxError(`Cannot take ${ofJit[0]}: --engine ${engine} compiles nothing`);
  }
  if (engine === "ref" && switches.has("engine-stats")) {
    throw new SyntaxError("Cannot take --engine-stats: --engine ref does all in one way");
  }
  return { jitThreshold, ...unchecked ? { unchecked } : {} };
}

/** What the user of a loose mode has to know. */
export function engineNotes(args: CliArguments): readonly string[] {
  if (!isUnchecked(args)) return [];
  return [
    "--memory unchecked: compiled code asks nothing of pages; a stray load reads what is there or 0, " +
    "a stray store is made, and code that the program changes may run as it was",
  ];
}

function isUnchecked({ lists }: CliArguments): boolean {
  return (lists["memory"] ?? []).includes(UNCHECKED);
}
