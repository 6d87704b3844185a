/**
 * objdump as an oracle: what it prints for a list of words, or for a program.
 *
 * Words go into a small ELF file, not a bare binary: only an ELF says, in `.riscv.attributes`, which
 * extensions objdump is to know.
 *
 * @module
 */

const OBJDUMP = "riscv64-linux-gnu-objdump";

/** Where the words are. */
export const TEXT_ADDRESS = 0x10000;

/** All that binutils 2.40 knows of our instruction set; it knows neither Zicond, Zcb nor Zimop. */
const ARCHITECTURE =
  "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicbom1p0_zicboz1p0_zicsr2p0_zifencei2p0_zawrs1p0_zfh1p0_" +
  "zfhmin1p0_zba1p0_zbb1p0_zbc1p0_zbkb1p0_zbs1p0";

/** One line of a disassembly. */
export interface ObjdumpLine {
  /** Address. */
  readonly address: number;
  /** Mnemonic, and operands behind a tab, as objdump has them. */
  readonly text: string;
}

/** Whether a program of binutils is installed; says so if it is not. */
export function present(program: string = OBJDUMP): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"] }).outputSync().success;
  } catch {
    const notice = `${program} is missing (binutils-riscv64-linux-gnu): its tests are skipped\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(notice));
    return false;
  }
}

/** Disassembles an ELF file. */
export function dumpFile(path: string): ObjdumpLine[] {
  const args = ["-d", "-z", "-w", "-M", "no-aliases", "--no-show-raw-insn", path];
  const { success, stdout, stderr } = new Deno.Command(OBJDUMP, { args }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).split("\n");
  return lines.flatMap((line) => {
    const match = /^ *([\da-f]+):\t(.*)$/.exec(line);
    return match ? [{ address: parseInt(match[1]!, 16), text: match[2]! }] : [];
  });
}

/** Disassembles bytes of text at {@linkcode TEXT_ADDRESS}. */
export function dumpBytes(text: Uint8Array): ObjdumpLine[] {
  const path = Deno.makeTempFileSync({ prefix: "hartrace_isa_" });
  try {
    Deno.writeFileSync(path, elfOf(text));
    return dumpFile(path);
  } finally {
    Deno.removeSync(path);
  }
}

const latin = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
const little = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 255);

/** The attributes section: one attribute, Tag_RISCV_arch (5), of the file. */
function attributes(architecture: string): Uint8Array {
  const attribute = [5, ...latin(architecture), 0];
  const file = [1, ...little(attribute.length + 5), ...attribute];
  const vendor = [...latin("riscv"), 0, ...file];
  return new Uint8Array([...latin("A"), ...little(vendor.length + 4), ...vendor]);
}

function elfOf(text: Uint8Array): Uint8Array {
  const names = new Uint8Array(latin("\0.text\0.riscv.attributes\0.shstrtab\0"));
  const sections = [
    { name: 1, type: 1, flags: 6, address: TEXT_ADDRESS, data: text },
    { name: 7, type: 0x70000003, flags: 0, address: 0, data: attributes(ARCHITECTURE) },
    { name: 25, type: 3, flags: 0, address: 0, data: names },
  ];
  const headers = 64 + 64 * (sections.length + 1);
  const size = sections.reduce((sum, { data }) => sum + data.length, headers);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, ...latin("ELF"), 2, 1, 1]);
  // ET_EXEC for EM_RISCV, with RVC in its flags and section headers behind this one.
  const halves = [[16, 2], [18, 243], [52, 64], [58, 64], [60, sections.length + 1], [62, 3]];
  for (const [at, value] of halves) view.setUint16(at!, value!, true);
  for (const [at, value] of [[20, 1], [40, 64], [48, 1]]) view.setUint32(at!, value!, true);
  let offset = headers;
  sections.forEach(({ name, type, flags, address, data }, k) => {
    const at = 64 * (k + 2);
    view.setUint32(at, name, true);
    view.setUint32(at + 4, type, true);
    [flags, address, offset, data.length].forEach((value, n) =>
      view.setUint32(at + 8 + 8 * n, value, true)
    );
    bytes.set(data, offset);
    offset += data.length;
  });
  return bytes;
}
