/**
 * `shell`: a prompt at the control files of a guest that is stopped.
 *
 * Commands come from a terminal, or from whatever stdin is. Errors are printed as a shell prints
 * them, and a second line says why. The exit code is the last command's, as a shell's is.
 *
 * The language is `shell_words.ts`, running the guest `shell_guest.ts`, the files `lib/tracefs`.
 *
 * @module
 */
import {
  createFtrace,
  createMachine,
  createTracefs,
  type Ftrace,
  globMatch,
  type Machine,
  type Tracefs,
  TracefsError,
} from "../../mod.ts";
import { type CliHost, print, say } from "./host.ts";
import { readProgram } from "./program.ts";
import {
  applyFilters,
  type CommandContext,
  dump,
  ftraceOptions,
  machineOptions,
  requestTracers,
  startTracers,
  stopTracers,
} from "./run.ts";
import { SHELL_COMMANDS, type ShellCommandContext } from "./shell_commands.ts";
import { createGuestControl, type GuestControl } from "./shell_guest.ts";
import {
  parseShellLine,
  type ShellCommand,
  type ShellPipeline,
  type ShellWord,
  UnfinishedLine,
} from "./shell_words.ts";
import { numberOf } from "./options.ts";
import { writeTracefs } from "./tracefs_option.ts";
import type { Completer } from "./terminal.ts";

/** Runs the shell; gives the exit code. @throws {Error} For whatever is wrong with the call. */
export async function shell(context: CommandContext): Promise<number> {
  const { host, args, builtIn } = context;
  const program = await readProgram(args.rest[0]);
  const tracers = await requestTracers(context, "selectable");
  const lines = createLines(host);
  const machine: Machine = createMachine(program.bytes, {
    ...machineOptions(context, program, { guest: (data) => host.stdout(data) }, () => machine),
    stdin: lines.forGuest,
  });
  const ftrace = createFtrace(machine, {
    ...ftraceOptions(args),
    print: (text) => void print(host, `${text}\n`),
    report: (line) => say(host, line),
    dump: (ftrace, hart) => dump(host, ftrace, tracefs.state.currentTracer, hart),
  });
  applyFilters(ftrace, args);
  const started = await startTracers(ftrace, tracers.plugins);
  await using tracefs = createTracefs(ftrace, {
    tracers: builtIn,
    tracerOptions: tracers.optionsOf,
  });
  for (const text of args.lists["option"] ?? []) await tracefs.write("trace_options", text);
  if (args.values["tracer"] !== undefined) {
    await tracefs.write("current_tracer", args.values["tracer"]);
  }
  await writeTracefs(tracefs, args.lists["tracefs"] ?? []);
  const guest = createGuestControl({
    host,
    ftrace,
    program: program.name,
    limit: numberOf(args.values, "limit-insns", 1),
  });
  if (host.question && !args.switches.has("quiet")) say(host, greeting(ftrace, program.name));
  const status = await createInterpreter(host, tracefs, guest, lines).runAll();
  await stopTracers(host, started);
  return status;
}

function greeting({ era, eraReason, records }: Ftrace, program: string): string {
  const sites = records.filter(({ kind }) => kind !== "disabled").length;
  return `${program} is stopped before its first instruction; ${sites} functions can be traced\n` +
    `era ${era.name} (${era.description}): ${eraReason}\n` +
    "help says what can be done here";
}

/** Lines of input, for the shell and, from a terminal, for the guest. */
interface Lines {
  /** The next line without its end; undefined at the end of input. */
  next(prompt: string, complete: Completer): Promise<string | undefined>;
  /** The guest's `read` on stdin. */
  readonly forGuest: (length: number) => Promise<Uint8Array>;
}

function createLines(host: CliHost): Lines {
  const decoder = new TextDecoder();
  let text = "";
  let ended = false;
  return {
    async next(prompt, complete) {
      if (host.question) return await host.question(prompt, complete);
      while (!ended && !text.includes("\n")) {
        const bytes = await host.stdin(65536);
        ended = bytes.length === 0;
        text += ended ? decoder.decode() : decoder.decode(bytes, { stream: true });
      }
      if (text === "") return undefined;
      const end = text.indexOf("\n");
      const line = end < 0 ? text : text.slice(0, end);
      text = end < 0 ? "" : text.slice(end + 1);
      return line;
    },
    // A pipe holds commands; only a person can mean the guest.
    forGuest: (length) => host.question ? host.stdin(length) : Promise.resolve(new Uint8Array()),
  };
}

/** What ends the shell. */
class Exit extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

const INTERRUPTED = 130;

