import { assertEquals } from "@std/assert";
import type { Hook } from "../../lib/engine/engine.ts";
import { INSTRET, OVERHEAD, PC } from "../../lib/hart/state.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { READ } from "../../lib/memory/page.ts";
import { ENGINES } from "./engines.ts";
import {
  CODE,
  createGuest,
  DATA,
  describeStop,
  type Guest,
  NOTHING,
  resetGuest,
  setRegisters,
  TRACING,
} from "./guest.ts";

const HOST_CALL = ".word 0x0000000b";

/** Puts assembled text at an address. */
function load(guest: Guest, source: string, at = CODE): void {
  guest.memory.poke(at, assemble(source, { origin: BigInt(at) }).bytes);
}

/** What a case does with a guest, and what every engine must say about it. */
interface Case {
  readonly name: string;
  readonly check: (guest: Guest) => void;
}

const LOOP = "loop: addi a0, a0, 1\naddi a1, a1, -1\nbnez a1, loop\nebreak";

const CASES: readonly Case[] = [
  {
    name: "stops exactly at the limit, whatever it is",
    check(guest) {
      for (let until = 0n; until < 40n; until++) {
        resetGuest(guest);
        load(guest, LOOP);
        setRegisters(guest, { a1: 1000n });
        assertEquals(guest.engine.run(guest.hart, until).kind, "limit");
        assertEquals(guest.hart.instret, until);
        assertEquals(guest.hart.x[10], (until + 2n) / 3n);
      }
    },
  },
  {
    name: "runs a loop longer than one slice of fuel",
    check(guest) {
      load(guest, LOOP);
      setRegisters(guest, { a1: 300_000n });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10_000_000n)),
        "trap 3 value 0x1000c at 0x1000c",
      );
      assertEquals([guest.hart.x[10], guest.hart.instret], [300_000n, 900_000n]);
    },
  },
  {
    name: "traps precisely: nothing of the instruction has happened",
    check(guest) {
      load(guest, "li a0, 1\nld a0, 8(a1)\nli a0, 2");
      setRegisters(guest, { a1: BigInt(NOTHING) });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 5 value 0x30008 at 0x10004",
      );
      assertEquals([guest.hart.x[10], guest.hart.instret, guest.hart.pc], [1n, 1n, 0x10004n]);
    },
  },
  {
    name: "names the second page where only that refuses a misaligned store",
    check(guest) {
      load(guest, "sd a0, 0(a1)");
      guest.memory.protect(DATA + 4096, 4096, READ);
      setRegisters(guest, { a0: -1n, a1: BigInt(DATA + 4092) });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 7 value 0x21000 at 0x10000",
      );
      assertEquals(guest.memory.view.getUint32(DATA + 4092, true), 0);
    },
  },
  {
    name: "faults on an address with a bit above 31 set",
    check(guest) {
      load(guest, "lw a0, 0(a1)");
      setRegisters(guest, { a1: (1n << 40n) + BigInt(DATA) });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 5 value 0x10000020000 at 0x10000",
      );
    },
  },
  {
    name: "jumps beyond 4 GiB and faults there",
    check(guest) {
      load(guest, "jr a0");
      setRegisters(guest, { a0: 1n << 33n });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 1 value 0x200000000 at 0x200000000",
      );
      assertEquals(guest.hart.instret, 1n);
    },
  },
  {
    name: "executes what it fetched until fence.i, then what is there",
    check(guest) {
      load(
        guest,
        "addi a0, a0, 1\nsw a2, 0(a1)\nbnez a3, done\nli a3, 1\nj -16\ndone: ebreak"
          .replace("j -16", "jr a1"),
      );
      const patch = assemble("addi a0, a0, 100").bytes;
      setRegisters(guest, {
        a1: BigInt(CODE),
        a2: BigInt(new DataView(patch.buffer, patch.byteOffset).getUint32(0, true)),
      });
      guest.engine.run(guest.hart, 100n);
      assertEquals(guest.hart.x[10], 2n, "the store is not seen");
      guest.hart.fetched.drop();
      guest.hart.pc = BigInt(CODE);
      guest.engine.run(guest.hart, 100n);
      assertEquals(guest.hart.x[10], 102n, "after the fence it is");
    },
  },
  {
    name: "sees its own store behind its own fence.i",
    check(guest) {
      load(guest, "sw a2, 12(a1)\nfence.i\nnop\naddi a0, a0, 1\nebreak");
      const patch = assemble("addi a0, a0, 100").bytes;
      setRegisters(guest, {
        a1: BigInt(CODE),
        a2: BigInt(new DataView(patch.buffer, patch.byteOffset).getUint32(0, true)),
      });
      guest.engine.run(guest.hart, 100n);
      assertEquals(guest.hart.x[10], 100n);
    },
  },
  {
    name: "runs across the end of a page, and into one that is missing",
    check(guest) {
      load(guest, "nop\nli a0, 7\nnop", CODE + 4094);
      guest.hart.pc = BigInt(CODE + 4094);
      guest.engine.run(guest.hart, 3n);
      assertEquals([guest.hart.x[10], guest.hart.pc], [7n, BigInt(CODE + 4094 + 12)]);
      load(guest, ".half 1", CODE + 8190);
      guest.hart.pc = BigInt(CODE + 8190);
      guest.hart.instret = 0n;
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 1 value 0x12000 at 0x12000",
      );
      guest.hart.fetched.drop();
      load(guest, ".half 3", CODE + 8190);
      guest.hart.fetched.drop();
      guest.hart.pc = BigInt(CODE + 8190);
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 1 value 0x12000 at 0x11ffe",
      );
    },
  },
  {
    name: "counts the tracing range as overhead, and allows host calls only there",
    check(guest) {
      load(guest, "jalr ra, 0(a0)\nebreak");
      load(guest, `nop\nnop\nret\n${HOST_CALL}`, TRACING);
      setRegisters(guest, { a0: BigInt(TRACING) });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 3 value 0x10004 at 0x10004",
      );
      assertEquals([guest.hart.instret, guest.hart.overhead], [1n, 3n]);
      guest.hart.pc = BigInt(TRACING + 12);
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 10n)),
        "trap 24 value 0x0 at 0x7ff0000c",
      );
      load(guest, HOST_CALL, CODE + 64);
      guest.hart.pc = BigInt(CODE + 64);
      assertEquals(describeStop(guest.engine.run(guest.hart, 10n)), "trap 2 value 0xb at 0x10040");
    },
  },
  {
    name: "asks a hook once for each arrival, and lets it move, stop and go",
    check(guest) {
      load(guest, LOOP);
      setRegisters(guest, { a1: 5n });
      let asked = 0;
      const hook = guest.engine.hook(CODE + 4, {
        host() {
          asked++;
          if (asked === 3) return "stop";
        },
      });
      assertEquals(guest.engine.run(guest.hart, 100n).kind, "stopped");
      assertEquals([asked, guest.hart.x[10], guest.hart.pc], [3, 3n, BigInt(CODE + 4)]);
      guest.engine.run(guest.hart, 100n);
      assertEquals([asked, guest.hart.x[10]], [5, 5n]);
      hook[Symbol.dispose]();
      guest.hart.pc = BigInt(CODE);
      setRegisters(guest, { a1: 2n });
      using _moved = guest.engine.hook(CODE + 8, {
        host(hart) {
          hart.pc = BigInt(CODE + 12);
        },
      });
      assertEquals(
        describeStop(guest.engine.run(guest.hart, 100n)),
        "trap 3 value 0x1000c at 0x1000c",
      );
      assertEquals([asked, guest.hart.x[10]], [5, 6n]);
    },
  },
  {
    name:
      "asks a breakpoint before the hook there, once for each arrival, and goes on with the hook",
    check(guest) {
      load(guest, LOOP);
      setRegisters(guest, { a1: 3n });
      const asked: string[] = [];
      const at = CODE + 4;
      // The hook leads the hart away and back, as one that enters a trampoline does.
      let away = false;
      using _hook = guest.engine.hook(at, {
        host(hart) {
          asked.push("hook");
          hart.overhead += 5n;
          away = !away;
          if (away) hart.pc = BigInt(at);
        },
      });
      const place = guest.engine.breakAt(at, (hart) => {
        asked.push("break");
        return hart.x[10]! < 3n;
      });
      const stops = [1, 2, 3].map(() => guest.engine.run(guest.hart, 100n).kind);
      assertEquals(stops, ["stopped", "stopped", "trap"]);
      assertEquals(asked.join(" "), "break hook break hook break hook");
      assertEquals([guest.hart.x[10], guest.hart.instret, guest.hart.overhead], [3n, 9n, 15n]);
      place[Symbol.dispose]();
      guest.hart.pc = BigInt(CODE);
      setRegisters(guest, { a1: 1n });
      guest.engine.run(guest.hart, 100n);
      assertEquals(asked.at(-2), "hook");
    },
  },
  {
    name: "does the same through a thunk as through its host hook",
    check(guest) {
      load(guest, "jalr ra, 0(a0)\naddi a1, a1, 1\nj -8".replace("j -8", "jr s0"));
      setRegisters(guest, { a0: BigInt(TRACING), s0: BigInt(CODE) });
      let declined = 0;
      const hook: Hook = {
        host(hart) {
          declined++;
          hart.overhead += 5n;
          hart.pc = BigInt.asUintN(64, hart.x[1]!);
        },
        emit({ code, host }) {
          // Declines while a1 is 3.
          code.i32(0).access("i64.load", host, 0x1000 + 88).i64(3n).op("i64.eq").if();
          code.i32(0).op("return", "end");
          code.i32(0).i32(0).access("i64.load", host, OVERHEAD).i64(5n).op("i64.add");
          code.access("i64.store", host, OVERHEAD);
          code.i32(0).i32(0).access("i64.load", host, 0x1000 + 8).access("i64.store", host, PC);
          code.i32(1);
        },
      };
      using _hooked = guest.engine.hook(TRACING, hook);
      assertEquals(guest.engine.run(guest.hart, 30n).kind, "limit");
      assertEquals([guest.hart.x[11], guest.hart.overhead, guest.hart.instret], [10n, 50n, 30n]);
      // The reference knows no thunks, and thunks know no translation.
      const thunks = guest.engine.name !== "ref" && guest.hart.flat;
      assertEquals(declined, thunks ? 1 : 10);
      assertEquals(guest.memory.hostView.getBigUint64(INSTRET, true), 30n);
    },
  },
  {
    name: "stores conditionally only what is still reserved",
    check(guest) {
      load(guest, "lr.d a0, (a1)\nsc.d a2, a3, (a1)\nsc.d a4, a3, (a1)\nebreak");
      setRegisters(guest, { a1: BigInt(DATA), a3: 42n });
      guest.engine.run(guest.hart, 10n);
      assertEquals([guest.hart.x[12], guest.hart.x[14]], [0n, 1n]);
      assertEquals(guest.memory.view.getBigUint64(DATA, true), 42n);
    },
  },
  {
    name: "stores nothing conditionally where another value has been stored since",
    check(guest) {
      load(guest, "lr.d a0, (a1)\nsd a5, 0(a1)\nsc.d a2, a3, (a1)\nebreak");
      setRegisters(guest, { a1: BigInt(DATA), a3: 42n, a5: 7n });
      guest.engine.run(guest.hart, 10n);
      assertEquals([guest.hart.x[10], guest.hart.x[12]], [0n, 1n]);
      assertEquals(guest.memory.view.getBigUint64(DATA, true), 7n);
    },
  },
];

const KINDS = ENGINES.flatMap(({ name, make }) => [
  { engine: name, make, mode: "U" } as const,
  { engine: `${name}, translating,`, make, mode: "translated" } as const,
]);
for (const { engine, make, mode } of KINDS) {
  for (const { name, check } of CASES) {
    Deno.test(`run() of ${engine} ${name}`, () => {
      const guest = createGuest(make, mode);
      resetGuest(guest);
      check(guest);
    });
  }
}
