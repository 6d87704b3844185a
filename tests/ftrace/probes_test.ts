import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { type Fprobe, MAX_FPROBE_DATA_SIZE } from "../../lib/ftrace/returns/fprobe.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;

Deno.test("registerFprobe() hands the entry's data to the exit of the same call, in each era", async () => {
  for (const era of ERAS) {
    for (const trampoline of ["guest", "fast"] as const) {
      const guest = await traced("sample_p84", { era, trampoline });
      const { ftrace } = guest;
      const calls: string[] = [];
      ftrace.registerFprobe({
        entryDataSize: 16,
        entryHandler(_fp, _ip, _ret, fregs, data) {
          data!.setBigUint64(0, fregs.argument(0));
          data!.setBigUint64(8, fregs.argument(1));
        },
        exitHandler(_fp, _ip, _ret, fregs, data) {
          calls.push(`${data!.getBigUint64(0)},${data!.getBigUint64(8)}=${fregs.returnValue}`);
        },
      }, "common_coin");
      await guest.run();
      assertEquals(calls, [
        "1350,0=1350",
        "1350,1350=1350",
        "9,0=9",
        "234,9=9",
        "2115,234=9",
        "2349,2115=9",
        "2115,2349=9",
      ], `${era} ${trampoline}`);
    }
  }
});

Deno.test("an entry handler's result other than 0 cancels the exit handler of that call", async () => {
  const guest = await traced("sample_p84");
  let exits = 0, entries = 0;
  guest.ftrace.registerFprobe({
    entryHandler: () => entries++ % 2,
    exitHandler: () => void exits++,
  }, "price_of");
  await guest.run();
  assertEquals([entries, exits], [5, 3]);
});

Deno.test("an exit handler can change what the caller gets", async () => {
  const guest = await traced("sample_p84");
  guest.ftrace.registerFprobe({
    exitHandler: (_fp, _ip, _ret, fregs) => {
      fregs.returnValue = 1n;
    },
  }, "price_of");
  await guest.run();
  assertEquals(guest.output(), "total 2, payable in coins of 2\ntotal 3, payable in coins of 3\n");
});

Deno.test("registerFprobe() refuses as the kernel: no match, no symbol, no site, too much data, twice", async () => {
  const { ftrace } = await traced("sample_p84");
  const code = (body: () => unknown) => assertThrows(body, FtraceError).code;
  const probe: Fprobe = { exitHandler() {} };
  const refusals = [
    code(() => ftrace.registerFprobe(probe, "nosuch*")),
    code(() => ftrace.registerFprobeSyms(probe, ["bill", "nosuch"])),
    code(() => ftrace.registerFprobeIps(probe, [0x10003n])),
    code(() =>
      ftrace.registerFprobe({ ...probe, entryDataSize: MAX_FPROBE_DATA_SIZE + 1 }, "bill")
    ),
  ];
  ftrace.registerFprobe(probe, "bill");
  refusals.push(code(() => ftrace.registerFprobe(probe, "bill")));
  refusals.push(code(() => ftrace.unregisterFprobe({ exitHandler() {} })));
  assertEquals(refusals, ["ENOENT", "ENOENT", "ENOENT", "E2BIG", "EBUSY", "EINVAL"]);
});

Deno.test("registerFprobe() works in an era whose kernel has none and says so once; strict refuses", async () => {
  for (const era of ERAS) {
    const guest = await traced("sample_p84", { era });
    guest.ftrace.registerFprobe({ exitHandler() {} }, "bill");
    guest.ftrace.registerFprobe({ exitHandler() {} }, "price_of");
    const before = era === "args";
    assertEquals(guest.reports.length, before ? 1 : 0, era);
    if (!before) continue;
    assertMatch(guest.reports[0]!, /6\.14/);
    const strict = await traced("sample_p84", { era, strict: true });
    const error = assertThrows(
      () => strict.ftrace.registerFprobe({ exitHandler() {} }, "bill"),
      FtraceError,
    );
    assertEquals(error.code, "EOPNOTSUPP");
    assertMatch(error.message, /6\.14/);
  }
});

Deno.test("registerKprobe() answers with each era's errno, reason and replacement", async (t) => {
  const answers: string[] = [];
  for (const era of ERAS) {
    for (const at of ["bill", "bill+2", "bill+4", "bill+8", "nosuch"]) {
      const { ftrace, reports } = await traced("sample_p84", { era });
      try {
        ftrace.registerKprobe({ at, preHandler() {} });
        answers.push(`${era} ${at}: placed ${reports.join()}`);
      } catch (error) {
        if (!(error instanceof FtraceError)) throw error;
        const { code, reason, instead } = error;
        answers.push(`${era} ${at}: ${code} ${reason}; ${instead ?? "-"}`);
      }
    }
  }
  await assertSnapshot(t, answers.join("\n"));
});

Deno.test("kernelStackNth() and partialRegs() tell what ARGS has in place of pt_regs, in each era", async () => {
  for (const era of ERAS) {
    for (const trampoline of ["guest", "fast"] as const) {
      const { ftrace, machine, run } = await traced("sample_p84", { era, trampoline });
      let calls = 0;
      ftrace.registerFtraceFunction({
        filter: ["price_of"],
        hit(_site, fregs) {
          calls++;
          const partial = fregs.partialRegs();
          const [hart] = machine.harts;
          // The frames of the trampoline, and of the function that walks the list of ops where the
          // era has one between them, are below the function's on the guest path.
          const frame = era === "regs" ? 288n : 112n;
          const below = partial.sp - BigInt.asUintN(64, hart!.x[2]!);
          if (trampoline === "fast") assertEquals(below, 0n);
          else if (era === "call-ops") assertEquals(below, frame);
          else assert(below > frame && below < frame + 256n, String(below));
          assertEquals(partial.ra, fregs.returnAddress);
          assertEquals(partial.a[1], fregs.argument(1));
          assertEquals(fregs.getRegs(), null);
          for (const n of [0, 1, 5]) {
            const word = machine.memory.view.getBigUint64(Number(partial.sp) + 8 * n, true);
            assertEquals(fregs.kernelStackNth(n), word);
          }
          assertEquals(fregs.kernelStackNth(2 ** 30), 0n);
        },
      });
      await run();
      assertEquals(calls, 5, `${era} ${trampoline}`);
    }
  }
});
