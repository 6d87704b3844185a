/**
 * Reading PROGRAM, and what a shell would say if it cannot be run.
 *
 * @module
 */
import {
  type Elf,
  foreignFile,
  imageProgram,
  isRaw,
  parseElf,
  type RawImage,
  withImages,
} from "../program/mod.ts";
import { entryOption, type LoadOption, loadOptions } from "./firmware.ts";
import type { CliArguments } from "./arguments.ts";
import { sampleProgram } from "./sample_program.ts";

/** PROGRAM cannot be run; `exitCode` is what a shell gives. */
export class ProgramError extends Error {
  /** Always `"ProgramError"`. */
  override readonly name = "ProgramError";
  /** 126 if it cannot be executed, 127 if it is not there. */
  readonly exitCode: 126 | 127;

  /** `message` says what is wrong and what to do. */
  constructor(exitCode: 126 | 127, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The guest program, read from its file. */
export interface Program {
  /** The program as the command line names it; the guest's `argv[0]`. */
  readonly name: string;
  /** The parsed headers and symbols of the ELF file. */
  readonly elf: Elf;
  /** Whether the program is the built-in sample. */
  readonly isSample: boolean;
}

/**
 * Reads the program at `path`, and the images of `--load`; without any the built-in sample.
 *
 * @throws {ProgramError} If it is not there, cannot be read, or is no ELF file that can be run.
 * @throws {SyntaxError} If an option about images is malformed.
 */
export async function readProgram(
  path: string | undefined,
  args: CliArguments,
): Promise<Program> {
  const loads = loadOptions(args);
  const [first] = loads;
  const entry = entryOption(args);
  const images = await Promise.all(loads.map(readImage));
  if (path === undefined && first) {
    const file = args.values["symbols"];
    const symbols = file === undefined ? undefined : (await readElf(file)).elf;
    return { name: first.file, elf: imageProgram(images, { entry, symbols }), isSample: false };
  }
  if (path === undefined) {
    const bytes = sampleProgram();
    return { name: "sample", elf: parseElf(bytes), isSample: true };
  }
  const program = await readElf(path);
  return { ...program, elf: withImages(program.elf, images, entry) };
}

async function readImage({ address, file }: LoadOption): Promise<RawImage> {
  const data = await readFile(file);
  if (data.length > 0) return { address, data };
  throw new ProgramError(126, `Cannot load ${file}: the file is empty`);
}

async function readElf(path: string): Promise<Program> {
  const bytes = await readFile(path);
  try {
    return { name: path, elf: parseElf(bytes), isSample: false };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const foreign = foreignFile(bytes);
    if (foreign !== undefined) throw new ProgramError(126, `Cannot run ${path}: ${foreign}`);
    if (isRaw(bytes)) {
      throw new ProgramError(
        126,
        `Cannot run ${path}: the file is no ELF; if it is a raw image of firmware, ` +
          `say where it goes: --load 0x80000000,${path}`,
      );
    }
    throw new ProgramError(126, `Cannot run ${path}: ${error.message}`);
  }
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      const hint = ["functions", "sites", "registers", "plugins", "options"].includes(path)
        ? `; to list them: list ${path}`
        : "";
      throw new ProgramError(127, `Cannot run ${path}: there is no such file${hint}`);
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new ProgramError(126, `Cannot run ${path}: Deno may not read it; give deno -R, or -A`);
    }
    if (error instanceof Deno.errors.IsADirectory) {
      throw new ProgramError(126, `Cannot run ${path}: it is a directory; name a file in it`);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new ProgramError(126, `Cannot run ${path}: you may not read it; see its permissions`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProgramError(126, `Cannot run ${path}: it cannot be read: ${reason}`);
  }
}

/** What to say of a program in which nothing can be traced, and that is refused or runs without. */
export function noSitesMessage(
  { name, elf }: Program,
  sites: number,
  how: "refused" | "untraced",
): string {
  const what = how === "refused" ? `Cannot trace ${name}` : `${name} runs untraced`;
  const flag = "-fpatchable-function-entry=8,4 -falign-functions=8";
  const functions = elf.symbols.some(({ type }) => type === "func");
  const lines = sites === 0
    ? [
      `${what}: it has no call sites`,
      `compile it with ${flag} (or =4)`,
    ]
    : [
      `${what}: none of its ${sites} call sites lies in a function that has a symbol`,
      "link it without -s, and do not strip it",
    ];
  lines.push(
    functions
      ? "or trace it as it is with --virtual, which hooks functions by their symbols"
      : "--virtual would not help: it has no function symbols either",
  );
  if (how === "refused") lines.push("-p nop runs it untraced");
  return lines.join("\n");
}
