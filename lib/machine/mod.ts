/**
 * Machines from inside: platforms and what they are made from.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export type { Platform, PlatformContext, PlatformOptions } from "./platform.ts";
export type { MachineTracingRange } from "./tracing_range.ts";
