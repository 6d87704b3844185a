/**
 * The trace and its buffers: reading it, emptying it, its sizes, each CPU's part of it, what is
 * written into it by hand.
 *
 * As in the kernel the buffer reads as small until something needs it: a tracer, an event, a size.
 * Sizes are those of whole sub-buffers of 4080 bytes, so a size that is read is seldom the one that
 * was written. The sub-buffers themselves are the kernel's alone: what their size decides here is
 * what `events/header_page` says, and how much one marker has room for.
 *
 * @module
 */
import { TRACE_CLOCKS, type TraceClockName, traceClockText } from "../ftrace/trace/trace_clock.ts";
import { bufferStatisticsText } from "../output/buffer_statistics.ts";
import { kernelHeader } from "../output/kernel_header.ts";
import { printKernelText } from "../output/kernel_text.ts";
import { liveTraceSettings } from "../output/live_trace.ts";
import {
  type ControlFile,
  type ControlFiles,
  numberFile,
  parseNumber,
  textFile,
} from "./control_file.ts";
import { invalid, TracefsError } from "./errno.ts";
import type { TraceState } from "./trace_state.ts";

/** Bytes of a sub-buffer that hold events. */
const SUB_BUFFER = 4080;
/** What `buffer_size_kb` reads before the buffer is needed. */
const UNEXPANDED_KIB = 7;
/** Larger rings than this get ENOMEM, KiB. */
const LARGEST_KIB = 256 * 1024;
/** Most bytes of one marker (`TRACE_MARKER_MAX_SIZE`). */
const LARGEST_MARKER = 4096;
/** Bytes of a sub-buffer that one event cannot have: the page's header, and the event's own. */
const SUB_BUFFER_META = 24;
/** Bytes of a marker's event besides its text: the fields before it, the ends of line and string. */
const MARKER_META = 18;

/** Makes `trace`, `trace_pipe`, `per_cpu/` and the other files of the buffers. */
export function bufferFiles(state: TraceState): ControlFiles {
  const files: Record<string, ControlFile> = {
    trace: traceFile(state),
    trace_pipe: pipeFile(state),
    snapshot: snapshotFile(state),
    ...recordingFiles(state),
    ...sizeFiles(state),
    ...subBufferFiles(state),
    ...markerFiles(state),
    ...savedTaskFiles(state),
    printk_formats: textFile(() => ""),
  };
  for (const { id } of state.ftrace.machine.harts) {
    const folder = `per_cpu/cpu${id}`;
    files[`${folder}/trace`] = traceFile(state, id);
    files[`${folder}/trace_pipe`] = pipeFile(state, id);
    files[`${folder}/snapshot`] = snapshotFile(state, id);
    files[`${folder}/stats`] = textFile(() => statisticsText(state, id));
    files[`${folder}/buffer_size_kb`] = sizeFile(state, id);
  }
  return files;
}

/** Whether, by which clock, from what duration and on which harts events are recorded. */
function recordingFiles({ ftrace }: TraceState): ControlFiles {
  const { buffer, machine } = ftrace;
  const harts = machine.harts.length;
  return {
    tracing_on: numberFile(
      "tracing_on",
      () => buffer.on ? 1 : 0,
      (on) => void (buffer.on = on !== 0),
    ),
    trace_clock: {
      read: () => `${traceClockText(ftrace.traceClock)}\n`,
      write(text) {
        const name = text.trim();
        if (text === "") return;
        if (!TRACE_CLOCKS.some((each) => each === name)) {
          throw invalid(
            `Cannot set the trace clock to "${name}": there are ${TRACE_CLOCKS.join(", ")}`,
          );
        }
        ftrace.traceClock = name as TraceClockName;
      },
    },
    timestamp_mode: textFile(() => "[delta] absolute\n"),
    tracing_thresh: numberFile(
      "tracing_thresh",
      () => ftrace.tracingThresh,
      (threshold) => void (ftrace.tracingThresh = threshold),
    ),
    tracing_cpumask: {
      read: () => `${maskOf(buffer.cpumask, harts).toString(16)}\n`,
      write(text) {
        if (text !== "") buffer.cpumask = parseMask(text, harts);
      },
    },
  };
}

/** How large the rings are, and the file that frees them. */
function sizeFiles(state: TraceState): ControlFiles {
  const { buffer, machine } = state.ftrace;
  return {
    buffer_size_kb: sizeFile(state),
    buffer_total_size_kb: textFile(() => {
      const total = (kibOf: (hart: number) => number) =>
        machine.harts.reduce((sum, { id }) => sum + kibOf(id), 0);
      const full = total((id) => buffer.kibOf(id));
      return state.expanded
        ? `${total((id) => wholeKib(buffer.kibOf(id)))}\n`
        : `${total(() => UNEXPANDED_KIB)} (expanded: ${full})\n`;
    }),
    free_buffer: {
      write() {
        if (state.options["disable_on_free"]) buffer.on = false;
        buffer.resize(1);
        buffer.clear();
        state.expanded = true;
      },
    },
  };
}

