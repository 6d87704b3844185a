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
import { RingModeCode } from "../trace/hart_ring.ts";
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

/** What the thunk does in place of the trampoline. */
export interface RecordedTrampoline {
  /** Layout of the frame that the trampoline builds. */
  readonly frame: FrameLayout;
  /** Instructions that the trampoline would have retired. */
  readonly cost: PathCost;
  /** How far behind ip the site's link in t0 points. */
  readonly ipOffset: number;
  /** Where a site's literal lies before ip, if it names its ops. */
  readonly literalOffset: number | undefined;
  /** Whether t4 is left holding the stack pointer. */
  readonly clobbersT4: boolean;
  /** Whether the slot of t1 gets 0, and t1 with it; if not, t1 is kept there. */
  readonly leavesByT1: boolean;
}

/** Writes the thunk of `ftrace_caller`. */
export function writeRecordingThunk(
  thunk: ThunkWriter,
  trampoline: RecordedTrampoline,
  state: RecordingState,
): void {
  new RecordingThunk(thunk, trampoline, state).write();
}

/** Host address of an integer register of the running hart. */
const x = (register: number): number => X + 8 * register;

/** The thunk being written: its locals, and the parts in the order in which they run. */
class RecordingThunk {
  readonly #code: ThunkWriter["code"];
  readonly #guest: number;
  readonly #host: number;
  readonly #trampoline: RecordedTrampoline;
  readonly #state: RecordingState;
  /** Local: guest address of the frame. */
  readonly #at: number;
  /** Local: what the site linked in t0. */
  readonly #link: number;
  /** Local: how many records the ring has had. */
  readonly #head: number;
  /** Host address of the record, or 0 if the event is not stored. */
  readonly #record: number;
  /** Host address of the ring's control block. */
  readonly #ring: number;

  constructor(thunk: ThunkWriter, trampoline: RecordedTrampoline, state: RecordingState) {
    this.#code = thunk.code;
    this.#guest = thunk.guest;
    this.#host = thunk.host;
    this.#trampoline = trampoline;
    this.#state = state;
    this.#at = thunk.local(I32);
    this.#link = thunk.local(I32);
    this.#head = thunk.local(I64);
    this.#record = thunk.local(I32);
    this.#ring = thunk.local(I32);
  }

  write(): void {
    this.#declineUnlessWritable();
    this.#declineUnlessAlone();
    this.#takeRoom();
    this.#charge(this.#trampoline.cost.before);
    this.#writeEvent();
    this.#addLong(this.#state.calls, () => this.#code.i64(1n));
    this.#writeFrame();
    this.#charge(this.#trampoline.cost.after);
    this.#leave();
  }

  /** The frame must lie in writable stack; else the real trampoline is to fault. */
  #declineUnlessWritable(): void {
    const code = this.#code;
    const { size } = this.#trampoline.frame;
    this.#loadWord(TRANSLATED);
    this.#declineIf();
    this.#loadLong(x(SP)).i64(32n).op("i64.shr_u").i64(0n).op("i64.ne");
    this.#declineIf();
    this.#loadWord(x(SP)).i32(size).op("i32.lt_u");
    this.#declineIf();
    this.#loadWord(x(SP)).i32(size).op("i32.sub");
    code.tee(this.#at);
    this.#declineUnlessPageIsWritable();
    this.#loadWord(x(SP)).i32(1).op("i32.sub");
    this.#declineUnlessPageIsWritable();
  }

