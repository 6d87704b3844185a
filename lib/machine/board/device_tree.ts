/**
 * The device tree of a board: what is said of RAM, harts and devices, from the same rows that the
 * board is wired from.
 *
 * Nodes and properties are those of QEMU's virt board for what there is of it; `timebase-frequency`
 * and the ISA string are this machine's. How a tree becomes bytes is `fdt.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { PlatformContext } from "../platform.ts";
import type { BoardMap, DeviceRow, Region, TreeProperty } from "./device.ts";
import { flattenTree, type TreeNode } from "./fdt.ts";
import type { MemoryMap } from "./memory_map.ts";

/** mtime counts nanoseconds. */
const TIMEBASE = 1_000_000_000;
/** The widest page tables that harts have. */
const MMU = "riscv,sv57";
/** What a system controller's word is set to: for the end, and to start anew. */
const POWEROFF = 0x5555, REBOOT = 0x7777;
const SYSCON = "syscon";
/** Letters of an ISA string in their order. */
const LETTERS = "imafdqcbvh";

/** The device tree of a board that runs this firmware, flattened. */
export function deviceTree(map: BoardMap, memory: MemoryMap, context: PlatformContext): Uint8Array {
  const rows = map.devices.filter(({ isPresent }) => isPresent?.(context.symbols) ?? true);
  return flattenTree(new TreeBuilder(map, rows, memory.all, context.harts).root());
}

class TreeBuilder {
  readonly #map: BoardMap;
  readonly #rows: readonly DeviceRow[];
  readonly #memory: readonly Region[];
  readonly #harts: readonly Hart[];

  constructor(
    map: BoardMap,
    rows: readonly DeviceRow[],
    memory: readonly Region[],
    harts: readonly Hart[],
  ) {
    this.#map = map;
    this.#rows = rows;
    this.#memory = memory;
    this.#harts = harts;
  }

