/**
 * When the trace is written: on stdout when the guest has ended, into a file while it runs.
 *
 * Where it goes is `trace_destination.ts`; the kernel's text itself is made by `lib/output`.
 *
 * @module
 */
import { yieldToHost } from "../host/yielding.ts";
import type { Ftrace } from "../../mod.ts";
import {
  encodeKernelText,
  liveTraceSettings,
  printKernelText,
  traceFormat,
} from "../output/mod.ts";
import { EventFeed, parseTraceOption } from "../ftrace/mod.ts";
import type { TraceDestination } from "./trace_destination.ts";

/**
 * Sets what `-O` gave, in order, and gives those that change nothing here, with the reason.
 *
 * @throws {RangeError} If that kernel has no such option.
 */
export function setTraceOptions(
  { traceOptions, era }: Ftrace,
  texts: readonly string[],
): readonly string[] {
  return texts.flatMap((text) => {
    const { option, value } = parseTraceOption(text, era.release);
    traceOptions.set(option.name, value);
    return option.idle !== undefined && value !== option.default ? [`${text}: ${option.idle}`] : [];
  });
}

/** Writes the events of a run: into a file as they come, on stdout when the guest has ended. */
export class TraceWriter {
  readonly #ftrace: Ftrace;
  readonly #destination: TraceDestination;
  readonly #prints: () => string | undefined;
  readonly #feed: EventFeed | undefined;
  /** Events that were printed out of the buffer so far. */
  #printed = 0;

  /**
   * `prints` says in which of the kernel's forms events print, or undefined if none are to be; a file
   * that events go to before that is known gets the form of tracer nop.
   */
  constructor(
    ftrace: Ftrace,
    destination: TraceDestination,
    prints: () => string | undefined,
    streams: boolean,
  ) {
    this.#ftrace = ftrace;
    this.#destination = destination;
    this.#prints = prints;
    if (!destination.isFile || !streams) return;
    const sink = traceFormat("text").create({
      ftrace,
      output: destination,
      prints: () => prints() ?? "nop",
    });
    this.#feed = new EventFeed({ buffer: ftrace.buffer, harts: ftrace.machine.harts }, [sink]);
  }

  /** Events that have gone into the file. */
  get written(): number {
    return this.#feed?.events ?? 0;
  }

  /** Events that are stored and not written yet; 0 if none are to be. */
  get missing(): number {
    if (this.#prints() === undefined) return 0;
    const { buffer, machine } = this.#ftrace;
    const stored = machine.harts.reduce((sum, { id }) => sum + buffer.statistics(id).entries, 0);
    return Math.max(0, stored - this.#printed);
  }

  /** Lets events into the file, between two slices of the guest. */
  async flow(now: number): Promise<void> {
    await this.#feed?.flow(now);
  }

  /** Writes what is left, when the guest has ended. */
  async finish(): Promise<void> {
    const prints = this.#prints();
    if (prints === undefined && this.written === 0) return;
    if (this.#feed) await this.#feed.end();
    else if (prints !== undefined) await this.#writeStored(prints);
  }

  /** Writes the events that are stored in the form of `tracer`. */
  async #writeStored(tracer: string): Promise<void> {
    const destination = this.#destination;
    const ftrace = this.#ftrace;
    const { buffer } = ftrace;
    const settings = liveTraceSettings(ftrace, tracer);
    const pending: string[] = [];
    let size = 0;
    const flush = () => {
      if (size > 0) destination.write(encodeKernelText(pending.join(""), settings));
      pending.length = 0;
      size = 0;
    };
    for (const piece of printKernelText(buffer.all(), settings)) {
      pending.push(piece);
      this.#printed++;
      size += piece.length;
      if (size < 1 << 16) continue;
      flush();
      if (!destination.open) return;
      // Whoever asks for an end now is to be heard.
      await yieldToHost();
    }
    flush();
  }
}
