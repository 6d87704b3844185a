/**
 * The captured texts of `tests/ground_truth`, and printing one again.
 *
 * @module
 */
import { decodeKernelText, type ParsedTrace } from "../../lib/output/parse/kernel_text.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";

/** The kernels they are from, as their folders are named. */
export const KERNELS = ["6.12", "7.2"] as const;
export type Kernel = typeof KERNELS[number];

const folder = new URL("../ground_truth/", import.meta.url);

/** Names of a kernel's files. */
export function captureNames(kernel: Kernel): readonly string[] {
  return [...Deno.readDirSync(new URL(`${kernel}/`, folder))].map(({ name }) => name).sort();
}

/** Bytes of a file. */
export function readCapture(kernel: Kernel, name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`${kernel}/${encodeURIComponent(name)}`, folder));
}

/** Text of a file. */
export function readCaptureText(kernel: Kernel, name: string): string {
  return decodeKernelText(readCapture(kernel, name));
}

/** Prints what was parsed. */
export function printAgain({ events, settings, header }: ParsedTrace): string {
  return [...printKernelText(events, settings, { header })].join("");
}