  /** Looks at the page of the address on the stack. */
  #declineUnlessPageIsWritable(): void {
    this.#code.i32(12).op("i32.shr_u").access("i32.load8_u", this.#host, QUIET);
    this.#code.i32(WRITE).op("i32.and", "i32.eqz");
    this.#declineIf();
  }

  /** Declines unless the recording ops is the only one called. */
  #declineUnlessAlone(): void {
    const { literalOffset, ipOffset } = this.#trampoline;
    this.#loadWord(x(T0)).set(this.#link);
    this.#loadWord(this.#state.recorder).op("i32.eqz");
    this.#declineIf();
    if (literalOffset === undefined) this.#loadWord(this.#state.shared);
    else {
      this.#code.get(this.#link).i32(ipOffset + literalOffset).op("i32.sub");
      this.#code.access("i32.load", this.#guest);
    }
    this.#loadWord(this.#state.recorder).op("i32.ne");
    this.#declineIf();
  }

  /** Room in the ring: a full one forgets its oldest record, refuses, or is the host's to drain. */
  #takeRoom(): void {
    const code = this.#code;
    this.#loadWord(HART_ID).i32(2).op("i32.shl");
    code.access("i32.load", this.#host, this.#state.controls).set(this.#ring);
    this.#ringWord(CONTROL.hostOnly);
    this.#declineIf();
    code.i32(0).set(this.#record);
    this.#ringWord(CONTROL.on).if();
    this.#ringLong(CONTROL.head).tee(this.#head);
    this.#ringLong(CONTROL.tail).op("i64.sub");
    this.#ringCapacity().op("i64.ge_u").if();
    this.#ringWord(CONTROL.mode).i32(RingModeCode.drain).op("i32.eq");
    this.#declineIf();
    code.op("end");
    this.#isFull();
    this.#ringWord(CONTROL.mode).i32(RingModeCode.drop).op("i32.eq", "i32.and").if();
    this.#countInRing(CONTROL.dropped);
    code.op("else");
    this.#placeRecord();
    code.op("end", "end");
  }

  #placeRecord(): void {
    const code = this.#code;
    code.get(this.#head);
    this.#ringCapacity().op("i64.rem_u", "i32.wrap_i64").i32(RECORD_SIZE).op("i32.mul");
    this.#ringWord(CONTROL.base).op("i32.add").set(this.#record);
    this.#isFull().if();
    code.get(this.#ring).get(this.#head).i64(1n).op("i64.add");
    this.#ringCapacity().op("i64.sub").access("i64.store", this.#host, CONTROL.tail).op("end");
    code.get(this.#ring).get(this.#head).i64(1n).op("i64.add");
    code.access("i64.store", this.#host, CONTROL.head);
    this.#countInRing(CONTROL.events);
  }

  /** Stores the event at the time that the trampoline's first half leaves. */
  #writeEvent(): void {
    const code = this.#code;
    const host = this.#host, record = this.#record;
    code.get(record).if();
    code.get(record);
    this.#loadLong(INSTRET);
    this.#loadWord(CHARGE_TRACING).if(I64);
    this.#loadLong(OVERHEAD).op("else").i64(0n).op("end", "i64.add");
    this.#loadLong(IDLE).op("i64.add");
    code.access("i64.store", host, RECORD.time);
    code.get(record).get(this.#link).i32(this.#trampoline.ipOffset);
    code.op("i32.sub", "i64.extend_i32_u").access("i64.store", host, RECORD.ip);
    code.get(record);
    this.#loadLong(x(RA)).access("i64.store", host, RECORD.data);
    code.get(record).i32(this.#state.pid);
    this.#loadWord(HART_ID).op("i32.add").access("i32.store", host, RECORD.pid);
    code.get(record).i32(RecordType.function);
    code.access("i32.store", host, RECORD.type).op("end");
  }

  /** The frame, as the trampoline leaves it below the stack. */
  #writeFrame(): void {
    const code = this.#code;
    const { frame, leavesByT1 } = this.#trampoline;
    this.#save(frame.ra, RA);
    this.#save(frame.sp, SP);
    this.#save(frame.s0, S0);
    for (let n = 0; n < 8; n++) this.#save(frame.a0 + 8 * n, A0 + n);
    if (leavesByT1) code.get(this.#at).i64(0n).access("i64.store", this.#guest, frame.t1!);
    else this.#save(frame.t1, T1);
    code.get(this.#at).get(this.#link).op("i64.extend_i32_u");
    code.access("i64.store", this.#guest, frame.epc);
  }

  #save(offset: number | undefined, register: number): void {
    if (offset === undefined) return;
    this.#code.get(this.#at);
    this.#loadLong(x(register)).access("i64.store", this.#guest, offset);
  }

  /** The registers as the trampoline leaves them; 1 says that the call was served. */
  #leave(): void {
    const { clobbersT4, leavesByT1 } = this.#trampoline;
    const resume = () => this.#code.get(this.#link).op("i64.extend_i32_u");
    if (clobbersT4) this.#setLong(x(T4), () => this.#loadLong(x(SP)));
    this.#setLong(x(T0), resume);
    if (leavesByT1) this.#setLong(x(T1), () => this.#code.i64(0n));
    this.#setLong(PC, resume);
    this.#code.i32(1);
  }

  /** Declines if the top of the stack is not 0. */
  #declineIf(): void {
    this.#code.if().i32(0).op("return", "end");
  }

  #loadWord(address: number): ThunkWriter["code"] {
    return this.#code.i32(0).access("i32.load", this.#host, address);
  }

  #loadLong(address: number): ThunkWriter["code"] {
    return this.#code.i32(0).access("i64.load", this.#host, address);
  }

  #setLong(address: number, value: () => void): void {
    this.#code.i32(0);
    value();
    this.#code.access("i64.store", this.#host, address);
  }

  #addLong(address: number, amount: () => void): void {
    this.#code.i32(0);
    this.#loadLong(address);
    amount();
    this.#code.op("i64.add").access("i64.store", this.#host, address);
  }

  #charge(amount: number): void {
    this.#addLong(OVERHEAD, () => this.#code.i64(BigInt(amount)));
  }

  #ringWord(field: number): ThunkWriter["code"] {
    return this.#code.get(this.#ring).access("i32.load", this.#host, field);
  }

  #ringLong(field: number): ThunkWriter["code"] {
    return this.#code.get(this.#ring).access("i64.load", this.#host, field);
  }

  #ringCapacity(): ThunkWriter["code"] {
    return this.#code.get(this.#ring).access("i64.load32_u", this.#host, CONTROL.capacity);
  }

  /** Whether the ring has no room for a record. */
  #isFull(): ThunkWriter["code"] {
    this.#code.get(this.#head);
    this.#ringLong(CONTROL.tail).op("i64.sub");
    return this.#ringCapacity().op("i64.ge_u");
  }

  #countInRing(field: number): void {
    this.#code.get(this.#ring);
    this.#ringLong(field).i64(1n).op("i64.add").access("i64.store", this.#host, field);
  }
}