/** What is written into the trace by hand. */
function markerFiles(state: TraceState): ControlFiles {
  return {
    trace_marker: {
      write(text) {
        const room = Math.min(LARGEST_MARKER, largestEvent(state) - MARKER_META);
        for (const part of partsOf(text, room)) state.ftrace.traceMarkWrite(part);
      },
    },
    trace_marker_raw: { write: (text) => writeRaw(state, text) },
  };
}

/** Most bytes of one event, with its fields (`ring_buffer_max_event_size`). */
function largestEvent({ subBufferKib }: TraceState): number {
  return subBufferKib * 1024 - SUB_BUFFER_META;
}

/** A text in parts of at most so many bytes, as a shell writes again what was left. */
function* partsOf(text: string, room: number): Generator<string> {
  const bytes = new TextEncoder().encode(text);
  for (let start = 0, end; start < bytes.length; start = end) {
    end = Math.min(start + room, bytes.length);
    // A character is not divided.
    while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--;
    yield new TextDecoder().decode(bytes.subarray(start, end));
  }
}

/** Names and thread groups of the tasks in the trace. */
function savedTaskFiles(state: TraceState): ControlFiles {
  const { machine } = state.ftrace;
  return {
    saved_cmdlines: textFile(() =>
      state.options["record-cmd"]
        ? tasksOf(state).map((pid) => `${pid} ${machine.commOf(pid)}\n`).join("")
        : ""
    ),
    ...savedSizeFile(),
    saved_tgids: textFile(() =>
      state.options["record-tgid"] ? tasksOf(state).map((pid) => `${pid} ${pid}\n`).join("") : ""
    ),
  };
}

/** Numbers of the guest's tasks: of firmware one a hart, one after the other. */
function tasksOf({ ftrace: { machine } }: TraceState): readonly number[] {
  let first = machine.pid;
  while (machine.commOf(first - 1) !== undefined) first--;
  const tasks = machine.harts.map((_, k) => first + k);
  return tasks.filter((pid) => machine.commOf(pid) !== undefined);
}

function traceFile(state: TraceState, hart?: number): ControlFile {
  const { ftrace } = state;
  const { buffer } = ftrace;
  return {
    read() {
      const events = hart === undefined ? buffer.all() : buffer.events(hart);
      const settings = liveTraceSettings(ftrace, state.currentTracer, state.options, hart);
      return [...printKernelText(events, settings)].join("");
    },
    write(_text, { append }) {
      if (!append) buffer.clear(hart);
    },
  };
}

/** The second buffer; of one hart it can only be read and emptied. */
function snapshotFile(state: TraceState, hart?: number): ControlFile {
  const { ftrace } = state;
  const { snapshot } = ftrace;
  return {
    read() {
      const { buffer } = snapshot;
      const settings = liveTraceSettings(
        ftrace,
        state.currentTracer,
        state.options,
        hart,
        buffer ?? ftrace.buffer,
      );
      if (!buffer || settings.entriesInBuffer === 0) {
        const help = { state: snapshot.state, perCpu: hart !== undefined };
        return kernelHeader({ ...settings, snapshot: help });
      }
      const events = hart === undefined ? buffer.all() : buffer.events(hart);
      return [...printKernelText(events, settings)].join("");
    },
    write(text) {
      if (text === "") return;
      const value = Number(parseNumber(text, "snapshot"));
      if (hart === undefined) {
        state.expanded = true;
        return snapshot.write(value);
      }
      if (value > 1) return snapshot.buffer?.clear(hart);
      throw invalid(
        `Cannot write ${value} to the snapshot of one hart: ` +
          (value === 0 ? "all of it is freed at once" : "harts are not exchanged one by one"),
      );
    },
  };
}

/** Takes out what there is; a reader in the kernel would then wait for more. */
function pipeFile(state: TraceState, hart?: number): ControlFile {
  const { ftrace } = state;
  return {
    read() {
      const settings = liveTraceSettings(ftrace, state.currentTracer, state.options, hart);
      const taken = function* () {
        for (;;) {
          const event = ftrace.buffer.read(hart);
          if (!event) return;
          yield event;
        }
      };
      return [...printKernelText(taken(), settings, { header: false })].join("");
    },
  };
}

/** The size that is read of a ring that was made `kib` large: whole sub-buffers, at least two. */
function wholeKib(kib: number): number {
  return Math.floor(Math.max(2, Math.ceil(kib * 1024 / SUB_BUFFER)) * SUB_BUFFER / 1024);
}

