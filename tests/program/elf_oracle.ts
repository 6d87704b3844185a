/**
 * Runs binutils, which say independently of us what is in a program.
 *
 * @module
 */

/** Whether `tool` is not installed; then says so, because tests will be skipped. */
export async function missingTool(tool: string): Promise<boolean> {
  try {
    await new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" }).output();
    return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.stderr.write(
      new TextEncoder().encode(`${tool} is missing: its tests are skipped\n`),
    );
    return true;
  }
}

/**
 * What `tool` prints.
 *
 * @throws {Error} With what it says on stderr, if it fails.
 */
export async function runTool(tool: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(tool, { args: [...args] }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`Cannot run ${tool}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** The 32-bit words that `riscv64-linux-gnu-as` makes of a source, without relaxation. */
export async function assembleWithBinutils(source: string): Promise<readonly number[]> {
  const folder = await Deno.makeTempDir();
  try {
    const [text, object, binary] = ["a.s", "a.o", "a.bin"].map((name) => `${folder}/${name}`) as [
      string,
      string,
      string,
    ];
    await Deno.writeTextFile(text, `${source}\n`);
    await runTool("riscv64-linux-gnu-as", ["-march=rv64g", "-mno-relax", "-o", object, text]);
    await runTool("riscv64-linux-gnu-objcopy", ["-O", "binary", "-j", ".text", object, binary]);
    const { buffer } = await Deno.readFile(binary);
    return [...new Uint32Array(buffer)];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The text of each instruction of `bytes` at `origin`, as objdump prints it without aliases. */
export async function disassembleWithBinutils(bytes: Uint8Array, origin: bigint): Promise<string> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, bytes);
    const text = await runTool("riscv64-linux-gnu-objdump", [
      "-D",
      "-b",
      "binary",
      "-m",
      "riscv:rv64",
      "-M",
      "no-aliases",
      `--adjust-vma=0x${origin.toString(16)}`,
      file,
    ]);
    return text.split("\n").filter((line) => /^ +\w+:\t/.test(line)).join("\n");
  } finally {
    await Deno.remove(file);
  }
}
