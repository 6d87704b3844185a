/**
 * Decodes one page of the kernel's binary ring buffer (`per_cpu/cpuN/trace_pipe_raw`) into events.
 *
 * The page is a time stamp, a word that says how much is valid and what was lost, and events of one
 * header word each (`include/linux/ring_buffer.h`, `kernel/trace/ring_buffer.c`). RISC-V always
 * writes the long form of that word, so that payloads are 8-byte aligned; both are read. Fields are
 * read by offset and never by a payload's size, which may exceed its format's.
 *
 * Arguments that newer kernels record behind a function are numbers without names; they are left
 * out.
 *
 * @module
 */
import type { EventCommon, LostEvents, TraceEvent } from "../ftrace/trace/events.ts";
import { EVENT_TYPES, repeatsType } from "./function_text.ts";
import { formsOf } from "../ftrace/trace/release_forms.ts";

/** Settings of {@linkcode decodeRingPage}. */
export interface RingPageOptions {
  /** The CPU whose buffer it is; the page does not say. */
  readonly cpu: number;
  /** The release of the kernel that wrote the page, as `uname -r` gives it. */
  readonly release: string;
  /** Reads events that are not built in; `type` is what the kernel assigned them at boot. */
  readonly decode?: (
    type: number,
    payload: DataView,
    common: EventCommon,
  ) => TraceEvent | undefined;
}

/** The decoded contents of a page of the kernel's ring buffer. */
export interface RingPage {
  /** Time that the first event's delta counts from, nanoseconds. */
  readonly timestamp: bigint;
  /** Bytes of events on the page. */
  readonly committed: number;
  /** The events; one that says how many were lost before them comes first, if any were. */
  readonly events: readonly (TraceEvent | LostEvents)[];
}

const HEADER_SIZE = 16;
/** The page follows a loss (`RB_MISSED_EVENTS`). */
const MISSED_EVENTS = 1 << 31;
/** How many were lost is stored behind the events (`RB_MISSED_STORED`). */
const MISSED_STORED = 1 << 30;
const COMMIT_MASK = 0xfffff;

/** Values of an event word's low five bits (`enum ring_buffer_type`). */
const WordType = { longData: 0, lastShortData: 28, padding: 29, timeExtend: 30, timeStamp: 31 };
/** Bits of a time delta that the event word holds. */
const DELTA_BITS = 27n;

/** Number of the graph entry with a return address, a user's stack before releases that have it. */
const RETADDR_ENTRY_TYPE = 12;

/** Bytes of `struct trace_entry`, which every payload starts with. */
const COMMON_SIZE = 8;

/**
 * Decodes a page.
 *
 * @throws {SyntaxError} If it ends inside an event, or holds one of no known type.
 */
export function decodeRingPage(page: Uint8Array, options: RingPageOptions): RingPage {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  if (page.length < HEADER_SIZE) throw truncated(page.length);
  const timestamp = view.getBigUint64(0, true);
  const word = view.getUint32(8, true);
  const committed = word & COMMIT_MASK;
  const end = HEADER_SIZE + committed;
  if (end > page.length) throw truncated(page.length);
  const events: (TraceEvent | LostEvents)[] = [];
  if (word & MISSED_EVENTS) {
    const stored = (word & MISSED_STORED) !== 0 && end + 8 <= page.length;
    const count = stored ? Number(view.getBigUint64(end, true)) : -1;
    events.push({ type: "lost", cpu: options.cpu, count });
  }
  for (const { time, payload } of records(view, end, timestamp)) {
    events.push(decodeEvent(payload, time, options));
  }
  return { timestamp, committed, events };
}

function truncated(offset: number): SyntaxError {
  return new SyntaxError(
    `Cannot read ring buffer page: it ends inside an event at offset ${offset}`,
  );
}

