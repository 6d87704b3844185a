/**
 * The options that only firmware has use for: what memory its board has.
 *
 * @module
 */
import type { MachineOptions } from "../../mod.ts";
import type { CliArguments } from "./options.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `--memory ADDR,SIZE`, as often as it is given. @throws {SyntaxError} If one is not that. */
export function memoryMapOf({ lists }: CliArguments): MachineOptions["memoryMap"] {
  return (lists["memory"] ?? []).map((text) => {
    const [address = "", length = "", ...more] = text.split(",");
    const start = bytesOf(address), size = bytesOf(length);
    if (start !== undefined && size !== undefined && more.length === 0) return { start, size };
    throw new SyntaxError(
      `Cannot read --memory "${text}": write an address and a size, as in --memory 0x20000000,4M`,
    );
  });
}

/** A number of bytes, decimal or with 0x, in KiB, MiB or GiB if it ends so. */
function bytesOf(text: string): number | undefined {
  const [, digits, unit = ""] = /^(0x[0-9a-f]+|[0-9]+)([kmg]?)$/i.exec(text.trim()) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit.toLowerCase()]!;
}
