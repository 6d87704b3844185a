import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { KlpPatch } from "../../lib/ftrace/live/livepatch.ts";
import { programFile } from "../fixtures/expected.ts";
import { eventLines, graph, traced, type TracedGuest } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const PATHS = ["guest", "fast"] as const;

function patch(name: string, more: Partial<KlpPatch> = {}): KlpPatch {
  return { name, object: Deno.readFileSync(programFile(`${name}.o`)), ...more };
}

/** The totals that the program prints. */
async function totals(guest: TracedGuest): Promise<string[]> {
  assertEquals(await guest.run(), { kind: "exit", code: 0 });
  assertEquals(guest.reports.filter((line) => line.includes("Cannot")), []);
  return [...guest.output().matchAll(/total (\d+)/g)].map(([, total]) => total!);
}

function refusal(body: () => unknown): string {
  const { code, reason } = assertThrows(body, FtraceError);
  return `${code} ${reason}`;
}

// sample.c bills 750 + 600 without a discount, and 750 + 600 + 999 less a tenth.
const OLD = ["1350", "2115"];
// With a fee of 7 on each bill, and half off the second: 7 + 1350, (7 + 2349) / 2.
const FIRST = ["1357", "1178"];
// Every order costs 100, nothing is taken off; the first patch's fee stays below the second.
const BOTH = ["207", "307"];
const SECOND_ALONE = ["200", "300"];

for (const era of ERAS) {
  for (const trampoline of PATHS) {
    Deno.test(`enablePatch() replaces functions with their data, and calls the program's (${era}, ${trampoline})`, async () => {
      for (const name of ["shop_first", "shop_first_pic", "shop_first_medlow"]) {
        const guest = await traced("sample_p84", { era, trampoline });
        const { replacements } = guest.ftrace.livepatch.enablePatch(patch(name));
        assertEquals(replacements.map((each) => each.name).sort(), ["add_prices", "tenth_off"]);
        assertEquals(await totals(guest), FIRST, name);
        assertEquals(guest.output().match(/half off today/g)?.length, 1);
      }
    });

    Deno.test(`patches are enabled, stacked and taken back while the guest runs (${era}, ${trampoline})`, async () => {
      const shop = await traced("sample_p84", { era, trampoline });
      const { ftrace } = shop;
      let bills = 0;
      ftrace.registerFtraceFunction({
        filter: ["bill"],
        hit() {
          if (++bills === 2) ftrace.livepatch.enablePatch(patch("shop_first"));
        },
      });
      assertEquals(await totals(shop), [OLD[0]!, FIRST[1]!]);

      const back = await traced("sample_p84", { era, trampoline });
      const first = back.ftrace.livepatch.enablePatch(patch("shop_first"));
      let calls = 0;
      back.ftrace.registerFtraceFunction({
        filter: ["bill"],
        hit() {
          if (++calls === 2) first.disable();
        },
      });
      assertEquals(await totals(back), [FIRST[0]!, OLD[1]!]);
      assert(!first.enabled);
    });
  }

  Deno.test(`of several patches the newest wins, and an older one shows again when it goes (${era})`, async () => {
    const both = await traced("sample_p84", { era });
    both.ftrace.livepatch.enablePatch(patch("shop_first"));
    both.ftrace.livepatch.enablePatch(patch("shop_second"));
    assertEquals(await totals(both), BOTH);

    const older = await traced("sample_p84", { era });
    older.ftrace.livepatch.enablePatch(patch("shop_first"));
    older.ftrace.livepatch.enablePatch(patch("shop_second")).disable();
    assertEquals(await totals(older), FIRST);

    const newer = await traced("sample_p84", { era });
    const first = newer.ftrace.livepatch.enablePatch(patch("shop_first"));
    newer.ftrace.livepatch.enablePatch(patch("shop_second"));
    first.disable();
    assertEquals(await totals(newer), SECOND_ALONE);
  });

  Deno.test(`a patch with replace takes the place of all others in one update (${era})`, async () => {
    const guest = await traced("sample_p84", { era });
    const { livepatch, core } = guest.ftrace;
    const first = livepatch.enablePatch(patch("shop_first"));
    const { statistics } = core.patcher;
    const parks = statistics.parks;
    const second = livepatch.enablePatch(patch("shop_second", { replace: true }));
    if (core.patcher.scheme.parks) {
      assert(statistics.parks - parks <= 3, "sites are switched at once");
    }
    assert(!first.enabled && second.enabled);
    assertEquals(livepatch.patches, [second]);
    assertEquals(await totals(guest), SECOND_ALONE);
  });

  Deno.test(`a patch that is taken back leaves text and trace as if it had never been (${era})`, async () => {
    const plain = await traced("sample_p84", { era });
    const { bytes } = plain.machine.memory;
    const text = () => bytes.slice(0x10000, 0x11000);
    const before = text();
    const state = plain.ftrace.livepatch.enablePatch(patch("shop_first"));
    assert(text().join() !== before.join());
    state[Symbol.dispose]();
    state.disable();
    assertEquals(text(), before);
    graph(plain.ftrace);
    assertEquals(await totals(plain), OLD);
    const untouched = await traced("sample_p84", { era });
    graph(untouched.ftrace);
    await untouched.run();
    assertEquals(eventLines(plain.ftrace), eventLines(untouched.ftrace));
  });
}

