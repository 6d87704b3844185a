/**
 * Builds the programs that the tests run, and records what they do.
 *
 * `deno task fixtures` writes into `tests/fixtures`: the ELF files, the golden call trees,
 * `expected.json`; and `lib/cli/sample_program.ts`. With `--check` it builds in a temporary folder
 * and compares with what is committed: the same sources give the same bytes, because no path, date
 * or build id gets into a file. Names after the options choose programs.
 *
 * What the programs are is `fixture_programs.ts`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import {
  buildCallTree,
  type CallEvent,
  comparableName,
  formatCallTree,
} from "../tests/fixtures/call_tree.ts";
import type { Expected, ExpectedProgram, ExpectedRun } from "../tests/fixtures/expected.ts";
import {
  EMBEDDED_SAMPLE,
  GOLDEN_TREES,
  type GoldenTree,
  OBJECTS,
  type PlannedRun,
  type Program,
  PROGRAMS,
  type Source,
} from "./fixture_programs.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const FIXTURES = join(ROOT, "tests", "fixtures");
const SOURCES = join(FIXTURES, "src");
const PROGRAM_FOLDER = "tests/fixtures/elf";
const PREFIX = "riscv64-linux-gnu-";

/** Files to commit: path from the root of the repository, and bytes. */
type Files = Map<string, Uint8Array>;

interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. Its environment is `env` and no more. */
async function capture(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; stdin?: string } = {},
): Promise<CommandResult> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd ?? FIXTURES,
    clearEnv: true,
    env: options.env ?? {},
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that reads nothing may be gone before its input is written.
  const written = writer.write(encode(options.stdin ?? "")).then(() => writer.close()).catch(() => {
  });
  const output = await child.output();
  await written;
  const decoder = new TextDecoder();
  return {
    code: output.code,
    stdout: decoder.decode(output.stdout),
    stderr: decoder.decode(output.stderr),
  };
}

