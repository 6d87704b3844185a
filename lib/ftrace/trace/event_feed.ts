/**
 * The feed: takes events out of the rings between slices of the guest and gives them to sinks.
 *
 * Harts are never more than a turn apart, so what all of them have passed can leave in order of time;
 * the rest waits in its ring. Under a clock of which a hart's time says nothing, several harts' events
 * wait for the end.
 *
 * What a sink is, is `event_sink.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { EventSink, EventTotals } from "./event_sink.ts";
import type { RingBuffer } from "./ring_buffer.ts";

/** Events that are worth a block. */
const BLOCK = 8192;
/** Milliseconds after which fewer are, so that who looks at a file sees it grow. */
const PATIENCE = 250;

/** What a feed takes events from. */
export interface FeedSource {
  /** The rings, in mode `drain`: nothing in them is ever lost. */
  readonly buffer: RingBuffer;
  /** The harts that fill them. */
  readonly harts: readonly Hart[];
}

/** Feeds sinks with the events of one trace. */
export class EventFeed {
  readonly #source: FeedSource;
  readonly #sinks: readonly EventSink[];
  #begun = false;
  #ended = false;
  #events = 0;
  #last = 0;

  /** A feed of all these sinks; none has been begun. */
  constructor(source: FeedSource, sinks: readonly EventSink[]) {
    this.#source = source;
    this.#sinks = sinks;
  }

  /** Events that sinks have been given. */
  get events(): number {
    return this.#events;
  }

  /** Gives sinks what is certain to be in order, if it is worth a block; `now` is in milliseconds. */
  async flow(now: number): Promise<void> {
    const waiting = this.#source.buffer.waiting;
    if (waiting === 0 || (waiting < BLOCK && now - this.#last < PATIENCE)) return;
    const { buffer, harts } = this.#source;
    if (harts.length > 1 && !buffer.stampsVirtualTime) return;
    const until = harts.length > 1
      ? harts.reduce((least, hart) => hart.now() < least ? hart.now() : least, harts[0]!.now())
      : undefined;
    this.#last = now;
    await this.#give(until);
  }

  /** Gives sinks the rest, and ends them. A trace without events is begun and ended, too. */
  async end(): Promise<EventTotals> {
    const lost = this.#source.harts.reduce((sum, { id }) => {
      const { overrun, dropped } = this.#source.buffer.statistics(id);
      return sum + overrun + dropped;
    }, 0);
    if (this.#ended) return { events: this.#events, lost };
    this.#ended = true;
    await this.#give(undefined);
    await this.#begin();
    const totals = { events: this.#events, lost };
    for (const sink of this.#sinks) await sink.end(totals);
    return totals;
  }

  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    for (const sink of this.#sinks) await sink.begin();
  }

  async #give(until: bigint | undefined): Promise<void> {
    const block = this.#source.buffer.take(until);
    if (block.count === 0) return;
    this.#events += block.count;
    await this.#begin();
    for (const sink of this.#sinks) await sink.block(block);
    this.#source.buffer.giveBack(block);
  }
}
