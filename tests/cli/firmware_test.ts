/**
 * Options of firmware on the command line, and what is said of firmware that ends by a trap.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { buildElf } from "../program/elf_builder.ts";
import { parseElf } from "../../lib/program/mod.ts";
import { fixture, hartrace } from "./command_line.ts";

/** Runs an assembled program at an address. */
async function runs(source: string, options: readonly string[], origin = 0x80000000n) {
  const file = await Deno.makeTempFile();
  try {
    const { bytes: data } = assemble(source, { origin });
    await Deno.writeFile(file, buildElf({ segments: [{ address: origin, data }] }).bytes);
    return { file, ...await hartrace(["-q", "-p", "nop", ...options, file]) };
  } finally {
    await Deno.remove(file);
  }
}

const FAULTS = "csrrs t0, 0xf14, zero\nli a0, 0x40000000\nsd a0, 8(a0)";

Deno.test("main() names cause, value and place of a trap as firmware's handler would see them", async () => {
  const { code, stderr } = await runs(FAULTS, []);
  assertEquals(code, 139);
  assertStringIncludes(
    stderr,
    "by a trap that it does not handle (exit code 139): store access fault (mcause 7, mtval " +
      "0x40000008) in (no symbol) (mepc 0x80000008)",
  );
});

Deno.test("main() says that a handler traps itself for ever", async () => {
  const { code, stderr } = await runs(
    `auipc t0, 0\naddi t0, t0, 16\ncsrrw zero, 0x305, t0\nebreak\n.word 0`,
    ["--limit-insns", "1000"],
  );
  assertEquals(code, 133);
  assertMatch(
    stderr,
    /breakpoint \(mcause 3.*; its handler traps, too, and for ever: illegal instruction \(mcause 2/,
  );
});

const CALL = "li a1, 0\nli a0, 0x11\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n";
const FINISH = "li t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nj .";

Deno.test("main() answers semihosting when it is asked to", async () => {
  const source = `csrrs t0, 0xf14, zero\n${CALL}${FINISH}`;
  assertEquals((await runs(source, ["--semihosting"])).code, 0);
  assertEquals((await runs(source, [])).code, 133);
});

Deno.test("main() gives firmware memory elsewhere, and names what it lacks", async () => {
  const source = `csrrs t0, 0xf14, zero\n${FINISH}`;
  const at = 0x20000000n;
  assertEquals((await runs(source, ["--memory", "0x20000000,4M"], at)).code, 0);
  const { code, stderr } = await runs(source, [], at);
  assertEquals(code, 125);
  assertStringIncludes(stderr, "give it memory there with --memory 0x20000000,0x1000, or more");
});

Deno.test("main() runs a raw image where it is loaded, and says what other files are", async () => {
  const file = await Deno.makeTempFile();
  try {
    const { bytes } = assemble(`nop\n${FINISH}`, { origin: 0x80000000n });
    await Deno.writeFile(file, bytes);
    assertEquals((await hartrace(["-q", "-p", "nop", "--load", `0x80000000,${file}`])).code, 0);
    const raw = await hartrace(["-q", file]);
    assertEquals(raw.code, 126);
    assertStringIncludes(raw.stderr, `--load 0x80000000,${file}`);
    const image = new Uint8Array(128);
    image.set(new TextEncoder().encode("RSC\x05"), 0x38);
    await Deno.writeFile(file, image);
    assertStringIncludes((await hartrace(["-q", file])).stderr, "Linux kernel for RISC-V (Image)");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("main() says where firmware begins when QEMU's board would begin elsewhere", async () => {
  const begins = async (origin: bigint) => {
    const file = await Deno.makeTempFile();
    const { bytes: data } = assemble(`csrrs t0, 0xf14, zero\n${FINISH}`, { origin });
    const type = origin === 0n ? "DYN" : "EXEC";
    await Deno.writeFile(file, buildElf({ type, segments: [{ address: origin, data }] }).bytes);
    const { code, stderr } = await hartrace(["-p", "nop", "--machine", "bare", file]);
    await Deno.remove(file);
    assertEquals(code, 0);
    return /begins at (0x\w+); with -bios none/.exec(stderr)?.[1];
  };
  assertEquals(await begins(0x80000100n), "0x80000100");
  assertEquals(await begins(0x80000000n), undefined);
  // A position-independent one is moved to where that board begins.
  assertEquals(await begins(0n), undefined);
});

Deno.test("main() says what to do with a program that is linked beyond 4 GiB", async () => {
  const { code, stderr } = await runs("nop", [], 0x200000000n);
  assertEquals(code, 126);
  assertStringIncludes(
    stderr,
    "0x200000000 + 0x4 lies beyond 4 GiB, where a guest's addresses end: link it lower, as with " +
      "-Wl,-Ttext-segment=0x10000",
  );
});

for (const text of ["0x20000000", "here,4M", "0x20000000,4T", "1,2,3"]) {
  Deno.test(`main() refuses --memory ${text}`, async () => {
    const { code, stderr } = await runs("nop", ["--memory", text]);
    assertEquals(code, 125);
    assertStringIncludes(stderr, `Cannot read --memory "${text}": write an address and a size`);
  });
}

/** Calls `body` with the raw image of a fixture that is linked to 0x80000000. */
async function withImage(name: string, body: (file: string) => Promise<void>): Promise<void> {
  const { segments } = parseElf(await Deno.readFile(fixture(name)));
  const end = segments.map(({ address, data }) => Number(address - 0x80000000n) + data.length);
  const image = new Uint8Array(Math.max(...end));
  for (const { address, data } of segments) image.set(data, Number(address - 0x80000000n));
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, image);
    await body(file);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("main() says that nobody answers an image without symbols when it does not end", () =>
  withImage("hello_bare_p84", async (file) => {
    const args = ["-p", "nop", "--limit-insns", "10k", "--load", `0x80000000,${file}`];
    const said = "if it waits for its host (HTIF), nobody answers, as it has no symbols: " +
      "--symbols FILE.elf says where tohost is";
    const without = await hartrace(args);
    assertEquals([without.code, without.stderr.includes(said)], [124, true]);
    assertEquals((await hartrace(["-q", ...args])).stderr.includes(said), false);
    const symbols = ["--symbols", fixture("hello_bare_p84")];
    assertEquals((await hartrace([...symbols, ...args])).code, 7);
    // One that has symbols, and no tohost, does not wait for it.
    const { code, stderr } = await hartrace([
      ...["-p", "nop", "--limit-insns", "10", fixture("semihosting_bare_p84")],
    ]);
    assertEquals([code, stderr.includes("HTIF")], [124, false]);
  }));

Deno.test("shell runs an image with the functions and the host's words that --symbols names", () =>
  withImage("hello_bare_p84", async (file) => {
    const options = ["--load", `0x80000000,${file}`, "--symbols", fixture("hello_bare_p84")];
    const { code, stdout, stderr } = await hartrace(["shell", "-q", ...options], {
      stdin: ["break program", "continue", "echo function > current_tracer", "continue", ""]
        .join("\n"),
    });
    assertStringIncludes(stdout, " program+0x0/");
    assertStringIncludes(stderr, "exited with code 7");
    assertEquals(code, 7);
    const without = await hartrace(["shell", "-q", ...options.slice(0, 2)], {
      stdin: "break program\n",
    });
    assertEquals(without.code, 1);
  }));

Deno.test("shell begins at --entry, in memory of --memory, as a run does", async () => {
  const { bytes } = assemble(`li a0, 5\nj .\nli a0, 6\n${FINISH}`, { origin: 0x20000000n });
  const file = await Deno.makeTempFile();
  await Deno.writeFile(file, bytes);
  const at = ["--load", `0x20000000,${file}`, "--memory", "0x20000000,4k"];
  const typed = async (...options: string[]) =>
    await hartrace(["shell", "-q", ...options], { stdin: "p/x $pc\nstep\np $a0\n" });
  // The place, the instruction behind, and what a0 then holds.
  const shown = async (...options: string[]) => {
    const [pc, , a0] = (await typed(...options)).stdout.split("\n");
    return [pc, a0];
  };
  assertEquals(await shown(...at), ["0x20000000", "5"]);
  assertEquals(await shown(...at, "--entry", "0x20000008"), ["0x20000008", "6"]);
  const run = await hartrace(["-q", "-p", "nop", ...at, "--entry", "0x20000008"]);
  assertEquals(run.code, 0);
  const refused = await typed(...at.slice(0, 2));
  assertEquals(refused.code, 125);
  assertStringIncludes(refused.stderr, "give it memory there with --memory 0x20000000,");
  await Deno.remove(file);
});
