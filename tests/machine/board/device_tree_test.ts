/**
 * The device tree that firmware finds through a1, read by the device tree compiler and compared with
 * the one that QEMU's virt board hands over.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { BoardMap, DeviceRow } from "../../../lib/machine/board/device.ts";
import { VIRT } from "../../../lib/machine/board/virt.ts";
import { createMachine, type MachineOptions } from "../../../lib/machine/machine.ts";
import { installed, outputOf } from "../../engine/guest_tools.ts";
import { buildBare } from "../../program/elf_builder.ts";

const hasCompiler = installed("dtc");
const hasQemu = installed("qemu-system-riscv64");
const FIRMWARE = buildBare("_start:\nret", { withoutHost: true });

/** The blob at a1, and where it is. */
function treeOf(program: Uint8Array, options: MachineOptions = {}) {
  const machine = createMachine(program, { machine: "bare", ...options });
  const [first] = machine.harts;
  const address = BigInt.asUintN(64, first!.x[11]!);
  for (const { id, x } of machine.harts) assertEquals([x[10], x[11]], [BigInt(id), first!.x[11]]);
  const size = new DataView(machine.space.read(address, 8)!.buffer).getUint32(4);
  return { address, blob: machine.space.read(address, size)! };
}

/** Every property by its path, values as the compiler writes them, references as what they name. */
async function propertiesOf(blob: Uint8Array): Promise<Map<string, string>> {
  const text = new TextDecoder().decode(
    await outputOf("dtc", ["-q", "-I", "dtb", "-O", "dts"], blob),
  );
  const found = new Map<string, string>();
  const path: string[] = [];
  for (const line of text.split("\n").map((each) => each.trim())) {
    const [, node] = /^(\S+) \{$/.exec(line) ?? [];
    const [, name, value = ""] = /^([\w#,-]+)(?: = (.*))?;$/.exec(line) ?? [];
    if (node !== undefined) path.push(node === "/" ? "" : node);
    else if (line === "};") path.pop();
    else if (name !== undefined) found.set(`${path.join("/")}/${name}`, value);
  }
  return found;
}

/** Cells of `value` at every `step`-th place from 0 on replaced by the paths of what they refer to. */
function withNames(properties: Map<string, string>, value: string, step: number): string {
  const handles = new Map(
    [...properties].filter(([path]) => path.endsWith("/phandle"))
      .map(([path, handle]) => [handle.slice(1, -1), path.slice(0, -"/phandle".length)]),
  );
  const cells = value.slice(1, -1).split(" ");
  return cells.map((cell, k) => k % step === 0 ? handles.get(cell)! : cell).join(" ");
}

/** Properties that lead to other nodes, and every how many cells. */
const REFERENCES: Readonly<Record<string, number>> = {
  "interrupts-extended": 2,
  "interrupt-parent": 1,
  regmap: 1,
  cpu: 1,
};
/** What is this machine's own: how fast time goes, and what harts are. */
const OWN = ["model", "timebase-frequency", "riscv,isa", "mmu-type", "phandle"].concat(
  ["riscv,cbom-block-size", "riscv,cboz-block-size"],
);

Deno.test({
  name:
    "the device tree has QEMU's properties in each node that there is (needs device-tree-compiler, qemu-system-misc)",
  ignore: !hasCompiler || !hasQemu,
  async fn() {
    const file = await Deno.makeTempFile({ suffix: ".dtb" });
    const options = `-machine virt,dumpdtb=${file} -smp 3 -m 64 -bios none -display none`;
    // It ends before it could read any input.
    const qemu = new Deno.Command("qemu-system-riscv64", {
      args: options.split(" "),
      stdin: "null",
      stderr: "null",
    });
    assert((await qemu.output()).success);
    const theirs = await propertiesOf(await Deno.readFile(file));
    await Deno.remove(file);
    const ours = await propertiesOf(treeOf(FIRMWARE, { harts: 3, ramMib: 64 }).blob);
    const nodes = new Set([...ours.keys()].map((path) => path.slice(0, path.lastIndexOf("/"))));
    const known = (properties: Map<string, string>) =>
      [...properties].flatMap(([path, value]) => {
        const at = path.lastIndexOf("/");
        const name = path.slice(at + 1);
        if (!nodes.has(path.slice(0, at)) || OWN.includes(name) || name === "rng-seed") return [];
        const step = REFERENCES[name];
        return [`${path} = ${step ? withNames(properties, value, step) : value}`];
      }).sort();
    assertEquals(known(ours), known(theirs));
    assert(known(ours).length > 40, String(known(ours).length));
    assertEquals(ours.get("/cpus/timebase-frequency"), "<0x3b9aca00>");
  },
});

Deno.test({
  name: "the device tree says which extensions harts have (needs device-tree-compiler)",
  ignore: !hasCompiler,
  async fn() {
    const ours = await propertiesOf(treeOf(FIRMWARE, { isa: "rv64imac_zba" }).blob);
    assertEquals(
      ours.get("/cpus/cpu@0/riscv,isa")?.startsWith('"rv64imac_'),
      true,
      ours.get("/cpus/cpu@0/riscv,isa"),
    );
    assert(ours.get("/cpus/cpu@0/riscv,isa")!.includes("_zba"));
  },
});

Deno.test({
  name: "rows of a caller's own stand in the device tree, with their lines (needs dtc)",
  ignore: !hasCompiler,
  async fn() {
    const row = (name: string, parts: Partial<DeviceRow>): DeviceRow => ({
      name,
      compatible: [`test,${name}`],
      regions: [{ start: 0x20000000, size: 0x1000 }],
      interrupts: () => [{ source: 42 }],
      create: () => ({}),
      ...parts,
    });
    const board: BoardMap = {
      ...VIRT,
      devices: [
        ...VIRT.devices,
        row("lamp", { properties: { colors: ["red", "green"], level: [1, 2] } }),
        row("bell", {
          regions: [{ start: 0x20001000, size: 0x10 }, { start: 0x20002000, size: 0x10 }],
          interrupts: () => [{ hart: 0, interrupt: 11 }, { source: 7 }],
        }),
        row("wire", { regions: [], interrupts: () => [], isPresent: () => false }),
      ],
    };
    const ours = await propertiesOf(treeOf(FIRMWARE, { board }).blob);
    const of = (path: string) =>
      [...ours].filter(([each]) => each.startsWith(path))
        .map(([each, value]) => `${each.slice(path.length)} = ${value}`);
    assertEquals(of("/soc/lamp@20000000/"), [
      "interrupts = <0x2a>",
      `interrupt-parent = ${ours.get("/soc/plic@c000000/phandle")}`,
      "reg = <0x00 0x20000000 0x00 0x1000>",
      'compatible = "test,lamp"',
      'colors = "red\\0green"',
      "level = <0x01 0x02>",
    ]);
    const [cpu, plic] = ["/cpus/cpu@0/interrupt-controller", "/soc/plic@c000000"]
      .map((path) => ours.get(`${path}/phandle`)!.slice(1, -1));
    assertEquals(of("/soc/bell@20001000/").slice(0, 2), [
      `interrupts-extended = <${cpu} 0x0b ${plic} 0x07>`,
      "reg = <0x00 0x20001000 0x00 0x10 0x00 0x20002000 0x00 0x10>",
    ]);
    assertEquals(of("/wire"), []);
    assertEquals(of("/htif"), [], "this firmware has no tohost");
  },
});

Deno.test("the device tree lies where QEMU's does, below the program if that is there, or nowhere", () => {
  assertEquals(treeOf(FIRMWARE).address, 0x87e00000n);
  assertEquals(treeOf(FIRMWARE, { ramMib: 64 }).address, 0x83e00000n);
  // buildBare puts nothing above 0x80003000.
  const { address } = treeOf(FIRMWARE, { ramMib: 1 });
  assert(address > 0x80010000n && address < 0x80100000n, address.toString(16));
});

Deno.test("createMachine() refuses a line to a source that is not there", () => {
  const at = (source: number, devices = VIRT.devices): BoardMap => ({
    ...VIRT,
    devices: [...devices, {
      name: "bell",
      compatible: [],
      regions: [],
      interrupts: () => [{ source }],
      create: () => ({}),
    }],
  });
  const messageOf = (board: BoardMap) => {
    try {
      createMachine(FIRMWARE, { machine: "bare", board });
      return "";
    } catch (error) {
      assert(error instanceof RangeError);
      return error.message;
    }
  };
  assertEquals(messageOf(at(95)), "");
  assertEquals(
    messageOf(at(96)),
    "Cannot connect a line to source 96: the plic has sources 1 to 95",
  );
  assertEquals(
    messageOf(at(1, [])),
    "Cannot connect bell to source 1: no interrupt controller is before it in the board's table",
  );
});
