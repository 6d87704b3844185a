/**
 * One hart's ring: a stretch of host memory that events go round in, and what does not fit a record.
 *
 * Emitted WASM writes records here too and reads everything that it must know from the control block,
 * so whatever decides about a record stands there and not in a field of ours.
 *
 * Records and control blocks are `ring_record.ts`; the rings of a trace together are `ring_buffer.ts`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { type BlockPart, countEvents } from "./event_sink.ts";
import type { TraceEvent } from "./events.ts";
import {
  beginsEvent,
  CONTROL,
  CONTROL_SIZE,
  readRecord,
  RECORD,
  RECORD_SIZE,
  RecordType,
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
/** Cells of the control block that count. */
const COUNTERS = [CONTROL.head, CONTROL.events, CONTROL.tail, CONTROL.dropped] as const;

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

/** Where a ring's records lie, and what lies beside them: all but the control block. */
interface Contents {
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

/** The ring of one hart. */
export class HartRing {
  /** Host address of the control block. */
  readonly control: number;
  readonly #memory: Memory;
  readonly #view: DataView;
  readonly #hart: number;
  #contents: Contents;
  #mode: RingMode = "overwrite";

  /** Allocates a ring of so many records, of `kib` as it is called, in host memory. */
  constructor(memory: Memory, hart: number, capacity: number, kib: number) {
    this.#memory = memory;
    this.#view = memory.hostView;
    this.#hart = hart;
    this.control = memory.heap.allocate(CONTROL_SIZE, 64);
    this.#contents = {
      base: memory.heap.allocate(capacity * RECORD_SIZE, 64),
      capacity,
      room: capacity,
      kib,
      drained: [],
      spare: [],
      side: [],
      sideStart: 0,
      read: 0,
      told: 0,
      seenTail: 0,
    };
    this.#place();
  }

  /** Records that fit. */
  get capacity(): number {
    return this.#contents.capacity;
  }

  /** Its size in KiB, as `buffer_size_kb` reads. */
  get kib(): number {
    return this.#contents.kib;
  }

  /** Whether events are stored. */
  set on(value: boolean) {
    this.#view.setUint32(this.control + CONTROL.on, value ? 1 : 0, true);
  }

  /** What it does when it is full. */
  set mode(mode: RingMode) {
    this.#mode = mode;
    this.#view.setUint32(this.control + CONTROL.mode, RingModeCode[mode], true);
  }

  /** Whether only the host may write records. */
  set hostOnly(value: boolean) {
    this.#view.setUint32(this.control + CONTROL.hostOnly, value ? 1 : 0, true);
  }

  /** About how many events can be taken. */
  get waiting(): number {
    const drained = this.#contents.drained.reduce((bytes, { length }) => bytes + length, 0);
    return drained / RECORD_SIZE + this.#get(CONTROL.head) - this.#get(CONTROL.tail);
  }

