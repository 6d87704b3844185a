/**
 * Where events are stored while the guest runs: one ring for each hart.
 *
 * The rings lie in host memory, so that emitted WASM writes a record without calling anyone, and a
 * guest cannot reach them. Whatever is lost is counted in events, never in records.
 *
 * Records and control blocks are `ring_record.ts`; what the events mean is `events.ts`; how they
 * print is `lib/output`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { type BlockPart, countEvents, EventBlock } from "./event_sink.ts";
import type { LostEvents, TraceEvent } from "./events.ts";
import { mergeByTime } from "./merge_events.ts";
import {
  beginsEvent,
  CONTROL,
  CONTROL_SIZE,
  readRecord,
  RECORD,
  RECORD_SIZE,
  type RecordCells,
  RecordFlag,
  RecordType,
  writeRecord,
} from "./ring_record.ts";

/** What a full ring does: forget the oldest, refuse the newest, or hand over and go on. */
export type RingMode = "overwrite" | "drop" | "drain";
/** The control block's mode word. */
export const RingModeCode: Readonly<Record<RingMode, number>> = { overwrite: 0, drop: 1, drain: 2 };

/** Bytes of a sub-buffer of the kernel's that hold events, which sizes are counted in. */
const SUB_BUFFER = 4080;
/** Pieces of memory that are kept for use again. */
const MOST_SPARE = 32;
/** How many payloads may lie beside a ring before those of lost events are looked for. */
const SIDE_LIMIT = 1024;

/** Figures of one hart's ring (`per_cpu/cpuN/stats`). */
export interface RingStatistics {
  /** Events that can be read now. */
  readonly entries: number;
  /** Oldest events lost to newer ones. */
  readonly overrun: number;
  /** New events refused by a full ring. */
  readonly dropped: number;
  /** Events that were stored, those lost or consumed since included. */
  readonly written: number;
  /** Events that consuming readers took. */
  readonly read: number;
  /** Bytes of the readable records. */
  readonly bytes: number;
  /** Stamp of the oldest readable event; 0 if there is none. */
  readonly oldest: bigint;
}

/** Options of {@linkcode RingBuffer}. */
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
  base: number;
  capacity: number;
  /** Records that the memory at `base` could hold. */
  room: number;
  kib: number;
  /** In drain mode: what has been handed over, oldest first. */
  drained: Uint8Array[];
  /** Memory of what was taken and is done with, to be used again. */
  spare: Uint8Array[];
  /** Payloads beside the ring, oldest first, each with the record that names it. */
  side: { readonly event: TraceEvent; readonly record: number }[];
  /** Number of the first of them. */
  sideStart: number;
  /** Events that consuming readers took, and those lost of which they were told. */
  read: number;
  told: number;
  /** Where a reader left the tail. */
  seenTail: number;
}

/** The per-hart rings of one trace. */
export class RingBuffer {
  readonly #memory: Memory;
  readonly #rings: Ring[] = [];
  readonly #view: DataView;
  #mode: RingMode;
  #on = true;
  #cpumask = -1;
  readonly #hostOnly = new Set<string>();
  /** Turns virtual nanoseconds into what events are stamped with; undefined leaves them. */
  #clock: ((time: bigint) => bigint) | undefined;

  /** Allocates one ring a hart in host memory. @throws {RangeError} If `kib` is not positive. */
  constructor(memory: Memory, options: RingBufferOptions) {
    checkSize(options.kib);
    this.#memory = memory;
    this.#view = memory.hostView;
    this.#mode = options.mode;
    const capacity = Math.max(2, Math.ceil(options.kib * 1024 / RECORD_SIZE));
    for (let hart = 0; hart < options.harts; hart++) {
      const ring: Ring = {
        control: memory.heap.allocate(CONTROL_SIZE, 64),
        base: memory.heap.allocate(capacity * RECORD_SIZE, 64),
        capacity,
        room: capacity,
        kib: Math.floor(capacity * RECORD_SIZE / 1024),
        drained: [],
        spare: [],
        side: [],
        sideStart: 0,
        read: 0,
        told: 0,
        seenTail: 0,
      };
      this.#rings.push(ring);
      this.#place(ring);
    }
    this.mode = options.mode;
    this.#switch();
  }

