/**
 * Entry of the command line: which command it is, and what becomes of an error.
 *
 * Commands besides `run` are loaded when they are called, so that a run starts without them.
 *
 * @module
 */
import { type ColorMode, paintHelp } from "./colors.ts";
import { type CliHost, denoHost, print, say } from "./host.ts";
import { type CliArguments, readArguments } from "./arguments.ts";
import { ProgramError } from "./program.ts";
import type { CommandContext } from "./command_context.ts";
import { isRefusal, run } from "./run.ts";
import { VERSION } from "./version.ts";

/** Exit code of our own errors. */
const OUR_ERROR = 125;

/**
 * Does what `args` say and gives the exit code.
 *
 * @param builtIn Loads the tracers that need no `--plugin`.
 */
export async function main(
  args: readonly string[],
  builtIn: CommandContext["builtIn"],
  host: CliHost = denoHost(),
): Promise<number> {
  try {
    return await dispatch(args, builtIn, host);
  } catch (error) {
    if (error instanceof ProgramError) {
      say(host, error.message);
      return error.exitCode;
    }
    if (isRefusal(error)) {
      say(host, error.message);
      return OUR_ERROR;
    }
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    say(host, `${stack}\nthis is a bug of hartrace; please report it with the lines above`);
    return OUR_ERROR;
  }
}

async function dispatch(
  args: readonly string[],
  builtIn: CommandContext["builtIn"],
  host: CliHost,
): Promise<number> {
  const first = readArguments(args);
  const command = first.dashes ? undefined : first.rest[0];
  const options = args.slice(0, args.length - first.rest.length);
  if (command === "list") {
    const args = readListArguments(first, options);
    host.color = colorOf(args);
    if (args.switches.has("help")) return printed(host, (await import("./help.ts")).listHelpText());
    return await (await import("./list.ts")).list({ host, builtIn, args });
  }
  if (command === "fail") {
    const { fail } = await import("./fail.ts");
    return await fail(host, [...options, ...first.rest.slice(1)]);
  }
  const named = command === "run" || command === "shell";
  const whole = named ? readArguments([...options, ...first.rest.slice(1)]) : first;
  host.color = colorOf(whole);
  if (whole.switches.has("help")) {
    if (command === "shell") return printed(host, (await import("./help.ts")).shellHelpText());
    return await help({ host, builtIn, args: whole });
  }
  if (whole.switches.has("version")) {
    const { deno, v8 } = Deno.version;
    print(host, `hartrace ${VERSION} (deno ${deno}, v8 ${v8}, ${Deno.build.target})\n`);
    return 0;
  }
  if (command === "shell") {
    return await (await import("./shell.ts")).shell({ host, builtIn, args: whole });
  }
  return await run({ host, builtIn, args: whole });
}

function colorOf({ values }: CliArguments): ColorMode {
  return (values["color"] ?? "auto") as ColorMode;
}

/** Prints a text, with which a call has done what it was to do. */
function printed(host: CliHost, text: string): number {
  print(host, text, paintHelp);
  return 0;
}

/** `--help`, or with `-p NAME` or `--plugin` what there is to know of that tracer. */
async function help({ host, builtIn, args }: CommandContext): Promise<number> {
  const { helpText, tracerHelpText } = await import("./help.ts");
  const plugins = args.lists["plugin"] ?? [];
  const name = args.values["tracer"];
  if (name === undefined && plugins.length === 0) {
    print(host, helpText(), paintHelp);
    return 0;
  }
  const { allTracers, BUILT_IN } = await import("./load_tracer.ts");
  const tracers = await allTracers(await builtIn(), plugins);
  const asked = tracers.filter(({ tracer, source }) =>
    tracer.name === name || plugins.includes(source) || plugins.includes(tracer.name)
  );
  if (name !== undefined && !asked.some(({ tracer }) => tracer.name === name)) {
    const names = tracers.map(({ tracer }) => tracer.name).join(", ");
    throw new RangeError(`Cannot help with ${name}: there is no such tracer; there are ${names}`);
  }
  const texts = asked.map(({ tracer, source }) =>
    tracerHelpText(tracer, source === BUILT_IN ? `-p ${tracer.name}` : `--plugin ${source}`)
  );
  print(host, texts.join("\n"), paintHelp);
  return 0;
}

/** Behind `list` nothing is a guest's: options may stand anywhere. */
function readListArguments(first: CliArguments, options: readonly string[]): CliArguments {
  const words: string[] = [];
  let left = first.rest.slice(1);
  let given = [...options];
  for (;;) {
    const read = readArguments([...given, ...left]);
    const [word, ...more] = read.rest;
    if (word === undefined) return { ...read, rest: words };
    given = [...given, ...left.slice(0, left.length - read.rest.length)];
    if (given.at(-1) === "--") given.pop();
    words.push(word);
    left = more;
  }
}
