/**
 * The map of the board that firmware runs on: what of QEMU's virt board there is, and Spike's host
 * interface.
 *
 * A device is one file and one row here.
 *
 * @module
 */
import { CLINT } from "./clint.ts";
import type { BoardMap } from "./device.ts";
import { FINISHER } from "./finisher.ts";
import { HTIF } from "./htif.ts";
import { PLIC } from "./plic.ts";
import { SERIAL } from "./serial.ts";

/** QEMU's virt board, in part. */
export const VIRT: BoardMap = {
  name: "virt",
  compatible: ["riscv-virtio"],
  devices: [CLINT, PLIC, FINISHER, SERIAL, HTIF],
};
