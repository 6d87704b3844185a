/**
 * `stack`: the deepest the stack has been, with the size of each frame on it.
 *
 * The kernel's stack tracer looks for return addresses on the stack, so the function that was
 * entered is not among them and its list begins with the tracer's own trampoline. Here the entries
 * of open calls are known with their stack pointers: the list begins with the function itself, its
 * frame taken from its instructions, and its caller follows. What functions without a
 * call site took is part of the traced frame around them.
 *
 * @module
 */
import {
  defineTracer,
  type DynFtrace,
  type Ftrace,
  type FtraceHash,
  type FtraceRegs,
  type Tracer,
  type TracerReport,
} from "../mod.ts";

/** A traced call that has not returned. */
interface Frame {
  readonly record: DynFtrace;
  readonly sp: number;
  readonly parentIp: bigint;
}

/** The calls on one guest stack, outermost first, and where it begins. */
interface Stack {
  base: number;
  readonly frames: Frame[];
}

/** Where the stack was deepest, and what the innermost function takes of it itself. */
type Deepest = Readonly<{ depth: number; own: number; base: number; frames: readonly Frame[] }>;

/** Reports the deepest stack and its frames, as the kernel's stack tracer does. */
const stackTracer: Tracer = defineTracer({
  name: "stack",
  description: "the deepest the stack has been, with the size of each frame",
  options: {
    above: {
      description: "say at once when a call takes the stack deeper than this",
      default: 0,
      min: 0,
    },
  },
  example: "-p stack --set stack.above=65536 ./prog",
  init(ftrace, { above }) {
    const { machine, records, guest, globalHash } = ftrace;
    const stacks = new Map<number, Stack>();
    const ownSizes = new Map<number, number>();
    let deepest: Deepest = { depth: -1, own: 0, base: 0, frames: [] };
    let limit = above || Infinity;
    const initial = guest.currentHart.addressIn(2);
    const registered = ftrace.registerFtraceGraph({
      name: "stack",
      hash: globalHash,
      entryFunc(entry, fregs) {
        const sp = Number(BigInt.asIntN(64, fregs.stackPointer));
        const identity = machine.stackIdentity(guest.currentHart, sp);
        const base = identity === 0 ? initial : sp;
        let stack = stacks.get(entry.stack);
        if (!stack) stacks.set(entry.stack, stack = { base, frames: [] });
        const { frames } = stack;
        // Without an open call, the number may have come to another stack.
        if (frames.length === 0) stack.base = base;
        stack.base = Math.max(stack.base, sp);
        // A frame at the same sp has ended in a jump to this function.
        while (frames.length > 0 && frames.at(-1)!.sp <= sp) frames.pop();
        const record = records[entry.site]!;
        const frame = { record, sp, parentIp: entry.parentIp };
        frames.push(frame);
        entry.data = { stack, frame };
        let own = ownSizes.get(entry.site);
        if (own === undefined) {
          ownSizes.set(entry.site, own = machine.unwinder.frameSize(record.entry) ?? 0);
        }
        const depth = stack.base - sp + own;
        if (depth > limit) {
          limit = Infinity;
          ftrace.print(`stack: ${depth} bytes in ${record.name}, more than ${above}`);
        }
        if (depth > deepest.depth) {
          const all = isFiltered(globalHash) ? unwound(ftrace, frame, fregs, stack.base) : frames;
          deepest = { depth, own, base: stack.base, frames: [...all] };
        }
        return true;
      },
      retFunc({ data }) {
        const { stack, frame } = data as { stack: Stack; frame: Frame };
        const at = stack.frames.lastIndexOf(frame);
        if (at >= 0) stack.frames.length = at;
      },
    });
    const report: TracerReport = {
      lines() {
        const head = `        Depth    Size   Location    (${deepest.frames.length} entries)`;
        return [head, "        -----    ----   --------", ...rows(ftrace, deepest)];
      },
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        for (const line of report.lines()) ftrace.print(line);
      },
    };
    return report;
  },
});
export default stackTracer;

/** Whether some calls are no frames of ours, because they are not traced. */
const isFiltered = ({ filter, notrace }: FtraceHash): boolean => filter.size + notrace.size > 0;

/** The frames from `inner` out, outermost first, of all functions with a record, traced or not. */
function unwound(ftrace: Ftrace, inner: Frame, fregs: FtraceRegs, base: number): readonly Frame[] {
  const { machine, records, guest } = ftrace;
  const { stackPointer: sp, returnAddress: ra, framePointer: s0 } = fregs;
  const start = { pc: inner.record.entry, sp, ra, s0 };
  const all = machine.unwinder.frames(guest.currentHart, start, 500);
  const byEntry = new Map(records.map((record) => [record.entry, record]));
  const frames = all.flatMap(({ pc }, k): Frame[] => {
    const record = k === 0
      ? inner.record
      : byEntry.get(machine.symbols.at(pc)?.symbol.address ?? -1n);
    const parentIp = all[k + 1]?.pc ?? 0n;
    // What a function has at its entry is what its caller has where it calls.
    const entry = k === 0 ? inner.sp : Number(BigInt.asIntN(64, all[k + 1]?.sp ?? BigInt(base)));
    return record ? [{ record, sp: entry, parentIp }] : [];
  });
  return frames.reverse();
}

function rows(ftrace: Ftrace, { depth, own, base, frames }: Deepest): string[] {
  const inner = [...frames].reverse();
  return inner.map(({ record, sp }, k) => {
    const called = inner[k - 1];
    const from = called ? base - called.sp : depth;
    const to = k === inner.length - 1 ? 0 : base - sp;
    const size = called ? from - to : to === 0 ? depth : own;
    // A caller without a site stands in the traced function around it.
    const place = ftrace.guest.symbolText(called ? called.parentIp : record.entry);
    const inside = called && ftrace.symbol(called.parentIp) !== record.name;
    return `${String(k).padStart(3)}) ${String(from).padStart(8)}   ${
      String(size).padStart(5)
    }   ${place}${inside ? ` in ${record.name}` : ""}`;
  });
}