function createInterpreter(
  host: CliHost,
  tracefs: Tracefs,
  guest: GuestControl,
  lines: Lines,
): { runAll(): Promise<number> } {
  let status = 0;
  let directory = "";
  /** `set -e`. */
  let stopsAtError = false;
  const absolute = (path: string) =>
    path.startsWith("/") || directory === "" ? path : `${directory}/${path}`;

  const expand = (word: ShellWord): readonly string[] => {
    const text = word.text(status);
    if (word.glob === undefined) return [text];
    const depth = text.split("/").length;
    const below = directory === "" ? "" : `${directory}/`;
    const names = new Set<string>();
    for (const path of tracefs.paths()) {
      if (!path.startsWith(below)) continue;
      const parts = path.slice(below.length).split("/");
      if (parts.length >= depth) names.add(parts.slice(0, depth).join("/"));
    }
    const globs = word.glob.split("/");
    const found = [...names].filter((name) =>
      name.split("/").every((part, k) => globMatch(globs[k]!, part))
    );
    return found.length > 0 ? found.sort() : [text];
  };

  const complain = (text: string, error: unknown) => {
    const reason = error instanceof TracefsError ? [`hartrace: ${error.reason}\n`] : [];
    host.stderr(new TextEncoder().encode(`${text}\n${reason.join("")}`));
  };

  const runCommand = async (
    { words, input, output }: ShellCommand,
    piped: string | undefined,
    last: boolean,
  ): Promise<{ readonly status: number; readonly text: string }> => {
    const [name, ...args] = words.flatMap(expand);
    const target = output?.file.text(status);
    if (target !== undefined && target !== "/dev/null" && !tracefs.kind(absolute(target))) {
      complain(`sh: ${target}: Permission denied`, missingFile(tracefs, absolute(target)));
      return { status: 1, text: "" };
    }
    let given = piped;
    if (input !== undefined) {
      const file = input.text(status);
      try {
        given = tracefs.read(absolute(file));
      } catch (error) {
        if (!(error instanceof TracefsError)) throw error;
        complain(`sh: ${file}: ${error.words}`, error);
        return { status: 1, text: "" };
      }
    }
    let text = "";
    const context: ShellCommandContext = {
      host,
      tracefs,
      guest,
      input: given,
      absolute,
      // What a person waits for is printed as it comes.
      write: (part) => {
        if (last && target === undefined) print(host, part);
        else text += part;
      },
      complain,
      directory,
      changeDirectory: (to) => void (directory = to),
      exit(code) {
        throw new Exit(code ?? status);
      },
      stopAtError: (on) => void (stopsAtError = on),
    };
    let code = 0;
    if (name !== undefined) {
      const command = SHELL_COMMANDS.find((each) => each.names.includes(name));
      if (command) code = await command.run(context, args, name);
      else {
        complain(`sh: ${name}: command not found`, undefined);
        say(host, "help lists the commands that there are");
        code = 127;
      }
    }
    if (target === undefined || target === "/dev/null") return { status: code, text };
    try {
      await tracefs.write(absolute(target), text, { append: output?.append ?? false });
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      const who = error.call === "open" ? target : `${name ?? ""}: write error`;
      complain(`sh: ${who}: ${error.words}`, error);
      return { status: 1, text: "" };
    }
    return { status: code, text: "" };
  };

  const runPipeline = async ({ commands, after }: ShellPipeline) => {
    if (after === "success" && status !== 0) return;
    if (after === "failure" && status === 0) return;
    let piped: string | undefined;
    for (const [k, command] of commands.entries()) {
      const last = k === commands.length - 1;
      const result = await runCommand(command, piped, last);
      piped = result.text;
      if (last) status = result.status;
    }
  };

  const complete: Completer = (line) => {
    const part = /[^\s;|<>&'"]*$/.exec(line)?.[0] ?? "";
    const first = /(?:^|[;|&])\s*$/.test(line.slice(0, line.length - part.length));
    if (first) {
      const names = SHELL_COMMANDS.flatMap((command) => command.names);
      return [names.filter((name) => name.startsWith(part)), part];
    }
    const slash = part.lastIndexOf("/") + 1;
    const folder = absolute(part.slice(0, slash));
    if (tracefs.kind(folder) !== "directory") return [[], part];
    const names = tracefs.list(folder).filter((name) => name.startsWith(part.slice(slash)));
    return [
      names.map((name) => {
        const path = part.slice(0, slash) + name;
        return tracefs.kind(absolute(path)) === "directory" ? `${path}/` : path;
      }),
      part,
    ];
  };

  const read = async (): Promise<readonly ShellPipeline[] | undefined> => {
    let text = await lines.next(`tracing${directory === "" ? "" : `/${directory}`}# `, complete);
    for (;;) {
      if (text === undefined) return undefined;
      try {
        return parseShellLine(text);
      } catch (error) {
        if (error instanceof UnfinishedLine) {
          const more = await lines.next("> ", complete);
          if (more !== undefined) {
            text = `${text}\n${more}`;
            continue;
          }
        } else if (!(error instanceof SyntaxError)) throw error;
        complain(`sh: ${(error as Error).message}`, undefined);
        status = 2;
        return [];
      }
    }
  };

  return {
    async runAll() {
      try {
        for (;;) {
          const pipelines = await read();
          if (pipelines === undefined) return status;
          for (const pipeline of pipelines) {
            await runPipeline(pipeline);
            if (status === INTERRUPTED && !host.question) return status;
            if (stopsAtError && status !== 0) return status;
            if (host.stdoutFailure !== undefined) return 125;
          }
        }
      } catch (error) {
        if (error instanceof Exit) return error.status;
        throw error;
      }
    },
  };
}

/** Why a file that is not there cannot be written, in our words. */
function missingFile(tracefs: Tracefs, path: string): unknown {
  try {
    tracefs.read(path);
  } catch (error) {
    return error;
  }
  return undefined;
}
