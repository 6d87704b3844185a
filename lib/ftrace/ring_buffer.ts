/**
 * Where events are stored while the guest runs: one ring of 32-byte records for each hart.
 *
 * The rings lie in host memory, so that emitted WASM writes a record without calling anyone, and a
 * guest cannot reach them. A graph exit takes two records, the second flagged as the first one's
 * tail; whatever is lost is counted in events, never in records.
 *
 * What the events mean is `events.ts`; how they print is `lib/output`.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import type { LostEvents, TraceEvent } from "./events.ts";

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
/** Values of the type byte. */
export const RecordType = { function: 1, graphEntry: 2, graphExit: 3, tail: 4, side: 5 } as const;
/** Bits of the flags byte: the event's `common_flags` irqs-off, and marks of our own. */
export const RecordFlag = { irqsOff: 1, unwound: 2 } as const;
/** Offsets in a ring's control block: records written and events written u64, tail u64, capacity and on-switch u32. */
export const CONTROL = {
  head: 0,
  events: 8,
  tail: 16,
  capacity: 24,
  mode: 28,
  on: 32,
  base: 36,
  dropped: 40,
} as const;
const CONTROL_SIZE = 64;

/** What a full ring does: forget the oldest, refuse the newest, or hand over and go on. */
export type RingMode = "overwrite" | "drop" | "drain";
/** The control block's mode word. */
export const RingModeCode: Readonly<Record<RingMode, number>> = { overwrite: 0, drop: 1, drain: 2 };

/** Figures of one hart's ring (`per_cpu/cpuN/stats`). */
export interface RingStatistics {
  /** Events that can be read now. */
  readonly entries: number;
  /** Oldest events lost to newer ones. */
  readonly overrun: number;
  /** New events refused by a full ring. */
  readonly dropped: number;
  /** Events that were stored, those lost since included. */
  readonly written: number;
  /** Bytes of the readable records. */
  readonly bytes: number;
}

/** Options of {@linkcode createRingBuffer}. */
export interface RingBufferOptions {
  /** Harts. */
  readonly harts: number;
  /** Size of each ring; rounded up to whole records. */
  readonly kib: number;
  /** What a full ring does. */
  readonly mode: RingMode;
}

interface Ring {
  readonly control: number;
  readonly base: number;
  readonly capacity: number;
  /** In drain mode: what has been handed over, oldest first. */
  readonly drained: Uint8Array[];
  drainedEvents: number;
}

/** The per-hart rings of one trace. */
export class RingBuffer {
  readonly #memory: Memory;
  readonly #rings: Ring[] = [];
  readonly #view: DataView;
  /** Payloads that do not fit a record, by the number that the record holds. */
  readonly #side: TraceEvent[] = [];
  /** What a full ring does. */
  readonly mode: RingMode;

  /** Allocates one ring a hart in host memory. @throws {RangeError} If `kib` is not positive. */
  constructor(memory: Memory, options: RingBufferOptions) {
    if (!(options.kib > 0)) {
      throw new RangeError(`Cannot make a buffer of ${options.kib} KiB: it must be positive`);
    }
    this.#memory = memory;
    this.#view = memory.hostView;
    this.mode = options.mode;
    const capacity = Math.max(2, Math.ceil(options.kib * 1024 / RECORD_SIZE));
    for (let hart = 0; hart < options.harts; hart++) {
      const control = memory.allocateHost(CONTROL_SIZE, 64);
      const base = memory.allocateHost(capacity * RECORD_SIZE, 64);
      this.#rings.push({ control, base, capacity, drained: [], drainedEvents: 0 });
      this.#view.setUint32(control + CONTROL.capacity, capacity, true);
      this.#view.setUint32(control + CONTROL.mode, RingModeCode[options.mode], true);
      this.#view.setUint32(control + CONTROL.base, base, true);
      this.#view.setUint32(control + CONTROL.on, 1, true);
    }
  }

  /** Host address of a hart's control block, for emitted code. */
  controlOf(hart: number): number {
    return this.#ring(hart).control;
  }

  /** Whether events are stored (`tracing_on`). */
  get on(): boolean {
    return this.#view.getUint32(this.#rings[0]!.control + CONTROL.on, true) !== 0;
  }
  set on(value: boolean) {
    for (const { control } of this.#rings) {
      this.#view.setUint32(control + CONTROL.on, value ? 1 : 0, true);
    }
  }

