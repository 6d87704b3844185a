/**
 * The first stack of a Linux process, as the program finds it.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createMachine, type Machine } from "../../lib/machine/machine.ts";
import { readProgram } from "../fixtures/expected.ts";
import { askQemu, buildGuest, type GuestText, hasQemu, runGuest, TEXT } from "./linux_guest.ts";

const AT_PHDR = 3n, AT_PHENT = 4n, AT_PHNUM = 5n, AT_PAGESZ = 6n, AT_BASE = 7n, AT_ENTRY = 9n;
const AT_UID = 11n, AT_EUID = 12n, AT_GID = 13n, AT_EGID = 14n, AT_HWCAP = 16n, AT_CLKTCK = 17n;
const AT_SECURE = 23n, AT_RANDOM = 25n, AT_EXECFN = 31n;

interface Stack {
  readonly sp: bigint;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly auxiliary: ReadonlyMap<bigint, bigint>;
}

/** Reads the stack of a machine that has not run yet. */
function readStack({ harts, memory }: Machine): Stack {
  const sp = BigInt.asUintN(64, harts[0]!.x[2]!);
  const word = (address: bigint) => memory.view.getBigUint64(Number(address), true);
  const text = (address: bigint) => {
    const start = Number(address);
    return new TextDecoder().decode(memory.bytes.slice(start, memory.bytes.indexOf(0, start)));
  };
  let at = sp;
  const count = word(at);
  const list = () => {
    const texts: string[] = [];
    for (at += 8n; word(at) !== 0n; at += 8n) texts.push(text(word(at)));
    return texts;
  };
  const args = list();
  assertEquals(BigInt(args.length), count);
  const env = list();
  const auxiliary = new Map<bigint, bigint>();
  for (at += 8n; word(at) !== 0n; at += 16n) auxiliary.set(word(at), word(at + 8n));
  return { sp, args, env, auxiliary };
}

const PROGRAM = buildGuest((guest) => guest.finish());

Deno.test("buildStack() lays out arguments, environment and auxiliary vector when a program starts", () => {
  const machine = createMachine(PROGRAM, {
    engine: "ref",
    name: "folder/prog",
    args: ["one", "", "zwölf"],
    env: ["COLOUR=green", "EMPTY="],
  });
  const { sp, args, env, auxiliary } = readStack(machine);
  assertEquals(sp % 16n, 0n);
  assertEquals(args, ["folder/prog", "one", "", "zwölf"]);
  assertEquals(env, ["COLOUR=green", "EMPTY="]);
  const values = (...keys: readonly bigint[]) => keys.map((key) => auxiliary.get(key));
  assertEquals(values(AT_PAGESZ, AT_CLKTCK, AT_BASE, AT_SECURE), [4096n, 100n, 0n, 0n]);
  assertEquals(values(AT_UID, AT_EUID, AT_GID, AT_EGID), [1000n, 1000n, 1000n, 1000n]);
  assertEquals(values(AT_PHENT, AT_PHNUM, AT_ENTRY), [56n, 2n, BigInt(TEXT)]);
  // A, C, D, F, I, M.
  assertEquals(auxiliary.get(AT_HWCAP), 0b1_0001_0010_1101n);
  const name = Number(auxiliary.get(AT_EXECFN));
  assertEquals(
    new TextDecoder().decode(machine.memory.bytes.slice(name, name + 11)),
    "folder/prog",
  );
});

Deno.test("buildStack() points AT_PHDR and AT_ENTRY at where a position-independent program is", async () => {
  const { bytes } = await readProgram("sample_pie_p84");
  const machine = createMachine(bytes, { engine: "ref" });
  const { auxiliary } = readStack(machine);
  assertEquals(auxiliary.get(AT_ENTRY), machine.harts[0]!.pc);
  const headers = Number(auxiliary.get(AT_PHDR));
  assert(headers > 0x10000);
  const size = Number(auxiliary.get(AT_PHENT)) * Number(auxiliary.get(AT_PHNUM));
  const inFile = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(32, true));
  assertEquals(
    machine.memory.bytes.slice(headers, headers + size),
    bytes.slice(inFile, inFile + size),
  );
});

Deno.test("buildStack() gives 16 random bytes that only the seed decides", () => {
  const random = (seed: bigint) => {
    const machine = createMachine(PROGRAM, { engine: "ref", seed });
    const at = Number(readStack(machine).auxiliary.get(AT_RANDOM));
    return machine.memory.bytes.slice(at, at + 16);
  };
  assertEquals(random(5n), random(5n));
  assert(random(5n).some((byte, k) => byte !== random(6n)[k]));
});

Deno.test("buildStack() refuses arguments that are too long for the stack", () => {
  const args = ["x".repeat(3 * 1024 * 1024)];
  const error = assertThrows(() => createMachine(PROGRAM, { engine: "ref", args }), RangeError);
  assert(error.message.includes("too long"), error.message);
});

Deno.test("createLinux() names the task after the program, without folders and cut to 15", () => {
  const comm = (name: string) => createMachine(PROGRAM, { engine: "ref", name }).comm;
  assertEquals(comm("/a/folder/prog"), "prog");
  assertEquals(comm("a-name-of-twenty-chars"), "a-name-of-twent");
});

/** Notes the stack from argc on. */
function dump(guest: GuestText): void {
  for (let k = 0; k < 40; k++) {
    guest.line(`ld t0, ${8 * k}(sp)`);
    guest.note("t0");
  }
  guest.finish();
}

/** The auxiliary vector of a dump. */
function auxiliaryOf(notes: readonly bigint[]): ReadonlyMap<bigint, bigint> {
  const endOfArguments = notes.indexOf(0n);
  let at = notes.indexOf(0n, endOfArguments + 1) + 1;
  const found = new Map<bigint, bigint>();
  for (; at < notes.length && notes[at] !== 0n; at += 2) found.set(notes[at]!, notes[at + 1]!);
  return found;
}

Deno.test({
  name: "buildStack() says of the program what QEMU says (needs qemu-user)",
  ignore: !hasQemu,
  async fn() {
    const ours = auxiliaryOf((await runGuest(dump)).notes);
    const theirs = auxiliaryOf((await askQemu(dump)).notes);
    for (const key of [AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_ENTRY, AT_CLKTCK]) {
      assert(theirs.has(key));
      assertEquals(ours.get(key), theirs.get(key), `AT ${key}`);
    }
    for (const key of theirs.keys()) {
      // The vdso, the name of the platform, and what more recent kernels have added.
      if (![15n, 26n, 27n, 29n, 33n, 51n].includes(key)) assert(ours.has(key), `AT ${key}`);
    }
  },
});