  root(): TreeNode {
    const placed = this.#rows.filter(({ regions }) => regions.length > 0);
    const others = this.#rows.filter(({ regions }) => regions.length === 0);
    const [model] = this.#map.compatible;
    return {
      name: "",
      properties: {
        "#address-cells": [2],
        "#size-cells": [2],
        compatible: this.#map.compatible,
        ...(model === undefined ? {} : { model: [`${model},hartrace`] }),
      },
      nodes: [
        ...this.#chosen(),
        ...this.#control("poweroff", POWEROFF),
        ...this.#control("reboot", REBOOT),
        ...this.#memory.map(({ start, size }) => ({
          name: `memory@${start.toString(16)}`,
          properties: { device_type: ["memory"], reg: cells(start, size) },
        })),
        this.#cpus(),
        {
          name: "soc",
          properties: {
            "#address-cells": [2],
            "#size-cells": [2],
            compatible: ["simple-bus"],
            ranges: [],
          },
          nodes: placed.map((row) => this.#device(row)),
        },
        ...others.map((row) => this.#device(row)),
      ],
    };
  }

  /** The console: the first serial port, if there is one. */
  #chosen(): readonly TreeNode[] {
    const serial = this.#rows.find(({ name, regions }) => name === "serial" && regions.length > 0);
    if (!serial) return [];
    return [{ name: "chosen", properties: { "stdout-path": [`/soc/${nameOf(serial)}`] } }];
  }

  /** How the machine is told something, if a device is a system controller. */
  #control(name: string, value: number): readonly TreeNode[] {
    const controller = this.#rows.find(({ compatible }) => compatible.includes(SYSCON));
    if (!controller) return [];
    return [{
      name,
      properties: {
        value: [value],
        offset: [0],
        regmap: [this.#handleOf(controller)],
        compatible: [`${SYSCON}-${name}`],
      },
    }];
  }

  #cpus(): TreeNode {
    const cores = this.#harts.map((hart) => ({
      name: `core${hart.id}`,
      properties: { cpu: [this.#cpuHandle(hart.id)] },
    }));
    return {
      name: "cpus",
      properties: {
        "#address-cells": [1],
        "#size-cells": [0],
        "timebase-frequency": [TIMEBASE],
      },
      nodes: [
        ...this.#harts.map((hart) => this.#cpu(hart)),
        {
          name: "cpu-map",
          properties: {},
          nodes: [{ name: "cluster0", properties: {}, nodes: cores }],
        },
      ],
    };
  }

  #cpu(hart: Hart): TreeNode {
    return {
      name: `cpu@${hart.id.toString(16)}`,
      properties: {
        phandle: [this.#cpuHandle(hart.id)],
        device_type: ["cpu"],
        reg: [hart.id],
        status: ["okay"],
        compatible: ["riscv"],
        "riscv,isa": [isaText(hart.extensions)],
        "mmu-type": [MMU],
        ...blocksOf(hart.extensions),
      },
      nodes: [{
        name: "interrupt-controller",
        properties: {
          "#interrupt-cells": [1],
          "interrupt-controller": [],
          compatible: ["riscv,cpu-intc"],
          phandle: [this.#cpuHandle(hart.id) + 1],
        },
      }],
    };
  }

  #device(row: DeviceRow): TreeNode {
    const { compatible, regions, properties = {} } = row;
    const isReferred = compatible.includes(SYSCON) || "interrupt-controller" in properties;
    return {
      name: nameOf(row),
      properties: {
        ...(isReferred ? { phandle: [this.#handleOf(row)] } : {}),
        ...this.#interrupts(row),
        ...(regions.length > 0
          ? { reg: regions.flatMap(({ start, size }) => cells(start, size)) }
          : {}),
        compatible,
        ...properties,
      },
    };
  }

  /** A device's lines: to harts, each named with its hart, or to the interrupt controller. */
  #interrupts(row: DeviceRow): Readonly<Record<string, TreeProperty>> {
    const inputs = row.interrupts(this.#harts.length);
    const toHarts = inputs.flatMap((input) =>
      "source" in input ? [] : [this.#cpuHandle(input.hart) + 1, input.interrupt]
    );
    const sources = inputs.flatMap((input) => "source" in input ? [input.source] : []);
    const controller = this.#rows.find((each) => "interrupt-controller" in (each.properties ?? {}));
    const handle = controller && this.#handleOf(controller);
    if (toHarts.length > 0) {
      const others = sources.flatMap((source) => handle === undefined ? [] : [handle, source]);
      return { "interrupts-extended": [...toHarts, ...others] };
    }
    if (sources.length === 0 || handle === undefined) return {};
    return { interrupts: sources, "interrupt-parent": [handle] };
  }

  /** Two handles a hart: its own, and that of its interrupt inputs. */
  #cpuHandle(hart: number): number {
    return 1 + 2 * hart;
  }

  #handleOf(row: DeviceRow): number {
    return 1 + 2 * this.#harts.length + this.#rows.indexOf(row);
  }
}

/** An address or size as two cells each. */
function cells(...values: readonly number[]): number[] {
  return values.flatMap((value) => [Math.floor(value / 2 ** 32), value >>> 0]);
}

function nameOf({ name, regions }: DeviceRow): string {
  return regions.length === 0 ? name : `${name}@${regions[0]!.start.toString(16)}`;
}

/** `rv64`, single letters in order, then longer names; modes are no extensions there. */
function isaText(extensions: ReadonlySet<string>): string {
  const letters = [...LETTERS].filter((letter) => extensions.has(letter)).join("");
  const names = [...extensions].filter((name) => name.length > 1);
  return [`rv64${letters}`, ...names].join("_");
}

/** The size of a cache block, for those that may manage or zero one. */
function blocksOf(extensions: ReadonlySet<string>): Readonly<Record<string, TreeProperty>> {
  return {
    ...(extensions.has("zicbom") ? { "riscv,cbom-block-size": [64] } : {}),
    ...(extensions.has("zicboz") ? { "riscv,cboz-block-size": [64] } : {}),
  };
}
