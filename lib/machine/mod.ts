/**
 * Machines from inside: platforms and what they are made from.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export type { Platform, PlatformContext, PlatformOptions } from "./platform.ts";
export type { BoardLayout, MachineTracingRange } from "./tracing_range.ts";
export type { EventQueue, EventSource } from "./event_queue.ts";
export type { HartOptions } from "./harts.ts";
export type { BreakpointHandler, HostCallHandler } from "./host_calls.ts";
export { PLATFORM_NAMES, type PlatformKind, type PlatformName, PLATFORMS } from "./platforms.ts";
export type { PlacedProgram } from "./program_loader.ts";
export type {
  BoardDevice,
  BoardMap,
  DeviceContext,
  DeviceRow,
  HartInput,
  InterruptInput,
  InterruptLine,
  Region,
  SourceInput,
  TreeProperty,
} from "./board/device.ts";
export { VIRT } from "./board/virt.ts";
