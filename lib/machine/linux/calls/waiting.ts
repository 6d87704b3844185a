/**
 * The system calls that make pipes and eventfds, and that wait for descriptors.
 *
 * There is one thread: where no descriptor is ready, none becomes so while it waits. A time that is
 * given passes at once; without one the run is over.
 *
 * @module
 */
import type { Hart } from "../../../hart/hart.ts";
import { EBADF, EFAULT, EINVAL } from "../errno.ts";
import { MOST_DESCRIPTORS, O_NONBLOCK, type OpenFile } from "../files.ts";
import type { Process } from "../process.ts";
import { createPipe, EventCounter, POLLERR, POLLHUP, POLLIN, POLLOUT } from "../streams.ts";
import { deadlock, int } from "./arguments.ts";
import { call, type CallResult, type SystemCalls } from "./table.ts";
import { sleep } from "./time.ts";

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
  [at, count, timeout]: readonly bigint[],
  hart: Hart,
): CallResult {
  const { files, space } = process;
  if (count! > MOST_DESCRIPTORS) return -EINVAL;
  const data = space.read(at!, Number(count) * POLLFD_SIZE);
  if (!data) return -EFAULT;
  const view = new DataView(data.buffer);
  let found = 0;
  for (let k = 0; k < data.length; k += POLLFD_SIZE) {
    const descriptor = view.getInt32(k, true);
    const wanted = view.getInt16(k + 4, true) | POLLERR | POLLHUP;
    const open = files.get(descriptor);
    const events = descriptor < 0 ? 0 : open ? eventsOf(open) & wanted : POLLNVAL;
    view.setInt16(k + 6, events, true);
    if (events !== 0) found++;
  }
  if (!space.write(at!, data)) return -EFAULT;
  return found > 0 ? found : waitInVain(process, timeout!, hart);
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

function select(
  process: Process,
  [count, ...places]: readonly bigint[],
  hart: Hart,
): CallResult {
  const { files, space } = process;
  if (int(count!) < 0) return -EINVAL;
  const descriptors = Math.min(int(count!), MOST_DESCRIPTORS);
  const length = Math.ceil(descriptors / 64) * 8;
  let found = 0;
  const answers: (readonly [bigint, Uint8Array])[] = [];
  for (const [k, wanted] of SETS.entries()) {
    if (places[k] === 0n) continue;
    const asked = space.read(places[k]!, length);
    if (!asked) return -EFAULT;
    const answer = new Uint8Array(length);
    for (let descriptor = 0; descriptor < descriptors; descriptor++) {
      const bit = 1 << (descriptor & 7);
      if ((asked[descriptor >> 3]! & bit) === 0) continue;
      const open = files.get(descriptor);
      if (!open) return -EBADF;
      if ((eventsOf(open) & wanted) === 0) continue;
      answer[descriptor >> 3]! |= bit;
      found++;
    }
    answers.push([places[k]!, answer]);
  }
  const result = found > 0 ? found : waitInVain(process, places[3]!, hart);
  if (typeof result !== "number" || result < 0) return result;
  return answers.every(([at, answer]) => space.write(at, answer)) ? result : -EFAULT;
}

function waitInVain(process: Process, timeout: bigint, hart: Hart): number | CallResult {
  if (timeout !== 0n) return sleep(process, hart, timeout, 0n);
  return deadlock(
    process,
    hart,
    "its only thread waits for descriptors that it alone could make ready",
  );
}
