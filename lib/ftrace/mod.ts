/**
 * ftrace from inside: records, patching, trampolines, rings, events, options of tracers.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export {
  createRecord,
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
  type MangledNames,
  type RecordKind,
} from "../patcher/dyn_ftrace.ts";
export {
  FtraceBug,
  Patcher,
  type PatchStatistics,
  type PatchText,
  type SiteChange,
  siteWords,
} from "../patcher/patcher.ts";
export type { SchemeName, Site, SiteScheme, Target, Write } from "../patcher/scheme.ts";
export { ENTRY_REGISTERS, type EntryRegister, type Poison } from "../trampoline/poison.ts";
export { staticChainFunctions } from "./explain/static_chain.ts";
export type { FrameLayout, ReturnLayout } from "../trampoline/frame.ts";
export { EventFeed, type FeedSource } from "./trace/event_feed.ts";
export {
  type BlockPart,
  EventBlock,
  type EventSink,
  type EventTotals,
} from "./trace/event_sink.ts";
export type { FramePlace } from "../trampoline/ftrace_regs.ts";
export type { PathCost, Trampolines, TrampolineSymbols } from "../trampoline/caller.ts";
export type { ValuePart, ValuePlace } from "./prototypes/calling_convention.ts";
export type {
  CAligned,
  CCode,
  CLayout,
  CMember,
  CParameter,
  CStruct,
  CType,
} from "./prototypes/ctype.ts";
export { type ValueContext, valueText } from "./prototypes/value_text.ts";
export { checkTracer } from "./tracer.ts";
export { optionRange, optionValueText, resolveOptions } from "./tracer_options.ts";
export {
  chooseEra,
  type Era,
  ERA_NAMES,
  type EraChoice,
  type EraName,
  ERAS,
  type SiteShape,
} from "./era.ts";
export { formsOf, type ReleaseForms } from "./trace/release_forms.ts";
export type { TrampolineName } from "../trampoline/caller.ts";
export {
  type AnyFtraceOps,
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
  type FtraceFuncOps,
  type FtraceHitOps,
  type FtraceOpsFields,
  type FtraceSilentOps,
} from "./ops/ftrace_ops.ts";
export { createGraphTrace, type GraphTrace, type GraphTraceSettings } from "./trace/graph_trace.ts";
export {
  FPROBE_FL_DISABLED,
  FPROBE_FL_KPROBE_SHARED,
  MAX_FPROBE_DATA_SIZE,
} from "./returns/fprobe.ts";
export type { Rethook, RethookNode } from "./returns/rethook.ts";
export type { FprobeRegister } from "./returns/fprobe_register.ts";
export type { TraceEvents, TraceEventsHost } from "./trace/trace_events.ts";
export type {
  EnteredCall,
  EventOccurrence,
  EventTrigger,
  TraceEventFile,
} from "./trace/event_file.ts";
export type { HistogramClock } from "./trace/hist_triggers.ts";
export type { TracingActions } from "./trace/triggers.ts";
export type { Snapshot } from "./trace/snapshot.ts";
export type { BuiltInEvent, BuiltInEventName } from "./trace/builtin_events.ts";
export {
  COMMON_FIELDS,
  decodeRecord,
  encodeRecord,
  type EventField,
  type EventValues,
  type FieldKind,
  type RecordHead,
} from "../events/event_fields.ts";
export type { EventFilter } from "../events/event_filter.ts";
export type { FilterSubject } from "../events/event_subject.ts";
export type { FilterWords } from "../events/filter_predicate.ts";
export type { CommandFault, ErrorLog } from "../events/error_log.ts";
export { type EventDescription, eventFormat, type FindSymbol } from "../events/event_format.ts";
export { type FilterChange, updateSet } from "./ops/filter.ts";
export type { PrototypeRegister } from "./recording.ts";
export { splitNames } from "./ops/split_names.ts";
export type {
  ControlFile,
  FilterFileName,
  FilterFiles,
  FunctionCommand,
  FunctionCommandCall,
  HashHalf,
} from "./ops/filter_files.ts";
export type { PidFilter } from "./ops/pid_filter.ts";
export type { DirectCalls, TracingCode } from "./ops/direct.ts";
export type { FunctionLists } from "./ops/function_lists.ts";
export type {
  KprobeRegistration,
  KprobeRules,
  KprobeVerdict,
  ProbePlace,
} from "./probes/kprobe.ts";
export type { KprobeCheck } from "./probes/kprobe_check.ts";
export type { Kprobes, KprobesContext } from "./probes/kprobes.ts";
export type { ProbeKind } from "./probes/kprobe_table.ts";
export type { KprobeEvents } from "./probes/kprobe_events.ts";
export {
  KRETPROBE_MAX_DATA_SIZE,
  type KretprobeRegistration,
  type Kretprobes,
  type KretprobesContext,
} from "./probes/kretprobe.ts";
export type { RingMode, RingStatistics } from "./trace/hart_ring.ts";
export { RingBuffer, type RingBufferOptions } from "./trace/ring_buffer.ts";
export type {
  KlpFunc,
  KlpPatch,
  KlpPatchState,
  KlpReplacement,
  Livepatch,
} from "./live/livepatch.ts";
export type { WhyReport } from "./explain/why.ts";
export type { WhyAnswer, WhyUse } from "./explain/function_uses.ts";
export type { TraceArray } from "./trace/trace_array.ts";
export type { LiveOptions } from "./trace/live_options.ts";
export type { TracedEntry } from "./trace/stack_trace.ts";
export {
  clockCountsNanoseconds,
  TRACE_CLOCKS,
  type TraceClockName,
  traceClockText,
} from "./trace/trace_clock.ts";
export type { FunctionArgument, FunctionArguments } from "./trace/function_args.ts";
export type { FunctionCore } from "./ops/function_core.ts";
export type { HookTable } from "./ops/hook_table.ts";
export type { Dispatch, TracingArea } from "./ops/tracing_area.ts";
export type { RegisteredOps } from "./ops/ops_dispatch.ts";
export type { OpsUse } from "./ops/ops_rules.ts";
export type { RecursedFunction, Recursion, RecursionLayer } from "./ops/recursion.ts";
export type { IpTable } from "../trampoline/list_func.ts";
export type { TracedCall } from "./ops/served_call.ts";
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
  UserStackEvent,
} from "./trace/events.ts";
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
} from "./trace/trace_options.ts";
export type { FprobeEvent, FprobeEvents } from "./probes/fprobe_events.ts";