/** Runs a tool of the toolchain and gives what it printed; its complaint ends the build. */
async function tool(name: string, args: readonly string[], cwd: string): Promise<string> {
  const path = Deno.env.get("PATH") ?? "";
  const result = await capture(name, args, { cwd, env: { PATH: path, LC_ALL: "C" } });
  if (result.code !== 0 || result.stderr !== "") {
    throw new Error(`${name} ${args.join(" ")}\n${result.stderr}`);
  }
  return result.stdout;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const say = (line: string): number => Deno.stdout.writeSync(encode(`${line}\n`));
const complain = (line: string): number => Deno.stderr.writeSync(encode(`${line}\n`));

/** Compiles each source by itself, then links. */
async function build(program: Program, output: string, objects: string): Promise<void> {
  const compiler = PREFIX + program.compiler;
  const linked: string[] = [];
  for (const { file, flags = [] } of program.sources) {
    const object = join(objects, `${program.name}.${file.replace("/", "_")}.o`);
    // A C source of a C++ program is still C.
    const language = file.endsWith(".c") ? PREFIX + "gcc" : compiler;
    const same = `-ffile-prefix-map=${SOURCES}=.`;
    await tool(language, ["-c", ...program.compile, ...flags, same, "-o", object, file], SOURCES);
    linked.push(object);
  }
  await tool(compiler, ["-o", output, ...linked, ...program.link], SOURCES);
}

/** How many entries the site table has, read from the section headers by binutils. */
async function countSites(file: string): Promise<number> {
  const sections = await tool(PREFIX + "readelf", ["-SW", file], FIXTURES);
  const symbols = await tool(PREFIX + "nm", [file], FIXTURES);
  const bound = (name: string) =>
    Number.parseInt(symbols.match(RegExp(`^([0-9a-f]+) . ${name}$`, "m"))?.[1] ?? "0", 16);
  const size = sections.match(/__patchable_function_entries\s+PROGBITS\s+\w+\s+\w+\s+(\w+)/)?.[1];
  const bytes = size
    ? Number.parseInt(size, 16)
    : bound("__stop_mcount_loc") - bound("__start_mcount_loc");
  return bytes / 8;
}

/** How QEMU runs firmware; its arguments, if any, are there for semihosting. */
export function firmwareCommand(file: string, args: readonly string[]): string[] {
  const board = "qemu-system-riscv64 -M spike -display none -monitor none -serial stdio";
  const asked = ["enable=on", "target=native", ...["firmware", ...args].map((arg) => `arg=${arg}`)];
  const semihosting = args.length > 0 ? ["-semihosting-config", asked.join(",")] : [];
  return [...board.split(" "), "-bios", file, ...semihosting];
}

/** How QEMU runs firmware that asks its host by semihosting for all it needs of one. */
function semihostedCommand(name: string, file: string, args: readonly string[]): string[] {
  const board = "qemu-system-riscv64 -M virt -display none -monitor none -serial none -bios none";
  const asked = ["enable=on,target=native", `elf/${name}`, ...args].join(",arg=");
  return [...board.split(" "), "-kernel", file, "-semihosting-config", asked];
}

/** Runs a program on the machine that it was made for. Without core files: some runs crash. */
async function execute(program: Program, file: string, run: PlannedRun): Promise<ExpectedRun> {
  const { args = [], env = [], stdin = "", semihosting } = run;
  const asked = { args, env, stdin, ...(semihosting ? { semihosting } : {}) };
  if (run.byHand) return { ...asked, ...run.byHand, stderr: "", oracle: "specification" };
  const oracle = program.machine === "linux" ? "qemu-riscv64" : "qemu-system-riscv64";
  const command = program.machine === "linux"
    ? ["qemu-riscv64", ...env.flatMap((setting) => ["-E", setting]), file, ...args]
    : semihosting
    ? semihostedCommand(program.name, file, args)
    : firmwareCommand(file, args);
  // qemu-user hands its own environment on, so it gets none but what finding it needs.
  const shell = 'ulimit -c 0; command=$(command -v "$1"); shift; unset PATH PWD OLDPWD SHLVL _; ' +
    'exec "$command" "$@"';
  const { code, stdout, stderr } = await capture("bash", ["-c", shell, "-", ...command], {
    env: { PATH: Deno.env.get("PATH") ?? "" },
    stdin: asked.stdin,
  });
  return { ...asked, stdout, stderr, code, oracle };
}

/**
 * The entries and exits that `instrument.c` printed. A frame that lies below a new one, or where the
 * new one is, was left by a longjmp: it gets its exit here.
 */
function* readInstrumented(
  lines: string,
  names: ReadonlyMap<bigint, string>,
): Generator<CallEvent> {
  const open: { name: string; frame: bigint }[] = [];
  for (const line of lines.trimEnd().split("\n")) {
    const [kind, address, frame] = line.split(" ");
    const name = names.get(BigInt(`0x${address}`));
    if (name === undefined) throw new Error(`Cannot read call tree: no function at ${address}`);
    const left = kind === "E"
      ? (top: { frame: bigint }) => top.frame <= BigInt(`0x${frame}`)
      : (top: { name: string }) => top.name !== name;
    for (let top = open.at(-1); top && left(top); top = open.at(-1)) {
      yield { kind: "exit", name: top.name };
      open.pop();
    }
    if (kind === "E") {
      open.push({ name, frame: BigInt(`0x${frame}`) });
      yield { kind: "entry", name };
    } else {
      open.pop();
      yield { kind: "exit", name };
    }
  }
}

/** Builds a program with `-finstrument-functions`, runs it, and writes down who called whom. */
async function goldenTree(golden: GoldenTree, folder: string): Promise<string> {
  const traced = programNamed(golden.program);
  const instrument = [
    "-finstrument-functions",
    "-finstrument-functions-exclude-file-list=/usr/,/include/c++/",
    "-fno-optimize-sibling-calls",
    "-fno-omit-frame-pointer",
  ];
  const runtime: Source = { file: "instrument.c", flags: ["-fno-instrument-functions"] };
  const program: Program = {
    ...traced,
    name: `${golden.name}_instrumented`,
    sources: [...traced.sources, runtime],
    compile: [...traced.compile.filter((flag) => !flag.includes("function")), ...instrument],
  };
  const file = join(folder, program.name);
  await build(program, file, folder);
  const names = new Map<bigint, string>();
  for (const line of (await tool(PREFIX + "nm", [file], folder)).split("\n")) {
    const [address, type, name] = line.split(" ");
    if (address && name && /^[TtWw]$/.test(type ?? "")) {
      names.set(BigInt(`0x${address}`), comparableName(name));
    }
  }
  const { stderr } = await execute(program, file, {});
  return `# Written by \`deno task fixtures\` from a build with -finstrument-functions.\n` +
    formatCallTree(buildCallTree(readInstrumented(stderr, names)));
}

/** The module that holds a program as text, so that it is there wherever the package is. */
function embed(bytes: Uint8Array): string {
  const lines = bytes.toBase64().match(/.{1,96}/g) ?? [];
  return `/**
 * The program that is traced when none is named, as an ELF file in base64.
 *
 * Written by \`deno task fixtures\` from \`tests/fixtures/src/sample.c\`.
 *
 * @module
 */

const BASE64 = \`
${lines.join("\n")}
\`;

/** The bytes of the sample program's ELF file. */
export function sampleProgram(): Uint8Array {
  return Uint8Array.from(atob(BASE64), (character) => character.charCodeAt(0));
}
`;
}

function programNamed(name: string): Program {
  const program = PROGRAMS.find((program) => program.name === name);
  if (!program) throw new TypeError(`Cannot build ${name}: no such program`);
  return program;
}

/** The versions that decide the bytes of the files. */
async function readToolchain(): Promise<Record<string, string>> {
  const firstLine = async (command: string) =>
    (await tool(command, ["--version"], FIXTURES)).split("\n", 1)[0] ?? "";
  const library = "libc6-dev-riscv64-cross";
  return {
    gcc: await firstLine(PREFIX + "gcc"),
    binutils: await firstLine(PREFIX + "ld"),
    qemu: await firstLine("qemu-riscv64"),
    libc: await tool("dpkg-query", ["-W", "-f", "${Version}", library], FIXTURES),
  };
}

/** Builds and runs everything that `names` chooses (all if empty). */
async function makeFiles(names: ReadonlySet<string>, folder: string): Promise<Files> {
  const files: Files = new Map();
  const programs: ExpectedProgram[] = [];
  const chosen = (name: string) => names.size === 0 || names.has(name);
  for (const program of PROGRAMS.filter(({ name }) => chosen(name))) {
    const file = join(folder, program.name);
    await build(program, file, folder);
    const bytes = await Deno.readFile(file);
    files.set(`${PROGRAM_FOLDER}/${program.name}`, bytes);
    const runs: ExpectedRun[] = [];
    for (const run of program.runs) runs.push(await execute(program, file, run));
    const { name, machine } = program;
    const flags = [...program.compile, ...program.link].join(" ");
    programs.push({ name, machine, flags, sites: await countSites(file), runs });
    say(`${name}: ${bytes.length} bytes, ${runs.length} runs`);
    if (name === EMBEDDED_SAMPLE) files.set("lib/cli/sample_program.ts", encode(embed(bytes)));
  }
  for (const { name, file, compile } of OBJECTS.filter((each) => chosen(each.name))) {
    const output = join(folder, `${name}.o`);
    await tool(`${PREFIX}gcc`, ["-c", ...compile, "-o", output, file], SOURCES);
    const bytes = await Deno.readFile(output);
    files.set(`${PROGRAM_FOLDER}/${name}.o`, bytes);
    say(`${name}.o: ${bytes.length} bytes`);
  }
  for (const golden of GOLDEN_TREES.filter(({ program }) => chosen(program))) {
    const tree = await goldenTree(golden, folder);
    files.set(`tests/fixtures/${golden.name}.tree`, encode(tree));
    say(`${golden.name}.tree: ${tree.split("\n").length - 2} calls`);
  }
  if (names.size === 0) {
    const expected: Expected = { toolchain: await readToolchain(), programs };
    files.set("tests/fixtures/expected.json", encode(`${JSON.stringify(expected, null, 2)}\n`));
  }
  return files;
}

const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);

