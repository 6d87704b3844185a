/**
 * The GNU assembler as an oracle: the bytes that it and the linker make of a source.
 *
 * The linker is needed because the assembler leaves addresses to it.
 *
 * @module
 */

const PREFIX = "riscv64-linux-gnu-";

function run(tool: string, args: readonly string[]): void {
  const { success, stderr } = new Deno.Command(PREFIX + tool, { args: [...args] }).outputSync();
  if (!success) throw new Error(`${tool}: ${new TextDecoder().decode(stderr)}`);
}

/** Text of the program that binutils make of a source, at an address. */
export function gasBytes(source: string, origin: bigint, march = "rv64gc_zba_zbb_zbs"): Uint8Array {
  const folder = Deno.makeTempDirSync({ prefix: "hartrace_gas_" });
  const path = (name: string) => `${folder}/${name}`;
  try {
    Deno.writeTextFileSync(path("a.s"), source);
    run("as", [`-march=${march}`, "-mno-relax", "-o", path("a.o"), path("a.s")]);
    const place = ["--no-relax", "-Ttext", `0x${origin.toString(16)}`, "-e", "0"];
    run("ld", [...place, "-o", path("a.elf"), path("a.o")]);
    run("objcopy", ["-O", "binary", "-j", ".text", path("a.elf"), path("a.bin")]);
    return Deno.readFileSync(path("a.bin"));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
