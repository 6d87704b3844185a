/**
 * Where events are stored while the guest runs: one ring for each hart.
 *
 * The rings lie in host memory, so that emitted WASM writes a record without calling anyone, and a
 * guest cannot reach them. Whatever is lost is counted in events, never in records.
 *
 * One ring is `hart_ring.ts`; records and control blocks are `ring_record.ts`; what the events mean is
 * `events.ts`; how they print is `lib/output`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { EventBlock } from "./event_sink.ts";
import type { LostEvents, TraceEvent } from "./events.ts";
import { HartRing, type RingMode, type RingStatistics } from "./hart_ring.ts";
import { mergeByTime } from "./merge_events.ts";
import {
  RECORD_SIZE,
  type RecordCells,
  RecordFlag,
  RecordType,
  writeRecord,
} from "./ring_record.ts";

/** Options of {@linkcode RingBuffer}. */
export interface RingBufferOptions {
  /** Harts. */
  readonly harts: number;
  /** Size of each ring; rounded up to whole records. */
  readonly kib: number;
  /** What a full ring does. */
  readonly mode: RingMode;
}

/** The per-hart rings of one trace. */
export class RingBuffer {
  readonly #memory: Memory;
  readonly #rings: HartRing[] = [];
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
    const kib = Math.floor(capacity * RECORD_SIZE / 1024);
    for (let hart = 0; hart < options.harts; hart++) {
      this.#rings.push(new HartRing(memory, hart, capacity, kib));
    }
    this.mode = options.mode;
    this.#switch();
  }

  #switch(): void {
    this.#rings.forEach((ring, hart) => ring.on = this.#on && (this.#cpumask >> hart & 1) !== 0);
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
    for (const ring of this.#rings) ring.mode = mode;
  }

  /** Keeps emitted code from writing records, as long as anybody (told apart by `who`) wants so. */
  requireHost(who: string, wanted: boolean): void {
    if (wanted) this.#hostOnly.add(who);
    else this.#hostOnly.delete(who);
    for (const ring of this.#rings) ring.hostOnly = this.#hostOnly.size > 0;
  }

  /** Stamps events by another clock from now on; undefined stamps virtual nanoseconds. */
  setClock(clock: ((time: bigint) => bigint) | undefined): void {
    this.#clock = clock;
    this.requireHost("trace_clock", clock !== undefined);
  }

  #ring(hart: number): HartRing {
    const ring = this.#rings[hart];
    if (!ring) {
      throw new RangeError(
        `Cannot use the buffer of hart ${hart}: there are ${this.#rings.length}`,
      );
    }
    return ring;
  }

  /** The ring of one hart, or all. */
  #ringsOf(hart: number | undefined): readonly HartRing[] {
    return hart === undefined ? this.#rings : [this.#ring(hart)];
  }

  /**
   * Makes room for one event of `records` records and gives the host address of the first, or 0 if
   * the event is not to be stored. The caller fills every byte of both.
   */
  reserve(hart: number, records: 1 | 2 = 1): number {
    return this.#ring(hart).reserve(records);
  }

  #fill(at: number, cells: RecordCells): void {
    writeRecord(this.#view, at, cells);
  }

  /** What an event of that virtual time is stamped with; a clock that counts events goes on by one. */
  stamp(time: bigint): bigint {
    return this.#clock ? this.#clock(time) : time;
  }

  /** Stores a function entry (`TRACE_FN`); false if it was not stored. */
  writeFunction(hart: number, time: bigint, ip: bigint, parentIp: bigint, pid: number): boolean {
    const at = this.reserve(hart);
    if (at === 0) return false;
    const stamp = this.stamp(time);
    const type = RecordType.function;
    this.#fill(at, { time: stamp, ip, data: parentIp, pid, type, flags: 0, depth: 0 });
    return true;
  }

  /** Stores a graph entry (`TRACE_GRAPH_ENT`); false if it was not stored. */
  writeGraphEntry(hart: number, time: bigint, func: bigint, depth: number, pid: number): boolean {
    const at = this.reserve(hart);
    if (at === 0) return false;
    const stamp = this.stamp(time);
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
  ): boolean {
    const at = this.reserve(hart, 2);
    if (at === 0) return false;
    this.#fill(at, {
      time: this.stamp(exit.returnTime),
      ip: exit.func,
      data: exit.callTime,
      pid,
      type: RecordType.graphExit,
      flags: exit.unwound ? RecordFlag.unwound : 0,
      depth,
    });
    this.#fill(at + RECORD_SIZE, {
      time: exit.returnValue,
      ip: exit.returnTime,
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
    const at = ring.reserve(1);
    if (at === 0) return false;
    const time = this.stamp(event.time);
    const data = BigInt(ring.putBeside(time === event.time ? event : { ...event, time }));
    const { pid } = event;
    const flags = event.flags & 1;
    this.#fill(at, { time, ip: 0n, data, pid, type: RecordType.side, flags, depth: 0 });
    return true;
  }

  /** Moves what is in a hart's ring to the host's heap, so that the ring is empty again. */
  drain(hart: number): void {
    this.#ring(hart).drain();
  }

  /** A hart's events, oldest first. Reading consumes nothing. */
  events(hart: number): Generator<TraceEvent> {
    return this.#ring(hart).events();
  }

  /** Figures of a hart's ring. */
  statistics(hart: number): RingStatistics {
    return this.#ring(hart).statistics();
  }

  /** Empties the rings, or one, and zeroes their figures (`echo > trace`). */
  clear(hart?: number): void {
    for (const ring of this.#ringsOf(hart)) ring.clear();
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
    for (const ring of this.#ringsOf(hart)) ring.resize(kib);
  }

  /** An empty buffer of the same size, to {@linkcode RingBuffer.swap} with (`snapshot`). */
  spare(): RingBuffer {
    const spare = new RingBuffer(this.#memory, { harts: 0, kib: 1, mode: this.#mode });
    this.#rings.forEach(({ capacity, kib }, hart) => {
      spare.#rings.push(new HartRing(this.#memory, hart, capacity, kib));
    });
    spare.mode = this.#mode;
    spare.#switch();
    return spare;
  }

  /** Exchanges the events of two buffers of as many harts. Control blocks, which emitted code knows, stay. */
  swap(other: RingBuffer): void {
    this.#rings.forEach((ring, hart) => ring.swap(other.#ring(hart)));
  }

  /**
   * Takes the oldest event out, of one hart or of all (`trace_pipe`); undefined if there is none.
   * Before the first event after a loss it says how many are missing.
   */
  read(hart?: number): TraceEvent | LostEvents | undefined {
    let first: { readonly event: TraceEvent; readonly ring: HartRing } | undefined;
    for (const ring of this.#ringsOf(hart)) {
      const { value: event } = ring.events().next();
      if (event && (!first || event.time < first.event.time)) first = { event, ring };
    }
    if (!first) return undefined;
    const { event, ring } = first;
    const count = ring.tell();
    if (count > 0) return { type: "lost", cpu: event.cpu, count };
    ring.consume();
    return event;
  }

  /** Events of all harts in order of time, with a note where a ring lost its oldest. */
  *all(): Generator<TraceEvent | LostEvents> {
    for (const [cpu, ring] of this.#rings.entries()) {
      const count = ring.untold;
      if (count > 0) yield { type: "lost", cpu, count };
    }
    yield* mergeByTime(this.#rings.map((ring) => ring.events()));
  }

  /** Whether events are stamped with the virtual nanoseconds of their hart. */
  get stampsVirtualTime(): boolean {
    return this.#clock === undefined;
  }

  /** About how many events can be taken: records of all harts. */
  get waiting(): number {
    return this.#rings.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Takes events out: of every hart those stamped before `until`, or all, with their payloads. */
  take(until?: bigint): EventBlock {
    return new EventBlock(this.#rings.map((ring) => ring.take(until)));
  }

  /** Takes back the memory of a block that everybody is done with, for the next one. */
  giveBack({ parts }: EventBlock): void {
    for (const { hart, records } of parts) this.#ring(hart).giveBack(records);
  }
}

function checkSize(kib: number): void {
  if (kib > 0) return;
  throw new RangeError(`Cannot make a buffer of ${kib} KiB: it must be positive`);
}