Deno.test("a patch works on a function without a site, by a hook", async () => {
  const guest = await traced("sample_without_sites", { virtual: true });
  guest.ftrace.livepatch.enablePatch(patch("shop_first"));
  assertEquals(await totals(guest), FIRST);
});

Deno.test("a replaced function is traced under its name, and what the new one calls names its caller", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  ftrace.livepatch.enablePatch(patch("shop_first"));
  const callers = new Set<string>();
  ftrace.registerFtraceFunction({
    filter: ["price_of", "add_prices"],
    func: (ip, parent) => void callers.add(`${ftrace.symbol(ip)} <-${ftrace.symbol(parent)}`),
  });
  await totals(guest);
  assertEquals([...callers].sort(), ["add_prices <-bill", "price_of <-add_prices [shop_first]"]);
});

Deno.test("the guest's instructions are counted in the new functions, and the same on every path", async () => {
  const counts = new Set<bigint>();
  for (const era of ERAS) {
    for (const trampoline of PATHS) {
      for (const engine of ENGINE_NAMES) {
        const guest = await traced("sample_p84", { era, trampoline }, { engine });
        guest.ftrace.livepatch.enablePatch(patch("shop_second"));
        assertEquals(await totals(guest), SECOND_ALONE);
        counts.add(guest.machine.harts[0]!.instret);
      }
    }
  }
  assertEquals(counts.size, 1);
});

Deno.test("nothing of the guest's can be mapped where patches lie", async () => {
  const { machine } = await traced("sample_p84");
  const { tracing, memory } = machine;
  const code = tracing.allocateCode(8, 5);
  assert(code >= tracing.reserved && code < tracing.start);
  assert(memory.allows(BigInt(code), 8, 4) && !memory.allows(BigInt(code), 8, 2));
});

Deno.test("funcs renames, and picks one of several functions of a name", async () => {
  const guest = await traced("sample_p84");
  const funcs = [{ oldName: "no_discount", newName: "tenth_off" }];
  guest.ftrace.livepatch.enablePatch(patch("shop_first", { funcs }));
  assertEquals(await totals(guest), [String(1350 / 2), OLD[1]!]);
});

Deno.test("a patch in force keeps ftrace_enabled at 1, and none is taken while it is 0", async () => {
  const { ftrace } = await traced("sample_p84");
  const state = ftrace.livepatch.enablePatch(patch("shop_first"));
  assertEquals(refusal(() => ftrace.core.setEnabled(false)).split(" ")[0], "EBUSY");
  state.disable();
  ftrace.core.setEnabled(false);
  const enable = () => ftrace.livepatch.enablePatch(patch("shop_first"));
  assertEquals(refusal(enable).split(" ")[0], "EBUSY");
  ftrace.core.setEnabled(true);
  enable();
});

