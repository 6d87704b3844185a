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
 * @module
 */
export { createMachine, type Machine, type MachineOptions } from "./lib/machine/machine.ts";
export type { RunOptions } from "./lib/machine/run_loop.ts";
export type { EventQueue, EventSource } from "./lib/machine/event_queue.ts";
export type { HartOptions } from "./lib/machine/harts.ts";
export type { BreakpointHandler, HostCallHandler } from "./lib/machine/host_calls.ts";
export {
  PLATFORM_NAMES,
  type PlatformKind,
  type PlatformName,
  PLATFORMS,
} from "./lib/machine/platforms.ts";
export type { PlacedProgram } from "./lib/machine/program_loader.ts";
export type { Outcome } from "./lib/machine/outcome.ts";
export type { Platform, PlatformContext, PlatformOptions } from "./lib/machine/platform.ts";
export {
  type Elf,
  type ElfSymbol,
  parseElf,
  type Section,
  type Segment,
} from "./lib/program/elf.ts";
export type { StackFrame, StackHart, StackStart, Unwinder } from "./lib/program/unwinder.ts";
export { SymbolTable } from "./lib/program/symbols.ts";
export type { SiteSource } from "./lib/program/sites.ts";
export type { MachineTracingRange } from "./lib/machine/tracing_range.ts";
export { X_NAMES } from "./lib/isa/names.ts";
export { type Device, Memory } from "./lib/memory/memory.ts";
export type { AddressSpace, WordSize } from "./lib/memory/space.ts";
export type { Pmp } from "./lib/memory/pmp.ts";
export type { Tlb, Translated } from "./lib/memory/tlb.ts";
export { FetchCache } from "./lib/memory/fetch_cache.ts";
export { Hart, type Mode } from "./lib/hart/hart.ts";
export type { Counters } from "./lib/hart/counters.ts";
export type { System } from "./lib/hart/system.ts";
export type { Translation } from "./lib/hart/translation.ts";
export type { Csrs } from "./lib/hart/csr.ts";
export { disassemble, type DisassembleOptions } from "./lib/isa/disasm.ts";
export { causeName, type Trap } from "./lib/hart/trap.ts";
export type { Engine, Hook, Stop, TracingRange } from "./lib/engine/engine.ts";
export {
  DEFAULT_ENGINE,
  ENGINE_NAMES,
  type EngineMaker,
  type EngineName,
  ENGINES,
} from "./lib/engine/engines.ts";
export { compileThunk, type ThunkWriter } from "./lib/engine/thunk.ts";
export {
  createRecord,
  type DynFtrace,
  FTRACE_FL_CALL_OPS,
  FTRACE_FL_CALL_OPS_EN,
  FTRACE_FL_DIRECT,
  FTRACE_FL_DIRECT_EN,
  FTRACE_FL_DISABLED,
  FTRACE_FL_ENABLED,
  FTRACE_FL_IPMODIFY,
  FTRACE_FL_MODIFIED,
  FTRACE_FL_REF_MASK,
  FTRACE_FL_REGS,
  FTRACE_FL_REGS_EN,
  FTRACE_FL_TOUCHED,
  FTRACE_FL_TRAMP,
  FTRACE_FL_TRAMP_EN,
  ftraceRefCount,
  type RecordKind,
} from "./lib/patcher/dyn_ftrace.ts";
export {
  FtraceBug,
  Patcher,
  type PatchStatistics,
  type PatchText,
  type SiteChange,
  siteWords,
} from "./lib/patcher/patcher.ts";
export type { SchemeName, Site, SiteScheme, Target, Write } from "./lib/patcher/scheme.ts";
export { FtraceRegs, type PartialRegs, type PtRegs } from "./lib/trampoline/ftrace_regs.ts";
export { ENTRY_REGISTERS, type EntryRegister, type Poison } from "./lib/trampoline/poison.ts";
export { staticChainFunctions } from "./lib/ftrace/explain/static_chain.ts";
export type { FrameLayout, ReturnLayout } from "./lib/trampoline/frame.ts";
export type { PathCost, Trampolines, TrampolineSymbols } from "./lib/trampoline/caller.ts";
export type {
  Attach,
  AttachedCall,
  Attachment,
  CallHandlers,
  Select,
} from "./lib/ftrace/attach.ts";
export type { CallArguments, CallResult } from "./lib/ftrace/attached_call.ts";
export { createFtrace, type Ftrace, type FtraceOptions } from "./lib/ftrace/ftrace.ts";
export { ERRNO, type GuestView } from "./lib/ftrace/guest_view.ts";
export {
  argumentsText,
  type CType,
  parsePrototypes,
  type Prototype,
  returnText,
  valueText,
} from "./lib/ftrace/prototype.ts";
export {
  checkTracer,
  defineTracer,
  type Tracer,
  type TracerDefinition,
  type TracerHandle,
  type TracerReport,
} from "./lib/ftrace/tracer.ts";
export {
  FUNCTIONS_OPTION,
  type ListOption,
  type NumberOption,
  optionRange,
  type OptionValue,
  type OptionValues,
  optionValueText,
  resolveOptions,
  type SwitchOption,
  type TextOption,
  type TracerOption,
  type TracerOptions,
  type TracerOptionValue,
} from "./lib/ftrace/tracer_options.ts";
export {
  chooseEra,
  type Era,
  type EraChoice,
  type EraName,
  ERAS,
  type SiteShape,
} from "./lib/ftrace/era.ts";
export { FtraceError, type FtraceErrorCode, type FtraceReason } from "./lib/ftrace/ftrace_error.ts";
export {
  FTRACE_OPS_FL,
  FTRACE_OPS_FL_ADDING,
  FTRACE_OPS_FL_ALLOC_TRAMP,
  FTRACE_OPS_FL_DELETED,
  FTRACE_OPS_FL_DIRECT,
  FTRACE_OPS_FL_DYNAMIC,
  FTRACE_OPS_FL_ENABLED,
  FTRACE_OPS_FL_GRAPH,
  FTRACE_OPS_FL_INITIALIZED,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_MODIFYING,
  FTRACE_OPS_FL_PERMANENT,
  FTRACE_OPS_FL_PID,
  FTRACE_OPS_FL_RCU,
  FTRACE_OPS_FL_RECURSION,
  FTRACE_OPS_FL_REMOVING,
  FTRACE_OPS_FL_SAVE_REGS,
  FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED,
  FTRACE_OPS_FL_STUB,
  FTRACE_OPS_FL_SUBOP,
  FTRACE_OPS_FL_TRACE_ARRAY,
  type FtraceFunc,
  type FtraceOps,
  type FtraceOpsFlags,
  type FtraceRegistration,
} from "./lib/ftrace/ops/ftrace_ops.ts";
export type { FgraphOps, GraphEntry, GraphReturn } from "./lib/ftrace/returns/fgraph.ts";
export {
  createGraphTrace,
  type GraphTrace,
  type GraphTraceSettings,
} from "./lib/ftrace/trace/graph_trace.ts";
export {
  type Fprobe,
  FPROBE_FL_DISABLED,
  FPROBE_FL_KPROBE_SHARED,
  MAX_FPROBE_DATA_SIZE,
} from "./lib/ftrace/returns/fprobe.ts";
export type { FprobeRegister } from "./lib/ftrace/returns/fprobe_register.ts";
export type {
  Event,
  EventDefinition,
  TraceEvents,
  TraceEventsHost,
} from "./lib/ftrace/trace/trace_events.ts";
export type {
  EnteredCall,
  EventOccurrence,
  EventTrigger,
  TraceEventFile,
} from "./lib/ftrace/trace/event_file.ts";
export type { TracingActions } from "./lib/ftrace/trace/triggers.ts";
export type { Snapshot } from "./lib/ftrace/trace/snapshot.ts";
export type { BuiltInEvent, BuiltInEventName } from "./lib/ftrace/trace/builtin_events.ts";
export {
  COMMON_FIELDS,
  decodeRecord,
  encodeRecord,
  type EventField,
  type EventValue,
  type EventValues,
  type FieldDeclarations,
  type FieldKind,
  type RecordHead,
} from "./lib/events/event_fields.ts";
export type { EventFilter, FilterSubject, FilterWords } from "./lib/events/event_filter.ts";
export type { CommandFault, ErrorLog } from "./lib/events/error_log.ts";
export { type EventDescription, eventFormat, type FindSymbol } from "./lib/events/event_format.ts";
export { createHash, type FtraceHash, globMatch, updateSet } from "./lib/ftrace/ops/filter.ts";
export type {
  ControlFile,
  FilterFileName,
  FilterFiles,
  FunctionCommand,
  FunctionCommandCall,
  HashHalf,
} from "./lib/ftrace/ops/filter_files.ts";
export type { PidFilter } from "./lib/ftrace/ops/pid_filter.ts";
export type { DirectCalls, TracingCode } from "./lib/ftrace/ops/direct.ts";
export type { FunctionLists } from "./lib/ftrace/ops/function_lists.ts";
export type {
  Kprobe,
  KprobeCheck,
  KprobeRules,
  KprobeVerdict,
  ProbePlace,
} from "./lib/ftrace/probes/kprobe.ts";
export type { Kprobes, ProbeKind } from "./lib/ftrace/probes/kprobes.ts";
export type { KprobeEvent, KprobeEvents } from "./lib/ftrace/probes/kprobe_events.ts";
export {
  type Kretprobe,
  KRETPROBE_MAX_DATA_SIZE,
  type KretprobeInstance,
  type Kretprobes,
} from "./lib/ftrace/probes/kretprobe.ts";
export {
  RingBuffer,
  type RingBufferOptions,
  type RingMode,
  type RingStatistics,
} from "./lib/ftrace/trace/ring_buffer.ts";
export type {
  KlpFunc,
  KlpPatch,
  KlpPatchState,
  KlpReplacement,
  Livepatch,
} from "./lib/ftrace/live/livepatch.ts";
export type { WhyAnswer, WhyReport, WhyUse } from "./lib/ftrace/explain/why.ts";
export type { InlinedPlace } from "./lib/program/dwarf_inlines.ts";
export type { TraceArray } from "./lib/ftrace/trace/trace_array.ts";
export type { LiveOptions } from "./lib/ftrace/trace/live_options.ts";
export type { TracedEntry } from "./lib/ftrace/trace/stack_trace.ts";
export {
  clockCountsNanoseconds,
  TRACE_CLOCKS,
  type TraceClockName,
  traceClockText,
} from "./lib/ftrace/trace/trace_clock.ts";
export type { FunctionArgument, FunctionArguments } from "./lib/ftrace/trace/function_args.ts";
export type { FunctionCore } from "./lib/ftrace/ops/function_core.ts";
export type { HookTable } from "./lib/ftrace/ops/hook_table.ts";
export type { Dispatch, TracingArea } from "./lib/ftrace/ops/tracing_area.ts";
export type { RegisteredOps } from "./lib/ftrace/ops/ops_dispatch.ts";
export type { OpsUse } from "./lib/ftrace/ops/ops_rules.ts";
export type { RecursedFunction, Recursion, RecursionLayer } from "./lib/ftrace/ops/recursion.ts";
export type { IpTable } from "./lib/trampoline/list_func.ts";
export type { TracedCall } from "./lib/ftrace/ops/call_paths.ts";
export {
  Code,
  LANE,
  MEMORY,
  type MemoryName,
  PLAIN,
  type PlainName,
  type ValueType,
} from "./lib/wasm/code.ts";
export type {
  EventCommon,
  FunctionEvent,
  FunctionRepeatsEvent,
  GraphEntryEvent,
  GraphExitEvent,
  LostEvents,
  NamedEvent,
  PrintEvent,
  RawDataEvent,
  StackEvent,
  Symbolizer,
  SyscallEnterEvent,
  SyscallExitEvent,
  TraceEvent,
  UserStackEvent,
} from "./lib/ftrace/trace/events.ts";
export {
  createKernelText,
  encodeKernelText,
  type KernelText,
  printKernelText,
} from "./lib/output/kernel_text.ts";
export {
  kernelHeader,
  type KernelTextSettings,
  type LatencyBanner,
  type SnapshotHelp,
} from "./lib/output/kernel_header.ts";
export {
  type CoreOptionName,
  type FunctionOptionName,
  type GraphOptionName,
  isSince,
  parseTraceOption,
  type ReleaseVersion,
  TRACE_OPTIONS,
  type TraceOption,
  type TraceOptionName,
  type TraceOptions,
  traceOptions,
  traceOptionsOf,
} from "./lib/ftrace/trace/trace_options.ts";
export { type BarChart, type BarChartScale, createBarChart } from "./lib/output/bar_chart.ts";
export { durationText } from "./lib/output/graph_text.ts";
export {
  decodeKernelText,
  type ParsedTrace,
  parseKernelText,
} from "./lib/output/parse/kernel_text.ts";
export { dumpText } from "./lib/output/dump_text.ts";
export type { FprobeEvent, FprobeEvents } from "./lib/ftrace/probes/fprobe_events.ts";
export { type BufferStatistics, bufferStatisticsText } from "./lib/output/buffer_statistics.ts";
export { liveTraceSettings, symbolizerOf } from "./lib/output/live_trace.ts";
export { decodeRingPage, type RingPage, type RingPageOptions } from "./lib/output/ring_page.ts";
export {
  createTracefs,
  type Tracefs,
  type TracefsKind,
  type TracefsOptions,
} from "./lib/tracefs/tracefs.ts";
export type { WriteMode } from "./lib/tracefs/control_file.ts";
export { type TracefsCall, type TracefsErrno, TracefsError } from "./lib/tracefs/errno.ts";
export type { TracerOptionsOf, TraceState } from "./lib/tracefs/trace_state.ts";
