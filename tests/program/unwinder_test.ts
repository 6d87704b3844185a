/**
 * Return addresses found from a hart's registers and frames.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { createUnwinder } from "../../lib/program/unwinder.ts";
import { SymbolTable } from "../../lib/program/symbols.ts";
import { traced } from "../ftrace/guest.ts";
import { EXECUTE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";

const TEXT = 0x80000000n;
const STACK = 0x80010000n;
const RA = 1;
const SP = 2;
const S0 = 8;

/** What a hart sees. */
const memoryOf = ({ space }: Hart) => ({
  read: (address: bigint, length: number) => space.read(address, length),
  fetchable: (address: bigint) => space.allows(address, 2, EXECUTE),
});

/** A hart's frames as a program without symbols has them. */
const backtrace = (hart: Hart): readonly bigint[] =>
  createUnwinder(memoryOf(hart), new SymbolTable([]), memoryOf).backtrace(hart);

/** A hart at the start of text, its stack empty, with frame records `[at, fp, ra]`. */
function hartWith(...records: readonly (readonly [bigint, bigint, bigint])[]): Hart {
  const memory = new Memory();
  memory.map(Number(TEXT), 0x1000, READ | EXECUTE);
  memory.map(Number(STACK), 0x10000, READ | WRITE);
  for (const [frame, back, ra] of records) {
    memory.view.setBigUint64(Number(frame - 16n), back, true);
    memory.view.setBigUint64(Number(frame - 8n), ra, true);
  }
  const hart = new Hart(0, memory, "M");
  hart.pc = TEXT;
  hart.x[RA] = TEXT + 0x10n;
  hart.x[SP] = STACK;
  hart.x[S0] = records[0]?.[0] ?? 0n;
  return hart;
}

Deno.test("backtrace() gives pc and ra when there are no frame pointers", () => {
  assertEquals(backtrace(hartWith()), [TEXT, TEXT + 0x10n]);
});

Deno.test("backtrace() walks frames outward when there are frame pointers", () => {
  const hart = hartWith(
    // The innermost frame holds the ra that the register still has; it is told once.
    [STACK + 0x20n, STACK + 0x40n, TEXT + 0x10n],
    [STACK + 0x40n, STACK + 0x80n, TEXT + 0x20n],
    [STACK + 0x80n, 0n, TEXT + 0x30n],
  );
  assertEquals(backtrace(hart), [0n, 0x10n, 0x20n, 0x30n].map((offset) => TEXT + offset));
});

Deno.test("backtrace() tells each call of a recursion when they all return to the same place", () => {
  const again = TEXT + 0x10n;
  const hart = hartWith(
    [STACK + 0x20n, STACK + 0x40n, again],
    [STACK + 0x40n, STACK + 0x60n, again],
    [STACK + 0x60n, STACK + 0x80n, again],
    [STACK + 0x80n, 0n, TEXT + 0x30n],
  );
  assertEquals(backtrace(hart), [TEXT, again, again, again, TEXT + 0x30n]);
});

Deno.test("backtrace() stops when a frame does not lie further out, is misaligned or has no code", () => {
  const first = [STACK + 0x20n, STACK + 0x40n, TEXT + 0x20n] as const;
  const expected = [TEXT, TEXT + 0x10n, TEXT + 0x20n];
  assertEquals(backtrace(hartWith([first[0], first[0], first[2]])), expected, "itself");
  assertEquals(backtrace(hartWith([first[0], STACK + 0x1cn, first[2]])), expected, "misaligned");
  assertEquals(backtrace(hartWith(first, [first[1], 0n, STACK])), expected, "no code");
  assertEquals(backtrace(hartWith([first[0], 1n << 40n, first[2]])), expected, "no memory");
});

Deno.test("backtrace() leaves ra out when nothing can be executed there", () => {
  const hart = hartWith();
  hart.x[RA] = -8n;
  assertEquals(backtrace(hart), [TEXT]);
});

Deno.test("backtrace() ends after 64 addresses when frames never end", () => {
  const records = Array.from({ length: 200 }, (_, k) => {
    const frame = STACK + 0x20n * BigInt(k + 1);
    return [frame, frame + 0x20n, TEXT + BigInt(0x20 + 4 * k)] as const;
  });
  assertEquals(backtrace(hartWith(...records)).length, 64);
});

for (const name of ["calls_p84", "calls_p4a2", "exceptions_p84"]) {
  Deno.test(`frames() finds every open traced call at each entry of ${name}, though returns are hidden`, async () => {
    const { machine, ftrace, run } = await traced(name);
    const { unwinder, harts } = machine;
    const hart = harts[0]!;
    const open: { sp: bigint; site: number }[] = [];
    let compared = 0;
    const wrong = new Set<string>();
    ftrace.registerFtraceGraph({
      entryFunc({ site, returns }, fregs) {
        const { entry, name: here } = ftrace.records[site]!;
        const sp = fregs.stackPointer;
        const start = { pc: entry, sp, ra: fregs.returnAddress, s0: hart.x[S0]! };
        const frames = unwinder.frames(hart, start);
        open.forEach((caller, k) => {
          // Who has left by a tail call is open, but no longer on the stack.
          if ((open[k + 1]?.sp ?? sp) === caller.sp) return;
          const outer = frames.findLastIndex((frame) => frame.sp === caller.sp);
          const inner = frames[outer - 1];
          const found = inner && machine.symbols.at(inner.pc - 1n)?.symbol.name;
          const { name: expected } = ftrace.records[caller.site]!;
          compared++;
          if (frames.length < 64 && found !== expected) {
            wrong.add(`${expected} > ${here}: ${found}`);
          }
        });
        if (returns) open.push({ sp, site });
        return true;
      },
      retFunc: () => void open.pop(),
    });
    await run();
    assertEquals([...wrong], []);
    assert(compared > 300, String(compared));
  });
}

Deno.test("a fault's backtrace names the callers while return_to_handler hides them", async () => {
  const { machine, ftrace, run } = await traced("fault_p84");
  ftrace.registerFtraceGraph({ entryFunc: () => true });
  const outcome = await run();
  const backtraced = outcome.kind === "signal" ? outcome.backtrace : [];
  const names = backtraced.map((pc, k) => machine.symbols.at(k === 0 ? pc : pc - 1n)?.symbol.name);
  // program() has left by a tail call to outer().
  assertEquals(names, ["store_wild", "inner", "outer", "tiny_main", "_start"]);
});
