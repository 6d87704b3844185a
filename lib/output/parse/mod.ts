/**
 * The kernel's text read back into events.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export { decodeKernelText, type ParsedTrace, parseKernelText } from "./kernel_text.ts";
