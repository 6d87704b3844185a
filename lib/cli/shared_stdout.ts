/**
 * Standard output that the guest and its tracers share: a tracer's line waits while the guest is in
 * the middle of one of its own.
 *
 * What the guest writes passes through as it comes, byte for byte. Lines are written many at a time,
 * at the latest when {@linkcode SharedStdout.flush} is called.
 *
 * @module
 */
import type { CliHost } from "./host.ts";
import type { TraceDestination } from "./trace_destination.ts";

/**
 * Stdout as the guest and the tracers share it: a tracer's line waits until the guest's is ended.
 */
export interface SharedStdout {
  /** Writes what the guest printed; false if nobody reads any more. */
  guest(data: Uint8Array): boolean;
  /** Writes a line of a tracer. */
  line(text: string): void;
  /** Whether the guest has begun a line and not ended it. */
  readonly inLine: boolean;
  /** Called before anything is written. */
  beforeWrite?: (() => void) | undefined;
  /** Writes what was held back only to write more at once. */
  flush(): void;
  /** To be called when the guest has ended: no line waits for it any longer. */
  guestEnded(): void;
}

/** A guest that leaves its line open for longer gets a line of a tracer into it. */
const MOST_WAITING = 1000;
/** How many characters are collected before they are written. */
const BATCH = 1 << 14;
const LINE_FEED = 10;

/** `isShared` says that the sink is standard output; if not, nothing has to wait. */
export function createSharedStdout(
  host: CliHost,
  sink: Pick<TraceDestination, "write" | "open">,
  isShared: boolean,
): SharedStdout {
  const encoder = new TextEncoder();
  let inLine = false;
  let ended = false;
  let waiting: string[] = [];
  let size = 0;
  const write = () => {
    if (waiting.length === 0) return;
    const text = `${waiting.join("\n")}\n`;
    waiting = [];
    size = 0;
    shared.beforeWrite?.();
    sink.write(encoder.encode(inLine && isShared ? `\n${text}` : text));
    if (isShared) inLine = false;
  };
  const flush = () => {
    if (!inLine || !isShared || ended || waiting.length > MOST_WAITING) write();
  };
  const shared: SharedStdout = {
    get inLine() {
      return inLine;
    },
    guest(data) {
      if (isShared) flush();
      shared.beforeWrite?.();
      const open = host.stdout(data);
      if (data.length > 0) inLine = data.at(-1) !== LINE_FEED;
      return open;
    },
    line(text) {
      waiting.push(text);
      size += text.length;
      if (size > BATCH || waiting.length > MOST_WAITING) flush();
    },
    flush,
    guestEnded() {
      ended = true;
      write();
    },
  };
  return shared;
}