/** `buffer_size_kb`, of all harts or of one. */
function sizeFile(state: TraceState, hart?: number): ControlFile {
  const { buffer, machine } = state.ftrace;
  return {
    read() {
      const sizes = new Set(machine.harts.map(({ id }) => buffer.kibOf(id)));
      if (hart === undefined && sizes.size > 1) return "X\n";
      const kib = buffer.kibOf(hart ?? 0);
      if (state.expanded) return `${wholeKib(kib)}\n`;
      return `${UNEXPANDED_KIB}${hart === undefined ? ` (expanded: ${kib})` : ""}\n`;
    },
    write(text) {
      if (text === "") return;
      const kib = parseNumber(text, "buffer_size_kb");
      if (kib === 0n) throw invalid("Cannot make a buffer of 0 KiB: it holds at least one event");
      if (kib > LARGEST_KIB) {
        throw new TracefsError(
          "ENOMEM",
          "write",
          `Cannot make a buffer of ${kib} KiB: ${LARGEST_KIB} is the most here`,
        );
      }
      buffer.resize(Number(kib), hart);
      state.expanded = true;
    },
  };
}

function subBufferFiles(state: TraceState): ControlFiles {
  let percent = 50;
  return {
    buffer_percent: {
      read: () => `${percent}\n`,
      write(text) {
        if (text === "") return;
        const value = parseNumber(text, "buffer_percent");
        if (value > 100n) throw invalid(`Cannot set buffer_percent to ${value}: it is at most 100`);
        percent = Number(value);
      },
    },
    buffer_subbuf_size_kb: {
      read: () => `${state.subBufferKib}\n`,
      write(text) {
        if (text === "") return;
        const kib = parseNumber(text, "buffer_subbuf_size_kb");
        if (kib < 1n || kib > 512n) {
          throw invalid(`Cannot make sub-buffers of ${kib} KiB: they are 4 to 512`);
        }
        state.subBufferKib = Math.max(4, 2 ** Math.ceil(Math.log2(Number(kib))));
      },
    },
  };
}

function savedSizeFile(): ControlFiles {
  let size = 6552;
  return {
    saved_cmdlines_size: {
      read: () => `${size}\n`,
      write(text) {
        if (text === "") return;
        const value = parseNumber(text, "saved_cmdlines_size");
        if (value < 1n || value > 32768n) {
          throw invalid(`Cannot keep ${value} names of tasks: 1 to 32768 can be`);
        }
        size = Number(value);
      },
    },
  };
}

function maskOf(mask: number, harts: number): bigint {
  return BigInt.asUintN(harts, BigInt(mask));
}

/** Hexadecimal digits in groups of eight, as `bitmap_parse` takes them. */
function parseMask(text: string, harts: number): number {
  const digits = text.trim();
  if (!/^[0-9a-f]{1,8}(,[0-9a-f]{1,8})*$/i.test(digits)) {
    throw invalid(`Cannot set tracing_cpumask to "${digits}": it takes hexadecimal digits`);
  }
  const groups = digits.split(",");
  const mask = BigInt(`0x${groups.map((group) => group.padStart(8, "0")).join("")}`);
  if (mask >= 1n << BigInt(harts)) {
    throw new TracefsError(
      "EOVERFLOW",
      "write",
      `Cannot set tracing_cpumask to ${digits}: there are ${harts} harts`,
    );
  }
  return Number(mask);
}

/** Bytes of `<faulted>`. */
const FAULTED_SIZE = 9;
/** Bytes of the fields before a raw marker's number. */
const RAW_META = 8;

/** Four bytes of a number and the data behind them; characters stand for bytes. */
function writeRaw(state: TraceState, text: string): void {
  const { ftrace, options } = state;
  if (text === "") return;
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  if (!options.markers) {
    throw invalid("Cannot write a marker: the trace option markers is off");
  }
  const countsOnce = ftrace.era.forms.countsRawNumberOnce;
  const meta = RAW_META + (countsOnce ? 0 : 4);
  const room = Math.min(LARGEST_MARKER, largestEvent(state) - meta);
  if (bytes.length < 4 || bytes.length > room) {
    throw invalid(
      `Cannot write ${bytes.length} bytes as a raw marker: it is a number of 4 bytes and up to ${
        room - 4
      } of data`,
    );
  }
  const hart = ftrace.guest.currentHart;
  ftrace.record({
    type: "raw_data",
    time: hart.now(),
    cpu: hart.id,
    pid: ftrace.machine.pid,
    flags: 0,
    preemptCount: 0,
    id: new DataView(bytes.buffer).getUint32(0, true),
    bytes: padRaw(bytes, countsOnce),
  });
}

/**
 * What is recorded behind the number: the data and zeros up to a whole word of the ring buffer. Up to
 * 6.17 the record has room for the number twice, and for the word that a fault would leave.
 */
function padRaw(written: Uint8Array, countsOnce: boolean): Uint8Array {
  const room = countsOnce ? written.length - 4 : Math.max(written.length, FAULTED_SIZE);
  const padded = new Uint8Array(4 * Math.ceil(room / 4));
  padded.set(written.subarray(4));
  return padded;
}

function statisticsText({ ftrace }: TraceState, hart: number): string {
  const { entries, overrun, bytes, dropped, oldest, read } = ftrace.buffer.statistics(hart);
  return bufferStatisticsText({
    entries,
    overrun,
    commitOverrun: 0,
    bytes,
    oldest,
    now: ftrace.machine.harts[hart]!.now(),
    dropped,
    read,
    clock: liveTraceSettings(ftrace, "nop").clock,
  });
}
