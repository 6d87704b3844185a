/**
 * Virtual time: what happens by itself at an exact nanosecond of a hart's time.
 *
 * There is no clock but the harts' own (`Hart.now`), and each has its own, a turn of the schedule
 * apart at most. So an event belongs to one hart's time. The run loop ends a hart's turn exactly
 * where its next event is due, lets it happen, and goes on; a hart that waits is moved to the next
 * event that can wake it. An event happens between two instructions, and the same ones with tracing
 * or without.
 *
 * Who takes turns when is `schedule.ts`; what has events is a device in `board/`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";

/** Something that changes by itself as the harts' time goes on, such as a timer. */
export interface EventSource {
  /** What a message calls the source. */
  readonly name: string;
  /**
   * When something happens next on this hart's time, as `hart.now()` counts: the same moment until
   * it has happened, even if that is past. Undefined if nothing does.
   */
  nextEvent(hart: Hart): bigint | undefined;
  /** Does what is due on this hart's time. After that, the next event lies in the future. */
  advance(hart: Hart): void;
  /** Whether the next event on this hart's time may end the wait of a hart. */
  mayWake(hart: Hart): boolean;
}

/** When the next event of a hart is; `never` holds no event, `unknown` has to be worked out. */
type Due = bigint | "never" | "unknown";

/** The events of all harts, the earliest first; of those at one moment, the first source's. */
export class EventQueue {
  readonly #sources: EventSource[] = [];
  /** The earliest event on each hart's time. */
  readonly #due: Due[];

  /** An empty queue for so many harts, whose `id` counts from 0. */
  constructor(harts: number) {
    this.#due = new Array<Due>(harts).fill("never");
  }

  /** Asks `source` for its events, until it is disposed of. */
  add(source: EventSource): Disposable {
    this.#sources.push(source);
    this.reschedule();
    return {
      [Symbol.dispose]: () => {
        const at = this.#sources.indexOf(source);
        if (at >= 0) this.#sources.splice(at, 1);
        this.reschedule();
      },
    };
  }

  /** To be called when a source's next event may be at another time than it said. */
  reschedule(): void {
    this.#due.fill("unknown");
  }

  /**
   * Lets all happen that is due on this hart's time.
   *
   * @throws {RangeError} If a source's next event is still the same after it has happened.
   */
  advance(hart: Hart): void {
    for (;;) {
      const due = this.#dueOf(hart);
      if (due === "never" || due > hart.now()) return;
      this.#due[hart.id] = "unknown";
      const source = this.#sources.find((each) => each.nextEvent(hart) === due);
      source?.advance(hart);
      if (source?.nextEvent(hart) !== due) continue;
      throw new RangeError(
        `Cannot go on: the event of ${source.name} at ${due} ns has happened and is still due`,
      );
    }
  }

  /** Nanoseconds until the next event on this hart's time; undefined if there is none. */
  untilNext(hart: Hart): bigint | undefined {
    const due = this.#dueOf(hart);
    return due === "never" ? undefined : due - hart.now();
  }

  /** Nanoseconds until the next event on this hart's time that may wake a hart, if there is one. */
  untilWoken(hart: Hart): bigint | undefined {
    const earliest = this.#earliest(hart, (source) => source.mayWake(hart));
    return earliest === undefined ? undefined : earliest - hart.now();
  }

  #dueOf(hart: Hart): bigint | "never" {
    const known = this.#due[hart.id]!;
    if (known !== "unknown") return known;
    return this.#due[hart.id] = this.#earliest(hart, () => true) ?? "never";
  }

  #earliest(hart: Hart, counts: (source: EventSource) => boolean): bigint | undefined {
    let earliest: bigint | undefined;
    for (const source of this.#sources) {
      const next = counts(source) ? source.nextEvent(hart) : undefined;
      if (next !== undefined && (earliest === undefined || next < earliest)) earliest = next;
    }
    return earliest;
  }
}
