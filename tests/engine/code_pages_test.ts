import { assert, assertEquals } from "@std/assert";
import { DEFAULT_BUDGET } from "../../lib/engine/code_cache.ts";
import { DEFAULT_ENGINE, ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { createMachine, type MachineOptions } from "../../lib/machine/machine.ts";
import { THOROUGH } from "../thorough.ts";
import { firmwareOfPages, PROGRAM_PAGES, programOfPages } from "./code_pages.ts";

/** What a machine may take of its host besides what it keeps translated. */
const OTHERS = 64 * 2 ** 20;

async function runToEnd(program: Uint8Array, options: MachineOptions) {
  const parts: Uint8Array[] = [];
  const machine = createMachine(program, { ...options, stdout: (data) => void parts.push(data) });
  const outcome = await machine.run({ limit: 100_000_000n });
  const { used } = machine.memory.heap;
  assert(used <= DEFAULT_BUDGET + OTHERS, `${used} bytes of host memory are in use`);
  return {
    outcome,
    flat: machine.harts.map((hart) => hart.flat),
    used,
    written: new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()),
  };
}

const CASES = [
  ...(THOROUGH ? ENGINE_NAMES : [])
    .flatMap((engine) => [[engine, 1, false], [engine, 1, true]] as const),
  [DEFAULT_ENGINE, 2, false],
  [DEFAULT_ENGINE, 2, true],
] as const;
for (const [engine, harts, translated] of CASES) {
  const how = translated ? "behind page tables" : "in machine mode";
  Deno.test(`firmware runs code in all of its RAM, ${how}, on ${harts} harts of ${engine}`, async () => {
    const firmware = firmwareOfPages(harts, translated);
    const { outcome, flat } = await runToEnd(firmware, { machine: "bare", engine, harts });
    assertEquals(outcome, { kind: "exit", code: 0 });
    assertEquals(flat, Array(harts).fill(!translated));
  });
}

for (const engine of ENGINE_NAMES) {
  Deno.test(`a program maps, calls and unmaps more pages of code than ${engine} can keep`, async () => {
    const { outcome, written, used } = await runToEnd(programOfPages(), {
      machine: "linux",
      engine,
    });
    assertEquals(outcome, { kind: "exit", code: 0 });
    assertEquals(new DataView(written.buffer).getBigUint64(0, true), BigInt(PROGRAM_PAGES));
    assert(used < OTHERS, "what is unmapped is given back at once");
  });
}
