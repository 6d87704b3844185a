/**
 * Sinks: where events go while the guest runs, block by block.
 *
 * A block is a stretch of the trace in order of time. It holds the raw records that were taken out of
 * the rings and the payloads that lay beside them, so a sink decodes what it wants, and several sinks
 * share one block. Its memory is used again when all are done with it.
 *
 * What feeds sinks is `event_feed.ts`; a format that makes one is a file in `lib/output/formats`.
 *
 * @module
 */
import type { TraceEvent } from "./events.ts";
import { mergeByTime } from "./merge_events.ts";
import { beginsEvent, readRecord, RECORD, RECORD_SIZE } from "./ring_record.ts";

/** One hart's part of a block of events. */
export interface BlockPart {
  /** Number of the hart. */
  readonly hart: number;
  /** The hart's records in the block, oldest first. */
  readonly records: readonly Uint8Array[];
  /** Payloads beside them, and the number of the first. */
  readonly side: readonly TraceEvent[];
  /** Number by which a record names the first payload. */
  readonly sideStart: number;
}

/** A stretch of the trace. */
export class EventBlock implements Iterable<TraceEvent> {
  /** What each hart has in it. */
  readonly parts: readonly BlockPart[];
  /** How many events there are. */
  readonly count: number;

  /** A block of what was taken of each hart's ring. */
  constructor(parts: readonly BlockPart[]) {
    this.parts = parts;
    this.count = parts.reduce((sum, { records }) => sum + countEvents(records), 0);
  }

  /** The events in order of time, decoded anew for each that asks. */
  [Symbol.iterator](): Iterator<TraceEvent> {
    return mergeByTime(this.parts.map(eventsOf));
  }
}

/** What became of a trace. */
export interface EventTotals {
  /** Events that sinks were given. */
  readonly events: number;
  /** Events that were lost on the way, for want of room. */
  readonly lost: number;
}

/** Takes the events of a trace. Whatever it returns a promise for, the guest waits for. */
export interface EventSink {
  /** Called once, before the first block. */
  begin(): void | Promise<void>;
  /** Takes the events that follow those of the blocks before. The block is gone when this settles. */
  block(block: EventBlock): void | Promise<void>;
  /** Called once, behind the last block. */
  end(totals: EventTotals): void | Promise<void>;
}

/** How many events begin in stretches of records. */
export function countEvents(records: readonly Uint8Array[]): number {
  let count = 0;
  for (const piece of records) {
    for (let at = RECORD.type; at < piece.length; at += RECORD_SIZE) {
      if (beginsEvent(piece[at]!)) count++;
    }
  }
  return count;
}

function* eventsOf({ hart, records, side, sideStart }: BlockPart): Generator<TraceEvent> {
  const beside = (number: number) => side[number - sideStart];
  for (const piece of records) {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
    for (let at = 0; at < piece.length; at += RECORD_SIZE) {
      const event = readRecord(view, at, hart, beside);
      if (event) yield event;
    }
  }
}
