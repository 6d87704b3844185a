/**
 * The kernel's text as a format: a `trace` file that grows while the guest runs.
 *
 * Its header says how many events there are, which nobody knows before the end. Room for the longest
 * numbers is kept, and at the end the header is written anew and the room that is left taken out; in
 * a file too large to move, blanks behind the numbers stay. What cannot be written twice, a pipe, has
 * the form of `trace_pipe`: no header.
 *
 * The text itself is `kernel_text.ts`.
 *
 * @module
 */
import type { EventBlock, EventSink, EventTotals } from "../../ftrace/trace/event_sink.ts";
import type { ByteOutput } from "../byte_output.ts";
import { kernelHeader, type KernelTextSettings } from "../kernel_header.ts";
import { createKernelText, encodeKernelText, type KernelText } from "../kernel_text.ts";

/** A count of the most digits that there is room for. */
const LONGEST_COUNT = 99_999_999_999;
const encoder = new TextEncoder();
/** How many characters are collected before they are written. */
const BATCH = 1 << 16;

/** Settings of the text, but for the counts, which are known at the end. */
export type StreamedTextSettings = Omit<KernelTextSettings, "entriesInBuffer" | "entriesWritten">;

/** Writes the kernel's text; `settings` is asked when the first event comes. */
export class KernelTextSink implements EventSink {
  readonly #output: ByteOutput;
  readonly #settingsOf: () => StreamedTextSettings;
  #settings!: StreamedTextSettings;
  #text!: KernelText;
  #bytes = new Uint8Array(0);
  /** Where the header is, and how long the room for it. */
  #header: { readonly at: number; readonly length: number } | undefined;

  /** A sink that has not written its header yet. */
  constructor(output: ByteOutput, settings: () => StreamedTextSettings) {
    this.#output = output;
    this.#settingsOf = settings;
  }

  /** Keeps room for the header. */
  async begin(): Promise<void> {
    this.#settings = this.#settingsOf();
    this.#text = createKernelText(this.#counted(0));
    if (!this.#output.file) return;
    const room = this.#headerOf(LONGEST_COUNT);
    this.#header = { at: this.#output.position, length: room.length };
    await this.#output.write(padded(this.#headerOf(0), room.length));
  }

  /** Writes the text that the events make certain. */
  async block(block: EventBlock): Promise<void> {
    let pending: string[] = [];
    let size = 0;
    for (const event of block) {
      const piece = this.#text.event(event);
      pending.push(piece);
      size += piece.length;
      if (size < BATCH) continue;
      await this.#write(pending.join(""));
      pending = [];
      size = 0;
    }
    await this.#write(pending.join(""));
  }

  /** Writes the rest of the text, and the header with the counts. */
  async end({ events }: EventTotals): Promise<void> {
    await this.#write(this.#text.end());
    const file = this.#output.file;
    const header = this.#header;
    if (!file || !header) return;
    const bytes = this.#headerOf(events);
    const spare = header.length - bytes.length;
    if (spare > 0 && file.cut(header.at + bytes.length, spare)) file.rewrite(header.at, bytes);
    else file.rewrite(header.at, padded(bytes, header.length));
  }

  async #write(text: string): Promise<void> {
    if (text === "") return;
    if (this.#settings.options.bin) {
      await this.#output.write(encodeKernelText(text, this.#counted(0)));
      return;
    }
    // One buffer for all: memory outside the heap comes back late.
    if (this.#bytes.length < 3 * text.length) this.#bytes = new Uint8Array(3 * text.length);
    const { written } = encoder.encodeInto(text, this.#bytes);
    await this.#output.write(this.#bytes.subarray(0, written));
  }

  #counted(events: number): KernelTextSettings {
    return { ...this.#settings, entriesInBuffer: events, entriesWritten: events };
  }

  #headerOf(events: number): Uint8Array {
    const settings = this.#counted(events);
    return encodeKernelText(kernelHeader(settings), settings);
  }
}

/** A header with blanks at the end of its line of counts, so that it is `length` bytes long. */
function padded(header: Uint8Array, length: number): Uint8Array {
  if (header.length >= length) return header;
  const text = new TextDecoder().decode(header);
  const line = /^# (?:entries-in-buffer|latency:).*$/m.exec(text);
  const at = line ? line.index + line[0].length : text.length - 1;
  const blanks = " ".repeat(length - header.length);
  return encoder.encode(`${text.slice(0, at)}${blanks}${text.slice(at)}`);
}
