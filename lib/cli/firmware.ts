/**
 * The options that only firmware has use for: what memory its board has, raw images,
 * and the signature that it leaves.
 *
 * @module
 */
import type { Machine, MachineOptions } from "../../mod.ts";
import type { CliArguments } from "./arguments.ts";
import { UNCHECKED } from "./engine_options.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `--memory ADDR,SIZE`, as often as it is given; `unchecked` is the engine's. @throws {SyntaxError} If one is not that. */
export function memoryMapOf({ lists }: CliArguments): MachineOptions["memoryMap"] {
  return (lists["memory"] ?? []).filter((text) => text !== UNCHECKED).map((text) => {
    const [address = "", length = "", ...more] = text.split(",");
    const start = bytesOf(address), size = bytesOf(length);
    if (start !== undefined && size !== undefined && more.length === 0) return { start, size };
    throw new SyntaxError(
      `Cannot read --memory "${text}": write an address and a size, as in --memory 0x20000000,4M, ` +
        "or unchecked",
    );
  });
}

/** An image to load, as the command line names it. */
export interface LoadOption {
  /** Where its first byte goes. */
  readonly address: bigint;
  /** The file that holds its bytes. */
  readonly file: string;
}

/**
 * `--load ADDR,FILE`, as often as it is given.
 *
 * @throws {SyntaxError} If one is not that, or what goes with it is missing or contradicts it.
 */
export function loadOptions({ lists, values, rest }: CliArguments): readonly LoadOption[] {
  const loads = (lists["load"] ?? []).map((text) => {
    const comma = text.indexOf(",");
    const address = bytesOf(text.slice(0, Math.max(comma, 0)));
    const file = text.slice(comma + 1);
    if (address !== undefined && file !== "") return { address: BigInt(address), file };
    throw new SyntaxError(
      `Cannot read --load "${text}": write an address and a file, as in --load 0x80000000,fw.bin`,
    );
  });
  if (loads.length > 0 && values["machine"] === "linux") {
    throw new SyntaxError("Cannot load images for a Linux program: --load is for --machine bare");
  }
  if (values["symbols"] !== undefined && (loads.length === 0 || rest.length > 0)) {
    throw new SyntaxError(
      "Cannot take --symbols: it names the functions of --load images without PROGRAM",
    );
  }
  return loads;
}

/** `--entry ADDR`. @throws {SyntaxError} If it is no address. */
export function entryOption({ values }: CliArguments): bigint | undefined {
  const text = values["entry"];
  if (text === undefined) return undefined;
  const address = bytesOf(text);
  if (address !== undefined) return BigInt(address);
  throw new SyntaxError(`Cannot read --entry "${text}": write an address, as in 0x80000000`);
}

/** A number of bytes, decimal or with 0x, in KiB, MiB or GiB if it ends so. */
function bytesOf(text: string): number | undefined {
  const [, digits, unit = ""] = /^(0x[0-9a-f]+|[0-9]+)([kmg]?)$/i.exec(text.trim()) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit.toLowerCase()]!;
}

/** Why firmware may wait for ever: without symbols nobody knows where it would ask its host. */
export function hostHint({ kind, elf }: Pick<Machine, "kind" | "elf">): string | undefined {
  if (kind !== "bare" || elf.symbols.length > 0) return undefined;
  const instead = elf.bytes.length === 0
    ? "--symbols FILE.elf says where tohost is"
    : "link it without -s, and do not strip it";
  return `if it waits for its host (HTIF), nobody answers, as it has no symbols: ${instead}`;
}

/** Writes what a bare program left between begin_signature and end_signature. */
export function writeSignature(machine: Machine, file: string | undefined): void {
  if (file === undefined) return;
  const text = machine.signature();
  if (text === undefined) {
    throw new TypeError(
      `Cannot write the signature to ${file}: the program has no begin_signature and end_signature`,
    );
  }
  try {
    Deno.writeTextFileSync(file, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`Cannot write the signature to ${file}: ${reason}`, { cause: error });
  }
}
