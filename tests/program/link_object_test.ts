import { assert, assertEquals, assertThrows } from "@std/assert";
import { linkObject } from "../../lib/program/link_object.ts";
import { parseObject } from "../../lib/program/object_file.ts";
import { createRandom } from "../engine/random.ts";
import { programFile } from "../fixtures/expected.ts";
import { present } from "../isa/objdump.ts";

const PREFIX = "riscv64-linux-gnu-";
const ready = present(`${PREFIX}as`) && present(`${PREFIX}ld`);

const CODE = 0x20000n, CONSTANTS = 0x30000n, DATA = 0x40000n;
const EXTERNALS: Readonly<Record<string, bigint>> = { far: 0x7654321n, near: 0x20f00n };

/** Every relocation that gcc -O2 and its assembler give, and edges of their ranges. */
const SOURCE = `
  .text
  .globl start
start:
  call far
  call near
  tail near
  la a0, datum
  lla a1, datum + 4
  la a2, far
  lui a3, %hi(datum)
  addi a3, a3, %lo(datum)
  sd a3, %lo(datum + 8)(a3)
  ld a4, %lo(far)(a3)
1: auipc a5, %pcrel_hi(datum + 2047)
  sw a5, %pcrel_lo(1b)(a5)
  lw a6, %pcrel_lo(1b)(a5)
  beq a0, a1, near
  beqz a0, start
  bnez a3, near_label
  j near_label
  c.j near_label
  jal near
  .p2align 3
near_label:
  c.beqz a0, start
  ret
  .section .rodata
  .p2align 3
table:
  .dword start, datum, far + 16
  .word datum, near
  .word near_label - start
  .half near_label - start
  .byte near_label - start
  .word start - .
  .data
  .p2align 4
datum:
  .dword 1, table
`;

/** What ld makes of an object with its sections at those addresses, by section. */
function linkedByLd(folder: string): ReadonlyMap<bigint, Uint8Array> {
  const run = (tool: string, args: readonly string[]) => {
    const { success, stderr } = new Deno.Command(PREFIX + tool, { args: [...args] }).outputSync();
    if (!success) throw new Error(`${tool}: ${new TextDecoder().decode(stderr)}`);
  };
  const script = `SECTIONS {
    .text ${CODE} : { *(.text) }
    .rodata ${CONSTANTS} : { *(.rodata) }
    .got : { *(.got) }
    .data ${DATA} : { *(.data) }
    ${Object.entries(EXTERNALS).map(([name, address]) => `${name} = ${address};`).join(" ")}
  }`;
  Deno.writeTextFileSync(`${folder}/a.s`, SOURCE);
  Deno.writeTextFileSync(`${folder}/a.ld`, script);
  run("as", ["-march=rv64gc", "-mno-relax", "-o", `${folder}/a.o`, `${folder}/a.s`]);
  run("ld", ["--no-relax", "-T", `${folder}/a.ld`, "-o", `${folder}/a.elf`, `${folder}/a.o`]);
  const sections = new Map<bigint, Uint8Array>();
  for (
    const [name, address] of [[".text", CODE], [".rodata", CONSTANTS], [".data", DATA]] as const
  ) {
    run("objcopy", ["-O", "binary", "-j", name, `${folder}/a.elf`, `${folder}/a.bin`]);
    sections.set(address, Deno.readFileSync(`${folder}/a.bin`));
  }
  return sections;
}

Deno.test({
  name: "linkObject() gives the GNU linker's bytes for every relocation (needs binutils)",
  ignore: !ready,
  fn() {
    const folder = Deno.makeTempDirSync({ prefix: "hartrace_ld_" });
    try {
      const expected = linkedByLd(folder);
      const places = { code: CODE, constants: CONSTANTS, data: DATA };
      const { regions } = linkObject(parseObject(Deno.readFileSync(`${folder}/a.o`)), {
        allocate: (_, kind) => places[kind],
        resolve: (name) => EXTERNALS[name]!,
      });
      assertEquals(regions.map(({ address }) => address), [CODE, CONSTANTS, DATA]);
      for (const { address, bytes } of regions) {
        const theirs = expected.get(address)!;
        assertEquals(bytes.slice(0, theirs.length), theirs, address.toString(16));
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

const read = (name: string) => Deno.readFileSync(programFile(`${name}.o`));
const AT = { code: 0x7fe00000n, constants: 0x7fe10000n, data: 0x7fe20000n };

Deno.test("linkObject() gives each global its place and the program's symbols to who wants them", () => {
  for (const name of ["shop_first", "shop_first_pic", "shop_first_medlow"]) {
    const wanted = new Set<string>();
    const { symbols } = linkObject(parseObject(read(name)), {
      allocate: (_, kind) => AT[kind],
      resolve(symbol) {
        wanted.add(symbol);
        return 0x10000n;
      },
    });
    assertEquals([...wanted].sort(), ["price_of", "print"]);
    const functions = symbols.filter(({ isFunction }) => isFunction).map((each) => each.name);
    assertEquals(functions.sort(), ["add_prices", "half", "tenth_off"]);
    const fee = symbols.find((symbol) => symbol.name === "fee")!;
    assert(fee.address >= AT.data && fee.isGlobal);
  }
});

Deno.test("linkObject() refuses what an instruction cannot reach, and says how to compile", () => {
  const far = (name: string, code: bigint) => () =>
    linkObject(parseObject(read(name)), {
      allocate: (_, kind) => code + BigInt(["code", "constants", "data"].indexOf(kind)) * 0x10000n,
      resolve: () => 0x10000n,
    });
  assertThrows(far("shop_first_medlow", 0x90000000n), SyntaxError, "compile with -mcmodel=medany");
  assertThrows(far("shop_first", 0x90000000n), SyntaxError, "R_RISCV_CALL_PLT at .text+0x");
  assertThrows(() => parseObject(Deno.readFileSync(programFile("sample_p84"))), SyntaxError, "-c");
});

Deno.test("parseObject() and linkObject() refuse damaged objects with a SyntaxError, and nothing else", () => {
  const { below } = createRandom(11);
  const good = read("shop_second");
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    const bytes = good.slice(0, below(20) === 0 ? below(good.length) : good.length);
    for (let k = 0; k < 1 + below(4); k++) bytes[below(bytes.length)] = below(256);
    try {
      linkObject(parseObject(bytes), { allocate: (_, kind) => AT[kind], resolve: () => 0x10000n });
    } catch (error) {
      assert(error instanceof SyntaxError, String(error));
      refused++;
    }
  }
  assert(refused > 500 && refused < 5000, `${refused} of 5000 were refused`);
});