  /** Tells emitted code where a ring lies. */
  #place({ control, base, capacity }: Ring): void {
    this.#view.setUint32(control + CONTROL.base, base, true);
    this.#view.setUint32(control + CONTROL.capacity, capacity, true);
  }

  #switch(): void {
    this.#rings.forEach(({ control }, hart) => {
      const on = this.#on && (this.#cpumask >> hart & 1) !== 0;
      this.#view.setUint32(control + CONTROL.on, on ? 1 : 0, true);
    });
  }

  /** Host address of a hart's control block, for emitted code. */
  controlOf(hart: number): number {
    return this.#ring(hart).control;
  }

  /** How many rings there are: one a hart. */
  get harts(): number {
    return this.#rings.length;
  }

  /** Whether events are stored (`tracing_on`). */
  get on(): boolean {
    return this.#on;
  }
  set on(value: boolean) {
    this.#on = value;
    this.#switch();
  }

  /** Which harts store events: bit = hart (`tracing_cpumask`). */
  get cpumask(): number {
    return this.#cpumask;
  }
  set cpumask(mask: number) {
    this.#cpumask = mask;
    this.#switch();
  }

  /** What a full ring does (the overwrite option). */
  get mode(): RingMode {
    return this.#mode;
  }
  set mode(mode: RingMode) {
    this.#mode = mode;
    for (const { control } of this.#rings) {
      this.#view.setUint32(control + CONTROL.mode, RingModeCode[mode], true);
    }
  }

  /** Keeps emitted code from writing records, as long as anybody (told apart by `who`) wants so. */
  requireHost(who: string, wanted: boolean): void {
    if (wanted) this.#hostOnly.add(who);
    else this.#hostOnly.delete(who);
    const value = this.#hostOnly.size > 0 ? 1 : 0;
    for (const { control } of this.#rings) {
      this.#view.setUint32(control + CONTROL.hostOnly, value, true);
    }
  }

  /** Stamps events by another clock from now on; undefined stamps virtual nanoseconds. */
  setClock(clock: ((time: bigint) => bigint) | undefined): void {
    this.#clock = clock;
    this.requireHost("trace_clock", clock !== undefined);
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

  #get(ring: Ring, cell: number): number {
    // As two halves, because a 64-bit number of a DataView is a bigint on the heap.
    const at = ring.control + cell;
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  #set(ring: Ring, cell: number, value: number): void {
    const at = ring.control + cell;
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, value / 2 ** 32, true);
  }

  /**
   * Makes room for one event of `records` records and gives the host address of the first, or 0 if
   * the event is not to be stored. The caller fills every byte of both.
   */
  reserve(hart: number, records: 1 | 2 = 1): number {
    const ring = this.#ring(hart);
    const { control, capacity, base } = ring;
    if (this.#view.getUint32(control + CONTROL.on, true) === 0) return 0;
    const head = this.#get(ring, CONTROL.head);
    const tail = this.#get(ring, CONTROL.tail);
    // A graph exit's two records stay neighbours: a slot at the very end is filled with nothing.
    const skip = records === 2 && head % capacity === capacity - 1 ? 1 : 0;
    if (head + skip + records - tail > capacity) {
      if (this.#mode === "drop") {
        this.#set(ring, CONTROL.dropped, this.#get(ring, CONTROL.dropped) + 1);
        return 0;
      }
      if (this.#mode === "drain") this.drain(hart);
      else this.#set(ring, CONTROL.tail, head + skip + records - capacity);
    }
    if (skip) this.#view.setUint8(base + (head % capacity) * RECORD_SIZE + RECORD.type, 0);
    this.#set(ring, CONTROL.head, head + skip + records);
    this.#set(ring, CONTROL.events, this.#get(ring, CONTROL.events) + 1);
    return base + ((head + skip) % capacity) * RECORD_SIZE;
  }

  #fill(at: number, cells: RecordCells): void {
    writeRecord(this.#view, at, cells);
  }

  #stamp(time: bigint): bigint {
    return this.#clock ? this.#clock(time) : time;
  }

  /** Stores a function entry (`TRACE_FN`); false if it was not stored. */
  writeFunction(hart: number, time: bigint, ip: bigint, parentIp: bigint, pid: number): boolean {
    const at = this.reserve(hart);
    if (at === 0) return false;
    const stamp = this.#stamp(time);
    const type = RecordType.function;
    this.#fill(at, { time: stamp, ip, data: parentIp, pid, type, flags: 0, depth: 0 });
    return true;
  }

  /** Stores a graph entry (`TRACE_GRAPH_ENT`); false if it was not stored. */
  writeGraphEntry(hart: number, time: bigint, func: bigint, depth: number, pid: number): boolean {
    const at = this.reserve(hart);
    if (at === 0) return false;
    const stamp = this.#stamp(time);
    const type = RecordType.graphEntry;
    this.#fill(at, { time: stamp, ip: func, data: 0n, pid, type, flags: 0, depth });
    return true;
  }

  /** Stores a graph exit (`TRACE_GRAPH_RET`); false if it was not stored. */
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
    depth: number = exit.depth,
    returnTime: bigint = exit.returnTime,
    time: bigint = exit.returnTime,
  ): boolean {
    const at = this.reserve(hart, 2);
    if (at === 0) return false;
    this.#fill(at, {
      time: this.#stamp(time),
      ip: exit.func,
      data: exit.callTime,
      pid,
      type: RecordType.graphExit,
      flags: exit.unwound ? RecordFlag.unwound : 0,
      depth,
    });
    this.#fill(at + RECORD_SIZE, {
      time: exit.returnValue,
      ip: returnTime,
      data: BigInt(exit.overrun),
      pid,
      type: RecordType.tail,
      flags: 0,
      depth: 0,
    });
    return true;
  }

  /** Stores any other event, its payload beside the ring; false if it was not stored. */
  write(event: TraceEvent): boolean {
    const ring = this.#ring(event.cpu);
    const at = this.reserve(event.cpu);
    if (at === 0) return false;
    const time = this.#stamp(event.time);
    ring.side.push({
      event: time === event.time ? event : { ...event, time },
      record: this.#get(ring, CONTROL.head) - 1,
    });
    const data = BigInt(ring.sideStart + ring.side.length - 1);
    const { pid } = event;
    const flags = event.flags & 1;
    this.#fill(at, { time, ip: 0n, data, pid, type: RecordType.side, flags, depth: 0 });
    if (ring.side.length > SIDE_LIMIT && (ring.side.length & (ring.side.length - 1)) === 0) {
      this.#forgetSide(ring);
    }
    return true;
  }

  /** Drops payloads that no record names any more. */
  #forgetSide(ring: Ring): void {
    if (ring.drained.length > 0) return;
    const tail = this.#get(ring, CONTROL.tail);
    const kept = ring.side.findIndex(({ record }) => record >= tail);
    const lost = kept < 0 ? ring.side.length : kept;
    ring.side.splice(0, lost);
    ring.sideStart += lost;
  }

  /** Moves what is in a hart's ring to the host's heap, so that the ring is empty again. */
  drain(hart: number): void {
    const ring = this.#ring(hart);
    for (const { byteOffset, byteLength } of this.#ringPieces(ring)) {
      const at = ring.spare.findIndex(({ byteLength: room }) => room >= byteLength);
      const [copy = new Uint8Array(byteLength)] = at < 0 ? [] : ring.spare.splice(at, 1);
      copy.set(this.#memory.hostBytes.subarray(byteOffset, byteOffset + byteLength));
      ring.drained.push(copy.subarray(0, byteLength));
    }
    this.#set(ring, CONTROL.tail, this.#get(ring, CONTROL.head));
  }

  /** The records in a ring, oldest first, as pieces of raw bytes. */
  *#ringPieces(ring: Ring): Generator<DataView> {
    const head = this.#get(ring, CONTROL.head);
    for (let from = this.#get(ring, CONTROL.tail); from < head;) {
      const start = from % ring.capacity;
      const count = Math.min(head - from, ring.capacity - start);
      yield new DataView(this.#view.buffer, ring.base + start * RECORD_SIZE, count * RECORD_SIZE);
      from += count;
    }
  }

  /** The readable records of a hart, oldest first. */
  *#pieces(ring: Ring): Generator<DataView> {
    for (const piece of ring.drained) {
      yield new DataView(piece.buffer, piece.byteOffset, piece.length);
    }
    yield* this.#ringPieces(ring);
  }

  /** A hart's events, oldest first. Reading consumes nothing. */
  *events(hart: number): Generator<TraceEvent> {
    const ring = this.#ring(hart);
    for (const piece of this.#pieces(ring)) {
      for (let at = 0; at < piece.byteLength; at += RECORD_SIZE) {
        const event = this.#event(ring, piece, at, hart);
        if (event) yield event;
      }
    }
  }

  #event(ring: Ring, view: DataView, at: number, hart: number): TraceEvent | undefined {
    return readRecord(view, at, hart, (number) => ring.side[number - ring.sideStart]?.event);
  }

  /** Figures of a hart's ring. */
  statistics(hart: number): RingStatistics {
    const ring = this.#ring(hart);
    let entries = 0;
    let records = 0;
    let oldest = 0n;
    for (const piece of this.#pieces(ring)) {
      records += piece.byteLength / RECORD_SIZE;
      for (let at = 0; at < piece.byteLength; at += RECORD_SIZE) {
        if (!beginsEvent(piece.getUint8(at + RECORD.type))) continue;
        if (entries++ === 0) oldest = piece.getBigUint64(at + RECORD.time, true);
      }
    }
    const written = this.#get(ring, CONTROL.events);
    return {
      entries,
      overrun: written - entries - ring.read,
      dropped: this.#get(ring, CONTROL.dropped),
      written,
      read: ring.read,
      bytes: records * RECORD_SIZE,
      oldest,
    };
  }

  /** Empties the rings, or one, and zeroes their figures (`echo > trace`). */
  clear(hart?: number): void {
    for (const ring of hart === undefined ? this.#rings : [this.#ring(hart)]) {
      ring.drained = [];
      ring.side = [];
      ring.sideStart =
        ring.read =
        ring.told =
        ring.seenTail =
          0;
      for (const cell of [CONTROL.head, CONTROL.events, CONTROL.tail, CONTROL.dropped]) {
        this.#set(ring, cell, 0);
      }
    }
  }

  /** Size of a hart's ring in KiB, as `buffer_size_kb` reads. */
  kibOf(hart: number): number {
    return this.#ring(hart).kib;
  }

  /**
   * Makes the rings, or one, as large as writing `kib` to `buffer_size_kb` does: whole sub-buffers
   * of 4080 bytes, at least two. The newest events that fit stay, the others count as lost.
   *
   * @throws {RangeError} If `kib` is not positive, or host memory is full.
   */
  resize(kib: number, hart?: number): void {
    checkSize(kib);
    const bytes = Math.max(2, Math.ceil(kib * 1024 / SUB_BUFFER)) * SUB_BUFFER;
    const capacity = Math.floor(bytes / RECORD_SIZE);
    for (const ring of hart === undefined ? this.#rings : [this.#ring(hart)]) {
      const records = [...this.#ringPieces(ring)].flatMap((piece) =>
        Array.from({ length: piece.byteLength / RECORD_SIZE }, (_, k) => {
          const at = piece.byteOffset + k * RECORD_SIZE;
          return this.#memory.hostBytes.slice(at, at + RECORD_SIZE);
        })
      );
      if (capacity > ring.room) {
        ring.base = this.#memory.heap.allocate(capacity * RECORD_SIZE, 64);
        ring.room = capacity;
      }
      ring.capacity = capacity;
      ring.kib = Math.floor(bytes / 1024);
      this.#place(ring);
      this.#refill(ring, records);
    }
  }

  /** Puts records into a ring whose size has changed. */
  #refill(ring: Ring, records: readonly Uint8Array[]): void {
    const numbers = new Map<bigint, number>();
    let head = 0;
    for (let k = 0; k < records.length; k++) {
      const type = records[k]![RECORD.type]!;
      if (!beginsEvent(type)) continue;
      const size = type === RecordType.graphExit ? 2 : 1;
      if (size === 2 && head % ring.capacity === ring.capacity - 1) {
        const filling = ring.base + (head++ % ring.capacity) * RECORD_SIZE;
        this.#memory.hostBytes.fill(0, filling, filling + RECORD_SIZE);
      }
      if (type === RecordType.side) {
        const view = new DataView(records[k]!.buffer);
        numbers.set(view.getBigUint64(RECORD.data, true), head);
      }
      for (const record of records.slice(k, k + size)) {
        this.#memory.hostBytes.set(record, ring.base + (head++ % ring.capacity) * RECORD_SIZE);
      }
    }
    this.#set(ring, CONTROL.head, head);
    this.#set(ring, CONTROL.tail, Math.max(0, head - ring.capacity));
    ring.side = ring.side.map(({ event }, k) => ({
      event,
      record: numbers.get(BigInt(ring.sideStart + k)) ?? -1,
    }));
  }

  /** An empty buffer of the same size, to {@linkcode RingBuffer.swap} with (`snapshot`). */
  spare(): RingBuffer {
    const spare = new RingBuffer(this.#memory, {
      harts: this.#rings.length,
      kib: 1,
      mode: this.#mode,
    });
    this.#rings.forEach((ring, hart) => {
      const other = spare.#rings[hart]!;
      other.base = this.#memory.heap.allocate(ring.capacity * RECORD_SIZE, 64);
      other.capacity = other.room = ring.capacity;
      other.kib = ring.kib;
      spare.#place(other);
    });
    return spare;
  }

  /** Exchanges the events of two buffers of as many harts. Control blocks, which emitted code knows, stay. */
  swap(other: RingBuffer): void {
    this.#rings.forEach((ring, hart) => {
      const theirs = other.#ring(hart);
      const { control, ...rest } = ring;
      const { control: theirControl, ...theirRest } = theirs;
      for (const cell of [CONTROL.head, CONTROL.events, CONTROL.tail, CONTROL.dropped]) {
        const mine = this.#view.getBigUint64(control + cell, true);
        this.#view.setBigUint64(
          control + cell,
          other.#view.getBigUint64(theirControl + cell, true),
          true,
        );
        other.#view.setBigUint64(theirControl + cell, mine, true);
      }
      Object.assign(ring, theirRest);
      Object.assign(theirs, rest);
      this.#place(ring);
      other.#place(theirs);
    });
  }

  /**
   * Takes the oldest event out, of one hart or of all (`trace_pipe`); undefined if there is none.
   * Before the first event after a loss it says how many are missing.
   */
  read(hart?: number): TraceEvent | LostEvents | undefined {
    let first: { readonly event: TraceEvent; readonly hart: number } | undefined;
    const harts = hart === undefined ? this.#rings.keys() : [hart];
    for (const each of harts) {
      const { value: event } = this.events(each).next();
      if (event && (!first || event.time < first.event.time)) first = { event, hart: each };
    }
    if (!first) return undefined;
    const ring = this.#ring(first.hart);
    // Counting what is readable takes long, so only a tail that somebody else moved is a reason to.
    const moved = this.#get(ring, CONTROL.tail) !== ring.seenTail;
    const { overrun } = moved ? this.statistics(first.hart) : { overrun: ring.told };
    if (overrun > ring.told) {
      const count = overrun - ring.told;
      ring.told = overrun;
      ring.seenTail = this.#get(ring, CONTROL.tail);
      return { type: "lost", cpu: first.hart, count };
    }
    this.#consume(ring);
    return first.event;
  }

  /** Drops the oldest event, and the filling before it. */
  #consume(ring: Ring): void {
    const drop = (view: DataView): number | undefined => {
      for (let at = 0; at < view.byteLength; at += RECORD_SIZE) {
        const type = view.getUint8(at + RECORD.type);
        if (beginsEvent(type)) return at / RECORD_SIZE + (type === RecordType.graphExit ? 2 : 1);
      }
      return undefined;
    };
    ring.read++;
    while (ring.drained.length > 0) {
      const piece = ring.drained[0]!;
      const records = drop(new DataView(piece.buffer, piece.byteOffset, piece.length));
      if (records === undefined || records * RECORD_SIZE >= piece.length) ring.drained.shift();
      else ring.drained[0] = piece.subarray(records * RECORD_SIZE);
      if (records !== undefined) return;
    }
    let tail = this.#get(ring, CONTROL.tail);
    for (const piece of this.#ringPieces(ring)) {
      const records = drop(piece);
      tail += records ?? piece.byteLength / RECORD_SIZE;
      if (records !== undefined) break;
    }
    this.#set(ring, CONTROL.tail, tail);
    ring.seenTail = tail;
  }

  /** Events of all harts in order of time, with a note where a ring lost its oldest. */
  *all(): Generator<TraceEvent | LostEvents> {
    const streams = this.#rings.map((_, hart) => ({ hart, iterator: this.events(hart) }));
    for (const { hart } of streams) {
      const count = this.statistics(hart).overrun - this.#ring(hart).told;
      if (count > 0) yield { type: "lost", cpu: hart, count };
    }
    yield* mergeByTime(streams.map(({ iterator }) => iterator));
  }

  /** Whether events are stamped with the virtual nanoseconds of their hart. */
  get stampsVirtualTime(): boolean {
    return this.#clock === undefined;
  }

  /** About how many events can be taken: records of all harts. */
  get waiting(): number {
    return this.#rings.reduce((sum, ring) => {
      const drained = ring.drained.reduce((bytes, { length }) => bytes + length, 0);
      return sum + drained / RECORD_SIZE + this.#get(ring, CONTROL.head) -
        this.#get(ring, CONTROL.tail);
    }, 0);
  }

  /** Takes events out: of every hart those stamped before `until`, or all, with their payloads. */
  take(until?: bigint): EventBlock {
    return new EventBlock(this.#rings.map((ring, hart) => this.#takePart(ring, hart, until)));
  }

  /** Takes back the memory of a block that everybody is done with, for the next one. */
  giveBack({ parts }: EventBlock): void {
    for (const { hart, records } of parts) {
      const ring = this.#ring(hart);
      const held = ring.drained[0]?.buffer;
      for (const { buffer } of records) {
        if (buffer !== held && ring.spare.length < MOST_SPARE) {
          ring.spare.push(new Uint8Array(buffer));
        }
      }
    }
  }

  #takePart(ring: Ring, hart: number, until: bigint | undefined): BlockPart {
    this.drain(hart);
    const records: Uint8Array[] = [];
    let cut = false;
    while (!cut && ring.drained.length > 0) {
      const piece = ring.drained[0]!;
      const end = until === undefined ? piece.length : endBefore(piece, until);
      cut = end < piece.length;
      if (end > 0) records.push(piece.subarray(0, end));
      if (cut) ring.drained[0] = piece.subarray(end);
      else ring.drained.shift();
    }
    const { sideStart } = ring;
    const side = ring.side.splice(0, payloadsOf(records, sideStart)).map(({ event }) => event);
    ring.sideStart += side.length;
    ring.read += countEvents(records);
    return { hart, records, side, sideStart };
  }
}

/** Bytes of the records of events that are stamped before a time. */
function endBefore(piece: Uint8Array, until: bigint): number {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
  for (let at = 0; at < piece.length; at += RECORD_SIZE) {
    const begins = beginsEvent(view.getUint8(at + RECORD.type));
    if (begins && view.getBigUint64(at + RECORD.time, true) >= until) return at;
  }
  return piece.length;
}

/** How many payloads, numbered from `sideStart` on, records name. */
function payloadsOf(records: readonly Uint8Array[], sideStart: number): number {
  let behind = sideStart;
  for (const piece of records) {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
    for (let at = 0; at < piece.length; at += RECORD_SIZE) {
      if (view.getUint8(at + RECORD.type) !== RecordType.side) continue;
      behind = Math.max(behind, Number(view.getBigUint64(at + RECORD.data, true)) + 1);
    }
  }
  return behind - sideStart;
}

function checkSize(kib: number): void {
  if (kib > 0) return;
  throw new RangeError(`Cannot make a buffer of ${kib} KiB: it must be positive`);
}
