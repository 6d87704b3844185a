/**
 * What the patcher writes, checks, parks and fences, and in which order.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  createRecord,
  type DynFtrace,
  FTRACE_FL_DISABLED,
  FTRACE_FL_ENABLED,
  ftraceRefCount,
} from "../../lib/patcher/dyn_ftrace.ts";
import { FtraceBug, Patcher, siteWords } from "../../lib/patcher/patcher.ts";
import { callPair, type SchemeName, SCHEMES, wordBytes } from "../../lib/patcher/scheme.ts";

const BASE = 0x80000000n;
const CALLER = 0x7ff00100n;
const OPS = { caller: CALLER, ops: 0x7ff05000n };
const OTHER = { caller: CALLER, ops: 0x7ff05200n };
const NOP = { caller: CALLER, ops: 0x7ff05100n };
const NOP_WORD = 0x13;
const NAMES = ["regs", "args", "preset", "call-ops"] as const;

/** Text in an array, and a journal of what was done to it. */
function createText() {
  const bytes = new Uint8Array(4096);
  const journal: string[] = [];
  const offset = (address: bigint) => Number(address - BASE);
  return {
    bytes,
    journal,
    words: (address: bigint) => [...new Uint32Array(bytes.slice(offset(address)).buffer, 0, 2)],
    text: {
      read: (address: bigint, length: number) =>
        bytes.slice(offset(address), offset(address) + length),
      write(address: bigint, data: Uint8Array) {
        bytes.set(data, offset(address));
        journal.push(`write ${offset(address)}+${data.length}`);
      },
      park(inside: (pc: number) => boolean) {
        const places = bytes.reduce<number[]>(
          (found, _, k) => inside(Number(BASE) + k) ? [...found, k] : found,
          [],
        );
        journal.push(`park ${places.join(" ")}`);
        return 0;
      },
      localFenceI: () => void journal.push("local"),
      remoteFenceI: () => void journal.push("remote"),
    },
  };
}

/** A record of the site whose function begins `at` bytes into the text. */
function recordAt(name: SchemeName, at: number, more: Partial<DynFtrace> = {}): DynFtrace {
  const entry = BASE + BigInt(at);
  return createRecord({
    index: 0,
    ip: SCHEMES[name].ip(entry),
    entry,
    before: 8,
    after: 8,
    name: "function",
    kind: "patched",
    reason: undefined,
    ...more,
  });
}

/** A patcher with sites at 16 and 64, initialised, and its journal emptied. */
function started(name: SchemeName) {
  const { text, journal, words, bytes } = createText();
  const records = [recordAt(name, 16), recordAt(name, 64)];
  const patcher = new Patcher(text, SCHEMES[name], records);
  for (const record of records) patcher.ftraceInitNop(record, NOP);
  const before = { ...patcher.statistics };
  journal.length = 0;
  const spent = () => {
    const { parks, writes, localFences, remoteFences } = patcher.statistics;
    return {
      parks: parks - before.parks,
      writes: writes - before.writes,
      localFences: localFences - before.localFences,
      remoteFences: remoteFences - before.remoteFences,
    };
  };
  const [first, second] = records as [DynFtrace, DynFtrace];
  return { patcher, first, second, journal, words, bytes, spent };
}

const PARK = "park 18 20 22 66 68 70";
/** What switching both sites on takes, step by step. */
const JOURNALS: Readonly<Record<SchemeName, readonly string[]>> = {
  regs: [
    PARK,
    ...["write 16+4", "write 20+4", "remote"],
    ...["write 64+4", "write 68+4", "remote"],
  ],
  args: [
    PARK,
    ...["write 16+4", "write 20+4", "local"],
    ...["write 64+4", "write 68+4", "local"],
    "remote",
  ],
  preset: [...["write 20+4", "local"], ...["write 68+4", "local"], "remote"],
  "call-ops": [
    ...["write 8+8", "remote", "write 20+4", "local"],
    ...["write 56+8", "remote", "write 68+4", "local"],
    "remote",
  ],
};
const SPENT = {
  regs: { parks: 1, writes: 4, localFences: 0, remoteFences: 2 },
  args: { parks: 1, writes: 4, localFences: 2, remoteFences: 1 },
  preset: { parks: 0, writes: 2, localFences: 2, remoteFences: 1 },
  "call-ops": { parks: 0, writes: 4, localFences: 2, remoteFences: 3 },
} as const;