  #ring(hart: number): Ring {
    const ring = this.#rings[hart];
    if (!ring) {
      throw new RangeError(
        `Cannot use the buffer of hart ${hart}: there are ${this.#rings.length}`,
      );
    }
    return ring;
  }

  /**
   * Makes room for one event of `records` records and gives the host address of the first, or 0 if
   * the event is not to be stored. The caller fills every byte of both.
   */
  reserve(hart: number, records: 1 | 2 = 1): number {
    const { control, capacity, base } = this.#ring(hart);
    const view = this.#view;
    if (view.getUint32(control + CONTROL.on, true) === 0) return 0;
    const head = Number(view.getBigUint64(control + CONTROL.head, true));
    let tail = Number(view.getBigUint64(control + CONTROL.tail, true));
    // A graph exit's two records stay neighbours: a slot at the very end is filled with nothing.
    const skip = records === 2 && head % capacity === capacity - 1 ? 1 : 0;
    if (head + skip + records - tail > capacity) {
      if (this.mode === "drop") {
        view.setBigUint64(
          control + CONTROL.dropped,
          view.getBigUint64(control + CONTROL.dropped, true) + 1n,
          true,
        );
        return 0;
      }
      if (this.mode === "drain") {
        this.drain(hart);
        tail = head;
      } else {
        tail = head + skip + records - capacity;
        view.setBigUint64(control + CONTROL.tail, BigInt(tail), true);
      }
    }
    if (skip) view.setUint8(base + (head % capacity) * RECORD_SIZE + RECORD.type, 0);
    view.setBigUint64(control + CONTROL.head, BigInt(head + skip + records), true);
    view.setBigUint64(
      control + CONTROL.events,
      view.getBigUint64(control + CONTROL.events, true) + 1n,
      true,
    );
    return base + ((head + skip) % capacity) * RECORD_SIZE;
  }

  /** Stores a function entry (`TRACE_FN`). */
  writeFunction(hart: number, time: bigint, ip: bigint, parentIp: bigint, pid: number): void {
    const at = this.reserve(hart);
    if (at) this.#fill(at, RecordType.function, time, ip, parentIp, pid, 0, 0);
  }

  /** Stores a graph entry (`TRACE_GRAPH_ENT`). */
  writeGraphEntry(hart: number, time: bigint, func: bigint, depth: number, pid: number): void {
    const at = this.reserve(hart);
    if (at) this.#fill(at, RecordType.graphEntry, time, func, 0n, pid, 0, depth);
  }

  /** Stores a graph exit (`TRACE_GRAPH_RET`). */
  writeGraphExit(
    hart: number,
    exit: {
      readonly func: bigint;
      readonly callTime: bigint;
      readonly returnTime: bigint;
      readonly returnValue: bigint;
      readonly depth: number;
      readonly overrun: number;
      readonly unwound: boolean;
    },
    pid: number,
  ): void {
    const at = this.reserve(hart, 2);
    if (!at) return;
    const flags = exit.unwound ? RecordFlag.unwound : 0;
    this.#fill(
      at,
      RecordType.graphExit,
      exit.returnTime,
      exit.func,
      exit.callTime,
      pid,
      flags,
      exit.depth,
    );
    this.#fill(
      at + RECORD_SIZE,
      RecordType.tail,
      exit.returnValue,
      0n,
      BigInt(exit.overrun),
      pid,
      0,
      0,
    );
  }

  /** Stores any other event; its payload lies beside the ring. */
  write(event: TraceEvent): void {
    const at = this.reserve(event.cpu);
    if (!at) return;
    this.#side.push(event);
    this.#fill(
      at,
      RecordType.side,
      event.time,
      0n,
      BigInt(this.#side.length - 1),
      event.pid,
      event.flags & 1,
      0,
    );
  }

  #fill(
    at: number,
    type: number,
    time: bigint,
    ip: bigint,
    data: bigint,
    pid: number,
    flags: number,
    depth: number,
  ): void {
    const view = this.#view;
    view.setBigUint64(at + RECORD.time, time, true);
    view.setBigUint64(at + RECORD.ip, ip, true);
    view.setBigUint64(at + RECORD.data, data, true);
    view.setUint32(at + RECORD.pid, pid, true);
    view.setUint8(at + RECORD.type, type);
    view.setUint8(at + RECORD.flags, flags);
    view.setUint16(at + RECORD.depth, depth, true);
  }

  /** Moves what is in a hart's ring to the host's heap, so that the ring is empty again. */
  drain(hart: number): void {
    const ring = this.#ring(hart);
    const view = this.#view;
    const head = view.getBigUint64(ring.control + CONTROL.head, true);
    const tail = view.getBigUint64(ring.control + CONTROL.tail, true);
    for (let from = Number(tail); from < Number(head);) {
      const start = from % ring.capacity;
      const count = Math.min(Number(head) - from, ring.capacity - start);
      const at = ring.base + start * RECORD_SIZE;
      ring.drained.push(this.#memory.hostBytes.slice(at, at + count * RECORD_SIZE));
      from += count;
    }
    view.setBigUint64(ring.control + CONTROL.tail, head, true);
  }

  /** The readable records of a hart, oldest first, as pieces of raw bytes. */
  *#pieces(ring: Ring): Generator<DataView> {
    for (const piece of ring.drained) {
      yield new DataView(piece.buffer, piece.byteOffset, piece.length);
    }
    const head = Number(this.#view.getBigUint64(ring.control + CONTROL.head, true));
    let from = Number(this.#view.getBigUint64(ring.control + CONTROL.tail, true));
    while (from < head) {
      const start = from % ring.capacity;
      const count = Math.min(head - from, ring.capacity - start);
      yield new DataView(this.#view.buffer, ring.base + start * RECORD_SIZE, count * RECORD_SIZE);
      from += count;
    }
  }

  /** A hart's events, oldest first. Reading consumes nothing. */
  *events(hart: number): Generator<TraceEvent> {
    for (const piece of this.#pieces(this.#ring(hart))) {
      for (let at = 0; at < piece.byteLength; at += RECORD_SIZE) {
        const event = this.#decode(piece, at, hart);
        if (event) yield event;
      }
    }
  }

  #decode(view: DataView, at: number, cpu: number): TraceEvent | undefined {
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
          returnTime: common.time,
          overrun: Number(view.getBigUint64(at + RECORD_SIZE + RECORD.data, true)),
          returnValue: view.getBigUint64(at + RECORD_SIZE + RECORD.time, true),
          unwound: (flags & RecordFlag.unwound) !== 0,
        };
      case RecordType.side:
        return this.#side[Number(data)];
      default: // the tail of an exit whose first record is lost, or filling
        return undefined;
    }
  }

  /** Figures of a hart's ring. */
  statistics(hart: number): RingStatistics {
    const ring = this.#ring(hart);
    let entries = 0;
    let records = 0;
    for (const piece of this.#pieces(ring)) {
      records += piece.byteLength / RECORD_SIZE;
      for (let at = RECORD.type; at < piece.byteLength; at += RECORD_SIZE) {
        const type = piece.getUint8(at);
        if (type !== 0 && type !== RecordType.tail) entries++;
      }
    }
    const written = Number(this.#view.getBigUint64(ring.control + CONTROL.events, true));
    const dropped = Number(this.#view.getBigUint64(ring.control + CONTROL.dropped, true));
    return { entries, overrun: written - entries, dropped, written, bytes: records * RECORD_SIZE };
  }

  /** Empties every ring and zeroes its figures (`echo > trace`). */
  clear(): void {
    for (const { control, drained } of this.#rings) {
      drained.length = 0;
      for (const cell of [CONTROL.head, CONTROL.events, CONTROL.tail, CONTROL.dropped]) {
        this.#view.setBigUint64(control + cell, 0n, true);
      }
    }
    this.#side.length = 0;
  }

  /** Events of all harts in order of time, with a note where a ring lost its oldest. */
  *all(): Generator<TraceEvent | LostEvents> {
    const streams = this.#rings.map((_, hart) => ({ hart, iterator: this.events(hart) }));
    for (const { hart } of streams) {
      const { overrun } = this.statistics(hart);
      if (overrun > 0) yield { type: "lost", cpu: hart, count: overrun };
    }
    const heads = streams.map(({ iterator }) => iterator.next());
    for (;;) {
      let first = -1;
      heads.forEach((head, k) => {
        if (head.done) return;
        if (first < 0 || head.value.time < (heads[first]!.value as TraceEvent).time) first = k;
      });
      if (first < 0) return;
      yield heads[first]!.value as TraceEvent;
      heads[first] = streams[first]!.iterator.next();
    }
  }
}
