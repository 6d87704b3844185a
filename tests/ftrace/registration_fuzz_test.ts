/**
 * Random registrations, filters, direct calls and switches: at every moment a site is what its
 * record says, and calls reach exactly who asks for them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createHash, hashAllows } from "../../lib/ftrace/ops/filter.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { AnyFtraceOps, FtraceOps } from "../../lib/ftrace/ops/ftrace_ops.ts";
import {
  FTRACE_FL_CALL_OPS_EN,
  FTRACE_FL_DIRECT_EN,
  FTRACE_FL_ENABLED,
  ftraceRefCount,
} from "../../lib/patcher/dyn_ftrace.ts";
import { createRandom } from "../engine/random.ts";
import { type MadeGuest, makeFirmware, tracedFirmware } from "./made_guest.ts";

const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];
const CALLS = NAMES.map((_, k) => `call f${k}`).join("\n");
const PROGRAM = makeFirmware(
  NAMES.map((name) => ({ name })),
  `1: ${CALLS}\nround: nop\nj 1b`,
  "direct: jr t0\nother: jr t0",
);
const STEPS = 150;

/** An ops, and the sites that it was called at in the last round. */
interface Member {
  readonly ops: AnyFtraceOps;
  readonly direct: boolean;
  readonly seen: string[];
}

/** Compares every record with its site's words. */
function checkSites({ ftrace, machine }: MadeGuest, members: readonly Member[]): void {
  const { core, era, records } = ftrace;
  const { view } = machine.memory;
  for (const record of records) {
    const { flags, entry, name, index } = record;
    const users = members.filter(({ ops }) => hashAllows(ops.hash!, index));
    assertEquals(ftraceRefCount(record), users.length, name);
    const on = core.enabled && users.length > 0;
    assertEquals((flags & FTRACE_FL_ENABLED) !== 0, on, name);
    const target = core.targetOf(record);
    const found = [0n, 4n].map((offset) => view.getUint32(Number(entry + offset), true));
    const bytes = new Uint8Array(8);
    const writes = on
      ? [...era.scheme.initial(entry, target), ...era.scheme.makeCall(entry, target)]
      : [...era.scheme.initial(entry, core.targetOf(record))];
    for (const { address, bytes: written } of writes) {
      if (address >= entry) bytes.set(written, Number(address - entry));
    }
    assertEquals(found, [...new Uint32Array(bytes.buffer)], `${era.name} ${name}`);
    const alone = on && users.length === 1;
    assertEquals((flags & FTRACE_FL_DIRECT_EN) !== 0, alone && users[0]!.direct, name);
    if (!era.opsLiteral) continue;
    const literal = view.getBigUint64(Number(entry) - 8, true);
    assertEquals(literal, target.ops, name);
    const named = (flags & FTRACE_FL_CALL_OPS_EN) !== 0;
    assertEquals(named, on && literal !== core.area.ops(0), name);
  }
}

for (const era of ["regs", "args", "preset", "call-ops"] as const) {
  for (const trampoline of ["guest", "fast"] as const) {
    Deno.test(`sites and records agree through ${STEPS} random changes (${era}, ${trampoline})`, async () => {
      const random = createRandom(20261125);
      const guest = tracedFirmware(PROGRAM, { era, trampoline });
      const { ftrace, machine } = guest;
      machine.engine.hook(Number(ftrace.lookup("round")!), {
        host() {
          machine.requestStop();
          return "stop";
        },
      });
      const { IPMODIFY, PID, RCU, RECURSION, SAVE_REGS_IF_SUPPORTED, STUB } = ftrace.flags;
      const flagSets = [0, 0, RECURSION, RCU, PID, SAVE_REGS_IF_SUPPORTED, STUB, IPMODIFY];
      const { below } = random;
      const names = () => Array.from({ length: 1 + below(3) }, () => NAMES[below(8)]!);
      const members: Member[] = [];
      const text = () => machine.memory.bytes.slice(0x80000000, 0x80001000);
      const before = text();
      let refused = 0;
      let calls = 0;

      const unregister = ({ ops, direct }: Member) =>
        direct ? ftrace.unregisterFtraceDirect(ops, 0n) : ftrace.unregisterFtraceFunction(ops);
      const changes = [
        () => {
          const seen: string[] = [];
          const ops: FtraceOps = {
            func: (ip) => void seen.push(ftrace.symbol(ip)!),
            flags: flagSets[below(flagSets.length)]!,
            hash: createHash(),
          };
          for (let k = below(4); k > 0; k--) ops.hash!.filter.add(below(8));
          if (below(3) === 0) ops.hash!.notrace.add(below(8));
          ftrace.registerFtraceFunction(ops);
          members.push({ ops, direct: false, seen });
        },
        () => {
          const ops: AnyFtraceOps = { hash: createHash() };
          ops.hash!.filter.add(below(8));
          ftrace.registerFtraceDirect(ops, ftrace.lookup("direct")!);
          members.push({ ops, direct: true, seen: [] });
        },
        () => {
          const [member] = members.splice(below(members.length + 1), 1);
          if (member) unregister(member);
        },
        () => {
          const member = members[below(members.length + 1)];
          if (!member) return;
          if (member.direct) ftrace.modifyFtraceDirect(member.ops, ftrace.lookup("other")!);
          else ftrace.ftraceSetFilter(member.ops, names(), { reset: below(2) === 0 });
        },
        () => ftrace.core.setEnabled(below(4) > 0),
      ];
      for (let step = 0; step < STEPS; step++) {
        try {
          changes[below(changes.length)]!();
        } catch (error) {
          if (!(error instanceof FtraceError)) throw error;
          refused++;
        }
        checkSites(guest, members);
        for (const { seen } of members) seen.length = 0;
        assertEquals(await machine.run(), { kind: "interrupted" });
        for (const { ops, direct, seen } of members) {
          if (direct) continue;
          const silent = !ftrace.core.enabled || (ops.flags! & STUB) !== 0;
          const wanted = NAMES.filter((_, k) => !silent && hashAllows(ops.hash!, k));
          assertEquals(seen.toSorted(), wanted, `step ${step}`);
          calls += seen.length;
        }
      }
      assertEquals(guest.reports, []);
      assertEquals([refused > 0, calls > STEPS], [true, true]);
      members.forEach(unregister);
      ftrace.core.setEnabled(true);
      assertEquals(text(), before);
    });
  }
}
