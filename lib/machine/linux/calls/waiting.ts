/**
 * The system calls that make pipes and eventfds, and that wait for descriptors.
 *
 * There is one thread: where no descriptor is ready, only a timerfd becomes so while it waits, or a
 * signal's handler makes it so (`../waits.ts`).
 *
 * @module
 */
import type { Hart } from "../../../hart/hart.ts";
import { EBADF, EFAULT, EINVAL, ERESTARTNOHAND } from "../../files/errno.ts";
import { MOST_DESCRIPTORS, O_NONBLOCK, type OpenFile } from "../../files/files.ts";
import type { Process } from "../process.ts";
import {
  createPipe,
  EventCounter,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from "../../files/streams.ts";
import { timerOf } from "../timers.ts";
import { wait } from "../waits.ts";
import { deadlock, int, readWords } from "./arguments.ts";
import { call, type CallArguments, type CallResult, type SystemCalls } from "./table.ts";
import { answerTime, readTime } from "./time.ts";

const O_WRONLY = 1, O_RDWR = 2;
const O_CLOEXEC = 0o2000000, O_DIRECT = 0o40000, EFD_SEMAPHORE = 1;
const POLLPRI = 2, POLLNVAL = 32, POLLRDNORM = 64, POLLWRNORM = 256;
const POLLFD_SIZE = 8;

/** Calls about pipes and waiting, by name. */
export const WAITING_CALLS: SystemCalls = {
  pipe2: call(["out", "flags"], ({ files, space }, [at, flags]) => {
    if ((int(flags) & ~(O_NONBLOCK | O_CLOEXEC | O_DIRECT)) !== 0) return -EINVAL;
    const { reader, writer } = createPipe();
    const kept = int(flags) & O_NONBLOCK;
    const from = files.add({ kind: "stream", stream: reader, flags: kept });
    if (from < 0) return from;
    const to = files.add({ kind: "stream", stream: writer, flags: kept | O_WRONLY });
    if (to >= 0 && space.write(at, new Uint8Array(new Int32Array([from, to]).buffer))) return 0;
    files.close(from);
    if (to >= 0) files.close(to);
    return to < 0 ? to : -EFAULT;
  }),
  eventfd2: call(["int", "flags"], ({ files }, [count, flags]) => {
    if ((int(flags) & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL;
    const isSemaphore = (int(flags) & EFD_SEMAPHORE) !== 0;
    const stream = new EventCounter(BigInt.asUintN(32, count), isSemaphore);
    return files.add({ kind: "stream", stream, flags: int(flags) & O_NONBLOCK | O_RDWR });
  }),
  ppoll: call(["inout", "int", "in", "in", "size"], poll),
  pselect6: call(["int", "inout", "inout", "inout", "inout", "in"], select),
};

function poll(
  process: Process,
  [at, count, timeout, mask, maskSize]: CallArguments,
  hart: Hart,
): CallResult {
  const { space } = process;
  if (count > MOST_DESCRIPTORS) return -EINVAL;
  const data = space.read(at, Number(count) * POLLFD_SIZE);
  if (!data) return -EFAULT;
  const view = new DataView(data.buffer);
  const polled = Array.from({ length: Number(count) }, (_, k) => ({
    fd: view.getInt32(k * POLLFD_SIZE, true),
    wanted: view.getInt16(k * POLLFD_SIZE + 4, true) | POLLERR | POLLHUP,
  }));
  const look = () => {
    let found = 0;
    for (const [k, { fd, wanted }] of polled.entries()) {
      const open = process.files.get(fd);
      const events = fd < 0 ? 0 : open ? eventsOf(open) & wanted : POLLNVAL;
      view.setInt16(k * POLLFD_SIZE + 6, events, true);
      if (events !== 0) found++;
    }
    return found;
  };
  const found = waitFor(process, hart, {
    look,
    descriptors: polled.map(({ fd }) => fd),
    timeout,
    mask,
    maskSize,
  });
  if (typeof found !== "number" || found < 0) return found;
  return space.write(at, data) ? found : -EFAULT;
}

/** What can be done with a descriptor at once: files, devices and standard input always give something. */
function eventsOf(open: OpenFile): number {
  const normal = (events: number) =>
    events | (events & POLLIN ? POLLRDNORM : 0) | (events & POLLOUT ? POLLWRNORM : 0);
  switch (open.kind) {
    case "stdin":
      return normal(POLLIN);
    case "stdout":
    case "stderr":
      return normal(POLLOUT);
    case "stream":
      return normal(open.stream.events);
    default:
      return normal(POLLIN | POLLOUT);
  }
}

/** The events that each of `select`'s sets asks for: to read, to write, and urgent ones. */
const SETS = [POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI] as const;

interface SelectedSet {
  /** Address of its bits, and which events a bit asks for. */
  readonly at: bigint;
  readonly wanted: number;
  readonly descriptors: readonly number[];
  readonly answer: Uint8Array;
}

function select(process: Process, args: CallArguments, hart: Hart): CallResult {
  const { files, space } = process;
  if (int(args[0]) < 0) return -EINVAL;
  const count = Math.min(int(args[0]), MOST_DESCRIPTORS);
  const sets: SelectedSet[] = [];
  for (const [k, wanted] of SETS.entries()) {
    const at = args[k + 1]!;
    if (at === 0n) continue;
    const answer = space.read(at, Math.ceil(count / 64) * 8);
    if (!answer) return -EFAULT;
    const descriptors = Array.from({ length: count }, (_, fd) => fd)
      .filter((fd) => answer[fd >> 3]! & (1 << (fd & 7)));
    if (descriptors.some((fd) => !files.get(fd))) return -EBADF;
    sets.push({ at, wanted, descriptors, answer });
  }
  const [mask, maskSize] = args[5] === 0n ? [0n, 0n] : readWords(space, args[5], 2) ?? [];
  if (mask === undefined || maskSize === undefined) return -EFAULT;
  const found = waitFor(process, hart, {
    look: () => sets.reduce((sum, set) => sum + lookAt(process, set), 0),
    descriptors: sets.flatMap(({ descriptors }) => descriptors),
    timeout: args[4],
    mask: BigInt.asUintN(64, mask),
    maskSize,
  });
  if (typeof found !== "number" || found < 0) return found;
  return sets.every(({ at, answer }) => space.write(at, answer)) ? found : -EFAULT;
}

/** Leaves in a set's answer what is ready; gives how many of it are. */
function lookAt({ files }: Process, { wanted, descriptors, answer }: SelectedSet): number {
  answer.fill(0);
  let found = 0;
  for (const fd of descriptors) {
    if ((eventsOf(files.get(fd)!) & wanted) === 0) continue;
    answer[fd >> 3]! |= 1 << (fd & 7);
    found++;
  }
  return found;
}

interface Wait {
  /** Looks at the descriptors; gives how many are ready. */
  readonly look: () => number;
  readonly descriptors: readonly number[];
  /** Address of the longest time, which is answered with what is left of it; 0 is for ever. */
  readonly timeout: bigint;
  /** Address and size of the mask in force meanwhile. */
  readonly mask: bigint;
  readonly maskSize: bigint;
}

function waitFor(process: Process, hart: Hart, waited: Wait): CallResult {
  const { look, timeout } = waited;
  const span = timeout === 0n ? undefined : readTime(process, timeout);
  if (typeof span === "number") return span;
  const masked = process.signals.suspend(waited.mask, waited.maskSize);
  if (masked < 0) return masked;
  const end = span === undefined ? undefined : hart.now() + span;
  let found = 0;
  const timers = new Set(waited.descriptors.map((fd) => {
    const open = process.files.get(fd);
    return open?.kind === "stream" ? timerOf(open.stream) : undefined;
  }));
  const ended = wait(process, hart, end, {
    isReady: () => (found = look()) > 0,
    comesBy: (timer) => timers.has(timer),
  });
  if (ended === "never") {
    const what = "waits for descriptors that it alone could make ready";
    return deadlock(process, hart, `its only thread ${what}`);
  }
  // The kernel does not mind where what is left cannot be written.
  if (end !== undefined && span !== 0n) {
    const rest = end - hart.now();
    answerTime(process, timeout, rest > 0n ? rest : 0n);
  }
  return ended === "interrupted" ? -ERESTARTNOHAND : found;
}
