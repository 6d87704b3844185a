/**
 * Whether guest text holds what the records say: each site switched on or off, its literal naming
 * the ops that its record has.
 *
 * @module
 */
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import { type DynFtrace, FTRACE_FL_ENABLED, ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import type { Write } from "../../lib/patcher/scheme.ts";

/** The records in whose site a kprobe is, armed or not. */
export function probedRecords({ kprobes, records }: Ftrace): readonly DynFtrace[] {
  const addresses = kprobes.list().split("\n").flatMap((line) => {
    const address = /^([0-9a-f]+) {2}[kr] /.exec(line)?.[1];
    return address === undefined ? [] : [BigInt(`0x${address}`)];
  });
  return records.filter(({ kind, entry }) =>
    kind === "patched" && addresses.some((at) => at >= entry && at < entry + 8n)
  );
}

/** Sites of `records` that deny them, in words; none if all is well. */
export function contradictions(
  ftrace: Ftrace,
  switchedOff = false,
  records: readonly DynFtrace[] = ftrace.records,
): readonly string[] {
  const { era, core, machine: { memory } } = ftrace;
  // A breakpoint may stand in a site; where it does is in the list.
  const probed = new Set(
    ftrace.kprobes.list().split("\n").flatMap((line) => {
      const address = /^([0-9a-f]+) {2}[kr] /.exec(line)?.[1];
      return address === undefined || line.includes("[DISABLED]") ? [] : [Number(`0x${address}`)];
    }),
  );
  const found: string[] = [];
  for (const record of records) {
    if (record.kind !== "patched") continue;
    const { entry, name } = record;
    const on = (record.flags & FTRACE_FL_ENABLED) !== 0;
    const users = ftraceRefCount(record);
    if (on !== (users > 0 && !switchedOff)) {
      found.push(`${name}: ${users} users, but ${on ? "enabled" : "not enabled"}`);
    }
    const target = core.targetOf(record);
    const expected = new Map<number, number>();
    const apply = (writes: readonly Write[]) => {
      for (const { address, bytes } of writes) {
        bytes.forEach((byte, k) => expected.set(Number(address) + k, byte));
      }
    };
    apply(era.scheme.initial(entry, target));
    if (on) apply(era.scheme.makeCall(entry, target));
    for (const [address, byte] of expected) {
      const word = address - (address % 4);
      if ([word, word + 2].some((at) => probed.has(at))) continue;
      if (memory.bytes[address] === byte) continue;
      found.push(
        `${name}: byte ${address - Number(entry)} is ${memory.bytes[address]}, not ${byte}; ` +
          (on ? "the site is on" : "the site is off"),
      );
      break;
    }
  }
  return found;
}
