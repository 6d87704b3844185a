/**
 * Privilege: the modes of a hart, and the fields of mstatus that have to do with them.
 *
 * The registers are `system.ts`.
 *
 * @module
 */

/** Privilege modes: user, supervisor, machine. */
export type Mode = "U" | "S" | "M";

/** Modes by the number that MPP has for them; there is none of number 2. */
export const MODES: readonly (Mode | undefined)[] = ["U", "S", undefined, "M"];
/** The number of each privilege mode, as mstatus.MPP encodes it. */
export const MODE_LEVELS: Readonly<Record<Mode, bigint>> = { U: 0n, S: 1n, M: 3n };
/** The lowest bit of mstatus.MPP. */
export const MPP_SHIFT = 11n;

/** Fields of mstatus, each as the mask of its bits. */
export const Mstatus = {
  SIE: 1n << 1n,
  MIE: 1n << 3n,
  SPIE: 1n << 5n,
  MPIE: 1n << 7n,
  SPP: 1n << 8n,
  MPP: 3n << 11n,
  FS: 3n << 13n,
  MPRV: 1n << 17n,
  SUM: 1n << 18n,
  MXR: 1n << 19n,
  TVM: 1n << 20n,
  TW: 1n << 21n,
  TSR: 1n << 22n,
  /** UXL and SXL: 64 bits, fixed. */
  XL: 10n << 32n,
  SD: 1n << 63n,
} as const;

/** menvcfg.ADUE: set at reset, as on QEMU's harts, which set accessed and dirty bits themselves. */
export const ADUE: bigint = 1n << 61n;
