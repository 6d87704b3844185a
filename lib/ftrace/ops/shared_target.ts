/**
 * Whom the trampoline itself calls: what sites share that name no ops of their own, and the cells in
 * host memory by which the recording thunk knows the ops that it may serve.
 *
 * With CALL_OPS each site names its ops and the trampoline stays as it is. Without, a word (and, up
 * to 6.12, a pair of instructions) in the trampoline is pointed at the one ops, the assist function
 * or the list (`ftrace_update_ftrace_func`).
 *
 * The trampolines are `lib/trampoline`; the thunk is `recording_thunk.ts`.
 *
 * @module
 */
import type { Machine } from "../../machine/machine.ts";
import type { Patcher } from "../../patcher/patcher.ts";
import type { RingBuffer } from "../trace/ring_buffer.ts";
import type { RecordingState } from "./recording_thunk.ts";
import { type Dispatch, OPS_SLOT, type TracingArea } from "./tracing_area.ts";

/** A slot, and what stands between the trampoline and its ops. */
export interface SharedDestination {
  /** Slot of the ops in the tracing range. */
  readonly slot: number;
  /** How the trampoline calls the ops: directly, under the recursion lock, or through the list. */
  readonly by: Dispatch;
}

/** What the trampolines of one machine were pointed at last. */
export class SharedTarget {
  /** The words from which the recording thunk knows whether it may record. */
  readonly recording: RecordingState;
  readonly #view: DataView;
  readonly #area: TracingArea;
  readonly #patcher: Patcher;
  readonly #pairs: readonly bigint[];

  /** Takes cells in host memory and tells the patcher where the trampolines' pairs are. */
  constructor(machine: Machine, area: TracingArea, patcher: Patcher, buffer: RingBuffer) {
    const { memory, harts } = machine;
    const cells = memory.heap.allocate(16 + 4 * harts.length);
    this.#view = memory.hostView;
    this.#area = area;
    this.#patcher = patcher;
    this.recording = {
      recorder: cells,
      shared: cells + 4,
      calls: cells + 8,
      controls: cells + 16,
      pid: machine.pid,
    };
    for (const { id } of harts) {
      this.#view.setUint32(this.recording.controls + 4 * id, buffer.controlOf(id), true);
    }
    const { ftrace_call, ftrace_regs_call } = area.trampolines.symbols;
    this.#pairs = [ftrace_call, ftrace_regs_call].filter((pair) => pair !== undefined);
    for (const pair of this.#pairs) patcher.addPair(pair);
  }

  /** Calls that the thunk has recorded. */
  get recordedCalls(): number {
    return Number(this.#view.getBigUint64(this.recording.calls, true));
  }

  /** Says which ops the thunk may serve; undefined is none. */
  setRecorder(slot: number | undefined): void {
    const ops = slot === undefined ? 0 : Number(this.#area.ops(slot));
    this.#view.setUint32(this.recording.recorder, ops, true);
  }

  /** Whether the trampolines call that ops in that way already. */
  isAt({ slot, by }: SharedDestination): boolean {
    return this.#area.shared === slot && this.#area.sharedBy === by;
  }

  /** Points the trampolines at the ops. */
  publish({ slot, by }: SharedDestination): void {
    const area = this.#area;
    area.shared = slot;
    area.sharedBy = by;
    const recordable = by === "direct" ? area.ops(slot) : area.ops(OPS_SLOT.list);
    this.#view.setUint32(this.recording.shared, Number(recordable), true);
    if (area.literals) return;
    const { function_trace_op, ftrace_call_dest } = area.trampolines.data;
    const func = this.#functionOf(slot, by);
    if (function_trace_op !== undefined) area.writeWord(function_trace_op, area.ops(slot));
    if (ftrace_call_dest !== undefined) area.writeWord(ftrace_call_dest, func);
    for (const pair of this.#pairs) this.#patcher.ftraceUpdateFtraceFunc(pair, func);
  }

  #functionOf(slot: number, by: Dispatch): bigint {
    const { ftrace_stub, ftrace_ops_list_func, ftrace_ops_assist_func } =
      this.#area.trampolines.symbols;
    if (slot === OPS_SLOT.nop) return ftrace_stub;
    if (by === "list") return ftrace_ops_list_func;
    return by === "assist" ? ftrace_ops_assist_func : this.#area.stub(slot);
  }
}
