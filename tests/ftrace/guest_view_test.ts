import { assert, assertEquals, assertMatch } from "@std/assert";
import { traced } from "./guest.ts";

Deno.test("guest.symbolText() gives name, offset and size when a symbol covers the address", async () => {
  const { ftrace } = await traced("sample_p84");
  const bill = ftrace.lookup("bill")!;
  assertMatch(ftrace.guest.symbolText(bill + 0x12n), /^bill\+0x12\/0x5a$/);
  assertEquals(ftrace.guest.symbolText(0x10n), "0x10");
});

Deno.test("guest.readString() reads up to the 0 byte, a page boundary or its limit", async () => {
  const { ftrace, machine } = await traced("sample_p84");
  const { memory } = machine;
  const at = 0x40000000;
  memory.map(at, 4096, 3);
  memory.poke(at, new TextEncoder().encode(`${"x".repeat(100)}\0rest`));
  memory.poke(at + 4090, new TextEncoder().encode("end"));
  memory.poke(at + 4093, new TextEncoder().encode("off"));
  const { guest } = ftrace;
  assertEquals(guest.readString(BigInt(at)), "x".repeat(100));
  assertEquals(guest.readString(BigInt(at), 3), "xxx");
  assertEquals(guest.readString(BigInt(at + 3000)), "");
  assertEquals(
    guest.readString(BigInt(at + 4090)),
    undefined,
    "it runs into a page that is not there",
  );
  assertEquals(guest.readString(BigInt(at + 4090), 6), "endoff");
  assertEquals(guest.readString(8n), undefined);
  assertEquals(guest.readString(-1n), undefined);
  memory.poke(at, new Uint8Array([0xff, 0x41, 0]));
  assertEquals(guest.readString(BigInt(at)), "\ufffdA");
});

Deno.test("guest.errno is the C library's in the task that runs", async () => {
  const { ftrace, run, output } = await traced("settings_p84");
  const seen: (number | undefined)[] = [];
  ftrace.registerFtraceFunction({
    filter: ["parse"],
    flags: ftrace.flags.IPMODIFY,
    func(_ip, _parentIp, _ops, fregs) {
      seen.push(ftrace.guest.errno);
      ftrace.guest.errno = 5;
      fregs.overrideWithReturn(0n);
    },
  });
  await run();
  assertEquals(seen, [0, 5, 5, 5]);
  assertMatch(output(), /timeout=30: Input\/output error/);
});

Deno.test("guest.errno is undefined, and setting it nothing, when the program has none", async () => {
  const { ftrace } = await traced("sample_p84");
  ftrace.guest.errno = 5;
  assertEquals(ftrace.guest.errno, undefined);
});

Deno.test("guest.random() gives the same numbers for the same seed", async () => {
  const of = async (seed: bigint) => {
    const { ftrace } = await traced("sample_p84", {}, { seed });
    return Array.from({ length: 100 }, () => ftrace.guest.random());
  };
  const first = await of(1n);
  assertEquals(first, await of(1n));
  assert(first.every((number) => number >= 0 && number < 1));
  assertEquals(new Set([...first, ...await of(2n)]).size, 200);
});

Deno.test("guest.now() is the virtual time of the hart", async () => {
  const { ftrace, machine, run } = await traced("sample_p84");
  assertEquals(ftrace.guest.now(), 0n);
  await run();
  assertEquals(ftrace.guest.now(), machine.harts[0]!.instret);
  assertEquals(ftrace.guest.currentHart, machine.harts[0]);
});