Deno.test("enablePatch() refuses with the kernel's errno, and changes nothing", async () => {
  const guest = await traced("sample_p84");
  const { ftrace, machine } = guest;
  const { livepatch } = ftrace;
  const before = machine.memory.bytes.slice(0x10000, 0x11000);
  const enable = (more: Partial<KlpPatch>, name = "shop_first") => () =>
    livepatch.enablePatch(patch(name, more));
  const named = (oldName: string, more = {}) => ({
    funcs: [{ oldName, newName: "tenth_off", ...more }],
  });
  assertEquals(refusal(enable(named("nosuch"))), "EINVAL no-symbol");
  assertEquals(refusal(enable(named("bill", { newName: "nosuch" }))), "EINVAL no-symbol");
  assertEquals(refusal(enable(named("bill", { oldSympos: 2 }))), "EINVAL no-symbol");
  assertEquals(refusal(enable({ funcs: [] })), "EINVAL no-match");
  const twice = { oldName: "bill", newName: "tenth_off" };
  assertEquals(refusal(enable({ funcs: [twice, twice] })), "EINVAL already-enabled");
  assertEquals(refusal(enable(named("_start"))), "EINVAL no-site");
  assertEquals(refusal(enable({}, "shop_broken")), "ENOENT no-symbol");
  assertThrows(() => livepatch.enablePatch({ name: "x", object: new Uint8Array(9) }), SyntaxError);

  const mine = { name: "mine", func() {}, filter: ["tenth_off"], flags: ftrace.flags.IPMODIFY };
  const registration = ftrace.registerFtraceFunction(mine);
  assertEquals(refusal(enable({})), "EBUSY already-ipmodify");
  registration.unregister();
  assertEquals(machine.memory.bytes.slice(0x10000, 0x11000), before);
  assertEquals(livepatch.patches, []);

  livepatch.enablePatch(patch("shop_first"));
  assertEquals(refusal(enable({})), "EINVAL already-enabled");
  assertEquals(refusal(() => ftrace.registerFtraceFunction(mine)), "EBUSY already-ipmodify");
  const second = { ...mine, filter: ["price_of"] };
  const other = ftrace.registerFtraceFunction(second);
  assertEquals(refusal(enable({}, "shop_second")), "EBUSY already-ipmodify");
  assertEquals(livepatch.patches.length, 1);
  other.unregister();
  assertEquals(await totals(guest), FIRST);
});

Deno.test("enablePatch() is refused with --strict in every era, as no RISC-V kernel has it", async () => {
  for (const era of ERAS) {
    const { ftrace } = await traced("sample_p84", { era, strict: true });
    const error = assertThrows(
      () => ftrace.livepatch.enablePatch(patch("shop_first")),
      FtraceError,
    );
    assertEquals(error.code, "EOPNOTSUPP");
    assertMatch(error.message, /HAVE_LIVEPATCH/);
    const answer = ftrace.why("tenth_off")[0]!.answers.find(({ use }) => use === "livepatch")!;
    assertEquals([answer.code, answer.reason], [error.code, error.reason]);
  }
});

for (const era of ERAS) {
  Deno.test(`func_mod_trace: a function of no module waits, and * of one that comes is resolved (${era})`, async () => {
    const { ftrace } = await traced("sample_p84", { era });
    const { set_ftrace_filter } = ftrace.filterFiles.files;
    set_ftrace_filter.write("non_exist_func:mod:non_exist_module\n");
    assertMatch(set_ftrace_filter.read(), /non_exist_func/);
    set_ftrace_filter.write("*:mod:shop_first_pic\n");
    assertMatch(set_ftrace_filter.read(), /^\*:mod:shop_first_pic$/m);
    ftrace.livepatch.enablePatch(patch("shop_first_pic"));
    assertMatch(set_ftrace_filter.read(), /^tenth_off \[shop_first_pic\]$/m);
    assert(!set_ftrace_filter.read().includes("*"));
  });
}

Deno.test("func_mod_trace: a patch with call sites is a module: listed, traced, and what waits for it is resolved", async () => {
  for (const era of ERAS) {
    for (const trampoline of PATHS) {
      const guest = await traced("sample_p84", { era, trampoline });
      const { ftrace } = guest;
      const { set_ftrace_filter } = ftrace.filterFiles.files;
      set_ftrace_filter.write("*off*:mod:shop_* bill nothing:mod:other");
      ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
      ftrace.livepatch.enablePatch(patch("shop_first_pic"));
      assertMatch(
        set_ftrace_filter.read(),
        /^bill\n(\w*off\w* \[shop_first_pic\]\n)+nothing:mod:other\n$/,
      );
      const { available_filter_functions, enabled_functions } = ftrace.functionLists;
      assertMatch(available_filter_functions(), /^\w+ \[shop_first_pic\]$/m);
      assertMatch(enabled_functions(), /^\w*off\w* \[shop_first_pic\] \(1\) /m);
      assertEquals(await totals(guest), FIRST, `${era} ${trampoline}`);
      const names = new Set(
        [...ftrace.events()].flatMap((event) =>
          event.type === "function" ? [ftrace.symbol(event.ip)] : []
        ),
      );
      assertEquals(names, new Set(["bill", "tenth_off [shop_first_pic]"]));
      set_ftrace_filter.write(":mod:shop_first_pic");
      assert(!set_ftrace_filter.read().includes("bill"));
      set_ftrace_filter.write("*:mod:!shop_first_pic");
      assert(!set_ftrace_filter.read().includes("shop_first_pic"));
    }
  }
});
