/**
 * hartrace: run a RISC-V program on emulated harts and trace its functions as Linux ftrace does.
 *
 * A machine is made of an ELF file, ftrace of the machine; whoever traces registers an
 * {@linkcode FtraceOps}, an {@linkcode FgraphOps}, an {@linkcode Fprobe} or a {@linkcode Kprobe}
 * with it, and the machine runs:
 *
 * ```ts
 * import { createFtrace, createMachine } from "./mod.ts";
 *
 * const program = await Deno.readFile("tests/fixtures/elf/hello_bare_p84");
 * const machine = createMachine(program, { stdout: () => {} });
 * const ftrace = createFtrace(machine);
 * const counts = new Map<string, number>();
 * ftrace.registerFtraceFunction({
 *   func(ip) {
 *     const name = ftrace.symbol(ip) ?? "?";
 *     counts.set(name, (counts.get(name) ?? 0) + 1);
 *   },
 * });
 * await machine.run();
 * ```
 *
 * These are the names that tracers and tests need. What rooms are made of has doors of its own,
 * `lib/ROOM/mod.ts`: `./engine`, `./ftrace`, `./isa`, `./machine`, `./output`, `./parse`, `./program` and
 * `./tracefs` of the package.
 *
 * @module
 */
export { createMachine, type Machine, type MachineOptions } from "./lib/machine/machine.ts";
export type { RunOptions } from "./lib/machine/run_loop.ts";
export type { Outcome } from "./lib/machine/outcome.ts";
export type { AddressSpace } from "./lib/memory/space.ts";
export { disassemble } from "./lib/isa/disasm.ts";
export type { DynFtrace } from "./lib/patcher/dyn_ftrace.ts";
export { FtraceRegs, type PartialRegs, type PtRegs } from "./lib/trampoline/ftrace_regs.ts";
export type { AttachedCall, Attachment, CallHandlers } from "./lib/ftrace/attach.ts";
export type { CallArguments, CallResult } from "./lib/ftrace/attached_call.ts";
export {
  type FailedCall,
  FAULT_OPTIONS,
  type FaultInjection,
  type InjectedFaults,
  injectFaults,
} from "./lib/ftrace/fault_injection.ts";
export { createFtrace, type Ftrace, type FtraceOptions } from "./lib/ftrace/ftrace.ts";
export { ERRNO, type GuestView } from "./lib/ftrace/guest_view.ts";
export {
  type Header,
  type MissingHeader,
  parseHeader,
  parsePrototypes,
  type Prototype,
  type SkippedDeclaration,
  skippedText,
} from "./lib/ftrace/prototypes/header.ts";
export type { HeaderFiles } from "./lib/ftrace/prototypes/includes.ts";
export { type HostHeaders, hostHeaders } from "./lib/host/header_files.ts";
export { argumentsText, resultAddress, returnText } from "./lib/ftrace/prototypes/call_text.ts";
export {
  defineTracer,
  type Tracer,
  type TracerDefinition,
  type TracerHandle,
  type TracerReport,
} from "./lib/ftrace/tracer.ts";
export {
  CALLERS_OPTION,
  FUNCTIONS_OPTION,
  type OptionValue,
  type OptionValues,
  type TracerOption,
  type TracerOptions,
} from "./lib/ftrace/tracer_options.ts";
export { type EraName, ERAS } from "./lib/ftrace/era.ts";
export { FtraceError, type FtraceErrorCode, type FtraceReason } from "./lib/ftrace/ftrace_error.ts";
export {
  FTRACE_OPS_FL,
  type FtraceFunc,
  type FtraceOps,
  type FtraceOpsFlags,
  type FtraceRegistration,
} from "./lib/ftrace/ops/ftrace_ops.ts";
export type { FgraphOps, GraphEntry, GraphReturn } from "./lib/ftrace/returns/fgraph_ops.ts";
export type { Fprobe, FprobeRegistration } from "./lib/ftrace/returns/fprobe.ts";
export type { Event, EventDefinition } from "./lib/ftrace/trace/trace_events.ts";
export type { EventValue, FieldDeclarations } from "./lib/events/event_fields.ts";
export { createHash, type FtraceHash, globMatch } from "./lib/ftrace/ops/filter.ts";
export type { Kprobe, KprobeRegistration } from "./lib/ftrace/probes/kprobe.ts";
export type { KprobeEvent } from "./lib/ftrace/probes/kprobe_event.ts";
export type {
  Kretprobe,
  KretprobeInstance,
  KretprobeRegistration,
} from "./lib/ftrace/probes/kretprobe.ts";
export type { TraceEvent } from "./lib/ftrace/trace/events.ts";
export { type BarChart, createBarChart } from "./lib/output/bar_chart.ts";
export { durationText } from "./lib/output/graph_text.ts";