for (const name of NAMES) {
  Deno.test(`Patcher.update() parks, writes and fences as ${name} does when it switches two sites on`, () => {
    const { patcher, first, second, journal, spent, words } = started(name);
    patcher.update(
      [{ record: first, from: undefined, to: OPS }, { record: second, from: undefined, to: OPS }],
      NOP,
    );
    assertEquals(journal, JOURNALS[name]);
    assertEquals(spent(), SPENT[name]);
    assertEquals(words(first.entry), [...callPair("t0", first.entry, CALLER)]);
    assertEquals(words(second.entry), [...callPair("t0", second.entry, CALLER)]);
    assertEquals([first.flags, second.flags], [FTRACE_FL_ENABLED, FTRACE_FL_ENABLED]);
  });

  Deno.test(`Patcher.update() leaves a site as ${name} initialised it when it is switched on and off`, () => {
    const { patcher, first, bytes } = started(name);
    const initial = bytes.slice();
    patcher.update([{ record: first, from: undefined, to: OPS }], NOP);
    assert(bytes.some((byte, k) => byte !== initial[k]));
    patcher.update([{ record: first, from: OPS, to: undefined }], NOP);
    assertEquals(bytes, initial);
    assertEquals(first.flags & FTRACE_FL_ENABLED, 0);
  });

  Deno.test(`Patcher.update() does nothing under ${name} when nothing changes`, () => {
    const { patcher, journal } = started(name);
    patcher.update([], NOP);
    assertEquals(journal, []);
  });

  Deno.test(`Patcher.ftraceModifyCall() throws FtraceBug under ${name} when the text is not as expected`, () => {
    const { patcher, first, bytes, journal } = started(name);
    patcher.ftraceMakeCall(first, OPS);
    bytes[17] = bytes[17]! ^ 0x10;
    journal.length = 0;
    const error = assertThrows(
      () => patcher.ftraceModifyCall(first, OPS, OTHER),
      FtraceBug,
      `Cannot patch 0x${first.ip.toString(16)}: expected (`,
    );
    const length = SCHEMES[name].parks ? 8 : 4;
    assertEquals(error.ip, first.ip);
    assertEquals(
      error.expected,
      wordBytes(...callPair("t0", first.entry, CALLER)).slice(0, length),
    );
    assertEquals(error.found, bytes.slice(16, 16 + length));
    assertEquals(journal, [], "nothing was written");
  });

  Deno.test(`Patcher.ftraceModifyCall() writes the new words under ${name} when the old are there`, () => {
    const { patcher, first, bytes, words } = started(name);
    patcher.ftraceMakeCall(first, OPS);
    const target = { caller: name === "args" ? CALLER + 0x100n : CALLER, ops: OTHER.ops };
    patcher.ftraceModifyCall(first, OPS, target);
    assertEquals(words(first.entry), [...callPair("t0", first.entry, target.caller)]);
    const literal = new DataView(bytes.buffer).getBigUint64(8, true);
    assertEquals(literal, name === "call-ops" ? OTHER.ops : 0n);
  });
}

Deno.test("Patcher.ftraceMakeCall() and ftraceMakeNop() write unseen when the text is damaged, as the kernels do", () => {
  for (const name of NAMES) {
    const { patcher, first, bytes, words } = started(name);
    bytes[21] = 0xff;
    patcher.ftraceMakeCall(first, OPS);
    assertEquals(words(first.entry), [...callPair("t0", first.entry, CALLER)], name);
    bytes[21] = 0xff;
    patcher.ftraceMakeNop(first, NOP);
    assertEquals(words(first.entry)[1], NOP_WORD, name);
  }
});

Deno.test("FtraceBug says both words as numbers when it is printed", () => {
  const error = new FtraceBug(0x80000010n, wordBytes(0x297, 0x282e7), wordBytes(NOP_WORD, 1));
  assertEquals(
    error.message,
    "Cannot patch 0x80000010: expected (00000297 000282e7) but got (00000013 00000001)",
  );
  assertEquals(error.name, "FtraceBug");
});

Deno.test("Patcher.insideSite() is true between the words of a site and false at its ends", () => {
  const { patcher } = started("args");
  const inside = (at: number) => patcher.insideSite(Number(BASE) + at);
  assertEquals([14, 16, 18, 20, 22, 24].map(inside), [false, false, true, true, true, false]);
  patcher.addPair(BASE + 128n);
  assertEquals([128, 132, 136].map(inside), [false, true, false]);
});

Deno.test("Patcher leaves harts where they are when a site is not patched", () => {
  const { text } = createText();
  const record = recordAt("args", 16, { kind: "virtual", reason: "misaligned" });
  assertEquals(new Patcher(text, SCHEMES.args, [record]).insideSite(Number(BASE) + 20), false);
});

Deno.test("Patcher.ftraceInitNop() gives two nops when a site is served otherwise but has room", () => {
  const { text, words, journal } = createText();
  const patcher = new Patcher(text, SCHEMES["call-ops"], []);
  patcher.ftraceInitNop(recordAt("call-ops", 16, { kind: "virtual", reason: "misaligned" }), NOP);
  assertEquals(words(BASE + 16n), [NOP_WORD, NOP_WORD]);
  patcher.ftraceInitNop(recordAt("call-ops", 64, { kind: "disabled", after: 4 }), NOP);
  assertEquals(journal, ["write 16+8"], "a site without room is left alone");
});

Deno.test("Patcher.ftraceUpdateFtraceFunc() points the pair of a trampoline when the callback changes", () => {
  for (const name of ["regs", "args"] as const) {
    const { patcher, journal, words, spent } = started(name);
    patcher.ftraceUpdateFtraceFunc(BASE + 128n, CALLER);
    assertEquals(words(BASE + 128n), [...callPair("ra", BASE + 128n, CALLER)]);
    assertEquals(journal, [
      PARK,
      "write 128+4",
      "write 132+4",
      ...(name === "args" ? ["local", "remote"] : ["remote"]),
    ]);
    assertEquals(spent().writes, 2);
  }
});

Deno.test("createRecord() starts without users, and disabled when it cannot be served", () => {
  assertEquals(recordAt("args", 16).flags, 0);
  const disabled = recordAt("args", 16, { kind: "disabled" });
  assertEquals(disabled.flags, FTRACE_FL_DISABLED);
  assertEquals(ftraceRefCount({ ...disabled, flags: disabled.flags | 5 }), 5);
});

Deno.test("siteWords() gives the words of a site off and on when it is asked for a listing", () => {
  const entry = BASE + 16n;
  const [auipc, jalr] = callPair("t0", entry, CALLER);
  const table = Object.fromEntries(
    NAMES.map((name) => [name, siteWords(SCHEMES[name], entry, OPS)]),
  );
  const pair = { off: [NOP_WORD, NOP_WORD], on: [auipc, jalr] };
  const second = { off: [auipc, NOP_WORD], on: [auipc, jalr] };
  assertEquals(table, { regs: pair, args: pair, preset: second, "call-ops": second });
});
