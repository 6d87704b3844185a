/**
 * How events lie in a ring: 32-byte records in host memory, and the control block of each ring.
 *
 * Emitted WASM writes records too (`recording_thunk.ts`), so offsets are data here. A graph exit
 * takes two records, the second flagged as the first one's tail; whatever fits no record is kept
 * beside the ring, and the record holds its number.
 *
 * What a ring does when it is full, and how it is read, is `ring_buffer.ts`.
 *
 * @module
 */
import type { TraceEvent } from "./events.ts";

/** Bytes of a record. */
export const RECORD_SIZE = 32;
/** Offsets in a record: time u64, ip u64, data u64, pid u32, type u8, flags u8, depth u16. */
export const RECORD = {
  time: 0,
  ip: 8,
  data: 16,
  pid: 24,
  type: 28,
  flags: 29,
  depth: 30,
} as const;
/** Values of the type byte; 0 is filling. */
export const RecordType = { function: 1, graphEntry: 2, graphExit: 3, tail: 4, side: 5 } as const;
/** Bits of the flags byte: the event's `common_flags` irqs-off, and marks of our own. */
export const RecordFlag = { irqsOff: 1, unwound: 2 } as const;

/**
 * Offsets in a ring's control block. u64: records written so far, events written so far, records
 * no longer there, events refused. u32: records that fit, the mode, whether it records, where it
 * lies, and whether only the host may write it.
 */
export const CONTROL = {
  head: 0,
  events: 8,
  tail: 16,
  capacity: 24,
  mode: 28,
  on: 32,
  base: 36,
  dropped: 40,
  hostOnly: 48,
} as const;
/** Bytes of a control block. */
export const CONTROL_SIZE = 64;

/** The cells of one record. */
export interface RecordCells {
  /** Stamp of the trace's clock. */
  readonly time: bigint;
  /** Address. */
  readonly ip: bigint;
  /** By type: parent, call time, overrun, number of what lies beside the ring. */
  readonly data: bigint;
  /** The task that the event occurred in. */
  readonly pid: number;
  /** Kind of the record, a {@linkcode RecordType}. */
  readonly type: number;
  /** {@linkcode RecordFlag} bits. */
  readonly flags: number;
  /** Calls around it. */
  readonly depth: number;
}

/** The greatest depth that a record can hold; it stands for greater ones, too. */
const MOST_DEPTH = 0xffff;

/** Writes every byte of a record. */
export function writeRecord(view: DataView, at: number, cells: RecordCells): void {
  view.setBigUint64(at + RECORD.time, cells.time, true);
  view.setBigUint64(at + RECORD.ip, cells.ip, true);
  view.setBigUint64(at + RECORD.data, cells.data, true);
  view.setUint32(at + RECORD.pid, cells.pid, true);
  view.setUint8(at + RECORD.type, cells.type);
  view.setUint8(at + RECORD.flags, cells.flags);
  view.setUint16(at + RECORD.depth, Math.min(cells.depth, MOST_DEPTH), true);
}

/** Whether an event begins with a record of this type. */
export function beginsEvent(type: number): boolean {
  return type !== 0 && type !== RecordType.tail;
}

/** The event that begins at `at`, or undefined: filling, or the tail of an exit that is lost. */
export function readRecord(
  view: DataView,
  at: number,
  cpu: number,
  beside: (number: number) => TraceEvent | undefined,
): TraceEvent | undefined {
  const flags = view.getUint8(at + RECORD.flags);
  const common = {
    time: view.getBigUint64(at + RECORD.time, true),
    cpu,
    pid: view.getUint32(at + RECORD.pid, true),
    flags: flags & RecordFlag.irqsOff,
    preemptCount: 0,
  };
  const ip = view.getBigUint64(at + RECORD.ip, true);
  const data = view.getBigUint64(at + RECORD.data, true);
  const depth = view.getUint16(at + RECORD.depth, true);
  switch (view.getUint8(at + RECORD.type)) {
    case RecordType.function:
      return { ...common, type: "function", ip, parentIp: data };
    case RecordType.graphEntry:
      return { ...common, type: "funcgraph_entry", func: ip, depth };
    case RecordType.graphExit:
      return {
        ...common,
        type: "funcgraph_exit",
        func: ip,
        depth,
        callTime: data,
        // Durations are always nanoseconds, whatever the trace's clock stamps.
        returnTime: view.getBigUint64(at + RECORD_SIZE + RECORD.ip, true),
        overrun: Number(view.getBigUint64(at + RECORD_SIZE + RECORD.data, true)),
        returnValue: view.getBigUint64(at + RECORD_SIZE + RECORD.time, true),
        unwound: (flags & RecordFlag.unwound) !== 0,
      };
    case RecordType.side:
      return beside(Number(data));
    default:
      return undefined;
  }
}
