/**
 * Building and running guest programs with the Debian cross tools, for tests that compare with QEMU.
 *
 * @module
 */

/** Whether `command` can be run; says on stderr what is missing if not. */
export function installed(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    Deno.stderr.writeSync(new TextEncoder().encode(`${command} is not installed\n`));
    return false;
  }
}

/** Runs a command on `input`; gives what it wrote. @throws {Error} When it fails. */
export async function outputOf(
  command: string,
  args: readonly string[],
  input: Uint8Array = new Uint8Array(),
): Promise<Uint8Array> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // A command need not read all of its input, and may close it long before it ends.
  const feeding = new Blob([new Uint8Array(input)]).stream().pipeTo(child.stdin).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await feeding;
  if (code !== 0) {
    throw new Error(`${command} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
  }
  return stdout;
}

/** Builds a program without a C library from C (`.c`) or assembly (`.s`) text; gives its path. */
export async function build(
  directory: string,
  name: string,
  source: string,
  flags: readonly string[] = [],
): Promise<string> {
  const program = `${directory}/${name.replace(/\.\w+$/, "")}`;
  await Deno.writeTextFile(`${directory}/${name}`, source);
  const common = ["-O2", "-nostdlib", "-static", "-Wl,--build-id=none"];
  await outputOf("riscv64-linux-gnu-gcc", [
    ...common,
    ...flags,
    "-o",
    program,
    `${directory}/${name}`,
  ]);
  return program;
}
