/**
 * The kernel's control files as a tree.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export { createTracefs, type Tracefs, type TracefsKind, type TracefsOptions } from "./tracefs.ts";
export type { WriteMode } from "./control_file.ts";
export { type TracefsCall, type TracefsErrno, TracefsError } from "./errno.ts";
export type { TracerOptionsOf, TraceState } from "./trace_state.ts";
