/**
 * The part of the machine's options that a command line decides.
 *
 * @module
 */
import type { Machine, MachineOptions } from "../../mod.ts";
import type { EngineName } from "../engine/mod.ts";
import { numberOf, showsReadable } from "./arguments.ts";
import { engineOptions } from "./engine_options.ts";
import { memoryMapOf } from "./firmware.ts";
import { environmentOf, namedFiles } from "./guest_view.ts";
import { say } from "./host.ts";
import type { Program } from "./program.ts";
import type { CommandContext } from "./command_context.ts";
import type { SharedStdout } from "./shared_stdout.ts";

/** `--semihosting` as the machine takes it. */
const SEMIHOSTING: Readonly<Record<string, MachineOptions["semihosting"]>> = {
  on: "privileged",
  user: "user",
};

/** The part of the machine's options that a command line decides. */
export function machineOptions(
  { host, args }: Pick<CommandContext, "host" | "args">,
  program: Program,
  stdout: Pick<SharedStdout, "guest">,
  machine: () => Machine,
): MachineOptions {
  const { values, switches, lists } = args;
  const named = namedFiles(args);
  if (switches.has("verbose")) {
    for (const path of named) {
      say(host, `the guest sees ${path}, read-only, because it is among its arguments`);
    }
  }
  return {
    name: program.name,
    args: args.rest.slice(1),
    env: environmentOf(args),
    allow: [...lists["allow"] ?? [], ...named],
    engine: values["engine"] as EngineName | undefined,
    machine: (values["machine"] ?? (lists["load"]!.length > 0 ? "bare" : "auto")) as MachineOptions[
      "machine"
    ],
    seed: BigInt(numberOf(values, "seed") ?? 0),
    harts: numberOf(values, "harts"),
    isa: values["isa"],
    memoryMap: memoryMapOf(args),
    ...engineOptions(args),
    semihosting: SEMIHOSTING[values["semihosting"] ?? ""],
    misaligned: values["misaligned"] === "trap" ? "trap" : "work",
    chargeTracing: switches.has("charge-tracing"),
    parkDisabled: switches.has("no-park"),
    demangle: showsReadable(args),
    ...(values["root"] !== undefined ? { root: values["root"] } : {}),
    stdout(data) {
      if (!stdout.guest(data)) machine().requestStop();
    },
    stderr: (data) => host.stderr(data),
    stdin: (length) => host.stdin(length),
    warn(line) {
      if (!switches.has("quiet")) say(host, line);
    },
  };
}
