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
  /** Name of the source, for messages. */
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

/** Instead of a moment: there is no event, or it has to be worked out when it is. */
const NEVER = -1n, UNKNOWN = -2n;

/** The events of all harts, the earliest first; of those at one moment, the first source's. */
export class EventQueue {
  readonly #sources: EventSource[] = [];
  /** When each hart's earliest event is due, on that hart's time. */
  readonly #due: bigint[];

  /** An empty queue for so many harts, whose `id` counts from 0. */
  constructor(harts: number) {
    this.#due = new Array<bigint>(harts).fill(NEVER);
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
    this.#due.fill(UNKNOWN);
  }

  /**
   * Lets all happen that is due on this hart's time.
   *
   * @returns Nanoseconds until the next event on it, undefined if there is none.
   * @throws {RangeError} If a source's next event is still the same after it has happened.
   */
  advance(hart: Hart): bigint | undefined {
    for (;;) {
      const due = this.#dueOf(hart);
      if (due === NEVER) return undefined;
      const left = due - hart.now();
      if (left > 0n) return left;
      this.#happen(hart, due);
    }
  }

  /** Nanoseconds until the next event on this hart's time that may wake a hart, if there is one. */
  untilWoken(hart: Hart): bigint | undefined {
    let earliest: bigint | undefined;
    for (const source of this.#sources) {
      const next = source.nextEvent(hart);
      if (next === undefined || (earliest !== undefined && next >= earliest)) continue;
      if (source.mayWake(hart)) earliest = next;
    }
    return earliest === undefined ? undefined : earliest - hart.now();
  }

  /** Lets the event that is due at `due` happen; of several, the first source's. */
  #happen(hart: Hart, due: bigint): void {
    this.#due[hart.id] = UNKNOWN;
    for (const source of this.#sources) {
      if (source.nextEvent(hart) !== due) continue;
      source.advance(hart);
      if (source.nextEvent(hart) !== due) return;
      throw new RangeError(
        `Cannot go on: the event of ${source.name} at ${due} ns has happened and is still due`,
      );
    }
  }

  #dueOf(hart: Hart): bigint {
    const known = this.#due[hart.id]!;
    if (known !== UNKNOWN) return known;
    let earliest = NEVER;
    for (const source of this.#sources) {
      const next = source.nextEvent(hart);
      if (next !== undefined && (earliest === NEVER || next < earliest)) earliest = next;
    }
    return this.#due[hart.id] = earliest;
  }
}
