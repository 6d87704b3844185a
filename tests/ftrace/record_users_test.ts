import { assert, assertEquals } from "@std/assert";
import { FTRACE_FL_ENABLED, ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import { createHash } from "../../lib/ftrace/ops/filter.ts";
import { makeFirmware, makeManyFunctions, tracedFirmware } from "./made_guest.ts";

const RECORDS = 60_000;
const { ftrace } = tracedFirmware(makeManyFunctions(RECORDS), { era: "call-ops" });
const { core, records } = ftrace;

/** Records that updates look at while `body` runs. */
function visits(body: () => void): number {
  const before = core.visitedRecords;
  body();
  return core.visitedRecords - before;
}

const users = () => records.reduce((sum, record) => sum + ftraceRefCount(record), 0);
const enabled = () => records.filter(({ flags }) => flags & FTRACE_FL_ENABLED).length;

Deno.test("update() looks at one record for each of 200 ops that trace one function of 60,000", () => {
  assertEquals(records.length, RECORDS);
  const names = Array.from({ length: 200 }, (_, k) => `fn_${k * 300}`);
  const registrations: Disposable[] = [];
  assertEquals(
    visits(() => {
      for (const name of names) {
        registrations.push(ftrace.registerFtraceFunction({ func() {}, filter: [name] }));
      }
    }),
    200,
  );
  assertEquals([users(), enabled()], [200, 200]);
  assertEquals(visits(() => registrations.forEach((each) => each[Symbol.dispose]())), 200);
  assertEquals([users(), enabled()], [0, 0]);
});

Deno.test("update() looks at what differs when a filter changes, beside an ops that traces all", () => {
  const all = ftrace.registerFtraceFunction({ func() {} });
  const ops = { func() {}, filter: ["fn_1", "fn_2", "fn_3"] };
  const few = ftrace.registerFtraceFunction(ops);
  assertEquals(users(), RECORDS + 3);
  assertEquals(visits(() => ftrace.ftraceSetFilter(ops, ["!fn_2"])), 1);
  assertEquals(visits(() => ftrace.ftraceSetFilter(ops, ["fn_3", "fn_4"], { reset: true })), 2);
  assertEquals(visits(() => ftrace.ftraceSetNotrace(ops, ["fn_4"])), 1);
  assertEquals(ftraceRefCount(records[4]!), 1);
  assertEquals(visits(() => few.unregister()), 2);
  assertEquals(visits(() => all.unregister()), RECORDS);
  assertEquals([users(), enabled()], [0, 0]);
});

Deno.test("update() looks at records with users only when tracing goes off and on, at none for a pid", () => {
  const { set_ftrace_pid } = ftrace.filterFiles.files;
  using _ = ftrace.registerFtraceFunction({ func() {}, filter: ["fn_5", "fn_6"] });
  assertEquals(visits(() => core.setEnabled(false)), 2);
  assertEquals([users(), enabled()], [2, 0]);
  assertEquals(visits(() => core.setEnabled(true)), 2);
  assertEquals([users(), enabled()], [2, 2]);
  assertEquals(visits(() => set_ftrace_pid.write("1")), 0);
  assertEquals(visits(() => set_ftrace_pid.write("")), 0);
});

Deno.test("update() sees what was done to a hash directly, be its sets of createHash() or plain ones", () => {
  for (const hash of [createHash(), { ...createHash(), filter: new Set<number>() }]) {
    hash.filter.add(7);
    using _ = ftrace.registerFtraceFunction({ func() {}, hash });
    hash.filter.add(8);
    assertEquals(visits(() => core.update()), 1);
    assertEquals([ftraceRefCount(records[7]!), ftraceRefCount(records[8]!)], [1, 1]);
    hash.filter.clear();
    core.update();
    assertEquals(users(), RECORDS);
  }
  assertEquals(users(), 0);
});

Deno.test("an update that was refused half way is made up for by the next one", () => {
  const guest = tracedFirmware(makeManyFunctions(20_000), { era: "call-ops" });
  const { ftrace } = guest;
  const hashes = [0, 1, 2, 3, 4, 5].map((k) => {
    const hash = createHash();
    for (let index = k; index < 20_000; index++) hash.filter.add(index);
    return hash;
  });
  // Each table is as large as a filter of 20,000 functions: at some point the range has no room.
  let refused = 0;
  for (const hash of hashes) {
    try {
      ftrace.registerFtraceFunction({ func() {}, hash });
    } catch {
      refused++;
    }
  }
  assert(refused > 0 && refused < hashes.length);
  const counts = new Set(ftrace.records.slice(5).map(ftraceRefCount));
  assertEquals([...counts], [hashes.length - refused]);
});

for (const era of ["regs", "args", "preset", "call-ops"] as const) {
  Deno.test(`sites are switched once the list is published, and before a single ops is, in ${era}`, () => {
    const program = makeFirmware([{ name: "a" }, { name: "b" }]);
    const { ftrace, machine } = tracedFirmware(program, { era });
    const { symbols, data } = ftrace.core.area.trampolines;
    const { space } = machine;
    const names = new Map<bigint, string>();
    const name = (address: bigint | undefined, what: string) =>
      address === undefined ? undefined : names.set(address, what);
    name(data.ftrace_ops_list, "list");
    name(data.ftrace_call_dest, "trampoline");
    name(symbols.ftrace_call, "trampoline");
    for (const { entry } of ftrace.records) {
      for (const offset of [-8n, 0n, 4n]) name(entry + offset, "site");
    }
    const writes: string[] = [];
    const poke = space.poke.bind(space);
    space.poke = (address, bytes) => {
      const what = names.get(address);
      if (what !== undefined && writes.at(-1) !== what) writes.push(what);
      return poke(address, bytes);
    };
    const order = (body: () => void) => {
      writes.length = 0;
      body();
      return writes.join(" ");
    };
    const func = ftrace.functionTraceCall;
    const first = ftrace.registerFtraceFunction({ func, filter: ["a"] });
    // With CALL_OPS no site asks the trampoline whom to call; its site names an ops that is linked.
    const expected = data.ftrace_call_dest === undefined && symbols.ftrace_call === undefined
      ? "list site"
      : "list trampoline site trampoline";
    assertEquals(expected === "list site", era === "call-ops");
    assertEquals(
      order(() => ftrace.registerFtraceFunction({ func, filter: ["b"] })),
      expected,
    );
    assertEquals(order(() => first.unregister()), expected);
  });
}