  /** Tells emitted code where the records lie. */
  #place(): void {
    const { base, capacity } = this.#contents;
    this.#view.setUint32(this.control + CONTROL.base, base, true);
    this.#view.setUint32(this.control + CONTROL.capacity, capacity, true);
  }

  #get(cell: number): number {
    // As two halves, because a 64-bit number of a DataView is a bigint on the heap.
    const at = this.control + cell;
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  #set(cell: number, value: number): void {
    const at = this.control + cell;
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, value / 2 ** 32, true);
  }

  /** Makes room for one event; see {@linkcode RingBuffer.reserve}. */
  reserve(records: 1 | 2): number {
    const { control } = this;
    const { capacity, base } = this.#contents;
    if (this.#view.getUint32(control + CONTROL.on, true) === 0) return 0;
    const head = this.#get(CONTROL.head);
    const tail = this.#get(CONTROL.tail);
    // A graph exit's two records stay neighbours: a slot at the very end is filled with nothing.
    const skip = records === 2 && head % capacity === capacity - 1 ? 1 : 0;
    if (head + skip + records - tail > capacity) {
      if (this.#mode === "drop") {
        this.#set(CONTROL.dropped, this.#get(CONTROL.dropped) + 1);
        return 0;
      }
      if (this.#mode === "drain") this.drain();
      else this.#set(CONTROL.tail, head + skip + records - capacity);
    }
    if (skip) this.#view.setUint8(base + (head % capacity) * RECORD_SIZE + RECORD.type, 0);
    this.#set(CONTROL.head, head + skip + records);
    this.#set(CONTROL.events, this.#get(CONTROL.events) + 1);
    return base + ((head + skip) % capacity) * RECORD_SIZE;
  }

  /** Keeps the payload of the event reserved last, and gives the number that its record names it by. */
  putBeside(event: TraceEvent): number {
    const { side, sideStart } = this.#contents;
    side.push({ event, record: this.#get(CONTROL.head) - 1 });
    const number = sideStart + side.length - 1;
    if (side.length > SIDE_LIMIT && (side.length & (side.length - 1)) === 0) this.#forgetSide();
    return number;
  }

  /** Drops payloads that no record names any more. */
  #forgetSide(): void {
    const { drained, side } = this.#contents;
    if (drained.length > 0) return;
    const tail = this.#get(CONTROL.tail);
    const kept = side.findIndex(({ record }) => record >= tail);
    const lost = kept < 0 ? side.length : kept;
    side.splice(0, lost);
    this.#contents.sideStart += lost;
  }

  /** Moves what is in the ring to the host's heap, so that the ring is empty again. */
  drain(): void {
    const { drained, spare } = this.#contents;
    for (const { byteOffset, byteLength } of this.#ringPieces()) {
      const at = spare.findIndex(({ byteLength: room }) => room >= byteLength);
      const [copy = new Uint8Array(byteLength)] = at < 0 ? [] : spare.splice(at, 1);
      copy.set(this.#memory.hostBytes.subarray(byteOffset, byteOffset + byteLength));
      drained.push(copy.subarray(0, byteLength));
    }
    this.#set(CONTROL.tail, this.#get(CONTROL.head));
  }

  /** The records in the ring, oldest first, as pieces of raw bytes. */
  *#ringPieces(): Generator<DataView> {
    const { capacity, base } = this.#contents;
    const head = this.#get(CONTROL.head);
    for (let from = this.#get(CONTROL.tail); from < head;) {
      const start = from % capacity;
      const count = Math.min(head - from, capacity - start);
      yield new DataView(this.#view.buffer, base + start * RECORD_SIZE, count * RECORD_SIZE);
      from += count;
    }
  }

  /** The readable records, oldest first. */
  *#pieces(): Generator<DataView> {
    for (const piece of this.#contents.drained) {
      yield new DataView(piece.buffer, piece.byteOffset, piece.length);
    }
    yield* this.#ringPieces();
  }

  /** The readable events, oldest first. Reading consumes nothing. */
  *events(): Generator<TraceEvent> {
    const contents = this.#contents;
    const beside = (number: number) => contents.side[number - contents.sideStart]?.event;
    for (const piece of this.#pieces()) {
      for (let at = 0; at < piece.byteLength; at += RECORD_SIZE) {
        const event = readRecord(piece, at, this.#hart, beside);
        if (event) yield event;
      }
    }
  }

  /** Figures of the ring. */
  statistics(): RingStatistics {
    const { read } = this.#contents;
    let entries = 0;
    let records = 0;
    let oldest = 0n;
    for (const piece of this.#pieces()) {
      records += piece.byteLength / RECORD_SIZE;
      for (let at = 0; at < piece.byteLength; at += RECORD_SIZE) {
        if (!beginsEvent(piece.getUint8(at + RECORD.type))) continue;
        if (entries++ === 0) oldest = piece.getBigUint64(at + RECORD.time, true);
      }
    }
    const written = this.#get(CONTROL.events);
    return {
      entries,
      overrun: written - entries - read,
      dropped: this.#get(CONTROL.dropped),
      written,
      read,
      bytes: records * RECORD_SIZE,
      oldest,
    };
  }

  /** Empties the ring and zeroes its figures. */
  clear(): void {
    const empty = { drained: [], side: [], sideStart: 0, read: 0, told: 0, seenTail: 0 };
    Object.assign(this.#contents, empty);
    for (const cell of COUNTERS) this.#set(cell, 0);
  }

  /** Makes the ring as large as `buffer_size_kb` does. @throws {RangeError} If host memory is full. */
  resize(kib: number): void {
    const bytes = Math.max(2, Math.ceil(kib * 1024 / SUB_BUFFER)) * SUB_BUFFER;
    const capacity = Math.floor(bytes / RECORD_SIZE);
    const contents = this.#contents;
    const records = [...this.#ringPieces()].flatMap((piece) =>
      Array.from({ length: piece.byteLength / RECORD_SIZE }, (_, k) => {
        const at = piece.byteOffset + k * RECORD_SIZE;
        return this.#memory.hostBytes.slice(at, at + RECORD_SIZE);
      })
    );
    if (capacity > contents.room) {
      contents.base = this.#memory.heap.allocate(capacity * RECORD_SIZE, 64);
      contents.room = capacity;
    }
    contents.capacity = capacity;
    contents.kib = Math.floor(bytes / 1024);
    this.#place();
    this.#refill(records);
  }

  /** Puts records back after the size has changed. */
  #refill(records: readonly Uint8Array[]): void {
    const contents = this.#contents;
    const { base, capacity } = contents;
    const numbers = new Map<bigint, number>();
    let head = 0;
    for (let k = 0; k < records.length; k++) {
      const type = records[k]![RECORD.type]!;
      if (!beginsEvent(type)) continue;
      const size = type === RecordType.graphExit ? 2 : 1;
      if (size === 2 && head % capacity === capacity - 1) {
        const filling = base + (head++ % capacity) * RECORD_SIZE;
        this.#memory.hostBytes.fill(0, filling, filling + RECORD_SIZE);
      }
      if (type === RecordType.side) {
        const view = new DataView(records[k]!.buffer);
        numbers.set(view.getBigUint64(RECORD.data, true), head);
      }
      for (const record of records.slice(k, k + size)) {
        this.#memory.hostBytes.set(record, base + (head++ % capacity) * RECORD_SIZE);
      }
    }
    this.#set(CONTROL.head, head);
    this.#set(CONTROL.tail, Math.max(0, head - capacity));
    contents.side = contents.side.map(({ event }, k) => ({
      event,
      record: numbers.get(BigInt(contents.sideStart + k)) ?? -1,
    }));
  }

  /** Exchanges the events of two rings. The control blocks, which emitted code knows, stay. */
  swap(other: HartRing): void {
    for (const cell of COUNTERS) {
      const mine = this.#get(cell);
      this.#set(cell, other.#get(cell));
      other.#set(cell, mine);
    }
    [this.#contents, other.#contents] = [other.#contents, this.#contents];
    this.#place();
    other.#place();
  }

  /** Oldest events lost that no consuming reader has been told of. */
  get untold(): number {
    return this.statistics().overrun - this.#contents.told;
  }

  /** Says how many events were lost since a reader was told last: it is told now. */
  tell(): number {
    const contents = this.#contents;
    // Counting what is readable takes long, so only a tail that somebody else moved is a reason to.
    const tail = this.#get(CONTROL.tail);
    if (tail === contents.seenTail) return 0;
    const count = this.untold;
    if (count <= 0) return 0;
    contents.told += count;
    contents.seenTail = tail;
    return count;
  }

  /** Drops the oldest event, and the filling before it. */
  consume(): void {
    const contents = this.#contents;
    const { drained } = contents;
    contents.read++;
    while (drained.length > 0) {
      const piece = drained[0]!;
      const records = recordsOfFirst(new DataView(piece.buffer, piece.byteOffset, piece.length));
      if (records === undefined || records * RECORD_SIZE >= piece.length) drained.shift();
      else drained[0] = piece.subarray(records * RECORD_SIZE);
      if (records !== undefined) return;
    }
    let tail = this.#get(CONTROL.tail);
    for (const piece of this.#ringPieces()) {
      const records = recordsOfFirst(piece);
      tail += records ?? piece.byteLength / RECORD_SIZE;
      if (records !== undefined) break;
    }
    this.#set(CONTROL.tail, tail);
    contents.seenTail = tail;
  }

  /** Takes out the events stamped before `until`, or all, with their payloads. */
  take(until: bigint | undefined): BlockPart {
    this.drain();
    const contents = this.#contents;
    const { drained, sideStart } = contents;
    const records: Uint8Array[] = [];
    let cut = false;
    while (!cut && drained.length > 0) {
      const piece = drained[0]!;
      const end = until === undefined ? piece.length : endBefore(piece, until);
      cut = end < piece.length;
      if (end > 0) records.push(piece.subarray(0, end));
      if (cut) drained[0] = piece.subarray(end);
      else drained.shift();
    }
    const side = contents.side.splice(0, payloadsOf(records, sideStart)).map(({ event }) => event);
    contents.sideStart += side.length;
    contents.read += countEvents(records);
    return { hart: this.#hart, records, side, sideStart };
  }

  /** Takes back the memory of what was taken and is done with. */
  giveBack(records: readonly Uint8Array[]): void {
    const { drained, spare } = this.#contents;
    const held = drained[0]?.buffer;
    for (const { buffer } of records) {
      if (buffer !== held && spare.length < MOST_SPARE) spare.push(new Uint8Array(buffer));
    }
  }
}

/** How many records the first event takes, with the filling before it; undefined if there is none. */
function recordsOfFirst(view: DataView): number | undefined {
  for (let at = 0; at < view.byteLength; at += RECORD_SIZE) {
    const type = view.getUint8(at + RECORD.type);
    if (beginsEvent(type)) return at / RECORD_SIZE + (type === RecordType.graphExit ? 2 : 1);
  }
  return undefined;
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
