/**
 * The fast path of the function tracer, in WASM: from a patched site to a record in the ring and
 * back, without a host call.
 *
 * It does what `call_paths.ts` does for any tracer, for the one whose callback only records: it
 * builds the trampoline's frame in guest memory, stores the event, and leaves the registers as the
 * trampoline leaves them. What it does not know (another ops, a full ring that is to be drained, a
 * stack that cannot be written) it declines, and the host does it.
 *
 * Where records lie is `ring_buffer.ts`.
 *
 * @module
 */
import { A0, RA, S0, SP, T0, T1, T4 } from "../../isa/abi.ts";
import type { ThunkWriter } from "../../engine/thunk.ts";
import {
  CHARGE_TRACING,
  HART_ID,
  IDLE,
  INSTRET,
  OVERHEAD,
  PC,
  TRANSLATED,
  X,
} from "../../hart/state.ts";
import { QUIET } from "../../memory/store_watch.ts";
import { WRITE } from "../../memory/page.ts";
import type { PathCost } from "../../trampoline/caller.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";
import { I32, I64 } from "../../wasm/code.ts";
import { RingModeCode } from "../trace/ring_buffer.ts";
import { CONTROL, RECORD, RECORD_SIZE, RecordType } from "../trace/ring_record.ts";

/** What the thunk looks at and counts, in host memory. */
export interface RecordingState {
  /** Host address of a u32: the guest address of the recording ops, 0 while there is none. */
  readonly recorder: number;
  /** Host address of a u32: the guest address of the ops that sites without a literal call. */
  readonly shared: number;
  /** Host address of a u64: calls recorded so far. */
  readonly calls: number;
  /** Host address of a u32 for each hart: where its ring's control block is. */
  readonly controls: number;
  /** Task number of hart 0 in the records; the other harts' follow. */
  readonly pid: number;
}

/** What of the trampoline it has to do. */
export interface RecordedTrampoline {
  /** The frame it builds. */
  readonly frame: FrameLayout;
  /** What it would have cost. */
  readonly cost: PathCost;
  /** How far behind ip the site's link in t0 points. */
  readonly ipOffset: number;
  /** Where a site's literal lies before ip, if it names its ops. */
  readonly literalOffset: number | undefined;
  /** Whether t4 is left holding the stack pointer. */
  readonly clobbersT4: boolean;
}

