/**
 * The system calls about memory.
 *
 * What is mapped where is `../mappings.ts`.
 *
 * @module
 */
import { EBADF, EINVAL, ENODEV, ENOMEM } from "../../files/errno.ts";
import type { Process } from "../process.ts";
import { int, size } from "./arguments.ts";
import { call, type CallArguments, type SystemCalls } from "./table.ts";

const PROT_WRITE = 2;
const MAP_TYPE = 0x0f, MAP_PRIVATE = 0x02, MAP_ANONYMOUS = 0x20;
const MADV_DONTNEED = 4;
const MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4;
const MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4, MLOCK_ONFAULT = 1;

/** Calls about memory, by name. */
export const MEMORY_CALLS: SystemCalls = {
  brk: call(["address"], ({ mappings }, [wanted]) => mappings.brk(wanted)),
  mmap: call(
    ["address", "size", "protection", "flags", "fd", "offset"],
    (process, [address, length, protection, flags, fd, offset]) => {
      const { mappings, files, space } = process;
      const anonymous = (int(flags) & MAP_ANONYMOUS) !== 0;
      if (anonymous) return mappings.mmap(address, length, int(protection), int(flags));
      const open = files.get(int(fd));
      if (!open) return -EBADF;
      if (open.kind !== "file") return -ENODEV;
      if (offset % 4096n !== 0n) return -EINVAL;
      // What the guest writes to a shared mapping would have to reach the file.
      const shared = (int(flags) & MAP_TYPE) !== MAP_PRIVATE;
      if (shared && (int(protection) & PROT_WRITE) !== 0) return -ENODEV;
      return mappings.mmap(address, length, int(protection), int(flags), (at) => {
        const data = new Uint8Array(size(length));
        const count = files.read(open, data, Number(offset));
        if (count > 0) space.poke(BigInt(at), data.subarray(0, count));
      });
    },
  ),
  munmap: call(
    ["address", "size"],
    ({ mappings }, [address, length]) => mappings.munmap(address, length),
  ),
  mprotect: call(
    ["address", "size", "protection"],
    ({ mappings }, [address, length, protection]) =>
      mappings.mprotect(address, length, int(protection)),
  ),
  mremap: call(
    ["address", "size", "size", "flags", "address"],
    ({ mappings }, [address, oldLength, newLength, flags]) =>
      mappings.mremap(address, oldLength, newLength, int(flags)),
  ),
  madvise: call(
    ["address", "size", "int"],
    ({ mappings }, [address, length, advice]) =>
      int(advice) === MADV_DONTNEED ? mappings.discard(address, length) : 0,
  ),
  // No page of the guest is ever swapped out, and no shared mapping can be written.
  mlock: call(["address", "size"], ifMapped),
  mlock2: call(
    ["address", "size", "flags"],
    (process, args) => (int(args[2]) & ~MLOCK_ONFAULT) !== 0 ? -EINVAL : ifMapped(process, args),
  ),
  munlock: call(["address", "size"], ifMapped),
  mlockall: call(["flags"], (_process, [flags]) => {
    const known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    return flags === 0n || (int(flags) & ~known) !== 0 || int(flags) === MCL_ONFAULT ? -EINVAL : 0;
  }),
  munlockall: call([], () => 0),
  msync: call(["address", "size", "flags"], (process, args) => {
    const asked = int(args[2]);
    if ((asked & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || args[0] % 4096n !== 0n) {
      return -EINVAL;
    }
    if (asked & MS_ASYNC && asked & MS_SYNC) return -EINVAL;
    return ifMapped(process, args);
  }),
  riscv_flush_icache: call(["address", "address", "flags"], ({ harts }, [start, end]) => {
    for (const hart of harts) hart.fetched.drop(Number(start), Number(end));
    return 0;
  }),
};

/** 0 if every page of a range is mapped, else ENOMEM. */
function ifMapped({ mappings }: Process, [address, length]: CallArguments): number {
  for (let at = address & ~4095n; at < address + length; at += 4096n) {
    if (!mappings.isMapped(at)) return -ENOMEM;
  }
  return 0;
}