/** Where two texts part, and what each has there; nothing for the bytes of a program. */
function whereTheyPart(committed: Uint8Array, built: Uint8Array): string {
  if (committed.includes(0) || built.includes(0)) return "";
  const lines = (bytes: Uint8Array) => new TextDecoder().decode(bytes).split("\n");
  const were = lines(committed);
  const are = lines(built);
  const at = are.findIndex((line, number) => line !== were[number]);
  const line = at < 0 ? are.length : at;
  const shown = (text: string[]) => text[line]?.trim() ?? "the end";
  return ` from line ${line + 1}: ${shown(were)} was committed, ${shown(are)} is made`;
}

/**
 * Names the files under `root` that are not as `files` says, and the line from which a text
 * differs. With `complete` a program in the folder of the ELF files that is not among them is
 * named too.
 */
export async function compareFiles(
  files: ReadonlyMap<string, Uint8Array>,
  root: string,
  complete: boolean,
): Promise<string[]> {
  const differences: string[] = [];
  for (const [path, bytes] of files) {
    const committed = await Deno.readFile(join(root, path)).catch(() => undefined);
    if (!committed) differences.push(`${path}: not there`);
    else if (!equal(committed, bytes)) {
      differences.push(`${path}: differs${whereTheyPart(committed, bytes)}`);
    }
  }
  if (!complete) return differences;
  for await (const { name } of Deno.readDir(join(root, PROGRAM_FOLDER))) {
    const path = `${PROGRAM_FOLDER}/${name}`;
    if (!files.has(path)) differences.push(`${path}: built by nothing`);
  }
  return differences;
}

/** Says with what the committed files were built, where that is not what is here. */
async function explainToolchain(): Promise<void> {
  const text = await Deno.readTextFile(join(FIXTURES, "expected.json")).catch(() => undefined);
  if (text === undefined) return;
  const { toolchain }: Expected = JSON.parse(text);
  for (const [part, here] of Object.entries(await readToolchain())) {
    if (toolchain[part] !== here) {
      complain(`${part}: built with ${toolchain[part]}, here is ${here}`);
    }
  }
}

async function main(): Promise<number> {
  const options = parseArgs(Deno.args, { boolean: ["check"] });
  const names = new Set(options._.map(String));
  for (const name of names) if (!OBJECTS.some((each) => each.name === name)) programNamed(name);
  const folder = await Deno.makeTempDir({ prefix: "fixtures-" });
  try {
    const files = await makeFiles(names, folder);
    if (!options.check) {
      await Deno.mkdir(join(ROOT, PROGRAM_FOLDER), { recursive: true });
      for (const [path, bytes] of files) {
        await Deno.writeFile(join(ROOT, path), bytes);
        if (path.startsWith(PROGRAM_FOLDER)) await Deno.chmod(join(ROOT, path), 0o755);
      }
      return 0;
    }
    const differences = await compareFiles(files, ROOT, names.size === 0);
    for (const difference of differences) complain(difference);
    if (differences.length === 0) say(`${files.size} files are as committed`);
    else await explainToolchain();
    return differences.length === 0 ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