/** Writes the thunk of `ftrace_caller`. */
export function writeRecordingThunk(
  { code, local, guest, host }: ThunkWriter,
  { frame, cost, ipOffset, literalOffset, clobbersT4 }: RecordedTrampoline,
  state: RecordingState,
): void {
  const at = local(I32), link = local(I32), head = local(I64), record = local(I32);
  const ring = local(I32);
  const x = (register: number) => X + 8 * register;
  const loadWord = (address: number) => code.i32(0).access("i32.load", host, address);
  const loadLong = (address: number) => code.i32(0).access("i64.load", host, address);
  const addLong = (address: number, amount: () => void) => {
    code.i32(0);
    loadLong(address);
    amount();
    code.op("i64.add").access("i64.store", host, address);
  };
  const ringWord = (field: number) => code.get(ring).access("i32.load", host, field);
  const ringLong = (field: number) => code.get(ring).access("i64.load", host, field);
  const ringCapacity = () => code.get(ring).access("i64.load32_u", host, CONTROL.capacity);
  const countInRing = (field: number) => {
    code.get(ring);
    ringLong(field).i64(1n).op("i64.add").access("i64.store", host, field);
  };
  const charge = (amount: number) => addLong(OVERHEAD, () => code.i64(BigInt(amount)));
  /** Declines if the top of the stack is not 0. */
  const declineIf = () => code.if().i32(0).op("return", "end");
  const writable = () => {
    code.i32(12).op("i32.shr_u").access("i32.load8_u", host, QUIET);
    code.i32(WRITE).op("i32.and", "i32.eqz");
    declineIf();
  };

  // The frame must lie in writable stack; else the real trampoline is to fault.
  loadWord(TRANSLATED);
  declineIf();
  loadLong(x(SP)).i64(32n).op("i64.shr_u").i64(0n).op("i64.ne");
  declineIf();
  loadWord(x(SP)).i32(frame.size).op("i32.lt_u");
  declineIf();
  loadWord(x(SP)).i32(frame.size).op("i32.sub").tee(at);
  writable();
  loadWord(x(SP)).i32(1).op("i32.sub");
  writable();

  // Only the recording ops is served here.
  loadWord(x(T0)).set(link);
  loadWord(state.recorder).op("i32.eqz");
  declineIf();
  if (literalOffset === undefined) loadWord(state.shared);
  else code.get(link).i32(ipOffset + literalOffset).op("i32.sub").access("i32.load", guest);
  loadWord(state.recorder).op("i32.ne");
  declineIf();

  // Room in the ring: a full one forgets its oldest record, refuses, or is the host's to drain.
  loadWord(HART_ID).i32(2).op("i32.shl").access("i32.load", host, state.controls).set(ring);
  ringWord(CONTROL.hostOnly);
  declineIf();
  code.i32(0).set(record);
  ringWord(CONTROL.on).if();
  ringLong(CONTROL.head).tee(head);
  ringLong(CONTROL.tail).op("i64.sub");
  ringCapacity().op("i64.ge_u").if();
  ringWord(CONTROL.mode).i32(RingModeCode.drain).op("i32.eq");
  declineIf();
  code.op("end");
  code.get(head);
  ringLong(CONTROL.tail).op("i64.sub");
  ringCapacity().op("i64.ge_u");
  ringWord(CONTROL.mode).i32(RingModeCode.drop).op("i32.eq", "i32.and").if();
  countInRing(CONTROL.dropped);
  code.op("else");
  code.get(head);
  ringCapacity().op("i64.rem_u", "i32.wrap_i64").i32(RECORD_SIZE).op("i32.mul");
  ringWord(CONTROL.base).op("i32.add").set(record);
  code.get(head);
  ringLong(CONTROL.tail).op("i64.sub");
  ringCapacity().op("i64.ge_u").if();
  code.get(ring).get(head).i64(1n).op("i64.add");
  ringCapacity().op("i64.sub").access("i64.store", host, CONTROL.tail).op("end");
  code.get(ring).get(head).i64(1n).op("i64.add").access("i64.store", host, CONTROL.head);
  countInRing(CONTROL.events);
  code.op("end", "end");

  // The trampoline's first half, and the event at the time it has then.
  charge(cost.before);
  code.get(record).if();
  code.get(record);
  loadLong(INSTRET);
  loadWord(CHARGE_TRACING).if(I64);
  loadLong(OVERHEAD).op("else").i64(0n).op("end", "i64.add");
  loadLong(IDLE).op("i64.add");
  code.access("i64.store", host, RECORD.time);
  code.get(record).get(link).i32(ipOffset).op("i32.sub", "i64.extend_i32_u");
  code.access("i64.store", host, RECORD.ip);
  code.get(record);
  loadLong(x(RA)).access("i64.store", host, RECORD.data);
  code.get(record).i32(state.pid);
  loadWord(HART_ID).op("i32.add").access("i32.store", host, RECORD.pid);
  code.get(record).i32(RecordType.function).access("i32.store", host, RECORD.type).op("end");
  addLong(state.calls, () => code.i64(1n));

  // The frame, as the trampoline leaves it below the stack.
  const save = (offset: number | undefined, register: number) => {
    if (offset === undefined) return;
    code.get(at);
    loadLong(x(register)).access("i64.store", guest, offset);
  };
  save(frame.ra, RA);
  save(frame.sp, SP);
  save(frame.s0, S0);
  for (let n = 0; n < 8; n++) save(frame.a0 + 8 * n, A0 + n);
  if (frame.t1 !== undefined) code.get(at).i64(0n).access("i64.store", guest, frame.t1);
  code.get(at).get(link).op("i64.extend_i32_u").access("i64.store", guest, frame.epc);

  charge(cost.after);
  const setLong = (address: number, value: () => void) => {
    code.i32(0);
    value();
    code.access("i64.store", host, address);
  };
  const resume = () => code.get(link).op("i64.extend_i32_u");
  if (clobbersT4) setLong(x(T4), () => loadLong(x(SP)));
  setLong(x(T0), resume);
  if (frame.t1 !== undefined) setLong(x(T1), () => code.i64(0n));
  setLong(PC, resume);
  code.i32(1);
}