/** The payloads of a page with their times. */
function* records(
  view: DataView,
  end: number,
  timestamp: bigint,
): Generator<{ readonly time: bigint; readonly payload: DataView }> {
  let time = timestamp;
  for (let at = HEADER_SIZE; at < end;) {
    const start = at;
    const next = (): number => {
      if (at + 4 > end) throw truncated(start);
      at += 4;
      return view.getUint32(at - 4, true);
    };
    const word = next();
    const type = word & 0x1f;
    const delta = BigInt(word >>> 5);
    if (type === WordType.padding) {
      if (delta === 0n) return;
      // A discarded event: it took its time with it, but for the 1 that only tells it from the end.
      if (delta !== 1n) time += delta;
      const length = next();
      at += length - 4;
      continue;
    }
    if (type === WordType.timeExtend) {
      time += (BigInt(next()) << DELTA_BITS) + delta;
      continue;
    }
    if (type === WordType.timeStamp) {
      // An absolute stamp lacks the clock's top five bits: they are those of the time so far.
      time = (time >> 59n << 59n) + (BigInt(next()) << DELTA_BITS) + delta;
      continue;
    }
    time += delta;
    const length = type === WordType.longData ? next() - 4 : type * 4;
    if (length < COMMON_SIZE || at + length > end) throw truncated(start);
    yield { time, payload: new DataView(view.buffer, view.byteOffset + at, length) };
    at += length;
  }
}

function decodeEvent(payload: DataView, time: bigint, options: RingPageOptions): TraceEvent {
  const { cpu, release, decode } = options;
  const type = payload.getUint16(0, true);
  const common: EventCommon = {
    time,
    cpu,
    flags: payload.getUint8(2),
    preemptCount: payload.getUint8(3),
    pid: payload.getInt32(4, true),
  };
  const event = decodeBuiltIn(type, payload, common, release) ?? decode?.(type, payload, common);
  if (!event) throw new SyntaxError(`Cannot read ring buffer page: event type ${type} is unknown`);
  return event;
}

/** Layouts: `kernel/trace/trace_entries.h`. */
function decodeBuiltIn(
  type: number,
  payload: DataView,
  common: EventCommon,
  release: string,
): TraceEvent | undefined {
  const address = (offset: number) => payload.getBigUint64(offset, true);
  switch (type) {
    case EVENT_TYPES["function"]:
      return { ...common, type: "function", ip: address(8), parentIp: address(16) };
    case EVENT_TYPES["kernel_stack"]: {
      const size = payload.getInt32(8, true);
      const callers = Array.from({ length: size }, (_, index) => address(16 + 8 * index));
      return { ...common, type: "kernel_stack", callers };
    }
    case EVENT_TYPES["print"]:
      return { ...common, type: "print", ip: address(8), text: textAt(payload, 16) };
    case EVENT_TYPES["funcgraph_entry"]: {
      const depth = payload.getInt32(16, true);
      return { ...common, type: "funcgraph_entry", func: address(8), depth };
    }
    case RETADDR_ENTRY_TYPE: {
      if (!formsOf(release).hasRetaddrEntry) return undefined;
      const depth = payload.getInt32(16, true);
      return { ...common, type: "funcgraph_entry", func: address(8), depth, retaddr: address(24) };
    }
    case EVENT_TYPES["funcgraph_exit"]:
      return {
        ...common,
        type: "funcgraph_exit",
        func: address(8),
        depth: payload.getInt32(16, true),
        overrun: payload.getUint32(20, true),
        callTime: address(24),
        returnTime: address(32),
      };
    case repeatsType(release): {
      const delta = BigInt(payload.getUint32(28, true)) |
        BigInt(payload.getUint16(26, true)) << 32n;
      return {
        ...common,
        type: "func_repeats",
        ip: address(8),
        parentIp: address(16),
        count: payload.getUint16(24, true),
        lastTime: common.time - delta,
      };
    }
    default:
      return undefined;
  }
}

/** The text up to the NUL, without the newline that ends it. */
function textAt(payload: DataView, offset: number): string {
  const bytes = new Uint8Array(
    payload.buffer,
    payload.byteOffset + offset,
    payload.byteLength - offset,
  );
  const end = bytes.indexOf(0);
  const text = new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
