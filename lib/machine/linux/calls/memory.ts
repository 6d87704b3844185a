/**
 * The system calls about memory.
 *
 * What is mapped where is `../mappings.ts`.
 *
 * @module
 */
import { EBADF, EINVAL, ENODEV } from "../errno.ts";
import { int, size } from "./arguments.ts";
import { call, type SystemCalls } from "./table.ts";

const PROT_WRITE = 2;
const MAP_TYPE = 0x0f, MAP_PRIVATE = 0x02, MAP_ANONYMOUS = 0x20;
const MADV_DONTNEED = 4;

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
  riscv_flush_icache: call(["address", "address", "flags"], ({ harts }, [start, end]) => {
    for (const hart of harts) hart.fetched.drop(Number(start), Number(end));
    return 0;
  }),
};
